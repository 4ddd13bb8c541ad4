// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the kernels of matrix product states share. Internal to gram/.
#pragma once
#include "core/launch.hpp"
#include "gram/mps.hpp"
#include "gram/tiles.hpp"
#include "states/numbers.hpp"

namespace flashket::cuda {

using statevector::Complex;

constexpr int kMpsThreads = 256;
constexpr int kRescaleSites = 4;        // between powers of two taken out of E
constexpr int32_t kMaxSharedBond = 32;  // all of a site lies in shared memory

template <class C>
struct MpsPointers {
  int64_t rows, n_sites;
  const int32_t* bonds;
  const int64_t* offsets;
  const C* tensors;
};

template <class C>
MpsPointers<C> pointers(const DeviceMps<C>& mps) {
  return {mps.rows, mps.n_sites, mps.bonds(), mps.offsets(), mps.tensors()};
}

struct SweepOptions {
  Scoring scoring;
  Finish finish;
  bool is_same;
  bool is_double;     // what is stored
  int64_t first_row;  // of the launch
  int64_t columns;    // squares from left to right
};

// a += conj(x) y, or x y.
template <bool kIsConjugate, class C>
FK_DEVICE void multiply_add(Complex<C>& a, Complex<C> x, Complex<C> y) {
  const C im = kIsConjugate ? -x.im : x.im;
  a.re += x.re * y.re;
  a.im += x.re * y.im;
  a.re -= im * y.im;
  a.im += im * y.re;
}

template <class T, class C>
FK_DEVICE void store_value(const SweepOptions& options, C exact, int64_t i, int64_t j, void* out, int64_t stride) {
  const T value = static_cast<T>(finish_value<T>(options.finish, options.is_same, exact, i, j));
  T* to = static_cast<T*>(out);
  to[i * stride + j] = value;
  if (options.is_same) to[j * stride + i] = value;
}

// The kernel value of a finished overlap, to its places.
template <class C>
FK_DEVICE void finish_pair(const SweepOptions& options, const Overlap<C>& overlap, int64_t i, int64_t j, void* out,
                           int64_t stride) {
  const C exact = options.finish.is_log ? log_kernel_value(options.scoring, overlap)
                                        : plain(scaled_kernel_value(options.scoring, overlap));
  if (options.is_double)
    store_value<double>(options, exact, i, j, out, stride);
  else
    store_value<float>(options, exact, i, j, out, stride);
}

// The power of two of the largest of a matrix's numbers; 0 for a matrix of zeros, and where one is not finite.
template <class C>
FK_DEVICE int shift_of(C largest) {
  const int field = exponent_field(largest);
  return field == 0 || field == 2 * FloatFormat<C>::bias + 1 ? 0 : field - FloatFormat<C>::bias;
}

// Bonds above kMaxSharedBond, or what a device's shared memory takes: E in global memory, a block a pair.
template <class C>
void sweep_large(const MpsPointers<C>& x, const MpsPointers<C>& y, int32_t bond_x, int32_t bond_y,
                 const SweepOptions& options, void* out, int64_t stride, Stream stream);

}  // namespace flashket::cuda
