// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// flashket._core: check, release the GIL, call, translate errors. User-facing checks and texts live in Python.
#include <pybind11/stl.h>

#include <complex>
#include <cstring>
#include <map>
#include <optional>

#include "attention/attention.hpp"
#include "attention/linear.hpp"
#include "bindings/spec.hpp"
#include "core/parallel.hpp"
#include "gram/gram.hpp"
#include "gram/matvec.hpp"
#include "states/states.hpp"

namespace flashket::bindings {
namespace {

void bind_gram(py::module_& m) {
  m.def(
      "gram",
      [](const py::tuple& spec, const py::array& x, const std::optional<py::array>& y, const py::array& out, bool log,
         int64_t shots, uint64_t seed, double scale, double offset) {
        const KernelSpec kernel = parse_spec(spec);
        const Readings readings = checked_readings(shots, scale, offset);
        require(readings.is_exact() || !log, "log needs exact values");
        dispatch(x, [&](auto zero) {
          using T = decltype(zero);
          const auto left = matrix<const T>(x);
          const auto result = matrix<T>(out);
          std::optional<MatrixView<const T>> right;
          if (y) right = matrix<const T>(*y);
          require(left.cols == kernel.n_features() && (!right || right->cols == left.cols), "wrong number of features");
          require(result.rows == left.rows && result.cols == (right ? right->rows : left.rows),
                  "out has the wrong shape");
          const py::gil_scoped_release unlocked;
          gram<T>(kernel, left, right ? &*right : nullptr, result, {log, readings, seed});
        });
      },
      py::arg("spec"), py::arg("x"), py::arg("y").none(true), py::arg("out"), py::arg("log"), py::arg("shots"),
      py::arg("seed"), py::arg("scale") = 1.0, py::arg("offset") = 0.0,
      "Write the Gram matrix of rows x and y (None: x) into out, of p -> scale p + offset; shots 0 means exact.");

  m.def(
      "read_probabilities",
      [](const py::array& values, bool is_symmetric, int power, int64_t shots, uint64_t seed) {
        const Readings readings = checked_readings(shots, 1, 0);
        require(holds<double>(values) && (values.flags() & py::array::c_style) && power >= 1,
                "bad probabilities or power");
        const auto matrix_view = matrix<double>(values);
        require(!is_symmetric || matrix_view.rows == matrix_view.cols, "a symmetric matrix must be square");
        if (matrix_view.rows == 0 || matrix_view.cols == 0) return;
        const py::gil_scoped_release unlocked;
        read_probabilities(matrix_view, is_symmetric, power, readings, seed);
      },
      py::arg("values"), py::arg("is_symmetric"), py::arg("power"), py::arg("shots"), py::arg("seed"),
      "Replace probabilities, float64 (n, m), by what shots say of them (0: themselves), to the power, as gram does.");
}

void bind_gram_matvec(py::module_& m) {
  m.def(
      "gram_matvec",
      [](const py::tuple& spec, const py::array& x, const py::array& a, const std::optional<py::array>& y,
         const py::array& out, int64_t shots, uint64_t seed, double scale, double offset) {
        const KernelSpec kernel = parse_spec(spec);
        const Readings readings = checked_readings(shots, scale, offset);
        dispatch(x, [&](auto zero) {
          using T = decltype(zero);
          const auto left = matrix<const T>(x), factor = matrix<const T>(a);
          const auto result = matrix<T>(out);
          std::optional<MatrixView<const T>> right;
          if (y) right = matrix<const T>(*y);
          require(left.cols == kernel.n_features() && (!right || right->cols == left.cols), "wrong number of features");
          require(factor.rows == (right ? right->rows : left.rows), "a has the wrong shape");
          require(result.rows == left.rows && result.cols == factor.cols, "out has the wrong shape");
          const py::gil_scoped_release unlocked;
          gram_matvec<T>(kernel, left, right ? &*right : nullptr, factor, result, {false, readings, seed});
        });
      },
      py::arg("spec"), py::arg("x"), py::arg("a"), py::arg("y").none(true), py::arg("out"), py::arg("shots"),
      py::arg("seed"), py::arg("scale") = 1.0, py::arg("offset") = 0.0,
      "Write the Gram matrix of rows x and y (None: x) times a into out; of noise and shots as gram.");
}

void bind_states(py::module_& m) {
  m.def(
      "states",
      [](const py::tuple& spec, const py::array& x, const py::array& out) {
        const KernelSpec kernel = parse_spec(spec);
        require(out.ndim() == 2 && out.shape(0) == x.shape(0) && (out.flags() & py::array::c_style),
                "out must be C-contiguous (n, 2**n)");
        dispatch(x, [&](auto zero) {
          using T = decltype(zero);
          require(holds<std::complex<T>>(out), "out must be complex of the rows' precision");
          const auto rows = matrix<const T>(x);
          require(rows.cols == kernel.n_features(), "wrong number of features");
          T* to = writable<T>(out);
          const int64_t n_amplitudes = out.shape(1);
          const py::gil_scoped_release unlocked;
          states<T>(kernel, rows, to, n_amplitudes);
        });
      },
      py::arg("spec"), py::arg("x"), py::arg("out"), "Write the statevector of every row of x into out.");
}

template <class T>
int64_t run_attention(const KernelSpec& kernel, const py::array& q, const py::array& k, const py::array& v,
                      const py::array& out, const std::optional<py::array>& mask, const int64_t* kv_lens,
                      const AttentionOptions& options) {
  AttentionArrays<T> a{tensor4<const T>(q), tensor4<const T>(k), tensor4<const T>(v), tensor4<T>(out)};
  const auto same = [](const auto& s, const auto& t, int axis) { return s.shape[axis] == t.shape[axis]; };
  require(same(a.q, a.k, 0) && same(a.q, a.k, 3) && same(a.k, a.v, 0) && same(a.k, a.v, 1) && same(a.k, a.v, 2),
          "q, k, v do not fit");
  require(same(a.q, a.out, 0) && same(a.q, a.out, 1) && same(a.q, a.out, 2) && same(a.v, a.out, 3),
          "out has the wrong shape");
  require(a.q.shape[3] == kernel.n_features() && a.k.shape[1] > 0 && a.q.shape[1] % a.k.shape[1] == 0,
          "wrong features or heads");
  Tensor4View<const bool> mask_view{};
  if (mask) {
    mask_view = tensor4<const bool>(*mask);
    require(same(a.q, mask_view, 0) && same(a.q, mask_view, 1) && same(a.q, mask_view, 2) &&
                mask_view.shape[3] == a.k.shape[2],
            "mask must be (B, Hq, Lq, Lk)");
    a.mask = &mask_view;
  }
  a.kv_lens = kv_lens;
  const py::gil_scoped_release unlocked;
  return attention<T>(kernel, a, options);
}

void bind_attention(py::module_& m) {
  m.def(
      "attention",
      [](const py::tuple& spec, const py::array& q, const py::array& k, const py::array& v, const py::array& out,
         const std::string& normalization, double temperature, bool causal, const std::optional<py::array>& mask,
         const std::optional<std::vector<int64_t>>& kv_lens, int64_t shots, uint64_t seed, const std::string& form,
         double scale, double offset) {
        const KernelSpec kernel = parse_spec(spec);
        require(form == "auto" || form == "quadratic" || form == "linear" || form == "in_place", "unknown form");
        require(normalization == "sum" || normalization == "softmax", "unknown normalization");
        const Readings readings = checked_readings(shots, scale, offset);
        require((readings.is_exact() || kernel.is_normalised()) && temperature > 0, "bad shots or temperature");
        if (kv_lens) {
          require(static_cast<py::ssize_t>(kv_lens->size()) == q.shape(0), "kv_lens must be (B,)");
          for (const int64_t n : *kv_lens) require(n >= 0 && n <= k.shape(2), "kv_lens must be 0 to Lk");
        }
        const AttentionOptions options{normalization == "sum" ? Normalization::sum : Normalization::softmax,
                                       temperature,
                                       causal,
                                       readings,
                                       seed,
                                       form == "auto"       ? AttentionForm::automatic
                                       : form == "linear"   ? AttentionForm::linear
                                       : form == "in_place" ? AttentionForm::in_place
                                                            : AttentionForm::quadratic};
        return dispatch(q, [&](auto zero) {
          return run_attention<decltype(zero)>(kernel, q, k, v, out, mask, kv_lens ? kv_lens->data() : nullptr,
                                               options);
        });
      },
      py::arg("spec"), py::arg("q"), py::arg("k"), py::arg("v"), py::arg("out"), py::arg("normalization"),
      py::arg("temperature"), py::arg("causal"), py::arg("mask").none(true), py::arg("kv_lens").none(true),
      py::arg("shots"), py::arg("seed"), py::arg("form") = "auto", py::arg("scale") = 1.0, py::arg("offset") = 0.0,
      "Write kernel attention into out; return the rows whose admissible values were all 0, or -1: form in_place "
      "failed.");
}

// state: sums (B, Hkv, state_rows, v_stride), weights (B, Hkv, state_rows), float64, C-contiguous.
LinearState linear_state(const LinearForm& form, const py::array& sums, const py::array& weights) {
  require(holds<double>(sums) && holds<double>(weights) && sums.ndim() == 4 && weights.ndim() == 3 &&
              (sums.flags() & weights.flags() & py::array::c_style) && form.n_features > 0,
          "bad state");
  require(sums.shape(2) == form.state_rows && sums.shape(3) % kValueAlign == 0 && weights.shape(0) == sums.shape(0) &&
              weights.shape(1) == sums.shape(1) && weights.shape(2) == form.state_rows,
          "state has the wrong shape");
  return {writable<double>(sums), writable<double>(weights), sums.shape(0), sums.shape(1), sums.shape(3)};
}

void bind_linear(py::module_& m) {
  m.def(
      "linear_form",
      [](const py::tuple& spec) {
        const LinearForm form = linear_form(parse_spec(spec));
        return std::tuple{form.n_features, form.state_rows, form.reason};
      },
      py::arg("spec"),
      "Return (features, rows of a state, why not): the kernel's linear form; 0 features without one.");
  m.def(
      "linear_form_pays",
      [](const py::tuple& spec, int64_t batch, int64_t heads, int64_t kv_heads, int64_t queries, int64_t keys,
         int64_t v_dim, bool causal) {
        const AttentionSizes sizes{batch, heads, kv_heads, queries, keys, v_dim};
        if (!is_long_enough(sizes)) return false;
        const KernelSpec kernel = parse_spec(spec);
        return linear_form_pays(kernel, linear_form(kernel), sizes, causal);
      },
      py::arg("spec"), py::arg("batch"), py::arg("heads"), py::arg("kv_heads"), py::arg("queries"), py::arg("keys"),
      py::arg("v_dim"), py::arg("causal"),
      "Return whether sum-normalised attention of these shapes takes the linear form.");
  m.def(
      "linear_update",
      [](const py::tuple& spec, const py::array& k, const py::array& v, const py::array& sums,
         const py::array& weights) {
        const KernelSpec kernel = parse_spec(spec);
        const LinearForm form = linear_form(kernel);
        const LinearState state = linear_state(form, sums, weights);
        dispatch(k, [&](auto zero) {
          using T = decltype(zero);
          const auto keys = tensor4<const T>(k), values = tensor4<const T>(v);
          require(keys.shape[0] == state.batch && keys.shape[1] == state.kv_heads &&
                      keys.shape[3] == kernel.n_features() && std::equal(keys.shape, keys.shape + 3, values.shape) &&
                      values.shape[3] <= state.v_stride,
                  "k and v do not fit the state");
          const py::gil_scoped_release unlocked;
          linear_update<T>(kernel, form, keys, values, state);
        });
      },
      py::arg("spec"), py::arg("k"), py::arg("v"), py::arg("sums"), py::arg("weights"),
      "Add keys and values to the sums of a state.");
  m.def(
      "linear_read",
      [](const py::tuple& spec, const py::array& q, const py::array& sums, const py::array& weights,
         const py::array& out, const py::array& ratios) {
        const KernelSpec kernel = parse_spec(spec);
        const LinearForm form = linear_form(kernel);
        const LinearState state = linear_state(form, sums, weights);
        dispatch(q, [&](auto zero) {
          using T = decltype(zero);
          const auto queries = tensor4<const T>(q);
          const auto result = tensor4<T>(out);
          require(queries.shape[0] == state.batch && state.kv_heads > 0 && queries.shape[1] % state.kv_heads == 0 &&
                      queries.shape[3] == kernel.n_features() &&
                      std::equal(queries.shape, queries.shape + 3, result.shape) && result.shape[3] <= state.v_stride,
                  "q and out do not fit the state");
          require(holds<double>(ratios) && ratios.size() == queries.shape[0] * queries.shape[1] * queries.shape[2] &&
                      (ratios.flags() & py::array::c_style),
                  "ratios must be float64 (B, Hq, Lq)");
          const py::gil_scoped_release unlocked;
          linear_read<T>(kernel, form, queries, state, result, writable<double>(ratios));
        });
      },
      py::arg("spec"), py::arg("q"), py::arg("sums"), py::arg("weights"), py::arg("out"), py::arg("ratios"),
      "Write the attention of queries over a state's keys, and each row's denominator over the product of norms.");
}

// Rows along the last axis; index counts the leading axes in C order.
template <class T>
std::pair<int, int64_t> find_bad_row(const py::array& x, bool reject_zero) {
  const int n_dims = static_cast<int>(x.ndim());
  const int64_t width = x.shape(n_dims - 1), step = element_stride(x, n_dims - 1);
  std::vector<int64_t> index(n_dims, 0);
  int64_t n_rows = 1;
  for (int d = 0; d + 1 < n_dims; ++d) n_rows *= x.shape(d);
  const T* data = static_cast<const T*>(x.data());
  const py::gil_scoped_release unlocked;
  for (int64_t row = 0; row < n_rows; ++row) {
    const T* p = data;
    for (int d = 0; d + 1 < n_dims; ++d) p += index[d] * (x.strides(d) / static_cast<int64_t>(sizeof(T)));
    // Bits, not floats: integer ors vectorise. All exponent bits set means NaN or infinity.
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    constexpr Bits exponent = sizeof(T) == 4 ? Bits{0x7f800000} : static_cast<Bits>(0x7ff0000000000000);
    Bits bad = 0, any = 0;
    const auto look = [&](int64_t j) {
      Bits bits;
      std::memcpy(&bits, p + j, sizeof bits);
      bad |= (bits & exponent) == exponent;
      any |= bits << 1;  // without the sign of -0
    };
    if (step == 1) {
      for (int64_t j = 0; j < width; ++j) look(j);
    } else {
      for (int64_t j = 0; j < width; ++j) look(j * step);
    }
    if (bad) return {1, row};
    if (reject_zero && any == 0 && width > 0) return {2, row};
    for (int d = n_dims - 2; d >= 0 && ++index[d] == x.shape(d); --d) index[d] = 0;
  }
  return {0, -1};
}

void bind_system(py::module_& m) {
  m.def(
      "find_bad_row",
      [](const py::array& x, bool reject_zero) {
        require(x.ndim() >= 1, "x needs an axis");
        for (int d = 0; d < x.ndim(); ++d) (void)element_stride(x, d);
        return dispatch(x, [&](auto zero) { return find_bad_row<decltype(zero)>(x, reject_zero); });
      },
      py::arg("x"), py::arg("reject_zero"),
      "Return (code, row) of the first bad row along the last axis: 0 none, 1 NaN or infinity, 2 all zero.");
  m.def(
      "encoder_elements",
      [](const py::tuple& spec) {
        const KernelSpec kernel = parse_spec(spec);
        return std::tuple{kernel.score().pitch(), encoder_elements(kernel), kernel.encoder->scratch(kernel.args())};
      },
      py::arg("spec"),
      "Return how many elements a packed row has, how many a thread needs to pack rows, and to make one beside it.");
  m.def("isa", [] { return std::string(isa_ops().name); }, "Return the name of the instruction set in use.");
  m.def("available_isas", &available_isas, "Return the instruction sets this machine supports, best first.");
  m.def("num_threads", &num_threads, "Return the number of threads.");
  m.def(
      "set_num_threads",
      [](int n) {
        const py::gil_scoped_release unlocked;
        set_num_threads(n);
      },
      py::arg("n"), "Set the number of threads.");
  m.def(
      "opcodes",
      [] {
        std::map<std::string, int> codes;
        for (size_t i = 0; i < opcode_names().size(); ++i) codes[opcode_names()[i]] = static_cast<int>(i);
        return codes;
      },
      "Return the opcode of every gate name.");
  m.def(
      "build_info",
      [] {
        return std::map<std::string, std::string>{
            {"compiler", FLASHKET_COMPILER}, {"build_type", FLASHKET_BUILD_TYPE}, {"version", FLASHKET_VERSION}};
      },
      "Return compiler, build type and version.");
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "FlashKet's host core. Use the functions of the package flashket; these check little.";
  bind_gram(m);
  bind_gram_matvec(m);
  bind_states(m);
  bind_attention(m);
  bind_linear(m);
  bind_mps(m);
  bind_noise(m);
  bind_system(m);
}

}  // namespace flashket::bindings
