// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Pair kernel of line-entangled rows: <x|y> = 2^-n sum_z exp(i (phi_y - phi_x)(z)) with phi of degree 2 along a line.
//
// Qubits of odd position are summed out by hand: 1 + e^(i t) = 2 cos(t/2) e^(i t/2), and the phase, linear in the two
// neighbours, goes into their own. What is left is a line of half the length with a real 2 x 2 matrix of cosines a
// step,
//   (A, B) <- (f00 A + f10 e^(ig) B, f01 A + f11 e^(ig) B),   f_ab = cos(h + a j + b k),
// 24 multiplications or FMAs for two qubits where the plain recursion takes 32. Every angle is a difference of one of x
// and one of y, so rows hold cosines and sines, and a pair costs two FMAs for each cosine. Elements of a step (of the
// depth of the depth): cos g, sin g, then cos, sin of the four f00, f01, f10, f11; element 0 holds the global phase
// alone. A (mantissa) and its power of two are kept apart: nothing underflows. feature_maps/line.simd.cpp makes the
// rows.
#pragma once
#include "gram/layout.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int kTransferRows = FLASHKET_VECTOR_BYTES == 64 ? 4 : 2;  // 4 sums a row: what 32 or 16 registers hold
constexpr int64_t kTransferSteps = 16;  // between rescalings: 16 roundings of 2^-53 do not underflow a double

template <class T>
struct FloatBits;
template <>
struct FloatBits<float> {
  static constexpr int mantissa = 23, bias = 127;
};
template <>
struct FloatBits<double> {
  static constexpr int mantissa = 52, bias = 1023;
};

template <int N>
struct Count {
  static constexpr int value = N;
};

// 2^e for e >= -bias (then 0).
template <class T>
FLASHKET_INLINE Vec<T> power_of_two(IntVec<T> e) {
  using Int = typename Simd<T>::Int;
  return (Vec<T>)((e + Int{FloatBits<T>::bias}) << FloatBits<T>::mantissa);
}

template <class T>
FLASHKET_INLINE Vec<T> magnitude(Vec<T> v) {
  return (Vec<T>)((UintVec<T>)v << 1 >> 1);
}

// (A, B) of R rows and one vector of columns between two chunks of the depth, and the power of two taken out so far.
template <class T, int R>
struct TransferState {
  Vec<T> re[R], im[R], br[R], bi[R];
  IntVec<T> exponent[R];
};

// R rows against one vector of columns.
template <class T, int R>
FLASHKET_INLINE void transfer_steps(int64_t n_steps, const T* a, const T* b, TransferState<T, R>& s) {
  using Int = typename Simd<T>::Int;
  constexpr int64_t N = kPanelCols<T>;
  for (int64_t d = 0; d < n_steps; ++d) {
    const T* x = a + d * kTransferElements * N;
    const T* y = b + d * kTransferElements * N;
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const auto cosine = [&](int64_t p) __attribute__((always_inline)) {
        return splat(x[p * N + r]) * load(y + p * N) + splat(x[(p + 1) * N + r]) * load(y + (p + 1) * N);
      };
      const Vec<T> cos_g = cosine(0), sin_g = splat(x[r]) * load(y + N) - splat(x[N + r]) * load(y);
      const Vec<T> tr = s.br[r] * cos_g - s.bi[r] * sin_g, ti = s.br[r] * sin_g + s.bi[r] * cos_g;
      const Vec<T> f00 = cosine(2), f01 = cosine(4), f10 = cosine(6), f11 = cosine(8);
      s.br[r] = f01 * s.re[r] + f11 * tr;
      s.bi[r] = f01 * s.im[r] + f11 * ti;
      s.re[r] = f00 * s.re[r] + f10 * tr;
      s.im[r] = f00 * s.im[r] + f10 * ti;
    }
  }
  FLASHKET_UNROLL
  for (int r = 0; r < R; ++r) {
    const Vec<T> size = vmax<T>(vmax<T>(magnitude<T>(s.re[r]), magnitude<T>(s.im[r])),
                                vmax<T>(magnitude<T>(s.br[r]), magnitude<T>(s.bi[r])));
    const IntVec<T> e = ((IntVec<T>)size >> FloatBits<T>::mantissa) - Int{FloatBits<T>::bias};
    const Vec<T> scale = power_of_two<T>(-e);
    s.exponent[r] += e;
    s.re[r] *= scale;
    s.im[r] *= scale;
    s.br[r] *= scale;
    s.bi[r] *= scale;
  }
}

// Calls store_row(index in the tile, re, im, exponent) for every row and vector of columns. All rows of the tile pass a
// chunk of a panel before the next chunk, so that rows of hundreds of qubits are read from the nearest cache.
template <class T, class StoreRow>
FLASHKET_INLINE void for_each_transfer(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols,
                                       const StoreRow& store_row) {
  using Int = typename Simd<T>::Int;
  constexpr int64_t N = kPanelCols<T>, vectors = N / kLanes<T>;
  const int64_t row_size = score.pitch(), depth = score.depth;
  alignas(64) T states[kTileRows * vectors][5 * kLanes<T>];
  const auto run = [&](auto count, int64_t i, int64_t j, int64_t begin, int64_t end) __attribute__((always_inline)) {
    constexpr int R = decltype(count)::value;
    const T* x = a + i / N * N * row_size + i % N;
    const T* y = b + j / N * N * row_size + j % N;
    TransferState<T, R> s;
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      const T* memory = states[(i + r) * vectors + j % N / kLanes<T>];
      if (begin == 1) {
        const Vec<T> cx = splat(x[r]), sx = splat(x[N + r]), cy = load(y), sy = load(y + N);
        s.re[r] = s.br[r] = cx * cy + sx * sy;
        s.im[r] = s.bi[r] = cx * sy - sx * cy;
        s.exponent[r] = IntVec<T>{} - static_cast<Int>(depth - 1);  // every step sums one qubit by halves
      } else {
        s.re[r] = load(memory);
        s.im[r] = load(memory + kLanes<T>);
        s.br[r] = load(memory + 2 * kLanes<T>);
        s.bi[r] = load(memory + 3 * kLanes<T>);
        s.exponent[r] = (IntVec<T>)load(memory + 4 * kLanes<T>);
      }
    }
    transfer_steps<T, R>(end - begin, x + begin * kTransferElements * N, y + begin * kTransferElements * N, s);
    FLASHKET_UNROLL
    for (int r = 0; r < R; ++r) {
      if (end == depth) {
        store_row((i + r) * kTileStride + j, s.re[r], s.im[r], s.exponent[r]);
        continue;
      }
      T* memory = states[(i + r) * vectors + j % N / kLanes<T>];
      store<T>(memory, s.re[r]);
      store<T>(memory + kLanes<T>, s.im[r]);
      store<T>(memory + 2 * kLanes<T>, s.br[r]);
      store<T>(memory + 3 * kLanes<T>, s.bi[r]);
      store<T>(memory + 4 * kLanes<T>, (Vec<T>)s.exponent[r]);
    }
  };
  for (int64_t panel = 0; panel < cols; panel += N)
    for (int64_t begin = 1; begin < depth; begin += kTransferSteps) {
      const int64_t end = begin + kTransferSteps < depth ? begin + kTransferSteps : depth;
      int64_t i = 0;
      for (; i + kTransferRows <= rows; i += kTransferRows)
        for (int64_t j = panel; j < panel + N; j += kLanes<T>) run(Count<kTransferRows>{}, i, j, begin, end);
      for (; i < rows; ++i)
        for (int64_t j = panel; j < panel + N; j += kLanes<T>) run(Count<1>{}, i, j, begin, end);
    }
}

// The overlaps as numbers: real parts to re, imaginary parts to im, laid out as a tile. Parts below the smallest normal
// number become 0 or denormal: their kernel value is 0 anyway.
template <class T>
void transfer_tile(const Score& score, const T* a, const T* b, int64_t rows, int64_t cols, T* re, T* im) {
  using Int = typename Simd<T>::Int;
  for_each_transfer<T>(score, a, b, rows, cols, [&](int64_t at, Vec<T> x, Vec<T> y, IntVec<T> exponent) {
    constexpr Int least = -FloatBits<T>::bias;
    const Vec<T> scale = power_of_two<T>(exponent < least ? IntVec<T>{} + least : exponent);
    store<T>(re + at, x * scale);
    store<T>(im + at, y * scale);
  });
}

// log |<x|y>|^(2 power), -inf for 0; at most 0: rounding may leave an overlap a hair above 1.
void log_transfer_tile(const Score& score, const double* a, const double* b, int64_t rows, int64_t cols,
                       double* values) {
  constexpr double ln4 = 2 * 0.69314718055994530942;
  for_each_transfer<double>(
      score, a, b, rows, cols, [&](int64_t at, Vec<double> x, Vec<double> y, IntVec<double> exponent) {
        // The exponent's own logarithm is added before that of the mantissa, which is the small one near K = 1.
        const Vec<double> square = x * x + y * y, base = __builtin_convertvector(exponent, Vec<double>) * ln4;
        for (int64_t l = 0; l < kLanes<double>; ++l) {
          const double value = base[l] + ::log(square[l]);
          values[at + l] = score.power * (value > 0 ? 0 : value);
        }
      });
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
