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

struct ProgramView;  // a compiled circuit, see core/program_view.hpp
struct StateOps;     // blocks of large states, see states/state_ops.hpp

struct EncoderArgs {
  const double* params;  // params[0] is the number of features, the rest is the map's own
  int64_t n_params;
  const ProgramView* program;
};

// One row in, one encoded row out: plane 0 (depth elements), then plane 1. `scratch` has scratch() elements.
// x is contiguous. Rows are valid: Python refused NaN, infinity and (Amplitude) zero rows.
template <class T>
using EncodeRow = void (*)(const T* x, T* out, T* scratch, const EncoderArgs& args);

struct Encoder {
  const char* name;
  PairKind pair;
  int64_t (*depth)(const EncoderArgs& args);
  int64_t (*scratch)(const EncoderArgs& args);
  EncodeRow<float> row_f32;
  EncodeRow<double> row_f64;
  const StateOps* states = nullptr;  // of circuits: what runs the blocks of one state on several threads
};

// Packed operands: rows of the left side in blocks [depth][plane][block_rows], of the right side in panels
// [depth][plane][panel_cols]. Missing rows are zero. Sizes differ by instruction set and element type.
struct TileShape {
  int64_t block_rows;
  int64_t panel_cols;
};

}  // namespace flashket
