// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// One gate's matrix by its definition, for host and device.
#pragma once
#include <math.h>

#include "core/host_device.hpp"
#include "core/program.hpp"

namespace flashket::cuda {

struct GateEntry {
  double re, im;
};

// One row's matrix, (dimension, dimension) row-major. P = diag(1, e^il), RZ = diag(e^-il/2, e^il/2); of controlled
// gates the block that acts where the control is 1.
FLASHKET_HD inline void fill_gate_matrix(Opcode opcode, double angle, GateEntry (&m)[16]) {
  const double r = 0.70710678118654752440;
  const double s = sin(0.5 * angle), c = cos(0.5 * angle), sine = sin(angle), cosine = cos(angle);
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

FLASHKET_HD inline bool is_controlled(Opcode opcode) {
  return opcode == Opcode::cx || opcode == Opcode::cz || opcode == Opcode::cp || opcode == Opcode::crx ||
         opcode == Opcode::cry || opcode == Opcode::crz;
}

// The block of a controlled gate becomes the matrix of both qubits, the control the higher bit; `rest` is what acts
// where the control is 0.
FLASHKET_HD inline void expand_control(GateEntry (&m)[16], GateEntry rest) {
  m[10] = m[0];
  m[11] = m[1];
  m[14] = m[2];
  m[15] = m[3];
  for (int i = 0; i < 10; ++i) m[i] = {0, 0};
  m[0] = m[5] = rest;
}

// d matrix / d angle: a rotation's is half of itself half a turn on, a phase's a quarter of a turn on. Of controlled
// gates the block; nothing of gates without angle.
FLASHKET_HD inline void fill_gate_derivative(Opcode opcode, double angle, GateEntry (&m)[16]) {
  const double pi = 3.14159265358979323846;
  const bool is_phase = opcode == Opcode::p || opcode == Opcode::cp;
  fill_gate_matrix(opcode, angle + (is_phase ? 0.5 * pi : pi), m);
  if (is_phase) {
    m[0] = {0, 0};
    return;
  }
  for (GateEntry& entry : m) entry = {0.5 * entry.re, 0.5 * entry.im};
}

}  // namespace flashket::cuda
