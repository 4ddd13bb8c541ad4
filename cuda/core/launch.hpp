// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// launch("name", kernel<...>, grid, threads, dynamic shared bytes, stream, arguments...): the one way kernels start.
#pragma once
#include <algorithm>
#include <mutex>
#include <tuple>

#include "core/device.hpp"
#include "core/runtime.hpp"

namespace flashket::cuda {

struct Grid {
  int64_t x, y = 1, z = 1;  // x up to 2^31 - 1, y and z up to 65,535: put the long axis first
};

#if !defined(FLASHKET_EMULATE)
// Lets a kernel have so much dynamic shared memory. The limit is the function's, for all threads and streams of the
// process, so it only grows: a call that set it lower would make another's launch fail.
template <class... P>
bool allow_shared(void (*kernel)(P...), size_t bytes) {
  static std::mutex lock;
  const std::lock_guard<std::mutex> guard(lock);
  cudaFuncAttributes known{};
  if (cudaFuncGetAttributes(&known, kernel) != cudaSuccess) return false;
  const int limit = std::max(known.maxDynamicSharedSizeBytes, static_cast<int>(bytes));
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, limit) == cudaSuccess;
}

template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), Grid grid, int threads, size_t shared_bytes, Stream stream,
            A&&... arguments) {
  if (grid.x <= 0 || grid.y <= 0 || grid.z <= 0) return;
  // dim3 would cut off what does not fit, and leave results unwritten.
  if (grid.x > INT32_MAX || grid.y > UINT16_MAX || grid.z > UINT16_MAX)
    throw DeviceError(std::string("[") + name + "] wanted a grid of at most 2147483647 x 65535 x 65535 blocks, got " +
                      std::to_string(grid.x) + " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z));
  // A kernel's static arrays count too: 48 KB are for both together.
  if (shared_bytes > 40 * 1024 && !allow_shared(kernel, shared_bytes))
    return check_launch(name, stream);  // throws: the block asks for more than the device has
  const dim3 blocks(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), static_cast<unsigned>(grid.z));
  kernel<<<blocks, threads, shared_bytes, stream>>>(static_cast<P>(arguments)...);
  check_launch(name, stream);
}
#else
// Runs on the calling thread and is done when it returns.
template <class... P, class... A>
void launch(const char* name, void (*kernel)(P...), Grid grid, int threads, size_t shared_bytes, Stream stream,
            A&&... arguments) {
  if (grid.x <= 0 || grid.y <= 0 || grid.z <= 0) return;
  struct Call {
    void (*kernel)(P...);
    std::tuple<P...> values;
  } call{kernel, {static_cast<P>(arguments)...}};
  const auto body = [](void* context) {
    const Call& c = *static_cast<const Call*>(context);
    std::apply(c.kernel, c.values);
  };
  emulator::run(name, {grid.x, grid.y, grid.z}, threads, shared_bytes, body, &call);
  check_launch(name, stream);
}
#endif

}  // namespace flashket::cuda
