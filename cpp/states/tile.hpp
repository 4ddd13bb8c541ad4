// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Operations on a tile: 2^K vectors of amplitudes that differ in K qubits stay in registers while all operations of the
// tile act on them. A qubit below the number of lanes is handled by exchanging lanes.
// Compiled once per instruction set: include from .simd.cpp files only.
#pragma once
#include "states/row.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Registers for amplitudes; half of them are left for what an operation needs.
constexpr int32_t kRegisterBits = FLASHKET_VECTOR_BYTES == 64 ? 3 : 2;

template <class T, int K>
struct TileRegisters {
  static constexpr int n = 1 << K;
  Vec<T> re[n], im[n];
};

// out = a + (re + i im) b with what is known to be zero left out.
template <int Kind, class T>
FLASHKET_INLINE void add_multiple(Vec<T> a_re, Vec<T> a_im, Vec<T> b_re, Vec<T> b_im, Vec<T> re, Vec<T> im,
                                  Vec<T>& out_re, Vec<T>& out_im) {
  if constexpr (Kind != kImaginaryKind) {
    a_re += re * b_re;
    a_im += re * b_im;
  }
  if constexpr (Kind != kRealKind) {
    a_re -= im * b_im;
    a_im += im * b_re;
  }
  out_re = a_re;
  out_im = a_im;
}

template <int J, int IsSwapped, int Kind, class T, int K>
FLASHKET_INLINE void unitary_on_register(TileRegisters<T, K>& v, const RowOperation<T>& op) {
  if constexpr (J < K) {
    const Vec<T> re = splat<T>(op.re), im = splat<T>(op.im), one = opaque(splat<T>(T(1)));
    FLASHKET_UNROLL
    for (int i = 0; i < (1 << K); ++i) {
      if (i & (1 << J)) continue;
      const int k = i | (1 << J);
      const Vec<T> a_re = v.re[i], a_im = v.im[i], b_re = v.re[k], b_im = v.im[k];
      if constexpr (Kind == kHadamardKind) {
        // Additions and multiply-adds: many processors have units for each.
        v.re[i] = a_re + b_re;
        v.im[i] = a_im + b_im;
        v.re[k] = a_re - one * b_re;
        v.im[k] = a_im - one * b_im;
      } else if constexpr (IsSwapped) {
        add_multiple<Kind, T>(b_re, b_im, a_re, a_im, re, im, v.re[i], v.im[i]);
        add_multiple<Kind, T>(a_re, a_im, b_re, b_im, -re, im, v.re[k], v.im[k]);
      } else {
        add_multiple<Kind, T>(a_re, a_im, b_re, b_im, re, im, v.re[i], v.im[i]);
        add_multiple<Kind, T>(b_re, b_im, a_re, a_im, -re, im, v.re[k], v.im[k]);
      }
    }
  }
}

template <int L, int IsSwapped, int Kind, class T, int K>
FLASHKET_INLINE void unitary_on_lane(TileRegisters<T, K>& v, const RowOperation<T>& op) {
  if constexpr (L < kLaneBits<T>) {
    const Vec<T> re = where_lanes<T>(1u << L, -op.re, op.re), im = splat<T>(op.im);  // r, and -r* where the bit is 1
    FLASHKET_UNROLL
    for (int i = 0; i < (1 << K); ++i) {
      // Without opaque GCC computes the exchanged lanes of all operations before it looks which one is wanted.
      const Vec<T> a_re = opaque(v.re[i]), a_im = opaque(v.im[i]);
      const Vec<T> b_re = exchange_lanes<T, 1 << L>(a_re), b_im = exchange_lanes<T, 1 << L>(a_im);
      if constexpr (IsSwapped)
        add_multiple<Kind, T>(b_re, b_im, a_re, a_im, re, im, v.re[i], v.im[i]);
      else
        add_multiple<Kind, T>(a_re, a_im, b_re, b_im, re, im, v.re[i], v.im[i]);
    }
  }
}

template <int Mask, class T, int K>
FLASHKET_INLINE void phase(TileRegisters<T, K>& v, const RowOperation<T>& op) {
  if constexpr (Mask < (1 << K)) {
    const Vec<T> re = where_lanes<T>(op.lane_mask, op.re, T(1)), im = where_lanes<T>(op.lane_mask, op.im, T(0));
    FLASHKET_UNROLL
    for (int i = 0; i < (1 << K); ++i) {
      if ((i & Mask) != Mask) continue;
      const Vec<T> a = v.re[i], b = v.im[i];
      v.re[i] = a * re - b * im;
      v.im[i] = a * im + b * re;
    }
  }
}

// Also scales all: Mask 0 and no lanes.
template <int Mask, class T, int K>
FLASHKET_INLINE void sign(TileRegisters<T, K>& v, const RowOperation<T>& op) {
  if constexpr (Mask < (1 << K)) {
    const Vec<T> re = where_lanes<T>(op.lane_mask, op.re, T(1));
    FLASHKET_UNROLL
    for (int i = 0; i < (1 << K); ++i) {
      if ((i & Mask) != Mask) continue;
      v.re[i] *= re;
      v.im[i] *= re;
    }
  }
}

template <class T, int K>
FLASHKET_INLINE void apply_operation(TileRegisters<T, K>& v, const RowOperation<T>& op) {
#define FLASHKET_UNITARY_CASES(function, place, at) \
  case unitary_code(place, 0, kRealKind):           \
    function<at, 0, kRealKind, T, K>(v, op);        \
    break;                                          \
  case unitary_code(place, 0, kImaginaryKind):      \
    function<at, 0, kImaginaryKind, T, K>(v, op);   \
    break;                                          \
  case unitary_code(place, 0, kComplexKind):        \
    function<at, 0, kComplexKind, T, K>(v, op);     \
    break;                                          \
  case unitary_code(place, 1, kRealKind):           \
    function<at, 1, kRealKind, T, K>(v, op);        \
    break;                                          \
  case unitary_code(place, 1, kImaginaryKind):      \
    function<at, 1, kImaginaryKind, T, K>(v, op);   \
    break;                                          \
  case unitary_code(place, 1, kComplexKind):        \
    function<at, 1, kComplexKind, T, K>(v, op);     \
    break;
#define FLASHKET_HADAMARD_CASE(place)                          \
  case unitary_code(place, 1, kHadamardKind):                  \
    unitary_on_register<place, 1, kHadamardKind, T, K>(v, op); \
    break;
#define FLASHKET_MASK_CASES(function, code) \
  case code:                                \
    function<0, T, K>(v, op);               \
    break;                                  \
  case code + 1:                            \
    function<1, T, K>(v, op);               \
    break;                                  \
  case code + 2:                            \
    function<2, T, K>(v, op);               \
    break;                                  \
  case code + 3:                            \
    function<3, T, K>(v, op);               \
    break;                                  \
  case code + 4:                            \
    function<4, T, K>(v, op);               \
    break;                                  \
  case code + 5:                            \
    function<5, T, K>(v, op);               \
    break;                                  \
  case code + 6:                            \
    function<6, T, K>(v, op);               \
    break;
  switch (op.code) {
    FLASHKET_UNITARY_CASES(unitary_on_register, 0, 0)
    FLASHKET_UNITARY_CASES(unitary_on_register, 1, 1)
    FLASHKET_UNITARY_CASES(unitary_on_register, 2, 2)
    FLASHKET_UNITARY_CASES(unitary_on_lane, kMaxRegisterQubits + 0, 0)
    FLASHKET_UNITARY_CASES(unitary_on_lane, kMaxRegisterQubits + 1, 1)
    FLASHKET_UNITARY_CASES(unitary_on_lane, kMaxRegisterQubits + 2, 2)
    FLASHKET_UNITARY_CASES(unitary_on_lane, kMaxRegisterQubits + 3, 3)
    FLASHKET_HADAMARD_CASE(0)
    FLASHKET_HADAMARD_CASE(1)
    FLASHKET_HADAMARD_CASE(2)
    FLASHKET_MASK_CASES(phase, kPhaseCode)
    FLASHKET_MASK_CASES(sign, kSignCode)
    case kScaleCode:
      sign<0, T, K>(v, op);
      break;
    default:
      __builtin_unreachable();
  }
#undef FLASHKET_UNITARY_CASES
#undef FLASHKET_HADAMARD_CASE
#undef FLASHKET_MASK_CASES
}

// registers: ascending positions of the tile's qubits within the block of n_vectors vectors.
template <class T, int K>
void run_tiles(T* re, T* im, int64_t n_vectors, const int32_t* registers, const RowOperation<T>* operations,
               int32_t n_operations) {
  int64_t offset[1 << K];
  offset[0] = 0;
  for (int j = 0; j < K; ++j)
    for (int i = 0; i < (1 << j); ++i) offset[i + (1 << j)] = offset[i] + (int64_t{1} << registers[j]);
  for (int64_t t = 0; t < n_vectors >> K; ++t) {
    int64_t at = t * kLanes<T>;
    for (int j = 0; j < K; ++j) {
      const int64_t low = at & ((int64_t{1} << registers[j]) - 1);
      at = 2 * (at - low) + low;
    }
    TileRegisters<T, K> v;
    FLASHKET_UNROLL
    for (int i = 0; i < (1 << K); ++i) {
      v.re[i] = load(re + at + offset[i]);
      v.im[i] = load(im + at + offset[i]);
    }
    for (const RowOperation<T>* op = operations; op < operations + n_operations; ++op)
      if ((at & op->block_mask) == op->block_mask) apply_operation<T, K>(v, *op);
    FLASHKET_UNROLL
    for (int i = 0; i < (1 << K); ++i) {
      store<T>(re + at + offset[i], v.re[i]);
      store<T>(im + at + offset[i], v.im[i]);
    }
  }
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
