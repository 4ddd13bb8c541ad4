// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Streams, errors, stream-ordered memory: the host side of every call. No CUDA header is needed to include this.
// runtime.cpp is the CUDA runtime, emulator/runtime.cpp the CPU.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

struct CUstream_st;

namespace flashket::cuda {

using Stream = CUstream_st*;  // cudaStream_t; nullptr is the legacy default stream

// A CUDA call failed; the text names the call and the runtime's reason.
struct DeviceError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
// Not enough device memory; the context stays usable.
struct OutOfDeviceMemory : std::runtime_error {
  OutOfDeviceMemory(size_t asked, size_t free_bytes);
  size_t asked, free_bytes;
};

// Never throws: without a driver or a device there are none.
int device_count() noexcept;
// Why device_count() is 0, in words ("no driver", "the driver is older than CUDA 13.0"); empty when it is not.
std::string device_reason();

struct DeviceProperties {
  std::string name;
  int major, minor, multiprocessors;
  size_t shared_per_block;  // the most a block may opt in to
  size_t total_memory, free_memory, l2_bytes;
};
DeviceProperties device_properties(int device);

// Makes `device` current for the calling thread and puts back what was, without a context on a device that nothing
// asked for: where another device or none is current, the device's primary context is pushed and popped.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;

 private:
  bool is_pushed_ = false;
};

// Where workspaces come from: the caller's pool (CuPy, torch) or cudaMallocAsync. Set for the calling thread.
struct Allocator {
  void* context;
  void* (*allocate)(void* context, size_t bytes, Stream stream);  // nullptr: out of memory
  void (*release)(void* context, void* memory, size_t bytes, Stream stream);
};
class AllocatorScope {
 public:
  explicit AllocatorScope(const Allocator* allocator);  // nullptr: the runtime's own
  ~AllocatorScope();
  AllocatorScope(const AllocatorScope&) = delete;

 private:
  const Allocator* previous_;
};

// Uninitialised device memory in stream order, 256-byte aligned. Throws OutOfDeviceMemory.
class Memory {
 public:
  Memory() = default;
  Memory(size_t bytes, Stream stream);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  void* get() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
  Stream stream_ = nullptr;
  const Allocator* allocator_ = nullptr;
};
template <class T>
class Array : public Memory {
 public:
  Array() = default;
  Array(int64_t count, Stream stream) : Memory(static_cast<size_t>(count) * sizeof(T), stream) {}
  T* data() const { return static_cast<T*>(get()); }
};

void copy_to_device(void* to, const void* from, size_t bytes, Stream stream);  // the source may be reused on return
void copy_to_host(void* to, const void* from, size_t bytes, Stream stream);    // waits for the copy
void copy_on_device(void* to, const void* from, size_t bytes, Stream stream);
void fill_bytes(void* to, int byte, size_t bytes, Stream stream);
void synchronize(Stream stream);
void synchronize_device();  // all streams of the current device
int current_device();
int multiprocessors();  // of the current device
size_t shared_per_block();

// Reports what a launch left behind; under FLASHKET_SYNC=1 waits, so that the error belongs to the call that caused it.
void check_launch(const char* kernel, Stream stream);

}  // namespace flashket::cuda
