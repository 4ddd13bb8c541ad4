// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What crosses from Python: arrays by DLPack, numbers, tuples. User-facing checks and texts live in Python; what they
// would let through by mistake raises ValueError here, before anything is allocated.
#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/encoder.hpp"
#include "core/runtime.hpp"
#include "gram/gram.hpp"

namespace flashket::cuda::bindings {

namespace nb = nanobind;

#if defined(FLASHKET_EMULATE)
constexpr bool kIsEmulated = true;  // device memory is host memory
#else
constexpr bool kIsEmulated = false;
#endif

using In = nb::ndarray<nb::ro>;
using Out = nb::ndarray<>;

inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::invalid_argument("flashket_cuda: " + what);
}

// (encoder, params, program arrays | None, similarity, power | gamma), as flashket._core takes it.
KernelSpec parse_spec(const nb::tuple& spec);

// (n_qubits, n_features, opcodes, qubits, features, coefficients)
GateList parse_circuit(const nb::tuple& program);

// auto | half | split | simt
Arithmetic parse_arithmetic(const std::string& name);

int64_t n_features(const KernelSpec& spec);

// Where workspaces come from: two Python callables. allocate(bytes, stream) -> address, 0 when there is no memory;
// release(address, bytes, stream). They are called with the GIL, from the calling thread, during the call only.
class PythonAllocator {
 public:
  PythonAllocator(nb::callable allocate, nb::callable release);
  const Allocator* get() const { return &allocator_; }

 private:
  nb::callable allocate_, release_;
  Allocator allocator_;
};

// (device, stream, (allocate, release) | None, is_host): is_host says that the arrays are in host memory, which only
// the emulator cannot see by itself.
struct Place {
  int device;
  Stream stream;
  std::unique_ptr<PythonAllocator> allocator;  // stays where it is: what it lends points to it
  bool is_host;
};
Place parse_place(const nb::tuple& place);

// The part of a call that needs no Python: the GIL is free, the device is current, workspaces come from the allocator.
class Running {
 public:
  explicit Running(const Place& place)
      : device_(place.device), allocator_(place.allocator ? place.allocator->get() : nullptr) {}

 private:
  nb::gil_scoped_release unlocked_;
  DeviceGuard device_;
  AllocatorScope allocator_;
};

// An array as it came: data[sum_i index[i] stride[i]], strides in elements.
struct View {
  void* data;
  nb::dlpack::dtype dtype;
  std::vector<int64_t> shape, stride;
  bool is_host;

  int64_t elements() const;
  size_t bytes() const { return static_cast<size_t>(elements()) * dtype.bits / 8; }
  bool is_contiguous() const;
  bool has_contiguous_rows() const { return shape.empty() || shape.back() <= 1 || stride.back() == 1; }
};

View make_view(void* data, const nb::dlpack::dtype& dtype, size_t ndim, const int64_t* shape, const int64_t* stride,
               int device_type, int device_id, const Place& place);

// Checks that the array is in the device's memory, or in host memory where it can be copied from: C-contiguous.
template <class A>
View view(const A& a, const Place& place) {
  return make_view(const_cast<void*>(static_cast<const void*>(a.data())), a.dtype(), a.ndim(), a.shape_ptr(),
                   a.stride_ptr(), a.device_type(), a.device_id(), place);
}

Dtype real_dtype(const nb::dlpack::dtype& dtype);
inline bool is_complex(const nb::dlpack::dtype& dtype) {
  return dtype.code == static_cast<uint8_t>(nb::dlpack::dtype_code::Complex);
}

// A view in device memory: the caller's own, or of host memory a copy. Only while Running.
class Staged {
 public:
  enum class Use { read, write };
  Staged(const View& view, Use use, const Place& place);
  void back();  // of written host memory: copies the result to where the caller wants it, and waits

  void* data() const { return copy_.get() ? copy_.get() : view_.data; }
  const View& view() const { return view_; }
  Rows rows() const;  // of (count, length)

 private:
  View view_;
  Stream stream_;
  Memory copy_;
};

// Calls f with a value of the array's element type, float or double.
template <class F>
auto dispatch(Dtype dtype, F f) {
  if (dtype == Dtype::f32) return f(float{});
  require(dtype == Dtype::f64, "out must be float32 or float64");
  return f(double{});
}

// (rows, features) with contiguous rows.
void check_rows(const View& x, const KernelSpec& spec);

void bind_memory(nb::module_& m);
void bind_gram(nb::module_& m);
void bind_attention(nb::module_& m);
void bind_attention_backward(nb::module_& m);
void bind_linear(nb::module_& m);
void bind_states(nb::module_& m);
void bind_libraries(nb::module_& m);
void bind_mps(nb::module_& m);

}  // namespace flashket::cuda::bindings
