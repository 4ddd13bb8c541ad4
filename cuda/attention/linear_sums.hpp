// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The two products of the linear form: features of keys with values, and features of queries with the sums of those.
#pragma once
#include "attention/linear.hpp"
#include "attention/operands.hpp"

namespace flashket::cuda {

constexpr int kFeatureTile = 64;  // features, rows and columns of a block

// Keys whose sums are taken together. Causal: between two states, so that scoring the keys of a row's own chunk costs
// about what reading a state does. Else as many as fill the machine.
struct Chunks {
  int64_t keys, count;
};
int64_t causal_chunk(int64_t n_features);
Chunks state_chunks(int64_t n_features, const Problem& problem);

// The description in device memory.
struct FeatureTable {
  FeatureTable(const LinearFeatures& features, Stream stream);
  const Feature* data() const { return memory.data(); }

  int64_t count, n_factors;
  Array<Feature> memory;
};

// Encoded rows in double -> factors, [row][n_factors]. A thread a number.
Array<double> make_factors(const LinearFeatures& features, const double* rows, int64_t count, int64_t pitch,
                           Stream stream);

// sums[pair][chunk][feature][v_dim + 1] = sum_j F(k_j) (v_j, 1) over the chunk's keys before kv_len.
void sum_chunks(const Problem& problem, const FeatureTable& table, const double* key_factors, const Chunks& chunks,
                double* sums, Stream stream);
// `count` states for each pair. In place: state s becomes the sum of those before it.
void scan_chunks(double* sums, int64_t n_pairs, int64_t count, int64_t size, Stream stream);
// totals[pair] = (adds ? totals[pair] : 0) + the sum of its states.
void add_chunks(const double* sums, int64_t n_pairs, int64_t count, int64_t size, bool adds, double* totals,
                Stream stream);
// norms[state] = max_c |S_c|, |z| in the kernel's own product.
void measure_states(const FeatureTable& table, const double* states, int64_t count, int64_t width, double* norms,
                    Stream stream);
// Adds F(q) S, F(q) z to the sums of each row that reads a state: chunk > 0: state limit / chunk of n_states, none when
// that is 0. chunk == 0: the pair's only state, and sums are set.
void read_states(const Problem& problem, const FeatureTable& table, const double* query_factors, const double* states,
                 int64_t chunk, int64_t n_states, const Partials<double>& sums, Stream stream);

}  // namespace flashket::cuda
