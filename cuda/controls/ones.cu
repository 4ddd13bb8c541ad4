// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Every row becomes the number 1: the score of uniform attention, the control that shows what attention is worth.
#include "feature_maps/rows.hpp"

namespace flashket::cuda {
namespace {

int64_t depth(const EncodeArgs&) { return 1; }

template <class T>
FK_KERNEL void __launch_bounds__(kEncoderThreads) EncodeOnes(int64_t count, T* out, int64_t pitch) {
  const int64_t row = int64_t{blockIdx.x} * kEncoderThreads + threadIdx.x;
  if (row < count) out[row * pitch] = T(1);
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs&, Stream stream) {
  const int64_t blocks = (rows.count + kEncoderThreads - 1) / kEncoderThreads;
  launch("EncodeOnes", EncodeOnes<T>, {blocks}, kEncoderThreads, 0, stream, rows.count, out, pitch);
}

}  // namespace

extern const Encoder ones_encoder;
const Encoder ones_encoder = {"ones", Pair::real_dot, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
