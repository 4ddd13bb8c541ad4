// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Rows that are states already: 2^n complex amplitudes, re and im in turn, from another simulator. params: the number
// of reals in a row. Cost: one pass.
#include "core/encoder.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

int64_t depth(const EncodeArgs& args) { return static_cast<int64_t>(args.params[0]) / 2; }

template <class S, class T>
FK_KERNEL void complex_rows_kernel(const S* rows, int64_t stride, int64_t amplitudes, T* out, int64_t pitch) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= amplitudes) return;
  const int64_t row = blockIdx.y;
  out[row * pitch + i] = static_cast<T>(rows[row * stride + 2 * i]);
  out[row * pitch + amplitudes + i] = static_cast<T>(rows[row * stride + 2 * i + 1]);
}

template <class S, class T>
void run(const Rows& rows, T* out, int64_t pitch, int64_t amplitudes, Stream stream) {
  constexpr int threads = 256;
  constexpr int64_t most_rows = 65535;  // of a grid's second axis
  for (int64_t first = 0; first < rows.count; first += most_rows) {
    const int64_t count = rows.count - first < most_rows ? rows.count - first : most_rows;
    launch("complex_rows", complex_rows_kernel<S, T>, {(amplitudes + threads - 1) / threads, count}, threads, 0, stream,
           static_cast<const S*>(rows.data) + first * rows.stride, rows.stride, amplitudes, out + first * pitch, pitch);
  }
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  if (rows.dtype == Dtype::f64)
    run<double>(rows, out, pitch, depth(args), stream);
  else if (rows.dtype == Dtype::f32)
    run<float>(rows, out, pitch, depth(args), stream);
  else
    throw std::invalid_argument("states must be complex64 or complex128");
}

}  // namespace

extern const Encoder complex_rows_encoder;
const Encoder complex_rows_encoder = {"complex_rows", Pair::complex_dot, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
