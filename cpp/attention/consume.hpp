// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The consumer of a tile of scores: weights times values. Knows nothing of where scores come from.
#pragma once
#include "core/types.hpp"
#include "gram/tile.hpp"

namespace flashket {

constexpr int64_t kValueAlign = 16;  // elements; whole vectors of every instruction set

// Running state of a block of query rows. numerator[i * v_stride + c], v_stride a multiple of kValueAlign. Sums over a
// tile or a part of it are taken in T, sums of those in double: in float the rounding of thousands of tiles would drift
// in one direction.
struct RowState {
  double* numerator;
  double* denominator;
  double* maximum;  // softmax only; starts at -inf
  int64_t v_stride;
  // Sum-normalised float weights of several rows only: sums of a few tiles, which cost less than additions in double.
  // partial_sums(v_stride) elements, 0 at first; nullptr: every tile is added in double.
  float* partial = nullptr;
  bool is_last_partial = false;  // of its tiles: they are added in double then
};

constexpr int64_t kPartialTiles = 8;  // their drift of 16 additions is small beside that of kConsumeKeys inside one

// Sums of every row's values, then of its weights, lane by lane.
constexpr int64_t partial_sums(int64_t v_stride) { return kTileRows * (v_stride + kValueAlign); }
constexpr int64_t kValuePanel = 32;  // columns of values that are used at a time

// Value c of key j lies at data[c / kValuePanel * panel_stride + j * row_stride + c % kValuePanel], for c < v_stride.
// Packed: row_stride is kValuePanel, which the caches like best; rows as the caller has them: panel_stride is
// kValuePanel.
template <class T>
struct ValueTile {
  const T* data;
  int64_t row_stride, panel_stride;
};

// weights[i * kTileStride + j] -> state; weights not admissible are 0 (sum) or -inf (softmax). rows <= kTileRows;
// buffers hold kTileRows rows and are overwritten up to a whole block. Softmax weighs exp(scale * weight), scale > 0.
// What a row gets does not depend on the other rows (but a row that comes alone is summed in another order) nor on how
// many inadmissible keys follow its last one.
template <class T>
using ConsumeTile = void (*)(T* weights, T scale, int64_t rows, int64_t cols, const ValueTile<T>& values,
                             const RowState& state);

// Where a product adds to and takes its values from: element (r, c) lies at data[r * width + c] where it is wide, width
// a multiple of kValueAlign, and at data[c * stride + r] where it is narrow, width at most kNarrowValues.
template <class T>
struct Columns {
  T* data;
  int64_t stride, width;
};

// weights times values alone: sums(i, c) += sum_j weights[i * kTileStride + j] v(j, c), or mirrored
// sums(j, c) += sum_i weights[i * kTileStride + j] v(i, c). Summed in T, added in double. Weights are overwritten
// beyond cols and rows up to whole vectors and blocks, sums are undefined there; v is finite there.
template <class T>
using MultiplyTile = void (*)(T* weights, int64_t rows, int64_t cols, const Columns<const T>& v,
                              const Columns<double>& sums);

template <class T>
struct MultiplyOps {
  MultiplyTile<T> narrow, narrow_mirrored, wide, wide_mirrored;
};

constexpr int64_t kNarrowValues = 8;

struct ConsumeOps {
  ConsumeTile<float> sum_f32;
  ConsumeTile<double> sum_f64;
  ConsumeTile<float> softmax_f32;
  ConsumeTile<double> softmax_f64;
  MultiplyOps<float> multiply_f32;
  MultiplyOps<double> multiply_f64;
};

}  // namespace flashket
