// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Plain data shared by every level. C headers only: files compiled once per instruction set include this.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace flashket {

// How two encoded rows become an overlap <x|y>, and what an encoded row holds.
enum class PairKind : int {
  product,   // per pair of features cos(a + b), sin(a + b), cos(a - b), sin(a - b): product of halves of 4-vector dots
  tangent,   // per group of features their tangents t, then the product of their cosines c; then all cotangents u, with
             // products of sines s: prod_groups c s' prod_features (t + u')
  real_dot,  // a: sum_d a b
  complex_dot,  // all re, then all im: sum_d conj(a) b
  distance,     // a: sum_d (a - b)^2
  transfer,     // kTransferElements a step: a product of 2 x 2 matrices, gram/transfer.hpp
};

// What the overlap s becomes.
enum class Similarity : int {
  fidelity,   // |s|^(2 power)
  hadamard,   // ((1 + Re s) / 2)^power
  projected,  // exp(-gamma / 2 s) of a distance s
  dot,        // s itself, for the classical controls
};

constexpr int64_t kTransferElements = 10;

struct Score {
  PairKind pair;
  Similarity similarity;
  int power;
  double gamma;  // projected only
  // Pairs of features of a product, features of a tangent, steps of a transfer, terms of a sum.
  int64_t depth;
  int64_t group;  // features of a tangent's group

  constexpr int64_t row_elements() const {
    switch (pair) {
      case PairKind::product:
        return 4 * depth;
      case PairKind::tangent:
        return 2 * (depth + (depth + group - 1) / group);
      case PairKind::complex_dot:
        return 2 * depth;
      case PairKind::transfer:
        return kTransferElements * depth;
      default:
        return depth;
    }
  }

  // Elements of a row that meet others in one pair: of a tangent row one half.
  constexpr int64_t pair_elements() const { return pair == PairKind::tangent ? row_elements() / 2 : row_elements(); }

  // From a row to the next among packed rows. Long rows get a few elements more: at distances near a power of two the
  // panels of a tile would meet in the same few sets of a cache.
  constexpr int64_t pitch() const { return row_elements() < 256 ? row_elements() : row_elements() + 72; }
};

struct ProgramView;  // a compiled circuit, see core/program_view.hpp
struct StateOps;     // blocks of large states, see states/state_ops.hpp

struct EncoderArgs {
  const double* params;  // params[0] is the number of features, the rest is the map's own
  int64_t n_params;
  const ProgramView* program;
  // Of a tangent encoder: (n_features), the middle of each feature's range, or nullptr; and Score::group.
  const double* centre;
  int64_t group;
};

// One row in, one encoded row of row_elements() out. `scratch` has scratch() elements.
// x is contiguous. Rows are valid: Python refused NaN, infinity and (Amplitude) zero rows.
template <class T>
using EncodeRow = void (*)(const T* x, T* out, T* scratch, const EncoderArgs& args);

// What a panel of tangent rows tells of them: the least and the largest tangent, and the least size of a group's
// factor.
struct TangentRange {
  double low, high, least_factor;
};

// A whole panel of rows at once, [feature][row in panel] in, [element][row in panel] out: what belongs to a feature is
// there once for all rows, and rows are lanes.
template <class T>
using EncodePanel = TangentRange (*)(const T* x, T* panel, const EncoderArgs& args);

// Cosines and sines of half angles of many contiguous rows at once, (rows, n_features) each: the states of a product
// map.
template <class T>
using EncodeQubits = void (*)(const T* x, int64_t rows, T* cosine, T* sine, const EncoderArgs& args);

// overlaps[j] = <query|row j> of rows as the caller has them, row_stride apart: no encoding, for a query that meets
// each row once. NaN where a row has no state.
template <class T>
using ScoreRows = void (*)(const T* query, const T* rows, int64_t row_stride, int64_t count, T* overlaps,
                           const EncoderArgs& args);

// Values that are weighed while rows are scored: sums[c] += sum_j weights[j] values[j * row_stride + c].
constexpr int64_t kStreamedValues = 64;  // columns
constexpr int64_t kStreamedRows = 16;    // as many as are scored at a time, the rest is left
struct WeighedValues {
  const float *weights, *values;  // weights == nullptr: nothing to do
  int64_t row_stride;
  float* sums;
};

// As ScoreRows, and weighs as many values as whole vectors of rows are scored: the arithmetic of scores hides behind
// the reading of values, which takes longer.
using ScoreRowsStreaming = void (*)(const float* query, const float* rows, int64_t row_stride, int64_t count,
                                    float* overlaps, const EncoderArgs& args, const WeighedValues& beside);

struct Encoder {
  const char* name;
  PairKind pair;
  int64_t (*depth)(const EncoderArgs& args);
  int64_t (*scratch)(const EncoderArgs& args);
  EncodeRow<float> row_f32;  // null where there is a panel form
  EncodeRow<double> row_f64;
  const StateOps* states = nullptr;  // of circuits: what runs the blocks of one state on several threads
  // The same map in a cheaper form, which does not serve logarithms; nullptr: there is none.
  const Encoder* tangent = nullptr;
  EncodeQubits<float> qubits_f32 = nullptr;  // of product maps
  EncodeQubits<double> qubits_f64 = nullptr;
  ScoreRows<float> score_rows_f32 = nullptr;
  ScoreRows<double> score_rows_f64 = nullptr;
  EncodePanel<float> panel_f32 = nullptr;  // of tangent maps
  EncodePanel<double> panel_f64 = nullptr;
  ScoreRowsStreaming score_rows_streaming = nullptr;  // nullptr where nothing is gained
};

}  // namespace flashket
