// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// How a loss changes with an overlap: the formulas of the backward pass, shared by its general path in double and the
// matrix units. With weights w = K / sum K or softmax(K / T), t_ij = d_out_i . (v_j - out_i) and one over a row's sum:
//
//   sum      dL / dK_ij = t_ij / sum_i            softmax   dL / dK_ij = w_ij t_ij / T
//   fidelity K = |s|^(2 p):          dK = 2 p |s|^(2 p - 2) (re d re + im d im)
//   hadamard K = ((1 + re) / 2)^p:   dK = p / 2 ((1 + re) / 2)^(p - 1) d re
#pragma once
#include "core/device.hpp"
#include "core/encoder.hpp"

namespace flashket::cuda {

// A kernel value and what d re (and d im) of the overlap are multiplied with to give its change: for the fidelity
// `slope` times re (and im), for the Hadamard test `slope` alone.
template <class T>
struct KernelSlope {
  T value, slope;
};

// square: |s|^2. raise(x, n): x^n for n >= 1.
template <class T, class Raise>
FK_DEVICE KernelSlope<T> fidelity_slope(T square, int power, const Raise& raise) {
  const T rest = power == 1 ? T(1) : raise(square, power - 1);
  return {rest * square, T(2) * static_cast<T>(power) * rest};
}

template <class T, class Raise>
FK_DEVICE KernelSlope<T> hadamard_slope(T re, int power, const Raise& raise) {
  const T half = T(0.5) + T(0.5) * re, chance = half < T(0) ? T(0) : half;
  const T rest = power == 1 ? T(1) : raise(chance, power - 1);
  return {rest * chance, T(0.5) * static_cast<T>(power) * rest};
}

// dL / dK of a pair; `weight` counts for softmax only, `inverse` = 1 / sum for sums only.
template <class T>
FK_DEVICE T value_slope(bool is_sum, T weight, T inverse, T t, T inverse_temperature) {
  return is_sum ? t * inverse : weight * t * inverse_temperature;
}

}  // namespace flashket::cuda
