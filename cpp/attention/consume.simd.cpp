// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "attention/consume.hpp"

#include "core/simd.hpp"
#include "gram/tile.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int kConsumeRows = FLASHKET_VECTOR_BYTES == 64 ? 8 : 4;

// numerator += weights . v for R rows and W vectors of columns; the sums of one tile stay in registers.
template <class T, int R, int W>
FLASHKET_INLINE void multiply_block(const T* weights, int64_t cols, const T* v, int64_t row_stride, double* numerator,
                                    int64_t numerator_stride) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][W] = {};
  for (int64_t j = 0; j < cols; ++j) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(v + j * row_stride + w * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = splat(weights[r * kTileStride + j]);
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[r][w] += weight * x[w];
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) {
      add_to_doubles(numerator + r * numerator_stride + w * L, acc[r][w]);
    }
  }
}

// One row: neighbouring keys go to sums of their own, or each addition would wait for the one before.
template <class T, int W>
FLASHKET_INLINE void multiply_row(const T* weights, int64_t cols, const T* v, int64_t row_stride, double* numerator) {
  constexpr int64_t L = kLanes<T>, J = 4;
  Vec<T> acc[J][W] = {};
  int64_t j = 0;
  for (; j + J <= cols; j += J) {
    FLASHKET_UNROLL
    for (int u = 0; u < J; ++u) {
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[u][w] += splat(weights[j + u]) * load(v + (j + u) * row_stride + w * L);
    }
  }
  for (; j < cols; ++j) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) acc[0][w] += splat(weights[j]) * load(v + j * row_stride + w * L);
  }
  FLASHKET_UNROLL
  for (int w = 0; w < W; ++w) add_to_doubles(numerator + w * L, (acc[0][w] + acc[1][w]) + (acc[2][w] + acc[3][w]));
}

template <class T, int R>
FLASHKET_INLINE void multiply_rows(const T* weights, int64_t cols, const ValueTile<T>& values, double* numerator,
                                   int64_t numerator_stride) {
  constexpr int64_t L = kLanes<T>;
  constexpr int W = 2;
  for (int64_t c = 0; c < numerator_stride;) {
    const T* v = values.data + c / kValuePanel * values.panel_stride + c % kValuePanel;
    const bool is_wide = c + W * L <= numerator_stride;
    if (R == 1 && values.panel_stride == kValuePanel && c + 4 * L <= numerator_stride) {
      multiply_row<T, 4>(weights, cols, v, values.row_stride, numerator + c);
      c += 4 * L;
      continue;
    }
    if (R == 1 && is_wide)
      multiply_row<T, W>(weights, cols, v, values.row_stride, numerator + c);
    else if (R == 1)
      multiply_row<T, 1>(weights, cols, v, values.row_stride, numerator + c);
    else if (is_wide)
      multiply_block<T, R, W>(weights, cols, v, values.row_stride, numerator + c, numerator_stride);
    else
      multiply_block<T, R, 1>(weights, cols, v, values.row_stride, numerator + c, numerator_stride);
    c += is_wide ? W * L : L;
  }
}

template <class T>
void multiply(const T* weights, int64_t rows, int64_t cols, const ValueTile<T>& values, const RowState& state) {
  if (rows == 1) {
    multiply_rows<T, 1>(weights, cols, values, state.numerator, state.v_stride);
    return;
  }
  // Rows of the last block beyond `rows` are finite garbage nobody reads.
  for (int64_t i = 0; i < rows; i += kConsumeRows)
    multiply_rows<T, kConsumeRows>(weights + i * kTileStride, cols, values, state.numerator + i * state.v_stride,
                                   state.v_stride);
}

template <class T>
void clear_surplus(T* weights, int64_t rows) {
  for (int64_t i = rows; i % kConsumeRows != 0; ++i) memset(weights + i * kTileStride, 0, sizeof(T) * kTileCols);
}

template <class T>
void consume_sum(T* weights, T, int64_t rows, int64_t cols, const ValueTile<T>& values, const RowState& state) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t i = 0; i < rows; ++i) {
    T* row = weights + i * kTileStride;
    for (int64_t j = cols; j % L != 0; ++j) row[j] = 0;  // kTileCols is a multiple of L
    Vec<T> sum = {};
    for (int64_t j = 0; j < cols; j += L) sum += load(row + j);
    state.denominator[i] += sum_lanes<T>(sum);
  }
  clear_surplus(weights, rows);
  multiply(weights, rows, cols, values, state);
}

template <class T>
void consume_softmax(T* weights, T scale, int64_t rows, int64_t cols, const ValueTile<T>& values,
                     const RowState& state) {
  constexpr int64_t L = kLanes<T>;
  const T none = -static_cast<T>(INFINITY);
  for (int64_t i = 0; i < rows; ++i) {
    T* row = weights + i * kTileStride;
    for (int64_t j = cols; j % L != 0; ++j) row[j] = none;
    Vec<T> largest = splat(none);
    for (int64_t j = 0; j < cols; j += L) largest = vmax<T>(load(row + j), largest);
    const T tile_maximum = scale * max_lanes<T>(largest), before = static_cast<T>(state.maximum[i]);
    const T maximum = tile_maximum > before ? tile_maximum : before;
    if (maximum == none) {  // no admissible key yet, or only kernel values of 0 in the log domain
      for (int64_t j = 0; j < cols; ++j) row[j] = 0;
      continue;
    }
    // A score that overflowed has no weight: the row becomes NaN instead of a plausible number.
    if (!(maximum < static_cast<T>(INFINITY))) state.denominator[i] = NAN;
    Vec<T> sum = {};
    for (int64_t j = 0; j < cols; j += L) {
      const Vec<T> w = exp_nonpositive(load(row + j) * scale - maximum);
      sum += w;
      store<T>(row + j, w);
    }
    if (maximum != before) {
      const double shrink = static_cast<double>(exp_nonpositive(splat(before - maximum))[0]);
      state.denominator[i] *= shrink;
      for (int64_t c = 0; c < state.v_stride; ++c) state.numerator[i * state.v_stride + c] *= shrink;
      state.maximum[i] = maximum;
    }
    state.denominator[i] += sum_lanes<T>(sum);
  }
  clear_surplus(weights, rows);
  multiply(weights, rows, cols, values, state);
}

}  // namespace

extern const ConsumeOps consume_ops;
const ConsumeOps consume_ops = {consume_sum<float>, consume_sum<double>, consume_softmax<float>,
                                consume_softmax<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
