// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// core/runtime.hpp over the CUDA runtime. Its twin without a GPU is emulator/runtime.cpp.
#include "core/runtime.hpp"

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

namespace flashket::cuda {
namespace {

// Memory kept for the next call instead of being given back to the device at every synchronisation.
constexpr uint64_t kKeptBytes = uint64_t{256} << 20;

thread_local const Allocator* current_allocator = nullptr;

// After these the runtime refuses every further call of the process.
bool is_sticky(cudaError_t error) {
  return error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure || error == cudaErrorAssert ||
         error == cudaErrorIllegalInstruction || error == cudaErrorMisalignedAddress ||
         error == cudaErrorInvalidAddressSpace || error == cudaErrorInvalidPc || error == cudaErrorHardwareStackError ||
         error == cudaErrorLaunchTimeout || error == cudaErrorECCUncorrectable;
}

[[noreturn]] void fail(const std::string& place, cudaError_t error) {
  cudaGetLastError();  // an error that does not stick must not be reported again by the next call
  std::string text = "[" + place + "] CUDA reports " + cudaGetErrorName(error) + ": " + cudaGetErrorString(error);
  if (is_sticky(error)) text += "; this process cannot use the device any more, start a new one";
  throw DeviceError(text);
}

void check(cudaError_t error, const char* place) {
  if (error != cudaSuccess) fail(place, error);
}

bool wants_synchronous() {
  const char* text = getenv("FLASHKET_SYNC");
  return text && !strcmp(text, "1");
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

int attribute(cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, current_device()), "cudaDeviceGetAttribute");
  return value;
}

// A pool of our own: the device's default one belongs to the application, its settings too.
cudaMemPool_t memory_pool() {
  static std::mutex lock;
  static std::vector<cudaMemPool_t> pools;  // one a device, never destroyed: the driver may be gone before us
  const auto device = static_cast<size_t>(current_device());
  const std::lock_guard<std::mutex> guard(lock);
  if (pools.size() <= device) pools.resize(device + 1, nullptr);
  if (!pools[device]) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = static_cast<int>(device);
    check(cudaMemPoolCreate(&pools[device], &properties), "cudaMemPoolCreate");
    uint64_t kept = kKeptBytes;
    check(cudaMemPoolSetAttribute(pools[device], cudaMemPoolAttrReleaseThreshold, &kept), "cudaMemPoolSetAttribute");
  }
  return pools[device];
}

size_t free_memory() {
  size_t free_bytes = 0, total = 0;
  if (cudaMemGetInfo(&free_bytes, &total) != cudaSuccess) cudaGetLastError();
  return free_bytes;
}

void* allocate(size_t bytes, Stream stream) {
  void* memory = nullptr;
  const cudaMemPool_t pool = memory_pool();
  cudaError_t error = cudaMallocFromPoolAsync(&memory, bytes, pool, stream);
  if (error == cudaErrorMemoryAllocation) {  // what the pool keeps unused, or frees soon, may be enough
    cudaGetLastError();
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    check(cudaMemPoolTrimTo(pool, 0), "cudaMemPoolTrimTo");
    error = cudaMallocFromPoolAsync(&memory, bytes, pool, stream);
  }
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfDeviceMemory(bytes, free_memory());
  }
  check(error, "cudaMallocFromPoolAsync");
  return memory;
}

// The driver's functions, by the runtime that is linked anyway: linking libcuda would make it needed for importing.
template <class Function>
Function* driver_function(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result{};
  check(cudaGetDriverEntryPointByVersion(name, &found, CUDART_VERSION, cudaEnableDefault, &result), name);
  if (result != cudaDriverEntryPointSuccess) fail(name, cudaErrorSymbolNotFound);
  return reinterpret_cast<Function*>(found);
}

void check_driver(CUresult error, const char* place) {
  if (error != CUDA_SUCCESS)
    throw DeviceError(std::string("[") + place + "] the driver reports error " + std::to_string(error));
}

// Kept for ever, as the runtime keeps those that it makes.
CUcontext primary_context(int device) {
  static std::mutex lock;
  static std::vector<CUcontext> contexts;
  const std::lock_guard<std::mutex> guard(lock);
  const auto index = static_cast<size_t>(device);
  if (contexts.size() <= index) contexts.resize(index + 1, nullptr);
  if (!contexts[index]) {
    CUdevice handle = 0;
    check_driver(driver_function<CUresult(CUdevice*, int)>("cuDeviceGet")(&handle, device), "cuDeviceGet");
    check_driver(driver_function<CUresult(CUcontext*, CUdevice)>("cuDevicePrimaryCtxRetain")(&contexts[index], handle),
                 "cuDevicePrimaryCtxRetain");
  }
  return contexts[index];
}

}  // namespace

OutOfDeviceMemory::OutOfDeviceMemory(size_t asked_, size_t free_bytes_)
    : std::runtime_error("wanted " + std::to_string(asked_) + " bytes of device memory, " +
                         std::to_string(free_bytes_) + " are free"),
      asked(asked_),
      free_bytes(free_bytes_) {}

int device_count() noexcept {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

std::string device_reason() {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) cudaGetLastError();
  if (cudaDriverGetVersion(&driver) != cudaSuccess) cudaGetLastError();
  if (cudaRuntimeGetVersion(&runtime) != cudaSuccess) cudaGetLastError();
  if (error == cudaSuccess && count > 0) return "";
  if (driver == 0) return "no driver: this machine has no NVIDIA driver";
  if (error == cudaErrorInsufficientDriver)
    return "the driver is too old: it supports CUDA " + version_text(driver) + ", FlashKet needs " +
           version_text(runtime) + " (driver 580 or newer)";
  if (error == cudaSuccess || error == cudaErrorNoDevice)
    return "no device: the driver sees no NVIDIA GPU (hidden by CUDA_VISIBLE_DEVICES, or not in this container?)";
  return std::string("the CUDA runtime does not start: ") + cudaGetErrorString(error);
}

DeviceProperties device_properties(int device) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device), "cudaGetDeviceProperties");
  const DeviceGuard guard(device);
  size_t free_bytes = 0, total = 0;
  check(cudaMemGetInfo(&free_bytes, &total), "cudaMemGetInfo");
  return {p.name,
          p.major,
          p.minor,
          p.multiProcessorCount,
          p.sharedMemPerBlockOptin,
          total,
          free_bytes,
          static_cast<size_t>(p.l2CacheSize)};
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

DeviceGuard::DeviceGuard(int device) {
  if (device == current_device()) return;
  // cudaSetDevice would make a context, hundreds of megabytes, on the device that is put back, too.
  static auto* const push = driver_function<CUresult(CUcontext)>("cuCtxPushCurrent");
  check_driver(push(primary_context(device)), "cuCtxPushCurrent");
  is_pushed_ = true;
}
DeviceGuard::~DeviceGuard() {
  if (!is_pushed_) return;
  static auto* const pop = driver_function<CUresult(CUcontext*)>("cuCtxPopCurrent");
  CUcontext popped = nullptr;
  static_cast<void>(pop(&popped));
}

AllocatorScope::AllocatorScope(const Allocator* allocator) : previous_(current_allocator) {
  current_allocator = allocator;
}
AllocatorScope::~AllocatorScope() { current_allocator = previous_; }

Memory::Memory(size_t bytes, Stream stream) : bytes_(bytes), stream_(stream), allocator_(current_allocator) {
  if (bytes == 0) return;
  data_ = allocator_ ? allocator_->allocate(allocator_->context, bytes, stream) : allocate(bytes, stream);
  if (!data_) throw OutOfDeviceMemory(bytes, free_memory());
}
Memory::~Memory() {
  if (!data_) return;
  if (allocator_) {
    allocator_->release(allocator_->context, data_, bytes_, stream_);
  } else if (cudaFreeAsync(data_, stream_) != cudaSuccess) {
    cudaGetLastError();  // an earlier error is reported where it is found; a destructor has nobody to tell
  }
}
Memory::Memory(Memory&& other) noexcept { *this = std::move(other); }
Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  std::swap(stream_, other.stream_);
  std::swap(allocator_, other.allocator_);
  return *this;
}

void copy_to_device(void* to, const void* from, size_t bytes, Stream stream) {
  if (!bytes) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), "copy to the device");
  // From pinned memory the device may still be reading, and from any where it shares the host's page tables (Grace);
  // else the runtime returns when it holds a copy.
  cudaPointerAttributes attributes{};
  const cudaError_t error = cudaPointerGetAttributes(&attributes, from);
  if (error != cudaSuccess) cudaGetLastError();
  if (error != cudaSuccess || attributes.type != cudaMemoryTypeUnregistered ||
      attribute(cudaDevAttrPageableMemoryAccessUsesHostPageTables) != 0)
    check(cudaStreamSynchronize(stream), "copy to the device");
}
void copy_to_host(void* to, const void* from, size_t bytes, Stream stream) {
  if (!bytes) return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "copy to the host");
  check(cudaStreamSynchronize(stream), "copy to the host");
}
void copy_on_device(void* to, const void* from, size_t bytes, Stream stream) {
  if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream), "copy on the device");
}
void fill_bytes(void* to, int byte, size_t bytes, Stream stream) {
  if (bytes) check(cudaMemsetAsync(to, byte, bytes, stream), "cudaMemsetAsync");
}
void synchronize_device() { check(cudaDeviceSynchronize(), "cudaDeviceSynchronize"); }
void synchronize(Stream stream) { check(cudaStreamSynchronize(stream), "cudaStreamSynchronize"); }

int multiprocessors() { return attribute(cudaDevAttrMultiProcessorCount); }
size_t shared_per_block() { return static_cast<size_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)); }

void check_launch(const char* kernel, Stream stream) {
  check(cudaGetLastError(), kernel);
  if (wants_synchronous()) check(cudaStreamSynchronize(stream), kernel);
}

}  // namespace flashket::cuda
