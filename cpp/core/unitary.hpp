// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A unitary [[a, b], [c, d]] is applied as its core: with |a| >= |b| it is diag(a, d) [[1, r], [-r*, 1]], r = b / a,
// otherwise diag(b, c) [[r, 1], [1, -r*]], r = a / b. Of the diagonal, the first entry (the pivot) is common to all
// amplitudes and the ratio of the second to it (the rest) commutes with every phase: it joins the next unitary on that
// qubit. So a rotation costs one FMA a number when r is real or imaginary (RY, RX, H, X, Y) and two otherwise; a 2 x 2
// product costs four. Everything is in an unnamed namespace: files compiled once per instruction set include this.
#pragma once
#include <math.h>

#include "core/program_view.hpp"

namespace flashket {
namespace {

inline __attribute__((always_inline)) Complex operator*(Complex a, Complex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
inline __attribute__((always_inline)) Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
inline __attribute__((always_inline)) double square(Complex a) { return a.re * a.re + a.im * a.im; }
inline __attribute__((always_inline)) Complex divide(Complex a, Complex b, double b_square) {
  const double scale = 1 / b_square;
  return {(a.re * b.re + a.im * b.im) * scale, (a.im * b.re - a.re * b.im) * scale};
}

// u becomes factor * u; columns of u are one (a state) or two.
template <int Columns>
inline __attribute__((always_inline)) void apply_fixed(const Factor& factor, Complex (&u)[2][Columns]) {
  const auto& m = factor.m;
  for (int j = 0; j < Columns; ++j) {
    const Complex a = u[0][j], b = u[1][j];
    u[0][j] = Complex{m[0][0], m[0][1]} * a + Complex{m[0][2], m[0][3]} * b;
    u[1][j] = Complex{m[1][0], m[1][1]} * a + Complex{m[1][2], m[1][3]} * b;
  }
}

struct SplitUnitary {
  Core core;
  Complex pivot, rest;
};

inline __attribute__((always_inline)) SplitUnitary split(const Complex (&u)[2][2]) {
  const double a = square(u[0][0]), b = square(u[0][1]);
  // Where both forms will do, the one that leaves no sign behind: H is [[1, 1], [1, -1]].
  const bool is_even = ::fabs(a - b) < 1e-6;
  const bool is_swapped = is_even ? u[0][0].re * u[1][1].re + u[0][0].im * u[1][1].im < 0 : a < b;
  const Complex pivot = is_swapped ? u[0][1] : u[0][0];
  const double pivot_square = is_swapped ? b : a;
  return {{divide(is_swapped ? u[0][0] : u[0][1], pivot, pivot_square), is_swapped},
          pivot,
          divide(is_swapped ? u[1][0] : u[1][1], pivot, pivot_square)};
}

}  // namespace
}  // namespace flashket
