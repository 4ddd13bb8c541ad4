// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What encoders have in common: elements of rows of any dtype as doubles, and sums over a block.
#pragma once
#include "core/device.hpp"
#include "core/encoder.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {

constexpr int kEncoderThreads = 256;

FK_DEVICE double load_element(const Rows& rows, int64_t row, int64_t column) {
  const int64_t at = row * rows.stride + column;
  switch (rows.dtype) {
    case Dtype::f64:
      return static_cast<const double*>(rows.data)[at];
    case Dtype::f32:
      return static_cast<double>(static_cast<const float*>(rows.data)[at]);
    case Dtype::f16:
      return static_cast<double>(to_float(static_cast<const half_t*>(rows.data)[at]));
    default:
      return static_cast<double>(to_float(static_cast<const bfloat16_t*>(rows.data)[at]));
  }
}

// The sum over a warp, to all of its lanes, in an order that does not depend on anything.
FK_DEVICE double sum_over_warp(double value) {
#pragma unroll
  for (int bit = kWarp / 2; bit > 0; bit /= 2) value += __shfl_xor_sync(0xffffffffu, value, bit);
  return value;
}

// How a row of amplitudes is normalised: out = element * scale / norm, and of the bias root_bias / norm.
struct AmplitudeNorm {
  double scale, norm, root_bias;
};

// Sum of (scale x)^2 over the lanes of a warp.
FK_DEVICE double sum_of_squares(const Rows& rows, int64_t row, int64_t length, double scale, int lane) {
  double sum = 0;
  for (int64_t j = lane; j < length; j += kWarp) {
    const double y = load_element(rows, row, j) * scale;
    sum += y * y;
  }
  return sum_over_warp(sum);
}

// By all lanes of a warp together. Squares that would overflow or lose digits are scaled by powers of two, which are
// exact. A row of zeros without bias has no state: its norm is 0 and it becomes NaN.
FK_DEVICE AmplitudeNorm amplitude_norm(const Rows& rows, int64_t row, int64_t length, double bias, int lane) {
  double scale = 1, sum = sum_of_squares(rows, row, length, scale, lane);
  if (!(sum < 1e280) || (sum < 1e-280 && sum + bias < 1e-280)) {
    scale = sum < 1 ? 0x1p+600 : 0x1p-600;
    sum = sum_of_squares(rows, row, length, scale, lane);
    if (sum < 1e-280) {  // denormal values
      scale = 0x1p+1020;
      sum = sum_of_squares(rows, row, length, scale, lane);
    }
  }
  const double root_bias = sqrt(bias) * scale;
  return {scale, sqrt(sum + root_bias * root_bias), root_bias};
}

}  // namespace flashket::cuda
