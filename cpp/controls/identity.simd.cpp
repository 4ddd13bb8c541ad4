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

template <class T>
void score_rows(const T* query, const T* rows, int64_t row_stride, int64_t count, T* overlaps,
                const EncoderArgs& args) {
  const int64_t d = depth(args);
  for (int64_t j = 0; j < count; ++j) {
    const T* x = rows + j * row_stride;
    Vec<T> sum = {};
    int64_t e = 0;
    for (; e + kLanes<T> <= d; e += kLanes<T>) sum += load(x + e) * load(query + e);
    T rest = 0;
    for (; e < d; ++e) rest += x[e] * query[e];
    overlaps[j] = sum_lanes<T>(sum) + rest;
  }
}

}  // namespace

extern const Encoder identity_encoder;
const Encoder identity_encoder = {
    .name = "identity",
    .pair = PairKind::real_dot,
    .depth = depth,
    .scratch = scratch,
    .row_f32 = row<float>,
    .row_f64 = row<double>,
    .score_rows_f32 = score_rows<float>,
    .score_rows_f64 = score_rows<double>,
};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
