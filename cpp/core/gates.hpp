// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What the compiler of circuits knows of single gates.
#pragma once
#include <complex>
#include <cstring>

#include "core/program.hpp"

namespace flashket {

constexpr uint64_t kSixteenthTurn = uint64_t{1} << 60;

inline bool takes_two_qubits(Opcode op) { return op >= Opcode::cx; }

inline bool is_diagonal(Opcode op) {
  switch (op) {
    case Opcode::z:
    case Opcode::s:
    case Opcode::sdg:
    case Opcode::t:
    case Opcode::tdg:
    case Opcode::rz:
    case Opcode::p:
    case Opcode::cz:
    case Opcode::cp:
    case Opcode::rzz:
    case Opcode::crz:
      return true;
    default:
      return false;
  }
}

// Half the phase of z, s, sdg, t, tdg.
inline uint64_t fixed_half_phase(Opcode op) {
  switch (op) {
    case Opcode::z:
      return 4 * kSixteenthTurn;
    case Opcode::s:
      return 2 * kSixteenthTurn;
    case Opcode::sdg:
      return 6 * kSixteenthTurn;
    case Opcode::t:
      return kSixteenthTurn;
    default:
      return 7 * kSixteenthTurn;
  }
}

inline Factor fixed_factor(Opcode op) {
  const double r = 0.70710678118654752440;
  Factor f{FactorKind::fixed, -1, {{1, 0, 0, 0}, {0, 0, 1, 0}}};
  const auto set = [&f](double a, double b, double c, double d, double bi, double ci) {
    const double m[2][4] = {{a, 0, b, bi}, {c, ci, d, 0}};
    std::memcpy(f.m, m, sizeof m);
  };
  switch (op) {
    case Opcode::h:
      set(r, r, r, -r, 0, 0);
      break;
    case Opcode::x:
      set(0, 1, 1, 0, 0, 0);
      break;
    case Opcode::y:
      set(0, 0, 0, 0, -1, 1);
      break;
    case Opcode::z:
      f.m[1][2] = -1;
      break;
    case Opcode::s:
    case Opcode::sdg:
      f.m[1][2] = 0;
      f.m[1][3] = op == Opcode::s ? 1 : -1;
      break;
    default:
      f.m[1][2] = r;
      f.m[1][3] = op == Opcode::t ? r : -r;
  }
  return f;
}

inline Factor product(const Factor& second, const Factor& first) {
  Factor out{FactorKind::fixed, -1, {}};
  const auto at = [](const Factor& f, int i, int j) { return std::complex<double>(f.m[i][2 * j], f.m[i][2 * j + 1]); };
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {
      const auto sum = at(second, i, 0) * at(first, 0, j) + at(second, i, 1) * at(first, 1, j);
      out.m[i][2 * j] = sum.real();
      out.m[i][2 * j + 1] = sum.imag();
    }
  }
  return out;
}

inline bool is_diagonal(const Factor& f) {
  if (f.kind == FactorKind::fixed) return f.m[0][2] == 0 && f.m[0][3] == 0 && f.m[1][0] == 0 && f.m[1][1] == 0;
  return f.kind == FactorKind::rz || f.kind == FactorKind::phase;
}

}  // namespace flashket
