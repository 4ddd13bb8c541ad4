// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What crosses from Python: arrays, numbers, tuples. Shapes were checked there; here misuse raises ValueError.
#pragma once
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "core/views.hpp"
#include "gram/pack.hpp"
#include "noise/shots.hpp"

namespace flashket::bindings {

namespace py = pybind11;

// (encoder, params, program | None, similarity, power | gamma)
KernelSpec parse_spec(const py::tuple& spec);

// (n_qubits, n_features, opcodes, qubits, features, coefficients)
std::vector<Gate> parse_gates(const py::tuple& program);

// mps.cpp
void bind_mps(py::module_& m);

// noise.cpp
void bind_noise(py::module_& m);

inline void require(bool condition, const char* what) {
  if (!condition) throw py::value_error(std::string("flashket._core: ") + what);
}

// Finite shots (0: none) and noise as scale and offset.
inline Readings checked_readings(int64_t shots, double scale, double offset) {
  require(shots >= 0 && shots < int64_t{1} << 31, "bad shots");
  require(scale > 0 && scale <= 1 && offset >= 0 && offset <= 1, "bad scale or offset");
  return {shots, scale, offset};
}

inline int64_t element_stride(const py::array& a, int axis) {
  require(a.strides(axis) % a.itemsize() == 0, "strides must be multiples of the item size");
  return a.strides(axis) / a.itemsize();
}

template <class T>
T* writable(const py::array& a) {
  require(a.writeable(), "out must be writable");
  return static_cast<T*>(const_cast<void*>(a.data()));
}

template <class T>
bool holds(const py::array& a) {
  return py::isinstance<py::array_t<std::remove_const_t<T>>>(a);  // equivalent dtypes, also with metadata
}

template <class T>
MatrixView<T> matrix(const py::array& a) {
  require(a.ndim() == 2 && holds<T>(a), "wrong rank or dtype");
  T* data;
  if constexpr (std::is_const_v<T>)
    data = static_cast<T*>(a.data());
  else
    data = writable<T>(a);
  return {data, a.shape(0), a.shape(1), element_stride(a, 0), element_stride(a, 1)};
}

template <class T>
Tensor4View<T> tensor4(const py::array& a) {
  require(a.ndim() == 4 && holds<T>(a), "wrong rank or dtype");
  Tensor4View<T> view{};
  if constexpr (std::is_const_v<T>)
    view.data = static_cast<T*>(a.data());
  else
    view.data = writable<T>(a);
  for (int i = 0; i < 4; ++i) {
    view.shape[i] = a.shape(i);
    view.stride[i] = element_stride(a, i);
  }
  return view;
}

// Calls f with a value of the array's element type.
template <class F>
auto dispatch(const py::array& a, F f) {
  if (holds<float>(a)) return f(float{});
  require(holds<double>(a), "arrays must be float32 or float64");
  return f(double{});
}

}  // namespace flashket::bindings
