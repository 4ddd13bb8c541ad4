// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Micro-kernels of product overlaps, R rows x V vectors of columns in registers: prod_j cos((x_j - y_j) / 2) in the
// paired form, cos A cos B = (cos(A + B) + cos(A - B)) / 2, 2.5 instructions a feature, and in the tangent form,
// cos(a - b) = cos a sin b (tan a + cot b), an addition and a multiplication.
#pragma once
#include "gram/layout.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Overlaps below the root of the smallest number have a kernel value of 0 anyway; dropping them in time avoids
// denormals.
template <class T, int R, int V>
FLASHKET_INLINE void drop_tiny(Vec<T> (&acc)[R][V]) {
  const T tiny = sizeof(T) == 4 ? T(1e-20) : T(1e-160);
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < V; ++h) acc[r][h] = select<T>((acc[r][h] < tiny) & (acc[r][h] > -tiny), Vec<T>{}, acc[r][h]);
  }
}

// Twice the overlap of every pair.
template <class T, int R, int V>
FLASHKET_INLINE void multiply_pairs(const T* a, const T* b, int64_t n_pairs, Vec<T> (&acc)[R][V]) {
  constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
  for (int64_t d = 0; d < n_pairs; ++d, a += 4 * N, b += 4 * N) {
    FLASHKET_UNROLL
    for (int h = 0; h < V; ++h) {
      const Vec<T> b0 = load(b + h * L), b1 = load(b + N + h * L), b2 = load(b + 2 * N + h * L),
                   b3 = load(b + 3 * N + h * L);
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r)
        acc[r][h] *= (splat(a[r]) * b0 + splat(a[N + r]) * b1) + splat(a[2 * N + r]) * b2 + splat(a[3 * N + r]) * b3;
    }
  }
}

template <class T, int R, int V>
FLASHKET_INLINE void paired_overlaps(const T* a, const T* b, int64_t n_pairs, Vec<T> (&acc)[R][V]) {
  constexpr int64_t N = kPanelCols<T>, kRun = 16;
  for (int64_t begin = 0; begin < n_pairs; begin += kRun) {
    const int64_t run = n_pairs - begin < kRun ? n_pairs - begin : kRun;
    if (begin > 0) drop_tiny<T>(acc);
    multiply_pairs<T>(a + begin * 4 * N, b + begin * 4 * N, run, acc);
    // Halves of a run at once: rounded into the rows, as 1 / sqrt 2, the error of every pair would have the same sign.
    const T halves = T(1) / static_cast<T>(int64_t{1} << run);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      FLASHKET_UNROLL
      for (int h = 0; h < V; ++h) acc[r][h] *= halves;
    }
  }
}

// The same address, which the compiler may not know: what is broadcast from it is loaded again. In AVX-512 the operand
// of an addition is broadcast by the load itself, at no cost; one broadcast for two additions costs Zen 4 a slot of its
// adders.
template <class T>
FLASHKET_INLINE const T* load_again(const T* p) {
#if FLASHKET_VECTOR_BYTES == 64
  asm("" : "+r"(p));
#endif
  return p;
}

template <class T, int R, int V>
FLASHKET_INLINE void tangent_overlaps(const T* a, const T* b, int64_t n_features, int64_t group, Vec<T> (&acc)[R][V]) {
  static_assert(V <= 2);
  constexpr int64_t L = kLanes<T>, N = kPanelCols<T>;
  b += (n_features + (n_features + group - 1) / group) * N;  // cotangents
  const T* rows[2] = {a, load_again(a)};
  FLASHKET_UNROLL
  for (int h = 0; h < V; ++h) {
    const Vec<T> t = load(b + h * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) acc[r][h] = splat(rows[h][r]) + t;
  }
  for (int64_t begin = 0, at = N; begin < n_features; begin += group) {
    const int64_t run = n_features - begin < group ? n_features - begin : group;
    if (begin >= 64 && begin % 32 == 0) drop_tiny<T>(acc);
    for (int64_t d = begin == 0 ? 1 : 0; d < run; ++d, at += N) {
      FLASHKET_UNROLL
      for (int h = 0; h < V; ++h) {
        const Vec<T> t = load(b + at + h * L);
        FLASHKET_UNROLL
        for (int r = 0; r < R; ++r) acc[r][h] *= splat(rows[h][at + r]) + t;
      }
    }
    FLASHKET_UNROLL
    for (int h = 0; h < V; ++h) {
      const Vec<T> s = load(b + at + h * L);
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) acc[r][h] = acc[r][h] * splat(rows[h][at + r]) * s;
    }
    at += N;
  }
}

// Paired form with mantissa and exponent apart, the half of every pair in the exponent. Eight factors of at least
// 2^-106 each cannot underflow a double.
template <int R>
FLASHKET_INLINE void scaled_overlaps(const double* a, const double* b, int64_t n_pairs, double* mantissa,
                                     double* exponent) {
  constexpr int64_t L = kLanes<double>, N = kPanelCols<double>;
  Vec<double> acc[R][2];
  IntVec<double> power_of_two[R][2];
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    acc[r][0] = acc[r][1] = splat(1.0);
    power_of_two[r][0] = power_of_two[r][1] = IntVec<double>{} - n_pairs;
  }
  for (int64_t begin = 0; begin < n_pairs; begin += 8) {
    multiply_pairs<double>(a + begin * 4 * N, b + begin * 4 * N, n_pairs - begin < 8 ? n_pairs - begin : 8, acc);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      FLASHKET_UNROLL
      for (int h = 0; h < 2; ++h) {
        const IntVec<double> bits = (IntVec<double>)acc[r][h];
        const IntVec<double> field = (bits >> 52) & INT64_C(0x7ff);
        const IntVec<double> is_normal = field != INT64_C(0);
        power_of_two[r][h] += (field - INT64_C(1023)) & is_normal;
        const IntVec<double> scaled = (bits & INT64_C(0x800fffffffffffff)) | INT64_C(0x3ff0000000000000);
        acc[r][h] = (Vec<double>)((scaled & is_normal) | (bits & ~is_normal));
      }
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int h = 0; h < 2; ++h) {
      store<double>(mantissa + r * kTileStride + h * L, acc[r][h]);
      store<double>(exponent + r * kTileStride + h * L, __builtin_convertvector(power_of_two[r][h], Vec<double>));
    }
  }
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
