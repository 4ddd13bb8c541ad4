// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The Bloch vectors of amplitude encoding: the normalised row, filled up to 2^n amplitudes a_z, is a real state, so
// <Y_k> = 0 and <X_k> = 2 sum over z with bit k = 0 of a_z a_(z + 2^k), <Z_k> = sum_z (-1)^(bit k of z) a_z^2.
// A row becomes all X, then all Z. params: n_features, bias, n_qubits. Cost: a warp a row and qubit, 3 FMA an amplitude
// in double, which reads the row from the caches once for each qubit.
#include "feature_maps/rows.hpp"

namespace flashket::cuda {
namespace {

int64_t n_qubits(const EncodeArgs& args) { return static_cast<int64_t>(args.params[2]); }
int64_t depth(const EncodeArgs& args) { return 2 * n_qubits(args); }

template <class T>
FK_KERNEL void __launch_bounds__(kEncoderThreads)
    EncodeAmplitudeBloch(Rows rows, int64_t n_features, double bias, int64_t n_qubits, T* out, int64_t pitch) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t warp = int64_t{blockIdx.x} * (kEncoderThreads / kWarp) + threadIdx.x / kWarp;
  const int64_t row = warp / n_qubits, qubit = warp - row * n_qubits;
  if (row >= rows.count) return;
  const AmplitudeNorm by = amplitude_norm(rows, row, n_features, bias, lane);
  const auto amplitude = [&](int64_t z) {
    if (z < n_features) return load_element(rows, row, z) * by.scale / by.norm;
    return z == n_features ? by.root_bias / by.norm : 0.0;
  };
  const int64_t width = n_features + (bias > 0 ? 1 : 0), bit = int64_t{1} << qubit;
  double x = 0, z = 0;
  for (int64_t at = lane; at < width; at += kWarp) {
    const double a = amplitude(at);
    if (at & bit) {
      z -= a * a;
    } else {
      z += a * a;
      x += a * amplitude(at + bit);
    }
  }
  x = 2 * sum_over_warp(x);
  z = sum_over_warp(z);
  if (lane != 0) return;
  out[row * pitch + qubit] = static_cast<T>(x);
  out[row * pitch + n_qubits + qubit] = static_cast<T>(z);
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  constexpr int64_t kWarps = kEncoderThreads / kWarp;
  const int64_t warps = rows.count * n_qubits(args);
  launch("EncodeAmplitudeBloch", EncodeAmplitudeBloch<T>, {(warps + kWarps - 1) / kWarps}, kEncoderThreads, 0, stream,
         rows, static_cast<int64_t>(args.params[0]), args.params[1], n_qubits(args), out, pitch);
}

}  // namespace

extern const Encoder amplitude_bloch_encoder;
const Encoder amplitude_bloch_encoder = {"amplitude_bloch", Pair::distance, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
