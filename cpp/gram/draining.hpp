// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Stores of a finished tile in small portions. Processors hold few stores that wait for memory: a burst of them stops
// everything behind it, spread out they cost nothing. For AVX-512, where a vector is a line.
#pragma once

#include "gram/layout.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Part `step` of `n_steps` of a tile: rows as they are, in two lines at a time, and as many columns of the mirror
// image.
class DrainStep {
 public:
  FLASHKET_INLINE DrainStep(const Drain& drain, int64_t step, int64_t n_steps)
      : drain_(drain), step_(step), n_steps_(n_steps) {
    constexpr int64_t n_lines = kDrainRows * kDrainCols / kLine;
    line_ = drain.tile == nullptr ? n_lines : step * n_lines / n_steps;
    last_ = drain.tile == nullptr ? n_lines : (step + 1) * n_lines / n_steps;
  }

  FLASHKET_INLINE void store_lines() {
    if (line_ >= last_) return;
    const float* from = drain_.tile + line_ * kLine;
    float* to = drain_.to + line_ / kLinesARow * drain_.to_stride + line_ % kLinesARow * kLine;
    store_streaming<float>(to, load(from));
    store_streaming<float>(to + kLine, load(from + kLine));
    line_ += 2;
  }

  FLASHKET_INLINE void finish() {
    while (line_ < last_) store_lines();
    if (drain_.tile == nullptr || drain_.mirrored == nullptr) return;
    const int64_t last = (step_ + 1) * kDrainCols / n_steps_;
    for (int64_t j = step_ * kDrainCols / n_steps_; j < last; j += kHalf) store_columns(j);
  }

 private:
  static constexpr int64_t kLine = 64 / sizeof(float), kLinesARow = kDrainCols / kLine, kHalf = 8;

  // Eight columns as rows of two whole lines each: halves of rows r and r + 16 share a vector, so that the
  // transposition of 16 x 16 elements turns all of them.
  FLASHKET_INLINE void store_columns(int64_t j) const {
    typedef float HalfVec __attribute__((vector_size(32), aligned(4), may_alias));
    Vec<float> v[16];
    FLASHKET_UNROLL
    for (int r = 0; r < 16; ++r) {
      const float* low = drain_.tile + r * kDrainCols + j;
      const float* high = low + 16 * kDrainCols;
      v[r] = __builtin_shufflevector(*reinterpret_cast<const HalfVec*>(low), *reinterpret_cast<const HalfVec*>(high), 0,
                                     1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    }
    transpose<float>(v);
    FLASHKET_UNROLL
    for (int c = 0; c < kHalf; ++c) {
      float* to = drain_.mirrored + (j + c) * drain_.to_stride;
      store_streaming<float>(to, v[c]);
      store_streaming<float>(to + 16, v[c + kHalf]);
    }
  }

  const Drain& drain_;
  int64_t step_, n_steps_, line_, last_;
};

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
