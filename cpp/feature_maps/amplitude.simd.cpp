// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Amplitude encoding: |x> = (x, sqrt(bias)) / norm, <x|y> a real dot product.
// Schuld and Petruccione, "Supervised Learning with Quantum Computers" (2018), sec. 5.2.
// The norm is summed in double over values scaled by the largest, so it neither overflows nor underflows.
// params: n_features, bias. Cost: 2 d. A zero row without bias stays zero; Python refuses visible ones.
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t depth(const EncoderArgs& args) { return static_cast<int64_t>(args.params[0]) + (args.params[1] > 0 ? 1 : 0); }
int64_t scratch(const EncoderArgs&) { return 0; }

template <class T>
void row(const T* x, T* out, T*, const EncoderArgs& args) {
  const int64_t d = static_cast<int64_t>(args.params[0]);
  const double root_bias = __builtin_sqrt(args.params[1]);
  double largest = root_bias;
  for (int64_t j = 0; j < d; ++j) {
    const double magnitude = __builtin_fabs(static_cast<double>(x[j]));
    largest = magnitude > largest ? magnitude : largest;
  }
  // 1 / largest overflows for denormals; halving the exponent range keeps both steps in range.
  int exponent = 0;
  if (largest > 0) (void)::frexp(largest, &exponent);
  const double up = ::ldexp(1.0, -exponent / 2), up_rest = ::ldexp(1.0, -exponent - (-exponent / 2));
  double sum = 0;
  for (int64_t j = 0; j < d; ++j) {
    const double y = static_cast<double>(x[j]) * up * up_rest;
    sum += y * y;
  }
  const double scaled_bias = root_bias * up * up_rest;
  sum += scaled_bias * scaled_bias;
  const double norm =
      sum > 0 ? __builtin_sqrt(sum) : 1.0;  // divided by, not multiplied with its inverse: 1 stays exactly 1
  for (int64_t j = 0; j < d; ++j) out[j] = static_cast<T>(static_cast<double>(x[j]) * up * up_rest / norm);
  if (args.params[1] > 0) out[d] = static_cast<T>(scaled_bias / norm);
}

}  // namespace

extern const Encoder amplitude_encoder;
const Encoder amplitude_encoder = {"amplitude", PairKind::real_dot, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
