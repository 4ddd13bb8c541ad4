// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/matvec.hpp"

#include "core/parallel.hpp"
#include "core/philox.hpp"

namespace flashket {
namespace {

// Tasks that a product of few rows is cut into, by columns. A constant: where sums are cut must not depend on threads.
constexpr int64_t kTasks = 64;

// All rows of both operands, encoded and packed.
template <class C>
struct Operands {
  Score score;
  TileShape shape;
  Buffer<C> left, right;

  template <class T>
  Operands(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>& y)
      : score(spec.score()), shape(tile_shape<C>(*isa_ops().tile)) {
    left = pack(spec, x, shape.block_rows);
    right = pack(spec, y, shape.panel_cols);
  }

  const C* left_row(int64_t i) const { return left.data() + i * score.row_elements(); }
  const C* right_row(int64_t j) const { return right.data() + j * score.row_elements(); }

 private:
  template <class T>
  Buffer<C> pack(const KernelSpec& spec, const MatrixView<const T>& source, int64_t lanes) const {
    Buffer<C> packed(round_up(source.rows, lanes) * score.row_elements());
    PerWorker<RowEncoder<C>> encoders;
    parallel_for(round_up(source.rows, kTileRows) / kTileRows, [&](int64_t chunk, int worker) {
      const int64_t begin = chunk * kTileRows, end = std::min(begin + kTileRows, source.rows);
      RowEncoder<C>& encoder = encoders.get(worker, [&] { return RowEncoder<C>(spec); });
      encoder.pack(source, begin, end, {PackTarget<C>{packed.data() + begin * score.row_elements(), lanes}});
    });
    return packed;
  }
};

// The matrix that K is multiplied with, as the consumer wants it: few columns one after the other within a tile, each
// kTileCols long; many columns side by side, whole vectors of them.
template <class C>
struct Factor {
  bool is_narrow;
  int64_t width;  // columns with those that fill vectors up
  Buffer<C> data;

  template <class T>
  explicit Factor(const MatrixView<const T>& a)
      : is_narrow(a.cols <= kNarrowValues), width(is_narrow ? a.cols : round_up(a.cols, kValueAlign)) {
    data = Buffer<C>(round_up(a.rows, kTileCols) * width);
    parallel_for(round_up(a.rows, kTileCols) / kTileCols, [&](int64_t tile, int) {
      C* to = data.data() + tile * kTileCols * width;
      std::fill_n(to, kTileCols * width, C(0));
      const int64_t begin = tile * kTileCols, rows = std::min(kTileCols, a.rows - begin);
      for (int64_t j = 0; j < rows; ++j)
        for (int64_t c = 0; c < a.cols; ++c)
          to[is_narrow ? c * kTileCols + j : j * width + c] = static_cast<C>(a(begin + j, c));
    });
  }

  const C* tile(int64_t j0) const { return data.data() + j0 * width; }
};

template <class C, class T>
class MatvecRun {
 public:
  MatvecRun(const KernelSpec& spec, const Operands<C>& operands, const Factor<C>& factor, int64_t m, bool is_symmetric,
            const MatrixView<T>& out, const GramOptions& options)
      : spec_(spec),
        score_(operands.score),
        operands_(operands),
        factor_(factor),
        out_(out),
        options_(options),
        m_(m),
        is_symmetric_(is_symmetric),
        key_(stream_key(options.seed, StreamDomain::gram, 0, 0)) {
    if (options.shots > 0) score_.power = 1;  // the power acts on the estimate
  }

  void run() {
    const int64_t n_blocks = round_up(out_.rows, kTileRows) / kTileRows, n_tiles = round_up(m_, kTileCols) / kTileCols;
    const int64_t n_parts = std::min(n_tiles, round_up(kTasks, n_blocks) / n_blocks);
    const int64_t block_size = kTileRows * factor_.width;
    PerWorker<Buffer<C>> scratch;
    Buffer<double> sums(n_blocks * n_parts * block_size);
    parallel_for(n_blocks * n_parts, [&](int64_t index, int worker) {
      C* values = scratch.get(worker, [] { return Buffer<C>(kTileScratch); }).data();
      const int64_t part = index % n_parts;
      sum_tiles(index / n_parts * kTileRows, part * n_tiles / n_parts, (part + 1) * n_tiles / n_parts, values,
                sums.data() + index * block_size);
    });
    parallel_for(n_blocks, [&](int64_t block, int) {
      const double* from = sums.data() + block * n_parts * block_size;
      for (int64_t i = 0; i < std::min(kTileRows, out_.rows - block * kTileRows); ++i)
        for (int64_t c = 0; c < out_.cols; ++c) {
          double sum = 0;
          for (int64_t part = 0; part < n_parts; ++part) sum += from[part * block_size + i * factor_.width + c];
          out_(block * kTileRows + i, c) = static_cast<T>(sum);
        }
    });
  }

 private:
  // Rows [i0, i0 + kTileRows) of K, columns of tiles [first, last), times those rows of the factor.
  void sum_tiles(int64_t i0, int64_t first, int64_t last, C* values, double* sums) const {
    const int64_t rows = std::min(kTileRows, out_.rows - i0);
    std::fill_n(sums, kTileRows * factor_.width, 0.0);
    for (int64_t j0 = first * kTileCols; j0 < std::min(last * kTileCols, m_); j0 += kTileCols) {
      const int64_t cols = std::min(kTileCols, m_ - j0);
      score_tile<C> (*isa_ops().tile)(score_, operands_.left_row(i0), operands_.right_row(j0), rows, cols, values,
                                      values + kTileSize);
      if (is_symmetric_ && spec_.is_normalised())
        for (int64_t i = std::max(i0, j0); i < std::min(i0 + rows, j0 + cols); ++i)
          values[(i - i0) * kTileCols + i - j0] = C(1);
      if (options_.shots > 0) sample(i0, j0, rows, cols, values);
      multiply_tile<C>(factor_.is_narrow)(values, rows, cols, factor_.tile(j0), factor_.width, sums);
    }
  }

  void sample(int64_t i0, int64_t j0, int64_t rows, int64_t cols, C* values) const {
    for (int64_t i = i0; i < i0 + rows; ++i) {
      // Without y, what lies left of the diagonal is drawn as its mirror image is.
      const int64_t left = is_symmetric_ ? std::clamp<int64_t>(i - j0, 0, cols) : 0;
      C* row = values + (i - i0) * kTileCols;
      sample_run<C>()(row, left, options_.shots, spec_.power, {key_, j0, i, true});
      sample_run<C>()(row + left, cols - left, options_.shots, spec_.power, {key_, i, j0 + left, false});
    }
  }

  const KernelSpec& spec_;
  Score score_;
  const Operands<C>& operands_;
  const Factor<C>& factor_;
  const MatrixView<T>& out_;
  const GramOptions& options_;
  int64_t m_;
  bool is_symmetric_;
  uint64_t key_;
};

template <class C, class T>
void run_matvec(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y,
                const MatrixView<const T>& a, const MatrixView<T>& out, const GramOptions& options) {
  const Operands<C> operands(spec, x, y ? *y : x);
  const Factor<C> factor(a);
  MatvecRun<C, T>(spec, operands, factor, a.rows, y == nullptr, out, options).run();
}

}  // namespace

template <class T>
void gram_matvec(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y,
                 const MatrixView<const T>& a, const MatrixView<T>& out, const GramOptions& options) {
  if (out.rows == 0 || out.cols == 0) return;
  if (a.rows == 0) {
    for (int64_t i = 0; i < out.rows; ++i)
      for (int64_t c = 0; c < out.cols; ++c) out(i, c) = T(0);
    return;
  }
  // As in gram().
  if ((options.shots > 0 && spec.power > 1) || spec.is_narrow())
    run_matvec<double, T>(spec, x, y, a, out, options);
  else
    run_matvec<T, T>(spec, x, y, a, out, options);
}

template void gram_matvec(const KernelSpec&, const MatrixView<const float>&, const MatrixView<const float>*,
                          const MatrixView<const float>&, const MatrixView<float>&, const GramOptions&);
template void gram_matvec(const KernelSpec&, const MatrixView<const double>&, const MatrixView<const double>*,
                          const MatrixView<const double>&, const MatrixView<double>&, const GramOptions&);

}  // namespace flashket
