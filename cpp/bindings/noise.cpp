// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "bindings/spec.hpp"
#include "core/isa.hpp"
#include "noise/noisy_program.hpp"

namespace flashket::bindings {
namespace {

using IntArray = py::array_t<int32_t, py::array::c_style>;
using RealArray = py::array_t<double, py::array::c_style>;

// Keeps the arrays that the channels lie in.
struct NoisyArrays {
  IntArray operations;
  RealArray channels, pair_channels;
  NoisyGates gates;

  // (program, operations, channels, pair_channels)
  explicit NoisyArrays(const py::tuple& t)
      : operations(t[1].cast<IntArray>()), channels(t[2].cast<RealArray>()), pair_channels(t[3].cast<RealArray>()) {
    require(operations.ndim() == 2 && operations.shape(1) == 4, "operations must be (m, 4)");
    require(channels.ndim() == 3 && channels.shape(1) == 4 && channels.shape(2) == 4, "channels must be (c, 4, 4)");
    require(pair_channels.ndim() == 2 && pair_channels.shape(1) == 16, "pair channels must be (p, 16)");
    const auto program = t[0].cast<py::tuple>();
    gates = {program[0].cast<int32_t>(), program[1].cast<int32_t>(), parse_gates(program),  {}, channels.data(),
             channels.shape(0),          pair_channels.data(),       pair_channels.shape(0)};
    for (py::ssize_t i = 0; i < operations.shape(0); ++i) {
      const int32_t* row = operations.data(i);
      gates.operations.push_back({static_cast<NoiseKind>(row[0]), row[1], row[2], row[3]});
    }
  }
};

}  // namespace

void bind_noise(py::module_& m) {
  m.def(
      "pauli_lanes", [] { return isa_ops().pauli->lanes; },
      "Return how many density matrices a thread holds side by side.");
  m.def(
      "pauli_vectors",
      [](const py::tuple& noisy, const RealArray& start, const RealArray& x, const py::array& out, bool adjoint,
         bool only_diagonal) {
        const NoisyArrays arrays(noisy);
        const NoisyGates& gates = arrays.gates;
        const auto rows = matrix<const double>(x);
        const auto result = matrix<double>(out);
        require(start.ndim() == 2 && start.shape(0) == gates.n_qubits && start.shape(1) == 4, "start must be (n, 4)");
        require(gates.n_qubits >= 1 && gates.n_qubits <= kMaxPauliQubits, "too many qubits for density matrices");
        require(rows.cols == gates.n_features && result.rows == rows.rows && result.col_stride == 1 &&
                    result.cols == int64_t{1} << (only_diagonal ? 1 : 2) * gates.n_qubits,
                "x or out has the wrong shape");
        const py::gil_scoped_release unlocked;
        pauli_vectors(gates, start.data(), rows, adjoint, only_diagonal, result);
      },
      py::arg("noisy"), py::arg("start"), py::arg("x"), py::arg("out"), py::arg("adjoint"), py::arg("only_diagonal"),
      "Write the Pauli components of each row's density matrix, or pulled back operator, into out.");
}

}  // namespace flashket::bindings
