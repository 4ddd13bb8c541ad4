// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Steps of a warp on the matrix units, 16 M rows of its own with 16 rows of a tile in shared memory. Rows there are
// padded by kRowPad values: an odd number of 16-byte words, so the eight rows of an ldmatrix lie in different banks.
#pragma once
#include "core/device.hpp"

namespace flashket::cuda {

constexpr int kRowPad = 8;  // 16-bit values behind a row in shared memory

// The lane's address for ldmatrix in rows of `pitch` values: of 16 x 16 blocks of a left operand; of 16 rows whose dots
// with the left rows are wanted; of 16 rows that the left operand's columns weigh (transposed).
FK_DEVICE int left_offset(int lane, int pitch) { return lane % 16 * pitch + lane / 16 * 8; }
FK_DEVICE int dot_offset(int lane, int pitch) { return (lane % 8 + lane / 16 * 8) * pitch + lane / 8 % 2 * 8; }
FK_DEVICE int weighed_offset(int lane, int pitch) { return left_offset(lane, pitch); }

// 16 x M rows of bf16 values as left operands: the first `kept` steps of 16 values in registers, the others taken from
// shared memory whenever they are used.
template <int M, int steps, int pitch, int kept>
struct LeftRows {
  const bfloat16_t* first;  // the lane's address
  uint32_t fragments[M][kept > 0 ? kept : 1][4];

  FK_DEVICE explicit LeftRows(const bfloat16_t* at) : first(at) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int k = 0; k < kept; ++k) load_matrix_x4(fragments[m][k], at + m * 16 * pitch + k * 16);
  }
  FK_DEVICE void get(int m, int k, uint32_t (&a)[4]) const {
    if (k < kept) {
#pragma unroll
      for (int e = 0; e < 4; ++e) a[e] = fragments[m][k][e];
    } else {
      load_matrix_x4(a, first + m * 16 * pitch + k * 16);
    }
  }
};

// sum = left rows times 16 rows of the tile; sum[m][h][e]: row 16 m + 8 (e / 2) + lane / 4, tile row 8 h + 2 (lane % 4)
// + e % 2.
template <int M, int steps, int pitch, int kept>
FK_DEVICE void dots(const LeftRows<M, steps, pitch, kept>& left, const bfloat16_t* tile, float (&sum)[M][2][4]) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int e = 0; e < 4; ++e) sum[m][h][e] = 0;
#pragma unroll
  for (int k = 0; k < steps; ++k) {
    uint32_t b[4];
    load_matrix_x4(b, tile + k * 16);
#pragma unroll
    for (int m = 0; m < M; ++m) {
      uint32_t a[4];
      left.get(m, k, a);
#pragma unroll
      for (int h = 0; h < 2; ++h) mma_bfloat16(sum[m][h], a, b[2 * h], b[2 * h + 1]);
    }
  }
}

// Numbers laid out as dots() leaves them, as bf16 left operands: they never leave their registers.
template <int M>
FK_DEVICE void pack_left(const float (&x)[M][2][4], uint32_t (&left)[M][4]) {
#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int u = 0; u < 2; ++u) left[m][2 * h + u] = pack_bfloat16(x[m][h][2 * u], x[m][h][2 * u + 1]);
}

// sum += left times 16 rows of the tile, 16 columns a step.
template <int M, int steps>
FK_DEVICE void add_weighed(const uint32_t (&left)[M][4], const bfloat16_t* tile, float (&sum)[M][2 * steps][4]) {
#pragma unroll
  for (int d = 0; d < steps; ++d) {
    uint32_t b[4];
    load_matrix_x4_transposed(b, tile + d * 16);
#pragma unroll
    for (int m = 0; m < M; ++m) {
      mma_bfloat16(sum[m][2 * d], left[m], b[0], b[1]);
      mma_bfloat16(sum[m][2 * d + 1], left[m], b[2], b[3]);
    }
  }
}

// Rows first .. first + count - 1 of 16-bit values to shared memory by all threads of a block; zeros from row `end` on.
// A thread keeps to one column where that is possible, so that its addresses differ by constants.
template <int length, int count, int threads, class T>
FK_DEVICE void copy_rows_async(const T* from, int64_t first, int64_t end, T* to) {
  constexpr int in_row = length / 8;
  const int tid = static_cast<int>(threadIdx.x);
  if constexpr (threads % in_row == 0) {
    constexpr int step = threads / in_row;
    static_assert(count % step == 0 || step % count == 0);
    const int row = tid / in_row, col = tid % in_row * 8;
    from += (first + row) * length + col;
    to += row * (length + kRowPad) + col;
#pragma unroll
    for (int i = 0; i < count; i += step)
      if (step <= count || row < count)
        copy_async_16(to + i * (length + kRowPad), from + i * length, first + row + i < end);
  } else {
    from += first * length;
#pragma unroll
    for (int n = tid; n < count * in_row; n += threads)  // rows follow each other in memory
      copy_async_16(to + n / in_row * (length + kRowPad) + n % in_row * 8, from + n * 8, first + n / in_row < end);
  }
}

}  // namespace flashket::cuda
