// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The backward pass on the matrix units, after FlashAttention-2 (T. Dao, arXiv:2307.08691), without its atomic sums:
// every gradient has one owner, so results are the same in every run. With s = Q K^T, t = dO V^T - delta and
// g = dL / ds (attention/slope.hpp), three kernels compute s anew and keep what they add up in registers:
//
//   sums      a block owns 128 queries   s                  1 product     1 / sum_i
//   queries   a block owns 128 queries   s, t, g K          3 products    dQ
//   keys      a block owns 128 keys      s', t', g' Q, w' dO   4 products    dK, dV
//
// against the forward pass's 2. The keys kernel computes transposes (keys times queries), so in all three the layout of
// scores is that of the left operand of what follows: neither weights nor slopes leave their registers. The other
// side's rows and values come in tiles of 64, double-buffered by cp.async. Rows of up to 80 values: 4 warps of 32 rows
// (a fragment from shared memory feeds two left operands); longer ones, whose sums need twice the registers: 8 warps of
// 16 rows.
//
// For 32 rows, 16 of the other side's and 64 columns a warp's instructions on sm_90a, of plain fidelities:
//
//   sums 16 MMA of about 100     queries 48 MMA of 136     keys 64 MMA of 209 (its values' fragments do not fit the
//                                                                             registers: 24 ldmatrix.x4, else 16)
//
// beside 32 of 100 in the forward pass: at its rate per MMA the five products that gradients need come at 2.5 / 4 of
// its TFLOP/s, at its rate per instruction at 2.5 / 4.45.
//
// Operands are bf16 numbers, since the same tile is dotted and weighed, and weights and slopes span 1 .. 1e-30: an
// overlap is wrong by about 1.5e-4. Rows whose sum is so small that this matters, rows of zeros and rows that meet NaN
// or infinity are left to the general path (BackwardResults::is_left).
#include <math.h>

#include <cmath>

#include "attention/backward_mma.hpp"
#include "attention/fragments.hpp"
#include "attention/slope.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

constexpr int kOwn = 128, kTile = kFactorTile;
// Beyond this an overlap's rounding shows in softmax weights: exp(2 * 1.5e-4 / T).
constexpr double kLargestInverseTemperature = 16;
// A row's sum at power 1 below which it is left to the general path: a mean |s| of about 0.03, whose rounding is then
// half a per cent, and of few keys, whose errors do not average out, a larger one.
constexpr double kLeastMean = 1e-3, kLeastSum = 0.03;

struct Pass {
  Problem problem;
  const bfloat16_t *queries, *d_out, *keys, *values;
  RowFactor* factors;
  int64_t factor_pitch;
  const uint8_t *is_row_bad, *is_key_bad, *is_pair_bad;
  BackwardResults results;
  int64_t row_elements;
  Similarity similarity;
  int power;
  bool is_sum;
  float inverse_temperature, least_mean, least_sum;
};

enum class Want : int { sums, queries, keys };

template <Want want, int length, int width>
struct Layout {
  static constexpr bool owns_keys = want == Want::keys, has_values = want != Want::sums;
  static constexpr int warps = length > 80 ? 8 : 4, threads = warps * kWarp, M = kOwn / 16 / warps;
  static constexpr int row_pitch = length + kRowPad, value_pitch = has_values ? width + kRowPad : 0;
  static constexpr int own_rows = kOwn * row_pitch, own_values = kOwn * value_pitch;
  static constexpr int tile_rows = kTile * row_pitch, tile_values = kTile * value_pitch;
  static constexpr size_t bytes =
      2 * (own_rows + own_values + 2 * (tile_rows + tile_values)) + (owns_keys ? 2 * kTile * sizeof(RowFactor) : 0);
  // Steps of 16 of the own rows and values whose fragments stay in registers: what the sums leave room for.
  static constexpr int kept_rows = !owns_keys || length != 80 ? length / 16 : 1;
  static constexpr int kept_values = !has_values ? 0 : !owns_keys ? width / 16 : length == 128 ? 4 : 0;
};

struct alignas(16) Two {
  RowFactor of[2];
};

// Weight, to be divided by the row's sum, and half of dL / ds without that divisor.
struct Slope {
  float weight, slope;
};

// Of any similarity. Powers by the logarithm: relative error power 2^-21.
FK_DEVICE Slope general_slope(const Pass& pass, float s, float t) {
  const auto raise = [](float x, int n) { return __powf(x, static_cast<float>(n)); };
  const bool is_fidelity = pass.similarity == Similarity::fidelity;
  const KernelSlope<float> k =
      is_fidelity ? fidelity_slope(s * s, pass.power, raise) : hadamard_slope(s, pass.power, raise);
  const float weight = pass.is_sum ? k.value : __expf((k.value - 1.0f) * pass.inverse_temperature);
  const float by_value = value_slope(pass.is_sum, weight, 1.0f, t, pass.inverse_temperature);
  return {weight, 0.5f * by_value * k.slope * (is_fidelity ? s : 1.0f)};
}

template <Want want, int length, int width>
FK_KERNEL void __launch_bounds__(Layout<want, length, width>::threads) MatrixBackwardKernel(Pass pass) {
  using L = Layout<want, length, width>;
  constexpr int M = L::M, k_steps = length / 16, v_steps = width / 16;
  const Problem& p = pass.problem;
  bfloat16_t* const own_rows = dynamic_shared<bfloat16_t>();
  bfloat16_t* const own_values = own_rows + L::own_rows;
  bfloat16_t* const row_tiles = own_values + L::own_values;
  bfloat16_t* const value_tiles = row_tiles + 2 * L::tile_rows;
  RowFactor* const factor_tiles = reinterpret_cast<RowFactor*>(value_tiles + 2 * L::tile_values);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;

  const int n_rows = static_cast<int>(p.rows_per_pair()), n_keys = static_cast<int>(p.n_keys);
  const int group = static_cast<int>(p.group), n_own = L::owns_keys ? n_keys : n_rows;
  const int n_blocks = (n_own + kOwn - 1) / kOwn;
  const int64_t pair = blockIdx.x / n_blocks;
  const int in_pair = static_cast<int>(blockIdx.x % n_blocks);
  // Under causality the last queries and the first keys have the most to do: they begin.
  const int first_own = (L::owns_keys ? in_pair : n_blocks - 1 - in_pair) * kOwn;
  const int kv_len = static_cast<int>(kv_length(p, (p.first_pair + pair) / p.n_key_heads));
  // key_limit() in 32 bits
  const int diagonal = kv_len - static_cast<int>(p.n_queries) + 1;
  const auto limit_of = [&](int row) {
    if (!p.is_causal) return kv_len;
    const int limit = row / group + diagonal;
    return limit < 0 ? 0 : limit > kv_len ? kv_len : limit;
  };
  int begin = 0, end = L::owns_keys ? n_rows : limit_of((first_own + kOwn < n_own ? first_own + kOwn : n_own) - 1);
  if (L::owns_keys) {
    const int first_query = p.is_causal ? first_own + 1 - diagonal : 0;
    if (first_own >= kv_len)
      end = 0;
    else if (first_query > 0)
      begin = first_query * group / kTile * kTile;  // no more than there are rows
  }
  const bfloat16_t *rows = pass.queries + pair * n_rows * length, *values = pass.d_out + pair * n_rows * width;
  const bfloat16_t *other_rows = pass.keys + pair * n_keys * length,
                   *other_values = pass.values + pair * n_keys * width;
  if (L::owns_keys) {
    const bfloat16_t *const r = rows, *const v = values;
    rows = other_rows;
    values = other_values;
    other_rows = r;
    other_values = v;
  }
  RowFactor* const factors = pass.factors + pair * pass.factor_pitch;
  const auto load_tile = [&](int buffer, int at) {
    copy_rows_async<length, kTile, L::threads>(other_rows, at, end, row_tiles + buffer * L::tile_rows);
    if constexpr (L::has_values)
      copy_rows_async<width, kTile, L::threads>(other_values, at, end, value_tiles + buffer * L::tile_values);
    if constexpr (L::owns_keys)
      if (threadIdx.x < kTile / 2)
        copy_async_16(factor_tiles + buffer * kTile + threadIdx.x * 2, factors + at + threadIdx.x * 2);
    copy_async_commit();
  };

  copy_rows_async<length, kOwn, L::threads>(rows, first_own, n_own, own_rows);
  if constexpr (L::has_values) copy_rows_async<width, kOwn, L::threads>(values, first_own, n_own, own_values);
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  const int warp_first = first_own + warp * 16 * M;
  const LeftRows<M, k_steps, L::row_pitch, L::kept_rows> left_rows(own_rows + warp * 16 * M * L::row_pitch +
                                                                   left_offset(lane, L::row_pitch));
  const LeftRows<M, v_steps, L::value_pitch, L::kept_values> left_values(own_values + warp * 16 * M * L::value_pitch +
                                                                         left_offset(lane, L::value_pitch));
  // The lane's own rows: warp_first + 16 m + 8 u + lane / 4. Of queries: their limits and factors.
  const auto own_of = [&](int m, int u) { return warp_first + m * 16 + u * 8 + lane / 4; };
  int limit[M][2];
  RowFactor factor[M][2];
  int least_limit = 0, most_limit = 0;
  if constexpr (!L::owns_keys) {
#pragma unroll
    for (int m = 0; m < M; ++m)
#pragma unroll
      for (int u = 0; u < 2; ++u) {
        const int row = own_of(m, u);
        limit[m][u] = row < n_rows ? limit_of(row) : 0;
        factor[m][u] = want == Want::queries && row < n_rows ? factors[row] : RowFactor{0.0f, 0.0f};
      }
    if (warp_first < n_rows) {
      least_limit = limit_of(warp_first);
      most_limit = limit_of((warp_first + 16 * M < n_rows ? warp_first + 16 * M : n_rows) - 1);
    }
  }
  const bool is_pair_bad = want == Want::sums && pass.is_pair_bad[pair] != 0;
  const bool is_call_plain = pass.similarity == Similarity::fidelity && pass.power == 1 && pass.is_sum;

  // Sums: of the own rows' gradients and, of keys, of their values'; of denominators and admissible keys.
  float d_rows[L::has_values ? M : 1][L::has_values ? 2 * k_steps : 1][4] = {};
  float d_values[L::owns_keys ? M : 1][L::owns_keys ? 2 * v_steps : 1][4] = {};
  float sum[M][2] = {};
  int n_seen[M][2] = {};  // of queries, where a mask decides
  uint32_t seen = 0;      // of keys, bit 2 m + u: any query sees it

  if (begin < end) load_tile(0, begin);
  for (int at = begin, buffer = 0; at < end; at += kTile, buffer ^= 1) {
    if (at + kTile < end) {
      load_tile(buffer ^ 1, at + kTile);
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    bool is_whole = p.mask == nullptr && !is_pair_bad, is_idle = false;
    if constexpr (L::owns_keys) {
      is_whole = is_whole && warp_first + 16 * M <= limit_of(at);
      is_idle = warp_first >= limit_of((at + kTile < n_rows ? at + kTile : n_rows) - 1);
    } else {
      is_whole = is_whole && at + kTile <= least_limit;
      is_idle = at >= most_limit;
    }
    const bfloat16_t* const row_tile = row_tiles + buffer * L::tile_rows;
    const bfloat16_t* const value_tile = value_tiles + buffer * L::tile_values;
    const RowFactor* const factor_tile = factor_tiles + buffer * kTile;

    if (!is_idle) {
#pragma unroll 1
      for (int n = 0; n < kTile / 16; ++n) {
        const bfloat16_t* const row_strip = row_tile + n * 16 * L::row_pitch;
        const bfloat16_t* const value_strip = value_tile + n * 16 * L::value_pitch;
        float s[M][2][4], t[M][2][4];  // in the end slopes (of sums: weights) and weights
        dots(left_rows, row_strip + dot_offset(lane, L::row_pitch), s);
        if constexpr (L::has_values) dots(left_values, value_strip + dot_offset(lane, L::value_pitch), t);
        // f(m, u, h, c, s, t) for the pair of own row 16 m + 8 u and the tile's row 8 h + c; of keys with its factor.
        const auto each = [&](const auto& f) {
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            Two both{};
            if constexpr (L::owns_keys)
              both = *reinterpret_cast<const Two*>(factor_tile + n * 16 + h * 8 + lane % 4 * 2);
#pragma unroll
            for (int c = 0; c < 2; ++c)
#pragma unroll
              for (int m = 0; m < M; ++m)
#pragma unroll
                for (int u = 0; u < 2; ++u)
                  f(m, u, L::owns_keys ? both.of[c] : factor[m][u], s[m][h][2 * u + c], t[m][h][2 * u + c]);
          }
        };
        if (is_call_plain)
          each([&](int, int, const RowFactor& by, float& x, float& y) {
            const float by_sum = L::owns_keys ? x * by.inverse : x, weight = by_sum * x;
            x = want == Want::sums ? weight : by_sum * (y - by.delta);
            if (L::owns_keys) y = weight;
          });
        else
          each([&](int, int, const RowFactor& by, float& x, float& y) {
            const Slope of = general_slope(pass, x, want == Want::sums ? 0.0f : y - by.delta);
            const float inverse = L::owns_keys ? by.inverse : 1.0f;
            x = want == Want::sums ? of.weight : of.slope * inverse;
            if (L::owns_keys) y = of.weight * inverse;
          });
        if (!is_whole) {
#pragma unroll
          for (int h = 0; h < 2; ++h)
#pragma unroll
            for (int c = 0; c < 2; ++c) {
              const int other = at + n * 16 + h * 8 + lane % 4 * 2 + c;
              const int other_limit = L::owns_keys && other < n_rows ? limit_of(other) : 0;
#pragma unroll
              for (int m = 0; m < M; ++m)
#pragma unroll
                for (int u = 0; u < 2; ++u) {
                  const int row = L::owns_keys ? other : own_of(m, u), key = L::owns_keys ? own_of(m, u) : other;
                  bool is_seen = key < (L::owns_keys ? other_limit : limit[m][u]);
                  if (is_seen && p.mask != nullptr)
                    is_seen = mask_row(p, place_of(p, pair, row))[key * p.mask_stride[3]] != 0;
                  float& x = s[m][h][2 * u + c];
                  if (!is_seen) {
                    x = 0;
                    if (L::owns_keys) t[m][h][2 * u + c] = 0;
                  } else if (L::owns_keys) {
                    seen |= 1u << (2 * m + u);
                  } else if (want == Want::sums) {
                    ++n_seen[m][u];
                    if (is_pair_bad && pass.is_key_bad[pair * n_keys + key] != 0) x = NAN;
                  }
                }
            }
        }
        if constexpr (want == Want::sums) {
#pragma unroll
          for (int m = 0; m < M; ++m)
#pragma unroll
            for (int e = 0; e < 8; ++e) sum[m][e / 2 % 2] += s[m][e / 4][e % 4];
        }
        uint32_t left[M][4];
        if constexpr (L::has_values) {
          pack_left(s, left);
          add_weighed<M, k_steps>(left, row_strip + weighed_offset(lane, L::row_pitch), d_rows);
        }
        if constexpr (L::owns_keys) {
          pack_left(t, left);
          add_weighed<M, v_steps>(left, value_strip + weighed_offset(lane, L::value_pitch), d_values);
        }
      }
      if (L::owns_keys && is_whole) seen = 0xfu;
    }
    __syncthreads();  // the buffer is free for the tile after next
  }

#pragma unroll
  for (int m = 0; m < M; ++m)
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      const int own = own_of(m, u), first_col = lane % 4 * 2;
      int count = L::owns_keys ? static_cast<int>(seen >> (2 * m + u) & 1u) : n_seen[m][u];
      float total = sum[m][u];
      if constexpr (want != Want::queries) {
#pragma unroll
        for (int lanes = 1; lanes < 4; lanes *= 2) {
          count += __shfl_xor_sync(0xffffffffu, count, lanes);
          if (want == Want::sums) total += __shfl_xor_sync(0xffffffffu, total, lanes);
        }
      }
      if (own >= n_own) continue;
      if constexpr (want == Want::sums) {
        if (lane % 4 != 0) continue;
        if (p.mask == nullptr) count = limit[m][u];
        const float least = static_cast<float>(count) * pass.least_mean + pass.least_sum;
        const bool is_left = count > 0 && (pass.is_row_bad[pair * n_rows + own] != 0 || !(total >= least));  // NaN, too
        pass.results.is_left[pair * n_rows + own] = is_left;
        pass.results.is_query_seen[query_row(p, pair, own)] = count > 0;
        const bool has_weights = count > 0 && !is_left;
        factors[own] = {has_weights ? 1.0f / total : 0.0f, has_weights ? factors[own].delta : 0.0f};
      } else {
        const int64_t row = L::owns_keys ? pair * n_keys + own : query_row(p, pair, own);
        double* const to = (L::owns_keys ? pass.results.d_keys : pass.results.d_queries) + row * pass.row_elements;
        const float scale = L::owns_keys ? 2.0f : 2.0f * factor[m][u].inverse;
#pragma unroll
        for (int d = 0; d < 2 * k_steps; ++d)
#pragma unroll
          for (int c = 0; c < 2; ++c)
            if (d * 8 + first_col + c < pass.row_elements)
              to[d * 8 + first_col + c] = static_cast<double>(d_rows[m][d][2 * u + c] * scale);
        if constexpr (L::owns_keys) {
          double* const to_value = pass.results.d_values + row * p.v_dim;
#pragma unroll
          for (int d = 0; d < 2 * v_steps; ++d)
#pragma unroll
            for (int c = 0; c < 2; ++c)
              if (d * 8 + first_col + c < p.v_dim)
                to_value[d * 8 + first_col + c] = static_cast<double>(d_values[m][d][2 * u + c]);
          if (lane % 4 == 0) pass.results.is_key_seen[row] = count > 0;
        }
      }
    }
}

// A block a pair.
FK_KERNEL void __launch_bounds__(kOwn) FindLeftOver(Problem p, const uint8_t* is_left, LeftOver* left_over) {
  __shared__ int64_t ends[kOwn];
  const int64_t pair = blockIdx.x, n = p.rows_per_pair();
  int64_t mine = 0;
  for (int64_t row = threadIdx.x; row < n; row += kOwn)
    if (is_left[pair * n + row] != 0) mine = row + 1;
  ends[threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int t = 1; t < kOwn; ++t) mine = ends[t] > mine ? ends[t] : mine;
  const int64_t length = kv_length(p, (p.first_pair + pair) / p.n_key_heads);
  left_over[pair] = {mine, mine > 0 ? key_limit(p, (mine - 1) / p.group, length) : 0};
}

template <int length, int width>
void launch_all(const Pass& pass, Stream stream) {
  const Problem& p = pass.problem;
  const Grid query_grid{p.n_pairs * divide_up(p.rows_per_pair(), kOwn)},
      key_grid{p.n_pairs * divide_up(p.n_keys, kOwn)};
  using Sums = Layout<Want::sums, length, width>;
  using Queries = Layout<Want::queries, length, width>;
  using Keys = Layout<Want::keys, length, width>;
  launch("MatrixBackwardSums", MatrixBackwardKernel<Want::sums, length, width>, query_grid, Sums::threads, Sums::bytes,
         stream, pass);
  launch("MatrixBackwardQueries", MatrixBackwardKernel<Want::queries, length, width>, query_grid, Queries::threads,
         Queries::bytes, stream, pass);
  launch("MatrixBackwardKeys", MatrixBackwardKernel<Want::keys, length, width>, key_grid, Keys::threads, Keys::bytes,
         stream, pass);
}

}  // namespace

BackwardShape backward_shape(const KernelSpec& spec, const Problem& problem, const AttentionOptions& o) {
  const bool is_overlap = spec.similarity == Similarity::fidelity || spec.similarity == Similarity::hadamard;
  const bool is_bounded = o.normalization == Normalization::sum || 1 / o.temperature <= kLargestInverseTemperature;
  const int64_t depth = spec.depth();
  if (o.arithmetic == Arithmetic::simt || spec.encoder->pair != Pair::real_dot || !is_overlap || !is_bounded ||
      depth > 144 || problem.v_dim > 128 || problem.rows_per_pair() > INT32_MAX / 2 || problem.n_keys > INT32_MAX / 2)
    return {0, 0};
  BackwardShape shape = depth <= 64 && problem.v_dim <= 64   ? BackwardShape{64, 64}
                        : depth <= 80 && problem.v_dim <= 64 ? BackwardShape{80, 64}
                        : depth <= 128                       ? BackwardShape{128, 128}
                                                             : BackwardShape{144, 128};
  static_assert(Layout<Want::keys, 80, 64>::bytes <= kLeastSharedPerBlock);
  if (Layout<Want::keys, 144, 128>::bytes > shared_per_block() && shape.length > 80) shape.length = 0;
  return shape;
}

void matrix_backward(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options,
                     const BackwardOperands& operands, const BackwardResults& results, Stream stream) {
  Pass pass{};
  pass.problem = problem;
  pass.queries = operands.queries.data();
  pass.d_out = operands.d_out.data();
  pass.keys = operands.keys.data();
  pass.values = operands.values.values.data();
  pass.factors = operands.factors.data();
  pass.factor_pitch = operands.factor_pitch;
  pass.is_row_bad = operands.is_row_bad.data();
  pass.is_key_bad = operands.values.is_bad.data();
  pass.is_pair_bad = operands.values.is_pair_bad.data();
  pass.results = results;
  pass.row_elements = spec.row_elements();
  pass.similarity = spec.similarity;
  pass.power = spec.power;
  pass.is_sum = options.normalization == Normalization::sum;
  pass.inverse_temperature = static_cast<float>(1 / options.temperature);
  if (pass.is_sum) {
    pass.least_mean = static_cast<float>(std::pow(kLeastMean, spec.power));
    pass.least_sum = static_cast<float>(std::pow(kLeastSum, spec.power));
  }
  const BackwardShape& shape = operands.shape;
  if (shape.length == 64)
    launch_all<64, 64>(pass, stream);
  else if (shape.length == 80)
    launch_all<80, 64>(pass, stream);
  else if (shape.length == 128)
    launch_all<128, 128>(pass, stream);
  else
    launch_all<144, 128>(pass, stream);
  launch("FindLeftOver", FindLeftOver, {problem.n_pairs}, kOwn, 0, stream, problem, results.is_left, results.left_over);
}

}  // namespace flashket::cuda
