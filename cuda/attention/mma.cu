// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Fused attention on the matrix units, after FlashAttention-2 (T. Dao, arXiv:2307.08691) without its exponentials:
//
//   out_i = sum_j K_ij v_j / sum_j K_ij,   K_ij = |s_ij|^2 and its like, s = Q K^T or a product of such
//
// A weight of sum normalisation is the kernel value itself: no exponential, no running maximum, no rescaling, and sums
// over parts of the keys add exactly. Softmax weights are exp((K - 1) / T): kernel values lie in 0 .. 1, so 1 is a bound
// that replaces the running maximum; packed_shape() keeps 1 / T so small that no weight underflows.
//
// A block has 4 warps and 128 rows, a warp 32 rows (two 16-row operands, so that a fragment of keys or values from
// shared memory feeds two MMAs). Query fragments stay in registers, or where those are short in shared memory; tiles of
// 64 keys and values are double-buffered by cp.async. Per 16 keys a warp with 64-value rows and 64 columns issues
//   16 MMA for scores, 16 MMA for P V (4,096 multiply-adds each)
//   8 ldmatrix.x4 (4 of keys, 4 of values: 4 KB of shared memory for 32 MMAs)
//   16 multiplies (squares), 16 adds (denominators), 8 packed conversions to bf16
// that is 48 other instructions for 32 MMAs. The layout of score accumulators is that of the left operand of P V, so
// weights never leave their registers. Rows in shared memory are padded by 16 bytes: an odd number of 16-byte words, so
// the eight rows of an ldmatrix lie in different banks.
//
// Overlaps are fp16 products with fp32 sums (entries <= 1: 11 bits), weights and values bf16 (weights span 1 .. 1e-38),
// sums fp32. Tiles in which every row sees every key take no look at masks.
#include "attention/mma.hpp"

#include <math.h>

#include "core/launch.hpp"
#include "gram/value.hpp"

namespace flashket::cuda {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarp, kWarpRows = 32, kRows = kWarps * kWarpRows, kKeys = kKeyTile;
constexpr int kPad = 8;  // 16-bit values behind a row in shared memory
constexpr double kLargestInverseTemperature = 60;

struct Pass {
  Problem problem;
  Finish finish;
  const half_t* queries;
  const half_t* keys;
  const bfloat16_t* values;
  const uint8_t* is_bad;
  const uint8_t* is_pair_bad;
  Weighing weighing;
  Similarity similarity;
  int power;
  float inverse_temperature;
  Splits splits;
  Partials<float> partials;
};

template <int length, int width>
struct Shared {
  static constexpr int row_pitch = length + kPad, value_pitch = width + kPad;
  static constexpr int keys = kKeys * row_pitch, values = kKeys * value_pitch;  // of one buffer, 16-bit values
  // Queries pass through the buffers of keys, or stay behind all buffers.
  static constexpr bool keeps_queries = length + 2 * width > 192;
  static constexpr int queries = keeps_queries ? kRows * row_pitch : 0;
  static constexpr size_t bytes = 2 * (2 * keys + 2 * values + queries);
};

// Scores of 32 rows with 16 keys.
template <Form form, int length>
struct Scores {
  static constexpr int k_steps = length / 16, n_planes = form == Form::complex ? 3 : 1;
  float sum[n_planes][2][2][4];

  // `key`: the lane's address in the first 16 columns of the 16 keys.
  template <class Queries>
  FK_DEVICE void compute(const Queries& queries, const half_t* key) {
#pragma unroll
    for (int p = 0; p < n_planes; ++p)
#pragma unroll
      for (int m = 0; m < 2; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h)
#pragma unroll
          for (int e = 0; e < 4; ++e) sum[p][m][h][e] = 0;
    if constexpr (form == Form::complex) {
      // re = re re' + im im'; im = re im' - im re', its two parts apart.
#pragma unroll
      for (int k = 0; k < k_steps / 2; ++k) {
        uint32_t re[4], im[4];
        load_matrix_x4(re, key + k * 16);
        load_matrix_x4(im, key + (k + k_steps / 2) * 16);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          uint32_t a[4], b[4];
          queries(m, k, a);
          queries(m, k + k_steps / 2, b);
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            mma_half(sum[0][m][h], a, re[2 * h], re[2 * h + 1]);
            mma_half(sum[1][m][h], a, im[2 * h], im[2 * h + 1]);
            mma_half(sum[0][m][h], b, im[2 * h], im[2 * h + 1]);
            mma_half(sum[2][m][h], b, re[2 * h], re[2 * h + 1]);
          }
        }
      }
    } else {
#pragma unroll
      for (int k = 0; k < k_steps; ++k) {
        uint32_t b[4];
        load_matrix_x4(b, key + k * 16);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          uint32_t a[4];
          queries(m, k, a);
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            if (form == Form::dot || k == 0) {
              mma_half(sum[0][m][h], a, b[2 * h], b[2 * h + 1]);
            } else {
              float factor[4] = {};
              mma_half(factor, a, b[2 * h], b[2 * h + 1]);
#pragma unroll
              for (int e = 0; e < 4; ++e) sum[0][m][h][e] *= factor[e];
            }
          }
        }
      }
    }
  }
  FK_DEVICE float re(int m, int h, int e) const { return sum[0][m][h][e]; }
  FK_DEVICE float im(int m, int h, int e) const {
    return n_planes == 3 ? sum[n_planes - 2][m][h][e] - sum[n_planes - 1][m][h][e] : 0.0f;
  }
};

// f(weight) for all of them. Questions that are the same for a whole call are asked outside.
template <class F>
FK_DEVICE void each(float (&weights)[2][2][4], const F& f) {
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int e = 0; e < 4; ++e) weights[m][h][e] = f(m, h, e);
}

template <class Scores>
FK_DEVICE void weigh(const Pass& pass, const Scores& s, float (&weights)[2][2][4]) {
  if (pass.similarity == Similarity::hadamard) {
    each(weights, [&](int m, int h, int e) { return fmaxf(s.re(m, h, e) * 0.5f + 0.5f, 0.0f); });
  } else {
    each(weights, [&](int m, int h, int e) {
      const float re = s.re(m, h, e), im = s.im(m, h, e);
      return Scores::n_planes == 1 ? re * re : re * re + im * im;
    });
  }
  // By the logarithm: relative error power 2^-21, and one weight needs no other register.
  if (pass.power != 1)
    each(weights, [&](int m, int h, int e) { return __powf(weights[m][h][e], static_cast<float>(pass.power)); });
  if (pass.weighing == Weighing::softmax)
    each(weights, [&](int m, int h, int e) { return __expf((weights[m][h][e] - 1.0f) * pass.inverse_temperature); });
}

// Rows first .. first + 63 of 16-bit values to shared memory; zeros from row `end` on.
template <int length, class T>
FK_DEVICE void copy_rows(const T* from, int first, int end, T* to) {
  constexpr int in_row = length / 8, step = kThreads / in_row;
  const int row = static_cast<int>(threadIdx.x) / in_row, col = static_cast<int>(threadIdx.x) % in_row * 8;
  from += int64_t{first + row} * length + col;
  to += row * (length + kPad) + col;
#pragma unroll
  for (int i = 0; i < kKeys; i += step)
    copy_async_16(to + i * (length + kPad), from + i * length, first + row + i < end);
}

template <Form form, int length, int width>
FK_KERNEL void __launch_bounds__(kThreads) MatrixAttendKernel(Pass pass) {
  using Layout = Shared<length, width>;
  constexpr int k_steps = length / 16, v_tiles = width / 8;
  const Problem& p = pass.problem;
  half_t* const key_buffers = dynamic_shared<half_t>();
  bfloat16_t* const value_buffers = reinterpret_cast<bfloat16_t*>(key_buffers + 2 * Layout::keys);
  half_t* const query_buffer =
      Layout::keeps_queries ? reinterpret_cast<half_t*>(value_buffers + 2 * Layout::values) : key_buffers;
  const int tid = static_cast<int>(threadIdx.x), lane = tid % kWarp, warp = tid / kWarp;

  const int64_t rows_per_pair = p.rows_per_pair(), n_tiles = divide_up(rows_per_pair, kRows);
  // Last tiles first: under causality they are the longest.
  const int64_t block = blockIdx.x, tile = n_tiles - 1 - block % n_tiles;
  const int64_t split = block / n_tiles % pass.splits.count, pair = block / n_tiles / pass.splits.count;
  const int64_t first_row = tile * kRows, rows_left = rows_per_pair - first_row;
  const int n_rows = rows_left < kRows ? static_cast<int>(rows_left) : kRows;
  const int64_t batch = (p.first_pair + pair) / p.n_key_heads, kv_len = kv_length(p, batch);
  const int begin = static_cast<int>(split * pass.splits.keys);
  const int64_t last_limit = key_limit(p, (first_row + n_rows - 1) / p.group, kv_len);
  const int64_t split_end = begin + pass.splits.keys;
  const int end = static_cast<int>(last_limit < split_end ? last_limit : split_end);

  const half_t* const keys = pass.keys + pair * p.n_keys * length;
  const bfloat16_t* const values = pass.values + pair * p.n_keys * width;
  const bool is_pair_bad = pass.is_pair_bad[pair] != 0;
  const auto load_tile = [&](int buffer, int j0) {
    copy_rows<length>(keys, j0, end, key_buffers + buffer * Layout::keys);
    copy_rows<width>(values, j0, end, value_buffers + buffer * Layout::values);
    copy_async_commit();
  };

  for (int i = tid; i < kRows * length / 8; i += kThreads) {
    const int row = i / (length / 8), col = i % (length / 8) * 8;
    const bool exists = row < n_rows;
    copy_async_16(query_buffer + row * Layout::row_pitch + col,
                  pass.queries + query_row(p, pair, first_row + (exists ? row : 0)) * length + col, exists);
  }
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  // The lane's address in a 16 x 16 block of rows for the left operand, and of keys for the right one.
  const half_t* const query =
      query_buffer + (warp * kWarpRows + lane % 16) * Layout::row_pitch + lane / 16 * 8;
  uint32_t fragments[Layout::keeps_queries ? 1 : 2][Layout::keeps_queries ? 1 : k_steps][4];
  if constexpr (!Layout::keeps_queries) {
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int k = 0; k < k_steps; ++k) load_matrix_x4(fragments[m][k], query + m * 16 * Layout::row_pitch + k * 16);
    __syncthreads();
  }
  const auto queries = [&](int m, int k, uint32_t(&a)[4]) {
    if constexpr (Layout::keeps_queries) {
      load_matrix_x4(a, query + m * 16 * Layout::row_pitch + k * 16);
    } else {
#pragma unroll
      for (int e = 0; e < 4; ++e) a[e] = fragments[m][k][e];
    }
  };
  const int key_offset = (lane % 8 + lane / 16 * 8) * Layout::row_pitch + lane / 8 % 2 * 8;
  const int value_offset = lane % 16 * Layout::value_pitch + lane / 16 * 8;

  // Rows of the lane: 16 m + 8 u + lane / 4 of the warp's.
  const auto local_row = [&](int m, int u) { return warp * kWarpRows + m * 16 + u * 8 + lane / 4; };
  int limit[2][2];
  int n_masked[2][2] = {};  // admissible keys where a mask decides
#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      const int local = local_row(m, u);
      const int64_t bound = local < n_rows ? key_limit(p, (first_row + local) / p.group, kv_len) : 0;
      limit[m][u] = static_cast<int>(bound < end ? bound : end);
    }
  // Of the warp's first and last row: all its rows see the keys before, none sees one from there on.
  const int warp_first = warp * kWarpRows;
  int least_limit = 0, most_limit = 0;
  if (warp_first < n_rows) {
    const int warp_last = warp_first + kWarpRows < n_rows ? warp_first + kWarpRows - 1 : n_rows - 1;
    least_limit = static_cast<int>(key_limit(p, (first_row + warp_first) / p.group, kv_len));
    most_limit = static_cast<int>(key_limit(p, (first_row + warp_last) / p.group, kv_len));
  }
  least_limit = least_limit < end ? least_limit : end;

  float out[2][v_tiles][4] = {};
  float denominator[2][2] = {};
  if (begin < end) load_tile(0, begin);
  for (int j0 = begin, buffer = 0; j0 < end; j0 += kKeys, buffer ^= 1) {
    if (j0 + kKeys < end) {
      load_tile(buffer ^ 1, j0 + kKeys);
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    if (j0 < most_limit) {
      const half_t* const key = key_buffers + buffer * Layout::keys + key_offset;
      const bfloat16_t* const value = value_buffers + buffer * Layout::values + value_offset;
      const auto strip = [&](int n, auto hide) {
        Scores<form, length> scores;
        scores.compute(queries, key + n * 16 * Layout::row_pitch);
        float weights[2][2][4];
        weigh(pass, scores, weights);
        hide(j0 + n * 16, weights);
        uint32_t left[2][4];
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int h = 0; h < 2; ++h)
#pragma unroll
            for (int u = 0; u < 2; ++u) {
              const float x = weights[m][h][2 * u], y = weights[m][h][2 * u + 1];
              denominator[m][u] += x + y;
              left[m][2 * h + u] = pack_bfloat16(x, y);
            }
#pragma unroll
        for (int d = 0; d < width / 16; ++d) {
          uint32_t right[4];
          load_matrix_x4_transposed(right, value + n * 16 * Layout::value_pitch + d * 16);
#pragma unroll
          for (int m = 0; m < 2; ++m) {
            mma_bfloat16(out[m][2 * d], left[m], right[0], right[1]);
            mma_bfloat16(out[m][2 * d + 1], left[m], right[2], right[3]);
          }
        }
      };
      if (p.mask == nullptr && !is_pair_bad && j0 + kKeys <= least_limit) {
#pragma unroll 2
        for (int n = 0; n < kKeys / 16; ++n) strip(n, [](int, float(&)[2][2][4]) {});
      } else {
#pragma unroll 1
        for (int n = 0; n < kKeys / 16; ++n)
          strip(n, [&](int first_key, float(&weights)[2][2][4]) {
#pragma unroll
            for (int m = 0; m < 2; ++m)
#pragma unroll
              for (int u = 0; u < 2; ++u) {
                const int local = local_row(m, u);
                const uint8_t* mask = nullptr;
                if (p.mask != nullptr && local < n_rows) mask = mask_row(p, place_of(p, pair, first_row + local));
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                  const int j = first_key + c / 2 * 8 + lane % 4 * 2 + c % 2;
                  float& weight = weights[m][c / 2][u * 2 + c % 2];
                  if (j >= limit[m][u] || (mask != nullptr && mask[j * p.mask_stride[3]] == 0)) {
                    weight = 0;
                  } else {
                    n_masked[m][u] += mask != nullptr;
                    if (is_pair_bad && pass.is_bad[pair * p.n_keys + j]) weight = NAN;
                  }
                }
              }
          });
      }
    }
    __syncthreads();  // the buffer is free for the tile after next
  }

#pragma unroll
  for (int m = 0; m < 2; ++m)
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      float sum = denominator[m][u];
      int n_admissible = n_masked[m][u];
#pragma unroll
      for (int lanes = 1; lanes < 4; lanes *= 2) {
        sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
        n_admissible += __shfl_xor_sync(0xffffffffu, n_admissible, lanes);
      }
      if (p.mask == nullptr) n_admissible = limit[m][u] > begin ? limit[m][u] - begin : 0;
      const int local = local_row(m, u);
      if (local >= n_rows) continue;
      const int64_t row = first_row + local;
      const int first_col = lane % 4 * 2;
      if (pass.splits.count > 1) {
        const int64_t at = split * p.n_rows() + pair * rows_per_pair + row;
        if (lane % 4 == 0) {
          pass.partials.denominator[at] = sum;
          pass.partials.maximum[at] = 0;  // the same bound in every part
          pass.partials.n_admissible[at] = n_admissible;
        }
#pragma unroll
        for (int d = 0; d < v_tiles; ++d)
#pragma unroll
          for (int c = 0; c < 2; ++c)
            if (d * 8 + first_col + c < p.v_dim)
              pass.partials.numerator[at * p.v_dim + d * 8 + first_col + c] = out[m][d][2 * u + c];
        continue;
      }
      const int32_t left = finish_row(p, pass.finish, pass.weighing, pair, row, n_admissible, static_cast<double>(sum),
                                      lane % 4 == 0);
      if (left != kRowDone) continue;
      const float inverse = n_admissible == 0 ? 0.0f : 1.0f / sum;
      const int64_t at = out_offset(p, place_of(p, pair, row));
#pragma unroll
      for (int d = 0; d < v_tiles; ++d)
#pragma unroll
        for (int c = 0; c < 2; ++c)
          if (d * 8 + first_col + c < p.v_dim)
            store_element(p.out.data, p.out.dtype, at + d * 8 + first_col + c,
                          n_admissible == 0 ? 0.0f : out[m][d][2 * u + c] * inverse);
    }
}

template <Form form, int length, int width>
void launch_matrix(const Pass& pass, Stream stream) {
  const Problem& p = pass.problem;
  launch("MatrixAttendKernel", MatrixAttendKernel<form, length, width>,
         {p.n_pairs * pass.splits.count * divide_up(p.rows_per_pair(), kRows)}, kThreads, Shared<length, width>::bytes,
         stream, pass);
}

template <Form form>
void launch_form(const PackedShape& shape, const Pass& pass, Stream stream) {
  if (shape.length <= 32)
    shape.width <= 64 ? launch_matrix<form, 32, 64>(pass, stream) : launch_matrix<form, 32, 128>(pass, stream);
  else if (shape.length <= 64)
    shape.width <= 64 ? launch_matrix<form, 64, 64>(pass, stream) : launch_matrix<form, 64, 128>(pass, stream);
  else
    shape.width <= 64 ? launch_matrix<form, 128, 64>(pass, stream) : launch_matrix<form, 128, 128>(pass, stream);
}

}  // namespace

PackedShape packed_shape(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options) {
  const int64_t length = packed_length(spec);
  const bool is_overlap = spec.similarity == Similarity::fidelity || spec.similarity == Similarity::hadamard;
  const bool is_bounded =
      options.normalization == Normalization::sum || 1 / options.temperature <= kLargestInverseTemperature;
  if (options.arithmetic == Arithmetic::simt || options.shots > 0 || !is_overlap || !is_bounded || length == 0 ||
      length > 128 || problem.v_dim > 128)
    return {0, 0};
  return {length <= 32 ? 32 : length <= 64 ? 64 : 128, problem.v_dim <= 64 ? 64 : 128};
}

void mma_pass(const KernelSpec& spec, const Problem& problem, const Finish& finish, const PackedShape& shape,
              const PackedOperands& operands, Weighing weighing, double temperature, Stream stream) {
  Pass pass{};
  pass.problem = problem;
  pass.finish = finish;
  pass.queries = operands.queries;
  pass.keys = operands.keys;
  pass.values = operands.values->values.data();
  pass.is_bad = operands.values->is_bad.data();
  pass.is_pair_bad = operands.values->is_pair_bad.data();
  pass.weighing = weighing;
  pass.similarity = spec.similarity;
  pass.power = spec.power;
  pass.inverse_temperature = static_cast<float>(1 / temperature);
  pass.splits = split_keys(problem.n_pairs * divide_up(problem.rows_per_pair(), kRows), problem.n_keys, 4 * kKeys);
  PartialSums<float> sums;
  if (pass.splits.count > 1) {
    sums = PartialSums<float>(pass.splits.count, problem, stream);
    pass.partials = sums.view();
  }
  switch (packed_form(spec.encoder->pair)) {
    case Form::dot:
      launch_form<Form::dot>(shape, pass, stream);
      break;
    case Form::product:
      launch_form<Form::product>(shape, pass, stream);
      break;
    case Form::complex:
      launch_form<Form::complex>(shape, pass, stream);
      break;
  }
  if (pass.splits.count > 1) combine(problem, finish, weighing, -1, pass.splits, pass.partials, stream);
}

}  // namespace flashket::cuda
