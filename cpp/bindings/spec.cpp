// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "bindings/spec.hpp"

#include <pybind11/stl.h>

namespace flashket::bindings {
namespace {

using IntArray = py::array_t<int32_t, py::array::c_style>;
using RealArray = py::array_t<double, py::array::c_style>;

}  // namespace

std::vector<Gate> parse_gates(const py::tuple& t) {
  const auto opcodes = t[2].cast<IntArray>(), qubits = t[3].cast<IntArray>(), features = t[4].cast<IntArray>();
  const auto coefficients = t[5].cast<RealArray>();
  const py::ssize_t n = opcodes.size();
  require(opcodes.ndim() == 1 && qubits.ndim() == 2 && qubits.shape(0) == n && qubits.shape(1) == 2 &&
              features.ndim() == 2 && features.shape(0) == n && features.shape(1) == 2 && coefficients.ndim() == 2 &&
              coefficients.shape(0) == n && coefficients.shape(1) == 4,
          "program arrays must be (g,), (g, 2), (g, 2), (g, 4)");
  std::vector<Gate> gates;
  for (py::ssize_t i = 0; i < n; ++i) {
    const double* c = coefficients.data(i);
    gates.push_back({static_cast<Opcode>(opcodes.at(i)),
                     qubits.at(i, 0),
                     qubits.at(i, 1),
                     {c[0], c[1], c[2], c[3], features.at(i, 0), features.at(i, 1)}});
  }
  return gates;
}

KernelSpec parse_spec(const py::tuple& t) {
  require(t.size() == 5, "spec must be (encoder, params, program, similarity, power or gamma)");
  KernelSpec spec{};
  spec.encoder = &find_encoder(t[0].cast<std::string>());
  spec.params = t[1].cast<std::vector<double>>();
  if (!t[2].is_none()) {
    const auto program = t[2].cast<py::tuple>();
    spec.program =
        CompiledProgram::compile(program[0].cast<int32_t>(), program[1].cast<int32_t>(), parse_gates(program));
    spec.program_view = spec.program->view();
  }
  require(spec.program != nullptr || !spec.params.empty(), "spec needs a program or the number of features");
  const auto similarity = t[3].cast<std::string>();
  require(similarity == "fidelity" || similarity == "hadamard" || similarity == "projected" || similarity == "dot",
          "unknown similarity");
  spec.similarity = similarity == "fidelity"    ? Similarity::fidelity
                    : similarity == "hadamard"  ? Similarity::hadamard
                    : similarity == "projected" ? Similarity::projected
                                                : Similarity::dot;
  require((spec.similarity == Similarity::projected) == (spec.encoder->pair == PairKind::distance),
          "a distance needs the projected similarity and the other way round");
  if (spec.similarity == Similarity::projected) {
    spec.power = 1;
    spec.gamma = t[4].cast<double>();
    require(spec.gamma >= 0, "bad gamma");
    return spec;
  }
  spec.power = t[4].cast<int>();
  require(spec.power >= 1 && (spec.power == 1 || spec.is_normalised()), "bad power");
  return spec;
}

}  // namespace flashket::bindings
