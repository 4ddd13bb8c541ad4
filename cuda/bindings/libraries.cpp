// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// cuStateVec and cuTensorNet. `folders` is where to look for the library before the system does; the first call opens
// it.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/vector.h>

#include "backends/custatevec.hpp"
#include "backends/cutensornet.hpp"
#include "bindings/convert.hpp"

namespace flashket::cuda::bindings {
namespace {

using Folders = std::vector<std::string>;
using Strings = std::vector<std::vector<std::pair<int, int32_t>>>;  // (1 X | 2 Y | 3 Z, qubit) of every string
template <class T>
using HostArray = nb::ndarray<T, nb::device::cpu, nb::c_contig>;

// Refuses what the compiler of circuits refuses: qubits, features and opcodes out of range.
GateList checked_circuit(const nb::tuple& program) {
  GateList circuit = parse_circuit(program);
  const CompiledProgram check(circuit.n_qubits, circuit.n_features, circuit.gates);
  return circuit;
}

std::vector<PauliString> parse_strings(const Strings& strings, int32_t n_qubits) {
  std::vector<PauliString> parsed;
  for (const auto& string : strings) {
    PauliString p;
    require(!string.empty(), "a Pauli string must have a factor");
    for (const auto& [pauli, qubit] : string) {
      require(pauli >= 1 && pauli <= 3 && qubit >= 0 && qubit < n_qubits,
              "a Pauli is 1 X, 2 Y or 3 Z on a qubit of the state");
      for (const int32_t other : p.qubits) require(other != qubit, "a Pauli string must name a qubit once");
      p.paulis.push_back(pauli);
      p.qubits.push_back(qubit);
    }
    parsed.push_back(std::move(p));
  }
  return parsed;
}

void check_features(const View& x, const GateList& circuit) {
  require(x.shape.size() == 2 && x.shape[1] == circuit.n_features && x.has_contiguous_rows(),
          "x must be (n, " + std::to_string(circuit.n_features) + ") with contiguous rows");
}

// Number of qubits of states (n, 2^n_qubits) complex.
int32_t check_states(const View& states) {
  require(states.shape.size() == 2 && states.is_contiguous() && is_complex(states.dtype),
          "states must be complex (n, 2^n_qubits)");
  int32_t n = 0;
  while ((int64_t{1} << n) < states.shape[1]) ++n;
  require((int64_t{1} << n) == states.shape[1] && n >= 1, "states must be complex (n, 2^n_qubits)");
  return n;
}

template <class F>
auto dispatch_complex(const View& view, F f) {
  require(view.dtype.bits == 64 || view.dtype.bits == 128, "states must be complex64 or complex128");
  return dispatch(view.dtype.bits == 128 ? Dtype::f64 : Dtype::f32, f);
}

void custatevec_states(const Folders& folders, const nb::tuple& program, const In& x, const Out& out,
                       const nb::tuple& where) {
  const GateList circuit = checked_circuit(program);
  const Place place = parse_place(where);
  const View rows = view(x, place), result = view(out, place);
  check_features(rows, circuit);
  require(check_states(result) == circuit.n_qubits && result.shape[0] == rows.shape[0],
          "out must be complex (n, 2^n_qubits)");
  dispatch_complex(result, [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    Custatevec& library = Custatevec::open(folders);
    const Staged from(rows, Staged::Use::read, place);
    Staged to(result, Staged::Use::write, place);
    library.states(circuit, from.rows(), static_cast<T*>(to.data()), place.stream);
    to.back();
  });
}

void custatevec_expectations(const Folders& folders, const In& states, const Strings& strings,
                             const HostArray<double>& out, const nb::tuple& where) {
  const Place place = parse_place(where);
  const View given = view(states, place);
  const int32_t n_qubits = check_states(given);
  const std::vector<PauliString> parsed = parse_strings(strings, n_qubits);
  require(out.size() == static_cast<size_t>(given.shape[0]) * parsed.size(), "out must be float64 (n, strings)");
  dispatch_complex(given, [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    Custatevec& library = Custatevec::open(folders);
    const Staged from(given, Staged::Use::read, place);
    const std::vector<double> values =
        library.expectations(static_cast<const T*>(from.data()), given.shape[0], n_qubits, parsed, place.stream);
    std::copy(values.begin(), values.end(), out.data());
  });
}

void custatevec_sample(const Folders& folders, const In& states, const HostArray<const double>& uniforms,
                       const HostArray<int64_t>& out, const nb::tuple& where) {
  const Place place = parse_place(where);
  const View given = view(states, place);
  const int32_t n_qubits = check_states(given);
  require(uniforms.ndim() == 2 && out.ndim() == 2 && uniforms.shape(0) == static_cast<size_t>(given.shape[0]) &&
              out.shape(0) == uniforms.shape(0) && out.shape(1) == uniforms.shape(1),
          "uniforms and out must be (n, shots)");
  const auto shots = static_cast<int64_t>(uniforms.shape(1));
  require(shots < (int64_t{1} << 31), "at most 2^31 - 1 shots");
  dispatch_complex(given, [&](auto zero) {
    using T = decltype(zero);
    const std::vector<double> numbers(uniforms.data(), uniforms.data() + uniforms.size());
    const Running running(place);
    Custatevec& library = Custatevec::open(folders);
    const Staged from(given, Staged::Use::read, place);
    const std::vector<int64_t> indices =
        library.sample(static_cast<const T*>(from.data()), given.shape[0], n_qubits, shots, numbers, place.stream);
    std::copy(indices.begin(), indices.end(), out.data());
  });
}

void cutensornet_mps(const Folders& folders, const nb::tuple& program, const In& x, int64_t max_bond, const Out& out,
                     const nb::tuple& where) {
  const GateList circuit = checked_circuit(program);
  const Place place = parse_place(where);
  const View rows = view(x, place), result = view(out, place);
  check_features(rows, circuit);
  require(max_bond >= 1, "max_bond must be at least 1");
  require(result.shape.size() == 2 && result.shape[0] == rows.shape[0] && result.is_contiguous() &&
              is_complex(result.dtype) && result.shape[1] == Cutensornet::row_elements(circuit.n_qubits, max_bond),
          "out must be complex (n, cutensornet_row_elements)");
  dispatch_complex(result, [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    Cutensornet& library = Cutensornet::open(folders);
    const Staged from(rows, Staged::Use::read, place);
    Staged to(result, Staged::Use::write, place);
    library.mps(circuit, from.rows(), max_bond, static_cast<T*>(to.data()), place.stream);
    to.back();
  });
}

void cutensornet_expectations(const Folders& folders, const nb::tuple& program, const In& x, const Strings& strings,
                              const std::string& dtype, const HostArray<double>& out,
                              const std::optional<HostArray<double>>& gradients, const nb::tuple& where) {
  const GateList circuit = checked_circuit(program);
  const Place place = parse_place(where);
  const View rows = view(x, place);
  check_features(rows, circuit);
  require(dtype == "complex64" || dtype == "complex128", "dtype must be complex64 or complex128");
  const std::vector<PauliString> parsed = parse_strings(strings, circuit.n_qubits);
  const size_t count = static_cast<size_t>(rows.shape[0]) * parsed.size();
  require(out.size() == count, "out must be float64 (n, strings)");
  require(!gradients || gradients->size() == count * static_cast<size_t>(circuit.n_features),
          "gradients must be float64 (n, strings, n_features)");
  dispatch(dtype == "complex128" ? Dtype::f64 : Dtype::f32, [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    Cutensornet& library = Cutensornet::open(folders);
    const Staged from(rows, Staged::Use::read, place);
    std::vector<double> slopes;
    const std::vector<double> values =
        library.expectations<T>(circuit, from.rows(), parsed, gradients ? &slopes : nullptr, place.stream);
    std::copy(values.begin(), values.end(), out.data());
    if (gradients) std::copy(slopes.begin(), slopes.end(), gradients->data());
  });
}

}  // namespace

void bind_libraries(nb::module_& m) {
  m.def(
      "custatevec_open",
      [](const Folders& folders) {
        const Custatevec& library = Custatevec::open(folders);
        return nb::make_tuple(library.path(), library.version());
      },
      nb::arg("folders"), "Open cuStateVec and return (path, version).");
  m.def("custatevec_states", custatevec_states, nb::arg("folders"), nb::arg("program"), nb::arg("x"), nb::arg("out"),
        nb::arg("place"), "Write the statevector of every row of x into out.");
  m.def("custatevec_expectations", custatevec_expectations, nb::arg("folders"), nb::arg("states"), nb::arg("strings"),
        nb::arg("out"), nb::arg("place"), "Write every state's expectation of every Pauli string, to the host.");
  m.def("custatevec_sample", custatevec_sample, nb::arg("folders"), nb::arg("states"), nb::arg("uniforms"),
        nb::arg("out"), nb::arg("place"), "Write basis indices measured of every state, to the host.");
  m.def(
      "cutensornet_open",
      [](const Folders& folders) {
        const Cutensornet& library = Cutensornet::open(folders);
        return nb::make_tuple(library.path(), library.version());
      },
      nb::arg("folders"), "Open cuTensorNet and return (path, version).");
  m.def("cutensornet_bonds", &Cutensornet::bonds, nb::arg("n_qubits"), nb::arg("max_bond"),
        "Return the bonds of the states.");
  m.def("cutensornet_row_elements", &Cutensornet::row_elements, nb::arg("n_qubits"), nb::arg("max_bond"),
        "Return how many complex numbers one state has.");
  m.def("cutensornet_mps", cutensornet_mps, nb::arg("folders"), nb::arg("program"), nb::arg("x"), nb::arg("max_bond"),
        nb::arg("out"), nb::arg("place"), "Write the matrix product state of every row of x into out.");
  m.def("cutensornet_expectations", cutensornet_expectations, nb::arg("folders"), nb::arg("program"), nb::arg("x"),
        nb::arg("strings"), nb::arg("dtype"), nb::arg("out"), nb::arg("gradients").none(), nb::arg("place"),
        "Write every row's expectation of every Pauli string, and its gradient, to the host.");
}

}  // namespace flashket::cuda::bindings
