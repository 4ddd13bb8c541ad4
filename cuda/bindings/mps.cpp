// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/mps.hpp"

#include <complex>

#include "bindings/convert.hpp"

namespace flashket::cuda::bindings {
namespace {

template <class T, class... Shape>
using HostArray = nb::ndarray<const T, nb::device::cpu, nb::c_contig, Shape...>;

// (bonds (n, n_sites + 1), offsets (n + 1,), tensors complex128) in host memory; the sizes must fit each other, or the
// sweep would read what is not there.
struct MpsArrays {
  explicit MpsArrays(const nb::tuple& t)
      : bonds(nb::cast<HostArray<int32_t, nb::ndim<2>>>(t[0])),
        offsets(nb::cast<HostArray<int64_t, nb::ndim<1>>>(t[1])),
        tensors(nb::cast<HostArray<std::complex<double>, nb::ndim<1>>>(t[2])) {
    const auto rows = static_cast<int64_t>(bonds.shape(0)), n_sites = static_cast<int64_t>(bonds.shape(1)) - 1;
    require(n_sites >= 1 && offsets.shape(0) == bonds.shape(0) + 1, "bonds must be (n, sites + 1), offsets (n + 1,)");
    for (int64_t i = 0; i < rows; ++i) {
      const int32_t* row = bonds.data() + i * (n_sites + 1);
      int64_t size = 0;
      for (int64_t j = 0; j < n_sites; ++j) {
        require(row[j] >= 1 && row[j + 1] >= 1, "bonds must be positive");
        size += int64_t{2} * row[j] * row[j + 1];
      }
      require(row[0] == 1 && row[n_sites] == 1, "the bonds at both ends must be 1");
      require(offsets.data()[i] >= 0 && offsets.data()[i] + size <= static_cast<int64_t>(tensors.shape(0)),
              "tensors must hold every row from its offset on");
    }
  }

  MpsView view() const {
    return {static_cast<int64_t>(bonds.shape(0)), static_cast<int64_t>(bonds.shape(1)) - 1, bonds.data(),
            offsets.data(), reinterpret_cast<const double*>(tensors.data())};
  }

  HostArray<int32_t, nb::ndim<2>> bonds;
  HostArray<int64_t, nb::ndim<1>> offsets;
  HostArray<std::complex<double>, nb::ndim<1>> tensors;
};

void gram_of_states(const nb::tuple& x, const std::optional<nb::tuple>& y, const Out& out,
                    const std::string& similarity, int power, bool log, int64_t shots, uint64_t seed,
                    const nb::tuple& where) {
  const Place place = parse_place(where);
  const MpsArrays left(x);
  const std::optional<MpsArrays> other = y ? std::optional<MpsArrays>(MpsArrays(*y)) : std::nullopt;
  const MpsView a = left.view(), b = other ? other->view() : a;
  require(similarity == "fidelity" || similarity == "hadamard", "similarity must be fidelity or hadamard");
  require(a.n_sites == b.n_sites && power >= 1 && shots >= 0 && !(log && shots), "bad arguments");
  const View result = view(out, place);
  require(result.shape.size() == 2 && result.shape[0] == a.rows && result.shape[1] == b.rows &&
              result.has_contiguous_rows(),
          "out must be (n, m) with contiguous rows");
  const MpsGramOptions options{similarity == "fidelity" ? Similarity::fidelity : Similarity::hadamard, power, log,
                               shots, seed};
  dispatch(real_dtype(result.dtype), [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    Staged to(result, Staged::Use::write, place);
    mps_gram(a, other ? &b : nullptr, static_cast<T*>(to.data()), to.view().stride[0], options, place.stream);
    to.back();
  });
}

}  // namespace

void bind_mps(nb::module_& m) {
  m.def("mps_gram", gram_of_states, nb::arg("x"), nb::arg("y").none(), nb::arg("out"), nb::arg("similarity"),
        nb::arg("power"), nb::arg("log"), nb::arg("shots"), nb::arg("seed"), nb::arg("place"),
        "Write the Gram matrix of matrix product states (bonds, offsets, tensors) x and y (None: x), in host memory, "
        "into out.");
  m.attr("largest_mps_bond") = static_cast<int>(kMaxMpsBond);
}

}  // namespace flashket::cuda::bindings
