// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Operands of the backward pass on the matrix units. Memory traffic: every row is read once and written once.
#include <math.h>

#include "attention/backward_mma.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256, kRowsPerBlock = kThreads / kWarp;

// A thread a pair of values. Flags of bad rows must be 0 before.
template <bool is_query>
FK_KERNEL void __launch_bounds__(kThreads)
    PackBackwardRows(Problem p, const float* rows, int64_t pitch, int64_t depth, uint32_t* out, int64_t length,
                     uint8_t* is_bad, uint8_t* is_pair_bad) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t index = at / (length / 2), first = at % (length / 2) * 2;
  const int64_t per_pair = is_query ? p.rows_per_pair() : p.n_keys;
  if (index >= p.n_pairs * per_pair) return;
  const int64_t pair = index / per_pair;
  const float* const from = rows + (is_query ? query_row(p, pair, index % per_pair) : index) * pitch;
  float values[2];
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    values[k] = first + k < depth ? from[first + k] : 0.0f;
    if (!(fabsf(values[k]) < INFINITY)) {
      values[k] = 0;
      is_bad[index] = 1;
      if (!is_query) is_pair_bad[pair] = 1;
    }
  }
  out[at] = pack_bfloat16(values[0], values[1]);
}

// A warp a row: d_out, and d_out . out, which a thread of it adds up in double.
FK_KERNEL void __launch_bounds__(kThreads) PackSlopes(Problem p, Tensor4 d_out, uint32_t* out, int64_t width,
                                                      RowFactor* factors, int64_t factor_pitch, uint8_t* is_bad) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t index = int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.x / kWarp;
  if (index >= p.n_pairs * p.rows_per_pair()) return;
  const int64_t pair = index / p.rows_per_pair(), row = index % p.rows_per_pair();
  const RowPlace place = place_of(p, pair, row);
  const int64_t from = place.batch * d_out.stride[0] + place.head * d_out.stride[1] + place.query * d_out.stride[2];
  const int64_t result = out_offset(p, place);
  double delta = 0;
  bool is_finite = true;
  for (int64_t first = 2 * lane; first < width; first += 2 * kWarp) {
    float values[2];
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const bool exists = first + k < p.v_dim;
      values[k] = exists ? load_float(d_out.data, d_out.dtype, from + first + k) : 0.0f;
      if (exists) delta += static_cast<double>(values[k]) * load_element(p.out.data, p.out.dtype, result + first + k);
      if (!(fabsf(values[k]) < INFINITY)) {
        values[k] = 0;
        is_finite = false;
      }
    }
    out[index * (width / 2) + first / 2] = pack_bfloat16(values[0], values[1]);
  }
#pragma unroll
  for (int bit = kWarp / 2; bit > 0; bit /= 2) delta += __shfl_xor_sync(0xffffffffu, delta, bit);
  is_finite = !__any_sync(0xffffffffu, !is_finite) && fabs(delta) < 3e38;
  if (lane != 0) return;
  factors[pair * factor_pitch + row] = {0.0f, is_finite ? static_cast<float>(delta) : 0.0f};
  if (!is_finite) is_bad[index] = 1;
}

}  // namespace

BackwardOperands backward_operands(const KernelSpec& spec, const Problem& p, const BackwardShape& shape,
                                   const float* queries, const float* keys, int64_t pitch, const Tensor4& d_out,
                                   Stream stream) {
  const int64_t n_rows = p.n_rows(), n_keys = p.n_pairs * p.n_keys;
  const int64_t factor_pitch = divide_up(p.rows_per_pair(), kFactorTile) * kFactorTile;
  BackwardOperands o{shape,
                     factor_pitch,
                     Array<bfloat16_t>(n_rows * shape.length, stream),
                     Array<bfloat16_t>(n_rows * shape.width, stream),
                     Array<bfloat16_t>(n_keys * shape.length, stream),
                     pack_values(p, shape.width, stream),
                     Array<uint8_t>(n_rows, stream),
                     Array<RowFactor>(p.n_pairs * factor_pitch, stream)};
  fill_bytes(o.is_row_bad.get(), 0, o.is_row_bad.size(), stream);
  fill_bytes(o.factors.get(), 0, o.factors.size(), stream);
  launch("PackBackwardRows", PackBackwardRows<true>, {divide_up(n_rows * (shape.length / 2), kThreads)}, kThreads, 0,
         stream, p, queries, pitch, spec.depth(), reinterpret_cast<uint32_t*>(o.queries.data()), shape.length,
         o.is_row_bad.data(), nullptr);
  launch("PackBackwardRows", PackBackwardRows<false>, {divide_up(n_keys * (shape.length / 2), kThreads)}, kThreads, 0,
         stream, p, keys, pitch, spec.depth(), reinterpret_cast<uint32_t*>(o.keys.data()), shape.length,
         o.values.is_bad.data(), o.values.is_pair_bad.data());
  launch("PackSlopes", PackSlopes, {divide_up(n_rows, kRowsPerBlock)}, kThreads, 0, stream, p, d_out,
         reinterpret_cast<uint32_t*>(o.d_out.data()), shape.width, o.factors.data(), factor_pitch, o.is_row_bad.data());
  return o;
}

}  // namespace flashket::cuda
