// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "states/mps.hpp"

#include <pybind11/stl.h>

#include <complex>
#include <optional>

#include "bindings/spec.hpp"
#include "gram/mps_gram.hpp"

namespace flashket::bindings {
namespace {

using Complex = std::complex<double>;
using IntArray = py::array_t<int32_t, py::array::c_style>;
using LongArray = py::array_t<int64_t, py::array::c_style>;
using RealArray = py::array_t<double, py::array::c_style>;
using ComplexArray = py::array_t<Complex, py::array::c_style>;

// (order, bonds, offsets, tensors, truncation errors)
py::tuple as_arrays(const MpsStates& states, int64_t n_qubits) {
  const int64_t n_rows = static_cast<int64_t>(states.rows.size());
  LongArray offsets(n_rows + 1);
  IntArray bonds({n_rows, n_qubits + 1});
  RealArray errors(n_rows);
  offsets.mutable_at(0) = 0;
  for (int64_t i = 0; i < n_rows; ++i) {
    const MpsRow& row = states.rows[i];
    offsets.mutable_at(i + 1) = offsets.at(i) + static_cast<int64_t>(row.tensors.size());
    std::copy(row.bonds.begin(), row.bonds.end(), bonds.mutable_data(i));
    errors.mutable_at(i) = row.truncation_error;
  }
  ComplexArray tensors(offsets.at(n_rows));
  for (int64_t i = 0; i < n_rows; ++i)
    std::copy(states.rows[i].tensors.begin(), states.rows[i].tensors.end(), tensors.mutable_data() + offsets.at(i));
  return py::make_tuple(IntArray(static_cast<py::ssize_t>(states.order.size()), states.order.data()), bonds, offsets,
                        tensors, errors);
}

struct MpsArrays {
  IntArray bonds;
  LongArray offsets;
  ComplexArray tensors;

  explicit MpsArrays(const py::tuple& t)
      : bonds(t[0].cast<IntArray>()), offsets(t[1].cast<LongArray>()), tensors(t[2].cast<ComplexArray>()) {
    require(bonds.ndim() == 2 && bonds.shape(1) >= 2 && offsets.size() == bonds.shape(0) + 1, "bad states");
    for (py::ssize_t i = 0; i < bonds.shape(0); ++i) {
      const int32_t* row = bonds.data(i);
      int64_t size = 0;
      for (py::ssize_t j = 0; j + 1 < bonds.shape(1); ++j) {
        require(row[j] >= 1 && row[j + 1] >= 1, "bad bonds");
        size += int64_t{2} * row[j] * row[j + 1];
      }
      require(offsets.at(i) >= 0 && offsets.at(i) + size <= tensors.size(), "bad tensors");
    }
  }
  MpsView view() const {
    return {bonds.shape(0), bonds.shape(1) - 1, bonds.data(), offsets.data(),
            reinterpret_cast<const double*>(tensors.data())};
  }
};

}  // namespace

void bind_mps(py::module_& m) {
  m.def(
      "mps_states",
      [](const py::tuple& program, const RealArray& x, int32_t max_bond, double cutoff) {
        const auto n_qubits = program[0].cast<int32_t>(), n_features = program[1].cast<int32_t>();
        const std::vector<Gate> gates = parse_gates(program);
        const auto rows = matrix<const double>(x);
        require(rows.cols == n_features, "wrong number of features");
        MpsStates states;
        {
          const py::gil_scoped_release unlocked;
          states = mps_states(n_qubits, gates, rows, {max_bond, cutoff});
        }
        return as_arrays(states, n_qubits);
      },
      py::arg("program"), py::arg("x"), py::arg("max_bond"), py::arg("cutoff"),
      "Return (order of qubits, bonds, offsets, tensors, truncation errors) of the rows' matrix product states.");
  m.def(
      "mps_gram",
      [](const py::tuple& x, const std::optional<py::tuple>& y, const py::array& out, const std::string& similarity,
         int power, bool log, int64_t shots, uint64_t seed, double scale, double offset) {
        const MpsArrays left(x);
        const std::optional<MpsArrays> other = y ? std::optional<MpsArrays>(MpsArrays(*y)) : std::nullopt;
        const MpsView a = left.view(), b = other ? other->view() : a;
        const Readings readings = checked_readings(shots, scale, offset);
        require(similarity == "fidelity" || similarity == "hadamard", "unknown similarity");
        require(a.n_sites == b.n_sites && power >= 1 && (!log || readings.is_exact()), "bad arguments");
        const MpsGramOptions options{similarity == "fidelity" ? Similarity::fidelity : Similarity::hadamard, power, log,
                                     readings, seed};
        dispatch(out, [&](auto zero) {
          const auto result = matrix<decltype(zero)>(out);
          require(result.rows == a.rows && result.cols == b.rows, "out has the wrong shape");
          const py::gil_scoped_release unlocked;
          mps_gram(a, other ? &b : nullptr, result, options);
        });
      },
      py::arg("x"), py::arg("y").none(true), py::arg("out"), py::arg("similarity"), py::arg("power"), py::arg("log"),
      py::arg("shots"), py::arg("seed"), py::arg("scale") = 1.0, py::arg("offset") = 0.0,
      "Write the Gram matrix of states (bonds, offsets, tensors) x and y (None: x) into out; of noise and shots as "
      "gram.");
}

}  // namespace flashket::bindings
