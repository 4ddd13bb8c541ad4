// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What a library needs that lends neither its memory nor its streams (JAX): memory that it takes over, and events.
#include <nanobind/stl/vector.h>

#include <map>
#include <memory>

#include "bindings/convert.hpp"
#include "core/event.hpp"

namespace flashket::cuda::bindings {
namespace {

struct Owned {
  int device;
  bool is_shared;  // used on streams that nobody tells us of
  Memory memory;
};

nb::dlpack::dtype parse_dtype(const std::string& name) {
  using Code = nb::dlpack::dtype_code;
  static const std::map<std::string, nb::dlpack::dtype> known = {
      {"float16", {static_cast<uint8_t>(Code::Float), 16, 1}},
      {"bfloat16", {static_cast<uint8_t>(Code::Bfloat), 16, 1}},
      {"float32", {static_cast<uint8_t>(Code::Float), 32, 1}},
      {"float64", {static_cast<uint8_t>(Code::Float), 64, 1}},
      {"complex64", {static_cast<uint8_t>(Code::Complex), 64, 1}},
      {"complex128", {static_cast<uint8_t>(Code::Complex), 128, 1}},
  };
  const auto found = known.find(name);
  require(found != known.end(), "unknown dtype " + name);
  return found->second;
}

// (array, address): uninitialised, freed when the last who holds it lets go: in the order of the place's stream, or, if
// it is used on others too, once the device is idle.
nb::tuple empty(const std::vector<size_t>& shape, const std::string& dtype_name, bool is_shared,
                const nb::tuple& where) {
  const Place place = parse_place(where);
  const nb::dlpack::dtype dtype = parse_dtype(dtype_name);
  size_t bytes = dtype.bits / 8;
  for (const size_t length : shape) require(!__builtin_mul_overflow(bytes, length, &bytes), "the shape is too large");
  auto owned = std::make_unique<Owned>(place.device, is_shared);
  {
    const DeviceGuard device(place.device);
    // Shared memory outlives streams: it belongs to the default one, whose allocation all others must see done.
    owned->memory = Memory(bytes, is_shared ? nullptr : place.stream);
    if (is_shared) synchronize(nullptr);
  }
  void* data = owned->memory.get();
  const nb::capsule owner(owned.release(), [](void* p) noexcept {
    auto* last = static_cast<Owned*>(p);
    try {
      const DeviceGuard device(last->device);
      if (last->is_shared) synchronize_device();
      delete last;
    } catch (const DeviceError&) {
      // The process ends and the driver is gone, and the memory with it.
      return;
    }
  });
  const int device_type = kIsEmulated ? nb::device::cpu::value : nb::device::cuda::value;
  nb::ndarray<nb::array_api> array(data, shape.size(), shape.data(), owner, nullptr, dtype, device_type, place.device);
  return nb::make_tuple(array, reinterpret_cast<uintptr_t>(data));
}

}  // namespace

void bind_memory(nb::module_& m) {
  m.def("empty", &empty, nb::arg("shape"), nb::arg("dtype"), nb::arg("is_shared"), nb::arg("place"),
        "Return (array, address) of uninitialised device memory, to be handed on by DLPack.");
  m.def(
      "zero",
      [](const Out& array, const nb::tuple& where) {
        const Place place = parse_place(where);
        const View v = view(array, place);
        require(v.is_contiguous() && !v.is_host, "array must be contiguous in device memory");
        const Running running(place);
        fill_bytes(v.data, 0, v.bytes(), place.stream);
      },
      nb::arg("array"), nb::arg("place"), "Fill an array with zeros.");
  nb::class_<Event>(m, "Event", "A point in a stream's work.")
      .def(
          "__init__",
          [](Event* self, const nb::tuple& where) {
            const Place place = parse_place(where);
            const DeviceGuard device(place.device);
            new (self) Event(place.stream);
          },
          nb::arg("place"), "The point after all that the place's stream holds now.")
      .def(
          "block", [](const Event& self, uintptr_t stream) { self.block(reinterpret_cast<Stream>(stream)); },
          nb::arg("stream"), "Let what is put on a stream from now on start after the point.")
      .def("is_done", &Event::is_done, "Return whether the point is passed; does not wait.");
}

}  // namespace flashket::cuda::bindings
