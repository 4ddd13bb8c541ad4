// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// One block a row. Gates are applied as the matrices of backends/gate_matrix.hpp, not as the compiled operations: every
// angle must be met by itself.
#include <vector>

#include "backends/gate_matrices.hpp"
#include "backends/gate_matrix.hpp"
#include "feature_maps/rows.hpp"
#include "states/adjoint.hpp"
#include "states/numbers.hpp"

namespace flashket::cuda::statevector {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kWorkspace = int64_t{1} << 30;  // of the states of rows that run together, or of one

struct PlacedGate {
  Gate gate;
  GatePlace place;
};

struct Amplitude {
  double re, im;
};

FK_DEVICE Amplitude product(GateEntry a, Amplitude b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }

// Entry (r, c) of the matrix or of its adjoint.
FK_DEVICE GateEntry entry(const GateEntry (&m)[16], int size, int r, int c, bool is_adjoint) {
  if (!is_adjoint) return m[r * size + c];
  const GateEntry e = m[c * size + r];
  return {e.re, -e.im};
}

// The index of the k-th group of amplitudes that a gate mixes, target bits 0.
FK_DEVICE int64_t base_index(const GatePlace& place, int64_t k) {
  const int low = place.n_targets == 2 && place.targets[1] < place.targets[0] ? place.targets[1] : place.targets[0];
  const int high = place.n_targets == 2 ? place.targets[0] + place.targets[1] - low : -1;
  int64_t base = (k >> low << (low + 1)) | (k & ((int64_t{1} << low) - 1));
  if (high >= 0) base = (base >> high << (high + 1)) | (base & ((int64_t{1} << high) - 1));
  return base;
}

FK_DEVICE int64_t member_index(const GatePlace& place, int64_t base, int member) {
  base |= int64_t{member & 1} << place.targets[0];
  if (place.n_targets == 2) base |= int64_t{member >> 1} << place.targets[1];
  return base;
}

FK_DEVICE bool is_idle(const GatePlace& place, int64_t base) {
  return place.control >= 0 && (base >> place.control & 1) == 0;
}

// state <- matrix state, by the whole block.
FK_DEVICE void apply(const GatePlace& place, const GateEntry (&m)[16], int64_t dimension, Amplitude* state,
                     bool is_adjoint) {
  const int size = 1 << place.n_targets;
  for (int64_t k = threadIdx.x; k < dimension >> place.n_targets; k += kThreads) {
    const int64_t base = base_index(place, k);
    if (is_idle(place, base)) continue;
    Amplitude before[4];
    for (int c = 0; c < size; ++c) before[c] = state[member_index(place, base, c)];
    for (int r = 0; r < size; ++r) {
      Amplitude sum{0, 0};
      for (int c = 0; c < size; ++c) {
        const Amplitude part = product(entry(m, size, r, c, is_adjoint), before[c]);
        sum.re += part.re;
        sum.im += part.im;
      }
      state[member_index(place, base, r)] = sum;
    }
  }
  __syncthreads();
}

// This thread's part of Re <slope| D |state>.
FK_DEVICE double expectation(const GatePlace& place, const GateEntry (&d)[16], int64_t dimension,
                             const Amplitude* slope, const Amplitude* state) {
  const int size = 1 << place.n_targets;
  double sum = 0;
  for (int64_t k = threadIdx.x; k < dimension >> place.n_targets; k += kThreads) {
    const int64_t base = base_index(place, k);
    if (is_idle(place, base)) continue;
    for (int r = 0; r < size; ++r) {
      const Amplitude left = slope[member_index(place, base, r)];
      for (int c = 0; c < size; ++c) {
        const Amplitude part = product(d[r * size + c], state[member_index(place, base, c)]);
        sum += left.re * part.re + left.im * part.im;
      }
    }
  }
  return sum;
}

FK_KERNEL void __launch_bounds__(kThreads)
    AdjointKernel(const PlacedGate* gates, int64_t n_gates, int32_t n_qubits, Rows rows, const double* slopes,
                  int64_t pitch, Amplitude* workspace, double* d_rows) {
  __shared__ double parts[kThreads];
  const int64_t row = blockIdx.x, dimension = int64_t{1} << n_qubits;
  Amplitude *const state = workspace + 2 * row * dimension, *const slope = state + dimension;
  for (int64_t z = threadIdx.x; z < dimension; z += kThreads) {
    state[z] = {z == 0 ? 1.0 : 0.0, 0.0};
    slope[z] = {slopes[row * pitch + z], slopes[row * pitch + dimension + z]};
  }
  for (int64_t f = threadIdx.x; f < rows.length; f += kThreads) d_rows[row * rows.length + f] = 0;
  __syncthreads();
  GateEntry m[16], d[16];
  for (int64_t g = 0; g < n_gates; ++g) {
    const AngleExpression e = gates[g].gate.angle;
    const double first = e.f0 < 0 ? e.b0 : linear_factor(e.a0, load_element(rows, row, e.f0), e.b0);
    const double second = e.f1 < 0 ? e.b1 : linear_factor(e.a1, load_element(rows, row, e.f1), e.b1);
    fill_gate_matrix(gates[g].gate.opcode, first * second, m);
    apply(gates[g].place, m, dimension, state, false);
  }
  for (int64_t g = n_gates - 1; g >= 0; --g) {
    const GatePlace place = gates[g].place;
    const AngleExpression e = gates[g].gate.angle;
    const double first = e.f0 < 0 ? e.b0 : linear_factor(e.a0, load_element(rows, row, e.f0), e.b0);
    const double second = e.f1 < 0 ? e.b1 : linear_factor(e.a1, load_element(rows, row, e.f1), e.b1);
    fill_gate_matrix(gates[g].gate.opcode, first * second, m);
    apply(place, m, dimension, state, true);
    if (!place.is_fixed) {
      fill_gate_derivative(gates[g].gate.opcode, first * second, d);
      parts[threadIdx.x] = expectation(place, d, dimension, slope, state);
      __syncthreads();
      if (threadIdx.x == 0) {
        double by_angle = 0;
        for (int t = 0; t < kThreads; ++t) by_angle += parts[t];
        if (e.f0 >= 0) d_rows[row * rows.length + e.f0] += by_angle * e.a0 * second;
        if (e.f1 >= 0) d_rows[row * rows.length + e.f1] += by_angle * e.a1 * first;
      }
      __syncthreads();
    }
    apply(place, m, dimension, slope, true);
  }
}

}  // namespace

void pull_back_states(const Rows& rows, const double* slopes, int64_t pitch, double* d_rows, const EncodeArgs& args,
                      Stream stream) {
  if (args.gates == nullptr) throw std::invalid_argument("the gradient of a circuit needs its gates");
  const GateList& circuit = *args.gates;
  const int64_t dimension = int64_t{1} << circuit.n_qubits;
  std::vector<PlacedGate> placed;
  for (const Gate& gate : circuit.gates) placed.push_back({gate, place_of(gate)});
  const auto n_gates = static_cast<int64_t>(placed.size());
  Array<PlacedGate> gates(n_gates, stream);
  copy_to_device(gates.data(), placed.data(), placed.size() * sizeof(PlacedGate), stream);
  const int64_t row_bytes = 2 * dimension * static_cast<int64_t>(sizeof(Amplitude));
  int64_t together = kWorkspace / row_bytes;
  together = together < 1 ? 1 : together > rows.count ? rows.count : together;
  Array<Amplitude> workspace(2 * dimension * together, stream);
  for (int64_t first = 0; first < rows.count; first += together) {
    Rows some = rows;
    some.count = rows.count - first < together ? rows.count - first : together;
    some.data = static_cast<const char*>(rows.data) + static_cast<size_t>(first * rows.stride) * size_of(rows.dtype);
    launch("AdjointKernel", AdjointKernel, {some.count}, kThreads, 0, stream, gates.data(), n_gates, circuit.n_qubits,
           some, slopes + first * pitch, pitch, workspace.data(), d_rows + first * rows.length);
  }
}

}  // namespace flashket::cuda::statevector
