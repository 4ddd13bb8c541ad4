// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Bloch vectors of all qubits straight from the amplitudes a_z; no density matrix is built:
// <X_k> + i <Y_k> = 2 sum over z with bit k = 0 of conj(a_z) a_{z + 2^k},  <Z_k> = sum_z (-1)^{bit k of z} |a_z|^2.
// Cost: 2 FMA an amplitude and qubit for X and Y together, 4 additions an amplitude for all Z (halves are summed as in
// a tree). Low qubits meet inside a vector, blocks of kBlochBlock amplitudes stay in cache for the qubits inside them,
// and the qubits above take two a pass. Sums of 64 vectors are taken in T, sums of those in double. For .simd.cpp
// files: everything is in an unnamed namespace.
#pragma once
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int64_t kBlochBlock = 2048;  // two float planes and the probabilities: 24 KiB
constexpr int64_t kBlochRun = 64;      // vectors summed in T
constexpr int kBlochQubits = 62;

constexpr int floor_log2(int64_t n) { return n <= 1 ? 0 : 1 + floor_log2(n / 2); }
template <class T>
constexpr int kLaneQubits = floor_log2(kLanes<T>);

// Amplitudes that the planes of a state must hold, those beyond it zero: two vectors of every element type.
int64_t bloch_padded(int64_t n_amplitudes) {
  return n_amplitudes < 2 * kLanes<float> ? 2 * kLanes<float> : n_amplitudes;
}

template <class T>
FLASHKET_INLINE double sum_lanes_wide(Vec<T> v) {
  double s = 0;
  for (int64_t i = 0; i < kLanes<T>; ++i) s += static_cast<double>(v[i]);
  return s;
}

// Planes of one state; im is null for a real one. probability is scratch of the same length.
template <class T, bool kIsReal>
struct BlochSums {
  const T* re;
  const T* im;
  T* probability;
  int64_t size;
  // Sums over pairs, without the factor 2.
  double x[kBlochQubits] = {}, y[kBlochQubits] = {}, z[kBlochQubits] = {};

  static FLASHKET_INLINE void add_pair(Vec<T> ar, Vec<T> ai, Vec<T> br, Vec<T> bi, Vec<T>& x, Vec<T>& y) {
    x += ar * br;
    if constexpr (!kIsReal) {
      x += ai * bi;
      y += ar * bi;
      y -= ai * br;
    }
  }

  template <int Q>
  static FLASHKET_INLINE void add_lane_pairs(const Vec<T> (&r)[2], const Vec<T> (&i)[2], Vec<T>* x, Vec<T>* y) {
    if constexpr (Q < kLaneQubits<T>) {
      // Lanes without the bit of Q go to a, those with it to b: where does not matter, only that pairs meet.
      Vec<T> ar = r[0], br = r[1], ai = i[0], bi = i[1];
      transpose_pair<T, 1 << Q>(ar, br, std::make_index_sequence<kLanes<T>>());
      if constexpr (!kIsReal) transpose_pair<T, 1 << Q>(ai, bi, std::make_index_sequence<kLanes<T>>());
      add_pair(ar, ai, br, bi, x[Q], y[Q]);
      add_lane_pairs<Q + 1>(r, i, x, y);
    }
  }

  // The qubits inside a vector, and the probabilities, for amplitudes [begin, end).
  void add_lane_qubits(int64_t begin, int64_t end) {
    constexpr int64_t L = kLanes<T>;
    for (int64_t start = begin; start < end; start += kBlochRun * L) {
      const int64_t stop = start + kBlochRun * L < end ? start + kBlochRun * L : end;
      Vec<T> vx[kLaneQubits<T>] = {}, vy[kLaneQubits<T>] = {};
      for (int64_t at = start; at < stop; at += 2 * L) {
        const Vec<T> r[2] = {load(re + at), load(re + at + L)};
        Vec<T> i[2] = {};
        if constexpr (!kIsReal) {
          i[0] = load(im + at);
          i[1] = load(im + at + L);
        }
        store<T>(probability + at, r[0] * r[0] + i[0] * i[0]);
        store<T>(probability + at + L, r[1] * r[1] + i[1] * i[1]);
        add_lane_pairs<0>(r, i, vx, vy);
      }
      FLASHKET_UNROLL
      for (int q = 0; q < kLaneQubits<T>; ++q) {
        x[q] += sum_lanes_wide<T>(vx[q]);
        if constexpr (!kIsReal) y[q] += sum_lanes_wide<T>(vy[q]);
      }
    }
  }

  // Qubits q .. q + G - 1 above a vector: 2^G vectors meet at a time.
  template <int G>
  void add_qubits(int q, int64_t begin, int64_t end) {
    constexpr int64_t L = kLanes<T>;
    const int shift = q - kLaneQubits<T>;
    const int64_t low_mask = (int64_t{1} << shift) - 1, n_groups = (end - begin) / (L << G), stride = int64_t{1} << q;
    for (int64_t start = 0; start < n_groups; start += kBlochRun) {
      const int64_t stop = start + kBlochRun < n_groups ? start + kBlochRun : n_groups;
      Vec<T> vx[G] = {}, vy[G] = {};
      for (int64_t g = start; g < stop; ++g) {
        const int64_t at = begin + (((g & ~low_mask) << G) | (g & low_mask)) * L;
        Vec<T> r[1 << G], i[1 << G] = {};
        FLASHKET_UNROLL
        for (int v = 0; v < 1 << G; ++v) {
          r[v] = load(re + at + v * stride);
          if constexpr (!kIsReal) i[v] = load(im + at + v * stride);
        }
        FLASHKET_UNROLL
        for (int b = 0; b < G; ++b) {
          FLASHKET_UNROLL
          for (int v = 0; v < 1 << G; ++v) {
            const int w = v | (1 << b);
            if (w != v) add_pair(r[v], i[v], r[w], i[w], vx[b], vy[b]);
          }
        }
      }
      FLASHKET_UNROLL
      for (int b = 0; b < G; ++b) {
        x[q + b] += sum_lanes_wide<T>(vx[b]);
        if constexpr (!kIsReal) y[q + b] += sum_lanes_wide<T>(vy[b]);
      }
    }
  }

  void add_qubit_range(int first, int last, int64_t begin, int64_t end) {
    int q = first;
    for (; q + 2 <= last; q += 2) add_qubits<2>(q, begin, end);
    if (q < last) add_qubits<1>(q, begin, end);
  }

  // Halves of the probabilities are compared, then added: each qubit halves what is left.
  void add_probabilities(int n_bits) {
    constexpr int64_t L = kLanes<T>;
    for (int q = n_bits - 1; q >= kLaneQubits<T>; --q) {
      const int64_t half = int64_t{1} << q;
      for (int64_t start = 0; start < half; start += kBlochRun * L) {
        const int64_t stop = start + kBlochRun * L < half ? start + kBlochRun * L : half;
        Vec<T> difference = {};
        for (int64_t at = start; at < stop; at += L) {
          const Vec<T> low = load(probability + at), high = load(probability + half + at);
          difference += low - high;
          store<T>(probability + at, low + high);
        }
        z[q] += sum_lanes_wide<T>(difference);
      }
    }
    for (int q = 0; q < kLaneQubits<T>; ++q)
      for (int64_t l = 0; l < L; ++l) z[q] += static_cast<double>((l >> q) & 1 ? -probability[l] : probability[l]);
  }

  void run() {
    const int n_bits = floor_log2(size);
    const int64_t block = size < kBlochBlock ? size : kBlochBlock;
    const int block_bits = floor_log2(block);
    for (int64_t begin = 0; begin < size; begin += block) {
      add_lane_qubits(begin, begin + block);
      add_qubit_range(kLaneQubits<T>, block_bits, begin, begin + block);
    }
    add_qubit_range(block_bits, n_bits, 0, size);
    add_probabilities(n_bits);
  }
};

// out: <X> of the n_qubits, then <Y> unless the state is real, then <Z>. size = bloch_padded(2^n_qubits).
template <class T, bool kIsReal>
void bloch_components(const T* re, const T* im, T* probability, int64_t size, int n_qubits, T* out) {
  BlochSums<T, kIsReal> sums{re, im, probability, size};
  sums.run();
  for (int q = 0; q < n_qubits; ++q) {
    out[q] = static_cast<T>(2 * sums.x[q]);
    if constexpr (!kIsReal) out[n_qubits + q] = static_cast<T>(2 * sums.y[q]);
    out[(kIsReal ? 1 : 2) * n_qubits + q] = static_cast<T>(sums.z[q]);
  }
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
