// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Gram matrices of matrix product states: the host makes the states (cpp/states/mps.hpp), the device their overlaps,
// <x|y> = a product of transfer matrices E <- sum_z A_x[z]^dagger E A_y[z] swept along the chain.
#pragma once
#include "../../cpp/gram/mps_gram.hpp"
#include "core/encoder.hpp"

namespace flashket::cuda {

constexpr int32_t kMaxMpsBond = 1024;  // the matrices of a pair then take 64 MiB

// States in device memory, laid out as the host's MpsView: bonds (rows, n_sites + 1), the tensors of row i from
// offsets[i] on, in complex numbers of C, site after site [left bond][z][right bond].
template <class C>
class DeviceMps {
 public:
  // Throws std::invalid_argument for bonds above kMaxMpsBond, before anything is allocated.
  DeviceMps(const MpsView& host, Stream stream);
  int64_t rows, n_sites;
  int32_t largest_bond;
  const int32_t* bonds() const { return bonds_.data(); }
  const int64_t* offsets() const { return offsets_.data(); }
  const C* tensors() const { return tensors_.data(); }

 private:
  Array<int32_t> bonds_;
  Array<int64_t> offsets_;
  Array<C> tensors_;
};

// out[i * stride + j] = kernel(x_i, y_j) in device memory; y == nullptr: y is x, the result exactly symmetric and its
// diagonal exactly 1. C is what is computed in, T what is stored. Cost: 16 n chi^3 FMA a pair, chi the largest bond
// rounded up to 4, 8, 16 or 32; up to 32 a site lies in shared memory, above its matrices are in global
// memory. Relative error of an overlap: a few roundings of C for every site.
template <class C, class T>
void mps_gram(const DeviceMps<C>& x, const DeviceMps<C>* y, T* out, int64_t stride, const MpsGramOptions& options,
              Stream stream);

// The same from states in host memory, computed in double as on the host: float32 sweeps lose about 1e-6 in 40 sites.
template <class T>
void mps_gram(const MpsView& x, const MpsView* y, T* out, int64_t stride, const MpsGramOptions& options, Stream stream);

}  // namespace flashket::cuda
