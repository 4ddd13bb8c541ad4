// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "attention/operands.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kGroup = 4, kGroupValues = 16;  // features of a product's group and what they become

int64_t round_up(int64_t n, int64_t multiple) { return divide_up(n, multiple) * multiple; }

// A thread an element.
template <class T>
FK_KERNEL void GatherKernel(Tensor4 from, int64_t first, int64_t count, T* to) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x, length = from.shape[3];
  if (at >= count * length) return;
  const int64_t row = first + at / length, position = row % from.shape[2], head = row / from.shape[2];
  to[at] =
      static_cast<const T*>(from.data)[head / from.shape[1] * from.stride[0] + head % from.shape[1] * from.stride[1] +
                                       position * from.stride[2] + at % length];
}

FK_KERNEL void RoundKernel(const double* from, float* to, int64_t count) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at < count) to[at] = static_cast<float>(from[at]);
}

// A thread a pair of fp16 values.
FK_KERNEL void PackRowsKernel(Form form, const float* rows, int64_t count, int64_t pitch, int64_t depth, uint32_t* out,
                              int64_t length) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= count * (length / 2)) return;
  const int64_t row = at / (length / 2), first = at % (length / 2) * 2;
  const float* const from = rows + row * pitch;
  float values[2];
  if (form == Form::product) {
    // Bit f of the value's number chooses feature f's sine.
    const int64_t group = first / kGroupValues;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const int choice = static_cast<int>(first % kGroupValues) + k;
      float product = 1;
#pragma unroll
      for (int f = 0; f < kGroup; ++f) {
        const int64_t feature = group * kGroup + f;
        const int is_sine = choice >> f & 1;
        product *= feature < depth ? from[2 * feature + is_sine] : is_sine ? 0.0f : 1.0f;
      }
      values[k] = product;
    }
  } else {
    const int64_t half = length / 2, plane = form == Form::complex && first >= half ? 1 : 0;
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const int64_t d = first + k - plane * half;
      values[k] = d < depth ? from[plane * depth + d] : 0.0f;
    }
  }
  out[at] = pack_half(values[0], values[1]);
}

FK_DEVICE void store_pair(uint32_t* to, float first, float second) { *to = pack_bfloat16(first, second); }
FK_DEVICE void store_pair(float2* to, float first, float second) { *to = make_float2(first, second); }

// A thread a pair of values.
template <class Two>
FK_KERNEL void PackValuesKernel(Problem p, int64_t width, Two* out, uint8_t* is_bad, uint8_t* is_pair_bad) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t index = at / (width / 2), first = at % (width / 2) * 2;
  if (index >= p.n_pairs * p.n_keys) return;
  const int64_t pair = index / p.n_keys, key = index % p.n_keys, global = p.first_pair + pair;
  const int64_t from =
      global / p.n_key_heads * p.v.stride[0] + global % p.n_key_heads * p.v.stride[1] + key * p.v.stride[2];
  float values[2];
#pragma unroll
  for (int k = 0; k < 2; ++k) {
    values[k] = first + k < p.v_dim ? load_float(p.v.data, p.v.dtype, from + first + k) : 0.0f;
    if (!(fabsf(values[k]) < INFINITY)) {
      values[k] = 0;
      is_bad[index] = 1;
      is_pair_bad[pair] = 1;
    }
  }
  store_pair(out + at, values[0], values[1]);
}

template <class T, class Two>
ValuesOf<T> pack(const Problem& p, int64_t width, Stream stream) {
  const int64_t n = p.n_pairs * p.n_keys;
  ValuesOf<T> packed{Array<T>(n * width, stream), Array<uint8_t>(n, stream), Array<uint8_t>(p.n_pairs, stream)};
  fill_bytes(packed.is_bad.get(), 0, packed.is_bad.size(), stream);
  fill_bytes(packed.is_pair_bad.get(), 0, packed.is_pair_bad.size(), stream);
  launch("PackValuesKernel", PackValuesKernel<Two>, {divide_up(n * (width / 2), kThreads)}, kThreads, 0, stream, p,
         width, reinterpret_cast<Two*>(packed.values.data()), packed.is_bad.data(), packed.is_pair_bad.data());
  return packed;
}

}  // namespace

Rows flat_rows(const Tensor4& t, int64_t first, int64_t count, Memory& copy, Stream stream) {
  int64_t stride = t.shape[3];
  if (t.shape[2] > 1)
    stride = t.stride[2];
  else if (t.shape[1] > 1)
    stride = t.stride[1];
  else if (t.shape[0] > 1)
    stride = t.stride[0];
  const bool is_flat = (t.shape[1] == 1 || t.stride[1] == t.shape[2] * stride) &&
                       (t.shape[0] == 1 || t.stride[0] == t.shape[1] * t.shape[2] * stride);
  const size_t element = size_of(t.dtype);
  if (is_flat) return {static_cast<const char*>(t.data) + first * stride * element, t.dtype, count, t.shape[3], stride};
  const int64_t n = count * t.shape[3];
  copy = Memory(static_cast<size_t>(n) * element, stream);
  const Grid grid{divide_up(n, kThreads)};
  if (element == 8)
    launch("GatherKernel", GatherKernel<double>, grid, kThreads, 0, stream, t, first, count,
           static_cast<double*>(copy.get()));
  else if (element == 4)
    launch("GatherKernel", GatherKernel<float>, grid, kThreads, 0, stream, t, first, count,
           static_cast<float*>(copy.get()));
  else
    launch("GatherKernel", GatherKernel<uint16_t>, grid, kThreads, 0, stream, t, first, count,
           static_cast<uint16_t*>(copy.get()));
  return {copy.get(), t.dtype, count, t.shape[3], t.shape[3]};
}

Encoded encode_rows(const KernelSpec& spec, const Rows& rows, Precision precision, Stream stream) {
  Encoded encoded{};
  encoded.pitch = round_up(spec.row_elements(), 4);
  const int64_t n = rows.count * encoded.pitch;
  if (precision == Precision::f32) {
    encoded.f32 = Array<float>(n, stream);
    spec.encoder->encode_f32(rows, encoded.f32.data(), encoded.pitch, spec.args(), stream);
    return encoded;
  }
  encoded.f64 = Array<double>(n, stream);
  spec.encoder->encode_f64(rows, encoded.f64.data(), encoded.pitch, spec.args(), stream);
  if (precision == Precision::both) {
    encoded.f32 = Array<float>(n, stream);
    launch("RoundKernel", RoundKernel, {divide_up(n, kThreads)}, kThreads, 0, stream, encoded.f64.data(),
           encoded.f32.data(), n);
  }
  return encoded;
}

Form packed_form(Pair pair) {
  return pair == Pair::product ? Form::product : pair == Pair::complex_dot ? Form::complex : Form::dot;
}

int64_t packed_length(const KernelSpec& spec) {
  const int64_t depth = spec.depth();
  switch (spec.encoder->pair) {
    case Pair::real_dot:
      return round_up(depth, 16);
    case Pair::product:
      return divide_up(depth, kGroup) * kGroupValues;
    case Pair::complex_dot:
      return 2 * round_up(depth, 16);
    default:
      return 0;
  }
}

void pack_rows(const KernelSpec& spec, const float* rows, int64_t count, int64_t pitch, half_t* out, int64_t length,
               Stream stream) {
  launch("PackRowsKernel", PackRowsKernel, {divide_up(count * (length / 2), kThreads)}, kThreads, 0, stream,
         packed_form(spec.encoder->pair), rows, count, pitch, spec.depth(), reinterpret_cast<uint32_t*>(out), length);
}

PackedValues pack_values(const Problem& p, int64_t width, Stream stream) {
  return pack<bfloat16_t, uint32_t>(p, width, stream);
}

PackedFloats pack_floats(const Problem& p, int64_t width, Stream stream) {
  return pack<float, float2>(p, width, stream);
}

}  // namespace flashket::cuda
