// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gram matrices: encode all rows, then tiles of scores over threads. Knows no feature map by name.
#pragma once
#include "core/views.hpp"
#include "gram/pack.hpp"
#include "noise/shots.hpp"

namespace flashket {

struct GramOptions {
  bool log = false;
  Readings readings;
  uint64_t seed = 0;
};

// out[i, j] = kernel(x[i], y[j]); y == nullptr: y is x, the result exactly symmetric and, for normalised kernels, its
// diagonal exactly 1. T is float or double. Throws std::bad_alloc, std::invalid_argument.
template <class T>
void gram(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y, const MatrixView<T>& out,
          const GramOptions& options);

// Reads given probabilities (rows of unit column stride) as gram() reads its own, from the same streams, and raises
// them to the power; is_symmetric: the values on and above the diagonal are read, and mirrored.
void read_probabilities(const MatrixView<double>& values, bool is_symmetric, int power, const Readings& readings,
                        uint64_t seed);

}  // namespace flashket
