// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/gram.hpp"

#include "bindings/convert.hpp"

namespace flashket::cuda::bindings {
namespace {

GramOptions parse_options(bool log, int64_t shots, uint64_t seed, const std::string& arithmetic) {
  require(shots >= 0 && !(log && shots), "bad shots");
  return {log, shots, seed, parse_arithmetic(arithmetic)};
}

// out (n, columns of `right` or m), rows and columns as said.
void check_matrix(const View& out, int64_t n, int64_t m, const char* what) {
  require(out.shape.size() == 2 && out.shape[0] == n && out.shape[1] == m && out.has_contiguous_rows(), what);
}

void write_gram(const nb::tuple& spec, const In& x, const std::optional<In>& y, const Out& out, bool log, int64_t shots,
                uint64_t seed, const std::string& arithmetic, const nb::tuple& where) {
  const KernelSpec kernel = parse_spec(spec);
  const Place place = parse_place(where);
  const GramOptions options = parse_options(log, shots, seed, arithmetic);
  const View left = view(x, place), right = y ? view(*y, place) : left, result = view(out, place);
  check_rows(left, kernel);
  check_rows(right, kernel);
  check_matrix(result, left.shape[0], right.shape[0], "out must be (n, m)");
  dispatch(real_dtype(result.dtype), [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    const Staged x_rows(left, Staged::Use::read, place);
    std::optional<Staged> y_rows;
    if (y) y_rows.emplace(right, Staged::Use::read, place);
    Staged to(result, Staged::Use::write, place);
    const std::optional<Rows> others = y_rows ? std::optional<Rows>(y_rows->rows()) : std::nullopt;
    gram<T>(kernel, x_rows.rows(), others ? &*others : nullptr, static_cast<T*>(to.data()), result.stride[0], options,
            place.stream);
    to.back();
  });
}

void write_gram_matvec(const nb::tuple& spec, const In& x, const In& a, const std::optional<In>& y, const Out& out,
                       int64_t shots, uint64_t seed, const std::string& arithmetic, const nb::tuple& where) {
  const KernelSpec kernel = parse_spec(spec);
  const Place place = parse_place(where);
  const GramOptions options = parse_options(false, shots, seed, arithmetic);
  const View left = view(x, place), right = y ? view(*y, place) : left, factor = view(a, place),
             result = view(out, place);
  check_rows(left, kernel);
  check_rows(right, kernel);
  require(factor.shape.size() == 2 && factor.shape[0] == right.shape[0] && factor.is_contiguous(),
          "a must be (m, columns), contiguous");
  check_matrix(result, left.shape[0], factor.shape[1], "out must be (n, columns)");
  require(result.is_contiguous() && real_dtype(result.dtype) == real_dtype(factor.dtype),
          "out must be contiguous and of a's dtype");
  dispatch(real_dtype(result.dtype), [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    const Staged x_rows(left, Staged::Use::read, place), weights(factor, Staged::Use::read, place);
    std::optional<Staged> y_rows;
    if (y) y_rows.emplace(right, Staged::Use::read, place);
    Staged to(result, Staged::Use::write, place);
    const std::optional<Rows> others = y_rows ? std::optional<Rows>(y_rows->rows()) : std::nullopt;
    gram_matvec<T>(kernel, x_rows.rows(), others ? &*others : nullptr, static_cast<const T*>(weights.data()),
                   factor.shape[1], static_cast<T*>(to.data()), options, place.stream);
    to.back();
  });
}

void write_encoded(const nb::tuple& spec, const In& x, const Out& out, const nb::tuple& where) {
  const KernelSpec kernel = parse_spec(spec);
  const Place place = parse_place(where);
  const View rows = view(x, place), result = view(out, place);
  check_rows(rows, kernel);
  check_matrix(result, rows.shape[0], kernel.row_elements(), "out must be (n, row_elements)");
  dispatch(real_dtype(result.dtype), [&](auto zero) {
    using T = decltype(zero);
    const Running running(place);
    const Staged from(rows, Staged::Use::read, place);
    Staged to(result, Staged::Use::write, place);
    encode<T>(kernel, from.rows(), static_cast<T*>(to.data()), result.stride[0], place.stream);
    to.back();
  });
}

const char* pair_name(Pair pair) {
  switch (pair) {
    case Pair::product:
      return "product";
    case Pair::real_dot:
      return "real_dot";
    case Pair::complex_dot:
      return "complex_dot";
    case Pair::distance:
      return "distance";
    default:
      return "transfer";
  }
}

}  // namespace

void bind_gram(nb::module_& m) {
  m.def(
      "encoder_names",
      [] {
        nb::list names;
        for (const std::string& name : encoder_names()) names.append(nb::str(name.c_str()));
        return names;
      },
      "Return the names of the encoders that have device code.");
  m.def(
      "describe",
      [](const nb::tuple& spec) {
        const KernelSpec kernel = parse_spec(spec);
        return nb::make_tuple(pair_name(kernel.encoder->pair), kernel.depth(), kernel.row_elements());
      },
      nb::arg("spec"),
      "Return (pair, depth, elements of an encoded row); ValueError where the device cannot encode this.");
  m.def("gram", &write_gram, nb::arg("spec"), nb::arg("x"), nb::arg("y").none(), nb::arg("out"), nb::arg("log"),
        nb::arg("shots"), nb::arg("seed"), nb::arg("arithmetic"), nb::arg("place"),
        "Write the Gram matrix of rows x and y (None: x) into out; shots 0 means exact.");
  m.def("gram_matvec", &write_gram_matvec, nb::arg("spec"), nb::arg("x"), nb::arg("a"), nb::arg("y").none(),
        nb::arg("out"), nb::arg("shots"), nb::arg("seed"), nb::arg("arithmetic"), nb::arg("place"),
        "Write the Gram matrix of rows x and y (None: x) times a into out; shots 0 means exact.");
  m.def("encode", &write_encoded, nb::arg("spec"), nb::arg("x"), nb::arg("out"), nb::arg("place"),
        "Write the encoded rows into out.");
}

}  // namespace flashket::cuda::bindings
