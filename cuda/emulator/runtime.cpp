// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// core/runtime.hpp without a GPU: device memory is heap memory. Its one device calls itself "CPU emulator", version
// 0.0. Fresh memory holds NaN bits (0xff). FLASHKET_EMULATOR_MEMORY: how many bytes the device has (default 4 GiB).
#include "core/runtime.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "emulator/block.hpp"

namespace flashket::cuda {
namespace {

std::atomic<size_t> used{0};
thread_local const Allocator* current_allocator = nullptr;

size_t total_memory() {
  const char* text = getenv("FLASHKET_EMULATOR_MEMORY");
  return text && *text ? strtoull(text, nullptr, 10) : size_t{4} << 30;
}
size_t free_memory() {
  const size_t total = total_memory(), now = used;
  return total > now ? total - now : 0;
}

void* allocate(size_t bytes) {
  if (bytes > free_memory()) throw OutOfDeviceMemory(bytes, free_memory());
  void* memory = nullptr;
  if (posix_memalign(&memory, 256, bytes)) throw OutOfDeviceMemory(bytes, free_memory());
  used += bytes;
  memset(memory, emulator::kPoison, bytes);
  return memory;
}
void release(void* memory, size_t bytes) {
  memset(memory, emulator::kPoison, bytes);
  free(memory);
  used -= bytes;
}

void check_device(int device) {
  if (device != 0) throw DeviceError("[device] wanted device 0, the CPU emulator, got " + std::to_string(device));
}

}  // namespace

OutOfDeviceMemory::OutOfDeviceMemory(size_t asked_, size_t free_bytes_)
    : std::runtime_error("wanted " + std::to_string(asked_) + " bytes of device memory, " +
                         std::to_string(free_bytes_) + " are free"),
      asked(asked_),
      free_bytes(free_bytes_) {}

int device_count() noexcept { return 1; }
std::string device_reason() { return ""; }
DeviceProperties device_properties(int device) {
  check_device(device);
  return {"CPU emulator", 0, 0, multiprocessors(), shared_per_block(), total_memory(), free_memory(), size_t{1} << 20};
}

DeviceGuard::DeviceGuard(int device) { check_device(device); }
DeviceGuard::~DeviceGuard() { static_cast<void>(is_pushed_); }  // there is one device

AllocatorScope::AllocatorScope(const Allocator* allocator) : previous_(current_allocator) {
  current_allocator = allocator;
}
AllocatorScope::~AllocatorScope() { current_allocator = previous_; }

Memory::Memory(size_t bytes, Stream stream) : bytes_(bytes), stream_(stream), allocator_(current_allocator) {
  if (bytes == 0) return;
  if (!allocator_) {
    data_ = allocate(bytes);
    return;
  }
  data_ = allocator_->allocate(allocator_->context, bytes, stream);
  if (!data_) throw OutOfDeviceMemory(bytes, free_memory());
  memset(data_, emulator::kPoison, bytes);
}
Memory::~Memory() {
  if (!data_) return;
  if (allocator_)
    allocator_->release(allocator_->context, data_, bytes_, stream_);
  else
    release(data_, bytes_);
}
Memory::Memory(Memory&& other) noexcept { *this = std::move(other); }
Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(stream_, other.stream_);
  std::swap(allocator_, other.allocator_);
  return *this;
}

void copy_to_device(void* to, const void* from, size_t bytes, Stream) {
  if (bytes) memcpy(to, from, bytes);
}
void copy_to_host(void* to, const void* from, size_t bytes, Stream) {
  if (bytes) memcpy(to, from, bytes);
}
void copy_on_device(void* to, const void* from, size_t bytes, Stream) {
  if (bytes) memcpy(to, from, bytes);
}
void fill_bytes(void* to, int byte, size_t bytes, Stream) {
  if (bytes) memset(to, byte, bytes);
}
void synchronize(Stream) {}
void synchronize_device() {}
int current_device() { return 0; }
int multiprocessors() { return 4; }
size_t shared_per_block() { return emulator::kSharedPerBlock; }
void check_launch(const char*, Stream) {}

}  // namespace flashket::cuda
