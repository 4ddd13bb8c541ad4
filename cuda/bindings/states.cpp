// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "states/states.hpp"

#include "bindings/convert.hpp"

namespace flashket::cuda::bindings {
namespace {

// Amplitudes of a state: 2^n_qubits, at least one qubit.
int64_t state_length(const KernelSpec& spec) {
  if (spec.program) return int64_t{1} << spec.program->view().n_qubits;
  int64_t length = 2;
  while (length < spec.depth()) length *= 2;
  return length;
}

}  // namespace

void bind_states(nb::module_& m) {
  m.def(
      "states",
      [](const nb::tuple& spec, const In& x, const Out& out, const nb::tuple& where) {
        const KernelSpec kernel = parse_spec(spec);
        const Place place = parse_place(where);
        const View rows = view(x, place), result = view(out, place);
        check_rows(rows, kernel);
        require(result.shape == std::vector<int64_t>({rows.shape[0], state_length(kernel)}) && result.is_contiguous() &&
                    is_complex(result.dtype),
                "out must be complex (n, 2^n_qubits), contiguous");
        dispatch(result.dtype.bits == 128 ? Dtype::f64 : Dtype::f32, [&](auto zero) {
          using T = decltype(zero);
          const Running running(place);
          const Staged from(rows, Staged::Use::read, place);
          Staged to(result, Staged::Use::write, place);
          states<T>(kernel, from.rows(), static_cast<T*>(to.data()), place.stream);
          to.back();
        });
      },
      nb::arg("spec"), nb::arg("x"), nb::arg("out"), nb::arg("place"),
      "Write the statevector of every row of x into out.");
}

}  // namespace flashket::cuda::bindings
