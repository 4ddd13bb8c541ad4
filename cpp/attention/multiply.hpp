// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Weights of a tile times values. For files compiled per instruction set.
#pragma once
#include "attention/consume.hpp"
#include "core/simd.hpp"
#include "gram/tile.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int kConsumeRows = FLASHKET_VECTOR_BYTES == 64 ? 8 : 4;
// Keys whose products one float adds up: the rounding of n equal ones may drift by 2e-8 n.
constexpr int64_t kConsumeKeys = 128;

FLASHKET_INLINE void add_to(double* sums, Vec<double> v) { add_to_doubles(sums, v); }
FLASHKET_INLINE void add_to(double* sums, Vec<float> v) { add_to_doubles(sums, v); }
FLASHKET_INLINE void add_to(float* sums, Vec<float> v) { store<float>(sums, load(sums) + v); }

// sums += weights . v for R rows and W vectors of columns; the sums of one tile stay in registers. Mirrored: rows of
// the product are columns of the tile, and its rows are summed over. With totals, totals[r * kValueAlign + lane] +=
// weights of row r, which are 0 from count up to a whole vector: the loop has loads to spare, a pass of its own would
// not.
template <class T, int R, int W, bool kIsMirrored, bool kHasTotals = false, class Sum>
FLASHKET_INLINE void multiply_block(const T* weights, int64_t count, const T* v, int64_t row_stride, Sum* sums,
                                    int64_t sums_stride, Sum* totals = nullptr) {
  constexpr int64_t L = kLanes<T>, kRow = kIsMirrored ? 1 : kTileStride, kTerm = kIsMirrored ? kTileStride : 1;
  Vec<T> acc[R][W] = {};
  const auto add_term = [&](int64_t j) __attribute__((always_inline)) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(v + j * row_stride + w * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = splat(weights[r * kRow + j * kTerm]);
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[r][w] += weight * x[w];
    }
  };
  int64_t j = 0;
  if constexpr (kHasTotals) {
    Vec<T> total[R] = {};
    for (; j < count; j += L) {
      FLASHKET_UNROLL
      for (int r = 0; r < R; ++r) total[r] += load(weights + r * kRow + j);
      if (j + L > count) break;
      for (int64_t l = 0; l < L; l += 4) {
        FLASHKET_UNROLL
        for (int u = 0; u < 4; ++u) add_term(j + l + u);
      }
    }
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) add_to(totals + r * kValueAlign, total[r]);
  }
  for (; j < count; ++j) add_term(j);
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) add_to(sums + r * sums_stride + w * L, acc[r][w]);
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

template <class T, int R, bool kIsMirrored = false>
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
      multiply_block<T, R, W, kIsMirrored>(weights, cols, v, values.row_stride, numerator + c, numerator_stride);
    else
      multiply_block<T, R, 1, kIsMirrored>(weights, cols, v, values.row_stride, numerator + c, numerator_stride);
    c += is_wide ? W * L : L;
  }
}

template <class T>
void multiply(const T* weights, int64_t rows, int64_t cols, const ValueTile<T>& values, double* sums,
              int64_t sums_stride) {
  if (rows == 1) {
    multiply_rows<T, 1>(weights, cols, values, sums, sums_stride);
    return;
  }
  for (int64_t j = 0; j < cols; j += kConsumeKeys) {
    const int64_t count = cols - j < kConsumeKeys ? cols - j : kConsumeKeys;
    const ValueTile<T> run = {values.data + j * values.row_stride, values.row_stride, values.panel_stride};
    // Rows of the last block beyond `rows` are zeros whose sums nobody reads.
    for (int64_t i = 0; i < rows; i += kConsumeRows)
      multiply_rows<T, kConsumeRows>(weights + i * kTileStride + j, count, run, sums + i * sums_stride, sums_stride);
  }
}

// The same in float, with the totals of the weights behind all sums.
FLASHKET_INLINE void multiply_partial(const float* weights, int64_t rows, int64_t cols, const ValueTile<float>& values,
                                      float* sums, int64_t stride) {
  constexpr int64_t L = kLanes<float>;
  float* totals = sums + kTileRows * stride;
  for (int64_t j = 0; j < cols; j += kConsumeKeys) {
    const int64_t count = cols - j < kConsumeKeys ? cols - j : kConsumeKeys;
    for (int64_t i = 0; i < rows; i += kConsumeRows) {
      const float* block = weights + i * kTileStride + j;
      for (int64_t c = 0; c < stride;) {
        const float* v = values.data + c / kValuePanel * values.panel_stride + c % kValuePanel + j * values.row_stride;
        const bool is_wide = c + 2 * L <= stride;
        const auto multiply = [&]<int W, bool kHasTotals>() __attribute__((always_inline)) {
          multiply_block<float, kConsumeRows, W, false, kHasTotals>(
              block, count, v, values.row_stride, sums + i * stride + c, stride, totals + i * kValueAlign);
        };
        if (c == 0 && is_wide)
          multiply.template operator()<2, true>();
        else if (c == 0)
          multiply.template operator()<1, true>();
        else if (is_wide)
          multiply.template operator()<2, false>();
        else
          multiply.template operator()<1, false>();
        c += is_wide ? 2 * L : L;
      }
    }
  }
}

template <class T>
void clear_surplus(T* weights, int64_t rows) {
  for (int64_t i = rows; i % kConsumeRows != 0; ++i) memset(weights + i * kTileStride, 0, sizeof(T) * kTileCols);
}

template <class T>
void multiply_wide(T* weights, int64_t rows, int64_t cols, const Columns<const T>& v, const Columns<double>& sums) {
  clear_surplus(weights, rows);
  multiply<T>(weights, rows, cols, {v.data, v.width, kValuePanel}, sums.data, v.width);
}

template <class T>
void multiply_wide_mirrored(T* weights, int64_t rows, int64_t cols, const Columns<const T>& v,
                            const Columns<double>& sums) {
  const ValueTile<T> values = {v.data, v.width, kValuePanel};
  for (int64_t j = 0; j < cols; j += kConsumeRows)
    multiply_rows<T, kConsumeRows, true>(weights + j, rows, values, sums.data + j * v.width, v.width);
}

// Dots of R rows with W columns of values: vectors run along the keys, for values too few to fill one.
template <class T, int R, int W>
FLASHKET_INLINE void dot_block(const T* weights, int64_t cols, const Columns<const T>& v, const Columns<double>& sums,
                               int64_t row, int64_t column) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][W] = {};
  for (int64_t j = 0; j < cols; j += L) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(v.data + (column + w) * v.stride + j);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = load(weights + r * kTileStride + j);
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[r][w] += weight * x[w];
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w)
      sums.data[(column + w) * sums.stride + row + r] += static_cast<double>(sum_lanes<T>(acc[r][w]));
  }
}

template <class T>
void multiply_narrow(T* weights, int64_t rows, int64_t cols, const Columns<const T>& v, const Columns<double>& sums) {
  clear_surplus(weights, rows);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = cols; j % kLanes<T> != 0; ++j) weights[i * kTileStride + j] = 0;
  for (int64_t i = 0; i < rows; i += kConsumeRows) {
    const T* block = weights + i * kTileStride;
    int64_t c = 0;
    for (; c + 2 <= v.width; c += 2) dot_block<T, kConsumeRows, 2>(block, cols, v, sums, i, c);
    if (c < v.width) dot_block<T, kConsumeRows, 1>(block, cols, v, sums, i, c);
  }
}

// V vectors along the tile's columns, summed over its rows, for W columns of values.
template <class T, int V, int W>
FLASHKET_INLINE void fold_block(const T* weights, int64_t rows, const Columns<const T>& v, const Columns<double>& sums,
                                int64_t row, int64_t column) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[W][V] = {};
  for (int64_t i = 0; i < rows; ++i) {
    Vec<T> weight[V];
    FLASHKET_UNROLL
    for (int n = 0; n < V; ++n) weight[n] = load(weights + i * kTileStride + n * L);
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) {
      const Vec<T> x = splat(v.data[(column + w) * v.stride + i]);
      FLASHKET_UNROLL
      for (int n = 0; n < V; ++n) acc[w][n] += weight[n] * x;
    }
  }
  FLASHKET_UNROLL
  for (int w = 0; w < W; ++w) {
    FLASHKET_UNROLL
    for (int n = 0; n < V; ++n) add_to_doubles(sums.data + (column + w) * sums.stride + row + n * L, acc[w][n]);
  }
}

template <class T, int W>
FLASHKET_INLINE void fold_columns(const T* weights, int64_t rows, int64_t cols, const Columns<const T>& v,
                                  const Columns<double>& sums, int64_t column) {
  constexpr int64_t L = kLanes<T>;
  int64_t j = 0;
  for (; j + 4 * L <= cols; j += 4 * L) fold_block<T, 4, W>(weights + j, rows, v, sums, j, column);
  for (; j < cols; j += L) fold_block<T, 1, W>(weights + j, rows, v, sums, j, column);
}

template <class T>
void multiply_narrow_mirrored(T* weights, int64_t rows, int64_t cols, const Columns<const T>& v,
                              const Columns<double>& sums) {
  int64_t c = 0;
  for (; c + 2 <= v.width; c += 2) fold_columns<T, 2>(weights, rows, cols, v, sums, c);
  if (c < v.width) fold_columns<T, 1>(weights, rows, cols, v, sums, c);
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
