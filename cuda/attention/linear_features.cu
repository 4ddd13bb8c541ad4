// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "attention/linear_sums.hpp"

namespace flashket::cuda {
namespace {

int64_t round_up(int64_t n, int64_t multiple) { return divide_up(n, multiple) * multiple; }

PairKind host_pair(Pair pair) {
  switch (pair) {
    case Pair::product:
      return PairKind::product;
    case Pair::real_dot:
      return PairKind::real_dot;
    case Pair::complex_dot:
      return PairKind::complex_dot;
    case Pair::distance:
      return PairKind::distance;
    default:
      return PairKind::transfer;
  }
}

// Factors are numbered as the host does, without its padding: a second table follows the first.
void add_features(const LinearForm& from, const FeatureBlock& block, std::vector<Feature>& table) {
  const FeatureForm& form = from.form;
  const double* weight = from.scale.data() + block.offset;
  const auto add = [&](int64_t a, int64_t b, int64_t c = 0, int64_t d = 0, double sign = 0) {
    table.push_back({static_cast<int32_t>(a), static_cast<int32_t>(b), static_cast<int32_t>(c), static_cast<int32_t>(d),
                     sign, *weight++});
  };
  const int64_t last = block.first + block.count, imaginary = form.width;
  switch (form.kind) {
    case FeatureKind::tensor:
      for (int64_t k = block.first; k < last; ++k)
        for (int64_t i = 0; i < form.width; ++i) add(i, form.second_width > 1 ? form.width + k : 0);
      break;
    case FeatureKind::vector:
      for (int64_t i = 0; i < block.features; ++i) add(block.first + i, 0);
      break;
    case FeatureKind::square:
      for (int64_t i = block.first; i < last; ++i)
        for (int64_t j = 0; j <= i; ++j) add(j, i);
      break;
    case FeatureKind::hermitian:
      for (int64_t i = block.first; i < last; ++i) {
        for (int64_t j = 0; j <= i; ++j) add(i, j, imaginary + i, imaginary + j, 1);
        for (int64_t j = 0; j < i; ++j) add(i, imaginary + j, imaginary + i, j, -1);
      }
      break;
  }
}

}  // namespace

LinearFeatures linear_features(const KernelSpec& spec) {
  const Score score{host_pair(spec.encoder->pair), spec.similarity, spec.power, spec.gamma, spec.depth(), 0};
  const LinearForm form = linear_form(score);
  LinearFeatures features;
  features.form = form.form;
  features.reason = form.reason;
  if (form.n_features == 0) return features;
  const int64_t second = form.form.kind == FeatureKind::hermitian ? form.form.width
                         : form.form.second_width > 1             ? form.form.second_width
                                                                  : 0;
  features.n_factors = form.form.width + second;
  features.table.reserve(static_cast<size_t>(form.n_features));
  for (const FeatureBlock& block : form.blocks) add_features(form, block, features.table);
  return features;
}

bool can_be_linear(const AttentionArrays& a, const AttentionOptions& o) {
  return o.normalization == Normalization::sum && o.shots == 0 && a.mask == nullptr && a.k.shape[2] > 0 &&
         (a.q.dtype == Dtype::f32 || a.q.dtype == Dtype::f64) && o.arithmetic == Arithmetic::automatic;
}

bool is_long_enough(const AttentionArrays& a) { return a.k.shape[2] >= 256 && a.q.shape[2] >= 16; }

bool linear_form_pays(const KernelSpec& spec, const LinearFeatures& features, const AttentionArrays& a, bool causal,
                      bool on_units) {
  const int64_t n_queries = a.q.shape[2], n_keys = a.k.shape[2];
  if (features.count() == 0 || !is_long_enough(a)) return false;
  const double in_double = a.q.dtype == Dtype::f64 ? 1 : 2;  // a multiply-add of double in those of the inputs' type
  const Pair pair = spec.encoder->pair;
  const double pair_cost = static_cast<double>(spec.row_elements()) * (pair == Pair::product       ? 1.5
                                                                       : pair == Pair::complex_dot ? 2
                                                                                                   : 1) +
                           8;
  const double columns = static_cast<double>(round_up(a.v.shape[3], kFeatureTile)) + 8;
  const double keys = static_cast<double>(n_keys), queries = static_cast<double>(n_queries);
  const double heads = static_cast<double>(a.q.shape[1]), key_heads = static_cast<double>(a.k.shape[1]);
  const double seen = causal ? std::max(keys / 2, keys - queries / 2) : keys;
  const double rows = static_cast<double>(round_up(features.count(), kFeatureTile));
  double linear = (key_heads * keys + heads * queries) * rows * columns;
  if (causal)
    linear += heads * queries * static_cast<double>(causal_chunk(features.count()) / 2 + 64) * (pair_cost + columns);
  // The matrix units take split pairs at about three times the rate of plain multiply-adds (counted, mma_float.cu).
  return 2 * in_double * linear < heads * queries * seen * (pair_cost + columns) / (on_units ? 3 : 1);
}

int64_t linear_bytes(const LinearFeatures& features, const Problem& p) {
  const int64_t n_states = state_chunks(features.count(), p).count + 1;
  const int64_t rows = p.rows_per_pair(), factors = (rows + p.n_keys) * features.n_factors;
  return 8 * (factors + n_states * features.count() * (p.v_dim + 1) + rows * (p.v_dim + 3));
}

int64_t causal_chunk(int64_t n_features) {
  int64_t chunk = 64;
  while (chunk < 1024 && 2 * chunk < n_features) chunk *= 2;
  return chunk;
}

Chunks state_chunks(int64_t n_features, const Problem& p) {
  if (p.is_causal) {
    const int64_t keys = causal_chunk(n_features);
    return {keys, p.n_keys / keys};
  }
  const int64_t blocks = p.n_pairs * divide_up(n_features, kFeatureTile) * divide_up(p.v_dim, kFeatureTile);
  const int64_t most = std::max<int64_t>(1, p.n_keys / 512);
  const int64_t wanted = std::clamp<int64_t>(kBlocksWanted / std::max<int64_t>(blocks, 1), 1, most);
  const int64_t keys = round_up(divide_up(p.n_keys, wanted), 64);
  return {keys, divide_up(p.n_keys, keys)};
}

}  // namespace flashket::cuda
