// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Overlaps of R rows with four keys in the registers of one thread, from elements staged in shared memory. An overlap
// type has depth (elements along the depth that one stage holds, complex rows count once), add() for one stage and
// overlap().
//
// Staged elements: [element][64 rows], groups of four neighbouring rows at group xor element / 4.
#pragma once
#include "gram/overlap.hpp"

namespace flashket::cuda {

constexpr int kFour = 4, kStageElements = 32, kStageRows = 64;

template <class C>
struct alignas(16) Four {
  C x[kFour];
};

template <class C>
FK_DEVICE Four<C>& group_at(C* row_of_64, int group) {
  return *reinterpret_cast<Four<C>*>(row_of_64 + group * kFour);
}

// Rows 4 group .. 4 group + 3 of element e, as staged.
template <class C>
FK_DEVICE Four<C> staged(C* elements, int e, int group) {
  return group_at(elements + e * kStageRows, group ^ (e / kFour));
}

// prod (c c' + s s'). Scaled: mantissa and exponent apart, nothing underflows.
template <class C, bool is_scaled>
struct ProductOverlap {
  static constexpr int R = kFour, depth = kStageElements;
  C product[R][kFour];
  int power[is_scaled ? R : 1][kFour];

  FK_DEVICE explicit ProductOverlap(int64_t) {
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
      for (int c = 0; c < kFour; ++c) {
        product[r][c] = 1;
        if constexpr (is_scaled) power[r][c] = 0;
      }
  }
  FK_DEVICE void add(C* a, C* b, int ty, int tx) {
    for (int part = 0; part < kStageElements; part += 16) {
#pragma unroll 4
      for (int e = part; e < part + 16; e += 2) {
        const Four<C> xc = staged(a, e, ty), xs = staged(a, e + 1, ty), yc = staged(b, e, tx), ys = staged(b, e + 1, tx);
#pragma unroll
        for (int r = 0; r < R; ++r)
#pragma unroll
          for (int c = 0; c < kFour; ++c) product[r][c] *= xc.x[r] * yc.x[c] + xs.x[r] * ys.x[c];
      }
      // Eight factors of at least 2^-106 each cannot underflow a double.
      if constexpr (is_scaled) {
#pragma unroll
        for (int r = 0; r < R; ++r)
#pragma unroll
          for (int c = 0; c < kFour; ++c) normalise(product[r][c], power[r][c]);
      }
    }
  }
  FK_DEVICE void finish() {}
  FK_DEVICE Overlap<C> overlap(int r, int c) const {
    if constexpr (is_scaled) return {product[r][c], C(0), power[r][c]};
    return {product[r][c], C(0), 0};
  }
};

// sum a b, sum conj(a) b, sum (a - b)^2. In float a long sum of equal signs would drift, so every fourth stage starts a
// new one.
template <class C, Pair pair>
struct SumOverlap {
  static constexpr bool is_complex = pair == Pair::complex_dot, is_folded = sizeof(C) == 4;
  static constexpr int R = kFour, planes = is_complex ? 2 : 1;
  static constexpr int depth = is_complex ? kStageElements / 2 : kStageElements;
  C sum[planes][R][kFour], whole[is_folded ? planes : 1][R][kFour];
  int n_stages = 0;

  FK_DEVICE explicit SumOverlap(int64_t) {
#pragma unroll
    for (int s = 0; s < planes; ++s)
#pragma unroll
      for (int r = 0; r < R; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c) {
          sum[s][r][c] = 0;
          if constexpr (is_folded) whole[s][r][c] = 0;
        }
  }
  FK_DEVICE void add(C* a, C* b, int ty, int tx) {
#pragma unroll 4
    for (int e = 0; e < depth; ++e) {
      const Four<C> x = staged(a, e, ty), y = staged(b, e, tx);
      Four<C> u, v;
      if constexpr (is_complex) {
        u = staged(a, e + depth, ty);
        v = staged(b, e + depth, tx);
      }
#pragma unroll
      for (int r = 0; r < R; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c) {
          if constexpr (pair == Pair::distance) {
            // Squared one by one: |a|^2 + |b|^2 - 2 a b would lose the digits of near rows.
            const C apart = x.x[r] - y.x[c];
            sum[0][r][c] += apart * apart;
          } else {
            sum[0][r][c] += x.x[r] * y.x[c];
            if constexpr (is_complex) {
              sum[0][r][c] += u.x[r] * v.x[c];
              sum[1][r][c] += x.x[r] * v.x[c];
              sum[1][r][c] -= u.x[r] * y.x[c];
            }
          }
        }
    }
    if (++n_stages % 4 == 0) fold();
  }
  FK_DEVICE void fold() {
    if constexpr (is_folded) {
#pragma unroll
      for (int s = 0; s < planes; ++s)
#pragma unroll
        for (int r = 0; r < R; ++r)
#pragma unroll
          for (int c = 0; c < kFour; ++c) {
            whole[s][r][c] += sum[s][r][c];
            sum[s][r][c] = 0;
          }
    }
  }
  FK_DEVICE void finish() { fold(); }
  FK_DEVICE Overlap<C> overlap(int r, int c) const {
    if constexpr (is_folded) return {whole[0][r][c], is_complex ? whole[planes - 1][r][c] : C(0), 0};
    return {sum[0][r][c], is_complex ? sum[planes - 1][r][c] : C(0), 0};
  }
};

// Product of 2 x 2 matrices along a line of qubits; cpp/gram/transfer.hpp has the formula. One row at a time: a pair has
// four sums and an exponent.
template <class C>
struct TransferOverlap {
  static constexpr int R = 1, steps = 2, depth = steps * static_cast<int>(kTransferElements);
  TransferState<C> state[kFour];
  int64_t n_steps;

  FK_DEVICE explicit TransferOverlap(int64_t n) : n_steps(n) {}
  // Row 4 ty + first alone; elements_left of the rows from this stage on.
  FK_DEVICE void add(C* a, C* b, int ty, int tx, int first, int64_t elements_left) {
    const bool is_start = elements_left == n_steps * kTransferElements;
#pragma unroll
    for (int s = 0; s < steps; ++s) {
      constexpr int n = static_cast<int>(kTransferElements);
      if (s * n >= elements_left) break;
      C x[n], y[kFour][n];
#pragma unroll
      for (int e = 0; e < n; ++e) {
        const int at = s * n + e;
        x[e] = a[at * kStageRows + (ty ^ (at / kFour)) * kFour + first];
        const Four<C> group = staged(b, at, tx);
#pragma unroll
        for (int c = 0; c < kFour; ++c) y[c][e] = group.x[c];
      }
#pragma unroll
      for (int c = 0; c < kFour; ++c) {
        if (is_start && s == 0)
          state[c].begin(x[0], x[1], y[c][0], y[c][1], n_steps);
        else
          state[c].step(x, y[c]);
      }
    }
#pragma unroll
    for (int c = 0; c < kFour; ++c) state[c].normalise_all();
  }
  FK_DEVICE void finish() {}
  FK_DEVICE Overlap<C> overlap(int, int c) const { return state[c].overlap(); }
};

}  // namespace flashket::cuda
