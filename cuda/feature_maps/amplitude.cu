// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Amplitude encoding: |x> = (x, sqrt(bias)) / norm, <x|y> a real dot product. The norm is summed in double, scaled
// where needed, so it neither overflows nor underflows. A row of zeros without bias becomes NaN. params: n_features,
// bias. Cost: a warp a row, which is read twice and written once.
#include "feature_maps/rows.hpp"

namespace flashket::cuda {
namespace {

int64_t n_features(const EncodeArgs& args) { return static_cast<int64_t>(args.params[0]); }
int64_t depth(const EncodeArgs& args) { return n_features(args) + (args.params[1] > 0 ? 1 : 0); }

template <class T>
FK_KERNEL void __launch_bounds__(kEncoderThreads)
    EncodeAmplitude(Rows rows, int64_t n_features, double bias, T* out, int64_t pitch) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t row = int64_t{blockIdx.x} * (kEncoderThreads / kWarp) + threadIdx.x / kWarp;
  if (row >= rows.count) return;
  const AmplitudeNorm by = amplitude_norm(rows, row, n_features, bias, lane);
  T* to = out + row * pitch;
  // Divided by, not multiplied with its inverse: 1 stays 1.
  for (int64_t j = lane; j < n_features; j += kWarp)
    to[j] = static_cast<T>(load_element(rows, row, j) * by.scale / by.norm);
  if (bias > 0 && lane == 0) to[n_features] = static_cast<T>(by.root_bias / by.norm);
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  constexpr int64_t kRows = kEncoderThreads / kWarp;
  launch("EncodeAmplitude", EncodeAmplitude<T>, {(rows.count + kRows - 1) / kRows}, kEncoderThreads, 0, stream, rows,
         n_features(args), args.params[1], out, pitch);
}

}  // namespace

extern const Encoder amplitude_encoder;
const Encoder amplitude_encoder = {"amplitude", Pair::real_dot, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
