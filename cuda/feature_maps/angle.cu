// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Angle encoding: |x> = prod_j RY(b x_j)|0> (or RX), <x|y> = prod_j cos(b (x_j - y_j) / 2). A row becomes cos, sin of
// half of every angle. Angles are reduced in double whatever the element type. params: n_features, bandwidth b.
// Cost: one sincos in double a feature; reads the rows once, writes 2 n elements a row.
#include "feature_maps/rows.hpp"

namespace flashket::cuda {
namespace {

int64_t depth(const EncodeArgs& args) { return static_cast<int64_t>(args.params[0]); }

template <class T>
FK_KERNEL void __launch_bounds__(kEncoderThreads)
    EncodeAngle(Rows rows, int64_t n_features, double half_bandwidth, T* out, int64_t pitch) {
  const int64_t i = int64_t{blockIdx.x} * kEncoderThreads + threadIdx.x;
  if (i >= rows.count * n_features) return;
  const int64_t row = i / n_features, j = i - row * n_features;
  double sine, cosine;
  sincos(half_bandwidth * load_element(rows, row, j), &sine, &cosine);
  T* to = out + row * pitch + 2 * j;
  to[0] = static_cast<T>(cosine);
  to[1] = static_cast<T>(sine);
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  const int64_t n = depth(args), blocks = (rows.count * n + kEncoderThreads - 1) / kEncoderThreads;
  launch("EncodeAngle", EncodeAngle<T>, {blocks}, kEncoderThreads, 0, stream, rows, n, 0.5 * args.params[1], out,
         pitch);
}

}  // namespace

extern const Encoder angle_encoder;
const Encoder angle_encoder = {"angle", Pair::product, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
