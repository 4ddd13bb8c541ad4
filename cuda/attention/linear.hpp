// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Sum-normalised attention as exact linear attention (cpp/attention/linear.hpp): out = sum_f w_f F_f(q) S_f /
// sum_f w_f F_f(q) z_f with S = sum_j F(k_j) v_j, z = sum_j F(k_j). All in double, whose rate on the devices this is
// built for is half of float's: a sum of features of either sign cancels, and what is left must be right.
//
// Layout: a row's factors, [row][n_factors]; a feature is a product of two of them, or of two such products' sum; a
// state is [feature][v_dim + 1], z in the last column.
// Cost, F features: (keys + queries) F (Dv + 1) multiply-adds, features made again for every 64 columns. Memory: the
// factors, and one state for every chunk of keys, (Dv + 1) F / chunk <= 2 (Dv + 1) numbers a key up to F = 2048.
#pragma once
#include <string>
#include <vector>

#include "attention/attention.hpp"
#include "attention/feature_form.hpp"

namespace flashket::cuda {

// One call as kernels see it (problem.hpp, simt.hpp), which host code must not include.
struct Problem;
struct Finish;
struct EncodedRows;

// F(x) = x[a] x[b] + sign x[c] x[d], x a row's factors; sign 0: the first product alone.
struct Feature {
  int32_t a, b, c, d;
  double sign, weight;
};

// What is known of a kernel's features before anything is allocated.
struct LinearFeatures {
  FeatureForm form{};
  int64_t n_factors = 0;
  std::vector<Feature> table;  // empty: no linear form
  std::string reason;          // why not

  int64_t count() const { return static_cast<int64_t>(table.size()); }
};
LinearFeatures linear_features(const KernelSpec& spec);

// Sums without mask and shots of float32 or float64 rows: what the linear form can replace.
bool can_be_linear(const AttentionArrays& arrays, const AttentionOptions& options);
// Asked first: short calls shall not pay for looking at the form.
bool is_long_enough(const AttentionArrays& arrays);
// Whether it costs less than half by operations counted, from shapes alone; on_units: against pairs on the matrix units
// (mma_float.hpp). Nobody has measured the crossover on a GPU.
bool linear_form_pays(const KernelSpec& spec, const LinearFeatures& features, const AttentionArrays& arrays,
                      bool causal, bool on_units);

// Device memory beside the encoded rows that one (batch, key head) takes.
int64_t linear_bytes(const LinearFeatures& features, const Problem& problem);

// First pass over a run in place of simt_pass(); encoded rows in double. Rows whose bound on the error, from the norms
// of state and result, is not below two fifths of the contract's get kRowWantsPairs and nothing else.
void linear_pass(const KernelSpec& spec, const LinearFeatures& features, const Problem& problem, const Finish& finish,
                 const EncodedRows& rows, Stream stream);

// AttentionState's sums, (B, Hkv, features, v_dim + 1) double in device memory, which the caller zeroes.
void linear_update(const KernelSpec& spec, const LinearFeatures& features, const Tensor4& k, const Tensor4& v,
                   double* state, Stream stream);

// out (B, Hq, Lq, Dv) of queries (B, Hq, Lq, D). *refused, in device memory, gets the number of rows whose denominator
// is below least_ratio of |F(q)| |z|: those are zeros, and must not be handed on.
void linear_read(const KernelSpec& spec, const LinearFeatures& features, const Tensor4& q, int64_t n_key_heads,
                 const double* state, const Tensor4& out, double least_ratio, int64_t* refused, Stream stream);

// Strided tensors of equal shape, of any real dtypes: keeps the first keys.
void copy_tensor(const Tensor4& from, const Tensor4& to, Stream stream);

}  // namespace flashket::cuda
