// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Both products are 64 x 64 tiles of a block of 256 threads, 4 x 4 numbers a thread, 16 keys or features at a time
// through shared memory, where features are made. z, the column of ones, is summed aside: it would cost widths of 64
// a second tile. Thread (tx, ty) of a 16 x 16 grid has rows ty, ty + 16, .. and columns tx, tx + 16, ..
#include <math.h>

#include "attention/linear_sums.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256, kStep = 16, kEach = kFeatureTile / 16, kParts = kThreads / kFeatureTile;

struct Table {
  const Feature* features;
  int64_t count, n_factors;
};

Table device_table(const FeatureTable& table) { return {table.data(), table.count, table.n_factors}; }

FK_DEVICE double feature_of(const Feature& f, const double* x) {
  const double product = x[f.a] * x[f.b];
  return f.sign == 0 ? product : product + f.sign * x[f.c] * x[f.d];
}

// acc += left^T right over one stage.
FK_DEVICE void multiply_stage(const double (&left)[kStep][kFeatureTile], const double (&right)[kStep][kFeatureTile],
                              double (&acc)[kEach][kEach]) {
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
#pragma unroll 4
  for (int k = 0; k < kStep; ++k) {
    double a[kEach], b[kEach];
#pragma unroll
    for (int i = 0; i < kEach; ++i) {
      a[i] = left[k][ty + 16 * i];
      b[i] = right[k][tx + 16 * i];
    }
#pragma unroll
    for (int r = 0; r < kEach; ++r)
#pragma unroll
      for (int c = 0; c < kEach; ++c) acc[r][c] += a[r] * b[c];
  }
}

// (1, cos x, sin x, .., cos p x, sin p x)[digit] from cosine and sine of x / 2.
FK_DEVICE double tensor_value(double c, double s, int digit) {
  if (digit == 0) return 1;
  const double cosine = c * c - s * s, sine = 2 * c * s;
  double re = cosine, im = sine;
  for (int multiple = (digit + 1) / 2; multiple > 1; --multiple) {
    const double next = re * cosine - im * sine;
    im = im * cosine + re * sine;
    re = next;
  }
  return digit % 2 == 1 ? re : im;
}

FK_KERNEL void __launch_bounds__(kThreads)
    FactorsKernel(FeatureForm form, int64_t n_factors, const double* rows, int64_t count, int64_t pitch, double* out) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= count * n_factors) return;
  const double* x = rows + at / n_factors * pitch;
  int64_t e = at % n_factors;
  if (form.kind == FeatureKind::tensor) {
    const int base = 2 * form.power + 1;
    const bool is_second = e >= form.width;
    if (is_second) e -= form.width;
    double product = 1;
    for (int64_t j = is_second ? form.n_low : 0; e > 0; ++j, e /= base)
      product *= tensor_value(x[2 * j], x[2 * j + 1], static_cast<int>(e % base));
    out[at] = product;
    return;
  }
  if (form.has_one && e == 0) {
    out[at] = 1;
    return;
  }
  e -= form.has_one ? 1 : 0;
  if (form.pair == PairKind::product) {
    // Element e of the product state: bit j chooses qubit j's sine.
    double product = 1;
    for (int64_t j = 0; j < form.depth; ++j) product *= x[2 * j + (e >> j & 1)];
    out[at] = product;
    return;
  }
  out[at] = x[e];
}

FK_KERNEL void __launch_bounds__(kThreads)
    SumKernel(Problem p, Table table, const double* factors, Chunks chunks, double* sums) {
  __shared__ double features[kStep][kFeatureTile];
  __shared__ double values[kStep][kFeatureTile];
  const int tid = static_cast<int>(threadIdx.x), tx = tid % 16, ty = tid / 16;
  const int mine = tid % kFeatureTile, part = tid / kFeatureTile;
  const int64_t n_tiles = divide_up(table.count, kFeatureTile), block = blockIdx.x;
  const int64_t first = block % n_tiles * kFeatureTile, state = block / n_tiles, pair = state / chunks.count;
  const int64_t first_col = static_cast<int64_t>(blockIdx.y) * kFeatureTile, col = first_col + mine;
  const int64_t batch = (p.first_pair + pair) / p.n_key_heads, head = (p.first_pair + pair) % p.n_key_heads;
  const int64_t begin = state % chunks.count * chunks.keys, length = kv_length(p, batch);
  const int64_t end = begin + chunks.keys < length ? begin + chunks.keys : length;
  const int64_t base = batch * p.v.stride[0] + head * p.v.stride[1];
  const bool exists = first + mine < table.count;
  const Feature own = table.features[exists ? first + mine : 0];

  double total[kEach][kEach] = {}, weight = 0;
  for (int64_t j0 = begin; j0 < end; j0 += kStep) {
    __syncthreads();
    double stage_weight = 0;
#pragma unroll
    for (int k = part; k < kStep; k += kParts) {
      const int64_t key = j0 + k;
      double x = 0, v = 0;
      if (key < end) {
        if (exists) x = feature_of(own, factors + (pair * p.n_keys + key) * table.n_factors);
        if (col < p.v_dim) v = load_element(p.v.data, p.v.dtype, base + key * p.v.stride[2] + col);
      }
      features[k][mine] = x;
      values[k][mine] = v;
      stage_weight += x;
    }
    weight += stage_weight;
    __syncthreads();
    // Sums of sums: equal keys round in one direction.
    double acc[kEach][kEach] = {};
    multiply_stage(features, values, acc);
#pragma unroll
    for (int r = 0; r < kEach; ++r)
#pragma unroll
      for (int c = 0; c < kEach; ++c) total[r][c] += acc[r][c];
  }
  __syncthreads();
  features[part][mine] = weight;
  __syncthreads();

  const int64_t width = p.v_dim + 1;
  double* const to = sums + (state * table.count + first) * width;
  if (first_col == 0 && tid < kFeatureTile && exists) {
    double sum = 0;
#pragma unroll
    for (int k = 0; k < kParts; ++k) sum += features[k][tid];
    to[tid * width + p.v_dim] = sum;
  }
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int c = 0; c < kEach; ++c)
      if (first + ty + 16 * r < table.count && first_col + tx + 16 * c < p.v_dim)
        to[(ty + 16 * r) * width + first_col + tx + 16 * c] = total[r][c];
}

// A thread a number of the state.
FK_KERNEL void __launch_bounds__(kThreads) ScanKernel(double* sums, int64_t n_pairs, int64_t count, int64_t size) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n_pairs * size) return;
  double* x = sums + at / size * count * size + at % size;
  double before = 0;
  for (int64_t s = 0; s < count; ++s, x += size) {
    const double own = *x;
    *x = before;
    before += own;
  }
}

FK_KERNEL void __launch_bounds__(kThreads)
    AddKernel(const double* sums, int64_t n_pairs, int64_t count, int64_t size, bool adds, double* totals) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n_pairs * size) return;
  const double* x = sums + at / size * count * size + at % size;
  double sum = 0;
  for (int64_t s = 0; s < count; ++s, x += size) sum += *x;
  totals[at] = adds ? totals[at] + sum : sum;
}

// A block a state: 32 columns and 8 shares of the features at a time.
FK_KERNEL void __launch_bounds__(kThreads) NormKernel(Table table, const double* states, int64_t width, double* norms) {
  constexpr int kShares = kThreads / kWarp;
  __shared__ double squares[kShares][kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, share = static_cast<int>(threadIdx.x) / kWarp;
  const double* const state = states + int64_t{blockIdx.x} * table.count * width;
  double largest = 0, weights = 0;
  for (int64_t first = 0; first < width; first += kWarp) {
    const int64_t col = first + lane;
    double sum = 0;
    if (col < width)
      for (int64_t f = share; f < table.count; f += kShares) {
        const double x = state[f * width + col];
        sum += table.features[f].weight * x * x;
      }
    __syncthreads();
    squares[share][lane] = sum;
    __syncthreads();
    if (share == 0 && col < width) {
      double square = 0;
      for (int k = 0; k < kShares; ++k) square += squares[k][lane];
      if (col + 1 == width)
        weights = square;
      else
        largest = fmax(largest, square);
    }
  }
  __syncthreads();
  if (share == 0) {
    squares[0][lane] = largest;
    if ((width - 1) % kWarp == lane) norms[2 * int64_t{blockIdx.x} + 1] = sqrt(weights);
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int k = 1; k < kWarp; ++k) largest = fmax(largest, squares[0][k]);
    norms[2 * int64_t{blockIdx.x}] = sqrt(largest);
  }
}

FK_KERNEL void __launch_bounds__(kThreads)
    ReadKernel(Problem p, Table table, const double* factors, const double* states, int64_t chunk, int64_t n_states,
               int64_t n_tiles, Partials<double> sums) {
  __shared__ double features[kStep][kFeatureTile];
  __shared__ double values[kStep][kFeatureTile];
  const int tid = static_cast<int>(threadIdx.x), tx = tid % 16, ty = tid / 16;
  const int mine = tid % kFeatureTile, part = tid / kFeatureTile;
  const int64_t block = blockIdx.x, tile = block % n_tiles, pair = block / n_tiles / n_states;
  const int64_t state = block / n_tiles % n_states;
  const int64_t first_col = static_cast<int64_t>(blockIdx.y) * kFeatureTile, col = first_col + mine;
  int64_t first_query = 0, end_query = p.n_queries;
  if (chunk > 0) {
    // Queries with limit / chunk == state, limit = query + before.
    const int64_t before = kv_length(p, (p.first_pair + pair) / p.n_key_heads) - p.n_queries + 1;
    const int64_t first = state * chunk - before;
    first_query = first > 0 ? first : 0;
    end_query = first + chunk < p.n_queries ? first + chunk : p.n_queries;
  }
  const int64_t first_row = first_query * p.group + tile * kFeatureTile, rows_left = end_query * p.group - first_row;
  if (rows_left <= 0 || (chunk > 0 && state == 0)) return;
  const int n_rows = rows_left < kFeatureTile ? static_cast<int>(rows_left) : kFeatureTile;
  const int64_t own_row = first_row + (mine < n_rows ? mine : 0);
  const double* const own = factors + query_row(p, pair, own_row) * table.n_factors;
  const int64_t width = p.v_dim + 1;
  const double* const from = states + (pair * n_states + state) * table.count * width;

  double acc[kEach][kEach] = {}, denominator = 0;
  for (int64_t f0 = 0; f0 < table.count; f0 += kStep) {
    __syncthreads();
#pragma unroll
    for (int k = part; k < kStep; k += kParts) {
      double x = 0, s = 0;
      if (f0 + k < table.count) {
        const Feature& feature = table.features[f0 + k];
        const double* row = from + (f0 + k) * width;
        x = feature_of(feature, own);
        if (col < p.v_dim) s = feature.weight * row[col];
        denominator += x * (feature.weight * row[p.v_dim]);
      }
      features[k][mine] = x;
      values[k][mine] = s;
    }
    __syncthreads();
    multiply_stage(features, values, acc);
  }
  __syncthreads();
  features[part][mine] = denominator;
  __syncthreads();

  const int64_t at = pair * p.rows_per_pair() + first_row;
  if (first_col == 0 && tid < n_rows) {
    double sum = chunk > 0 ? sums.denominator[at + tid] : 0;
#pragma unroll
    for (int k = 0; k < kParts; ++k) sum += features[k][tid];
    sums.denominator[at + tid] = sum;
  }
#pragma unroll
  for (int r = 0; r < kEach; ++r)
#pragma unroll
    for (int c = 0; c < kEach; ++c) {
      const int row = ty + 16 * r;
      if (row >= n_rows || first_col + tx + 16 * c >= p.v_dim) continue;
      double& to = sums.numerator[(at + row) * p.v_dim + first_col + tx + 16 * c];
      to = chunk > 0 ? to + acc[r][c] : acc[r][c];
    }
}

}  // namespace

FeatureTable::FeatureTable(const LinearFeatures& features, Stream stream)
    : count(features.count()), n_factors(features.n_factors), memory(features.count(), stream) {
  copy_to_device(memory.data(), features.table.data(), static_cast<size_t>(count) * sizeof(Feature), stream);
}

Array<double> make_factors(const LinearFeatures& features, const double* rows, int64_t count, int64_t pitch,
                           Stream stream) {
  const int64_t n = count * features.n_factors;
  Array<double> factors(n, stream);
  launch("FactorsKernel", FactorsKernel, {divide_up(n, kThreads)}, kThreads, 0, stream, features.form,
         features.n_factors, rows, count, pitch, factors.data());
  return factors;
}

void sum_chunks(const Problem& p, const FeatureTable& table, const double* key_factors, const Chunks& chunks,
                double* sums, Stream stream) {
  const Grid grid{p.n_pairs * chunks.count * divide_up(table.count, kFeatureTile), divide_up(p.v_dim, kFeatureTile)};
  launch("linear form, sums", SumKernel, grid, kThreads, 0, stream, p, device_table(table), key_factors, chunks, sums);
}

void scan_chunks(double* sums, int64_t n_pairs, int64_t count, int64_t size, Stream stream) {
  launch("linear form, prefixes", ScanKernel, {divide_up(n_pairs * size, kThreads)}, kThreads, 0, stream, sums, n_pairs,
         count, size);
}

void add_chunks(const double* sums, int64_t n_pairs, int64_t count, int64_t size, bool adds, double* totals,
                Stream stream) {
  launch("linear form, totals", AddKernel, {divide_up(n_pairs * size, kThreads)}, kThreads, 0, stream, sums, n_pairs,
         count, size, adds, totals);
}

void measure_states(const FeatureTable& table, const double* states, int64_t count, int64_t width, double* norms,
                    Stream stream) {
  launch("linear form, norms", NormKernel, {count}, kThreads, 0, stream, device_table(table), states, width, norms);
}

void read_states(const Problem& p, const FeatureTable& table, const double* query_factors, const double* states,
                 int64_t chunk, int64_t n_states, const Partials<double>& sums, Stream stream) {
  const int64_t queries = chunk > 0 && chunk < p.n_queries ? chunk : p.n_queries;
  const int64_t n_tiles = divide_up(queries * p.group, kFeatureTile);
  const Grid grid{p.n_pairs * n_states * n_tiles, divide_up(p.v_dim, kFeatureTile)};
  launch("linear form, reading", ReadKernel, grid, kThreads, 0, stream, p, device_table(table), query_factors, states,
         chunk, n_states, n_tiles, sums);
}

}  // namespace flashket::cuda
