// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Bloch vectors from amplitudes in registers: <X_k> + i <Y_k> = 2 sum over z with bit k = 0 of conj(a_z) a_{z + 2^k},
// <Z_k> = sum_z (-1)^{bit k of z} |a_z|^2. Cost: 2 FMA an amplitude and qubit for X and Y, 1 addition for Z. Sums are
// trees over threads in a fixed order. Host twin: states/bloch.hpp.
#pragma once
#include "states/block.hpp"

namespace flashket::cuda::statevector {

template <class T>
struct BlochSums {
  static constexpr int R = kRegisterBits<T>, size = 3 * R;
  T sums[size];  // x of the registers, y, z; x and y without the factor 2

  FK_DEVICE void clear() {
#pragma unroll
    for (int i = 0; i < size; ++i) sums[i] = T(0);
  }

  FK_DEVICE void add(const Registers<T>& v) {
#pragma unroll
    for (int j = 0; j < R; ++j) {
#pragma unroll
      for (int i = 0; i < kAmplitudes<T>; ++i) {
        if (i & (1 << j)) continue;
        const Complex<T> a = v[i], b = v[i | 1 << j];
        sums[j] += a.re * b.re + a.im * b.im;
        sums[R + j] += a.re * b.im - a.im * b.re;
        sums[2 * R + j] += square(a) - square(b);
      }
    }
  }

  // Over the aligned groups of `lanes` threads of a warp; all 32 must come here.
  FK_DEVICE void reduce(int lanes) {
    for (int offset = lanes / 2; offset > 0; offset /= 2) {
#pragma unroll
      for (int i = 0; i < size; ++i) sums[i] += __shfl_xor_sync(0xffffffffu, sums[i], offset);
    }
  }
};

// The first of the register_bits positions of step `index`; the last steps' may overlap.
template <class T>
FK_HD int bloch_first(int index, int size_bits) {
  constexpr int R = kRegisterBits<T>;
  return index * R < size_bits - R ? index * R : size_bits - R;
}

// The row's 3 n components from the block in shared memory, which all of the block's threads ask for together.
template <class T>
FK_DEVICE void write_bloch(const BlockRow<T>& b, const StateOutput<T>& out, int64_t to_row, bool is_row) {
  constexpr int R = kRegisterBits<T>, S = BlochSums<T>::size;
  const int n = b.program.n_qubits, size_bits = b.shape.size_bits, group = b.group();
  T* scratch = reinterpret_cast<T*>(b.tables);  // nobody needs them any more
  T* to = out.data + to_row * out.pitch;
  const auto put = [&](int q, int component, T sum) {
    if (is_row && q < n) to[component * n + q] = component < 2 ? 2 * sum : sum;
  };
  for (int index = 0; index * R < size_bits; ++index) {
    const int first = bloch_first<T>(index, size_bits);
    int32_t registers[R];
#pragma unroll
    for (int j = 0; j < R; ++j) registers[j] = first + j;
    BlochSums<T> sums;
    sums.clear();
    for (uint32_t i = static_cast<uint32_t>(b.t); i >> (size_bits - R) == 0; i += static_cast<uint32_t>(group)) {
      const uint32_t base = spread<T>(i, registers);
      Registers<T> v;
      b.each_amplitude(base, registers, [&](const Complex<T>& a, int k) { v[k] = a; });
      sums.add(v);
    }
    sums.reduce(group < kWarp ? group : kWarp);
    if (group <= kWarp) {
      if (b.t == 0) {
#pragma unroll
        for (int i = 0; i < S; ++i) put(first + i % R, i / R, sums.sums[i]);
      }
      continue;
    }
    if (b.t % kWarp == 0) {
#pragma unroll
      for (int i = 0; i < S; ++i) scratch[b.t / kWarp * S + i] = sums.sums[i];
    }
    __syncthreads();
    if (b.t < S) {
      T sum = 0;
      for (int w = 0; w < group / kWarp; ++w) sum += scratch[w * S + b.t];
      put(first + b.t % R, b.t / R, sum);
    }
    __syncthreads();
  }
}

}  // namespace flashket::cuda::statevector
