// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Overlaps of matrix product states of large bonds: a block takes pair after pair and keeps the pair's matrices in
// global memory (mostly L2). A site is two matrix products, H = E^T conj(A_x) over the left bond of x, with z among the
// columns, and E = H^T A_y over the left bond of y and z together: [left][z][right] is a matrix either way. Tiles of 32
// x 32 results are made from strips of 16 rows in shared memory, 2 x 2 results a thread: 4 complex FMA for 4 shared
// loads.
#include <algorithm>

#include "gram/mps_sweep.hpp"

namespace flashket::cuda {
namespace {

constexpr int kTile = 32, kDepth = 16, kHalf = kTile / 2;
constexpr int64_t kWorkBytes = int64_t{1} << 30;

// Bonds are at most kMaxMpsBond: no matrix has 2^31 numbers.
// out (m, n) = sum_k x[k][m] y[k][n], y conjugated or not; all row-major without gaps. By all threads of a block.
template <bool kIsConjugate, class C>
FK_DEVICE void multiply(int m, int n, int depth, const Complex<C>* x, const Complex<C>* y, Complex<C>* out,
                        Complex<C> (*left)[kTile], Complex<C> (*right)[kTile]) {
  const int t = static_cast<int>(threadIdx.x), r = t / kHalf, c = t % kHalf;
  for (int m0 = 0; m0 < m; m0 += kTile) {
    for (int n0 = 0; n0 < n; n0 += kTile) {
      Complex<C> sum[2][2] = {};
      for (int k0 = 0; k0 < depth; k0 += kDepth) {
        for (int e = t; e < kDepth * kTile; e += kMpsThreads) {
          const int k = k0 + e / kTile, i = m0 + e % kTile, j = n0 + e % kTile;
          left[e / kTile][e % kTile] = k < depth && i < m ? x[k * m + i] : Complex<C>{C(0), C(0)};
          right[e / kTile][e % kTile] = k < depth && j < n ? y[k * n + j] : Complex<C>{C(0), C(0)};
        }
        __syncthreads();
#pragma unroll 4
        for (int k = 0; k < kDepth; ++k) {
#pragma unroll
          for (int i = 0; i < 2; ++i)
#pragma unroll
            for (int j = 0; j < 2; ++j)
              multiply_add<kIsConjugate>(sum[i][j], right[k][c + j * kHalf], left[k][r + i * kHalf]);
        }
        __syncthreads();
      }
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 2; ++j)
          if (m0 + r + i * kHalf < m && n0 + c + j * kHalf < n)
            out[(m0 + r + i * kHalf) * n + n0 + c + j * kHalf] = sum[i][j];
    }
  }
  __syncthreads();
}

// The largest |.| of n complex numbers, to all threads.
template <class C>
FK_DEVICE C largest_of(const Complex<C>* e, int n, C* scratch) {
  C largest = C(0);
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kMpsThreads) {
    const C re = magnitude(e[i].re), im = magnitude(e[i].im), size = re > im ? re : im;
    largest = size > largest ? size : largest;
  }
#pragma unroll
  for (int bit = kWarp / 2; bit > 0; bit /= 2) {
    const C other = __shfl_xor_sync(0xffffffffu, largest, bit);
    largest = other > largest ? other : largest;
  }
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = largest;
  __syncthreads();
#pragma unroll
  for (int w = 0; w < kMpsThreads / kWarp; ++w) largest = scratch[w] > largest ? scratch[w] : largest;
  __syncthreads();
  return largest;
}

// work: of every block 4 matrices of `size` complex numbers: E, the next E, H.
template <class C>
FK_KERNEL void __launch_bounds__(kMpsThreads, 2)
    LargeMpsGramKernel(MpsPointers<C> x, MpsPointers<C> y, SweepOptions options, Complex<C>* work, int64_t size,
                       void* out, int64_t stride) {
  __shared__ Complex<C> left[kDepth][kTile], right[kDepth][kTile];
  __shared__ C scratch[kMpsThreads / kWarp];
  Complex<C>* e = work + int64_t{blockIdx.x} * 4 * size;
  Complex<C>* next = e + size;
  Complex<C>* h = next + size;
  for (int64_t pair = blockIdx.x; pair < x.rows * y.rows; pair += gridDim.x) {
    const int64_t i = pair / y.rows, j = pair % y.rows;
    if (options.is_same && j < i) continue;  // its mirror writes it
    const int32_t *bonds_x = x.bonds + i * (x.n_sites + 1), *bonds_y = y.bonds + j * (x.n_sites + 1);
    const auto* a = reinterpret_cast<const Complex<C>*>(x.tensors) + x.offsets[i];
    const auto* b = reinterpret_cast<const Complex<C>*>(y.tensors) + y.offsets[j];
    int exponent = 0;
    if (threadIdx.x == 0) e[0] = {C(1), C(0)};
    __syncthreads();
    for (int64_t site = 0; site < x.n_sites; ++site) {
      const int xl = bonds_x[site], xr = bonds_x[site + 1], yl = bonds_y[site], yr = bonds_y[site + 1];
      multiply<true>(yl, 2 * xr, xl, e, a, h, left, right);
      multiply<false>(xr, yr, 2 * yl, h, b, next, left, right);
      a += 2 * xl * xr;
      b += 2 * yl * yr;
      Complex<C>* spare = e;
      e = next;
      next = spare;
      if (site % kRescaleSites != kRescaleSites - 1 && site + 1 != x.n_sites) continue;
      const int shift = shift_of(largest_of(e, xr * yr, scratch));
      const C scale = power_of_two<C>(-shift);
      exponent += shift;
      for (int k = static_cast<int>(threadIdx.x); k < xr * yr; k += kMpsThreads)
        e[k] = {e[k].re * scale, e[k].im * scale};
      __syncthreads();
    }
    if (threadIdx.x == 0) finish_pair(options, Overlap<C>{e[0].re, e[0].im, exponent}, i, j, out, stride);
    __syncthreads();  // E is written for the next pair
  }
}

}  // namespace

template <class C>
void sweep_large(const MpsPointers<C>& x, const MpsPointers<C>& y, int32_t bond_x, int32_t bond_y,
                 const SweepOptions& options, void* out, int64_t stride, Stream stream) {
  const int64_t size = int64_t{bond_x} * bond_y, bytes = 4 * size * static_cast<int64_t>(sizeof(Complex<C>));
  const int64_t wanted = std::min(x.rows * y.rows, int64_t{4} * multiprocessors());
  const int64_t blocks = std::max<int64_t>(1, std::min(wanted, kWorkBytes / bytes));
  const Array<Complex<C>> work(blocks * 4 * size, stream);
  launch("LargeMpsGramKernel", LargeMpsGramKernel<C>, Grid{blocks}, kMpsThreads, 0, stream, x, y, options, work.data(),
         size, out, stride);
}
template void sweep_large(const MpsPointers<float>&, const MpsPointers<float>&, int32_t, int32_t, const SweepOptions&,
                          void*, int64_t, Stream);
template void sweep_large(const MpsPointers<double>&, const MpsPointers<double>&, int32_t, int32_t, const SweepOptions&,
                          void*, int64_t, Stream);

}  // namespace flashket::cuda
