// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/gate_matrices.hpp"
#include "backends/gate_matrix.hpp"
#include "core/launch.hpp"
#include "states/numbers.hpp"

namespace flashket::cuda {
namespace {

FK_DEVICE double feature(const Rows& rows, int64_t row, int32_t f) {
  const int64_t at = row * rows.stride + f;
  switch (rows.dtype) {
    case Dtype::f16:
      return to_float(static_cast<const half_t*>(rows.data)[at]);
    case Dtype::bf16:
      return to_float(static_cast<const bfloat16_t*>(rows.data)[at]);
    case Dtype::f32:
      return static_cast<const float*>(rows.data)[at];
    default:
      return static_cast<const double*>(rows.data)[at];
  }
}

template <class T>
FK_KERNEL void gate_matrices_kernel(Gate gate, Rows rows, int64_t count, int entries, bool is_expanded, T* matrices) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= count) return;
  const AngleExpression& e = gate.angle;
  const double first = e.f0 < 0 ? e.b0 : statevector::linear_factor(e.a0, feature(rows, row, e.f0), e.b0);
  const double second = e.f1 < 0 ? e.b1 : statevector::linear_factor(e.a1, feature(rows, row, e.f1), e.b1);
  GateEntry m[16];
  fill_gate_matrix(gate.opcode, first * second, m);
  if (is_expanded) expand_control(m, GateEntry{1, 0});
  for (int i = 0; i < entries; ++i) {
    matrices[2 * (row * entries + i)] = static_cast<T>(m[i].re);
    matrices[2 * (row * entries + i) + 1] = static_cast<T>(m[i].im);
  }
}

}  // namespace

GatePlace place_of(const Gate& gate, bool expands_control) {
  const bool is_fixed = gate.angle.f0 < 0 && gate.angle.f1 < 0;
  if (is_controlled(gate.opcode)) {
    if (expands_control) return {2, {gate.q1, gate.q0}, -1, is_fixed};
    return {1, {gate.q1, -1}, gate.q0, is_fixed};
  }
  if (gate.q1 >= 0) return {2, {gate.q0, gate.q1}, -1, is_fixed};
  return {1, {gate.q0, -1}, -1, is_fixed};
}

template <class T>
void gate_matrices(const Gate& gate, const GatePlace& place, const Rows& rows, T* matrices, Stream stream) {
  const int64_t count = place.is_fixed ? 1 : rows.count;
  const bool is_expanded = is_controlled(gate.opcode) && place.control < 0;
  constexpr int threads = 128;
  launch("gate_matrices", gate_matrices_kernel<T>, {(count + threads - 1) / threads}, threads, 0, stream, gate, rows,
         count, place.entries(), is_expanded, matrices);
}

template void gate_matrices(const Gate&, const GatePlace&, const Rows&, float*, Stream);
template void gate_matrices(const Gate&, const GatePlace&, const Rows&, double*, Stream);

}  // namespace flashket::cuda
