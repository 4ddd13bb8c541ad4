// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Fused attention on the matrix units, after FlashAttention-2 (T. Dao, arXiv:2307.08691) without its exponentials:
//
//   out_i = sum_j K_ij v_j / sum_j K_ij,   K_ij = |s_ij|^2 and its like, s = Q K^T or a product of such
//
// A weight of sum normalisation is the kernel value itself: no exponential, no running maximum, no rescaling, and sums
// over parts of the keys add exactly. Softmax weights are exp((K - 1) / T): kernel values lie in 0 .. 1, so 1 is a
// bound that replaces the running maximum; packed_shape() keeps 1 / T so small that no weight underflows.
//
// A block has 4 warps and 128 rows, a warp 32 rows (two 16-row operands, so that a fragment of keys or values from
// shared memory feeds two MMAs). Query fragments stay in registers, or where those are short in shared memory; tiles of
// 64 keys and values are double-buffered by cp.async. Per 16 keys a warp with 64-value rows and 64 columns issues
//   16 MMA for scores, 16 MMA for P V (2,048 multiply-adds each)
//   8 ldmatrix.x4 (4 of keys, 4 of values: 4 KB of shared memory for 32 MMAs)
//   16 multiplies (squares), 8 packed conversions to bf16, 16 moves back and 16 adds for denominators
// that is 64 other instructions for 32 MMAs, which take the matrix unit at least 128 cycles. The layout of score
// accumulators is that of the left operand of P V, so weights never leave their registers. Rows in shared memory are
// padded by 16 bytes: an odd number of 16-byte words, so the eight rows of an ldmatrix lie in different banks.
//
// Overlaps are fp16 products with fp32 sums (entries <= 1: 11 bits), weights and values bf16 (weights span 1 .. 1e-38),
// sums fp32. Tiles in which every row sees every key take no look at masks; plain fidelities under sum normalisation
// take no branch at all.
#include <math.h>

#include <type_traits>

#include "attention/mma.hpp"
#include "attention/warp_rows.hpp"
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

// 16-bit values of a block's shared memory: two buffers of keys and values. Queries pass through the buffers of keys,
// or where their fragments would not fit the registers stay behind the buffers.
constexpr bool keeps_queries(int64_t length, int64_t width) { return length + 2 * width > 208; }
constexpr size_t shared_bytes(int64_t length, int64_t width) {
  return static_cast<size_t>(
      2 * (2 * kKeys * (length + kPad + width + kPad) + (keeps_queries(length, width) ? kRows * (length + kPad) : 0)));
}

template <int length, int width>
struct Shared {
  static constexpr int row_pitch = length + kPad, value_pitch = width + kPad;
  static constexpr bool are_queries_kept = keeps_queries(length, width);
  static constexpr int keys = kKeys * row_pitch, values = kKeys * value_pitch;  // of one buffer
};

// Scores of 32 rows with 16 keys. Queries in registers want all steps unrolled; a product has so many accumulators in
// flight then that those in shared memory are taken four at a time.
template <Form form, int length, bool are_in_registers>
struct Scores {
  static constexpr int k_steps = length / 16, n_planes = form == Form::complex ? 3 : 1;
  static constexpr int k_unroll = form == Form::product && !are_in_registers ? 4 : k_steps;
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
#pragma unroll(k_unroll)
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
FK_DEVICE void square(const Scores& s, float (&weights)[2][2][4]) {
  each(weights, [&](int m, int h, int e) {
    const float re = s.re(m, h, e), im = s.im(m, h, e);
    return Scores::n_planes == 1 ? re * re : re * re + im * im;
  });
}

template <class Scores>
FK_DEVICE void weigh(const Pass& pass, const Scores& s, float (&weights)[2][2][4]) {
  if (pass.similarity == Similarity::hadamard) {
    each(weights, [&](int m, int h, int e) { return fmaxf(s.re(m, h, e) * 0.5f + 0.5f, 0.0f); });
  } else {
    square(s, weights);
  }
  // By the logarithm: relative error power 2^-21, and one weight needs no other register.
  if (pass.power != 1)
    each(weights, [&](int m, int h, int e) { return __powf(weights[m][h][e], static_cast<float>(pass.power)); });
  if (pass.weighing == Weighing::softmax)
    each(weights, [&](int m, int h, int e) { return __expf((weights[m][h][e] - 1.0f) * pass.inverse_temperature); });
}

// Rows first .. first + 63 of 16-bit values to shared memory; zeros from row `end` on. A thread keeps to one column
// where rows have a power of two of 16-byte words, so that its addresses differ by constants.
template <int length, class T>
FK_DEVICE void copy_rows(const T* from, int first, int end, T* to) {
  constexpr int in_row = length / 8;
  if constexpr (kThreads % in_row == 0) {
    constexpr int step = kThreads / in_row;
    const int row = static_cast<int>(threadIdx.x) / in_row, col = static_cast<int>(threadIdx.x) % in_row * 8;
    from += int64_t{first + row} * length + col;
    to += row * (length + kPad) + col;
#pragma unroll
    for (int i = 0; i < kKeys; i += step)
      copy_async_16(to + i * (length + kPad), from + i * length, first + row + i < end);
  } else {
    from += int64_t{first} * length;
#pragma unroll
    for (int n = static_cast<int>(threadIdx.x); n < kKeys * in_row; n += kThreads)  // rows follow each other in memory
      copy_async_16(to + n / in_row * (length + kPad) + n % in_row * 8, from + n * 8, first + n / in_row < end);
  }
}

template <Form form, int length, int width>
FK_KERNEL void __launch_bounds__(kThreads) MatrixAttendKernel(Pass pass) {
  using Layout = Shared<length, width>;
  constexpr int k_steps = length / 16, v_tiles = width / 8;
  const Problem& p = pass.problem;
  half_t* const key_buffers = dynamic_shared<half_t>();
  bfloat16_t* const value_buffers = reinterpret_cast<bfloat16_t*>(key_buffers + 2 * Layout::keys);
  half_t* const query_buffer =
      Layout::are_queries_kept ? reinterpret_cast<half_t*>(value_buffers + 2 * Layout::values) : key_buffers;
  const int tid = static_cast<int>(threadIdx.x), lane = tid % kWarp, warp = tid / kWarp;

  const BlockRows block(p, pass.splits, kRows);
  const int64_t pair = block.pair, first_row = block.first_row;
  const int n_rows = block.n_rows, begin = block.begin, end = block.end;

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
  const half_t* const query = query_buffer + (warp * kWarpRows + lane % 16) * Layout::row_pitch + lane / 16 * 8;
  uint32_t fragments[Layout::are_queries_kept ? 1 : 2][Layout::are_queries_kept ? 1 : k_steps][4];
  if constexpr (!Layout::are_queries_kept) {
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int k = 0; k < k_steps; ++k) load_matrix_x4(fragments[m][k], query + m * 16 * Layout::row_pitch + k * 16);
    __syncthreads();
  }
  const auto queries = [&](int m, int k, uint32_t (&a)[4]) {
    if constexpr (Layout::are_queries_kept) {
      load_matrix_x4(a, query + m * 16 * Layout::row_pitch + k * 16);
    } else {
#pragma unroll
      for (int e = 0; e < 4; ++e) a[e] = fragments[m][k][e];
    }
  };
  const int key_offset = (lane % 8 + lane / 16 * 8) * Layout::row_pitch + lane / 8 % 2 * 8;
  const int value_offset = lane % 16 * Layout::value_pitch + lane / 16 * 8;

  WarpRows<2> rows(p, block);
  const uint8_t* const is_bad = is_pair_bad ? pass.is_bad + pair * p.n_keys : nullptr;
  const bool is_call_plain =
      pass.similarity == Similarity::fidelity && pass.power == 1 && pass.weighing == Weighing::exact_sum;

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
    if (j0 < rows.most_limit) {
      const half_t* const key = key_buffers + buffer * Layout::keys + key_offset;
      const bfloat16_t* const value = value_buffers + buffer * Layout::values + value_offset;
      const bool is_whole = p.mask == nullptr && !is_pair_bad && j0 + kKeys <= rows.least_limit;
      // 16 keys. A plain strip has no branch, so that the compiler can let one strip's scores run beside another's P V.
      const auto strip = [&](int n, auto is_plain) {
        Scores<form, length, !Layout::are_queries_kept> scores;
        scores.compute(queries, key + n * 16 * Layout::row_pitch);
        float weights[2][2][4];
        if constexpr (decltype(is_plain)::value) {
          square(scores, weights);
        } else {
          weigh(pass, scores, weights);
          if (!is_whole) rows.hide(p, block, is_bad, j0 + n * 16, weights);
        }
        uint32_t left[2][4];
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int h = 0; h < 2; ++h)
#pragma unroll
            for (int u = 0; u < 2; ++u) {
              const uint32_t pair_of_weights = pack_bfloat16(weights[m][h][2 * u], weights[m][h][2 * u + 1]);
              left[m][2 * h + u] = pair_of_weights;
              // Of the rounded weights, so that those used add up to 1.
              denominator[m][u] +=
                  __uint_as_float(pair_of_weights << 16) + __uint_as_float(pair_of_weights & 0xffff0000u);
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
      if (is_whole && is_call_plain) {
#pragma unroll(width > 64 ? 1 : 2)
        for (int n = 0; n < kKeys / 16; ++n) strip(n, std::true_type{});
      } else {
#pragma unroll 1
        for (int n = 0; n < kKeys / 16; ++n) strip(n, std::false_type{});
      }
    }
    __syncthreads();  // the buffer is free for the tile after next
  }

  rows.finish(p, block, pass.splits, pass.partials, pass.finish, pass.weighing, denominator,
              [&](int m, int u, const auto& take) {
#pragma unroll
                for (int d = 0; d < v_tiles; ++d)
#pragma unroll
                  for (int c = 0; c < 2; ++c) take(d * 8 + lane % 4 * 2 + c, out[m][d][2 * u + c]);
              });
}

template <Form form, int length, int width>
void launch_matrix(const Pass& pass, Stream stream) {
  const Problem& p = pass.problem;
  launch("MatrixAttendKernel", MatrixAttendKernel<form, length, width>,
         {p.n_pairs * pass.splits.count * divide_up(p.rows_per_pair(), kRows)}, kThreads, shared_bytes(length, width),
         stream, pass);
}

template <Form form, int length>
void launch_length(const PackedShape& shape, const Pass& pass, Stream stream) {
  shape.width <= 64 ? launch_matrix<form, length, 64>(pass, stream) : launch_matrix<form, length, 128>(pass, stream);
}

// Lengths for head dimensions of 64 and 128, without and with a bias, for 16 and 32 angles, and for 5 and 6 qubits.
// Other rows are padded with zeros to the next one.
constexpr int kDotLengths[] = {64, 80, 128, 144}, kOtherLengths[] = {64, 128};

}  // namespace

PackedShape packed_shape(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options) {
  const int64_t length = packed_length(spec);
  const bool is_overlap = spec.similarity == Similarity::fidelity || spec.similarity == Similarity::hadamard;
  const bool is_bounded =
      options.normalization == Normalization::sum || 1 / options.temperature <= kLargestInverseTemperature;
  if (options.arithmetic == Arithmetic::simt || options.shots > 0 || !is_overlap || !is_bounded || length == 0 ||
      problem.v_dim > 128)
    return {0, 0};
  PackedShape shape{0, problem.v_dim <= 64 ? 64 : 128};
  const auto choose = [&](const auto& lengths) {
    for (const int64_t l : lengths)
      if (shape.length == 0 && length <= l) shape.length = l;
  };
  if (packed_form(spec.encoder->pair) == Form::dot)
    choose(kDotLengths);
  else
    choose(kOtherLengths);
  if (shared_bytes(shape.length, shape.width) > shared_per_block()) shape.length = 0;
  return shape;
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
  const Form form = packed_form(spec.encoder->pair);
  if (form == Form::dot && shape.length == 64)
    launch_length<Form::dot, 64>(shape, pass, stream);
  else if (form == Form::dot && shape.length == 80)
    launch_length<Form::dot, 80>(shape, pass, stream);
  else if (form == Form::dot && shape.length == 128)
    launch_length<Form::dot, 128>(shape, pass, stream);
  else if (form == Form::dot)
    launch_length<Form::dot, 144>(shape, pass, stream);
  else if (form == Form::product && shape.length == 64)
    launch_length<Form::product, 64>(shape, pass, stream);
  else if (form == Form::product)
    launch_length<Form::product, 128>(shape, pass, stream);
  else if (shape.length == 64)
    launch_length<Form::complex, 64>(shape, pass, stream);
  else
    launch_length<Form::complex, 128>(shape, pass, stream);
  if (pass.splits.count > 1) combine(problem, finish, weighing, -1, pass.splits, pass.partials, stream);
}

}  // namespace flashket::cuda
