// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The backward pass on the matrix units: bf16 operands, fp32 sums, for real dots under fidelity and Hadamard test.
#pragma once
#include "attention/operands.hpp"

namespace flashket::cuda {

// Widths of the kernels that take these shapes: bf16 values of an encoded row and of a value; length 0: none does, the
// general path has to.
struct BackwardShape {
  int64_t length, width;
};
BackwardShape backward_shape(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options);

// What a query's pairs are multiplied with: one over its sum, and delta = d_out . out. Both 0 for rows without key and
// for those left to the general path.
struct RowFactor {
  float inverse, delta;
};

constexpr int kFactorTile = 64;  // factors of a pair are padded with zeros to a multiple of this

// Operands of a run of pairs. Rows of a pair are in the order of Problem, so that a tile of them is one piece of
// memory. What is not finite becomes 0 (a matrix unit would carry it to rows that may not see it) and is flagged.
struct BackwardOperands {
  BackwardShape shape;
  int64_t factor_pitch;       // RowFactors of a pair
  Array<bfloat16_t> queries;  // [pair][row][length]
  Array<bfloat16_t> d_out;    // [pair][row][width]
  Array<bfloat16_t> keys;     // [pair][key][length]
  PackedValues values;        // its flags say which keys have a row or value that is not finite
  Array<uint8_t> is_row_bad;  // [pair][row]
  Array<RowFactor> factors;   // [pair][factor_pitch]
};

// queries and keys: encoded, `pitch` apart, queries in the order of (B, Hq, Lq). Fills in every delta.
BackwardOperands backward_operands(const KernelSpec& spec, const Problem& problem, const BackwardShape& shape,
                                   const float* queries, const float* keys, int64_t pitch, const Tensor4& d_out,
                                   Stream stream);

// The rows of a pair that are left to the general path: all lie before `rows`, and none sees a key from `keys` on.
struct LeftOver {
  int64_t rows, keys;
};

struct BackwardResults {
  double *d_queries, *d_keys;            // of encoded rows: [query row][row_elements], [pair][key][row_elements]
  double* d_values;                      // [pair][key][v_dim]
  uint8_t *is_query_seen, *is_key_seen;  // whether a row meets any
  uint8_t* is_left;                      // [pair][row]: rows for the general path, which adds to what is here
  LeftOver* left_over;                   // [pair]
};

// Everything but the rows that are left.
void matrix_backward(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options,
                     const BackwardOperands& operands, const BackwardResults& results, Stream stream);

}  // namespace flashket::cuda
