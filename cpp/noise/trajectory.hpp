// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Noisy circuits on state vectors. A channel sum_k K_k rho K_k^dagger becomes one of its operators, drawn with a
// probability q_k that does not depend on the state, K_k / sqrt(q_k): then the mean of |psi><psi| over trajectories is
// the density matrix, although a single psi is not normalised (linear quantum trajectories: H. M. Wiseman, "Quantum
// trajectories and quantum measurement theory", Quantum Semiclass. Opt. 8 (1996)). No step looks at the state, so all
// operators on one qubit become one, and the circuit runs backward, K_k^dagger / sqrt(q_k), just as well.
#pragma once
#include "core/program_view.hpp"

namespace flashket {

enum class TrajectoryItemKind : int32_t { map_a, map_b, turn, quarter };

struct TrajectoryItem {
  TrajectoryItemKind kind;
  int32_t index;  // of a map; of a turn; the sign of a quarter
};

// Items on one pair of qubits, applied in one pass.
struct TrajectoryStep {
  int32_t a, b;  // positions
  int32_t item_begin, item_end;
  int32_t n_active;  // qubits that take part; the others are factors of their own
};

struct TrajectoryPlan {
  int32_t n_qubits, n_steps;
  const TrajectoryItem* items;
  const TrajectoryStep* steps;
  const int32_t* last_wire;  // of each position: its bit in the result
};

// Numbers of `lanes` trajectories side by side.
template <class T>
struct TrajectoryLanes {
  const T* factors;  // (n_qubits, 4, lanes) by position: amplitudes of 0 and 1, real and imaginary
  const T* maps;     // (n_maps, 8, lanes): rows of a 2 x 2 matrix, real and imaginary
  const T* turns;    // (n_turns, 2, lanes): cosine and sine of the phase where the two bits differ
};

template <class T>
struct TrajectoryFunctions {
  int64_t lanes;
  // state: (2^n, 2, lanes), real and imaginary
  void (*run)(const TrajectoryPlan& plan, const TrajectoryLanes<T>& lanes, T* state);
  // Rows of 2^n real parts, then 2^n imaginary parts.
  void (*write)(const TrajectoryPlan& plan, const T* state, int64_t rows, T* out, int64_t row_stride);
};

struct TrajectoryOps {
  TrajectoryFunctions<float> f32;
  TrajectoryFunctions<double> f64;
};

}  // namespace flashket
