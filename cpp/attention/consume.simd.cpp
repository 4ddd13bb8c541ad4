// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "attention/consume.hpp"

#include "attention/multiply.hpp"
#include "gram/tile.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Rows side by side, as one addition waits for the one before.
template <class T, int R>
FLASHKET_INLINE void add_row_sums(const T* weights, int64_t cols, double* sums) {
  Vec<T> sum[R] = {};
  for (int64_t j = 0; j < cols; j += kLanes<T>) {
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) sum[r] += load(weights + r * kTileStride + j);
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) sums[r] += sum_lanes<T>(sum[r]);
}

void add_partial(const RowState& state, int64_t rows) {
  float* sums = state.partial;
  for (int64_t at = 0; at < rows * state.v_stride; at += kLanes<float>) {
    add_to(state.numerator + at, load(sums + at));
    store<float>(sums + at, Vec<float>{});
  }
  float* totals = sums + kTileRows * state.v_stride;
  for (int64_t i = 0; i < rows; ++i, totals += kValueAlign) {
    for (int64_t l = 0; l < kValueAlign; ++l) state.denominator[i] += static_cast<double>(totals[l]);
    memset(totals, 0, kValueAlign * sizeof(float));
  }
}

template <class T>
void consume_sum(T* weights, T, int64_t rows, int64_t cols, const ValueTile<T>& values, const RowState& state) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = cols; j % kLanes<T> != 0; ++j) weights[i * kTileStride + j] = 0;  // kTileCols is a multiple
  if constexpr (sizeof(T) == sizeof(float)) {
    if (state.partial != nullptr && rows > 1) {
      clear_surplus(weights, rows);
      multiply_partial(weights, rows, cols, values, state.partial, state.v_stride);
      if (state.is_last_partial) add_partial(state, rows);
      return;
    }
  }
  int64_t i = 0;
  for (; i + kConsumeRows <= rows; i += kConsumeRows)
    add_row_sums<T, kConsumeRows>(weights + i * kTileStride, cols, state.denominator + i);
  for (; i < rows; ++i) add_row_sums<T, 1>(weights + i * kTileStride, cols, state.denominator + i);
  if (rows > 1) clear_surplus(weights, rows);
  multiply(weights, rows, cols, values, state.numerator, state.v_stride);
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
  multiply(weights, rows, cols, values, state.numerator, state.v_stride);
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
