// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Finite shots: kernel values become what so many measurements say of them.
#pragma once
#include "core/types.hpp"

namespace flashket {

// Where a run of values lies in its score matrix: (row, col), (row, col + 1), ...; is_down: (row, col), (row + 1, col).
struct ScoreRun {
  uint64_t key;  // of the matrix; see stream_key()
  int64_t row, col;
  bool is_down;
};

// values[l] in 0..1 becomes (binomial(shots, values[l]) / shots)^power, from the random stream of its own place. What
// is not positive stays as it is (0, and -inf for excluded scores). 1 <= shots < 2^31. The same for every instruction
// set.
template <class T>
using SampleRun = void (*)(T* values, int64_t count, int64_t shots, int power, const ScoreRun& run);

struct NoiseOps {
  SampleRun<float> sample_f32;
  SampleRun<double> sample_f64;
};

}  // namespace flashket
