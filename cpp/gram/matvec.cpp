// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/matvec.hpp"

#include "core/parallel.hpp"
#include "core/philox.hpp"
#include "gram/packed_rows.hpp"

namespace flashket {
namespace {

// Tasks that a product is cut into where there are few rows, or where every task has its own sums of all rows.
// Constants: where sums are cut must not depend on the number of threads.
constexpr int64_t kTasks = 64;
constexpr int64_t kFewestTasks = 8;
constexpr int64_t kTaskBytes = int64_t{64} << 20;  // of all sums of all tasks
static_assert(kTileCols % kTileRows == 0 && kTileRows % 32 == 0);

// The matrix that K is multiplied with as the consumer wants it, with rows of zeros up to whole tiles.
template <class C>
struct Factor {
  bool is_narrow;
  int64_t rows, width;  // width: columns with those that fill vectors up
  Buffer<C> data;

  template <class T>
  explicit Factor(const MatrixView<const T>& a)
      : is_narrow(a.cols <= kNarrowValues),
        rows(round_up(a.rows, kTileCols)),
        width(is_narrow ? a.cols : round_up(a.cols, kValueAlign)),
        data(rows * width) {
    parallel_for(rows / kTileCols, [&](int64_t tile, int) {
      for (int64_t j = tile * kTileCols; j < (tile + 1) * kTileCols; ++j)
        for (int64_t c = 0; c < width; ++c)
          data.data()[is_narrow ? c * rows + j : j * width + c] =
              j < a.rows && c < a.cols ? static_cast<C>(a(j, c)) : C(0);
    });
  }

  Columns<const C> from(int64_t row) const { return {data.data() + row * step(), rows, width}; }
  // Sums of so many rows in the same arrangement.
  Columns<double> sums(double* sum, int64_t n_rows, int64_t row) const { return {sum + row * step(), n_rows, width}; }
  int64_t place(int64_t n_rows, int64_t row, int64_t column) const {
    return is_narrow ? column * n_rows + row : row * width + column;
  }

 private:
  int64_t step() const { return is_narrow ? 1 : width; }
};

template <class C, class T>
class MatvecRun {
 public:
  MatvecRun(const KernelSpec& spec, const PackedOperands<C>& operands, const Factor<C>& factor, int64_t m,
            bool is_symmetric, const MatrixView<T>& out, const GramOptions& options)
      : spec_(spec),
        score_(operands.left.score),
        left_(operands.left),
        right_(is_symmetric ? operands.left : operands.right),
        factor_(factor),
        out_(out),
        options_(options),
        m_(m),
        is_symmetric_(is_symmetric),
        key_(stream_key(options.seed, StreamDomain::gram, 0, 0)) {
    if (!options.readings.is_exact()) score_.power = 1;  // the power acts on the estimate
    const MultiplyOps<C>& ops = multiply_ops<C>();
    multiply_ = factor.is_narrow ? ops.narrow : ops.wide;
    multiply_mirrored_ = factor.is_narrow ? ops.narrow_mirrored : ops.wide_mirrored;
  }

  // Every block of rows with every tile of columns; where blocks are few, each is cut into parts by columns.
  void run() {
    const int64_t n_blocks = round_up(out_.rows, kTileRows) / kTileRows, n_tiles = round_up(m_, kTileCols) / kTileCols;
    const int64_t n_parts = std::min(n_tiles, round_up(kTasks, n_blocks) / n_blocks);
    const int64_t block_size = kTileRows * factor_.width;
    PerWorker<Buffer<C>> scratch;
    Buffer<double> sums(n_blocks * n_parts * block_size);
    parallel_for(n_blocks * n_parts, [&](int64_t index, int worker) {
      C* values = scratch.get(worker, [] { return Buffer<C>(tile_scratch(kTileRows)); }).data();
      const int64_t i0 = index / n_parts * kTileRows, rows = std::min(kTileRows, out_.rows - i0);
      const int64_t part = index % n_parts, first = part * n_tiles / n_parts, last = (part + 1) * n_tiles / n_parts;
      double* own = sums.data() + index * block_size;
      std::fill_n(own, block_size, 0.0);
      for (int64_t j0 = first * kTileCols; j0 < std::min(last * kTileCols, m_); j0 += kTileCols) {
        const int64_t cols = std::min(kTileCols, m_ - j0);
        score(i0, j0, rows, cols, values);
        for (int64_t i = 0; i < rows; ++i) finish_row(i0 + i, j0, cols, values + i * kTileStride);
        multiply_(values, rows, cols, factor_.from(j0), factor_.sums(own, kTileRows, 0));
      }
    });
    parallel_for(n_blocks, [&](int64_t block, int) {
      write(block * kTileRows, sums.data() + block * n_parts * block_size, block_size, n_parts, kTileRows, 0);
    });
  }

  // y is x: tiles on and above the diagonal only; what lies below is multiplied from their mirror images. Every task
  // has sums of all rows. False if those would take too much memory, or adding to them more time than the scores that
  // are saved; nothing has been done then.
  bool run_symmetric() {
    if (score_.pair_elements() < 4 * factor_.width) return false;
    const int64_t n = out_.rows, n_blocks = round_up(n, kTileRows) / kTileRows, size = factor_.rows * factor_.width;
    const int64_t n_tasks = std::min({n_blocks, kTasks, kTaskBytes / (size * static_cast<int64_t>(sizeof(double)))});
    if (n_tasks < std::min(n_blocks, kFewestTasks)) return false;
    PerWorker<Buffer<C>> scratch;
    Buffer<double> sums(n_tasks * size);
    parallel_for(n_tasks, [&](int64_t task, int worker) {
      C* values = scratch.get(worker, [] { return Buffer<C>(tile_scratch(kTileRows)); }).data();
      double* own = sums.data() + task * size;
      std::fill_n(own, size, 0.0);
      for (int64_t i0 = task * kTileRows; i0 < n; i0 += n_tasks * kTileRows) {
        const int64_t rows = std::min(kTileRows, n - i0);
        for (int64_t j0 = i0; j0 < n; j0 += kTileCols) {  // tiles begin on the diagonal
          const int64_t cols = std::min(kTileCols, n - j0), square = j0 == i0 ? rows : 0;
          score(i0, j0, rows, cols, values);
          if (square > 0) {
            complete_square(i0, rows, cols, values);
          } else {
            for (int64_t i = 0; i < rows; ++i) sample(i0 + i, j0, cols, values + i * kTileStride);
          }
          multiply_(values, rows, cols, factor_.from(j0), factor_.sums(own, factor_.rows, i0));
          if (cols > square)
            multiply_mirrored_(values + square, rows, cols - square, factor_.from(i0),
                               factor_.sums(own, factor_.rows, j0 + square));
        }
      }
    });
    parallel_for(n_blocks, [&](int64_t block, int) {
      write(block * kTileRows, sums.data(), size, n_tasks, factor_.rows, block * kTileRows);
    });
    return true;
  }

 private:
  void score(int64_t i0, int64_t j0, int64_t rows, int64_t cols, C* values) const {
    tile_ops<C>().score(score_, left_.row(i0), right_.row(j0), rows, cols, values, kTileRows * kTileStride);
  }

  // The square on the diagonal that begins a tile: ones on it, and below it what is above.
  void complete_square(int64_t i0, int64_t rows, int64_t cols, C* values) const {
    for (int64_t i = 0; i < rows; ++i) {
      if (spec_.is_normalised()) values[i * kTileStride + i] = C(1);
      sample(i0 + i, i0 + i, cols - i, values + i * kTileStride + i);
      for (int64_t j = 0; j < i; ++j) values[i * kTileStride + j] = values[j * kTileStride + i];
    }
  }

  // Where y is x, an entry left of the diagonal is drawn as its mirror image is.
  void finish_row(int64_t row, int64_t column, int64_t count, C* values) const {
    int64_t left = 0;
    if (is_symmetric_) {
      if (spec_.is_normalised() && row >= column && row < column + count) values[row - column] = C(1);
      left = std::clamp<int64_t>(row - column, 0, count);
      if (!options_.readings.is_exact())
        sample_run<C>()(values, left, options_.readings, spec_.power, {key_, column, row, true});
    }
    sample(row, column + left, count - left, values + left);
  }

  void sample(int64_t row, int64_t column, int64_t count, C* values) const {
    if (!options_.readings.is_exact())
      sample_run<C>()(values, count, options_.readings, spec_.power, {key_, row, column, false});
  }

  // out of a block of rows = the sum of n_parts sums, which are part_size apart and have n_rows rows each.
  void write(int64_t i0, const double* sums, int64_t part_size, int64_t n_parts, int64_t n_rows, int64_t row) const {
    for (int64_t i = 0; i < std::min(kTileRows, out_.rows - i0); ++i)
      for (int64_t c = 0; c < out_.cols; ++c) {
        const double* from = sums + factor_.place(n_rows, row + i, c);
        double sum = 0;
        for (int64_t part = 0; part < n_parts; ++part) sum += from[part * part_size];
        out_(i0 + i, c) = static_cast<T>(sum);
      }
  }

  const KernelSpec& spec_;
  Score score_;
  const PackedRows<C>& left_;
  const PackedRows<C>& right_;
  const Factor<C>& factor_;
  const MatrixView<T>& out_;
  const GramOptions& options_;
  int64_t m_;
  bool is_symmetric_;
  uint64_t key_;
  MultiplyTile<C> multiply_, multiply_mirrored_;
};

template <class C, class T>
void run_matvec(const KernelSpec& spec, const MatrixView<const T>& x, const MatrixView<const T>* y,
                const MatrixView<const T>& a, const MatrixView<T>& out, const GramOptions& options) {
  {
    const PackedOperands<C> operands(spec, x, y, options.readings.is_exact() ? RowUse::values : RowUse::row_values);
    if (sizeof(C) == 8 || !operands.needs_double()) {
      const Factor<C> factor(a);
      MatvecRun<C, T> run(spec, operands, factor, a.rows, y == nullptr, out, options);
      if (y != nullptr || !run.run_symmetric()) run.run();
      return;
    }
  }
  if constexpr (sizeof(C) == 4) run_matvec<double, T>(spec, x, y, a, out, options);
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
  if ((!options.readings.is_exact() && spec.power > 1) || spec.power > kMostFloatPower || spec.needs_double())
    run_matvec<double, T>(spec, x, y, a, out, options);
  else
    run_matvec<T, T>(spec, x, y, a, out, options);
}

template void gram_matvec(const KernelSpec&, const MatrixView<const float>&, const MatrixView<const float>*,
                          const MatrixView<const float>&, const MatrixView<float>&, const GramOptions&);
template void gram_matvec(const KernelSpec&, const MatrixView<const double>&, const MatrixView<const double>*,
                          const MatrixView<const double>&, const MatrixView<double>&, const GramOptions&);

}  // namespace flashket
