// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Operations on the amplitudes that one thread holds in registers: v[i], bit j of i is the qubit of register j. Twin of
// the host's states/tile.hpp and states/diagonal.hpp.
#pragma once
#include <type_traits>

#include "states/prepare.hpp"

namespace flashket::cuda::statevector {

template <class T>
struct Traits;
template <>
struct Traits<float> {
  using Uint = uint32_t;
  static constexpr int register_bits = 4;  // 32 registers of amplitudes
  static constexpr int bank_bits = 4;      // 16 of them fill the banks of shared memory once
};
template <>
struct Traits<double> {
  using Uint = uint64_t;
  static constexpr int register_bits = 3;
  static constexpr int bank_bits = 3;
};
template <class T>
constexpr int kRegisterBits = Traits<T>::register_bits;
template <class T>
constexpr int kAmplitudes = 1 << kRegisterBits<T>;
template <class T>
using Uint = typename Traits<T>::Uint;

template <class T>
using Registers = Complex<T>[kAmplitudes<T>];

// a + (re + i im) b with what is known to be zero left out.
template <int Kind, class T>
FK_DEVICE Complex<T> add_multiple(Complex<T> a, Complex<T> b, T re, T im) {
  if constexpr (Kind != kImaginaryKind) {
    a.re += re * b.re;
    a.im += re * b.im;
  }
  if constexpr (Kind != kRealKind) {
    a.re -= im * b.im;
    a.im += im * b.re;
  }
  return a;
}

template <int J, bool kIsSwapped, int Kind, class T>
FK_DEVICE void apply_core(Registers<T>& v, T re, T im) {
#pragma unroll
  for (int i = 0; i < kAmplitudes<T>; ++i) {
    if (i & (1 << J)) continue;
    const int k = i | (1 << J);
    const Complex<T> a = v[kIsSwapped ? k : i], b = v[kIsSwapped ? i : k];
    v[i] = add_multiple<Kind>(a, b, re, im);
    v[k] = add_multiple<Kind>(b, a, -re, im);
  }
}

template <int J, class T>
FK_DEVICE void apply_unitary(Registers<T>& v, int32_t code, T re, T im) {
  if constexpr (J < kRegisterBits<T>) {
    switch (code) {
      case kRealKind:
        return apply_core<J, false, kRealKind, T>(v, re, im);
      case kImaginaryKind:
        return apply_core<J, false, kImaginaryKind, T>(v, re, im);
      case kComplexKind:
        return apply_core<J, false, kComplexKind, T>(v, re, im);
      case 4 + kRealKind:
        return apply_core<J, true, kRealKind, T>(v, re, im);
      case 4 + kImaginaryKind:
        return apply_core<J, true, kImaginaryKind, T>(v, re, im);
      default:
        return apply_core<J, true, kComplexKind, T>(v, re, im);
    }
  }
}

// Multiplies the amplitudes that have all bits of the mask, which names at most two registers.
template <bool kIsSign, class T, int M = 0>
FK_DEVICE void apply_phase(Registers<T>& v, int32_t mask, T re, T im) {
  if constexpr (M < kAmplitudes<T>) {
    constexpr int rest = M & (M - 1);  // without its lowest bit
    if constexpr ((rest & (rest - 1)) == 0) {
      if (mask == M) {
#pragma unroll
        for (int i = 0; i < kAmplitudes<T>; ++i) {
          if ((i & M) != M) continue;
          if constexpr (kIsSign)
            v[i] = {re * v[i].re, re * v[i].im};
          else
            v[i] = v[i] * Complex<T>{re, im};
        }
        return;
      }
    }
    apply_phase<kIsSign, T, M + 1>(v, mask, re, im);
  }
}

template <class T>
FK_DEVICE void apply_operation(Registers<T>& v, const RowOperation<T>& op, uint32_t base) {
  switch (op.code >> 3) {
    case 0:
      return apply_unitary<0, T>(v, op.code & 7, op.re, op.im);
    case 1:
      return apply_unitary<1, T>(v, op.code & 7, op.re, op.im);
    case 2:
      return apply_unitary<2, T>(v, op.code & 7, op.re, op.im);
    case 3:
      return apply_unitary<3, T>(v, op.code & 7, op.re, op.im);
    case kPhaseCode >> 3:
    case (kPhaseCode >> 3) + 1:
      if ((base & op.mask) == op.mask) apply_phase<false, T>(v, op.code - kPhaseCode, op.re, op.im);
      return;
    case kSignCode >> 3:
    case (kSignCode >> 3) + 1:
      if ((base & op.mask) == op.mask) apply_phase<true, T>(v, op.code - kSignCode, op.re, op.im);
      return;
    default:
#pragma unroll
      for (int i = 0; i < kAmplitudes<T>; ++i) v[i] = {op.re * v[i].re, op.re * v[i].im};
  }
}

constexpr int highest_bit(int i) { return i >= 8 ? 3 : i >= 4 ? 2 : i >= 2 ? 1 : 0; }  // i < 16

// Position `index` among those whose register bits are 0.
template <class T>
FK_DEVICE uint32_t spread(uint32_t index, const int32_t* registers) {
#pragma unroll
  for (int j = 0; j < kRegisterBits<T>; ++j) {
    const uint32_t low = index & ((1u << registers[j]) - 1);
    index = 2 * (index - low) + low;
  }
  return index;
}

// Calls f(constant i, j) for all amplitudes i in an order in which each differs from the one before in bit j alone (-1:
// the first), so that an address is one step from the last and no table of addresses lives in registers.
template <int Count, class F, int K = 0>
FK_DEVICE void for_each_amplitude(const F& f) {
  if constexpr (K < Count) {
    constexpr int bit = K == 0 ? -1 : K & 1 ? 0 : K & 2 ? 1 : K & 4 ? 2 : 3;
    f(std::integral_constant<int, (K ^ K >> 1)>{}, std::integral_constant<int, bit>{});
    for_each_amplitude<Count, F, K + 1>(f);
  }
}

// x where bit j of base is 1, 0 elsewhere.
FK_DEVICE uint32_t where_bit(uint32_t base, int j, uint32_t x) { return ((base >> j) & 1) * x; }
FK_DEVICE uint64_t where_bit(uint32_t base, int j, uint64_t x) { return (uint64_t{0} - ((base >> j) & 1)) & x; }

constexpr int kMaxBlockBits = 14;

// 16 bytes at a time from shared memory.
template <class T>
struct alignas(16) Quad {
  static constexpr int size = 16 / sizeof(Uint<T>);
  Uint<T> values[size];
};
template <class T>
FK_DEVICE Quad<T> load_quad(const Uint<T>* from) {
  return *reinterpret_cast<const Quad<T>*>(from);
}

// A polynomial on a block: m[(k << row_bits) + j], symmetric, is what qubits k and j at positions of the block add
// where both are 1, m[k][k] what k adds alone; constant what all of them add.
template <class T>
FK_DEVICE void multiply_by_polynomial(Registers<T>& v, const Uint<T>* m, int row_bits, int n, Uint<T> constant,
                                      uint32_t base, const int32_t* registers) {
  constexpr int R = kRegisterBits<T>, W = Quad<T>::size;
  // phase(base) and, for every register, what its bit adds; bits of base are 0 at the registers.
  Uint<T> linear[R], pairs[R][R], phase[kAmplitudes<T>];
  uint32_t is_register = 0;
#pragma unroll
  for (int j = 0; j < R; ++j) {
    const Uint<T>* row = m + (registers[j] << row_bits);
    is_register |= 1u << registers[j];
    linear[j] = row[registers[j]];
#pragma unroll
    for (int l = 0; l < R; ++l)
      if (l < j) pairs[j][l] = row[registers[l]];
#pragma unroll
    for (int q = 0; q < kMaxBlockBits; q += W) {
      if (q < n) {
        const Quad<T> quad = load_quad<T>(row + q);
#pragma unroll
        for (int e = 0; e < W; ++e) linear[j] += where_bit(base, q + e, quad.values[e]);
      }
    }
  }
  phase[0] = constant;
#pragma unroll
  for (int k = 0; k < kMaxBlockBits; ++k) {
    if (k < n && !(is_register >> k & 1)) {
      Uint<T> sum = 0;
#pragma unroll
      for (int q = 0; q <= k; q += W) {
        const Quad<T> quad = load_quad<T>(m + (k << row_bits) + q);
#pragma unroll
        for (int e = 0; e < W; ++e)
          if (q + e <= k) sum += q + e < k ? where_bit(base, q + e, quad.values[e]) : quad.values[e];
      }
      phase[0] += where_bit(base, k, sum);
    }
  }
  // phase[i] = phase without the highest bit j of i, and what bit j adds to it. Bounds are constants, so that all
  // indices are known and arrays stay in registers.
#pragma unroll
  for (int i = 1; i < kAmplitudes<T>; ++i) {
    const int j = highest_bit(i);
    Uint<T> step = linear[j];
#pragma unroll
    for (int l = 0; l < R; ++l)
      if (l < j && (i >> l & 1)) step += pairs[j][l];
    phase[i] = phase[i - (1 << j)] + step;
  }
#pragma unroll
  for (int i = 0; i < kAmplitudes<T>; ++i) {
    const auto unit = unit_of(phase[i]);
    v[i] = v[i] * Complex<T>{static_cast<T>(unit.re), static_cast<T>(unit.im)};
  }
}

}  // namespace flashket::cuda::statevector
