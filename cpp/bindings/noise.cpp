// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <complex>

#include "bindings/spec.hpp"
#include "core/isa.hpp"
#include "noise/pauli_program.hpp"
#include "noise/trajectories.hpp"

namespace flashket::bindings {
namespace {

using IntArray = py::array_t<int32_t, py::array::c_style>;
using RealArray = py::array_t<double, py::array::c_style>;
using ComplexArray = py::array_t<std::complex<double>, py::array::c_style>;

// (program, operations)
NoisyGates parse_noisy(const py::tuple& program, const IntArray& operations) {
  require(operations.ndim() == 2 && operations.shape(1) == 4, "operations must be (m, 4)");
  NoisyGates noisy{program[0].cast<int32_t>(), program[1].cast<int32_t>(), parse_gates(program), {}};
  for (py::ssize_t i = 0; i < operations.shape(0); ++i) {
    const int32_t* row = operations.data(i);
    noisy.operations.push_back({static_cast<NoiseKind>(row[0]), row[1], row[2], row[3]});
  }
  return noisy;
}

}  // namespace

void bind_noise(py::module_& m) {
  m.def(
      "pauli_lanes", [] { return isa_ops().pauli->lanes; },
      "Return how many density matrices a thread holds side by side.");
  m.def(
      "pauli_vectors",
      [](const py::tuple& program, const IntArray& operations, const RealArray& channels,
         const RealArray& pair_channels, const RealArray& start, const RealArray& x, const py::array& out, bool adjoint,
         bool only_diagonal) {
        const NoisyGates noisy = parse_noisy(program, operations);
        require(noisy.n_qubits >= 1 && noisy.n_qubits <= kMaxPauliQubits, "too many qubits for density matrices");
        require(channels.ndim() == 3 && channels.shape(1) == 4 && channels.shape(2) == 4, "channels must be (c, 4, 4)");
        require(pair_channels.ndim() == 2 && pair_channels.shape(1) == 16, "pair channels must be (p, 16)");
        require(start.ndim() == 2 && start.shape(0) == noisy.n_qubits && start.shape(1) == 4, "start must be (n, 4)");
        const auto rows = matrix<const double>(x);
        const auto result = matrix<double>(out);
        require(rows.cols == noisy.n_features && result.rows == rows.rows && result.col_stride == 1 &&
                    result.cols == int64_t{1} << (only_diagonal ? 1 : 2) * noisy.n_qubits,
                "x or out has the wrong shape");
        const PauliChannels all{channels.data(), channels.shape(0), pair_channels.data(), pair_channels.shape(0)};
        const py::gil_scoped_release unlocked;
        pauli_vectors(noisy, all, start.data(), rows, adjoint, only_diagonal, result);
      },
      py::arg("program"), py::arg("operations"), py::arg("channels"), py::arg("pair_channels"), py::arg("start"),
      py::arg("x"), py::arg("out"), py::arg("adjoint"), py::arg("only_diagonal"),
      "Write the Pauli components of each row's density matrix, or pulled back operator, into out.");
  m.def(
      "trajectories",
      [](const py::tuple& program, const IntArray& operations, const ComplexArray& kraus, const RealArray& cumulative,
         const RealArray& pair_cumulative, const ComplexArray& vectors, const RealArray& first_probability,
         const RealArray& first_error, const RealArray& x, const py::array& out, int64_t per_row, int64_t first_row,
         int64_t first_trajectory, uint64_t seed, bool adjoint) {
        const NoisyGates noisy = parse_noisy(program, operations);
        require(noisy.n_qubits >= 1 && noisy.n_qubits <= kMaxTrajectoryQubits, "too many qubits for states");
        require(kraus.ndim() == 4 && kraus.size() == kraus.shape(0) * kMaxKraus * 4 && kraus.shape(1) == kMaxKraus,
                "kraus must be (c, 4, 2, 2)");
        require(cumulative.ndim() == 2 && cumulative.size() == kraus.shape(0) * kMaxKraus, "cumulative must be (c, 4)");
        require(pair_cumulative.ndim() == 2 && pair_cumulative.shape(1) == 16, "pair probabilities must be (p, 16)");
        require(vectors.size() == 4 * noisy.n_qubits && first_probability.size() == noisy.n_qubits,
                "vectors must be (n, 2, 2) and their probabilities (n,)");
        require(first_error.size() == 0 || first_error.size() == operations.shape(0) + noisy.n_qubits,
                "places of the first error must be all operations and wires");
        require(per_row >= 1 && first_row >= 0 && first_trajectory >= 0, "bad number of trajectories");
        const auto rows = matrix<const double>(x);
        const KrausChannels channels{kraus.data(), cumulative.data(), kraus.shape(0), pair_cumulative.data(),
                                     pair_cumulative.shape(0)};
        const TrajectoryStart start{vectors.data(), first_probability.data()};
        dispatch(out, [&](auto zero) {
          const auto result = matrix<decltype(zero)>(out);
          require(rows.cols == noisy.n_features && result.rows == rows.rows * per_row && result.col_stride == 1 &&
                      result.cols == int64_t{2} << noisy.n_qubits,
                  "x or out has the wrong shape");
          const py::gil_scoped_release unlocked;
          trajectories(noisy, channels, start, rows,
                       {adjoint, per_row, first_row, first_trajectory, seed, {first_error.data(), first_error.size()}},
                       result);
        });
      },
      py::arg("program"), py::arg("operations"), py::arg("kraus"), py::arg("cumulative"), py::arg("pair_cumulative"),
      py::arg("vectors"), py::arg("first_probability"), py::arg("first_error"), py::arg("x"), py::arg("out"),
      py::arg("per_row"), py::arg("first_row"), py::arg("first_trajectory"), py::arg("seed"), py::arg("adjoint"),
      "Write the unnormalised states of each row's trajectories, real parts and then imaginary parts, into out.");
}

}  // namespace flashket::bindings
