// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The matrix-unit path: fp16 overlaps, bf16 weights and values, fp32 sums.
#pragma once
#include "attention/operands.hpp"

namespace flashket::cuda {

// Widths of the one kernel that takes these shapes: fp16 values of a packed row and bf16 columns of v; length 0: none
// does, the general path has to.
struct PackedShape {
  int64_t length, width;
};
PackedShape packed_shape(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options);

struct PackedOperands {
  const half_t* queries;  // [query row][length]
  const half_t* keys;     // [key row][length]
  const PackedValues* values;
};

// One pass over all keys of a run; rows are judged and written as by simt_pass().
void mma_pass(const KernelSpec& spec, const Problem& problem, const Finish& finish, const PackedShape& shape,
              const PackedOperands& operands, Weighing weighing, double temperature, Stream stream);

}  // namespace flashket::cuda
