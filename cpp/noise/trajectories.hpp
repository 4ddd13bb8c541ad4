// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Trajectories of noisy circuits: what is drawn, and the plan of noise/trajectory.hpp.
#pragma once
#include <complex>

#include "core/views.hpp"
#include "noise/steps.hpp"

namespace flashket {

constexpr int32_t kMaxTrajectoryQubits = 26;
constexpr int64_t kMaxKraus = 4;

struct KrausChannels {
  const std::complex<double>* operators;  // (n_single, 4, 2, 2), over the root of their probabilities
  const double* cumulative;               // (n_single, 4) probabilities, summed up
  int64_t n_single;
  const double* pair_cumulative;  // (n_pair, 16) of the Pauli strings d_q0 + 4 d_q1
  int64_t n_pair;
};

// Of each wire one of two vectors.
struct TrajectoryStart {
  const std::complex<double>* vectors;  // (n_qubits, 2, 2), over the root of their probabilities
  const double* first_probability;      // (n_qubits)
};

// Trajectories on which nothing goes wrong, the likeliest choice everywhere, are worth no more than one run. The others
// begin with a draw of where the first thing goes wrong: operations, then wires of the start.
struct FirstError {
  const double* cumulative;  // (n_operations + n_qubits) of being there or before, given that there is one
  int64_t size;              // 0: plain draws
};

struct TrajectoryOptions {
  bool is_backward;
  int64_t per_row;
  int64_t first_row, first_trajectory;  // of x and of each row among all: what is drawn depends on them
  uint64_t seed;
  FirstError first_error;  // with it the first trajectory of each row is the one without errors, beside `per_row` - 1
};

// out: (x.rows * per_row, 2^n real parts and 2^n imaginary parts); the trajectories of a row follow each other. What
// trajectory r of row i draws for operation k comes from the Philox block (r, i, k), whatever the number of threads.
template <class T>
void trajectories(const NoisyGates& noisy, const KrausChannels& channels, const TrajectoryStart& start,
                  const MatrixView<const double>& x, const TrajectoryOptions& options, const MatrixView<T>& out);

}  // namespace flashket
