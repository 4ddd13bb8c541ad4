// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// flashket_cuda._cuda, and flashket_cuda._emulated where FLASHKET_EMULATE is defined: check, release the GIL, call,
// translate errors. Nothing waits for the device unless its argument says so or an array is in host memory.
#include "bindings/convert.hpp"

namespace flashket::cuda::bindings {
namespace {

nb::dict properties(int device) {
  const DeviceProperties p = device_properties(device);
  nb::dict d;
  d["name"] = p.name;
  d["compute_capability"] = nb::make_tuple(p.major, p.minor);
  d["multiprocessors"] = p.multiprocessors;
  d["shared_per_block"] = p.shared_per_block;
  d["total_memory"] = p.total_memory;
  d["free_memory"] = p.free_memory;
  d["l2_bytes"] = p.l2_bytes;
  return d;
}

// MemoryError(text, bytes asked for, bytes free): Python makes a ResourceLimit of it.
void translate_out_of_memory(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const OutOfDeviceMemory& error) {
    const nb::tuple arguments = nb::make_tuple(error.what(), error.asked, error.free_bytes);
    PyErr_SetObject(PyExc_MemoryError, arguments.ptr());
  }
}

void bind_devices(nb::module_& m) {
  nb::register_exception_translator(translate_out_of_memory);
  m.attr("is_emulated") = kIsEmulated;
  m.def("device_count", [] { return device_count(); }, "Return the number of devices; 0 without a driver.");
  m.def("device_reason", [] { return device_reason(); }, "Return why there is no device; empty when there is one.");
  m.def("device_properties", &properties, nb::arg("device"), "Return a device's name, sizes and free memory.");
}

}  // namespace
}  // namespace flashket::cuda::bindings

using namespace flashket::cuda::bindings;

NB_MODULE(FLASHKET_MODULE, m) {
  m.doc() = "FlashKet's device core; flashket calls it, users need not.";
  m.attr("__version__") = FLASHKET_VERSION;
  bind_devices(m);
  bind_memory(m);
  bind_gram(m);
  bind_mps(m);
  bind_states(m);
  bind_attention(m);
#if defined(FLASHKET_HAS_ATTENTION_BACKWARD)
  bind_attention_backward(m);
#endif
}
