// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Numbers of the state kernels: complex values, angles as fixed-point turns.
#pragma once
#include "core/device.hpp"

namespace flashket::cuda::statevector {

template <class T>
struct alignas(2 * sizeof(T)) Complex {
  T re, im;
};

template <class T>
FK_DEVICE Complex<T> operator*(Complex<T> a, Complex<T> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class T>
FK_DEVICE Complex<T> operator+(Complex<T> a, Complex<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
FK_DEVICE T square(Complex<T> a) {
  return a.re * a.re + a.im * a.im;
}

// a / b, |b|^2 = b_square.
FK_DEVICE Complex<double> divide(Complex<double> a, Complex<double> b, double b_square) {
  const double scale = 1 / b_square;
  return {(a.re * b.re + a.im * b.im) * scale, (a.im * b.re - a.re * b.im) * scale};
}

// angle / (unit of turns), 2^64 = one turn, from that unit as the sum of two doubles: the quotient's rounding is made
// good, so angles of millions of turns keep their fraction. Host twins: quarter_turns in states/row.hpp, turns in
// feature_maps/line.simd.cpp.
FK_DEVICE uint64_t fixed_turns(double angle, double unit, double unit_rest) {
  const double quotient = angle * unit;
  double rest = fma(angle, unit, -quotient) + angle * unit_rest;
  const double fraction = quotient - rint(quotient);
  rest -= rint(rest);
  return 2 * static_cast<uint64_t>(static_cast<int64_t>(fraction * 9223372036854775808.0)) +
         2 * static_cast<uint64_t>(static_cast<int64_t>(rest * 9223372036854775808.0));
}
FK_DEVICE uint64_t whole_turns(double angle) { return fixed_turns(angle, 0.15915494309189535, -9.839338337591243e-18); }

// Of a quarter of the angle. Beyond kLargeAngle two doubles are not enough: the mathematical library reduces by as much
// of pi as it takes, correct to 2^-53.
constexpr double kLargeAngle = 1e15;
FK_DEVICE uint64_t quarter_turns(double angle) {
  if (!(fabs(angle) > kLargeAngle)) return fixed_turns(angle, 0.039788735772973836, -2.4598345843978107e-18);
  const double turn = atan2(sin(angle / 4), cos(angle / 4)) * 0.15915494309189535;  // 1 / (2 pi)
  return 2 * static_cast<uint64_t>(static_cast<int64_t>(turn * 9223372036854775808.0));
}

// Not isfinite: the comparison is the same on host and device.
FK_DEVICE bool is_finite(double x) { return x - x == 0; }

// exp(2 pi i turn / 2^64).
FK_DEVICE Complex<double> unit_of(uint64_t turn) {
  double s, c;
  sincospi(static_cast<double>(static_cast<int64_t>(turn)) * 1.0842021724855044e-19, &s, &c);  // 2^-63
  return {c, s};
}

// exp(2 pi i turn / 2^32), to 1e-7: the quadrant is taken off in integers, the rest is at most an eighth of a turn.
FK_DEVICE Complex<float> unit_of(uint32_t turn) {
  const uint32_t quadrant = (turn + (1u << 29)) >> 30;
  const float x = static_cast<float>(static_cast<int32_t>(turn - (quadrant << 30))) * 1.4629180792671596e-9f;
  const float x2 = x * x;
  const float s = ((2.7557319e-6f * x2 - 1.9841270e-4f) * x2 + 8.3333333e-3f) * x2 - 1.6666667e-1f;
  const float c = ((-2.7557319e-7f * x2 + 2.4801587e-5f) * x2 - 1.3888889e-3f) * x2 + 4.1666667e-2f;
  const float sine = s * x2 * x + x, cosine = (c * x2 - 0.5f) * x2 + 1.0f;
  const bool is_odd = quadrant & 1;
  const float a = is_odd ? sine : cosine, b = is_odd ? cosine : sine;
  return {((quadrant + 1) & 2) ? -a : a, (quadrant & 2) ? -b : b};
}

}  // namespace flashket::cuda::statevector
