// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gram matrix times a matrix, tile by tile: the Gram matrix never exists. Knows no feature map by name.
#pragma once
#include "core/views.hpp"
#include "gram/gram.hpp"

namespace flashket {

// out (n, p) = K a: K[i, j] = kernel(x[i], y[j]) as gram() defines it, a (m, p). y == nullptr: y is x, and the diagonal
// of a normalised kernel exactly 1. Sums over a tile are taken in T, sums of tiles in double, in an order that depends
// on the shapes only. options.log must be false. Memory: the encoded rows and a, packed. Throws std::bad_alloc,
// std::invalid_argument.
template <class T>
void gram_matvec(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y,
                 const MatrixView<const T>& a, const MatrixView<T>& out, const GramOptions& options);

}  // namespace flashket
