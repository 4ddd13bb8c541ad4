// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Noisy circuits on density matrices written in Pauli strings, rho = 2^-n sum_P c_P P: 4^n real numbers. A gate or a
// channel of one qubit is a real affine map of its (x, y, z); all that act on a qubit in a row become one map. Of two
// qubits only exp(-i t/2 ZZ) is left, which turns four pairs of strings, and channels that scale each string.
//
// An operator E = sum_P e_P P has Tr(E rho) = sum_P e_P c_P. Pulled back through the circuit (Heisenberg's picture) it
// goes through the transposed maps in reverse order: that is the same kind of plan.
#pragma once
#include "core/program_view.hpp"

namespace flashket {

// A turn about an axis by an angle that depends on the row, or fixed: rows x, y, z of a map whose first row is
// (1, 0, 0, 0).
struct PauliFactor {
  int32_t axis;  // 0, 1, 2 for x, y, z; -1: fixed
  int32_t use;   // which cosine and sine
  double m[3][4];
};

// The product of its factors, the first one acting first.
struct PauliMap {
  int32_t factor_begin, factor_end;
};

enum class PauliItemKind : int32_t { map_a, map_b, turn, quarter, channel };

struct PauliItem {
  PauliItemKind kind;
  int32_t index;  // of a map; of the use of a turn's angle; a quarter's sign; of 16 scales, digits d_a + 4 d_b
};

// Items on one pair of qubits, applied in one pass.
struct PauliStep {
  int32_t a, b;  // positions
  int32_t item_begin, item_end;
  int32_t n_active;  // qubits that take part; the others are factors of their own
};

// What one direction runs. Position k of the state belongs to the k-th qubit that takes part.
struct PauliPlan {
  int32_t n_qubits, n_angles, n_uses, n_maps, n_steps;
  int32_t is_transposed;
  const AngleExpression* angles;  // in place of -1 features are n_features: a row ends in a zero
  const AngleUse* uses;
  const PauliFactor* factors;
  const PauliMap* maps;
  const PauliItem* items;
  const double* channels;  // (., 16)
  const PauliStep* steps;
  const int32_t* first_wire;   // of each position: the row of `start`
  const int32_t* last_wire;    // of each position: its digit in the result
  const int32_t* first_items;  // of each position: begin and end in first_maps, what acts on it before its first step
  const int32_t* first_maps;
};

struct PauliOps {
  int64_t lanes;  // rows that run side by side
  // Elements of a worker's memory, without the state, which has 4^n * lanes.
  int64_t (*scratch)(const PauliPlan& plan);
  // x: (n_features + 1, lanes), the last row zero. start: (n_qubits, 4), a product of operators or states.
  void (*run)(const PauliPlan& plan, const double* start, const double* x, double* state, double* scratch);
  // Rows of 4^n components, or of the 2^n strings of I and Z alone.
  void (*write)(const PauliPlan& plan, const double* state, int64_t rows, bool only_diagonal, double* out,
                int64_t row_stride);
};

}  // namespace flashket
