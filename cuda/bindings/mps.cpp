// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/mps.hpp"

#include <nanobind/stl/complex.h>

#include <complex>

#include "bindings/convert.hpp"

namespace flashket::cuda::bindings {
namespace {

template <class T, class... Shape>
using HostArray = nb::ndarray<const T, nb::device::cpu, nb::c_contig, Shape...>;

// (bonds (rows, n_sites + 1), offsets (rows + 1), tensors), in host memory, as flashket._core makes them.
struct HostStates {
  HostArray<int32_t, nb::ndim<2>> bonds;
  HostArray<int64_t, nb::ndim<1>> offsets;
  HostArray<std::complex<double>, nb::ndim<1>> tensors;

  explicit HostStates(const nb::tuple& t)
      : bonds(nb::cast<HostArray<int32_t, nb::ndim<2>>>(t[0])),
        offsets(nb::cast<HostArray<int64_t, nb::ndim<1>>>(t[1])),
        tensors(nb::cast<HostArray<std::complex<double>, nb::ndim<1>>>(t[2])) {
    const size_t rows = bonds.shape(0), sites = bonds.shape(1);
    require(sites >= 2 && offsets.shape(0) == rows + 1, "bad states");
    for (size_t i = 0; i < rows; ++i) {
      const int32_t* bond = bonds.data() + i * sites;
      int64_t size = 0;
      for (size_t j = 0; j + 1 < sites; ++j) {
        require(bond[j] >= 1 && bond[j + 1] >= 1, "bad bonds");
        size += int64_t{2} * bond[j] * bond[j + 1];
      }
      require(offsets.data()[i] >= 0 && offsets.data()[i] + size <= static_cast<int64_t>(tensors.shape(0)),
              "bad tensors");
    }
  }
  MpsView view() const {
    return {static_cast<int64_t>(bonds.shape(0)), static_cast<int64_t>(bonds.shape(1)) - 1, bonds.data(),
            offsets.data(), reinterpret_cast<const double*>(tensors.data())};
  }
};

}  // namespace

void bind_mps(nb::module_& m) {
  m.attr("max_mps_bond") = kMaxMpsBond;
  m.def(
      "mps_gram",
      [](const nb::tuple& x, const std::optional<nb::tuple>& y, const Out& out, const std::string& similarity,
         int power, bool log, int64_t shots, uint64_t seed, const nb::tuple& where) {
        const Place place = parse_place(where);
        const HostStates left(x);
        const std::optional<HostStates> other = y ? std::optional<HostStates>(HostStates(*y)) : std::nullopt;
        const MpsView a = left.view(), b = other ? other->view() : a;
        require(similarity == "fidelity" || similarity == "hadamard", "unknown similarity");
        require(a.n_sites == b.n_sites && power >= 1 && shots >= 0 && !(log && shots), "bad arguments");
        const View result = view(out, place);
        require(result.shape == std::vector<int64_t>({a.rows, b.rows}) && result.has_contiguous_rows(),
                "out must be (n, m)");
        const MpsGramOptions options{
            similarity == "fidelity" ? Similarity::fidelity : Similarity::hadamard, power, log, {shots}, seed};
        dispatch(real_dtype(result.dtype), [&](auto zero) {
          using T = decltype(zero);
          const Running running(place);
          Staged to(result, Staged::Use::write, place);
          mps_gram<T>(a, other ? &b : nullptr, static_cast<T*>(to.data()), a.rows > 1 ? result.stride[0] : b.rows,
                      options, place.stream);
          to.back();
        });
      },
      nb::arg("x"), nb::arg("y").none(), nb::arg("out"), nb::arg("similarity"), nb::arg("power"), nb::arg("log"),
      nb::arg("shots"), nb::arg("seed"), nb::arg("place"),
      "Write the Gram matrix of states (bonds, offsets, tensors) in host memory, x and y (None: x), into out.");
}

}  // namespace flashket::cuda::bindings
