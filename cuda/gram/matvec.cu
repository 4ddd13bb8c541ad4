// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// K(x, y) a without K: panels of K of at most kPanelElements values, which mostly stay in L2, are computed by the same
// engines as a Gram matrix, then multiplied and added to sums in double. Panels depend on shapes only.
// Memory: a panel and 8 bytes a value of the result. Cost: that of the Gram matrix, and n m columns multiply-adds.
#include <algorithm>

#include "gram/score.hpp"

namespace flashket::cuda {

void check_gram(const KernelSpec& spec, const Rows& x, const Rows* y, const GramOptions& options);  // gram.cu

namespace {

constexpr int kThreads = 256, kSide = 16, kMicro = 4, kTile = kSide * kMicro, kChunk = 32;
constexpr int kNarrow = 8;  // columns that one reading of a row of K serves
constexpr int64_t kPanelElements = int64_t{1} << 24, kPanelCols = 2048, kMostPanelCols = 65536;

// sums (rows, columns) += panel (rows, cols) a (cols, columns) for at most kNarrow columns: a block a row.
template <class T>
FK_KERNEL void __launch_bounds__(kThreads)
    MultiplyNarrow(const T* panel, int64_t cols, const T* a, int64_t columns, double* sums) {
  __shared__ double partial[kThreads / kWarp][kNarrow];
  const T* row = panel + int64_t{blockIdx.x} * cols;
  double sum[kNarrow] = {};
  for (int64_t j = threadIdx.x; j < cols; j += kThreads) {
    const double value = static_cast<double>(row[j]);
#pragma unroll
    for (int c = 0; c < kNarrow; ++c)
      if (c < columns) sum[c] += value * static_cast<double>(a[j * columns + c]);
  }
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
#pragma unroll
  for (int c = 0; c < kNarrow; ++c) {
#pragma unroll
    for (int bit = kWarp / 2; bit > 0; bit /= 2) sum[c] += __shfl_xor_sync(0xffffffffu, sum[c], bit);
    if (lane == 0) partial[warp][c] = sum[c];
  }
  __syncthreads();
  const int c = static_cast<int>(threadIdx.x);
  if (c >= kNarrow || c >= columns) return;
  double total = 0;
  for (int w = 0; w < kThreads / kWarp; ++w) total += partial[w][c];
  sums[int64_t{blockIdx.x} * columns + c] += total;
}

// The same for any number of columns: a tile of 64 x 64 sums a block, 4 x 4 a thread.
template <class T>
FK_KERNEL void __launch_bounds__(kThreads)
    MultiplyWide(const T* panel, int64_t rows, int64_t cols, const T* a, int64_t columns, double* sums) {
  __shared__ __align__(16) T left[kChunk][kTile + 1];
  __shared__ __align__(16) T right[kChunk][kTile];
  const int64_t i0 = int64_t{blockIdx.x} * kTile, c0 = int64_t{blockIdx.y} * kTile;
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  double total[kMicro][kMicro] = {};
  for (int64_t j0 = 0; j0 < cols; j0 += kChunk) {
    for (int at = static_cast<int>(threadIdx.x); at < kTile * kChunk; at += kThreads) {
      const int r = at / kChunk, k = at % kChunk;
      left[k][r] = i0 + r < rows && j0 + k < cols ? panel[(i0 + r) * cols + j0 + k] : T(0);
      const int d = at / kTile, c = at % kTile;
      right[d][c] = j0 + d < cols && c0 + c < columns ? a[(j0 + d) * columns + c0 + c] : T(0);
    }
    __syncthreads();
    T part[kMicro][kMicro] = {};
#pragma unroll 4
    for (int k = 0; k < kChunk; ++k) {
#pragma unroll
      for (int r = 0; r < kMicro; ++r) {
#pragma unroll
        for (int c = 0; c < kMicro; ++c) part[r][c] += left[k][ty * kMicro + r] * right[k][tx * kMicro + c];
      }
    }
#pragma unroll
    for (int r = 0; r < kMicro; ++r) {
#pragma unroll
      for (int c = 0; c < kMicro; ++c) total[r][c] += static_cast<double>(part[r][c]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int r = 0; r < kMicro; ++r) {
#pragma unroll
    for (int c = 0; c < kMicro; ++c) {
      const int64_t i = i0 + ty * kMicro + r, column = c0 + tx * kMicro + c;
      if (i < rows && column < columns) sums[i * columns + column] += total[r][c];
    }
  }
}

template <class T>
FK_KERNEL void __launch_bounds__(kThreads) StoreSums(const double* sums, int64_t count, T* out) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) out[i] = static_cast<T>(sums[i]);
}

template <class T>
void multiply(const T* panel, int64_t rows, int64_t cols, const T* a, int64_t columns, double* sums, Stream stream) {
  if (columns <= kNarrow) {
    launch("MultiplyNarrow", MultiplyNarrow<T>, {rows}, kThreads, 0, stream, panel, cols, a, columns, sums);
    return;
  }
  // The second axis of a grid ends at 65,535 blocks.
  constexpr int64_t kMostColumns = int64_t{65535} * kTile;
  if (columns > kMostColumns) throw std::invalid_argument("[gram_matvec] A has too many columns: split it");
  launch("MultiplyWide", MultiplyWide<T>, {(rows + kTile - 1) / kTile, (columns + kTile - 1) / kTile}, kThreads, 0,
         stream, panel, rows, cols, a, columns, sums);
}

}  // namespace

template <class T>
void gram_matvec(const KernelSpec& spec, const Rows& x, const Rows* y, const T* a, int64_t columns, T* out,
                 const GramOptions& options, Stream stream) {
  check_gram(spec, x, y, options);
  const int64_t n = x.count, m = y ? y->count : n;
  if (n == 0 || columns == 0) return;
  if (m == 0) return fill_bytes(out, 0, static_cast<size_t>(n * columns) * sizeof(T), stream);
  const Scorer<T> scorer(spec, x, y, options, stream);
  const int64_t panel_rows = std::min(n, kPanelElements / kPanelCols);
  const int64_t panel_cols = std::min(m, std::clamp(kPanelElements / panel_rows, kPanelCols, kMostPanelCols));
  const Array<T> panel(panel_rows * panel_cols, stream);
  const Array<double> sums(n * columns, stream);
  fill_bytes(sums.data(), 0, static_cast<size_t>(n * columns) * sizeof(double), stream);
  for (int64_t j = 0; j < m; j += panel_cols) {
    const int64_t cols = std::min(panel_cols, m - j);
    for (int64_t i = 0; i < n; i += panel_rows) {
      const int64_t rows = std::min(panel_rows, n - i);
      scorer.score({.rows = rows, .cols = cols, .row0 = i, .col0 = j}, panel.data(), cols);
      multiply(panel.data(), rows, cols, a + j * columns, columns, sums.data() + i * columns, stream);
    }
  }
  launch("StoreSums", StoreSums<T>, {(n * columns + kThreads - 1) / kThreads}, kThreads, 0, stream, sums.data(),
         n * columns, out);
}

template void gram_matvec(const KernelSpec&, const Rows&, const Rows*, const float*, int64_t, float*,
                          const GramOptions&, Stream);
template void gram_matvec(const KernelSpec&, const Rows&, const Rows*, const double*, int64_t, double*,
                          const GramOptions&, Stream);

}  // namespace flashket::cuda
