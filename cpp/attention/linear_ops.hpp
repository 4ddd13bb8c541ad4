// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Loops of the linear form. A kernel is sum_f w_f F_f(x) F_f(y); a state holds the sums over keys of F_f(k) (v, 1).
#pragma once
#include "core/types.hpp"

namespace flashket {

constexpr int64_t kFeatureAlign = 8;   // features of a block are padded with zeros to whole register blocks
constexpr int64_t kLinearTokens = 64;  // rows of a group: their features exist at a time and are summed in registers

// From what a row's features are products.
enum class FeatureKind : int {
  tensor,     // of one value each of n vectors (1, cos x, sin x, .., cos p x, sin p x)
  vector,     // the elements of a vector
  square,     // pairs j <= i of a vector's elements
  hermitian,  // real, then imaginary parts of pairs j <= i of a complex vector's elements
};

// How features are made. Factors of a group of rows: [stride][kLinearTokens], `width` of them, from `second` on the
// other table of a tensor or the imaginary parts.
struct FeatureForm {
  FeatureKind kind;
  PairKind pair;
  bool has_one;          // the vector is (1, state)
  int power;             // tensor: highest multiple of an angle
  int64_t depth;         // of an encoded row
  int64_t n_low;         // tensor: qubits whose product is the first table
  int64_t width;         // of the vector or the first table
  int64_t second_width;  // of the second table, 1 without
  int64_t second, stride;
  int64_t scratch;  // numbers a row needs while its factors are made
};

// Features that are made together: `count` rows of pairs, or entries of a tensor's second table, from `first` on. They
// are rows [offset, offset + features) of a state.
struct FeatureBlock {
  int64_t first, count, features, offset;
};

// Everything about rows is [..][kLinearTokens], the rows of a group side by side: features are products of whole
// vectors. v_stride is a multiple of kValueAlign.
template <class C>
struct LinearOps {
  // Planes (depth, kLinearTokens) of a group of encoded rows -> factors.
  void (*prepare)(const FeatureForm& form, const C* plane0, const C* plane1, C* factors, C* scratch);
  // Factors -> features of one block, zeros behind them up to a multiple of kFeatureAlign.
  void (*generate)(const FeatureForm& form, const FeatureBlock& block, const C* factors, C* out);
  // sums[f][c] += sum_t features[f][t] v[t][c], weights[f] += sum_t features[f][t]; t < rows.
  void (*accumulate)(const C* features, int64_t rows, int64_t n_features, const C* v, int64_t v_stride, C* sums,
                     C* weights);
  // numerator[t][c] += sum_f features[f][t] sums[f][c], denominator[t] += sum_f features[f][t] weights[f]. Rows up to a
  // multiple of 8, and all denominators of the group.
  void (*apply)(const C* features, int64_t rows, int64_t n_features, const C* sums, const C* weights, int64_t v_stride,
                C* numerator, C* denominator);
  // current += scale * sums, total += sums, norms[c] += current^2 / scale; rows [f] of `width`.
  void (*advance)(const C* sums, const C* scale, int64_t n_features, int64_t width, C* current, C* total, C* norms);
  // local += total, total = 0, current = scale * (prefix + local).
  void (*fold)(const double* prefix, const double* scale, int64_t n_features, int64_t width, double* local, C* total,
               C* current);
  // result[c] = (numerator[c] + wide[c]) * inverse, wide == nullptr: 0. Returns max|result|.
  C (*divide)(const C* numerator, const double* wide, double inverse, int64_t width, C* result);
  C (*largest)(const C* x, int64_t count);
};

struct LinearTable {
  LinearOps<float> f32;
  LinearOps<double> f64;
};

}  // namespace flashket
