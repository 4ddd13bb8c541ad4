// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "core/encoder.hpp"

#include <stdexcept>

#include "flashket_cuda_lists.hpp"

namespace flashket::cuda {

#define FLASHKET_DECLARE(stem) extern const Encoder stem##_encoder;
FLASHKET_CUDA_FOR_EACH_ENCODER(FLASHKET_DECLARE)
#undef FLASHKET_DECLARE

namespace {

#define FLASHKET_ADDRESS(stem) &stem##_encoder,
const Encoder* const encoders[] = {FLASHKET_CUDA_FOR_EACH_ENCODER(FLASHKET_ADDRESS) nullptr};
#undef FLASHKET_ADDRESS

}  // namespace

const Encoder& find_encoder(const std::string& name) {
  for (const Encoder* const* e = encoders; *e; ++e)
    if (name == (*e)->name) return **e;
  std::string known;
  for (const std::string& other : encoder_names()) known += (known.empty() ? "" : ", ") + other;
  throw std::invalid_argument("encoder: wanted one with device code (" + known + "), got " + name);
}

std::vector<std::string> encoder_names() {
  std::vector<std::string> names;
  for (const Encoder* const* e = encoders; *e; ++e) names.push_back((*e)->name);
  return names;
}

}  // namespace flashket::cuda
