// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "attention/consume.hpp"

#include "core/simd.hpp"
#include "gram/tile.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

template <class T>
FLASHKET_INLINE void add_widened(double* to, Vec<T> v) {
  if constexpr (sizeof(T) == 8) {
    store<double>(to, load(to) + v);
  } else {
    typedef float Half __attribute__((vector_size(FLASHKET_VECTOR_BYTES / 2)));
    Half half[2];
    memcpy(half, &v, sizeof v);
    FLASHKET_UNROLL
    for (int h = 0; h < 2; ++h, to += kLanes<double>)
      store<double>(to, load(to) + __builtin_convertvector(half[h], Vec<double>));
  }
}

// numerator += weights . v for R rows and W vectors of columns; the sums of one tile stay in registers. Mirrored: rows
// of the product are columns of the tile, and its rows are summed over.
template <class T, int R, int W, bool kIsMirrored>
FLASHKET_INLINE void multiply_block(const T* weights, int64_t count, const T* v, int64_t v_stride, double* numerator) {
  constexpr int64_t L = kLanes<T>, kRow = kIsMirrored ? 1 : kTileCols, kTerm = kIsMirrored ? kTileCols : 1;
  Vec<T> acc[R][W] = {};
  for (int64_t j = 0; j < count; ++j) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(v + j * v_stride + w * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = splat(weights[r * kRow + j * kTerm]);
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[r][w] += weight * x[w];
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) add_widened<T>(numerator + r * v_stride + w * L, acc[r][w]);
  }
}

template <class T, int R, bool kIsMirrored = false>
FLASHKET_INLINE void multiply_rows(const T* weights, int64_t count, const T* v, int64_t v_stride, double* numerator) {
  constexpr int64_t L = kLanes<T>;
  constexpr int W = FLASHKET_VECTOR_BYTES == 64 ? 4 : 2;
  int64_t c = 0;
  for (; c + W * L <= v_stride; c += W * L)
    multiply_block<T, R, W, kIsMirrored>(weights, count, v + c, v_stride, numerator + c);
  for (; c < v_stride; c += L) multiply_block<T, R, 1, kIsMirrored>(weights, count, v + c, v_stride, numerator + c);
}

template <class T>
void multiply(const T* weights, int64_t rows, int64_t cols, const T* v, int64_t v_stride, double* sums) {
  if (rows == 1) {
    multiply_rows<T, 1>(weights, cols, v, v_stride, sums);
    return;
  }
  // Rows of the last block beyond `rows` are finite garbage nobody reads.
  for (int64_t i = 0; i < rows; i += 4)
    multiply_rows<T, 4>(weights + i * kTileCols, cols, v, v_stride, sums + i * v_stride);
}

template <class T>
void clear_surplus(T* weights, int64_t rows) {
  for (int64_t i = rows; i % 4 != 0; ++i) memset(weights + i * kTileCols, 0, sizeof(T) * kTileCols);
}

template <class T>
void multiply_wide(T* weights, int64_t rows, int64_t cols, const Columns<const T>& v, const Columns<double>& sums) {
  clear_surplus(weights, rows);
  multiply(weights, rows, cols, v.data, v.width, sums.data);
}

template <class T>
void multiply_wide_mirrored(T* weights, int64_t rows, int64_t cols, const Columns<const T>& v,
                            const Columns<double>& sums) {
  for (int64_t j = 0; j < cols; j += 4)
    multiply_rows<T, 4, true>(weights + j, rows, v.data, v.width, sums.data + j * v.width);
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
      const Vec<T> weight = load(weights + r * kTileCols + j);
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
    for (int64_t j = cols; j % kLanes<T> != 0; ++j) weights[i * kTileCols + j] = 0;
  for (int64_t i = 0; i < rows; i += 4) {
    const T* block = weights + i * kTileCols;
    int64_t c = 0;
    for (; c + 2 <= v.width; c += 2) dot_block<T, 4, 2>(block, cols, v, sums, i, c);
    if (c < v.width) dot_block<T, 4, 1>(block, cols, v, sums, i, c);
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
    for (int n = 0; n < V; ++n) weight[n] = load(weights + i * kTileCols + n * L);
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
    for (int n = 0; n < V; ++n) add_widened<T>(sums.data + (column + w) * sums.stride + row + n * L, acc[w][n]);
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

template <class T>
void consume_sum(T* weights, T, int64_t rows, int64_t cols, const T* v, const RowState& state) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t i = 0; i < rows; ++i) {
    T* row = weights + i * kTileCols;
    for (int64_t j = cols; j % L != 0; ++j) row[j] = 0;  // kTileCols is a multiple of L
    Vec<T> sum = {};
    for (int64_t j = 0; j < cols; j += L) sum += load(row + j);
    state.denominator[i] += sum_lanes<T>(sum);
  }
  clear_surplus(weights, rows);
  multiply(weights, rows, cols, v, state.v_stride, state.numerator);
}

template <class T>
void consume_softmax(T* weights, T scale, int64_t rows, int64_t cols, const T* v, const RowState& state) {
  constexpr int64_t L = kLanes<T>;
  const T none = -static_cast<T>(INFINITY);
  for (int64_t i = 0; i < rows; ++i) {
    T* row = weights + i * kTileCols;
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
  multiply(weights, rows, cols, v, state.v_stride, state.numerator);
}

}  // namespace

extern const ConsumeOps consume_ops;
const ConsumeOps consume_ops = {
    consume_sum<float>,
    consume_sum<double>,
    consume_softmax<float>,
    consume_softmax<double>,
    {multiply_narrow<float>, multiply_narrow_mirrored<float>, multiply_wide<float>, multiply_wide_mirrored<float>},
    {multiply_narrow<double>, multiply_narrow_mirrored<double>, multiply_wide<double>, multiply_wide_mirrored<double>},
};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
