// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What tile kernels share: which tile a block computes, and how a finished tile in shared memory is stored, mirrored
// and sampled. Internal to gram/.
#pragma once
#include "core/launch.hpp"
#include "gram/value.hpp"
#include "noise/binomial.hpp"

namespace flashket::cuda {

// A block of a Gram matrix: rows row0 .. of x against rows col0 .. of y.
struct Region {
  int64_t rows, cols;
  int64_t row0 = 0, col0 = 0;
  bool is_same = false;       // y is x: ones on the diagonal, samples keyed by (min, max)
  bool is_symmetric = false;  // is_same and all of it: the half above the diagonal is computed and stored twice
};

// What a value becomes on its way out.
struct Finish {
  bool is_log = false;
  bool is_normalised = false;  // the value of a row with itself is 1
  int64_t shots = 0;           // 0: exact
  int power = 1;               // of the estimate
  uint64_t key = 0;            // see stream_key()
};

// Blocks go through squares of so many elements one after another, so that blocks at work at the same time share rows
// of both operands in L2.
constexpr int64_t kSuper = 1024;

struct TileGrid {
  int64_t super_rows, super_cols;    // squares; of a symmetric matrix those on and above the diagonal count
  int64_t tiles_down, tiles_across;  // in a square
  bool is_symmetric;

  int64_t blocks() const {
    const int64_t squares = is_symmetric ? (super_cols + 1) * ((super_cols + 1) / 2) : super_rows * super_cols;
    return squares * tiles_down * tiles_across;
  }
};

inline TileGrid tile_grid(const Region& region, int64_t tile_rows, int64_t tile_cols) {
  // A matrix smaller than a square has no more tiles than it needs.
  const int64_t rows = region.rows < kSuper ? region.rows : kSuper, cols = region.cols < kSuper ? region.cols : kSuper;
  return {(region.rows + kSuper - 1) / kSuper, (region.cols + kSuper - 1) / kSuper, (rows + tile_rows - 1) / tile_rows,
          (cols + tile_cols - 1) / tile_cols, region.is_symmetric};
}

// The first row and column of a block's tile; false where the block has none.
FK_DEVICE bool tile_of_block(const TileGrid& grid, const Region& region, int64_t block, int64_t tile_rows,
                             int64_t tile_cols, int64_t& i0, int64_t& j0) {
  const int64_t per_square = grid.tiles_down * grid.tiles_across, square = block / per_square,
                tile = block - square * per_square;
  int64_t si, sj;
  if (grid.is_symmetric) {
    // Column p of the triangle and column n - 1 - p together have n + 1 squares: no block is started in vain.
    const int64_t n = grid.super_cols, p = square / (n + 1), q = square - p * (n + 1);
    if (q <= p) {
      si = q;
      sj = p;
    } else {
      si = q - p - 1;
      sj = n - 1 - p;
      if (sj == p) return false;  // the middle column is its own partner
    }
  } else {
    sj = square / grid.super_rows;
    si = square - sj * grid.super_rows;
  }
  const int64_t across = tile / grid.tiles_down, down = tile - across * grid.tiles_down;
  i0 = si * kSuper + down * tile_rows;
  j0 = sj * kSuper + across * tile_cols;
  if (i0 >= region.rows || j0 >= region.cols) return false;
  return !grid.is_symmetric || j0 + tile_cols > i0;  // the others lie below the diagonal
}

// Where values computed in C go: elements of C, or floats (one kernel for both: their code is the same but for this).
template <class C>
struct Output {
  void* data;
  int64_t stride;
  bool is_float;

  Output(float* to, int64_t row_stride) : data(to), stride(row_stride), is_float(true) {}
  Output(double* to, int64_t row_stride) : data(to), stride(row_stride), is_float(false) {}

  // Streaming: nobody reads the result soon.
  FK_DEVICE void put(int64_t at, C value) const {
    if (sizeof(C) == 4 || is_float)
      __stcs(static_cast<float*>(data) + at, static_cast<float>(value));
    else
      __stcs(static_cast<double*>(data) + at, static_cast<double>(value));
  }
  FK_DEVICE C as_stored(C value) const { return is_float ? static_cast<C>(static_cast<float>(value)) : value; }
};

// By all threads of a block: the tile in shared memory, (kRows, kCols) with kPitch elements from row to row (odd, so
// that columns are read without bank conflicts), goes to out; what lies below the diagonal of a symmetric matrix is
// written as the mirror image of what lies above. finish(value, row, col) is called once for every value that is kept,
// with its place in the whole matrix.
template <int kThreads, int kRows, int kCols, int kPitch, class C, class F>
FK_DEVICE void store_tile(C* tile, const Region& region, int64_t i0, int64_t j0, const Output<C>& out,
                          const F& finish) {
  static_assert(kPitch % 2 == 1 && kRows % kWarp == 0 && kCols % kWarp == 0);
  constexpr int kWarps = kThreads / kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const bool is_mirrored = region.is_symmetric;
  for (int r = warp; r < kRows && i0 + r < region.rows; r += kWarps) {
    const int64_t to = (i0 + r) * out.stride + j0 + lane;
#pragma unroll
    for (int s = 0; s < kCols / kWarp; ++s) {
      const int c = s * kWarp + lane;
      if (j0 + c >= region.cols || (is_mirrored && j0 + c < i0 + r)) continue;
      const C value = finish(tile[r * kPitch + c], region.row0 + i0 + r, region.col0 + j0 + c);
      out.put(to + s * kWarp, value);
      if (is_mirrored) tile[r * kPitch + c] = value;
    }
  }
  if (!is_mirrored) return;
  __syncthreads();
  for (int c = warp; c < kCols && j0 + c < region.cols; c += kWarps) {
    const int64_t to = (j0 + c) * out.stride + i0 + lane;
#pragma unroll
    for (int s = 0; s < kRows / kWarp; ++s) {
      const int r = s * kWarp + lane;
      if (i0 + r < region.rows && i0 + r < j0 + c) out.put(to + s * kWarp, tile[r * kPitch + c]);
    }
  }
}

// The diagonal and sampling. NaN stays NaN on the diagonal, too: its row has no state. as_stored(value) is the value as
// it would be stored: an estimate without a power is one of that, as on the host.
template <class C, class F>
FK_DEVICE C finish_value(const Finish& finish, bool is_same, C value, int64_t row, int64_t col, const F& as_stored) {
  if (is_same && finish.is_normalised && row == col && value == value) value = finish.is_log ? C(0) : C(1);
  if (finish.shots > 0) {
    const bool is_swapped = is_same && col < row;
    const double p = static_cast<double>(finish.power == 1 ? as_stored(value) : value);
    value = static_cast<C>(
        sample_value(p, finish.shots, finish.power, finish.key, is_swapped ? col : row, is_swapped ? row : col));
  }
  return value;
}

// For a result of T.
template <class T, class C>
FK_DEVICE C finish_value(const Finish& finish, bool is_same, C value, int64_t row, int64_t col) {
  return finish_value(finish, is_same, value, row, col, [](C v) { return static_cast<C>(static_cast<T>(v)); });
}

}  // namespace flashket::cuda
