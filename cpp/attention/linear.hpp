// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Sum-normalised attention as exact linear attention: out = sum_f F_f(q) S_f / sum_f F_f(q) z_f with S = sum_j F(k_j)
// v_j and z = sum_j F(k_j). Time O((Lq + Lk) F Dv), memory O(Lq + Lk). Schlag, Irie and Schmidhuber, arXiv:2102.11174,
// for the form. Causal: chunks; inside a chunk the quadratic form, between chunks the state. Precision: sums over 64
// keys in registers, over 512 in C, totals in double. A sum of features of either sign loses what the norms |F(q)| |S|
// exceed the result by. Every row carries that bound, and rows that it does not certify are computed again: all in
// double where there are many, else through the quadratic form.
#pragma once
#include "attention/attention.hpp"
#include "attention/linear_form.hpp"

namespace flashket {

struct AttentionSizes {
  int64_t batch, heads, kv_heads, queries, keys, v_dim;
};

// Asked first: decoding steps and short contexts shall not pay for looking at the form.
constexpr bool is_long_enough(const AttentionSizes& sizes) { return sizes.keys >= 256 && sizes.queries >= 16; }

// Whether the linear form costs less, by shapes alone, so that results do not depend on the machine's threads.
bool linear_form_pays(const KernelSpec& spec, const LinearForm& form, const AttentionSizes& shape, bool causal);

template <class T>
bool can_be_linear(const AttentionArrays<T>& arrays, const AttentionOptions& options) {
  return options.normalization == Normalization::sum && options.readings.is_exact() && arrays.mask == nullptr &&
         arrays.v.shape[3] > 0 && arrays.k.shape[2] > 0;
}

// As attention(); options must be exact sums without a mask.
template <class T>
int64_t linear_attention(const KernelSpec& spec, const LinearForm& form, const AttentionArrays<T>& arrays,
                         const AttentionOptions& options);

// State of constant size: sums (B, Hkv, state_rows, v_stride) and weights (B, Hkv, state_rows), in double.
struct LinearState {
  double* sums;
  double* weights;
  int64_t batch, kv_heads, v_stride;
};

// Adds keys (B, Hkv, L, D) with values (B, Hkv, L, Dv).
template <class T>
void linear_update(const KernelSpec& spec, const LinearForm& form, const Tensor4View<const T>& k,
                   const Tensor4View<const T>& v, const LinearState& state);

// out (B, Hq, Lq, Dv) for queries (B, Hq, Lq, D). ratios (B, Hq, Lq), contiguous: each row's denominator over the
// product of norms |F(q)| |z|; the relative error of a row is about 2e-16 over that.
template <class T>
void linear_read(const KernelSpec& spec, const LinearForm& form, const Tensor4View<const T>& q,
                 const LinearState& state, const Tensor4View<T>& out, double* ratios);

}  // namespace flashket
