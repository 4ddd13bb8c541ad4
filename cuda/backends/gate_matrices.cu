// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/gate_matrices.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

struct Complex {
  double re, im;
};

// One row's matrix, (dimension, dimension) row-major. P = diag(1, e^il), RZ = diag(e^-il/2, e^il/2); of controlled
// gates the block that acts where the control is 1.
FK_DEVICE void fill_matrix(Opcode opcode, double angle, Complex (&m)[16]) {
  const double r = 0.70710678118654752440;
  double s, c, sine, cosine;
  sincos(0.5 * angle, &s, &c);
  sincos(angle, &sine, &cosine);
  for (int i = 0; i < 16; ++i) m[i] = {0, 0};
  switch (opcode) {
    case Opcode::h:
      m[0] = m[1] = m[2] = {r, 0};
      m[3] = {-r, 0};
      break;
    case Opcode::x:
    case Opcode::cx:
      m[1] = m[2] = {1, 0};
      break;
    case Opcode::y:
      m[1] = {0, -1};
      m[2] = {0, 1};
      break;
    case Opcode::z:
    case Opcode::cz:
      m[0] = {1, 0};
      m[3] = {-1, 0};
      break;
    case Opcode::s:
      m[0] = {1, 0};
      m[3] = {0, 1};
      break;
    case Opcode::sdg:
      m[0] = {1, 0};
      m[3] = {0, -1};
      break;
    case Opcode::t:
      m[0] = {1, 0};
      m[3] = {r, r};
      break;
    case Opcode::tdg:
      m[0] = {1, 0};
      m[3] = {r, -r};
      break;
    case Opcode::rx:
    case Opcode::crx:
      m[0] = m[3] = {c, 0};
      m[1] = m[2] = {0, -s};
      break;
    case Opcode::ry:
    case Opcode::cry:
      m[0] = m[3] = {c, 0};
      m[1] = {-s, 0};
      m[2] = {s, 0};
      break;
    case Opcode::rz:
    case Opcode::crz:
      m[0] = {c, -s};
      m[3] = {c, s};
      break;
    case Opcode::p:
    case Opcode::cp:
      m[0] = {1, 0};
      m[3] = {cosine, sine};
      break;
    case Opcode::rzz:
      m[0] = m[15] = {c, -s};
      m[5] = m[10] = {c, s};
      break;
    case Opcode::rxx:
      m[0] = m[5] = m[10] = m[15] = {c, 0};
      m[3] = m[6] = m[9] = m[12] = {0, -s};
      break;
    case Opcode::ryy:  // Y x Y has -1 in the corners
      m[0] = m[5] = m[10] = m[15] = {c, 0};
      m[3] = m[12] = {0, s};
      m[6] = m[9] = {0, -s};
      break;
    case Opcode::swap:
      m[0] = m[6] = m[9] = m[15] = {1, 0};
      break;
  }
}

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
FK_KERNEL void gate_matrices_kernel(Gate gate, Rows rows, int64_t count, int entries, T* matrices) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= count) return;
  const AngleExpression& e = gate.angle;
  const double first = e.f0 < 0 ? e.b0 : e.a0 * feature(rows, row, e.f0) + e.b0;
  const double second = e.f1 < 0 ? e.b1 : e.a1 * feature(rows, row, e.f1) + e.b1;
  Complex m[16];
  fill_matrix(gate.opcode, first * second, m);
  for (int i = 0; i < entries; ++i) {
    matrices[2 * (row * entries + i)] = static_cast<T>(m[i].re);
    matrices[2 * (row * entries + i) + 1] = static_cast<T>(m[i].im);
  }
}

}  // namespace

GatePlace place_of(const Gate& gate) {
  const bool is_fixed = gate.angle.f0 < 0 && gate.angle.f1 < 0;
  switch (gate.opcode) {
    case Opcode::cx:
    case Opcode::cz:
    case Opcode::cp:
    case Opcode::crx:
    case Opcode::cry:
    case Opcode::crz:
      return {1, {gate.q1, -1}, gate.q0, is_fixed};
    case Opcode::rzz:
    case Opcode::rxx:
    case Opcode::ryy:
    case Opcode::swap:
      return {2, {gate.q0, gate.q1}, -1, is_fixed};
    default:
      return {1, {gate.q0, -1}, -1, is_fixed};
  }
}

template <class T>
void gate_matrices(const Gate& gate, const Rows& rows, T* matrices, Stream stream) {
  const GatePlace place = place_of(gate);
  const int64_t count = place.is_fixed ? 1 : rows.count;
  constexpr int threads = 128;
  launch("gate_matrices", gate_matrices_kernel<T>, {(count + threads - 1) / threads}, threads, 0, stream, gate, rows,
         count, place.entries(), matrices);
}

template void gate_matrices(const Gate&, const Rows&, float*, Stream);
template void gate_matrices(const Gate&, const Rows&, double*, Stream);

}  // namespace flashket::cuda
