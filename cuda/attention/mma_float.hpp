// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// float32 on the matrix units: overlaps from split fp16, weights times values from split tf32.
#pragma once
#include "attention/operands.hpp"
#include "gram/planes.hpp"

namespace flashket::cuda {

// Steps of 32 elements of a packed row and columns of v of the one kernel that takes these shapes; steps 0: none does,
// the general path has to.
struct FloatShape {
  int64_t steps, width;
};
FloatShape float_shape(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options);
// Device memory that a pair takes where its keys are so many that they are summed in parts. It grows with Lq Lk: from
// 2 GB on (L = 524,288, 64 columns) the general path is taken, whose sums need none.
int64_t float_part_bytes(const Problem& problem);

// Planes (gram/planes.hpp) that the kernel of this shape reads. Products are made of doubles, others of floats.
PlaneShape float_planes(const KernelSpec& spec, const FloatShape& shape);

struct FloatOperands {
  const half_t* queries;  // [query row][planes]
  const half_t* keys;     // [key row][planes]
  const PackedFloats* values;
};

// One pass over all keys of a run; rows are judged and written as by simt_pass(). Cost: three products of fp16 for
// every multiply-add of an overlap and three of tf32, at half the rate, for one of an output. Memory traffic: keys and
// values once for every 64 or 128 rows of a pair, 4 bytes an element.
void float_mma_pass(const KernelSpec& spec, const Problem& problem, const Finish& finish, const FloatShape& shape,
                    const FloatOperands& operands, Weighing weighing, double temperature, Stream stream);

}  // namespace flashket::cuda
