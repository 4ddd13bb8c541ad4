// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Overlaps of two plain encoded rows, and the steps they are made of, for every pair kind. Rows may lie in global or
// shared memory with any distance between elements, so that a tile may be transposed. Tiles of several rows take the
// same steps (ProductStep, SumStep, TransferStep) with their operands in registers.
//
// Elements of a row: see core/encoder.hpp; of a transfer step: cos g, sin g, then cos, sin of f00, f01, f10, f11
// (cpp/gram/transfer.hpp has the derivation).
#pragma once
#include "gram/value.hpp"

namespace flashket::cuda {

// Factors between two normalisations of a product. The smallest factor that is not 0 has about 2^-48 (float) or 2^-106.
template <class T>
constexpr int kScaledFactors = sizeof(T) == 4 ? 2 : 8;
// Steps between two normalisations of a transfer: a step may lose a rounding of 2^-24 or 2^-53.
template <class T>
constexpr int kScaledSteps = sizeof(T) == 4 ? 4 : 16;
// Terms summed before they join the total with a compensated addition: a long sum of equal signs would drift.
constexpr int kSummedTerms = 32;

// Elements of a row that belong to one factor, term or step.
FK_HD constexpr int elements_per_step(Pair pair) {
  return pair == Pair::product || pair == Pair::complex_dot ? 2 : pair == Pair::transfer ? int{kTransferElements} : 1;
}

// Where element e of step d lies in a row of so many steps.
FK_HD constexpr int64_t element_offset(Pair pair, int64_t depth, int64_t d, int e) {
  return pair == Pair::complex_dot ? e * depth + d : d * elements_per_step(pair) + e;
}

// total + rest, where rest holds what the last such addition rounded away.
template <class T>
FK_DEVICE void add_compensated(T& total, T& rest) {
  const T sum = total + rest;
  rest -= sum - total;
  total = sum;
}

// (A, B) of a line of 2 x 2 matrices and the power of two taken out of them.
template <class T>
struct TransferState {
  T ar = 0, ai = 0, br = 0, bi = 0;  // of a thread without a row too: attention still reads it
  int exponent = 0;

  // Step 0: cos and sin of the rows' global phases.
  FK_DEVICE void begin(T cx, T sx, T cy, T sy, int64_t depth) {
    ar = br = cx * cy + sx * sy;
    ai = bi = cx * sy - sx * cy;
    exponent = -static_cast<int>(depth - 1);  // every step sums one qubit by halves
  }

  // x and y: the elements of one step of both rows.
  FK_DEVICE void step(const T (&x)[kTransferElements], const T (&y)[kTransferElements]) {
    T f[5];
#pragma unroll
    for (int p = 0; p < 5; ++p) f[p] = x[2 * p] * y[2 * p] + x[2 * p + 1] * y[2 * p + 1];
    const T sin_g = x[0] * y[1] - x[1] * y[0];
    const T tr = br * f[0] - bi * sin_g, ti = br * sin_g + bi * f[0];
    br = f[2] * ar + f[4] * tr;
    bi = f[2] * ai + f[4] * ti;
    ar = f[1] * ar + f[3] * tr;
    ai = f[1] * ai + f[3] * ti;
  }

  FK_DEVICE void normalise_all() {
    T largest = magnitude(ar);
    largest = magnitude(ai) > largest ? magnitude(ai) : largest;
    largest = magnitude(br) > largest ? magnitude(br) : largest;
    largest = magnitude(bi) > largest ? magnitude(bi) : largest;
    const int shift = exponent_field(largest) - FloatFormat<T>::bias;
    if (shift <= -FloatFormat<T>::bias || shift >= FloatFormat<T>::bias) return;
    const T scale = power_of_two<T>(-shift);
    ar *= scale;
    ai *= scale;
    br *= scale;
    bi *= scale;
    exponent += shift;
  }

  FK_DEVICE Overlap<T> overlap() const { return {ar, ai, exponent}; }
};

// <a|b> of two rows whose elements lie a_step and b_step apart. Where kIsScaled is false the product of factors keeps
// no exponent: right for plain values, which an overlap that underflows leaves 0 anyway.
template <Pair kPair, bool kIsScaled = true, class T>
FK_DEVICE Overlap<T> overlap(const T* a, int64_t a_step, const T* b, int64_t b_step, int64_t depth) {
  if constexpr (kPair == Pair::product) {
    Overlap<T> s{T(1), T(0), 0};
    for (int64_t d = 0; d < depth; ++d) {
      s.re *= a[2 * d * a_step] * b[2 * d * b_step] + a[(2 * d + 1) * a_step] * b[(2 * d + 1) * b_step];
      if (kIsScaled && (d + 1) % kScaledFactors<T> == 0) normalise(s.re, s.exponent);
    }
    if (kIsScaled) normalise(s.re, s.exponent);
    return s;
  } else if constexpr (kPair == Pair::transfer) {
    TransferState<T> state;
    state.begin(a[0], a[a_step], b[0], b[b_step], depth);
    for (int64_t d = 1; d < depth; ++d) {
      T x[kTransferElements], y[kTransferElements];
#pragma unroll
      for (int e = 0; e < kTransferElements; ++e) {
        x[e] = a[(d * kTransferElements + e) * a_step];
        y[e] = b[(d * kTransferElements + e) * b_step];
      }
      state.step(x, y);
      if (d % kScaledSteps<T> == 0) state.normalise_all();
    }
    return state.overlap();
  } else {
    T re = 0, im = 0, part_re = 0, part_im = 0;
    for (int64_t d = 0; d < depth; ++d) {
      const T x = a[d * a_step], y = b[d * b_step];
      if constexpr (kPair == Pair::distance) {
        part_re += (x - y) * (x - y);  // |x|^2 + |y|^2 - 2 x.y would lose the digits of near rows
      } else {
        part_re += x * y;
        if constexpr (kPair == Pair::complex_dot) {
          const T xi = a[(depth + d) * a_step], yi = b[(depth + d) * b_step];
          part_re += xi * yi;
          part_im += x * yi;
          part_im -= xi * y;
        }
      }
      if ((d + 1) % kSummedTerms == 0) {
        add_compensated(re, part_re);
        add_compensated(im, part_im);
      }
    }
    return {re + part_re, im + part_im, 0};
  }
}

}  // namespace flashket::cuda
