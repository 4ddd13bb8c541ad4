// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Rows of a circuit as states that cuStateVec computed, gate by gate: the encoder behind backend="custatevec". The
// library must have been opened. Twice the memory of the result for a chunk of rows, and a pass more than a gate's
// each.
#include "backends/custatevec.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

constexpr int64_t kChunkBytes = int64_t{1} << 28;  // of amplitudes before they are laid out, or one state
constexpr int64_t kMostRows = 65535;               // of a grid's second axis

const GateList& circuit_of(const EncodeArgs& args) {
  if (args.gates == nullptr) throw std::invalid_argument("custatevec: the encoder needs a circuit");
  return *args.gates;
}

int64_t depth(const EncodeArgs& args) { return int64_t{1} << circuit_of(args).n_qubits; }

// Real parts first, then imaginary ones.
template <class T>
FK_KERNEL void planes_kernel(const T* states, int64_t dimension, T* out, int64_t pitch) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, row = blockIdx.y;
  if (i >= dimension) return;
  out[row * pitch + i] = states[2 * (row * dimension + i)];
  out[row * pitch + dimension + i] = states[2 * (row * dimension + i) + 1];
}

template <class T>
void encode(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  const GateList& circuit = circuit_of(args);
  const int64_t dimension = depth(args), row_bytes = 2 * dimension * static_cast<int64_t>(sizeof(T));
  int64_t chunk = kChunkBytes / row_bytes;
  chunk = chunk < 1 ? 1 : chunk > kMostRows ? kMostRows : chunk;
  if (chunk > rows.count) chunk = rows.count;
  Custatevec& library = Custatevec::open({});
  Array<T> states(2 * dimension * chunk, stream);
  for (int64_t first = 0; first < rows.count; first += chunk) {
    Rows part = rows;
    part.count = rows.count - first < chunk ? rows.count - first : chunk;
    part.data = static_cast<const char*>(rows.data) + static_cast<size_t>(first * rows.stride) * size_of(rows.dtype);
    library.states(circuit, part, states.data(), stream);
    constexpr int threads = 256;
    launch("custatevec_planes", planes_kernel<T>, {(dimension + threads - 1) / threads, part.count}, threads, 0, stream,
           states.data(), dimension, out + first * pitch, pitch);
  }
}

}  // namespace

extern const Encoder custatevec_encoder;
const Encoder custatevec_encoder = {"custatevec", Pair::complex_dot, depth, encode<float>, encode<double>};

}  // namespace flashket::cuda
