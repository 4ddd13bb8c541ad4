// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A Program is a feature map's gate list as plain data. CompiledProgram turns it into two kinds of operation:
// * runs of one-qubit gates on a qubit become one unitary, also across the phases that commute with them. CX is CZ
//   between two Hadamards of its target, which join the unitaries there; controlled rotations, RXX and RYY likewise.
// * diagonal gates become phases of pairs of qubits, or, where a run of them has many (also as CX, phase, CX), one
//   polynomial of degree 2 in the signs of the basis index. Equal polynomials share their table.
// SWAP relabels. The first unitary of every qubit acts on |0>, so the circuit starts with a product state. Equal angles
// are computed once, and unitaries that no feature turns here, once for all rows.
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/plan.hpp"
#include "core/program_view.hpp"
#include "core/types.hpp"

namespace flashket {

// Opcodes in the order of opcode_names(); Python's program.py uses the same names.
enum class Opcode : int32_t {
  h,
  x,
  y,
  z,
  s,
  sdg,
  t,
  tdg,
  rx,
  ry,
  rz,
  p,
  cx,
  cz,
  cp,
  rzz,
  rxx,
  ryy,
  swap,
  crx,
  cry,
  crz,
};

const std::vector<std::string>& opcode_names();

struct Gate {
  Opcode opcode;
  int32_t q0, q1;  // q1 = -1: one qubit; of controlled gates q0 controls
  AngleExpression angle;
};

class CompiledProgram {
 public:
  // Throws std::invalid_argument naming the gate for bad qubits, features or opcodes.
  CompiledProgram(int32_t n_qubits, int32_t n_features, const std::vector<Gate>& gates);
  CompiledProgram(const CompiledProgram&) = delete;  // views point into it
  ~CompiledProgram();
  // The same; each thread keeps the small programs that it compiled last, for calls of a few rows.
  static std::shared_ptr<const CompiledProgram> compile(int32_t n_qubits, int32_t n_features, std::vector<Gate> gates);
  // From plain arrays: opcodes (g), qubits (g, 2), features (g, 2), coefficients (g, 4) = (a0, b0, a1, b1).
  static std::shared_ptr<const CompiledProgram> from_arrays(int32_t n_qubits, int32_t n_features, int64_t n_gates,
                                                            const int32_t* opcodes, const int32_t* qubits,
                                                            const int32_t* features, const double* coefficients);
  ProgramView view() const;

 private:
  class Builder;
  const PlanView* plan(PlanShape shape) const;

  int32_t n_qubits_, n_features_, n_tables_ = 0, n_scales_ = 0;
  std::vector<AngleExpression> angles_;
  std::vector<AngleUse> uses_;
  std::vector<Factor> factors_;
  std::vector<Unitary> initial_, unitaries_, final_;
  std::vector<Complex> fixed_initial_, fixed_rests_, fixed_pivots_;
  std::vector<Core> fixed_cores_;
  bool is_uniform_ = true;
  Complex uniform_{1, 0};
  std::vector<PairPhase> pair_phases_;
  std::vector<PhasePolynomial> polynomials_;
  std::vector<PhaseTerm> terms_;
  std::vector<FixedPhase> fixed_phases_;
  std::vector<Operation> operations_;
  mutable std::mutex plans_mutex_;
  mutable std::array<std::atomic<const Plan*>, 4> plans_{};  // for each type of element, host and device
};

}  // namespace flashket
