// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The linear form: what it is for a kernel, and AttentionState's sums. A state is three arrays in device memory, all of
// double and contiguous: sums (B, Hkv, features, Dv + 1), the first keys (B, Hkv, kept, D) and values (B, Hkv, kept,
// Dv).
#include "attention/linear.hpp"

#include <algorithm>

#include "bindings/attention.hpp"

namespace flashket::cuda::bindings {
namespace {

struct StateViews {
  StateViews(const KernelSpec& spec, const LinearFeatures& features, const Out& sum_array, const Out& key_array,
             const Out& value_array, const Place& place)
      : sums(view(sum_array, place)), keys(view(key_array, place)), values(view(value_array, place)) {
    for (const View* each : {&sums, &keys, &values})
      require(each->shape.size() == 4 && each->is_contiguous() && real_dtype(each->dtype) == Dtype::f64 &&
                  !each->is_host && each->shape[0] == sums.shape[0] && each->shape[1] == sums.shape[1],
              "a state's arrays must be float64 (B, Hkv, ..), contiguous in device memory");
    require(
        sums.shape[2] == features.count() && keys.shape[3] == n_features(spec) &&
            values.shape[3] == sums.shape[3] - 1 && values.shape[2] == keys.shape[2] && sums.shape[1] > 0,
        "sums must be (B, Hkv, features, Dv + 1), first keys (B, Hkv, kept, D) and first values (B, Hkv, kept, Dv)");
  }

  View sums, keys, values;
};

Tensor4 tensor4_of(const View& v) {
  Tensor4 t{v.data, real_dtype(v.dtype), {}, {}};
  for (int i = 0; i < 4; ++i) {
    t.shape[i] = v.shape[static_cast<size_t>(i)];
    t.stride[i] = v.stride[static_cast<size_t>(i)];
  }
  return t;
}

// `count` positions from `first` on.
Tensor4 part(Tensor4 t, int64_t first, int64_t count) {
  t.data = static_cast<char*>(t.data) + first * t.stride[2] * static_cast<int64_t>(size_of(t.dtype));
  t.shape[2] = count;
  return t;
}

LinearFeatures features_of(const KernelSpec& spec) {
  LinearFeatures features = linear_features(spec);
  require(features.count() > 0, "the kernel has no linear form: " + features.reason);
  return features;
}

template <class A>
View operand(const A& array, const char* name, const Place& place) {
  View v = view(array, place);
  real_dtype(v.dtype);
  require(v.shape.size() == 4 && v.has_contiguous_rows() && !v.is_host,
          std::string(name) + " must be 4-D in device memory with a contiguous last axis");
  return v;
}

// Few keys: the quadratic form in double over the keys that are kept.
void read_first(const KernelSpec& spec, const Tensor4& q, const StateViews& state, int64_t n_keys, const Tensor4& out,
                Stream stream) {
  const auto wide = [&](const Tensor4& like, Memory& memory) {
    const int64_t* n = like.shape;
    memory = Memory(static_cast<size_t>(n[0] * n[1] * n[2] * n[3]) * sizeof(double), stream);
    return Tensor4{memory.get(), Dtype::f64, {n[0], n[1], n[2], n[3]}, {n[1] * n[2] * n[3], n[2] * n[3], n[3], 1}};
  };
  Memory query_memory, out_memory;
  const Tensor4 queries = wide(q, query_memory), result = wide(out, out_memory);
  copy_tensor(q, queries, stream);
  const AttentionArrays arrays{queries, part(tensor4_of(state.keys), 0, n_keys),
                               part(tensor4_of(state.values), 0, n_keys), result};
  attention(spec, arrays, AttentionOptions{}, nullptr, nullptr, stream);
  copy_tensor(result, out, stream);
}

}  // namespace

void bind_linear(nb::module_& m) {
  m.def(
      "linear_form",
      [](const nb::tuple& spec) {
        const LinearFeatures features = linear_features(parse_spec(spec));
        return nb::make_tuple(features.count(), features.reason);
      },
      nb::arg("spec"), "Return (number of features, why none).");
  m.def(
      "linear_form_pays",
      [](const nb::tuple& spec, int64_t batch, int64_t heads, int64_t kv_heads, int64_t queries, int64_t keys,
         int64_t v_dim, bool causal, bool is_double) {
        const KernelSpec kernel = parse_spec(spec);
        AttentionArrays arrays{};
        arrays.q = {nullptr, is_double ? Dtype::f64 : Dtype::f32, {batch, heads, queries, n_features(kernel)}, {}};
        arrays.k = {nullptr, arrays.q.dtype, {batch, kv_heads, keys, n_features(kernel)}, {}};
        arrays.v = {nullptr, arrays.q.dtype, {batch, kv_heads, keys, v_dim}, {}};
        AttentionOptions options;
        options.causal = causal;
        return takes_linear_form(kernel, arrays, options);
      },
      nb::arg("spec"), nb::arg("batch"), nb::arg("heads"), nb::arg("kv_heads"), nb::arg("queries"), nb::arg("keys"),
      nb::arg("v_dim"), nb::arg("causal"), nb::arg("is_double"), "Return whether attention takes the linear form.");
  m.def(
      "state_update",
      [](const nb::tuple& spec, const In& k, const In& v, const Out& sums, const Out& first_keys,
         const Out& first_values, int64_t n_keys, const nb::tuple& where) {
        const KernelSpec kernel = parse_spec(spec);
        const Place place = parse_place(where);
        const LinearFeatures features = features_of(kernel);
        const StateViews state(kernel, features, sums, first_keys, first_values, place);
        const View keys = operand(k, "k", place), values = operand(v, "v", place);
        const auto& size = state.sums.shape;
        require(keys.shape[0] == size[0] && keys.shape[1] == size[1] && keys.shape[3] == n_features(kernel),
                "k must be (B, Hkv, L, D) as the state");
        require(std::equal(keys.shape.begin(), keys.shape.begin() + 3, values.shape.begin()) &&
                    values.shape[3] == size[3] - 1 && n_keys >= 0,
                "v must be (B, Hkv, L, Dv) as k and the state");
        if (keys.elements() == 0) return;
        const Running running(place);
        const int64_t kept = std::min(std::max<int64_t>(state.keys.shape[2] - n_keys, 0), keys.shape[2]);
        if (kept > 0) {
          copy_tensor(part(tensor4_of(keys), 0, kept), part(tensor4_of(state.keys), n_keys, kept), place.stream);
          copy_tensor(part(tensor4_of(values), 0, kept), part(tensor4_of(state.values), n_keys, kept), place.stream);
        }
        linear_update(kernel, features, tensor4_of(keys), tensor4_of(values), static_cast<double*>(state.sums.data),
                      place.stream);
      },
      nb::arg("spec"), nb::arg("k"), nb::arg("v"), nb::arg("sums"), nb::arg("first_keys"), nb::arg("first_values"),
      nb::arg("n_keys"), nb::arg("place"), "Add keys to a state that holds n_keys; nothing waits.");
  m.def(
      "state_read",
      [](const nb::tuple& spec, const In& q, const Out& sums, const Out& first_keys, const Out& first_values,
         int64_t n_keys, const Out& out, double least_ratio, const nb::tuple& where) -> int64_t {
        const KernelSpec kernel = parse_spec(spec);
        const Place place = parse_place(where);
        const LinearFeatures features = features_of(kernel);
        const StateViews state(kernel, features, sums, first_keys, first_values, place);
        const View queries = operand(q, "q", place), result = operand(out, "out", place);
        const auto& size = state.sums.shape;
        require(queries.shape[0] == size[0] && queries.shape[1] % size[1] == 0 &&
                    queries.shape[3] == n_features(kernel) && n_keys > 0,
                "q must be (B, Hq, L, D) as the state, which must not be empty");
        require(std::equal(queries.shape.begin(), queries.shape.begin() + 3, result.shape.begin()) &&
                    result.shape[3] == size[3] - 1,
                "out must be (B, Hq, L, Dv)");
        if (result.elements() == 0) return 0;
        const Running running(place);
        const Tensor4 to = tensor4_of(result);
        if (n_keys <= state.keys.shape[2]) {
          read_first(kernel, tensor4_of(queries), state, n_keys, to, place.stream);
          return 0;
        }
        const Array<int64_t> counter(1, place.stream);
        linear_read(kernel, features, tensor4_of(queries), size[1], static_cast<const double*>(state.sums.data), to,
                    least_ratio, counter.data(), place.stream);
        int64_t refused = 0;
        copy_to_host(&refused, counter.data(), sizeof refused, place.stream);
        return refused;
      },
      nb::arg("spec"), nb::arg("q"), nb::arg("sums"), nb::arg("first_keys"), nb::arg("first_values"), nb::arg("n_keys"),
      nb::arg("out"), nb::arg("least_ratio"), nb::arg("place"),
      "Write attention over a state's keys; return the rows that cancel too much. Waits beyond the keys that are "
      "kept.");
  m.def(
      "copy",
      [](const In& from, const Out& to, const nb::tuple& where) {
        const Place place = parse_place(where);
        const View source = view(from, place), target = view(to, place);
        require(source.shape == target.shape && source.dtype == target.dtype && source.is_contiguous() &&
                    target.is_contiguous() && !source.is_host && !target.is_host,
                "arrays must be alike, contiguous in device memory");
        const Running running(place);
        copy_on_device(target.data, source.data, source.bytes(), place.stream);
      },
      nb::arg("source"), nb::arg("target"), nb::arg("place"), "Copy an array within device memory.");
}

}  // namespace flashket::cuda::bindings
