// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>

#include "attention/feature_form.hpp"

namespace flashket {
namespace {

constexpr int64_t kBlockFeatures = 128;  // with 64 values in float: 32 KB, the first-level cache
constexpr int64_t kPairFeatures = 64;    // made on the fly: features and values of a group in the first-level cache

constexpr int64_t padded(int64_t features) { return (features + kFeatureAlign - 1) / kFeatureAlign * kFeatureAlign; }

// base^exponent, or a number beyond kMaxFeatures.
int64_t bounded_power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  for (int64_t i = 0; i < exponent && result <= kMaxFeatures; ++i) result *= base;
  return result;
}

double binomial(int n, int k) {
  double result = 1;
  for (int i = 1; i <= k; ++i) result = result * (n - k + i) / i;
  return std::round(result);
}

LinearForm refused(const std::string& reason) {
  LinearForm form;
  form.reason = reason;
  return form;
}

// Weights of (1, cos, sin, .., cos p, sin p) in cos^2p(t / 2) = 4^-p (C(2p, p) + 2 sum_k C(2p, p - k) cos k t).
std::vector<double> angle_weights(int power) {
  std::vector<double> weights{std::ldexp(binomial(2 * power, power), -2 * power)};
  for (int k = 1; k <= power; ++k)
    weights.insert(weights.end(), 2, std::ldexp(binomial(2 * power, power - k), 1 - 2 * power));
  return weights;
}

// Products of the weights of `count` qubits, the first qubit fastest.
std::vector<double> tensor_weights(const std::vector<double>& one, int64_t count) {
  std::vector<double> result{1.0};
  for (int64_t j = 0; j < count; ++j) {
    std::vector<double> next;
    for (const double w : one)
      for (const double r : result) next.push_back(w * r);
    result = std::move(next);
  }
  return result;
}

void add_block(LinearForm& f, int64_t first, int64_t count, int64_t features) {
  f.blocks.push_back({first, count, features, f.state_rows});
  f.state_rows += padded(features);
  f.n_features += features;
  f.block_rows = std::max(f.block_rows, padded(features));
  f.scale.resize(f.state_rows, 1.0);
}

// Blocks of whole rows of pairs, row i having features_of(i).
template <class Count, class Weigh>
void add_pairs(LinearForm& f, const Count& features_of, const Weigh& weigh) {
  for (int64_t first = 0, last; first < f.form.width; first = last) {
    int64_t features = features_of(first);
    for (last = first + 1; last < f.form.width && features + features_of(last) <= kPairFeatures; ++last)
      features += features_of(last);
    add_block(f, first, last - first, features);
    double* scale = f.scale.data() + f.blocks.back().offset;
    for (int64_t i = first; i < last; ++i)
      for (int64_t j = 0; j < features_of(i); ++j) *scale++ = weigh(i, j);
  }
}

// Elements of the vector whose polynomials are the features, or a number beyond kMaxFeatures.
int64_t state_width(const Score& score) {
  if (score.pair == PairKind::product) return bounded_power(2, score.depth);
  return score.pair == PairKind::complex_dot ? 2 * score.depth : score.depth;
}

LinearForm too_large(const std::string& what) {
  return refused(what + " is more than " + std::to_string(kMaxFeatures) + " features");
}

LinearForm tensor_form(const Score& score) {
  const int64_t n_values = 2 * static_cast<int64_t>(score.power) + 1;
  const std::string count = std::to_string(n_values) + "^" + std::to_string(score.depth);
  if (bounded_power(n_values, score.depth) > kMaxFeatures) return too_large(count);
  LinearForm f;
  FeatureForm& form = f.form;
  form.kind = FeatureKind::tensor;
  form.power = score.power;
  while (form.n_low < score.depth && bounded_power(n_values, form.n_low + 1) <= kBlockFeatures) ++form.n_low;
  if (form.n_low == 0) form.n_low = 1;  // one qubit of a large power
  form.width = bounded_power(n_values, form.n_low);
  form.second_width = bounded_power(n_values, score.depth - form.n_low);
  form.scratch = 2 * score.power * score.depth;
  const std::vector<double> one = angle_weights(score.power), low = tensor_weights(one, form.n_low),
                            high = tensor_weights(one, score.depth - form.n_low);
  const int64_t most = std::max<int64_t>(1, kBlockFeatures / form.width);
  for (int64_t first = 0; first < form.second_width; first += most) {
    const int64_t count_here = std::min(most, form.second_width - first);
    add_block(f, first, count_here, count_here * form.width);
    double* scale = f.scale.data() + f.blocks.back().offset;
    for (int64_t a = first; a < first + count_here; ++a)
      for (const double w : low) *scale++ = high[a] * w;
  }
  return f;
}

LinearForm polynomial_form(const Score& score) {
  const bool is_hadamard = score.similarity == Similarity::hadamard;
  const int64_t width = state_width(score) + (is_hadamard ? 1 : 0);
  LinearForm f;
  f.form.has_one = is_hadamard;
  f.form.width = width;
  f.form.second_width = 1;
  if (is_hadamard && score.power == 1) {
    if (width > kMaxFeatures) return too_large("a state of " + std::to_string(width - 1) + " numbers");
    f.form.kind = FeatureKind::vector;
    for (int64_t first = 0; first < width; first += kBlockFeatures)
      add_block(f, first, 1, std::min(kBlockFeatures, width - first));
    std::fill(f.scale.begin(), f.scale.end(), 0.5);
    return f;
  }
  if (score.pair == PairKind::complex_dot && !is_hadamard) {
    f.form.kind = FeatureKind::hermitian;
    f.form.width = score.depth;
    if (score.depth * score.depth > kMaxFeatures) return too_large(std::to_string(score.depth) + "^2");
    add_pairs(f, [](int64_t i) { return 2 * i + 1; }, [](int64_t i, int64_t j) { return i == j ? 1.0 : 2.0; });
    return f;
  }
  f.form.kind = FeatureKind::square;
  if (width > kMaxFeatures || width * (width + 1) / 2 > kMaxFeatures)
    return too_large(std::to_string(width) + " x " + std::to_string(width + 1) + " / 2");
  const double unit = is_hadamard ? 0.25 : 1.0;
  add_pairs(f, [](int64_t i) { return i + 1; }, [&](int64_t i, int64_t j) { return i == j ? unit : 2 * unit; });
  return f;
}

}  // namespace

LinearForm linear_form(const Score& score) {
  if (score.similarity == Similarity::dot) return refused("a classical control");
  if (score.pair == PairKind::transfer)
    return refused("overlaps are products of transfer matrices, their states are not built");
  if (score.similarity == Similarity::projected) return refused("an exponential of a distance has no finite form");
  const bool is_tensor = score.pair == PairKind::product && score.similarity == Similarity::fidelity;
  const int most = score.similarity == Similarity::hadamard ? 2 : 1;
  if (!is_tensor && score.power > most)
    return refused("power " + std::to_string(score.power) + " is more than " + std::to_string(most) +
                   ", the largest that is expanded for this map");
  LinearForm f = is_tensor ? tensor_form(score) : polynomial_form(score);
  FeatureForm& form = f.form;
  form.pair = score.pair;
  form.depth = score.depth;
  const bool has_second = form.second_width > 1 || form.kind == FeatureKind::hermitian;
  form.second = padded(form.width);
  const int64_t second_width = form.kind == FeatureKind::hermitian ? form.width : form.second_width;
  form.stride = form.second + (has_second ? second_width : 0);
  return f;
}

}  // namespace flashket
