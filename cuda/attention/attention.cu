// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// attention(): checks, which path, encoded operands, passes. A pass judges its rows on the device; those that need it
// are taken up by the next: first all keys' values as they are (where that is cheaper the linear form instead, then
// the rows that it cannot certify), then rows whose sum is too small for that in the log domain, then rows of zeros as
// plain means. A pass without such rows ends after a look at their status, so nothing is read back. Twin of
// cpp/attention/attention.cpp.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "attention/linear.hpp"
#include "attention/mma.hpp"
#include "attention/mma_float.hpp"

namespace flashket::cuda {
namespace {

// Encoded rows of so many bytes are made at a time, or those of one (batch, key head).
constexpr int64_t kWorkspace = int64_t{2} << 30;

bool is_half(Dtype d) { return d == Dtype::f16 || d == Dtype::bf16; }

void check(bool is_good, const char* what) {
  if (!is_good) throw std::invalid_argument(what);
}

void check_shapes(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o) {
  const int64_t *q = a.q.shape, *k = a.k.shape, *v = a.v.shape, *out = a.out.shape;
  check(k[0] == q[0] && v[0] == q[0] && out[0] == q[0], "q, k, v and out must have the same batch size");
  check(v[1] == k[1] && v[2] == k[2], "v must have a row for every row of k");
  check(k[1] > 0 ? q[1] % k[1] == 0 : q[1] == 0, "the number of query heads must be a multiple of that of key heads");
  check(out[1] == q[1] && out[2] == q[2] && out[3] == v[3], "out must be (B, Hq, Lq, Dv)");
  check(k[3] == q[3], "q and k must have the same number of features");
  check(a.q.dtype == a.k.dtype, "q and k must have the same dtype");
  check(q[2] < INT32_MAX && k[2] < INT32_MAX, "sequences must be shorter than 2^31");
  check(o.temperature > 0, "temperature must be positive");
  check(o.shots >= 0 && o.shots <= INT32_MAX, "shots must be in 0..2^31 - 1");
  check(o.shots == 0 || spec.similarity == Similarity::fidelity || spec.similarity == Similarity::hadamard,
        "shots need kernel values that are probabilities of one outcome");
}

// What the kernel, the dtype and the options decide before anything is allocated.
struct Plan {
  bool can_log;      // small sums are computed again in the log domain
  bool prefers_log;  // all sums are
  bool in_double;
  PackedShape packed;   // of 16-bit rows on the matrix units; length 0: not there
  FloatShape in_parts;  // of float rows there; steps 0: not there
  double log_floor = -1, log_slope = -1;
  LinearFeatures linear;  // without features: the quadratic form
};

Plan make_plan(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o, const Problem& problem) {
  Plan plan{};
  const Pair pair = spec.encoder->pair;
  const bool is_sum = o.normalization == Normalization::sum, is_double = a.q.dtype == Dtype::f64;
  const bool is_normalised = spec.similarity != Similarity::dot;
  const int64_t depth = spec.depth();
  const double n_factors = pair == Pair::product || pair == Pair::transfer ? static_cast<double>(depth) : 0;
  const double power = spec.power;
  plan.can_log = is_sum && o.shots == 0 && is_normalised;
  // log2 K is about -2 per feature for angles spread over the circle: beyond this, float products are lost anyway.
  plan.prefers_log =
      plan.can_log && spec.similarity == Similarity::fidelity && n_factors * power > (is_double ? 480 : 40);

  // A small temperature magnifies the rounding of float scores: about 6e-8 of an overlap, more with every factor of a
  // product and with the gates of a circuit, and 2 power times that of a fidelity. A power of an estimate may
  // underflow.
  double least_temperature = (spec.similarity == Similarity::hadamard ? 0.025 : 0.06) * power;
  if (pair == Pair::product) least_temperature *= std::max(1.0, std::sqrt(static_cast<double>(depth) / 8));
  if (pair == Pair::complex_dot || pair == Pair::transfer) least_temperature *= 2;
  const bool is_magnified = !is_sum && is_normalised && o.shots == 0 && o.temperature < least_temperature;
  const bool needs_double = spec.similarity == Similarity::projected
                                ? spec.gamma > 16
                                : pair == Pair::transfer && static_cast<double>(depth) * power > 9;
  plan.in_double = is_double || is_magnified || needs_double || (o.shots > 0 && spec.power > 1);

  if (!plan.in_double && !plan.prefers_log && (is_half(a.q.dtype) || o.arithmetic == Arithmetic::half))
    plan.packed = packed_shape(spec, problem, o);
  else if (!plan.in_double && !plan.prefers_log)
    plan.in_parts = float_shape(spec, problem, o);

  if (!plan.can_log) return plan;
  if (is_double) {
    plan.log_floor = 1e-290;
    plan.log_slope = 0;
    return plan;
  }
  // An overlap s is wrong by about 3e-8, a weight by 2 power 3e-8 / s of itself, and an output of random values by the
  // same part of itself, which must stay below 3e-6; s^2 is the mean kernel value. For the Hadamard test the same with
  // (1 + s) / 2. In a product of a fidelity only the smallest factor is that wrong; the others' squares are about 1/2.
  // fp16 overlaps are wrong by some 1e-4, of which 16-bit inputs bear more.
  double least_mean = spec.similarity == Similarity::hadamard ? 0.02 * power : 5e-4 * power * power;
  if (is_half(a.q.dtype) || plan.packed.length > 0) {
    least_mean = spec.similarity == Similarity::hadamard ? 1e-3 : 1e-5;
    if (pair == Pair::product && spec.similarity == Similarity::fidelity) least_mean = 1e-4;
  }
  if (pair == Pair::product && spec.similarity == Similarity::fidelity)
    least_mean *= std::pow(0.5, static_cast<double>(depth - 1));
  plan.log_floor = 1e-24;
  plan.log_slope = std::pow(least_mean, power);
  return plan;
}

// Features where the linear form is to be taken; checks what was asked for by name.
LinearFeatures choose_linear(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o,
                             const Plan& plan) {
  const bool is_asked = o.form == AttentionForm::linear;
  if (o.form == AttentionForm::pairs || plan.prefers_log || plan.packed.length > 0 || !can_be_linear(a, o)) {
    check(!is_asked,
          "the linear form needs float32 or float64, sums, no mask, no shots and values that do not underflow");
    return {};
  }
  if (!is_asked && !is_long_enough(a)) return {};
  LinearFeatures features = linear_features(spec);
  check(!is_asked || features.count() > 0, "the kernel has no linear form");
  if (features.count() > 0 && (is_asked || linear_form_pays(spec, features, a, o.causal, plan.in_parts.steps > 0)))
    return features;
  return {};
}

// The passes over one run of pairs.
void run(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o, const Plan& plan,
         const Problem& problem, Finish finish, Stream stream) {
  const int64_t n_keys = problem.n_pairs * problem.n_keys;
  const bool is_linear = plan.linear.count() > 0, is_in_parts = plan.in_parts.steps > 0 && !is_linear;
  Precision precision = plan.in_double ? Precision::f64 : Precision::f32;
  if (plan.can_log && !plan.in_double && a.q.dtype == Dtype::f32)
    precision = plan.prefers_log ? Precision::f64 : Precision::both;
  else if (is_in_parts && spec.encoder->pair == Pair::product)
    precision = Precision::f64;  // what planes of products are made of
  Memory query_copy, key_copy;
  const Rows queries =
      flat_rows(a.q, problem.first_pair * problem.rows_per_pair(), problem.n_rows(), query_copy, stream);
  const Rows keys = flat_rows(a.k, problem.first_pair * problem.n_keys, n_keys, key_copy, stream);
  const Encoded encoded_queries = encode_rows(spec, queries, precision, stream);
  const Encoded encoded_keys = encode_rows(spec, keys, precision, stream);
  const auto rows = [&](bool are_double) {
    EncodedRows r{encoded_queries.f32.data(), encoded_keys.f32.data(), are_double, encoded_keys.pitch, spec.depth()};
    if (are_double) {
      r.queries = encoded_queries.f64.data();
      r.keys = encoded_keys.f64.data();
    }
    return r;
  };
  const bool has_double = precision != Precision::f32;
  Array<int32_t> status(problem.n_rows(), stream);
  finish.status = status.data();
  const Weighing weighing = o.normalization == Normalization::sum ? Weighing::exact_sum : Weighing::softmax;

  if (is_linear) {
    linear_pass(spec, plan.linear, problem, finish, rows(true), stream);
    simt_pass(spec, problem, finish, rows(plan.in_double), {weighing, kRowWantsPairs, plan.in_double}, stream);
  } else if (plan.packed.length > 0) {
    const int64_t length = plan.packed.length;
    Array<half_t> packed_queries(problem.n_rows() * length, stream), packed_keys(n_keys * length, stream);
    pack_rows(spec, encoded_queries.f32.data(), problem.n_rows(), encoded_queries.pitch, packed_queries.data(), length,
              stream);
    pack_rows(spec, encoded_keys.f32.data(), n_keys, encoded_keys.pitch, packed_keys.data(), length, stream);
    const PackedValues values = pack_values(problem, plan.packed.width, stream);
    mma_pass(spec, problem, finish, plan.packed, {packed_queries.data(), packed_keys.data(), &values}, weighing,
             o.temperature, stream);
  } else if (is_in_parts) {
    const PlaneShape shape = float_planes(spec, plan.in_parts);
    Array<half_t> query_planes(problem.n_rows() * shape.row_elements(), stream),
        key_planes(n_keys * shape.row_elements(), stream);
    const auto split = [&](const Encoded& rows, int64_t count, Array<half_t>& planes) {
      if (shape.form == PlaneForm::product)
        make_planes(shape, rows.f64.data(), count, rows.pitch, planes.data(), stream);
      else
        make_planes(shape, rows.f32.data(), count, rows.pitch, planes.data(), stream);
    };
    split(encoded_queries, problem.n_rows(), query_planes);
    split(encoded_keys, n_keys, key_planes);
    const PackedFloats values = pack_floats(problem, plan.in_parts.width, stream);
    float_mma_pass(spec, problem, finish, plan.in_parts, {query_planes.data(), key_planes.data(), &values}, weighing,
                   o.temperature, stream);
  } else if (!plan.prefers_log) {
    PassOptions pass{weighing, -1, plan.in_double};
    pass.scale = 1 / o.temperature;
    pass.shots = o.shots;
    pass.seed = o.seed;
    simt_pass(spec, problem, finish, rows(plan.in_double), pass, stream);
  }
  if (plan.can_log)
    simt_pass(spec, problem, finish, rows(has_double),
              {Weighing::log_sum, plan.prefers_log ? int32_t{-1} : int32_t{kRowWantsLog}, true}, stream);
  simt_pass(spec, problem, finish, rows(has_double), {Weighing::uniform, kRowWantsUniform, plan.in_double}, stream);
}

}  // namespace

bool takes_linear_form(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o) {
  return choose_linear(spec, a, o, make_plan(spec, a, o, problem_of(a, o))).count() > 0;
}

void attention(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o, int64_t* zero_rows,
               void* row_sums, Stream stream) {
  check_shapes(spec, a, o);
  if (a.out.shape[0] == 0 || a.out.shape[1] == 0 || a.out.shape[2] == 0 || a.out.shape[3] == 0) return;
  Problem problem = problem_of(a, o);
  Plan plan = make_plan(spec, a, o, problem);
  plan.linear = choose_linear(spec, a, o, plan);

  Finish finish{};
  finish.sums_are_double = a.q.dtype == Dtype::f64;
  finish.zero_rows = reinterpret_cast<unsigned long long*>(zero_rows);
  finish.log_floor = plan.log_floor;
  finish.log_slope = plan.log_slope;
  if (o.normalization == Normalization::sum && row_sums != nullptr) {
    const int64_t n = a.q.shape[0] * a.q.shape[1] * a.q.shape[2];
    fill_bytes(row_sums, 0, static_cast<size_t>(n) * (finish.sums_are_double ? 8 : 4), stream);
    finish.row_sums = row_sums;
  }

  const int64_t n_pairs = a.k.shape[0] * a.k.shape[1];
  int64_t bytes_per_pair = (problem.rows_per_pair() + problem.n_keys) * spec.row_elements() * 12;
  problem.n_pairs = n_pairs;
  if (plan.linear.count() > 0)
    bytes_per_pair += linear_bytes(plan.linear, problem);
  else if (plan.in_parts.steps > 0)
    bytes_per_pair += float_part_bytes(problem);
  const int64_t together = std::clamp<int64_t>(kWorkspace / std::max<int64_t>(bytes_per_pair, 1), 1, n_pairs);
  for (problem.first_pair = 0; problem.first_pair < n_pairs; problem.first_pair += together) {
    problem.n_pairs = std::min(together, n_pairs - problem.first_pair);
    run(spec, a, o, plan, problem, finish, stream);
  }
}

}  // namespace flashket::cuda
