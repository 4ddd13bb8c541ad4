// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "bindings/attention.hpp"

#include <algorithm>

namespace flashket::cuda::bindings {

AttentionOptions parse_attention_options(const nb::tuple& t) {
  require(t.size() == 6, "options must be (normalization, temperature, causal, shots, seed, arithmetic)");
  AttentionOptions options;
  const auto normalization = nb::cast<std::string>(t[0]);
  require(normalization == "sum" || normalization == "softmax", "unknown normalization");
  options.normalization = normalization == "sum" ? Normalization::sum : Normalization::softmax;
  options.temperature = nb::cast<double>(t[1]);
  options.causal = nb::cast<bool>(t[2]);
  options.shots = nb::cast<int64_t>(t[3]);
  options.seed = nb::cast<uint64_t>(t[4]);
  options.arithmetic = parse_arithmetic(nb::cast<std::string>(t[5]));
  require(options.shots >= 0 && options.temperature > 0, "bad shots or temperature");
  return options;
}

AttentionViews::AttentionViews(const KernelSpec& spec, const In& queries, const In& keys, const In& values,
                               const Out& result, const std::optional<In>& visible, const std::optional<In>& lengths,
                               const Place& place)
    : q(view(queries, place)), k(view(keys, place)), v(view(values, place)), out(view(result, place)) {
  for (const View* each : {&q, &k, &v, &out})
    require(each->shape.size() == 4 && each->has_contiguous_rows() && real_dtype(each->dtype) == real_dtype(q.dtype),
            "q, k, v and out must be 4-D of one dtype with a contiguous last axis");
  const int64_t batch = q.shape[0], heads = q.shape[1], n_queries = q.shape[2], n_keys = k.shape[2];
  require(q.shape[3] == n_features(spec), "q must have n_features columns");
  require(k.shape[0] == batch && k.shape[3] == q.shape[3] && k.shape[1] > 0 && heads % k.shape[1] == 0,
          "k must be (B, Hkv, Lk, D) with Hq % Hkv == 0");
  require(v.shape[0] == batch && v.shape[1] == k.shape[1] && v.shape[2] == n_keys, "v must be (B, Hkv, Lk, Dv)");
  require(out.shape == std::vector<int64_t>({batch, heads, n_queries, v.shape[3]}), "out must be (B, Hq, Lq, Dv)");
  if (visible) {
    mask.emplace(view(*visible, place));
    check_mask({batch, heads, n_queries, n_keys});
  }
  if (lengths) {
    kv_lens.emplace(view(*lengths, place));
    require(kv_lens->shape == std::vector<int64_t>({batch}) && kv_lens->is_contiguous() &&
                kv_lens->dtype == nb::dtype<int64_t>(),
            "kv_lens must be int64 (B,), contiguous");
  }
}

void AttentionViews::check_mask(const std::vector<int64_t>& shape) {
  const size_t ndim = mask->shape.size();
  require(mask->dtype.bits == 8 && ndim <= 4, "mask must be boolean of at most 4 axes");
  for (size_t i = 0; i < ndim; ++i) {
    const size_t axis = 4 - ndim + i;
    require(mask->shape[i] == shape[axis] || mask->shape[i] == 1, "mask must broadcast to (B, Hq, Lq, Lk)");
    mask_stride[axis] = mask->shape[i] == 1 ? 0 : mask->stride[i];
  }
}

StagedAttention::StagedAttention(const AttentionViews& views, Staged::Use out_use, const Place& place)
    : q(views.q, Staged::Use::read, place),
      k(views.k, Staged::Use::read, place),
      v(views.v, Staged::Use::read, place),
      out(views.out, out_use, place) {
  arrays = {tensor4(q), tensor4(k), tensor4(v), tensor4(out)};
  if (views.mask) {
    mask.emplace(*views.mask, Staged::Use::read, place);
    arrays.mask = static_cast<const uint8_t*>(mask->data());
    std::copy_n(views.mask_stride, 4, arrays.mask_stride);
  }
  if (views.kv_lens) {
    kv_lens.emplace(*views.kv_lens, Staged::Use::read, place);
    arrays.kv_lens = static_cast<const int64_t*>(kv_lens->data());
  }
}

Tensor4 tensor4(const Staged& array) {
  const View& v = array.view();
  Tensor4 t{array.data(), real_dtype(v.dtype), {}, {}};
  std::copy_n(v.shape.begin(), 4, t.shape);
  std::copy_n(v.stride.begin(), 4, t.stride);
  return t;
}

void bind_attention(nb::module_& m) {
  m.def(
      "attention",
      [](const nb::tuple& spec, const In& q, const In& k, const In& v, const Out& out, const std::optional<In>& mask,
         const std::optional<In>& kv_lens, const nb::tuple& options, bool counts, const nb::tuple& where) -> int64_t {
        const KernelSpec kernel = parse_spec(spec);
        const Place place = parse_place(where);
        const AttentionOptions parsed = parse_attention_options(options);
        const AttentionViews views(kernel, q, k, v, out, mask, kv_lens, place);
        const Running running(place);
        StagedAttention staged(views, Staged::Use::write, place);
        int64_t zero_rows = 0;
        Array<int64_t> counter;
        if (counts) {
          counter = Array<int64_t>(1, place.stream);
          fill_bytes(counter.data(), 0, sizeof(int64_t), place.stream);
        }
        attention(kernel, staged.arrays, parsed, counter.data(), nullptr, place.stream);
        staged.out.back();
        if (counts) copy_to_host(&zero_rows, counter.data(), sizeof(int64_t), place.stream);
        return zero_rows;
      },
      nb::arg("spec"), nb::arg("q"), nb::arg("k"), nb::arg("v"), nb::arg("out"), nb::arg("mask").none(),
      nb::arg("kv_lens").none(), nb::arg("options"), nb::arg("counts"), nb::arg("place"),
      "Write kernel attention into out. counts: wait for it and return the rows whose admissible values were all 0.");
}

}  // namespace flashket::cuda::bindings
