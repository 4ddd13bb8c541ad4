// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/gram.hpp"

#include <atomic>
#include <cmath>
#include <limits>
#include <type_traits>

#include "core/parallel.hpp"
#include "core/philox.hpp"
#include "gram/packed_rows.hpp"

namespace flashket {
namespace {

// Rows of a tile: more of them use the packed columns more often while those are in cache; few, where a row is so short
// that writing the tile is the work, stay in the first cache themselves.
constexpr int64_t kGramRows = 128;
static_assert(kTileRows % 32 == 0 && kTileCols % kTileRows == 0 && kGramRows % kTileRows == 0 &&
              kTileCols % kGramRows == 0);

// A matrix that outgrows the caches is written past them.
constexpr int64_t kStreamingBytes = int64_t{4} << 20;

// C is the type computed in: T, or double for the log and powers of estimates.
template <class C, class T>
class GramRun {
 public:
  GramRun(const KernelSpec& spec, const PackedRows<C>& left, const PackedRows<C>* right, const MatrixView<T>& out,
          const GramOptions& options)
      : spec_(spec), score_(left.score), left_(left), right_(right ? *right : left), out_(out), options_(options) {
    is_symmetric_ = right == nullptr;
    is_streaming_ = out.rows * out.cols * static_cast<int64_t>(sizeof(T)) > kStreamingBytes;
    if (!options.readings.is_exact()) score_.power = 1;  // the power acts on the estimate
    key_ = stream_key(options.seed, StreamDomain::gram, 0, 0);
    score_tile_ = tile_ops<C>().score;
    if constexpr (sizeof(C) == 8) {
      if (options.log) score_tile_ = isa_ops().log_tile;
    }
  }

  void run() {
    const int64_t tile_rows = round_up(out_.rows, kGramRows) / kGramRows;
    const int64_t tile_cols = round_up(out_.cols, kTileCols) / kTileCols;
    PerWorker<Buffer<C>> scratch;
    PerWorker<Buffer<T>> narrowed;
    parallel_for(tile_rows * tile_cols, [&](int64_t index, int worker) {
      // Down the columns first: the packed columns stay in cache.
      const int64_t i0 = index % tile_rows * kGramRows, j0 = index / tile_rows * kTileCols;
      const int64_t rows = std::min(kGramRows, out_.rows - i0), cols = std::min(kTileCols, out_.cols - j0);
      if (is_symmetric_ && j0 + cols <= i0) return;  // below the diagonal: its mirror image writes it
      C* values = scratch.get(worker, [] { return Buffer<C>(tile_scratch(kGramRows)); }).data();
      T* result;
      if constexpr (sizeof(C) == sizeof(T))
        result = values;
      else
        result = narrowed.get(worker, [] { return Buffer<T>(kGramRows * kTileStride); }).data();
      if (streams()) {
        for (int64_t j = j0; j < j0 + cols; j += kStreamCols) {
          for (int64_t i = i0; i < i0 + rows; i += kStreamRows) {
            const int64_t height = std::min(kStreamRows, i0 + rows - i), width = std::min(kStreamCols, j0 + cols - j);
            if (height == kStreamRows && width == kStreamCols && (!is_symmetric_ || j >= i + kStreamRows)) {
              stream(i, j);
              continue;
            }
            const int64_t first = is_symmetric_ ? std::max(i, j) : j;  // below the diagonal: its mirror image writes it
            if (first < j + width) compute(i, first, height, j + width - first, values, result);
          }
        }
        return;
      }
      if (!is_symmetric_ || j0 >= i0 + rows) {
        compute(i0, j0, rows, cols, values, result);
        return;
      }
      for (int64_t i = i0; i < i0 + rows; i += kTileRows) {  // across the diagonal, in strips that begin on it
        const int64_t first = std::max(i, j0);
        if (first < j0 + cols) compute(i, first, std::min(kTileRows, i0 + rows - i), j0 + cols - first, values, result);
      }
    });
  }

 private:
  bool streams() const {
    return std::is_same_v<C, float> && std::is_same_v<T, float> && tile_ops<C>().score_streaming != nullptr &&
           is_streaming_ && (score_.pair == PairKind::tangent || score_.pair == PairKind::product) &&
           options_.readings.is_exact() && !options_.log && out_.col_stride == 1 && out_.row_stride % 16 == 0 &&
           reinterpret_cast<uintptr_t>(out_.data) % 64 == 0;
  }

  void stream(int64_t i, int64_t j) const {
    if constexpr (std::is_same_v<C, float> && std::is_same_v<T, float>)
      tile_ops<C>().score_streaming(score_, left_.row(i), right_.row(j),
                                    {&out_(i, j), is_symmetric_ ? &out_(j, i) : nullptr, out_.row_stride});
  }

  void compute(int64_t i0, int64_t j0, int64_t rows, int64_t cols, C* values, T* result) const {
    score_tile_(score_, left_.row(i0), right_.row(j0), rows, cols, values, kGramRows * kTileStride);
    const bool is_on_diagonal = is_symmetric_ && j0 < i0 + rows;
    if (is_on_diagonal && spec_.is_normalised())
      for (int64_t i = 0; i < std::min(rows, cols); ++i) values[i * kTileStride + i] = options_.log ? C(0) : C(1);
    if (!options_.readings.is_exact()) {
      for (int64_t i = 0; i < rows; ++i) {
        const int64_t first = is_on_diagonal ? i : 0;
        sample_run<C>()(values + i * kTileStride + first, cols - first, options_.readings, spec_.power,
                        {key_, i0 + i, j0 + first, false});
      }
    }
    if (is_on_diagonal)
      for (int64_t i = 1; i < rows; ++i)
        for (int64_t j = 0; j < std::min(i, cols); ++j) values[i * kTileStride + j] = values[j * kTileStride + i];
    if constexpr (sizeof(C) != sizeof(T))
      for (int64_t i = 0; i < rows; ++i) std::copy_n(values + i * kTileStride, cols, result + i * kTileStride);
    store(result, i0, j0, rows, cols);
    if (!is_symmetric_) return;
    // What the diagonal square holds is both of its halves.
    const int64_t done = is_on_diagonal ? kTileRows : 0;
    if (cols > done) store_mirrored(result + done, i0, j0 + done, rows, cols - done);
  }

  void store(const T* tile, int64_t i0, int64_t j0, int64_t rows, int64_t cols) const {
    if (out_.col_stride == 1) {
      tile_ops<T>().store(tile, rows, cols, &out_(i0, j0), out_.row_stride, is_streaming_);
      return;
    }
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols; ++j) out_(i0 + i, j0 + j) = tile[i * kTileStride + j];
  }

  void store_mirrored(const T* tile, int64_t i0, int64_t j0, int64_t rows, int64_t cols) const {
    if (out_.col_stride == 1) {
      tile_ops<T>().store_mirrored(tile, rows, cols, &out_(j0, i0), out_.row_stride, is_streaming_);
      return;
    }
    for (int64_t j = 0; j < cols; ++j)
      for (int64_t i = 0; i < rows; ++i) out_(j0 + j, i0 + i) = tile[i * kTileStride + j];
  }

  const KernelSpec& spec_;
  Score score_;
  const PackedRows<C>& left_;
  const PackedRows<C>& right_;
  const MatrixView<T>& out_;
  const GramOptions& options_;
  ScoreTile<C> score_tile_;
  uint64_t key_;
  bool is_symmetric_, is_streaming_;
};

template <class C, class T>
void run_gram(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y,
              const MatrixView<T>& out, const GramOptions& options) {
  if (out.rows == 0 || out.cols == 0) return;
  const RowUse use = options.log ? RowUse::logs : options.readings.is_exact() ? RowUse::values : RowUse::row_values;
  {
    const PackedOperands<C> packed(spec, x, y, use);
    if (sizeof(C) == 8 || !packed.needs_double()) {
      GramRun<C, T>(spec, packed.left, y ? &packed.right : nullptr, out, options).run();
      return;
    }
  }
  if constexpr (sizeof(C) == 4) run_gram<double, T>(spec, x, y, out, options);
}

}  // namespace

template <class T>
void gram(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y, const MatrixView<T>& out,
          const GramOptions& options) {
  // Powers of an estimate may underflow float; logs keep their own exponent.
  if (options.log || (!options.readings.is_exact() && spec.power > 1) || spec.power > kMostFloatPower ||
      spec.needs_double())
    run_gram<double, T>(spec, x, y, out, options);
  else
    run_gram<T, T>(spec, x, y, out, options);
}

void read_probabilities(const MatrixView<double>& values, bool is_symmetric, int power, const Readings& readings,
                        uint64_t seed) {
  const uint64_t key = stream_key(seed, StreamDomain::gram, 0, 0);
  parallel_for(values.rows, [&](int64_t i, int) {
    const int64_t first = is_symmetric ? i : 0;
    sample_run<double>()(&values(i, 0) + first, values.cols - first, readings, power, {key, i, first, false});
  });
  if (!is_symmetric) return;
  for (int64_t i = 0; i < values.rows; ++i)
    for (int64_t j = 0; j < i; ++j) values(i, j) = values(j, i);
}

template void gram(const KernelSpec&, const MatrixView<const float>&, const MatrixView<const float>*,
                   const MatrixView<float>&, const GramOptions&);
template void gram(const KernelSpec&, const MatrixView<const double>&, const MatrixView<const double>*,
                   const MatrixView<double>&, const GramOptions&);

}  // namespace flashket
