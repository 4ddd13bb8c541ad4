// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gram matrices on the device. Knows no feature map by name.
#pragma once
#include "core/encoder.hpp"

namespace flashket::cuda {

// How the overlaps of float32 work are computed. automatic: the fastest that keeps the numbers contract (half for
// 16-bit inputs); score.cu says which that is. What a pair kind has no code for runs as simt.
//   half   one fp16 product with fp32 sums: relative error about 1e-3. Only when asked for, or for 16-bit inputs
//   split  each operand as two fp16 numbers, three products: float32-level accuracy on the matrix units
//   simt   float32 (or float64, always for float64 work) multiply-adds
enum class Arithmetic { automatic, half, split, simt };

struct GramOptions {
  bool log = false;
  int64_t shots = 0;  // 0: exact
  uint64_t seed = 0;
  Arithmetic arithmetic = Arithmetic::automatic;
};

// out[i * stride + j] = kernel(x_i, y_j), T float or double. y == nullptr: y is x, the result exactly symmetric and,
// for a normalised similarity without shots, 1 on the diagonal. Nothing is synchronised.
template <class T>
void gram(const KernelSpec& spec, const Rows& x, const Rows* y, T* out, int64_t stride, const GramOptions& options,
          Stream stream);

// out (x.count, columns) = K(x, y) a (y.count, columns), both contiguous; K in tiles, never whole.
template <class T>
void gram_matvec(const KernelSpec& spec, const Rows& x, const Rows* y, const T* a, int64_t columns, T* out,
                 const GramOptions& options, Stream stream);

// The encoded rows themselves, (x.count, row_elements), `pitch` elements apart.
template <class T>
void encode(const KernelSpec& spec, const Rows& x, T* out, int64_t pitch, Stream stream);

}  // namespace flashket::cuda
