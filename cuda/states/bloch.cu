// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The Bloch vectors of a Program's state, 3 n numbers <X_k>, <Y_k>, <Z_k>: what projected kernels compare.
// H.-Y. Huang et al., "Power of data in quantum machine learning", Nature Communications 12, 2631 (2021),
// arXiv:2011.01938. Twin of the host's states/bloch.simd.cpp. A state that fits into shared memory is never written;
// larger ones are, a few rows at a time, and read once for every register_bits qubits.
#include <algorithm>
#include <stdexcept>

#include "states/bloch_sums.hpp"

namespace flashket::cuda {
namespace statevector {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kStateBytes = int64_t{1} << 30;  // of large states at a time
constexpr int64_t kMaxParts = 1024;                // thread blocks a state and step

// sums[(row n_steps + step) parts + part][3 R]: the part's share of the step's registers. states: interleaved.
template <class T>
FK_KERNEL void __launch_bounds__(kThreads)
    LargeBlochKernel(const Complex<T>* states, int32_t n_qubits, int32_t n_steps, int64_t parts, T* sums) {
  constexpr int R = kRegisterBits<T>, S = BlochSums<T>::size, warps = kThreads / kWarp;
  __shared__ T shared[warps * S];
  const int64_t part = blockIdx.x % parts, step = blockIdx.x / parts % n_steps, row = blockIdx.x / parts / n_steps;
  const int first = bloch_first<T>(static_cast<int>(step), n_qubits);
  const Complex<T>* state = states + (row << n_qubits);
  BlochSums<T> sum;
  sum.clear();
  const int64_t low = (int64_t{1} << first) - 1;
  for (int64_t i = part * kThreads + threadIdx.x; i >> (n_qubits - R) == 0; i += parts * kThreads) {
    const int64_t base = (i & ~low) << R | (i & low);
    Registers<T> v;
#pragma unroll
    for (int k = 0; k < kAmplitudes<T>; ++k) v[k] = state[base + (int64_t{k} << first)];
    sum.add(v);
  }
  sum.reduce(kWarp);
  const int t = static_cast<int>(threadIdx.x);
  if (t % kWarp == 0) {
#pragma unroll
    for (int i = 0; i < S; ++i) shared[t / kWarp * S + i] = sum.sums[i];
  }
  __syncthreads();
  if (t >= S) return;
  T total = 0;
  for (int w = 0; w < warps; ++w) total += shared[w * S + t];
  sums[int64_t{blockIdx.x} * S + t] = total;
}

// A thread a row, component and qubit: the parts in order, in double.
template <class T>
FK_KERNEL void SumPartsKernel(const T* sums, int32_t n_qubits, int32_t n_steps, int64_t parts, int64_t rows, T* out,
                              int64_t pitch) {
  constexpr int R = kRegisterBits<T>, S = BlochSums<T>::size;
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x, row = i / (3 * n_qubits), rest = i % (3 * n_qubits);
  if (row >= rows) return;
  const int component = static_cast<int>(rest / n_qubits), q = static_cast<int>(rest % n_qubits);
  const int step = q / R, register_bit = q - bloch_first<T>(step, n_qubits);
  double total = 0;
  for (int64_t part = 0; part < parts; ++part)
    total += sums[((row * n_steps + step) * parts + part) * S + component * R + register_bit];
  out[row * pitch + rest] = static_cast<T>(component < 2 ? 2 * total : total);
}

int64_t depth(const EncodeArgs& args) {
  if (args.program == nullptr) throw std::invalid_argument("bloch: the encoder needs a circuit");
  return int64_t{3} * args.program->view().n_qubits;
}

template <class T>
void encode_rows(const Rows& x, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  constexpr int R = kRegisterBits<T>;
  const int32_t n = static_cast<int32_t>(depth(args) / 3);
  if (fits_block<T>(n)) return run_program(*args.program, x, out, pitch, Layout::bloch, stream);
  const int64_t size = int64_t{1} << n, n_steps = (n + R - 1) / R;
  const int64_t parts = std::min(kMaxParts, std::max<int64_t>(1, (size >> R) / (4 * kThreads)));
  const int64_t row_bytes = size * 2 * static_cast<int64_t>(sizeof(T));
  const int64_t chunk = std::max<int64_t>(1, std::min(x.count, kStateBytes / row_bytes));
  if (x.count == 0) return;
  const Array<T> state(chunk * size * 2, stream), sums(chunk * n_steps * parts * BlochSums<T>::size, stream);
  for (int64_t first = 0; first < x.count; first += chunk) {
    const int64_t count = std::min(chunk, x.count - first);
    const Rows some{static_cast<const char*>(x.data) + first * x.stride * static_cast<int64_t>(size_of(x.dtype)),
                    x.dtype, count, x.length, x.stride};
    run_program(*args.program, some, state.data(), 2 * size, Layout::interleaved, stream);
    launch("LargeBlochKernel", LargeBlochKernel<T>, Grid{count * n_steps * parts}, kThreads, 0, stream,
           reinterpret_cast<const Complex<T>*>(state.data()), n, static_cast<int32_t>(n_steps), parts, sums.data());
    launch("SumPartsKernel", SumPartsKernel<T>, Grid{(count * 3 * n + kThreads - 1) / kThreads}, kThreads, 0, stream,
           sums.data(), n, static_cast<int32_t>(n_steps), parts, count, out + first * pitch, pitch);
  }
}

}  // namespace
}  // namespace statevector

extern const Encoder bloch_encoder;
const Encoder bloch_encoder = {"bloch", Pair::distance, statevector::depth, statevector::encode_rows<float>,
                               statevector::encode_rows<double>};

}  // namespace flashket::cuda
