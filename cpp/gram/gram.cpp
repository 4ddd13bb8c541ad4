// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/gram.hpp"

#include "core/parallel.hpp"
#include "noise/shots.hpp"

namespace flashket {
namespace {

constexpr int64_t kEncodeChunk = kTileRows;  // a multiple of every block and panel: chunks never share a packed group
static_assert(kTileRows % 32 == 0 && kTileCols % kTileRows == 0);

template <class C, class T>
void encode_all(const KernelSpec& spec, const MatrixView<const T>& source, std::vector<PackTarget<C>> targets) {
  const int64_t row_elements = spec.score().row_elements();
  const int64_t n_chunks = round_up(source.rows, kEncodeChunk) / kEncodeChunk;
  PerWorker<RowEncoder<C>> encoders;
  parallel_for(n_chunks, [&](int64_t chunk, int worker) {
    const int64_t begin = chunk * kEncodeChunk, end = std::min(begin + kEncodeChunk, source.rows);
    RowEncoder<C>& encoder = encoders.get(worker, [&] { return RowEncoder<C>(spec); });
    const auto part = [&](const PackTarget<C>& t) { return PackTarget<C>{t.data + begin * row_elements, t.lanes}; };
    if (targets.size() == 1)
      encoder.pack(source, begin, end, {part(targets[0])});
    else
      encoder.pack(source, begin, end, {part(targets[0]), part(targets[1])});
  });
}

// C is the type computed in: T, or double for the log.
template <class C, class T>
void run_gram(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y,
              const MatrixView<T>& out, const GramOptions& options) {
  Score score = spec.score();
  if (options.shots > 0) score.power = 1;  // the power acts on the estimate
  const TileOps& ops = *isa_ops().tile;
  const TileShape shape = tile_shape<C>(ops);
  const ScoreTile<C> tile = [&]() -> ScoreTile<C> {
    if constexpr (sizeof(C) == 8) {
      if (options.log) return ops.log_f64;
    }
    return score_tile<C>(ops);
  }();
  const bool is_symmetric = y == nullptr;
  const int64_t n = x.rows, m = is_symmetric ? n : y->rows, row_elements = score.row_elements();
  if (n == 0 || m == 0) return;

  Buffer<C> left(round_up(n, shape.block_rows) * row_elements), right(round_up(m, shape.panel_cols) * row_elements);
  if (is_symmetric) {
    encode_all<C>(spec, x, {{left.data(), shape.block_rows}, {right.data(), shape.panel_cols}});
  } else {
    encode_all<C>(spec, x, {{left.data(), shape.block_rows}});
    encode_all<C>(spec, *y, {{right.data(), shape.panel_cols}});
  }

  const uint64_t key = stream_key(options.seed, StreamDomain::gram, 0, 0);
  const int64_t tile_rows = round_up(n, kTileRows) / kTileRows, tile_cols = round_up(m, kTileCols) / kTileCols;
  PerWorker<Buffer<C>> scratch;
  parallel_for(tile_rows * tile_cols, [&](int64_t index, int worker) {
    const int64_t i0 = index / tile_cols * kTileRows, j0 = index % tile_cols * kTileCols;
    const int64_t rows = std::min(kTileRows, n - i0), cols = std::min(kTileCols, m - j0);
    if (is_symmetric && j0 + cols <= i0) return;  // below the diagonal: its mirror writes it
    C* values = scratch.get(worker, [] { return Buffer<C>(kTileScratch); }).data();
    tile(score, left.data() + i0 * row_elements, right.data() + j0 * row_elements, rows, cols, values,
         values + kTileSize);
    for (int64_t i = i0; i < i0 + rows; ++i) {
      C* row = values + (i - i0) * kTileCols - j0;
      const int64_t first = is_symmetric ? std::max(i, j0) : j0, last = j0 + cols;
      if (is_symmetric && spec.is_normalised() && i >= j0 && i < last) row[i] = options.log ? C(0) : C(1);
      if (options.shots > 0) {
        for (int64_t j = first; j < last; ++j)
          row[j] = static_cast<C>(integer_power(sample_probability(row[j], options.shots, key, i, j), spec.power));
      }
      T* to = &out(i, first);
      if (out.col_stride == 1)
        std::copy(row + first, row + last, to);
      else
        for (int64_t j = first; j < last; ++j, to += out.col_stride) *to = static_cast<T>(row[j]);
    }
    if (!is_symmetric) return;
    for (int64_t j = std::max(j0, i0 + 1); j < j0 + cols; ++j)
      for (int64_t i = i0; i < std::min(i0 + rows, j); ++i)
        out(j, i) = static_cast<T>(values[(i - i0) * kTileCols + j - j0]);
  });
}

}  // namespace

template <class T>
void gram(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y, const MatrixView<T>& out,
          const GramOptions& options) {
  // Powers of an estimate may underflow float; logs keep their own exponent.
  if (options.log || (options.shots > 0 && spec.power > 1) || needs_double(spec.score()))
    run_gram<double, T>(spec, x, y, out, options);
  else
    run_gram<T, T>(spec, x, y, out, options);
}

template void gram(const KernelSpec&, const MatrixView<const float>&, const MatrixView<const float>*,
                   const MatrixView<float>&, const GramOptions&);
template void gram(const KernelSpec&, const MatrixView<const double>&, const MatrixView<const double>*,
                   const MatrixView<double>&, const GramOptions&);
}  // namespace flashket
