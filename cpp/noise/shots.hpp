// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Finite shots and the effective noise of a device: kernel values become what measurements there say of them.
#pragma once
#include "core/types.hpp"

namespace flashket {

// Where a run of values lies in its score matrix: (row, col), (row, col + 1), ...; is_down: (row, col), (row + 1, col).
struct ScoreRun {
  uint64_t key;  // of the matrix; see stream_key()
  int64_t row, col;
  bool is_down;
};

// How values are read. Noise maps the probability p of a value to scale p + offset, bounded to 0..1; see
// python/flashket/noise/effective.py for where the two come from.
struct Readings {
  int64_t shots = 0;  // below 2^31; 0: the probability itself
  double scale = 1, offset = 0;

  bool is_noisy() const { return scale != 1 || offset != 0; }
  bool is_exact() const { return shots == 0 && !is_noisy(); }
};

// values[l] in 0..1 becomes (binomial(shots, p) / shots)^power, or p^power without shots, with p what noise makes of
// it; drawn from the random stream of its own place. -inf, of excluded scores, and NaN stay. The same for every
// instruction set.
template <class T>
using SampleRun = void (*)(T* values, int64_t count, const Readings& readings, int power, const ScoreRun& run);

struct NoiseOps {
  SampleRun<float> sample_f32;
  SampleRun<double> sample_f64;
};

}  // namespace flashket
