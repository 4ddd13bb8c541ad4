// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Overlaps of matrix product states: <x|y> = a product of transfer matrices E <- sum_z A_x[z]^dagger E A_y[z], swept
// along the chain, one row x against a vector of rows y at a time or, where rows are few, against one row y whose
// bonds lie along the vector. Cost: 16 n chi^3 FMA a pair.
#pragma once
#include "core/types.hpp"

namespace flashket {

// tensors of x as they lie; those of `lanes` rows y interleaved and padded with zeros to bonds_y,
// [site][left][z][right / columns][re, im][right % columns][lane], right bonds filled up with zeros to a multiple of
// `columns`. `work` has room for 8 * (largest bond of x) * (largest of y, filled up) numbers a lane. Results of every
// lane: <x|y> = (re + i im) 2^exponent.
using MpsOverlap = void (*)(int64_t n_sites, const int32_t* bonds_x, const double* x, const int32_t* bonds_y,
                            const double* y, double* work, double* re, double* im, double* exponent);

struct MpsKernel {
  int64_t lanes, columns;
  MpsOverlap overlap;
};

// Both do the same operations in the same order for a pair.
struct MpsOps {
  MpsKernel single, wide;
};

}  // namespace flashket
