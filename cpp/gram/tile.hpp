// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A tile of kernel values from packed operands: the one place where rows meet. Gram matrices and attention consume it.
#pragma once
#include "core/types.hpp"

namespace flashket {

constexpr int64_t kTileRows = 32;
constexpr int64_t kTileCols = 256;
constexpr int64_t kTileSize = kTileRows * kTileCols;
// Elements of the tile and of the memory behind it that ScoreTile works in: imaginary parts, and two tiles of double
// sums.
constexpr int64_t kTileScratch = 6 * kTileSize;

// Floats lose 1e-7 of an overlap a site: long lines of transfer matrices are computed in double whatever the data are.
constexpr bool needs_double(const Score& score) {
  return score.pair == PairKind::transfer && score.depth * score.power > 9;
}

// values[i * kTileCols + j] for i < rows, j < cols, from packed blocks a and panels b; both counts are rounded up to
// whole blocks and panels inside the tile, the surplus is undefined. `other` is
// values + kTileSize.
template <class T>
using ScoreTile = void (*)(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols, T* values, T* other);

struct TileOps {
  TileShape shape_f32, shape_f64;
  ScoreTile<float> score_f32;
  ScoreTile<double> score_f64;
  // log of the kernel value, -inf for 0. Always in double: products of many factors keep their exponent apart.
  ScoreTile<double> log_f64;
};

}  // namespace flashket
