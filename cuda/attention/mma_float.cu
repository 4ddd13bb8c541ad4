// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Attention of float32 rows on the matrix units, as accurate as in plain float. Same plan as mma.cu; what differs:
//
//   scores   x y = hi hi' + hi lo' + lo hi' of fp16 planes (gram/planes.hpp): 22 bits, three products
//   weights  w v in tf32, hi = the leading 11 bits, lo = the next 11, the same three products: tf32 has float's range,
//            so neither small weights nor values of any size need scaling. The halves are made in registers.
//
// The matrix units cut sums instead of rounding them, so their sums stay short: 32 elements of a dot, 4 features of a
// product, 16 keys of an output; small parts first. Those join their totals by rounded additions in float, and a block
// sees kMostKeys keys at most: sums over more of them are added up in double (combine.cu).
//
// tf32 operands of 8 keys have key t and t + 4 in a lane (t = l % 4), accumulators 2 t and 2 t + 1. A sum over keys
// does not mind their order: both sides call 2 t the t-th and 2 t + 1 the (t + 4)-th, and weights stay where they are.
// In the same way a lane's column g of two neighbouring operands of values is column 2 g and 2 g + 1 of 16, which makes
// one 8-byte load. Rows of values are 4 floats longer than their width: no two lanes of a half warp meet a bank.
//
// A block has 4 warps. A warp has 32 rows, with 64-value rows and 64 columns; longer ones leave registers for 16. Per
// 16 keys a warp of 32 rows issues, with 64-value rows and 64 columns
//   48 MMA for scores (2,048 multiply-adds, at least 4 cycles each), 96 for outputs (1,024 of tf32, also 4)
//   8 ldmatrix.x4, 16 loads of values: 8 KB of shared memory
//   about 300 other instructions: halves of values 96 and weights 48, totals of outputs 64 and scores 32
#include <math.h>

#include <type_traits>

#include "attention/mma_float.hpp"
#include "attention/warp_rows.hpp"
#include "core/launch.hpp"
#include "gram/value.hpp"

namespace flashket::cuda {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarp;
constexpr int64_t kMostKeys = 32768;   // summed in float; a multiple of 64
constexpr int64_t kFewestRows = 16;    // below, most of what the matrix units multiply would be padding
constexpr int64_t kMostFeatures = 16;  // of a product: each group of 4 adds up to 5e-7 of the value
constexpr double kLargestInverseTemperature = 60;
constexpr int64_t kMostPartBytes = int64_t{2} << 30;

struct Pass {
  Problem problem;
  Finish finish;
  FloatOperands operands;
  const float* values;
  const uint8_t* is_bad;
  const uint8_t* is_pair_bad;
  Weighing weighing;
  Similarity similarity;
  int power;
  float inverse_temperature;
  Splits splits;
  Partials<float> partials;
};

// Shared memory: two buffers of keys, then of values. Queries pass through those of the keys.
template <int steps, int width>
struct FloatLayout {
  static constexpr int tiles = steps <= 2 && width <= 64 ? 2 : 1;  // operands of 16 rows of a warp
  static constexpr int warp_rows = 16 * tiles, rows = kWarps * warp_rows, keys = rows / 2;
  static constexpr int row_length = steps * 2 * kPlaneStep, row_pitch = row_length + 8;  // fp16 values
  static constexpr int value_pitch = width + 4;
  static constexpr int key_buffer = keys * row_pitch, value_buffer = keys * value_pitch;
  static constexpr size_t bytes = 2 * (key_buffer * sizeof(half_t) + value_buffer * sizeof(float));
};

// Where the 16 elements of k-step k of a row's plane begin.
FK_DEVICE constexpr int plane_offset(int k, int plane) { return (k / 2 * 2 + plane) * kPlaneStep + k % 2 * 16; }

// Overlaps of a warp's rows with 16 keys, without their scale. queries[m][k][plane]: fragments; key: the lane's address
// in the keys' first 16 columns.
template <PlaneForm form, int steps, int tiles>
FK_DEVICE void overlaps(const uint32_t (&queries)[tiles][2 * steps][2][4], const half_t* key,
                        float (&total)[tiles][2][4]) {
  constexpr int together = form == PlaneForm::product ? 1 : 2;  // k-steps whose products are one sum
#pragma unroll
  for (int k = 0; k < 2 * steps; k += together) {
    uint32_t keys[together][2][4];
#pragma unroll
    for (int i = 0; i < together; ++i)
#pragma unroll
      for (int plane = 0; plane < 2; ++plane) load_matrix_x4(keys[i][plane], key + plane_offset(k + i, plane));
    float sum[tiles][2][4] = {};
    const auto multiply = [&](int plane, int key_plane) {
#pragma unroll
      for (int i = 0; i < together; ++i)
#pragma unroll
        for (int m = 0; m < tiles; ++m)
#pragma unroll
          for (int h = 0; h < 2; ++h)
            mma_half(sum[m][h], queries[m][k + i][plane], keys[i][key_plane][2 * h], keys[i][key_plane][2 * h + 1]);
    };
    multiply(1, 0);
    multiply(0, 1);
    multiply(0, 0);
#pragma unroll
    for (int m = 0; m < tiles; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          float& to = total[m][h][e];
          to = k == 0 ? sum[m][h][e] : form == PlaneForm::product ? to * sum[m][h][e] : to + sum[m][h][e];
        }
  }
}

template <PlaneForm form, int steps>
constexpr float kOverlapScale = form == PlaneForm::product ? 1.0f / (uint64_t{1} << (8 * steps)) : 0x1p-28f;

// f(m, h, e) for all of them. Questions that are the same for a whole call are asked outside.
template <int tiles, class F>
FK_DEVICE void each(float (&weights)[tiles][2][4], const F& f) {
#pragma unroll
  for (int m = 0; m < tiles; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int e = 0; e < 4; ++e) weights[m][h][e] = f(weights[m][h][e]);
}

// Overlaps -> weights.
template <int tiles>
FK_DEVICE void weigh(const Pass& pass, float (&weights)[tiles][2][4]) {
  if (pass.similarity == Similarity::hadamard)
    each(weights, [](float s) { return fmaxf(s * 0.5f + 0.5f, 0.0f); });
  else
    each(weights, [](float s) { return s * s; });
  if (pass.power != 1) each(weights, [&](float w) { return raise(w, pass.power); });
  if (pass.weighing == Weighing::softmax)
    each(weights, [&](float w) { return expf((w - 1.0f) * pass.inverse_temperature); });
}

struct Halves {
  uint32_t hi, lo;
};
FK_DEVICE Halves halves(float x) {
  const uint32_t hi = tf32_bits(x);
  return {hi, tf32_bits(x - __uint_as_float(hi))};
}

// out += weights of 16 keys times their values; value: the lane's address, row 2 t, column 2 g.
template <int width, int tiles>
FK_DEVICE void add_values(const float (&weights)[tiles][2][4], const float* value, float (&out)[tiles][width / 8][4]) {
  constexpr int pitch = width + 4;
  uint32_t hi[tiles][2][4], lo[tiles][2][4];
#pragma unroll
  for (int m = 0; m < tiles; ++m)
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int e = 0; e < 4; ++e) {  // accumulators go row g twice, row g + 8 twice, operands g, g + 8, g, g + 8
        const Halves w = halves(weights[m][h][e]);
        hi[m][h][e / 2 + e % 2 * 2] = w.hi;
        lo[m][h][e / 2 + e % 2 * 2] = w.lo;
      }
#pragma unroll
  for (int d = 0; d < width / 8; d += 2) {
    Halves v[2][2][2];  // [8 keys][key of the lane][operand]
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        const float2 two = *reinterpret_cast<const float2*>(value + (8 * h + r) * pitch + d * 8);
        v[h][r][0] = halves(two.x);
        v[h][r][1] = halves(two.y);
      }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float sum[tiles][4] = {};
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int m = 0; m < tiles; ++m) mma_tf32(sum[m], lo[m][h], v[h][0][i].hi, v[h][1][i].hi);
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int m = 0; m < tiles; ++m) mma_tf32(sum[m], hi[m][h], v[h][0][i].lo, v[h][1][i].lo);
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int m = 0; m < tiles; ++m) mma_tf32(sum[m], hi[m][h], v[h][0][i].hi, v[h][1][i].hi);
#pragma unroll
      for (int m = 0; m < tiles; ++m)
#pragma unroll
        for (int e = 0; e < 4; ++e) out[m][d + i][e] += sum[m][e];
    }
  }
}

// Rows first .. first + count - 1, `bytes` each and next to each other, to shared memory; zeros from row `end` on. A
// thread keeps to one column where rows have a power of two of 16-byte words, so that its addresses differ by
// constants.
template <int count, int bytes, int pitch>
FK_DEVICE void copy_rows(const void* from, int first, int end, void* to) {
  constexpr int in_row = bytes / 16;
  const int tid = static_cast<int>(threadIdx.x);
  const auto* source = static_cast<const unsigned char*>(from) + int64_t{first} * bytes;
  auto* target = static_cast<unsigned char*>(to);
  if constexpr (kThreads % in_row == 0) {
    constexpr int step = kThreads / in_row;
    const int row = tid / in_row;
    source += tid * 16;
    target += row * pitch + tid % in_row * 16;
#pragma unroll
    for (int i = 0; i < count; i += step) copy_async_16(target + i * pitch, source + i * bytes, first + row + i < end);
  } else {
#pragma unroll
    for (int n = tid; n < count * in_row; n += kThreads)
      copy_async_16(target + n / in_row * pitch + n % in_row * 16, source + n * 16, first + n / in_row < end);
  }
}

template <PlaneForm form, int steps, int width>
FK_KERNEL void __launch_bounds__(kThreads, 2) FloatAttendKernel(Pass pass) {
  using L = FloatLayout<steps, width>;
  const Problem& p = pass.problem;
  half_t* const key_buffers = dynamic_shared<half_t>();
  float* const value_buffers = reinterpret_cast<float*>(key_buffers + 2 * L::key_buffer);
  const int tid = static_cast<int>(threadIdx.x), lane = tid % kWarp;
  const BlockRows block(p, pass.splits, L::rows);
  const int begin = block.begin, end = block.end;
  const half_t* const keys = pass.operands.keys + block.pair * p.n_keys * L::row_length;
  const float* const values = pass.values + block.pair * p.n_keys * width;
  const auto load_tile = [&](int buffer, int j0) {
    copy_rows<L::keys, L::row_length * 2, L::row_pitch * 2>(keys, j0, end, key_buffers + buffer * L::key_buffer);
    copy_rows<L::keys, width * 4, L::value_pitch * 4>(values, j0, end, value_buffers + buffer * L::value_buffer);
    copy_async_commit();
  };

  for (int i = tid; i < L::rows * L::row_length / 8; i += kThreads) {
    const int row = i / (L::row_length / 8), col = i % (L::row_length / 8) * 8;
    const bool exists = row < block.n_rows;
    const int64_t from = query_row(p, block.pair, block.first_row + (exists ? row : 0));
    copy_async_16(key_buffers + row * L::row_pitch + col, pass.operands.queries + from * L::row_length + col, exists);
  }
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();
  uint32_t queries[L::tiles][2 * steps][2][4];
  const half_t* const query = key_buffers + (WarpRows<L::tiles>::first() + lane % 16) * L::row_pitch + lane / 16 * 8;
#pragma unroll
  for (int m = 0; m < L::tiles; ++m)
#pragma unroll
    for (int k = 0; k < 2 * steps; ++k)
#pragma unroll
      for (int plane = 0; plane < 2; ++plane)
        load_matrix_x4(queries[m][k][plane], query + m * 16 * L::row_pitch + plane_offset(k, plane));
  __syncthreads();

  const int key_offset = (lane % 8 + lane / 16 * 8) * L::row_pitch + lane / 8 % 2 * 8;
  const int value_offset = lane % 4 * 2 * L::value_pitch + lane / 4 * 2;
  WarpRows<L::tiles> rows(p, block);
  const bool is_pair_bad = pass.is_pair_bad[block.pair] != 0;
  const uint8_t* const is_bad = is_pair_bad ? pass.is_bad + block.pair * p.n_keys : nullptr;
  const bool is_call_plain =
      pass.similarity == Similarity::fidelity && pass.power == 1 && pass.weighing == Weighing::exact_sum;

  float out[L::tiles][width / 8][4] = {};
  float denominator[L::tiles][2] = {};
  if (begin < end) load_tile(0, begin);
  for (int j0 = begin, buffer = 0; j0 < end; j0 += L::keys, buffer ^= 1) {
    if (j0 + L::keys < end) {
      load_tile(buffer ^ 1, j0 + L::keys);
      copy_async_wait<1>();
    } else {
      copy_async_wait<0>();
    }
    __syncthreads();
    if (j0 < rows.most_limit) {
      const half_t* const key = key_buffers + buffer * L::key_buffer + key_offset;
      const float* const value = value_buffers + buffer * L::value_buffer + value_offset;
      const bool is_whole = p.mask == nullptr && !is_pair_bad && j0 + L::keys <= rows.least_limit;
#pragma unroll 1
      for (int n = 0; n < L::keys; n += 16) {
        float weights[L::tiles][2][4];
        overlaps<form, steps>(queries, key + n * L::row_pitch, weights);
        each(weights, [](float s) { return s * kOverlapScale<form, steps>; });
        if (is_call_plain)
          each(weights, [](float s) { return s * s; });
        else
          weigh(pass, weights);
        if (!is_whole) rows.hide(p, block, is_bad, j0 + n, weights);
#pragma unroll
        for (int m = 0; m < L::tiles; ++m)
#pragma unroll
          for (int u = 0; u < 2; ++u)
            denominator[m][u] +=
                (weights[m][0][2 * u] + weights[m][0][2 * u + 1]) + (weights[m][1][2 * u] + weights[m][1][2 * u + 1]);
        add_values<width>(weights, value + n * L::value_pitch, out);
      }
    }
    __syncthreads();  // the buffer is free for the tile after next
  }

  rows.finish(p, block, pass.splits, pass.partials, pass.finish, pass.weighing, denominator,
              [&](int m, int u, const auto& take) {
#pragma unroll
                for (int d = 0; d < width / 8; ++d)
#pragma unroll
                  for (int c = 0; c < 2; ++c) take(d / 2 * 16 + lane % 4 * 4 + 2 * c + d % 2, out[m][d][2 * u + c]);
              });
}

// The kernels there are: rows for head dimensions of 64 and 128, without and with a bias, and for 16 angles. Others are
// padded with zeros (features of a product: with an angle of 0) to the next one.
constexpr FloatShape kDotShapes[] = {{2, 64}, {3, 64}, {4, 128}, {5, 128}}, kProductShapes[] = {{2, 64}, {2, 128}};

template <PlaneForm form, int steps, int width>
void launch_float(const Pass& pass, Stream stream) {
  using L = FloatLayout<steps, width>;
  static_assert(L::bytes <= kLeastSharedPerBlock);
  const Problem& p = pass.problem;
  launch("FloatAttendKernel", FloatAttendKernel<form, steps, width>,
         {p.n_pairs * pass.splits.count * divide_up(p.rows_per_pair(), L::rows)}, kThreads, L::bytes, stream, pass);
}

}  // namespace

int64_t float_part_bytes(const Problem& problem) {
  const int64_t parts = divide_up(problem.n_keys, kMostKeys);
  return parts > 1 ? parts * problem.rows_per_pair() * (problem.v_dim + 3) * 4 : 0;
}

FloatShape float_shape(const KernelSpec& spec, const Problem& problem, const AttentionOptions& options) {
  const Pair pair = spec.encoder->pair;
  const bool is_product = pair == Pair::product;
  const bool is_overlap = spec.similarity == Similarity::fidelity || spec.similarity == Similarity::hadamard;
  const bool is_bounded =
      options.normalization == Normalization::sum || 1 / options.temperature <= kLargestInverseTemperature;
  if (options.arithmetic == Arithmetic::simt || options.shots > 0 || !is_overlap || !is_bounded ||
      problem.rows_per_pair() < kFewestRows || float_part_bytes(problem) > kMostPartBytes ||
      (is_product ? spec.depth() > kMostFeatures : pair != Pair::real_dot))
    return {0, 0};
  const int64_t steps = PlaneShape{is_product ? PlaneForm::product : PlaneForm::real, true, spec.depth()}.steps();
  const auto choose = [&](const auto& shapes) {
    for (const FloatShape& shape : shapes)
      if (steps <= shape.steps && problem.v_dim <= shape.width) return shape;
    return FloatShape{0, 0};
  };
  return is_product ? choose(kProductShapes) : choose(kDotShapes);
}

PlaneShape float_planes(const KernelSpec& spec, const FloatShape& shape) {
  const PlaneForm form = spec.encoder->pair == Pair::product ? PlaneForm::product : PlaneForm::real;
  return {form, true, spec.depth(), shape.steps};
}

void float_mma_pass(const KernelSpec& spec, const Problem& problem, const Finish& finish, const FloatShape& shape,
                    const FloatOperands& operands, Weighing weighing, double temperature, Stream stream) {
  Pass pass{};
  pass.problem = problem;
  pass.finish = finish;
  pass.operands = operands;
  pass.values = operands.values->values.data();
  pass.is_bad = operands.values->is_bad.data();
  pass.is_pair_bad = operands.values->is_pair_bad.data();
  pass.weighing = weighing;
  pass.similarity = spec.similarity;
  pass.power = spec.power;
  pass.inverse_temperature = static_cast<float>(1 / temperature);
  const int64_t rows = shape.steps <= 2 && shape.width <= 64 ? 128 : 64;
  pass.splits = split_keys(problem.n_pairs * divide_up(problem.rows_per_pair(), rows), problem.n_keys, 256);
  if (pass.splits.keys > kMostKeys) pass.splits = {divide_up(problem.n_keys, kMostKeys), kMostKeys};
  PartialSums<float> sums;
  if (pass.splits.count > 1) {
    sums = PartialSums<float>(pass.splits.count, problem, stream);
    pass.partials = sums.view();
  }
  if (spec.encoder->pair == Pair::product)
    shape.width == 64 ? launch_float<PlaneForm::product, 2, 64>(pass, stream)
                      : launch_float<PlaneForm::product, 2, 128>(pass, stream);
  else if (shape.steps == 2)
    launch_float<PlaneForm::real, 2, 64>(pass, stream);
  else if (shape.steps == 3)
    launch_float<PlaneForm::real, 3, 64>(pass, stream);
  else if (shape.steps == 4)
    launch_float<PlaneForm::real, 4, 128>(pass, stream);
  else
    launch_float<PlaneForm::real, 5, 128>(pass, stream);
  if (pass.splits.count > 1) combine(problem, finish, weighing, -1, pass.splits, pass.partials, stream);
}

}  // namespace flashket::cuda
