// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A tile of kernel values from packed operands: the one place where rows meet. Gram matrices and attention consume it.
#pragma once
#include "core/types.hpp"

namespace flashket {

// Packed rows: panels of panel_cols rows, [panel][element][row in panel], missing rows zero. Both operands of a tile
// are packed alike. The width of a panel differs by instruction set and element type; kTileRows is a multiple of each.
constexpr int64_t kTileRows = 32;
constexpr int64_t kTileCols = 256;
// From row to row of a tile. A power of two would put the rows of a block into few sets of the cache.
constexpr int64_t kTileStride = kTileCols + 16;
constexpr int64_t kDepthBlock = 128;  // elements of a row that are worked on before the next rows
// What a tile of so many rows (a multiple of kTileRows) needs: values and two more planes for sums, three planes of
// double, and one depth block of rows and columns.
constexpr int64_t tile_scratch(int64_t rows) { return 9 * rows * kTileStride + (rows + kTileCols) * kDepthBlock; }

// values[i * kTileStride + j] for i < rows, j < cols; both counts are rounded up to whole blocks and panels inside the
// tile, the surplus is undefined. `values` has tile_scratch(plane / kTileStride) elements, rows * kTileStride <= plane.
template <class T>
using ScoreTile = void (*)(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols, T* values,
                           int64_t plane);

// rows (count x elements, row_stride apart) become rows 0 .. count of the panel.
template <class T>
using PackRows = void (*)(const T* rows, int64_t row_stride, int64_t count, int64_t elements, T* panel);

// to[i * to_stride + j] = tile[i * kTileStride + j], and its mirror image to[j * to_stride + i]. Streaming stores leave
// the caches to the tiles still to come.
template <class T>
using StoreTile = void (*)(const T* tile, int64_t rows, int64_t cols, T* to, int64_t to_stride, bool is_streaming);

// overlaps[j] -> kernel values, for real overlaps.
template <class T>
using FinishRow = void (*)(const Score& score, T* overlaps, int64_t count);

// Where kStreamRows x kStreamCols values go, and their mirror image (null: none). Both are on a line's boundary, as is
// every row.
constexpr int64_t kStreamRows = 32, kStreamCols = 64;
struct StreamPlace {
  float *values, *mirrored;
  int64_t stride;
};

// A whole tile of product overlaps' kernel values, computed and written past the caches at once.
using ScoreStreaming = void (*)(const Score& score, const float* a, const float* b, const StreamPlace& to);

template <class T>
struct TileOps {
  int64_t panel_cols;
  ScoreTile<T> score;
  FinishRow<T> finish;
  PackRows<T> pack;
  StoreTile<T> store, store_mirrored;
  ScoreStreaming score_streaming;  // null where nothing is gained
};

}  // namespace flashket
