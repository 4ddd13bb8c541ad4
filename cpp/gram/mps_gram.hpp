// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gram matrices of matrix product states, tiles over threads. Always in double; T is the result's type.
#pragma once
#include <algorithm>

#include "core/types.hpp"
#include "core/views.hpp"
#include "noise/shots.hpp"

namespace flashket {

// Rows of states/mps.hpp, one behind the other: bonds (rows, n_sites + 1), tensors of row i from offsets[i] on, in
// complex numbers.
struct MpsView {
  int64_t rows, n_sites;
  const int32_t* bonds;
  const int64_t* offsets;
  const double* tensors;

  const int32_t* bonds_of(int64_t row) const { return bonds + row * (n_sites + 1); }
  const double* tensors_of(int64_t row) const { return tensors + 2 * offsets[row]; }
  int32_t largest_bond() const { return *std::max_element(bonds, bonds + rows * (n_sites + 1)); }
};

struct MpsGramOptions {
  Similarity similarity = Similarity::fidelity;  // or hadamard
  int power = 1;
  bool log = false;
  Readings readings;
  uint64_t seed = 0;
};

// out[i, j] = kernel(x[i], y[j]); y == nullptr: y is x, the result exactly symmetric and its diagonal exactly 1.
template <class T>
void mps_gram(const MpsView& x, const MpsView* y, const MatrixView<T>& out, const MpsGramOptions& options);

}  // namespace flashket
