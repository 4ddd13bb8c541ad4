// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A compiled circuit as plain data. Only two kinds of operation are left of all gates: one-qubit unitaries, and phases
// that are diagonal in the computational basis. program.hpp says how gates become operations, plan.hpp in which order
// and in which blocks of memory they run.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace flashket {

constexpr int32_t kMaxQubits = 40;
constexpr int32_t kMaxRegisterQubits = 4;

// angle = (a0 x[f0] + b0) (a1 x[f1] + b1) radians; feature -1: the factor is b alone.
struct AngleExpression {
  double a0, b0, a1, b1;
  int32_t f0, f1;
};

// cos and sin of `multiple` quarters of an angle.
struct AngleUse {
  int32_t angle, multiple;
};

struct Complex {
  double re, im;
};

enum class FactorKind : int32_t { fixed, rx, ry, rz, phase };

// One factor of a one-qubit unitary; of neighbouring fixed gates the product is kept.
struct Factor {
  FactorKind kind;
  int32_t use;     // index into ProgramView::uses, -1 for fixed
  double m[2][4];  // fixed: rows (re, im, re, im)
};

// The product of its factors, the first one acting first. Fixed: the same for every row, and so are all before it on
// its qubit.
struct Unitary {
  int32_t qubit, factor_begin, factor_end, is_fixed;
};

// What is applied of a unitary, see core/unitary.hpp.
struct Core {
  Complex r;
  int32_t is_swapped;
};

// exp(i phase) where qubits a and b are both 1.
struct PairPhase {
  int32_t a, b;
  int32_t use;  // -1: the phase is half a turn (CZ)
};

// Phase polynomials have degree 2 in the signs s_q = +-1, -1 where bit q of the basis index is set. Coefficients: of 1,
// of s_q (n_qubits), of s_k s_j for j < k at pairs_of(k) + j.
constexpr int64_t pairs_of(int64_t n) { return n * (n - 1) / 2; }
constexpr int64_t coefficients_of(int64_t n) { return 1 + n + pairs_of(n); }

// What a coefficient is the sum of: `multiple` quarters of an angle, and fixed phases.
struct PhaseTerm {
  int32_t coefficient, angle, multiple;
};
struct FixedPhase {
  int32_t coefficient;
  uint64_t phase;  // fixed point, 2^64 = one turn
};

struct PhasePolynomial {
  int32_t term_begin, constant_end, term_end;  // terms of coefficient 0 come first
  int32_t fixed_begin, fixed_end;
  int32_t table;  // slot of its cos and sin table; -1: it runs once, a table would not pay
};

enum class OperationKind : int32_t { unitary, pair_phase, scale, polynomial };

// An operation in its place: qubits inside a vector are lanes, those inside a tile of vectors are registers.
struct PlannedOperation {
  OperationKind kind;
  int32_t index;                      // into the list of its kind
  int32_t place;                      // of a unitary: 0.. a register, kMaxRegisterQubits.. a lane
  uint32_t register_mask, lane_mask;  // of a phase: bits that must be set for it to act
  int64_t block_mask;                 // the same within the block, registers and lanes left out
  uint64_t outer_mask;                // the same among qubits that are fixed in the block
};

// Operations applied in one pass over a block; or, with polynomial >= 0, that alone.
struct Tile {
  int32_t op_begin, op_end;
  int32_t n_registers, registers[kMaxRegisterQubits];  // positions within the block, ascending
  int32_t polynomial;
};

// One pass over the state, block by block.
struct Pass {
  int32_t tile_begin, tile_end;
  int32_t n_local, n_outer;
  int32_t local[kMaxQubits], outer[kMaxQubits];  // qubits, ascending
  int32_t run_bits;                              // local[i] == i below: so long are contiguous runs
};

struct PlanView {
  int32_t n_passes, n_operations;
  int32_t largest_tile;  // operations
  const Pass* passes;
  const Tile* tiles;
  const PlannedOperation* operations;
};

// What a plan depends on beside the circuit.
struct PlanShape {
  int32_t lane_bits, register_bits, block_bits;
};

struct ProgramView {
  int32_t n_qubits, n_features;
  int32_t n_angles, n_uses, n_unitaries, n_pair_phases, n_polynomials, n_scales, n_tables;
  int32_t scale_interval;         // unitaries for each scale
  const AngleExpression* angles;  // in place of -1 features are n_features: a row ends in a zero
  const AngleUse* uses;
  const Factor* factors;
  const Unitary* initial;    // n_qubits, acting on |0>
  const Unitary* unitaries;  // in the order in which they act
  const Unitary* final;      // n_qubits, diagonal
  // Of fixed unitaries:
  const Complex* fixed_initial;  // 2 for each qubit: the amplitudes of 0 and 1
  const Core* fixed_cores;       // as unitaries
  const Complex* fixed_rests;    // for each qubit the phase of 1 that the last of them leaves
  const Complex* fixed_pivots;   // n_scales + 1, of each run of scale_interval unitaries the product
  int32_t is_uniform;            // the circuit starts with equal amplitudes, whatever the row:
  Complex uniform;               // this
  const PairPhase* pair_phases;
  const PhasePolynomial* polynomials;
  const PhaseTerm* terms;
  const FixedPhase* fixed_phases;
  const void* owner;
  const PlanView* (*plan)(const void* owner, PlanShape shape);  // made once for each shape; any thread may ask
};

}  // namespace flashket
