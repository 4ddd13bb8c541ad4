// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What acts on every amplitude alone: phase polynomials and products over the qubits. The lowest bits of the index run
// within a chunk that stays in the first-level cache, the others change from chunk to chunk.
// Compiled once per instruction set: include from .simd.cpp files only.
#pragma once
#include "states/row.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int32_t kChunkBits = 10, kProductBits = 5;

constexpr int32_t min_of(int32_t a, int32_t b) { return a < b ? a : b; }

// Where the amplitudes of a block lie in the state: the qubit at each bit of the block's index, and those that are
// fixed.
struct BlockPlace {
  const int32_t* local;
  int32_t n_local;
  uint64_t outer;  // bits of the whole index that are 1 throughout the block
};

// phase(z) = sum of linear[j] over the bits of z, starting from phase[0], for n bits.
template <class Uint>
void double_up(Uint* phase, const Uint* linear, int32_t n) {
  for (int32_t k = 0; k < n; ++k) {
    const int64_t half = int64_t{1} << k;
    for (int64_t z = 0; z < half; ++z) phase[z + half] = phase[z] + linear[k];
  }
}

// A polynomial's phases over a block, chunk after chunk. They are summed as fixed-point turns (uint32 for float, uint64
// for double): no precision is lost however many terms meet. Two additions an amplitude.
template <class T>
struct PolynomialPhases {
  using Uint = typename Simd<T>::Uint;
  int32_t chunk_bits, high_bits;
  uint64_t constant;
  uint64_t linear[kMaxQubits];            // with what the fixed bits add
  uint64_t pair[pairs_of(kMaxQubits)];    // by position within the block
  Uint within[int64_t{1} << kChunkBits];  // pairs within the chunk
  Uint phase[int64_t{1} << kChunkBits];   // of the current chunk

  static Uint top_bits(uint64_t turn) {
    if constexpr (sizeof(Uint) == 8)
      return turn;
    else
      return static_cast<Uint>((turn + (uint64_t{1} << 31)) >> 32);
  }

  void start(const uint64_t* coefficients, int32_t n_qubits, const BlockPlace& place) {
    const uint64_t* all_linear = coefficients + 1;
    const uint64_t* all_pairs = all_linear + n_qubits;
    chunk_bits = min_of(place.n_local, kChunkBits);
    high_bits = place.n_local - chunk_bits;
    constant = coefficients[0];
    for (uint64_t rest = place.outer; rest; rest &= rest - 1) {
      const int32_t k = __builtin_ctzll(rest);
      constant += all_linear[k];
      for (uint64_t below = place.outer & ((uint64_t{1} << k) - 1); below; below &= below - 1)
        constant += all_pairs[pairs_of(k) + __builtin_ctzll(below)];
    }
    for (int32_t i = 0; i < place.n_local; ++i) {
      const int32_t q = place.local[i];
      linear[i] = all_linear[q];
      for (uint64_t rest = place.outer; rest; rest &= rest - 1) {
        const int32_t k = __builtin_ctzll(rest);
        linear[i] += k > q ? all_pairs[pairs_of(k) + q] : all_pairs[pairs_of(q) + k];
      }
      for (int32_t j = 0; j < i; ++j) pair[pairs_of(i) + j] = all_pairs[pairs_of(q) + place.local[j]];
    }
    within[0] = 0;
    for (int32_t k = 0; k < chunk_bits; ++k) {
      // phase is free until the first chunk is asked for: here it holds what bit k adds.
      Uint step[kChunkBits];
      for (int32_t j = 0; j < k; ++j) step[j] = top_bits(pair[pairs_of(k) + j]);
      phase[0] = 0;
      double_up(phase, step, k);
      const int64_t half = int64_t{1} << k;
      for (int64_t z = 0; z < half; ++z) within[z + half] = within[z] + phase[z];
    }
  }

  // Phases of the amplitudes whose high bits are `high`.
  void run_chunk(int64_t high) {
    uint64_t sum = constant, bits[kChunkBits];
    for (int32_t j = 0; j < chunk_bits; ++j) bits[j] = linear[j];
    for (int64_t rest = high; rest; rest &= rest - 1) {
      const int32_t k = chunk_bits + __builtin_ctzll(static_cast<uint64_t>(rest));
      const uint64_t* row = pair + pairs_of(k);
      sum += linear[k];
      for (int64_t below = high & ((int64_t{1} << (k - chunk_bits)) - 1); below; below &= below - 1)
        sum += row[chunk_bits + __builtin_ctzll(static_cast<uint64_t>(below))];
      for (int32_t j = 0; j < chunk_bits; ++j) bits[j] += row[j];
    }
    Uint step[kChunkBits];
    for (int32_t j = 0; j < chunk_bits; ++j) step[j] = top_bits(bits[j]);
    phase[0] = top_bits(sum);
    double_up(phase, step, chunk_bits);
  }
};

template <class T>
FLASHKET_INLINE void multiply_vector(T* re, T* im, Vec<T> c, Vec<T> s) {
  const Vec<T> a = load(re), b = load(im);
  store<T>(re, a * c - b * s);
  store<T>(im, a * s + b * c);
}

// Multiplies the block by exp(i polynomial); with a table (cos plane, then sin plane, each `plane` long) keeps what it
// multiplied by.
template <class T>
void apply_polynomial(T* re, T* im, const uint64_t* coefficients, int32_t n_qubits, const BlockPlace& place,
                      PolynomialPhases<T>& phases, T* table, int64_t plane) {
  phases.start(coefficients, n_qubits, place);
  const int64_t chunk = int64_t{1} << phases.chunk_bits;
  for (int64_t high = 0; high < int64_t{1} << phases.high_bits; ++high) {
    phases.run_chunk(high);
    const int64_t base = high * chunk;
    for (int64_t z = 0; z < chunk; z += kLanes<T>) {
      UintVec<T> phase, within;
      memcpy(&phase, phases.phase + z, sizeof phase);
      memcpy(&within, phases.within + z, sizeof within);
      Vec<T> s, c;
      sincos_turns<T>(phase + within, s, c);
      if (table) {
        store<T>(table + base + z, c);
        store<T>(table + plane + base + z, s);
      }
      multiply_vector<T>(re + base + z, im + base + z, c, s);
    }
  }
}

template <class T>
void apply_table(T* re, T* im, const T* table, int64_t plane) {
  for (int64_t z = 0; z < plane; z += kLanes<T>)
    multiply_vector<T>(re + z, im + z, load(table + z), load(table + plane + z));
}

// scale * prod_q factor of qubit q at its bit, over a block; high holds 2^(n_local - kProductBits) numbers.
// The block is written (`is_start`), or multiplied by it.
template <class T>
void apply_product(T* re, T* im, const Complex (*factors)[2], Complex scale, const BlockPlace& place, int32_t n_qubits,
                   Complex* high, bool is_start) {
  uint64_t local = 0;
  for (int32_t i = 0; i < place.n_local; ++i) local |= uint64_t{1} << place.local[i];
  for (int32_t q = 0; q < n_qubits; ++q)
    if (!(local >> q & 1)) scale = scale * factors[q][place.outer >> q & 1];
  constexpr int64_t low_size = int64_t{1} << kProductBits;
  const int32_t low_bits = min_of(place.n_local, kProductBits);
  T low_re[low_size], low_im[low_size];
  for (int64_t z = 0; z < low_size; z += kLanes<T>) {
    Vec<T> a = splat<T>(T(1)), b{};
    for (int32_t k = 0; k < kProductBits; ++k) {
      if (k >= low_bits && k >= kLaneBits<T>) break;
      // Lanes beyond a state smaller than a vector are zero.
      const Complex zero = k < low_bits ? factors[place.local[k]][0] : Complex{1, 0};
      const Complex one = k < low_bits ? factors[place.local[k]][1] : Complex{0, 0};
      Vec<T> re, im;
      if (k < kLaneBits<T>) {
        re = where_lanes<T>(1u << k, static_cast<T>(one.re), static_cast<T>(zero.re));
        im = where_lanes<T>(1u << k, static_cast<T>(one.im), static_cast<T>(zero.im));
      } else {
        re = splat<T>(static_cast<T>(z >> k & 1 ? one.re : zero.re));
        im = splat<T>(static_cast<T>(z >> k & 1 ? one.im : zero.im));
      }
      const Vec<T> c = a * re - b * im;
      b = a * im + b * re;
      a = c;
    }
    store<T>(low_re + z, a);
    store<T>(low_im + z, b);
  }
  high[0] = scale;
  for (int32_t k = low_bits; k < place.n_local; ++k) {
    const Complex zero = factors[place.local[k]][0], one = factors[place.local[k]][1];
    const int64_t half = int64_t{1} << (k - low_bits);
    for (int64_t z = 0; z < half; ++z) {
      high[z + half] = high[z] * one;
      high[z] = high[z] * zero;
    }
  }
  for (int64_t h = 0; h < int64_t{1} << (place.n_local - low_bits); ++h) {
    const Vec<T> h_re = splat<T>(static_cast<T>(high[h].re)), h_im = splat<T>(static_cast<T>(high[h].im));
    for (int64_t z = 0; z < int64_t{1} << low_bits; z += kLanes<T>) {
      const Vec<T> a = load(low_re + z), b = load(low_im + z);
      const Vec<T> c = a * h_re - b * h_im, s = a * h_im + b * h_re;
      const int64_t at = (h << low_bits) + z;
      if (is_start) {
        store<T>(re + at, c);
        store<T>(im + at, s);
      } else {
        multiply_vector<T>(re + at, im + at, c, s);
      }
    }
  }
}

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE
