// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include <algorithm>

#include "attention/linear_sums.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256, kRowsTogether = 4;
constexpr int64_t kSliceBytes = int64_t{256} << 20;  // factors of a state's keys or queries that exist at a time

// Rounding of factors, features and of their sums, in norms of what is summed: stages of 16 keys, up to 64 of them a
// chunk, then the chunks.
constexpr double kError = 16 * 2.220446049250313e-16;

// What a row's sums are judged by.
struct Judge {
  const double* norms;  // [state]: max_c |S_c|, |z|
  int64_t chunk, n_states;
  double tolerance;  // of the row's largest element
};

// A warp a row: divides, and certifies the result or leaves the row to the quadratic form.
FK_KERNEL void FinishKernel(Problem p, Finish finish, Judge judge, Partials<double> sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t index = int64_t{blockIdx.x} * kRowsTogether + threadIdx.x / kWarp;
  if (index >= p.n_rows()) return;
  const int64_t pair = index / p.rows_per_pair(), row = index % p.rows_per_pair();
  const RowPlace at = place_of(p, pair, row);
  const int64_t limit = key_limit(p, at.query, kv_length(p, at.batch));
  const int64_t state = judge.chunk > 0 ? limit / judge.chunk : 0;
  const double denominator = sums.denominator[index];
  const double* const numerator = sums.numerator + index * p.v_dim;
  // Sums of kernel values need no certificate: none is negative.
  if (limit > 0 && (judge.chunk == 0 || state > 0)) {
    double magnitude = 0;
    bool is_finite = true;
    for (int64_t c = lane; c < p.v_dim; c += kWarp) {
      const double x = fabs(numerator[c] / denominator);
      is_finite = is_finite && x < static_cast<double>(INFINITY);
      magnitude = fmax(magnitude, x);
    }
#pragma unroll
    for (int lanes = kWarp / 2; lanes > 0; lanes /= 2)
      magnitude = fmax(magnitude, __shfl_xor_sync(0xffffffffu, magnitude, lanes));
    const double* norms = judge.norms + 2 * (pair * judge.n_states + state);
    const double error = kError * (norms[0] + magnitude * norms[1]) / denominator;
    const bool is_certain = is_finite && denominator > 0 && error <= judge.tolerance * magnitude;
    if (__any_sync(0xffffffffu, !is_certain)) {
      if (lane == 0) finish.status[index] = kRowWantsPairs;
      return;
    }
  }
  const int32_t left = finish_row(p, finish, Weighing::exact_sum, pair, row, limit, denominator, lane == 0);
  if (left != kRowDone) return;
  const int64_t to = out_offset(p, at);
  for (int64_t c = lane; c < p.v_dim; c += kWarp)
    store_element(p.out.data, p.out.dtype, to + c, limit == 0 ? 0.0 : numerator[c] / denominator);
}

// A warp a row.
FK_KERNEL void ReadOutKernel(Problem p, const double* norms, double least_ratio, unsigned long long* refused,
                             Partials<double> sums) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t index = int64_t{blockIdx.x} * kRowsTogether + threadIdx.x / kWarp;
  if (index >= p.n_rows()) return;
  const int64_t pair = index / p.rows_per_pair(), row = index % p.rows_per_pair();
  const double denominator = sums.denominator[index];
  const bool is_good = denominator >= least_ratio * norms[2 * pair + 1] && denominator > 0;
  if (!is_good && lane == 0) atomicAdd(refused, 1ull);
  const int64_t to = out_offset(p, place_of(p, pair, row));
  for (int64_t c = lane; c < p.v_dim; c += kWarp)
    store_element(p.out.data, p.out.dtype, to + c, is_good ? sums.numerator[index * p.v_dim + c] / denominator : 0.0);
}

FK_KERNEL void __launch_bounds__(kThreads) CopyKernel(Tensor4 from, Tensor4 to) {
  int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x, source = 0, target = 0;
  if (at >= from.shape[0] * from.shape[1] * from.shape[2] * from.shape[3]) return;
  source = target = at % from.shape[3];
  at /= from.shape[3];
#pragma unroll
  for (int axis = 2; axis >= 0; --axis) {
    source += at % from.shape[axis] * from.stride[axis];
    target += at % from.shape[axis] * to.stride[axis];
    at /= from.shape[axis];
  }
  store_element(to.data, to.dtype, target, load_element(from.data, from.dtype, source));
}

Tensor4 slice(Tensor4 t, int64_t first, int64_t count) {
  t.data = static_cast<char*>(t.data) + first * t.stride[2] * static_cast<int64_t>(size_of(t.dtype));
  t.shape[2] = count;
  return t;
}

// All rows of a tensor as factors.
Array<double> factors_of(const KernelSpec& spec, const LinearFeatures& features, const Tensor4& tensor, Stream stream) {
  Memory copy;
  const int64_t n = tensor.shape[0] * tensor.shape[1] * tensor.shape[2];
  const Encoded encoded = encode_rows(spec, flat_rows(tensor, 0, n, copy, stream), Precision::f64, stream);
  return make_factors(features, encoded.f64.data(), n, encoded.pitch, stream);
}

int64_t rows_together(const KernelSpec& spec, const LinearFeatures& features, int64_t n_heads) {
  const int64_t row_bytes = 8 * (spec.row_elements() + 4 + features.n_factors);
  return std::max<int64_t>(kFeatureTile, kSliceBytes / std::max<int64_t>(1, n_heads * row_bytes));
}

}  // namespace

void linear_pass(const KernelSpec& spec, const LinearFeatures& features, const Problem& p, const Finish& finish,
                 const EncodedRows& rows, Stream stream) {
  const FeatureTable table(features, stream);
  const Chunks chunks = state_chunks(table.count, p);
  const int64_t width = p.v_dim + 1, size = table.count * width;
  const int64_t n_states = p.is_causal ? chunks.count + 1 : 1, chunk = p.is_causal ? chunks.keys : 0;
  const PartialSums<double> sums(1, p, stream);
  Array<double> states(p.n_pairs * n_states * size, stream);
  {
    const Array<double> factors =
        make_factors(features, static_cast<const double*>(rows.keys), p.n_pairs * p.n_keys, rows.pitch, stream);
    if (p.is_causal) {
      // The last state's own keys, fewer than a chunk, are read by nobody.
      sum_chunks(p, table, factors.data(), {chunk, n_states}, states.data(), stream);
      scan_chunks(states.data(), p.n_pairs, n_states, size, stream);
    } else {
      Array<double> parts(p.n_pairs * chunks.count * size, stream);
      sum_chunks(p, table, factors.data(), chunks, parts.data(), stream);
      add_chunks(parts.data(), p.n_pairs, chunks.count, size, false, states.data(), stream);
    }
  }
  Array<double> norms(2 * p.n_pairs * n_states, stream);
  measure_states(table, states.data(), p.n_pairs * n_states, width, norms.data(), stream);
  if (p.is_causal) {
    PassOptions near{Weighing::exact_sum, -1, true};
    near.chunk = chunk;
    near.near = sums.view();
    simt_pass(spec, p, finish, rows, near, stream);
  }
  const Array<double> factors =
      make_factors(features, static_cast<const double*>(rows.queries), p.n_rows(), rows.pitch, stream);
  read_states(p, table, factors.data(), states.data(), chunk, n_states, sums.view(), stream);
  Finish own = finish;
  own.log_slope = 0;  // sums are of double: only what underflows needs logarithms
  const Judge judge{norms.data(), chunk, n_states, p.out.dtype == Dtype::f64 ? 4e-11 : 2e-6};
  launch("linear form, results", FinishKernel, {divide_up(p.n_rows(), kRowsTogether)}, kRowsTogether * kWarp, 0, stream,
         p, own, judge, sums.view());
}

void linear_update(const KernelSpec& spec, const LinearFeatures& features, const Tensor4& k, const Tensor4& v,
                   double* state, Stream stream) {
  const FeatureTable table(features, stream);
  Problem p{};
  p.n_key_heads = k.shape[1];
  p.n_pairs = k.shape[0] * k.shape[1];
  p.group = 1;
  p.v_dim = v.shape[3];
  const int64_t together = rows_together(spec, features, p.n_pairs), size = table.count * (p.v_dim + 1);
  for (int64_t first = 0; first < k.shape[2]; first += together) {
    p.n_keys = std::min(together, k.shape[2] - first);
    p.v = slice(v, first, p.n_keys);
    const Array<double> factors = factors_of(spec, features, slice(k, first, p.n_keys), stream);
    const Chunks chunks = state_chunks(table.count, p);
    Array<double> parts(p.n_pairs * chunks.count * size, stream);
    sum_chunks(p, table, factors.data(), chunks, parts.data(), stream);
    add_chunks(parts.data(), p.n_pairs, chunks.count, size, true, state, stream);
  }
}

void linear_read(const KernelSpec& spec, const LinearFeatures& features, const Tensor4& q, int64_t n_key_heads,
                 const double* state, const Tensor4& out, double least_ratio, int64_t* refused, Stream stream) {
  const FeatureTable table(features, stream);
  Problem p{};
  p.n_key_heads = n_key_heads;
  p.n_pairs = q.shape[0] * n_key_heads;
  p.group = q.shape[1] / n_key_heads;
  p.v_dim = out.shape[3];
  Array<double> norms(2 * p.n_pairs, stream);
  measure_states(table, state, p.n_pairs, p.v_dim + 1, norms.data(), stream);
  fill_bytes(refused, 0, sizeof(int64_t), stream);
  const int64_t together = rows_together(spec, features, q.shape[0] * q.shape[1]);
  for (int64_t first = 0; first < q.shape[2]; first += together) {
    p.n_queries = std::min(together, q.shape[2] - first);
    p.out = slice(out, first, p.n_queries);
    const Array<double> factors = factors_of(spec, features, slice(q, first, p.n_queries), stream);
    const PartialSums<double> sums(1, p, stream);
    read_states(p, table, factors.data(), state, 0, 1, sums.view(), stream);
    launch("linear form, state's results", ReadOutKernel, {divide_up(p.n_rows(), kRowsTogether)}, kRowsTogether * kWarp,
           0, stream, p, norms.data(), least_ratio, reinterpret_cast<unsigned long long*>(refused), sums.view());
  }
}

void copy_tensor(const Tensor4& from, const Tensor4& to, Stream stream) {
  const int64_t n = from.shape[0] * from.shape[1] * from.shape[2] * from.shape[3];
  launch("CopyKernel", CopyKernel, {divide_up(n, kThreads)}, kThreads, 0, stream, from, to);
}

}  // namespace flashket::cuda
