// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The Bloch vectors of angle encoding, in closed form: RY(t)|0> has (sin t, 0, cos t), RX(t)|0> has (0, -sin t, cos t).
// Distances of two rows are the same for both, so a row becomes all sin(b x_j), then all cos(b x_j).
// params: n_features, bandwidth b. Cost: one sincos in double a feature.
#include "feature_maps/rows.hpp"

namespace flashket::cuda {
namespace {

int64_t n_features(const EncodeArgs& args) { return static_cast<int64_t>(args.params[0]); }
int64_t depth(const EncodeArgs& args) { return 2 * n_features(args); }

template <class T>
FK_KERNEL void __launch_bounds__(kEncoderThreads)
    EncodeAngleBloch(Rows rows, int64_t n_features, double bandwidth, T* out, int64_t pitch) {
  const int64_t i = int64_t{blockIdx.x} * kEncoderThreads + threadIdx.x;
  if (i >= rows.count * n_features) return;
  const int64_t row = i / n_features, j = i - row * n_features;
  double sine, cosine;
  sincos(bandwidth * load_element(rows, row, j), &sine, &cosine);
  out[row * pitch + j] = static_cast<T>(sine);
  out[row * pitch + n_features + j] = static_cast<T>(cosine);
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  const int64_t n = n_features(args), blocks = (rows.count * n + kEncoderThreads - 1) / kEncoderThreads;
  launch("EncodeAngleBloch", EncodeAngleBloch<T>, {blocks}, kEncoderThreads, 0, stream, rows, n, args.params[1], out,
         pitch);
}

}  // namespace

extern const Encoder angle_bloch_encoder;
const Encoder angle_bloch_encoder = {"angle_bloch", Pair::distance, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
