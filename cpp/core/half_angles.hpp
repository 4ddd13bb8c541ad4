// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// cos and sin of half_bandwidth * x for many x at once. Only .simd.cpp files include this.
#pragma once
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Up to so many turns the product with 1 / (2 pi), rounded in double, is exact enough; libm reduces larger angles.
constexpr double kModerateTurns = 32;

// Turns as fixed point, 2^bits = one turn. |x * turns| <= kModerateTurns, or the result is dropped.
FLASHKET_INLINE UintVec<float> fixed_turns(const float* x, double turns) {
  constexpr int half = kLanes<float> / 2;
  typedef uint32_t HalfUint __attribute__((vector_size(FLASHKET_VECTOR_BYTES / 2)));
  const double magic = 1572864.0;  // 1.5 * 2^20: in the sum one unit of the last place is 2^-32
  HalfUint parts[2];
  for (int h = 0; h < 2; ++h) {
    HalfVec v;
    memcpy(&v, x + h * half, sizeof v);
    const Vec<double> shifted = widen(v) * turns + magic;
    parts[h] = __builtin_convertvector((UintVec<double>)shifted, HalfUint);  // keeps the low 32 bits
  }
  UintVec<float> phase;
  memcpy(&phase, parts, sizeof phase);
  return phase;
}

FLASHKET_INLINE UintVec<double> fixed_turns(const double* x, double turns) {
  const double magic = 6755399441055744.0;  // 1.5 * 2^52
  Vec<double> t = load(x) * turns;
  const IntVec<double> is_moderate = (t <= kModerateTurns) & (t >= -kModerateTurns);
  t = select<double>(is_moderate, t, Vec<double>{});
  const Vec<double> rest = t - ((t + magic) - magic);  // within half a turn
  return ((UintVec<double>)__builtin_convertvector(rest * 0x1p62, IntVec<double>)) << 2;
}

template <class T>
void half_angles(const T* x, int64_t count, double half_bandwidth, T* cosine, T* sine) {
  constexpr int64_t L = kLanes<T>;
  const double turns = half_bandwidth / 6.283185307179586476925;
  for (int64_t i = 0; i < count; i += L) {
    T last[L];
    const T* from = x + i;
    const int64_t n = count - i < L ? count - i : L;
    if (n < L) {
      for (int64_t l = 0; l < L; ++l) last[l] = l < n ? from[l] : T(0);
      from = last;
    }
    Vec<T> s, c;
    sincos_turns<T>(fixed_turns(from, turns), s, c);
    if (n == L) {
      store<T>(cosine + i, c);
      store<T>(sine + i, s);
    } else {
      for (int64_t l = 0; l < n; ++l) {
        cosine[i + l] = c[l];
        sine[i + l] = s[l];
      }
    }
  }
  for (int64_t i = 0; i < count; ++i) {
    const double angle = half_bandwidth * static_cast<double>(x[i]);
    if (__builtin_fabs(angle) <= kModerateTurns * 6.28) continue;
    cosine[i] = static_cast<T>(::cos(angle));
    sine[i] = static_cast<T>(::sin(angle));
  }
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
