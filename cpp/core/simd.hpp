// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Vectors of the instruction set this file is compiled for (GCC/Clang vector extensions, no intrinsics).
// Everything is in an unnamed namespace: a symbol shared between instruction sets could be the copy the linker keeps
// for a CPU that lacks it. The build checks with nm that no such symbol is left.
#pragma once
#include <math.h>
#include <string.h>

#include <utility>  // index_sequence alone, a type

#include "core/types.hpp"

#if !defined(FLASHKET_ISA_NAMESPACE) || !defined(FLASHKET_VECTOR_BYTES)
#error "compile .simd.cpp files through CMake: it sets FLASHKET_ISA_NAMESPACE and FLASHKET_VECTOR_BYTES"
#endif

// The few instructions that vector extensions do not reach.
#if defined(__x86_64__)
#include <immintrin.h>
#if FLASHKET_VECTOR_BYTES == 64
#define FLASHKET_X86(operation) _mm512_##operation
#define FLASHKET_X86_FLOATS __m512
#define FLASHKET_X86_DOUBLES __m512d
#elif FLASHKET_VECTOR_BYTES == 32
#define FLASHKET_X86(operation) _mm256_##operation
#define FLASHKET_X86_FLOATS __m256
#define FLASHKET_X86_DOUBLES __m256d
#else
#define FLASHKET_X86(operation) _mm_##operation
#define FLASHKET_X86_FLOATS __m128
#define FLASHKET_X86_DOUBLES __m128d
#endif
#endif

#define FLASHKET_INLINE inline __attribute__((always_inline))
// Before loops over arrays of accumulators: not unrolled, the arrays would live in memory instead of registers.
#if defined(__clang__)
#define FLASHKET_UNROLL _Pragma("unroll")
#else
#define FLASHKET_UNROLL _Pragma("GCC unroll 16")
#endif

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

template <class T>
struct Simd;

template <>
struct Simd<float> {
  using Int = int32_t;
  using Uint = uint32_t;
  typedef float Vec __attribute__((vector_size(FLASHKET_VECTOR_BYTES)));
  typedef int32_t IntVec __attribute__((vector_size(FLASHKET_VECTOR_BYTES)));
  typedef uint32_t UintVec __attribute__((vector_size(FLASHKET_VECTOR_BYTES)));
};

template <>
struct Simd<double> {
  using Int = int64_t;
  using Uint = uint64_t;
  typedef double Vec __attribute__((vector_size(FLASHKET_VECTOR_BYTES)));
  typedef int64_t IntVec __attribute__((vector_size(FLASHKET_VECTOR_BYTES)));
  typedef uint64_t UintVec __attribute__((vector_size(FLASHKET_VECTOR_BYTES)));
};

template <class T>
using Vec = typename Simd<T>::Vec;
template <class T>
using IntVec = typename Simd<T>::IntVec;
template <class T>
using UintVec = typename Simd<T>::UintVec;

template <class T>
constexpr int64_t kLanes = FLASHKET_VECTOR_BYTES / static_cast<int64_t>(sizeof(T));

template <class T>
FLASHKET_INLINE Vec<T> load(const T* p) {  // any alignment
  Vec<T> v;
  memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
FLASHKET_INLINE void store(T* p, Vec<T> v) {
  memcpy(p, &v, sizeof v);
}

// to[l] += v[l]
FLASHKET_INLINE void add_to_doubles(double* to, Vec<double> v) { store<double>(to, load(to) + v); }

typedef float HalfVec __attribute__((vector_size(FLASHKET_VECTOR_BYTES / 2)));

// One instruction in AVX-512, for which GCC 12 takes five.
FLASHKET_INLINE Vec<double> widen(HalfVec v) {
#if defined(__x86_64__) && FLASHKET_VECTOR_BYTES == 64
  return (Vec<double>)_mm512_cvtps_pd((__m256)v);
#else
  return __builtin_convertvector(v, Vec<double>);
#endif
}

FLASHKET_INLINE void add_to_doubles(double* to, Vec<float> v) {
  HalfVec half[2];
  memcpy(half, &v, sizeof v);
  for (int h = 0; h < 2; ++h, to += kLanes<double>) add_to_doubles(to, widen(half[h]));
}

template <class T>
FLASHKET_INLINE Vec<T> splat(T s) {
  return s - Vec<T>{};  // x - 0 is x, which both compilers know: one broadcast. Setting lanes one by one is not.
}

template <class T>
FLASHKET_INLINE Vec<T> select(IntVec<T> mask, Vec<T> yes, Vec<T> no) {
  return (Vec<T>)(((IntVec<T>)yes & mask) | ((IntVec<T>)no & ~mask));
}

// a < b ? a : b and a > b ? a : b, so b where either is not a number. x86 has just these in one instruction, which GCC
// does not find.
template <class T>
FLASHKET_INLINE Vec<T> vmin(Vec<T> a, Vec<T> b) {
#if defined(__x86_64__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)FLASHKET_X86(min_ps)((FLASHKET_X86_FLOATS)a, (FLASHKET_X86_FLOATS)b);
  else
    return (Vec<T>)FLASHKET_X86(min_pd)((FLASHKET_X86_DOUBLES)a, (FLASHKET_X86_DOUBLES)b);
#else
  return a < b ? a : b;
#endif
}

template <class T>
FLASHKET_INLINE Vec<T> vmax(Vec<T> a, Vec<T> b) {
#if defined(__x86_64__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)FLASHKET_X86(max_ps)((FLASHKET_X86_FLOATS)a, (FLASHKET_X86_FLOATS)b);
  else
    return (Vec<T>)FLASHKET_X86(max_pd)((FLASHKET_X86_DOUBLES)a, (FLASHKET_X86_DOUBLES)b);
#else
  return a > b ? a : b;
#endif
}

template <class T, int S, size_t... I>
FLASHKET_INLINE Vec<T> exchange_lanes(Vec<T> v, std::index_sequence<I...>) {
  return __builtin_shufflevector(v, v, (I ^ S)...);
}

template <class T, int S>
FLASHKET_INLINE Vec<T> exchange_lanes(Vec<T> v) {
  return exchange_lanes<T, S>(v, std::make_index_sequence<kLanes<T>>());
}

template <class T>
FLASHKET_INLINE T sum_lanes(Vec<T> v) {
  if constexpr (kLanes<T> > 8) v += exchange_lanes<T, 8>(v);
  if constexpr (kLanes<T> > 4) v += exchange_lanes<T, 4>(v);
  if constexpr (kLanes<T> > 2) v += exchange_lanes<T, 2>(v);
  return v[0] + v[1];
}

FLASHKET_INLINE bool any_lane(IntVec<double> mask) {
  if constexpr (kLanes<double> > 4) mask |= (IntVec<double>)exchange_lanes<double, 4>((Vec<double>)mask);
  if constexpr (kLanes<double> > 2) mask |= (IntVec<double>)exchange_lanes<double, 2>((Vec<double>)mask);
  return (mask[0] | mask[1]) != 0;
}

// Lanes named one by one: written as a loop over lanes, GCC inserts them one at a time.
template <class T, int S, size_t... I>
FLASHKET_INLINE void transpose_pair(Vec<T>& low, Vec<T>& high, std::index_sequence<I...>) {
  constexpr size_t L = sizeof...(I);
  const Vec<T> a = low, b = high;
  low = __builtin_shufflevector(a, b, (I & S ? L + (I ^ S) : I)...);
  high = __builtin_shufflevector(a, b, (I & S ? L + I : (I | S))...);
}

// Lane r of the result is the sum of the lanes of v[r]; v is used up.
template <class T>
FLASHKET_INLINE Vec<T> sum_rows(Vec<T> (&v)[kLanes<T>]) {
  constexpr int L = static_cast<int>(kLanes<T>);
  const auto stage = [&]<int S>() {
    FLASHKET_UNROLL
    for (int i = 0; i < L; i += 2 * S) {
      transpose_pair<T, S>(v[i], v[i + S], std::make_index_sequence<L>());
      v[i] += v[i + S];
    }
  };
  stage.template operator()<1>();
  if constexpr (L > 2) stage.template operator()<2>();
  if constexpr (L > 4) stage.template operator()<4>();
  if constexpr (L > 8) stage.template operator()<8>();
  return v[0];
}

template <class T>
FLASHKET_INLINE T max_lanes(Vec<T> v) {
  T s = v[0];
  for (int64_t i = 1; i < kLanes<T>; ++i) s = v[i] > s ? v[i] : s;
  return s;
}

// e^x for x <= 0 (softmax after the row's maximum is taken away): 2 ulp; below the smallest normal result: 0.
FLASHKET_INLINE Vec<float> exp_nonpositive(Vec<float> x) {
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it leaves the rounded integer in the low mantissa bits
  const Vec<float> shifted = x * 1.44269504088896341f + magic;
  const Vec<float> n = shifted - magic;
  Vec<float> r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  Vec<float> p = splat(1.9841270e-4f);
  p = p * r + 1.3888889e-3f;
  p = p * r + 8.3333333e-3f;
  p = p * r + 4.1666667e-2f;
  p = p * r + 1.6666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  const UintVec<float> exponent = ((UintVec<float>)shifted) << 23;  // unsigned: lanes that are dropped below may wrap
  const Vec<float> result = (Vec<float>)((UintVec<float>)p + exponent);
  return select<float>(x > -87.0f, result, Vec<float>{});
}

FLASHKET_INLINE Vec<double> exp_nonpositive(Vec<double> x) {
  const double magic = 6755399441055744.0;  // 1.5 * 2^52
  const Vec<double> shifted = x * 1.4426950408889634074 + magic;
  const Vec<double> n = shifted - magic;
  Vec<double> r = x - n * 6.93147180369123816490e-01;
  r = r - n * 1.90821492927058770002e-10;
  // Taylor on |r| <= ln 2 / 2: the first term left out is 5e-18.
  Vec<double> p = splat(1.0 / 6227020800.0);
  p = p * r + 1.0 / 479001600.0;
  p = p * r + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  const UintVec<double> exponent = ((UintVec<double>)shifted) << 52;  // unsigned: lanes that are dropped below may wrap
  const Vec<double> result = (Vec<double>)((UintVec<double>)p + exponent);
  return select<double>(x > -708.0, result, Vec<double>{});
}

// Sine and cosine of at most an eighth of a turn, |x| <= pi / 4.
template <class T>
FLASHKET_INLINE void sincos_octant(Vec<T> x, Vec<T>& sine, Vec<T>& cosine) {
  const Vec<T> x2 = x * x;
  Vec<T> s, c;
  if constexpr (sizeof(T) == 4) {
    s = splat(2.7557319e-6f);
    c = splat(-2.7557319e-7f);
    c = c * x2 + 2.4801587e-5f;
    s = s * x2 + -1.9841270e-4f;
    c = c * x2 + -1.3888889e-3f;
    s = s * x2 + 8.3333333e-3f;
    c = c * x2 + 4.1666667e-2f;
    s = s * x2 + -1.6666667e-1f;
  } else {
    s = splat(2.8114572543455206e-15);  // 1/17!
    c = splat(4.7794773323873853e-14);  // 1/16!
    s = s * x2 + -7.6471637318198164e-13;
    c = c * x2 + -1.1470745597729725e-11;
    s = s * x2 + 1.6059043836821613e-10;
    c = c * x2 + 2.0876756987868099e-09;
    s = s * x2 + -2.5052108385441719e-08;
    c = c * x2 + -2.7557319223985888e-07;
    s = s * x2 + 2.7557319223985893e-06;
    c = c * x2 + 2.4801587301587302e-05;
    s = s * x2 + -1.9841269841269841e-04;
    c = c * x2 + -1.3888888888888889e-03;
    s = s * x2 + 8.3333333333333332e-03;
    c = c * x2 + 4.1666666666666664e-02;
    s = s * x2 + -1.6666666666666666e-01;
  }
  sine = s * x2 * x + x;
  cosine = (c * x2 + T(-0.5)) * x2 + T(1);
}

// Adds quadrants (of which the low two bits count) to angles whose sine and cosine are given.
template <class T>
FLASHKET_INLINE void turn_quadrants(IntVec<T> q, Vec<T>& sine, Vec<T>& cosine) {
  using Int = typename Simd<T>::Int;
  constexpr int bits = 8 * sizeof(T);
  const Vec<T> s = sine, c = cosine;
  const IntVec<T> odd = (q & Int{1}) != Int{0};
  const IntVec<T> sine_sign = (q & Int{2}) << (bits - 2);
  const IntVec<T> cosine_sign = ((q + Int{1}) & Int{2}) << (bits - 2);
  sine = (Vec<T>)((IntVec<T>)select<T>(odd, c, s) ^ sine_sign);
  cosine = (Vec<T>)((IntVec<T>)select<T>(odd, s, c) ^ cosine_sign);
}

// cos and sin of 2 pi phase / 2^bits. The integer wraps where the angle does, so the sum of any number of terms keeps
// its full precision; only the last step to floating point rounds.
template <class T>
FLASHKET_INLINE void sincos_turns(UintVec<T> phase, Vec<T>& sine, Vec<T>& cosine) {
  using Uint = typename Simd<T>::Uint;
  constexpr int bits = 8 * sizeof(T);
  const UintVec<T> quadrant = (phase + (Uint{1} << (bits - 3))) >> (bits - 2);
  const IntVec<T> rest = (IntVec<T>)(phase - (quadrant << (bits - 2)));  // within an eighth of a turn
  constexpr T unit = static_cast<T>(6.283185307179586476925 / (2.0 * (Uint{1} << (bits - 1))));
  Vec<T> s, c;
  sincos_octant<T>(__builtin_convertvector(rest, Vec<T>) * unit, s, c);
  turn_quadrants<T>((IntVec<T>)quadrant, s, c);
  sine = s;
  cosine = c;
}

// Sine and cosine of any finite angle in radians: within 4 ulp up to 1e5 (reduced by pi / 2 in three parts), the C
// library's beyond.
FLASHKET_INLINE void sincos(Vec<double> angle, Vec<double>& sine, Vec<double>& cosine) {
  const IntVec<double> is_large = (angle > 1e5) | (angle < -1e5);
  Vec<double> x = select<double>(is_large, Vec<double>{}, angle);
  const double magic = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the rounded integer in the low mantissa bits
  const Vec<double> shifted = x * 0.63661977236758134308 + magic;
  const Vec<double> n = shifted - magic;
  x = x - n * 1.57079632673412561417;
  x = x - n * 6.07710050630396597660e-11;
  x = x - n * 2.02226624879595063154e-21;
  Vec<double> s, c;
  sincos_octant<double>(x, s, c);
  turn_quadrants<double>((IntVec<double>)shifted, s, c);
  if (any_lane(is_large)) {
    for (int64_t l = 0; l < kLanes<double>; ++l) {
      if (!is_large[l]) continue;
      s[l] = ::sin(angle[l]);
      c[l] = ::cos(angle[l]);
    }
  }
  sine = s;
  cosine = c;
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
