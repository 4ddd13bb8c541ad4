// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A Program is a feature map's gate list as plain data. compile() turns it into the steps that states/program.simd.cpp
// runs: layers of H on every qubit become one Walsh-Hadamard transform, runs of diagonal gates (also CX, diagonal, CX)
// become one phase polynomial of degree 2 in the bits of the basis index, equal runs share their table.
#pragma once
#include <memory>
#include <string>
#include <vector>

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
  // From plain arrays: opcodes (g), qubits (g, 2), features (g, 2), coefficients (g, 4) = (a0, b0, a1, b1).
  static std::shared_ptr<const CompiledProgram> from_arrays(int32_t n_qubits, int32_t n_features, int64_t n_gates,
                                                            const int32_t* opcodes, const int32_t* qubits,
                                                            const int32_t* features, const double* coefficients);
  ProgramView view() const;

 private:
  int32_t n_qubits_, n_features_, n_tables_ = 0;
  std::vector<Step> steps_;
  std::vector<PhaseTerm> terms_;
  std::vector<AngleExpression> angles_;
};

}  // namespace flashket
