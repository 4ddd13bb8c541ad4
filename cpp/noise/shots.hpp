// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Finite shots: an exact binomial count for one kernel value, from that score's own random stream.
// Small means: inversion by sequential search. Otherwise BTRS, the transformed rejection of W. Hoermann, "The
// generation of binomial random variates", J. Stat. Comput. Simul. 46 (1993). About 25 ns and 50 ns; exact to double
// rounding.
#pragma once
#include <cmath>
#include <cstdint>

#include "core/philox.hpp"

namespace flashket {

// log k! - (its Stirling approximation without the series)
inline double stirling_tail(double k) {
  constexpr double table[] = {0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
                              0.01664469118982119, 0.01387612882307075, 0.01189670994589177, 0.01041126526197209,
                              0.00925546218271273, 0.00833056343336287};
  if (k <= 9) return table[static_cast<int>(k)];
  const double inv = 1 / (k + 1), inv2 = inv * inv;
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 * inv2) * inv2) * inv;
}

inline double binomial_by_inversion(double n, double p, ScoreStream stream) {
  const double q = 1 - p, ratio = p / q;
  const double at_zero = std::exp(n * std::log1p(-p));
  for (;;) {
    double u, unused;
    stream.next(u, unused);
    double probability = at_zero;
    // n p < 10: beyond 110 lies less than 1e-60; reaching it means u was within rounding of 1.
    for (double k = 0; k <= n && k <= 110; ++k) {
      if (u < probability) return k;
      u -= probability;
      probability *= ratio * (n - k) / (k + 1);
    }
  }
}

inline double binomial_by_rejection(double n, double p, ScoreStream stream) {
  const double q = 1 - p, deviation = std::sqrt(n * p * q);
  const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, centre = n * p + 0.5;
  const double squeeze = 0.92 - 4.2 / b, odds = p / q, alpha = (2.83 + 5.1 / b) * deviation;
  const double mode = std::floor((n + 1) * p);
  for (;;) {
    double u, v;
    stream.next(u, v);
    u -= 0.5;
    const double us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + centre);
    if (us >= 0.07 && v <= squeeze) return k;
    if (k < 0 || k > n) continue;
    const double left = std::log(v * alpha / (a / (us * us) + b));
    const double right = (mode + 0.5) * std::log((mode + 1) / (odds * (n - mode + 1))) +
                         (n + 1) * std::log((n - mode + 1) / (n - k + 1)) +
                         (k + 0.5) * std::log(odds * (n - k + 1) / (k + 1)) + stirling_tail(mode) +
                         stirling_tail(n - mode) - stirling_tail(k) - stirling_tail(n - k);
    if (left <= right) return k;
  }
}

// The estimate count / shots of a probability p (clamped to [0, 1]).
inline double sample_probability(double p, int64_t shots, uint64_t key, int64_t row, int64_t col) {
  if (!(p > 0)) return 0;
  if (p >= 1) return 1;
  const double n = static_cast<double>(shots), small = p > 0.5 ? 1 - p : p;
  const ScoreStream stream(key, row, col);
  const double count =
      n * small < 10 ? binomial_by_inversion(n, small, stream) : binomial_by_rejection(n, small, stream);
  return (p > 0.5 ? n - count : count) / n;
}

inline double integer_power(double x, int power) {
  double result = 1;
  for (; power > 0; power >>= 1, x *= x)
    if (power & 1) result *= x;
  return result;
}

}  // namespace flashket
