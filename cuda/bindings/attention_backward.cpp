// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "bindings/attention.hpp"

namespace flashket::cuda::bindings {
namespace {

// A gradient is like what it is the gradient of.
View gradient(const Out& array, const View& like, const Place& place) {
  View v = view(array, place);
  require(v.shape == like.shape && v.dtype == like.dtype && v.has_contiguous_rows(),
          "gradients must have the shape and dtype of q, k, v and out");
  return v;
}

}  // namespace

void bind_attention_backward(nb::module_& m) {
  m.def(
      "attention_backward",
      [](const nb::tuple& spec, const In& q, const In& k, const In& v, const Out& out, const std::optional<In>& mask,
         const std::optional<In>& kv_lens, const nb::tuple& options, const Out& d_out, const Out& d_q, const Out& d_k,
         const Out& d_v, const nb::tuple& where) {
        const KernelSpec kernel = parse_spec(spec);
        const Place place = parse_place(where);
        const AttentionOptions parsed = parse_attention_options(options);
        require(parsed.shots == 0, "sampled attention has no gradient");
        const AttentionViews views(kernel, q, k, v, out, mask, kv_lens, place);
        const View from = gradient(d_out, views.out, place), to_q = gradient(d_q, views.q, place),
                   to_k = gradient(d_k, views.k, place), to_v = gradient(d_v, views.v, place);
        const Running running(place);
        const StagedAttention staged(views, Staged::Use::read, place);
        const Staged d_result(from, Staged::Use::read, place);
        Staged d_queries(to_q, Staged::Use::write, place), d_keys(to_k, Staged::Use::write, place),
            d_values(to_v, Staged::Use::write, place);
        attention_backward(kernel, staged.arrays, parsed,
                           {tensor4(d_result), tensor4(d_queries), tensor4(d_keys), tensor4(d_values)}, place.stream);
        for (Staged* each : {&d_queries, &d_keys, &d_values}) each->back();
      },
      nb::arg("spec"), nb::arg("q"), nb::arg("k"), nb::arg("v"), nb::arg("out"), nb::arg("mask").none(),
      nb::arg("kv_lens").none(), nb::arg("options"), nb::arg("d_out"), nb::arg("d_q"), nb::arg("d_k"), nb::arg("d_v"),
      nb::arg("place"), "Write the gradients of attention with respect to q, k and v; out is attention's result.");
}

}  // namespace flashket::cuda::bindings
