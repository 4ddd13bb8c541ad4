// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The row itself: with Similarity::dot the score of softmax attention, the classical control. params: n_features.
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t depth(const EncoderArgs& args) { return static_cast<int64_t>(args.params[0]); }
int64_t scratch(const EncoderArgs&) { return 0; }

template <class T>
void row(const T* x, T* out, T*, const EncoderArgs& args) {
  for (int64_t j = 0; j < depth(args); ++j) out[j] = x[j];
}

}  // namespace

extern const Encoder identity_encoder;
const Encoder identity_encoder = {"identity", PairKind::real_dot, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
