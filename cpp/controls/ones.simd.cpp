// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Every row becomes the number 1: the score of uniform attention, the control that shows what attention is worth.
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t depth(const EncoderArgs&) { return 1; }
int64_t scratch(const EncoderArgs&) { return 0; }

template <class T>
void row(const T*, T* out, T*, const EncoderArgs&) {
  out[0] = T(1);
}

}  // namespace

extern const Encoder ones_encoder;
const Encoder ones_encoder = {"ones", PairKind::real_dot, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
