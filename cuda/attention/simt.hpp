// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The general path: every pair kind, similarity and option in plain multiply-adds of float or double.
#pragma once
#include "attention/problem.hpp"

namespace flashket::cuda {

// Encoded queries and keys of a run, plain rows `pitch` elements apart, a multiple of 4; depth as in core/encoder.hpp.
struct EncodedRows {
  const void* queries;
  const void* keys;
  bool are_double;  // else float, which double arithmetic may also start from
  int64_t pitch, depth;
};

struct PassOptions {
  Weighing weighing;
  int32_t only;      // status of the rows to work on; < 0: all
  bool in_double;    // arithmetic and running sums of scores; log_sum always is
  double scale = 1;  // softmax: 1 / temperature
  int64_t shots = 0;
  uint64_t seed = 0;
};

// One pass over all keys of a run; rows are judged (status, row_sums, zero_rows) and written. Nothing is synchronised.
// Cost: rows * keys * (depth * (1 FMA real_dot, 2 distance, 3 product, 4 complex_dot, 24 transfer) + v_dim FMA), the
// scores again for every 64 columns of v. Memory traffic: keys and values once for every 64 rows of a pair.
void simt_pass(const KernelSpec& spec, const Problem& problem, const Finish& finish, const EncodedRows& rows,
               const PassOptions& options, Stream stream);

}  // namespace flashket::cuda
