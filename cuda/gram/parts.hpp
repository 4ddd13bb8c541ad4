// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Few tiles of a long depth: the depth is cut into parts, so that there is work for a whole GPU. Each part writes its
// sums, a second kernel adds them up in double, in order, and finishes the values. How many parts there are depends on
// shapes only. Internal to gram/.
#pragma once
#include "gram/tiles.hpp"

namespace flashket::cuda {

// What a tile kernel is told: sums == nullptr: there is one part, it finishes its values itself.
template <class C>
struct Parts {
  C* sums;        // [part][real, imaginary][row][column] of the region
  int64_t steps;  // of the depth, of every part but the last

  // Where the sums of this block's part begin; of an imaginary part behind that of all real ones.
  FK_DEVICE C* plane(const Region& region, int sides, int side) const {
    return sums + (int64_t{blockIdx.y} * sides + side) * region.rows * region.cols;
  }
};

constexpr int64_t kWantedBlocks = 264;  // two for each multiprocessor of the largest GPUs today
constexpr int64_t kFewestSteps = 16;    // of a part: fewer would cost more to add up than to compute

// At most kWantedBlocks parts, so that a grid's second axis holds them.
inline int64_t count_parts(const Region& region, int64_t tile_rows, int64_t tile_cols, int64_t steps) {
  const int64_t down = (region.rows + tile_rows - 1) / tile_rows, across = (region.cols + tile_cols - 1) / tile_cols;
  const int64_t tiles = region.is_symmetric ? (down * across + 1) / 2 : down * across;
  const int64_t wanted = kWantedBlocks / tiles, most = steps / kFewestSteps, parts = wanted < most ? wanted : most;
  return parts < 2 ? 1 : parts;
}

// Adds up the sums of all parts: real ones, and imaginary ones where sides is 2.
template <class C>
void combine_parts(const Scoring& scoring, const Region& region, const Finish& finish, const C* sums, int64_t parts,
                   int sides, const Output<double>& out, Stream stream);

// Calls run(number of parts, Parts) and combines what that wrote. C: what sums are kept in.
template <class C, class Run>
void run_in_parts(const Scoring& scoring, const Region& region, const Finish& finish, int64_t tile_rows,
                  int64_t tile_cols, int64_t steps, int sides, const Output<C>& out, Stream stream, const Run& run) {
  const int64_t parts = count_parts(region, tile_rows, tile_cols, steps);
  if (parts == 1) return run(int64_t{1}, Parts<C>{nullptr, steps});
  const int64_t together = (steps + parts - 1) / parts, cut = (steps + together - 1) / together;
  const Array<C> sums(cut * sides * region.rows * region.cols, stream);
  run(cut, Parts<C>{sums.data(), together});
  const Output<double> to = out.is_float ? Output<double>(static_cast<float*>(out.data), out.stride)
                                         : Output<double>(static_cast<double*>(out.data), out.stride);
  combine_parts(scoring, region, finish, sums.data(), cut, sides, to, stream);
}

}  // namespace flashket::cuda
