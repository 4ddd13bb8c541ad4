// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Amplitude encoding: |x> = (x, sqrt(bias)) / norm, <x|y> a real dot product.
// Schuld and Petruccione, "Supervised Learning with Quantum Computers" (2018), sec. 5.2.
// The norm is summed in double, scaled where needed, so it neither overflows nor underflows.
// params: n_features, bias. Cost: 2 d. A zero row without bias stays zero; Python refuses visible ones.
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t depth(const EncoderArgs& args) { return static_cast<int64_t>(args.params[0]) + (args.params[1] > 0 ? 1 : 0); }
int64_t scratch(const EncoderArgs&) { return 0; }

// Sum of (scale x)^2 in eight partial sums, which the compiler keeps in vectors.
template <class T>
double sum_of_squares(const T* x, int64_t d, double scale) {
  double partial[8] = {};
  int64_t j = 0;
  for (; j + 8 <= d; j += 8)
    for (int l = 0; l < 8; ++l) {
      const double y = static_cast<double>(x[j + l]) * scale;
      partial[l] += y * y;
    }
  double sum = 0;
  for (const double p : partial) sum += p;
  for (; j < d; ++j) {
    const double y = static_cast<double>(x[j]) * scale;
    sum += y * y;
  }
  return sum;
}

template <class T>
void row(const T* x, T* out, T*, const EncoderArgs& args) {
  const int64_t d = static_cast<int64_t>(args.params[0]);
  const double bias = args.params[1];
  double scale = 1, sum = sum_of_squares(x, d, scale);
  // Outside this range squares may have overflowed or lost digits: scale by powers of two, which are exact.
  if (!(sum < 1e280) || (sum < 1e-280 && sum + bias < 1e-280)) {
    scale = sum < 1 ? 0x1p+600 : 0x1p-600;
    sum = sum_of_squares(x, d, scale);
    if (sum < 1e-280) {  // denormal values
      scale = 0x1p+1020;
      sum = sum_of_squares(x, d, scale);
    }
  }
  const double root_bias = __builtin_sqrt(bias) * scale;
  sum += root_bias * root_bias;
  const double norm = sum > 0 ? __builtin_sqrt(sum) : 1.0;  // divided by, not multiplied with its inverse: 1 stays 1
  for (int64_t j = 0; j < d; ++j) out[j] = static_cast<T>(static_cast<double>(x[j]) * scale / norm);
  if (bias > 0) out[d] = static_cast<T>(root_bias / norm);
}

}  // namespace

extern const Encoder amplitude_encoder;
const Encoder amplitude_encoder = {"amplitude", PairKind::real_dot, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
