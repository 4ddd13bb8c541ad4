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

// sums[e] becomes sums[0] plus the sum of +-value(i), - where bit i of e is set.
template <class Uint, class Value>
void double_up(Uint* sums, int32_t n, const Value& value) {
  for (int32_t i = 0; i < n; ++i) {
    const int64_t half = int64_t{1} << i;
    const Uint step = value(i);
    for (int64_t e = 0; e < half; ++e) {
      sums[e + half] = sums[e] - step;
      sums[e] += step;
    }
  }
}

// The sign of lanes l where l has an odd number of the bits of Mask is turned round.
template <class T, uint32_t Mask>
FLASHKET_INLINE UintVec<T> with_lane_sign(UintVec<T> v) {
  using Uint = typename Simd<T>::Uint;
  UintVec<T> sign;
  for (int l = 0; l < static_cast<int>(kLanes<T>); ++l) sign[l] = __builtin_parity(l & Mask) ? ~Uint{0} : Uint{0};
  return (v ^ sign) - sign;
}

// A polynomial's phases over a block, chunk after chunk. They are summed as fixed-point turns (uint32 for float, uint64
// for double): no precision is lost however many terms meet. Bits of the index below kLaneBits are lanes; what belongs
// to the others is a scalar for each vector. Two additions a vector beside the pairs, which are summed once a block.
template <class T>
struct PolynomialPhases {
  using Uint = typename Simd<T>::Uint;
  static constexpr int32_t kVectorBits = kChunkBits - kLaneBits<T>;
  int32_t chunk_bits, vector_bits, high_bits;
  uint64_t constant;
  const uint64_t* linear;  // with what the fixed bits add
  const uint64_t* pair;    // by position within the block
  uint64_t own_linear[kMaxQubits], own_pair[pairs_of(kMaxQubits)];
  UintVec<T> within[int64_t{1} << kVectorBits];  // pairs within the chunk
  // Of the current chunk, beside `within`:
  UintVec<T> lanes;
  Uint vectors[int64_t{1} << kVectorBits];

  static Uint top_bits(uint64_t turn) {
    if constexpr (sizeof(Uint) == 8)
      return turn;
    else
      return static_cast<Uint>((turn + (uint64_t{1} << 31)) >> 32);
  }

  static FLASHKET_INLINE UintVec<T> everywhere(Uint value) { return value - UintVec<T>{}; }

  // Sum of +-values[k] over the first kLaneBits positions. Positions beyond a small block count nothing.
  template <int32_t K = 0>
  static FLASHKET_INLINE UintVec<T> sum_lanes_of(const uint64_t* values, int32_t n) {
    UintVec<T> sum{};
    if constexpr (K < kLaneBits<T>) {
      if (K < n) sum = with_lane_sign<T, 1u << K>(everywhere(top_bits(values[K]))) + sum_lanes_of<K + 1>(values, n);
    }
    return sum;
  }

  template <int32_t K, int32_t J>
  FLASHKET_INLINE void add_lane_pair(UintVec<T>& sum) const {
    if constexpr (K < kLaneBits<T>) {
      if (K < chunk_bits) sum += with_lane_sign<T, (1u << K) | (1u << J)>(everywhere(top_bits(pair[pairs_of(K) + J])));
    }
  }

  void start(const uint64_t* coefficients, int32_t n_qubits, const BlockPlace& place) {
    chunk_bits = min_of(place.n_local, kChunkBits);
    vector_bits = chunk_bits < kLaneBits<T> ? 0 : chunk_bits - kLaneBits<T>;
    high_bits = place.n_local - chunk_bits;
    constant = coefficients[0];
    linear = coefficients + 1;
    pair = linear + n_qubits;
    if (place.n_local < n_qubits) fix_outer(n_qubits, place);
    UintVec<T> lane_pairs{};
    add_lane_pair<1, 0>(lane_pairs);
    add_lane_pair<2, 0>(lane_pairs);
    add_lane_pair<2, 1>(lane_pairs);
    add_lane_pair<3, 0>(lane_pairs);
    add_lane_pair<3, 1>(lane_pairs);
    add_lane_pair<3, 2>(lane_pairs);
    within[0] = lane_pairs;
    for (int32_t k = 0; k < vector_bits; ++k) {
      const uint64_t* row = pair + pairs_of(k + kLaneBits<T>);
      const UintVec<T> step = sum_lanes_of(row, kLaneBits<T>);
      Uint* others = vectors;  // free until the first chunk is asked for
      others[0] = 0;
      double_up(others, k, [&](int32_t i) { return top_bits(row[kLaneBits<T> + i]); });
      const int64_t half = int64_t{1} << k;
      for (int64_t e = 0; e < half; ++e) {
        const UintVec<T> change = step + everywhere(others[e]), sum = within[e];
        within[e + half] = sum - change;
        within[e] = sum + change;
      }
    }
  }

  // What the bits outside the block, all known, add to the others.
  void fix_outer(int32_t n_qubits, const BlockPlace& place) {
    const auto pair_of = [&](int32_t a, int32_t b) { return a > b ? pair[pairs_of(a) + b] : pair[pairs_of(b) + a]; };
    const auto with_sign = [&](int32_t q, uint64_t value) { return place.outer >> q & 1 ? -value : value; };
    int32_t outer[kMaxQubits], n_outer = 0;
    for (int32_t q = 0, i = 0; q < n_qubits; ++q) {
      if (i < place.n_local && place.local[i] == q)
        ++i;
      else
        outer[n_outer++] = q;
    }
    for (int32_t i = 0; i < n_outer; ++i) {
      uint64_t sum = linear[outer[i]];
      for (int32_t j = 0; j < i; ++j) sum += with_sign(outer[j], pair_of(outer[i], outer[j]));
      constant += with_sign(outer[i], sum);
    }
    for (int32_t i = 0; i < place.n_local; ++i) {
      const int32_t q = place.local[i];
      own_linear[i] = linear[q];
      for (int32_t j = 0; j < n_outer; ++j) own_linear[i] += with_sign(outer[j], pair_of(q, outer[j]));
      for (int32_t j = 0; j < i; ++j) own_pair[pairs_of(i) + j] = pair[pairs_of(q) + place.local[j]];
    }
    linear = own_linear;
    pair = own_pair;
  }

  // Makes ready for the chunk of the amplitudes whose high bits are `high`.
  void start_chunk(int64_t high) {
    uint64_t sum = constant, bits[kChunkBits];
    for (int32_t j = 0; j < chunk_bits; ++j) bits[j] = linear[j];
    for (int32_t i = 0; i < high_bits; ++i) {
      const int32_t k = chunk_bits + i;
      const uint64_t* row = pair + pairs_of(k);
      const uint64_t flip = -static_cast<uint64_t>(high >> i & 1);  // all ones where the bit is set: negates
      uint64_t own = linear[k];
      for (int32_t j = 0; j < i; ++j) own += high >> j & 1 ? -row[chunk_bits + j] : row[chunk_bits + j];
      sum += (own ^ flip) - flip;
      for (int32_t j = 0; j < chunk_bits; ++j) bits[j] += (row[j] ^ flip) - flip;
    }
    lanes = sum_lanes_of(bits, chunk_bits);
    vectors[0] = top_bits(sum);
    double_up(vectors, vector_bits, [&](int32_t i) { return top_bits(bits[kLaneBits<T> + i]); });
  }

  FLASHKET_INLINE UintVec<T> phase(int64_t vector) const {
    return within[vector] + (lanes + everywhere(vectors[vector]));
  }
};

template <class T>
FLASHKET_INLINE void multiply_vector(T* re, T* im, Vec<T> c, Vec<T> s) {
  const Vec<T> a = load(re), b = load(im);
  store<T>(re, a * c - b * s);
  store<T>(im, a * s + b * c);
}

// Multiplies the block by exp(i polynomial); with a table (cos plane, then sin plane, each `plane` long) keeps what it
// multiplied by. IsStart: the block is not read, all its amplitudes are `amplitude`.
template <bool IsStart, class T>
void apply_polynomial(T* re, T* im, const uint64_t* coefficients, int32_t n_qubits, const BlockPlace& place,
                      PolynomialPhases<T>& phases, T* table, int64_t plane, Complex amplitude) {
  phases.start(coefficients, n_qubits, place);
  const Vec<T> start_re = splat<T>(static_cast<T>(amplitude.re)), start_im = splat<T>(static_cast<T>(amplitude.im));
  int64_t at = 0;
  for (int64_t high = 0; high < int64_t{1} << phases.high_bits; ++high) {
    phases.start_chunk(high);
    for (int64_t e = 0; e < int64_t{1} << phases.vector_bits; ++e, at += kLanes<T>) {
      Vec<T> s, c;
      sincos_turns<T>(phases.phase(e), s, c);
      if (table) {
        store<T>(table + at, c);
        store<T>(table + plane + at, s);
      }
      if constexpr (IsStart) {
        store<T>(re + at, start_re * c - start_im * s);
        store<T>(im + at, start_re * s + start_im * c);
      } else {
        multiply_vector<T>(re + at, im + at, c, s);
      }
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
