// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// All rows of both operands, encoded and packed over threads, in the cheapest form that the data allow.
#pragma once
#include <atomic>
#include <cmath>
#include <limits>

#include "core/parallel.hpp"
#include "gram/pack.hpp"

namespace flashket {

template <class C>
struct PackedRows {
  Score score;
  Buffer<C> data;
  bool is_flat = false;  // every angle is near its centre: all factors are near 1

  const C* row(int64_t i) const {  // i a multiple of every panel's width, as tiles are
    return data.data() + i * score.pitch();
  }
};

// A power multiplies the error of a value.
constexpr int kMostFloatPower = 2;

constexpr double kFlatTangent = 1.8;
constexpr int64_t kFlatFeatures = 32;

// Encodes every row. False if a group's partial products might overflow; rows are of no use then, unless
// is_every_row_good.
template <class C, class T>
bool pack_all(const KernelSpec& spec, const MatrixView<const T>& source, PackedRows<C>& packed,
              bool is_every_row_good) {
  packed.score = spec.score();
  const Score score = packed.score;
  const int64_t width = tile_ops<C>().panel_cols;
  packed.data = Buffer<C>();  // an earlier form's memory goes first
  packed.data = Buffer<C>(round_up(source.rows, width) * score.pitch());
  // Of products 1 / (c s') bounds every partial product, c and s' the rows' own products of cosines and sines.
  const double least = sizeof(C) == 4 ? 1e-18 : 1e-150;
  std::atomic<bool> is_good{true}, is_flat{score.pair == PairKind::tangent};
  PerWorker<RowEncoder<C>> encoders;
  const int64_t n_chunks = round_up(source.rows, kTileRows) / kTileRows;
  parallel_for(n_chunks, [&](int64_t chunk, int worker) {
    if (!is_good) return;
    const int64_t begin = chunk * kTileRows, end = std::min(begin + kTileRows, source.rows);
    RowEncoder<C>& encoder = encoders.get(worker, [&] { return RowEncoder<C>(spec); });
    const TangentRange range = encoder.pack(source, begin, end, packed.data.data() + begin * score.pitch());
    if (score.pair != PairKind::tangent) return;
    if (!is_every_row_good && range.least_factor < least) is_good = false;
    if (range.low < 1 / kFlatTangent || range.high > kFlatTangent) is_flat = false;
  });
  packed.is_flat = is_flat;
  return is_good;
}

constexpr int64_t kWholeGroup = 64, kSmallGroup = 16;  // features; Score::group

constexpr double kWidestRange = 64;  // taking the middle of a wider one away would round more than angles may

// The middle of every feature's range over both operands, 0 where that is too wide.
template <class T>
std::vector<double> centre_of(const MatrixView<const T>& x, const MatrixView<const T>* y) {
  std::vector<T> low(x.cols, std::numeric_limits<T>::infinity()), high(x.cols, -std::numeric_limits<T>::infinity());
  for (const MatrixView<const T>* rows : {&x, y}) {
    if (rows == nullptr) continue;
    for (int64_t i = 0; i < rows->rows; ++i)
      for (int64_t j = 0; j < rows->cols; ++j) {
        const T value = (*rows)(i, j);
        low[j] = std::min(low[j], value);
        high[j] = std::max(high[j], value);
      }
  }
  std::vector<double> centre(x.cols);
  for (int64_t j = 0; j < x.cols; ++j) {
    const double first = static_cast<double>(low[j]), last = static_cast<double>(high[j]);
    centre[j] = last - first <= kWidestRange ? first + 0.5 * (last - first) : 0;
  }
  return centre;
}

// What the rows are for: values of a Gram matrix; values whose bits must not depend on other rows, as samples'; logs.
enum class RowUse { values, row_values, logs };

// y == nullptr: `right` stays empty, both operands are `left`.
template <class C>
struct PackedOperands {
  PackedRows<C> left, right;

  template <class T>
  PackedOperands(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y, RowUse use) {
    const auto pack_both = [&](const KernelSpec& form, bool is_every_row_good) {
      return pack_all(form, x, left, is_every_row_good) &&
             (y == nullptr || pack_all(form, *y, right, is_every_row_good));
    };
    if (use == RowUse::logs || spec.encoder->tangent == nullptr) {
      pack_both(spec, true);
      return;
    }
    KernelSpec form = cheapest_form<C>(spec);
    if (use == RowUse::row_values) {
      pack_both(form, true);
      return;
    }
    const int64_t least = form.group;
    form.centre = centre_of(x, y);
    // One factor for all features of a row costs least, one for every few bears a wider range.
    for (const int64_t group : {std::min(x.cols, kWholeGroup), std::min(x.cols, kSmallGroup)}) {
      if (group == form.group || group <= least) continue;
      form.group = group;
      if (pack_both(form, false)) return;
    }
    form.group = least;
    pack_both(form, true);
  }

  // Floats near 1 that are multiplied by equal numbers near 1 all round the same way: beyond some features that shows.
  bool needs_double() const {
    return left.is_flat && (right.is_flat || right.data.size() == 0) && left.score.depth > kFlatFeatures;
  }
};

}  // namespace flashket
