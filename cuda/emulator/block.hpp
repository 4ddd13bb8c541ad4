// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Runs a grid on the CPU: blocks one after another, each thread a fiber that runs until it has to wait for others.
// Shared memory and asynchronous copies hold NaN bits (0xff) until something is written to them. Errors end the launch
// with a DeviceError that names kernel, block, thread and source line.
// FLASHKET_EMULATOR_ORDER = forward (default) | reverse | random: the order of blocks and threads; a missing barrier
// shows as different results. FLASHKET_EMULATOR_SEED = seed of random (default 0).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace flashket::cuda::emulator {

constexpr int kLanes = 32;
constexpr int kMaxThreads = 1024;
constexpr size_t kSharedPerBlock = 232448;  // of sm_90; what a block may opt in to
constexpr int kPoison = 0xff;

struct Site {
  const char* file;
  int line;
};

// What the lanes of a warp do together, once: lanes[l] is what lane l handed to collective(), nullptr if it does not
// take part.
using Together = void (*)(void* const (&lanes)[kLanes], Site site);

// Waits until every live lane of mask calls it with the same `together` and mask; one of them then calls `together`.
// aligned: all 32 lanes, at the same source line, as mma and ldmatrix want.
void collective(const char* name, Together together, void* mine, uint32_t mask, bool aligned, Site site);

// __syncthreads: every thread of the block, at the same source line. Returns how many had a true predicate.
int barrier(const char* name, bool predicate, Site site);

void copy_async(void* to_shared, const void* from_global, bool is_valid, Site site);
void copy_async_commit();
void copy_async_wait(int pending);

void* dynamic_shared();
int lane();
[[noreturn]] void fail(const std::string& what, Site site);
// Fails unless p is 16-byte aligned and in the block's shared memory. The second half is not checked under
// AddressSanitizer, which watches the bounds itself.
void check_shared_16(const void* p, const char* what, Site site);

struct Shape {
  int64_t x, y, z;
};
void run(const char* kernel, Shape grid, int threads, size_t shared_bytes, void (*body)(void*), void* context);

}  // namespace flashket::cuda::emulator
