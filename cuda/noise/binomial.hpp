// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Exact binomial counts, one entry at a time: the algorithm and the random stream of cpp/noise/shots.simd.cpp, so that
// equal probabilities give equal counts on every backend. Means below 10: inversion by sequential search. Above: BTRS,
// the transformed rejection of W. Hoermann, J. Stat. Comput. Simul. 46 (1993). Uniforms are Philox4x32-10 of (column,
// row, attempt) under the matrix's key. No a b + c is contracted: fused multiply-adds would round some counts apart.
// Plain C++: the same code runs on the device and, in tests, on the CPU.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "../../cpp/core/philox.hpp"

namespace flashket::cuda {

// A double whose every operation rounds once.
struct Exact {
  double value;
  FLASHKET_HD Exact() : value(0) {}
  FLASHKET_HD Exact(double v) : value(v) {}  // NOLINT: stands for a double
  FLASHKET_HD explicit operator double() const { return value; }
};
#if defined(__CUDA_ARCH__)
FLASHKET_HD inline Exact operator*(Exact a, Exact b) { return __dmul_rn(a.value, b.value); }
FLASHKET_HD inline Exact operator+(Exact a, Exact b) { return __dadd_rn(a.value, b.value); }
FLASHKET_HD inline Exact operator-(Exact a, Exact b) { return __dadd_rn(a.value, -b.value); }
#else
FLASHKET_HD inline Exact operator*(Exact a, Exact b) { return a.value * b.value; }
FLASHKET_HD inline Exact operator+(Exact a, Exact b) { return a.value + b.value; }
FLASHKET_HD inline Exact operator-(Exact a, Exact b) { return a.value - b.value; }
#endif
FLASHKET_HD inline Exact operator/(Exact a, Exact b) { return a.value / b.value; }
FLASHKET_HD inline Exact operator-(Exact a) { return -a.value; }
FLASHKET_HD inline bool operator<(Exact a, Exact b) { return a.value < b.value; }
FLASHKET_HD inline bool operator>(Exact a, Exact b) { return a.value > b.value; }
FLASHKET_HD inline bool operator<=(Exact a, Exact b) { return a.value <= b.value; }
FLASHKET_HD inline bool operator>=(Exact a, Exact b) { return a.value >= b.value; }

FLASHKET_HD inline uint64_t bits_of(Exact x) {
  uint64_t bits;
  memcpy(&bits, &x.value, sizeof bits);
  return bits;
}
FLASHKET_HD inline Exact from_bits(uint64_t bits) {
  Exact x;
  memcpy(&x.value, &bits, sizeof bits);
  return x;
}

struct Uniforms {
  Exact first, second;
};

// 52 bits and a half step: in the open interval (0, 1).
FLASHKET_HD inline Exact unit(uint32_t low, uint32_t high) {
  const uint64_t bits = ((uint64_t{high} << 32) | low) >> 12;
  return (from_bits(bits | UINT64_C(0x3ff0000000000000)) - 1.0) + 0x1p-53;
}

FLASHKET_HD inline Uniforms uniforms(uint64_t key, int64_t row, int64_t col, uint32_t attempt) {
  const uint64_t r = static_cast<uint64_t>(row), c = static_cast<uint64_t>(col);
  const PhiloxBlock b =
      philox({{static_cast<uint32_t>(c), static_cast<uint32_t>(r),
               (static_cast<uint32_t>(c >> 32) << 16) | (static_cast<uint32_t>(r >> 32) & 0xffff), attempt}},
             key);
  return {unit(b.word[0], b.word[1]), unit(b.word[2], b.word[3])};
}

// e^x for x <= 0; below the smallest normal result: 0.
FLASHKET_HD inline Exact exp_of_nonpositive(Exact x) {
  const Exact magic = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the rounded integer in the low mantissa bits
  const Exact shifted = x * 1.4426950408889634074 + magic;
  const Exact n = shifted - magic;
  Exact r = x - n * 6.93147180369123816490e-01;
  r = r - n * 1.90821492927058770002e-10;
  Exact p = 1.0 / 6227020800.0;
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
  return x > -708.0 ? from_bits(bits_of(p) + (bits_of(shifted) << 52)) : Exact(0);
}

// 2 atanh(s) for |s| <= 0.172.
FLASHKET_HD inline Exact twice_atanh(Exact s) {
  const Exact z = s * s;
  Exact p = 0.14619343453512615;
  p = p * z + 0.15331487235865734;
  p = p * z + 0.18182896183483085;
  p = p * z + 0.2222221103781659;
  p = p * z + 0.28571428626570206;
  p = p * z + 0.3999999999989819;
  p = p * z + 0.666666666666667;
  return s * z * p + (s + s);
}

// log(a / b) of positive normal numbers: exact differences of near ones keep their digits.
FLASHKET_HD inline Exact log_ratio(Exact a, Exact b) {
  int64_t exponent = static_cast<int64_t>(bits_of(a) >> 52) - static_cast<int64_t>(bits_of(b) >> 52);
  Exact x = from_bits(bits_of(a) - (static_cast<uint64_t>(exponent) << 52));
  const bool is_large = x > b * 1.4142135623730951, is_small = x < b * 0.7071067811865476;
  x = is_large ? x * 0.5 : is_small ? x + x : x;
  exponent += (is_large ? 1 : 0) - (is_small ? 1 : 0);
  const Exact e = static_cast<double>(exponent);
  return e * 6.93147180369123816490e-01 + (twice_atanh((x - b) / (x + b)) + e * 1.90821492927058770002e-10);
}

// log(1 - p) for p <= 1/2, right to the last digits for small p too.
FLASHKET_HD inline Exact log_complement(Exact p) {
  if (p <= 0.29) return twice_atanh(-p / (Exact(2.0) - p)) + 0.0;
  return twice_atanh((Exact(1.0) - (p + p)) / (Exact(3.0) - (p + p))) + -0.69314718055994530942;
}

FLASHKET_HD inline Exact round_down(Exact x) {  // |x| < 2^51
  const Exact magic = 6755399441055744.0, nearest = (x + magic) - magic;
  return nearest > x ? nearest - 1.0 : nearest;
}

// log k! without (k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2: Stirling's series in 1 / (k + 1).
FLASHKET_HD inline Exact stirling_tail(Exact k) {
  if (k < 9.5) {
    switch (static_cast<int>(k.value)) {
      case 0:
        return 0.08106146679532726;
      case 1:
        return 0.04134069595540929;
      case 2:
        return 0.02767792568499834;
      case 3:
        return 0.02079067210376509;
      case 4:
        return 0.01664469118982119;
      case 5:
        return 0.01387612882307075;
      case 6:
        return 0.01189670994589177;
      case 7:
        return 0.01041126526197209;
      case 8:
        return 0.00925546218271273;
      default:
        return 0.00833056343336287;
    }
  }
  const Exact x = Exact(1.0) / (k + 1.0), x2 = x * x;
  Exact p = 1.0 / 1188;
  p = p * x2 + -1.0 / 1680;
  p = p * x2 + 1.0 / 1260;
  p = p * x2 + -1.0 / 360;
  return (p * x2 + 1.0 / 12) * x;
}

constexpr int64_t kMostSearched = 110;  // of a mean below 10, beyond it lies less than 1e-60

FLASHKET_HD inline double search_count(int64_t shots, Exact p, uint64_t key, int64_t row, int64_t col) {
  const Exact n = static_cast<double>(shots), odds = p / (Exact(1.0) - p),
              at_zero = exp_of_nonpositive(n * log_complement(p));
  const int64_t limit = shots < kMostSearched ? shots : kMostSearched;
  for (uint32_t attempt = 0;; ++attempt) {
    Exact u = uniforms(key, row, col, attempt).first, probability = at_zero;
    int64_t k = 0;
    while (k < limit && u >= probability) {
      u = u - probability;
      probability = probability * (odds * ((n - static_cast<double>(k)) * (1.0 / static_cast<double>(k + 1))));
      ++k;
    }
    // Who passed the limit without having had all shots had a u within rounding of 1.
    if (k < limit || limit == shots) return static_cast<double>(k);
  }
}

// log of the probability of k over that of the mode m. Written in ratios near 1, so that nothing large cancels.
FLASHKET_HD inline Exact log_density(Exact n, Exact k, Exact p) {
  const Exact q = Exact(1.0) - p, m = round_down((n + 1.0) * p), d = k - m, m1 = m + 1.0, k1 = k + 1.0;
  const Exact rest_m = n - m, rest_k = n - k, rest_m1 = rest_m + 1.0, rest_k1 = rest_k + 1.0;
  return d * log_ratio(rest_k1 * p, k1 * q) - (m + 0.5) * log_ratio(k1, m1) -
         (rest_m + 0.5) * log_ratio(rest_k1, rest_m1) + (stirling_tail(m) - stirling_tail(k)) +
         (stirling_tail(rest_m) - stirling_tail(rest_k));
}

FLASHKET_HD inline double reject_count(int64_t shots, Exact p, uint64_t key, int64_t row, int64_t col) {
  const Exact n = static_cast<double>(shots), mean = n * p, deviation = sqrt((mean * (Exact(1.0) - p)).value);
  const Exact b = deviation * 2.53 + 1.15, a = b * 0.0248 + p * 0.01 - 0.0873, over_b = Exact(1.0) / b;
  for (uint32_t attempt = 0;; ++attempt) {
    const Uniforms uv = uniforms(key, row, col, attempt);
    const Exact u = uv.first - 0.5, v = uv.second, us = Exact(0.5) - fabs(u.value);
    const Exact k = round_down(((a + a) / us + b) * u + (mean + 0.5));
    if (us >= 0.07 && v <= Exact(0.92) - over_b * 4.2) return k.value;
    if (!(k >= 0.0 && k <= n)) continue;
    const Exact numerator = v * ((over_b * 5.1 + 2.83) * deviation) * (us * us), denominator = b * (us * us) + a;
    if (log_ratio(numerator, denominator) <= log_density(n, k, p)) return k.value;
  }
}

// What `shots` measurements say of a kernel value in 0..1: (binomial(shots, value) / shots)^power from the stream of
// (row, col) under stream_key(). What is not positive stays as it is (0, NaN, -inf for excluded scores).
FLASHKET_HD inline double sample_value(double value, int64_t shots, int power, uint64_t key, int64_t row, int64_t col) {
  if (!(value > 0)) return value;
  const double n = static_cast<double>(shots), least = value > 0.5 ? 1 - value : value;
  double count = 0;  // of a value of 1 none is drawn: all shots agree
  if (value < 1) {
    count =
        Exact(n) * least < 10.0 ? search_count(shots, least, key, row, col) : reject_count(shots, least, key, row, col);
  }
  double estimate = (value > 0.5 ? n - count : count) / n;
  if (power == 1) return estimate;
  double result = 1;
  for (; power > 0; power >>= 1, estimate *= estimate)
    if (power & 1) result *= estimate;
  return result;
}

}  // namespace flashket::cuda
