// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the kernels of the matrix units share: which rows and keys a block has, which of the keys a warp's rows see, and
// what becomes of their sums. A warp has `tiles` operands of 16 rows; lane l holds, as accumulators of the matrix units
// do, rows 16 m + 8 u + l / 4 of them (m < tiles, u < 2) and of 8 neighbouring keys those at 2 (l % 4), + 1.
#pragma once
#include <math.h>

#include "attention/problem.hpp"

namespace flashket::cuda {

// Rows and keys of a block of `rows` rows of one pair, and of one part of the keys.
struct BlockRows {
  int64_t pair, split, first_row;
  int n_rows, begin, end;

  FK_DEVICE BlockRows(const Problem& p, const Splits& splits, int rows) {
    const int64_t rows_per_pair = p.rows_per_pair(), n_tiles = divide_up(rows_per_pair, rows);
    // Last tiles first: under causality they are the longest.
    const int64_t block = blockIdx.x, tile = n_tiles - 1 - block % n_tiles;
    split = block / n_tiles % splits.count;
    pair = block / n_tiles / splits.count;
    first_row = tile * rows;
    const int64_t rows_left = rows_per_pair - first_row;
    n_rows = rows_left < rows ? static_cast<int>(rows_left) : rows;
    begin = static_cast<int>(split * splits.keys);
    const int64_t last_limit = key_limit(p, (first_row + n_rows - 1) / p.group, kv_length(p, batch(p)));
    const int64_t split_end = begin + splits.keys;
    end = static_cast<int>(last_limit < split_end ? last_limit : split_end);
  }
  FK_DEVICE int64_t batch(const Problem& p) const { return (p.first_pair + pair) / p.n_key_heads; }
};

template <int tiles>
struct WarpRows {
  static constexpr int rows = 16 * tiles;
  int n_masked[tiles][2];       // admissible keys where a mask decides
  int least_limit, most_limit;  // all rows of the warp see the keys before, none sees one from there on

  FK_DEVICE static int first() { return static_cast<int>(threadIdx.x) / kWarp * rows; }
  FK_DEVICE static int local_row(int m, int u) {
    return first() + m * 16 + u * 8 + static_cast<int>(threadIdx.x) % kWarp / 4;
  }

  // Keys before it pass causality and kv_lens, and lie in the block's part. Computed where it is asked for: kept, it
  // would cost registers in tiles that every row sees whole.
  FK_DEVICE static int limit(const Problem& p, const BlockRows& b, int m, int u) {
    const int local = local_row(m, u);
    if (local >= b.n_rows) return 0;
    const int64_t bound = key_limit(p, (b.first_row + local) / p.group, kv_length(p, b.batch(p)));
    return static_cast<int>(bound < b.end ? bound : b.end);
  }

  FK_DEVICE WarpRows(const Problem& p, const BlockRows& b) {
#pragma unroll
    for (int m = 0; m < tiles; ++m)
#pragma unroll
      for (int u = 0; u < 2; ++u) n_masked[m][u] = 0;
    const int64_t kv_len = kv_length(p, b.batch(p));
    least_limit = most_limit = 0;
    if (first() < b.n_rows) {
      const int last = first() + rows < b.n_rows ? first() + rows - 1 : b.n_rows - 1;
      least_limit = static_cast<int>(key_limit(p, (b.first_row + first()) / p.group, kv_len));
      most_limit = static_cast<int>(key_limit(p, (b.first_row + last) / p.group, kv_len));
    }
    least_limit = least_limit < b.end ? least_limit : b.end;
  }

  // Weights of keys first_key .. first_key + 15 that a row may not see become 0; those of keys whose value is not
  // finite (is_bad, nullptr: none of the pair) NaN.
  FK_DEVICE void hide(const Problem& p, const BlockRows& b, const uint8_t* is_bad, int first_key,
                      float (&weights)[tiles][2][4]) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
    for (int m = 0; m < tiles; ++m)
#pragma unroll
      for (int u = 0; u < 2; ++u) {
        const int local = local_row(m, u), end = limit(p, b, m, u);
        const uint8_t* mask = nullptr;
        if (p.mask != nullptr && local < b.n_rows) mask = mask_row(p, place_of(p, b.pair, b.first_row + local));
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          const int j = first_key + c / 2 * 8 + lane % 4 * 2 + c % 2;
          float& weight = weights[m][c / 2][u * 2 + c % 2];
          if (j >= end || (mask != nullptr && mask[j * p.mask_stride[3]] == 0)) {
            weight = 0;
          } else {
            n_masked[m][u] += mask != nullptr;
            if (is_bad != nullptr && is_bad[j]) weight = NAN;
          }
        }
      }
  }

  // Judges and writes the lane's rows, or leaves their sums in partials where keys are split. for_each(m, u, f) calls
  // f(column, numerator) for all that the lane has of a row.
  template <class ForEach>
  FK_DEVICE void finish(const Problem& p, const BlockRows& b, const Splits& splits, const Partials<float>& partials,
                        const Finish& finish, Weighing weighing, const float (&denominator)[tiles][2],
                        const ForEach& for_each) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
#pragma unroll
    for (int m = 0; m < tiles; ++m)
#pragma unroll
      for (int u = 0; u < 2; ++u) {
        float sum = denominator[m][u];
        int n_admissible = n_masked[m][u];
#pragma unroll
        for (int lanes = 1; lanes < 4; lanes *= 2) {
          sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
          n_admissible += __shfl_xor_sync(0xffffffffu, n_admissible, lanes);
        }
        if (p.mask == nullptr) {
          const int end = limit(p, b, m, u);
          n_admissible = end > b.begin ? end - b.begin : 0;
        }
        const int local = local_row(m, u);
        if (local >= b.n_rows) continue;
        const int64_t row = b.first_row + local;
        if (splits.count > 1) {
          const int64_t at = b.split * p.n_rows() + b.pair * p.rows_per_pair() + row;
          if (lane % 4 == 0) {
            partials.denominator[at] = sum;
            partials.maximum[at] = 0;  // the same bound in every part
            partials.n_admissible[at] = n_admissible;
          }
          for_each(m, u, [&](int column, float numerator) {
            if (column < p.v_dim) partials.numerator[at * p.v_dim + column] = numerator;
          });
          continue;
        }
        const int32_t left =
            finish_row(p, finish, weighing, b.pair, row, n_admissible, static_cast<double>(sum), lane % 4 == 0);
        if (left != kRowDone) continue;
        const float inverse = n_admissible == 0 ? 0.0f : 1.0f / sum;
        const int64_t at = out_offset(p, place_of(p, b.pair, row));
        for_each(m, u, [&](int column, float numerator) {
          if (column < p.v_dim)
            store_element(p.out.data, p.out.dtype, at + column, n_admissible == 0 ? 0.0f : numerator * inverse);
        });
      }
  }
};

}  // namespace flashket::cuda
