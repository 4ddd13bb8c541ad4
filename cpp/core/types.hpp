// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Plain data shared by every level. C headers only: files compiled once per instruction set include this.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace flashket {

// How two encoded rows become an overlap <x|y>.
enum class PairKind : int {
  product,      // planes (c, s): prod_d (c c' + s s')
  real_dot,     // one plane: sum_d a b
  complex_dot,  // planes (re, im): sum_d conj(a) b
  distance,     // one plane: sum_d (a - b)^2
};

// What the overlap s becomes.
enum class Similarity : int {
  fidelity,   // |s|^(2 power)
  hadamard,   // ((1 + Re s) / 2)^power
  projected,  // exp(-gamma / 2 s) of a distance s
  dot,        // s itself, for the classical controls
};

constexpr int planes(PairKind pair) { return pair == PairKind::real_dot || pair == PairKind::distance ? 1 : 2; }

struct Score {
  PairKind pair;
  Similarity similarity;
  int power;
  double gamma;   // projected only
  int64_t depth;  // elements of one plane

  constexpr int64_t row_elements() const { return depth * planes(pair); }
};

// A step of a compiled Program; see program.hpp for how gates become steps.
enum class StepKind : int { hadamard_all, diagonal, one_qubit, controlled, swap, controlled_x };

// angle = (a0 x[f0] + b0) (a1 x[f1] + b1); feature -1: the factor is b alone.
struct AngleExpression {
  double a0, b0, a1, b1;
  int32_t f0, f1;
};

// One term of a diagonal step's phase polynomial in the bits z_q of the basis index, in turns:
// turns * angle / (2 pi) + offset, times z_a z_b; b < 0: times z_a; a < 0 too: a constant.
struct PhaseTerm {
  int32_t a, b;
  double scale;
  uint64_t offset;  // fixed point, 2^64 = one turn
  int32_t angle;    // index into ProgramView::angles, -1: offset alone
};

struct Step {
  StepKind kind;
  int32_t opcode;                // of one_qubit and controlled steps
  int32_t q0, q1;                // controlled: q0 controls
  int32_t angle;                 // -1: none
  int32_t term_begin, term_end;  // diagonal
  int32_t table;                 // diagonal: slot of its cos/sin table; equal runs share one
  int32_t is_table_ready;        // an earlier step filled the slot
};

struct ProgramView {
  int32_t n_qubits, n_features, n_steps, n_terms, n_tables, n_angles;
  const Step* steps;
  const PhaseTerm* terms;
  const AngleExpression* angles;
};

struct EncoderArgs {
  const double* params;  // params[0] is the number of features, the rest is the map's own
  int64_t n_params;
  const ProgramView* program;
};

// One row in, one encoded row out: plane 0 (depth elements), then plane 1. `scratch` has scratch() elements.
// x is contiguous. Rows are valid: Python refused NaN, infinity and (Amplitude) zero rows.
template <class T>
using EncodeRow = void (*)(const T* x, T* out, T* scratch, const EncoderArgs& args);

// The same for many contiguous rows at once; planes are separate, (rows, depth) each.
template <class T>
using EncodeRows = void (*)(const T* x, int64_t rows, T* plane0, T* plane1, const EncoderArgs& args);

struct Encoder {
  const char* name;
  PairKind pair;
  int64_t (*depth)(const EncoderArgs& args);
  int64_t (*scratch)(const EncoderArgs& args);
  EncodeRow<float> row_f32;
  EncodeRow<double> row_f64;
  EncodeRows<float> rows_f32 = nullptr;  // where encoding rows together is faster
  EncodeRows<double> rows_f64 = nullptr;
};

// Packed operands: rows of the left side in blocks [depth][plane][block_rows], of the right side in panels
// [depth][plane][panel_cols]. Missing rows are zero. Sizes differ by instruction set and element type.
struct TileShape {
  int64_t block_rows;
  int64_t panel_cols;
};

}  // namespace flashket
