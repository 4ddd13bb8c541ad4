// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "attention/consume.hpp"

#include "core/simd.hpp"
#include "gram/tile.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// numerator += weights . v for R rows and W vectors of columns; the sums of one tile stay in registers.
template <class T, int R, int W>
FLASHKET_INLINE void multiply_block(const T* weights, int64_t cols, const T* v, int64_t v_stride, double* numerator) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][W] = {};
  for (int64_t j = 0; j < cols; ++j) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(v + j * v_stride + w * L);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vec<T> weight = splat(weights[r * kTileCols + j]);
      FLASHKET_UNROLL
      for (int w = 0; w < W; ++w) acc[r][w] += weight * x[w];
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) {
      double* to = numerator + r * v_stride + w * L;
      for (int64_t l = 0; l < L; ++l) to[l] += static_cast<double>(acc[r][w][l]);
    }
  }
}

template <class T, int R>
FLASHKET_INLINE void multiply_rows(const T* weights, int64_t cols, const T* v, int64_t v_stride, double* numerator) {
  constexpr int64_t L = kLanes<T>;
  constexpr int W = FLASHKET_VECTOR_BYTES == 64 ? 4 : 2;
  int64_t c = 0;
  for (; c + W * L <= v_stride; c += W * L) multiply_block<T, R, W>(weights, cols, v + c, v_stride, numerator + c);
  for (; c < v_stride; c += L) multiply_block<T, R, 1>(weights, cols, v + c, v_stride, numerator + c);
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
void multiply_wide(T* weights, int64_t rows, int64_t cols, const T* v, int64_t width, double* sums) {
  clear_surplus(weights, rows);
  multiply(weights, rows, cols, v, width, sums);
}

// Dots of R rows with W columns of values: vectors run along the keys, for values too few to fill one.
template <class T, int R, int W>
FLASHKET_INLINE void dot_block(const T* weights, int64_t cols, const T* v, int64_t width, double* sums) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> acc[R][W] = {};
  for (int64_t j = 0; j < cols; j += L) {
    Vec<T> x[W];
    FLASHKET_UNROLL
    for (int w = 0; w < W; ++w) x[w] = load(v + w * kTileCols + j);
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
    for (int w = 0; w < W; ++w) sums[r * width + w] += static_cast<double>(sum_lanes<T>(acc[r][w]));
  }
}

template <class T>
void multiply_narrow(T* weights, int64_t rows, int64_t cols, const T* v, int64_t width, double* sums) {
  clear_surplus(weights, rows);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = cols; j % kLanes<T> != 0; ++j) weights[i * kTileCols + j] = 0;
  for (int64_t i = 0; i < rows; i += 4) {
    const T* block = weights + i * kTileCols;
    double* to = sums + i * width;
    int64_t c = 0;
    for (; c + 2 <= width; c += 2) dot_block<T, 4, 2>(block, cols, v + c * kTileCols, width, to + c);
    if (c < width) dot_block<T, 4, 1>(block, cols, v + c * kTileCols, width, to + c);
  }
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
const ConsumeOps consume_ops = {consume_sum<float>,      consume_sum<double>,    consume_softmax<float>,
                                consume_softmax<double>, multiply_narrow<float>, multiply_wide<float>,
                                multiply_narrow<double>, multiply_wide<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
