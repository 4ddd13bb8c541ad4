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

// A row whose squares leave the range of T: in double, scaled.
template <class T>
T scaled_overlap(const T* query, const T* x, int64_t d, double bias) {
  double lift[2], scale[2], root[2];  // of 1 / size, which alone may overflow; the bias among the elements
  for (int side = 0; side < 2; ++side) {
    double largest = __builtin_sqrt(bias);
    for (int64_t j = 0; j < d; ++j) {
      const double size = __builtin_fabs(static_cast<double>(side ? x[j] : query[j]));
      largest = size <= largest ? largest : size;  // in this order NaN is kept
    }
    lift[side] = largest < 1e-280 ? 0x1p+100 : 1;
    scale[side] = 1 / (largest * lift[side]);  // a row of zeros becomes NaN
    root[side] = __builtin_sqrt(bias) * lift[side] * scale[side];
  }
  double dot = root[0] * root[1], norm_q = root[0] * root[0], norm_x = root[1] * root[1];
  for (int64_t j = 0; j < d; ++j) {
    const double a = static_cast<double>(query[j]) * lift[0] * scale[0],
                 b = static_cast<double>(x[j]) * lift[1] * scale[1];
    dot += a * b;
    norm_q += a * a;
    norm_x += b * b;
  }
  return static_cast<T>(dot / __builtin_sqrt(norm_q * norm_x));
}

template <class T>
void score_rows(const T* query, const T* rows, int64_t row_stride, int64_t count, T* overlaps,
                const EncoderArgs& args) {
  constexpr int64_t L = kLanes<T>;
  constexpr int64_t kRun = 32;  // vectors that one sum of T adds up: more equal terms would drift
  const int64_t d = static_cast<int64_t>(args.params[0]);
  const double bias = args.params[1];
  const double norm_q = sum_of_squares(query, d, 1.0) + bias;
  const T low = sizeof(T) == 4 ? T(1e-25) : T(1e-250), high = sizeof(T) == 4 ? T(1e25) : T(1e250);
  const bool is_query_good = norm_q > static_cast<double>(low) && norm_q < static_cast<double>(high);
  const Vec<T> inverse_q = splat(static_cast<T>(1 / __builtin_sqrt(norm_q)));
  for (int64_t j0 = 0; j0 < count; j0 += L) {
    const int64_t n = count - j0 < L ? count - j0 : L;
    Vec<T> dot[L], norm[L];
    FLASHKET_UNROLL
    for (int r = 0; r < L; ++r) {
      const T* x = rows + (j0 + (r < n ? r : 0)) * row_stride;
      dot[r] = norm[r] = Vec<T>{};
      int64_t j = 0;
      while (j + L <= d) {
        Vec<T> s = {}, t = {};
        for (const int64_t end = j + kRun * L < d ? j + kRun * L : d; j + L <= end; j += L) {
          const Vec<T> v = load(x + j);
          s += v * load(query + j);
          t += v * v;
        }
        dot[r] += s;
        norm[r] += t;
      }
      T s_rest = 0, t_rest = 0;
      for (; j < d; ++j) {
        s_rest += x[j] * query[j];
        t_rest += x[j] * x[j];
      }
      dot[r][0] += s_rest;
      norm[r][0] += t_rest;
    }
    const Vec<T> squares = sum_rows<T>(norm) + static_cast<T>(bias);
    alignas(64) T root[L], result[L];
    store<T>(root, squares);
    for (int64_t r = 0; r < L; ++r) root[r] = __builtin_sqrt(root[r]);
    store<T>(result, (sum_rows<T>(dot) + static_cast<T>(bias)) * inverse_q / load(root));
    memcpy(overlaps + j0, result, n * sizeof(T));
    const IntVec<T> is_good = (squares > low) & (squares < high);
    for (int64_t r = 0; r < n; ++r)
      if (!is_query_good || !is_good[r])
        overlaps[j0 + r] = scaled_overlap(query, rows + (j0 + r) * row_stride, d, bias);
  }
}

}  // namespace

extern const Encoder amplitude_encoder;
const Encoder amplitude_encoder = {
    .name = "amplitude",
    .pair = PairKind::real_dot,
    .depth = depth,
    .scratch = scratch,
    .row_f32 = row<float>,
    .row_f64 = row<double>,
    .score_rows_f32 = score_rows<float>,
    .score_rows_f64 = score_rows<double>,
};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
