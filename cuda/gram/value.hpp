// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// From an overlap to a kernel value, for every similarity: plain, as mantissa and exponent, and as a logarithm. Gram
// matrices and attention share it. Formulas are those of cpp/gram/tile.simd.cpp.
//
//   fidelity  |s|^(2 power)      hadamard  ((1 + Re s) / 2)^power      projected  exp(-gamma / 2 s)      dot  Re s
//
// Kernels concentrate: of n features the typical value is 2^-n, so products and powers carry their exponent apart and
// nothing underflows. NaN stays NaN everywhere.
#pragma once
#include <math.h>
#include <string.h>

#include "core/device.hpp"
#include "core/encoder.hpp"

namespace flashket::cuda {

// What device code needs to know of a KernelSpec; passed to kernels by value.
struct Scoring {
  Pair pair;
  Similarity similarity;
  int power;
  double gamma;
  int64_t depth;
};

inline Scoring scoring(const KernelSpec& spec) {
  return {spec.encoder->pair, spec.similarity, spec.power, spec.gamma, spec.depth()};
}

// <x|y> = (re + i im) 2^exponent; of a distance re is the sum of squares.
template <class T>
struct Overlap {
  T re, im;
  int exponent;
};

// mantissa 2^exponent, |mantissa| in [1, 2), or 0 or NaN.
template <class T>
struct Scaled {
  T mantissa;
  int exponent;
};

template <class T>
struct FloatFormat;
template <>
struct FloatFormat<float> {
  using Bits = int32_t;
  static constexpr int mantissa = 23, bias = 127;
};
template <>
struct FloatFormat<double> {
  using Bits = int64_t;
  static constexpr int mantissa = 52, bias = 1023;
};

template <class To, class From>
FK_DEVICE To same_bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}

// The exponent field: 0 for zero and denormals, 2 bias + 1 for infinity and NaN.
template <class T>
FK_DEVICE int exponent_field(T value) {
  using F = FloatFormat<T>;
  return static_cast<int>(same_bits<typename F::Bits>(value) >> F::mantissa) & (2 * F::bias + 1);
}

// 2^e, 0 below the normal numbers, infinity above.
template <class T>
FK_DEVICE T power_of_two(int e) {
  using F = FloatFormat<T>;
  const int field = e + F::bias;
  const int clamped = field < 0 ? 0 : field > 2 * F::bias + 1 ? 2 * F::bias + 1 : field;
  return same_bits<T>(static_cast<typename F::Bits>(clamped) << F::mantissa);
}

// Moves value's power of two to exponent. 0, denormals, infinity and NaN stay as they are.
template <class T>
FK_DEVICE void normalise(T& value, int& exponent) {
  using F = FloatFormat<T>;
  const int field = exponent_field(value);
  if (field == 0 || field == 2 * F::bias + 1) return;
  const typename F::Bits mask = static_cast<typename F::Bits>(2 * F::bias + 1) << F::mantissa;
  value = same_bits<T>(static_cast<typename F::Bits>((same_bits<typename F::Bits>(value) & ~mask) |
                                                     (static_cast<typename F::Bits>(F::bias) << F::mantissa)));
  exponent += field - F::bias;
}

FK_DEVICE float log_of(float x) { return logf(x); }
FK_DEVICE double log_of(double x) { return log(x); }
FK_DEVICE float exp_of(float x) { return expf(x); }
FK_DEVICE double exp_of(double x) { return exp(x); }
FK_DEVICE float exp2_of(float x) { return exp2f(x); }
FK_DEVICE double exp2_of(double x) { return exp2(x); }
FK_DEVICE float round_of(float x) { return rintf(x); }
FK_DEVICE double round_of(double x) { return rint(x); }
FK_DEVICE float magnitude(float x) { return fabsf(x); }
FK_DEVICE double magnitude(double x) { return fabs(x); }

template <class T>
FK_DEVICE T raise(T x, int power) {
  if (power == 1) return x;
  T result = 1;
  for (; power > 0; power >>= 1, x *= x)
    if (power & 1) result *= x;
  return result;
}

// The plain value. Rounding may carry it past its bounds, sampling needs a probability: comparisons in this order keep
// NaN.
template <class T>
FK_DEVICE T kernel_value(const Scoring& scoring, T re, T im) {
  if (scoring.similarity == Similarity::dot) return re;
  if (scoring.similarity == Similarity::projected) return exp_of(re * static_cast<T>(-0.5 * scoring.gamma));
  T value;
  if (scoring.similarity == Similarity::hadamard) {
    value = re * T(0.5) + T(0.5);
    value = value < T(0) ? T(0) : value;
  } else {
    value = re * re + im * im;
  }
  return raise(value > T(1) ? T(1) : value, scoring.power);
}

// |s|^2 with its exponent, at most 1.
template <class T>
FK_DEVICE Scaled<T> scaled_square(const Overlap<T>& s) {
  T re = s.re, im = s.im;
  int exponent = s.exponent;
  if (im == T(0)) {
    normalise(re, exponent);
  } else {
    const T largest = magnitude(re) > magnitude(im) ? magnitude(re) : magnitude(im);
    const int shift = exponent_field(largest) - FloatFormat<T>::bias;
    if (shift > -FloatFormat<T>::bias && shift < FloatFormat<T>::bias) {
      const T scale = power_of_two<T>(-shift);
      re *= scale;
      im *= scale;
      exponent += shift;
    }
  }
  Scaled<T> square{re * re + im * im, 2 * exponent};
  normalise(square.mantissa, square.exponent);
  if (square.exponent >= 0 && square.mantissa >= T(1)) return {T(1), 0};
  return square;
}

template <class T>
FK_DEVICE Scaled<T> raise(Scaled<T> x, int power) {
  if (power == 1) return x;
  Scaled<T> result{T(1), 0};
  for (; power > 0; power >>= 1) {
    if (power & 1) {
      result.mantissa *= x.mantissa;
      result.exponent += x.exponent;
      normalise(result.mantissa, result.exponent);
    }
    x.mantissa *= x.mantissa;
    x.exponent *= 2;
    normalise(x.mantissa, x.exponent);
  }
  return result;
}

// The value with its exponent: exact zeros are the only ones.
template <class T>
FK_DEVICE Scaled<T> scaled_kernel_value(const Scoring& scoring, const Overlap<T>& s) {
  if (scoring.similarity == Similarity::fidelity) return raise(scaled_square(s), scoring.power);
  const T re = s.exponent == 0 ? s.re : s.re * power_of_two<T>(s.exponent);
  Scaled<T> value;
  if (scoring.similarity == Similarity::projected) {
    const T turns = re * static_cast<T>(-0.5 * 1.4426950408889634 * scoring.gamma);
    if (turns < T(-1e9)) return {T(0), 0};
    const T whole = round_of(turns);
    // NaN has no integer
    value = {exp2_of(turns - whole), whole == whole ? static_cast<int>(whole) : 0};
  } else if (scoring.similarity == Similarity::hadamard) {
    value = {kernel_value(Scoring{scoring.pair, Similarity::hadamard, 1, 1, 1}, re, T(0)), 0};
    normalise(value.mantissa, value.exponent);
    return raise(value, scoring.power);
  } else {
    value = {s.re, s.exponent};
  }
  normalise(value.mantissa, value.exponent);
  return value;
}

template <class T>
FK_DEVICE T plain(const Scaled<T>& x) {
  return x.mantissa * power_of_two<T>(x.exponent);
}

// log K; -inf for K = 0, at most 0 for a similarity that is a probability.
template <class T>
FK_DEVICE T log_kernel_value(const Scoring& scoring, const Overlap<T>& s) {
  constexpr T ln2 = static_cast<T>(0.69314718055994530942);
  if (scoring.similarity == Similarity::fidelity) {
    const Scaled<T> square = scaled_square(s);
    const T value = log_of(square.mantissa) + static_cast<T>(square.exponent) * ln2;
    return static_cast<T>(scoring.power) * (value > T(0) ? T(0) : value);
  }
  const T re = s.exponent == 0 ? s.re : s.re * power_of_two<T>(s.exponent);
  if (scoring.similarity == Similarity::projected) return re * static_cast<T>(-0.5 * scoring.gamma);
  if (scoring.similarity == Similarity::dot) return log_of(re);
  return static_cast<T>(scoring.power) *
         log_of(kernel_value(Scoring{scoring.pair, Similarity::hadamard, 1, 1, 1}, re, T(0)));
}

}  // namespace flashket::cuda
