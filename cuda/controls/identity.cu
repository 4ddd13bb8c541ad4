// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The row itself: with Similarity::dot the score of softmax attention, the classical control. params: n_features.
#include "feature_maps/rows.hpp"

namespace flashket::cuda {
namespace {

int64_t depth(const EncodeArgs& args) { return static_cast<int64_t>(args.params[0]); }

template <class T>
FK_KERNEL void __launch_bounds__(kEncoderThreads) EncodeIdentity(Rows rows, int64_t n_features, T* out, int64_t pitch) {
  const int64_t i = int64_t{blockIdx.x} * kEncoderThreads + threadIdx.x;
  if (i >= rows.count * n_features) return;
  const int64_t row = i / n_features, j = i - row * n_features;
  out[row * pitch + j] = static_cast<T>(load_element(rows, row, j));
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  const int64_t n = depth(args), blocks = (rows.count * n + kEncoderThreads - 1) / kEncoderThreads;
  launch("EncodeIdentity", EncodeIdentity<T>, {blocks}, kEncoderThreads, 0, stream, rows, n, out, pitch);
}

}  // namespace

extern const Encoder identity_encoder;
const Encoder identity_encoder = {"identity", Pair::real_dot, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
