// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The names of core/device.hpp for a C++ compiler: included by it under FLASHKET_EMULATE, never directly. How a kernel
// is run and tested with it: emulator/README.md.
#pragma once
#include "emulator/asan.hpp"
#include "emulator/block.hpp"
#include "emulator/math.hpp"

// Kernels have internal linkage, so that GCC accepts one section for all their __shared__ variables: declare those in
// FK_KERNEL functions only.
#define FK_KERNEL static
#define FK_DEVICE inline
#define FK_HD inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// One block runs at a time. Together in one section they can be poisoned when a block starts; under AddressSanitizer,
// which gives red zones only to variables without a section of their own, they are not.
#if defined(FLASHKET_ASAN)
#define __shared__ static
#else
#define __shared__ static __attribute__((section("flashket_shared")))
#endif

// The line of the caller, for messages and to tell barriers apart.
#define FLASHKET_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace flashket::cuda {

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = kWarp;

template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulator::dynamic_shared());
}

inline void __syncthreads(FLASHKET_SITE) { emulator::barrier("__syncthreads", false, {file, line}); }
inline int __syncthreads_count(int predicate, FLASHKET_SITE) {
  return emulator::barrier("__syncthreads_count", predicate != 0, {file, line});
}
inline int __syncthreads_or(int predicate, FLASHKET_SITE) {
  return emulator::barrier("__syncthreads_or", predicate != 0, {file, line}) != 0;
}
inline int __syncthreads_and(int predicate, FLASHKET_SITE) {
  return emulator::barrier("__syncthreads_and", predicate != 0, {file, line}) == static_cast<int>(blockDim.x);
}
inline void __syncwarp(uint32_t mask = 0xffffffffu, FLASHKET_SITE) {
  emulator::collective("__syncwarp", nullptr, nullptr, mask, false, {file, line});
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// ---- votes and shuffles ----
namespace emulator {

struct Vote {
  bool predicate;
  uint32_t ballot;
};
void vote(void* const (&lanes)[kLanes], Site site);

template <class T>
struct Shuffle {
  T value, result;
  int from;  // lane
};
// A lane that takes no part gives NaN bits.
template <class T>
void shuffle(void* const (&lanes)[kLanes], Site) {
  for (void* mine : lanes) {
    if (!mine) continue;
    Shuffle<T>& to = *static_cast<Shuffle<T>*>(mine);
    if (const void* from = lanes[to.from]) {
      to.result = static_cast<const Shuffle<T>*>(from)->value;
    } else {
      memset(&to.result, kPoison, sizeof to.result);
    }
  }
}
template <class T>
T shuffle_from(const char* name, uint32_t mask, T value, int from, Site site) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  Shuffle<T> mine{value, value, from};
  collective(name, shuffle<T>, &mine, mask, false, site);
  return mine.result;
}

}  // namespace emulator

inline uint32_t __ballot_sync(uint32_t mask, int predicate, FLASHKET_SITE) {
  emulator::Vote mine{predicate != 0, 0};
  emulator::collective("__ballot_sync", emulator::vote, &mine, mask, false, {file, line});
  return mine.ballot;
}
inline int __any_sync(uint32_t mask, int predicate, FLASHKET_SITE) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(uint32_t mask, int predicate, FLASHKET_SITE) {
  return __ballot_sync(mask, !predicate, file, line) == 0;
}
// Within groups of `width` lanes (a power of two); a lane that would read past its group keeps its own value.
template <class T>
T __shfl_sync(uint32_t mask, T value, int from, int width = kWarp, FLASHKET_SITE) {
  const int lane = emulator::lane(), first = lane & ~(width - 1);
  return emulator::shuffle_from("__shfl_sync", mask, value, first | (from & (width - 1)), {file, line});
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = kWarp, FLASHKET_SITE) {
  const int lane = emulator::lane(), last = lane | (width - 1), from = lane ^ bits;
  return emulator::shuffle_from("__shfl_xor_sync", mask, value, from <= last ? from : lane, {file, line});
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned by, int width = kWarp, FLASHKET_SITE) {
  const int lane = emulator::lane(), last = lane | (width - 1), from = lane + static_cast<int>(by);
  return emulator::shuffle_from("__shfl_down_sync", mask, value, from <= last ? from : lane, {file, line});
}
template <class T>
T __shfl_up_sync(uint32_t mask, T value, unsigned by, int width = kWarp, FLASHKET_SITE) {
  const int lane = emulator::lane(), first = lane & ~(width - 1), from = lane - static_cast<int>(by);
  return emulator::shuffle_from("__shfl_up_sync", mask, value, from >= first ? from : lane, {file, line});
}

// ---- memory ----
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, T value) {
  *p = value;
}

// Plain read, change, write: one thread runs at a time. The types are those CUDA has.
#define FLASHKET_ATOMIC(name, T, expression) \
  inline T name(T* p, T value) {             \
    const T old = *p;                        \
    *p = (expression);                       \
    return old;                              \
  }
#define FLASHKET_ATOMIC_INTEGERS(name, expression) \
  FLASHKET_ATOMIC(name, int, expression)           \
  FLASHKET_ATOMIC(name, unsigned, expression)      \
  FLASHKET_ATOMIC(name, unsigned long long, expression)
FLASHKET_ATOMIC_INTEGERS(atomicAdd, old + value)
FLASHKET_ATOMIC_INTEGERS(atomicMax, old > value ? old : value)
FLASHKET_ATOMIC_INTEGERS(atomicMin, old < value ? old : value)
FLASHKET_ATOMIC_INTEGERS(atomicOr, old | value)
FLASHKET_ATOMIC_INTEGERS(atomicAnd, old& value)
FLASHKET_ATOMIC_INTEGERS(atomicExch, value)
FLASHKET_ATOMIC(atomicAdd, float, old + value)
FLASHKET_ATOMIC(atomicAdd, double, old + value)
FLASHKET_ATOMIC(atomicExch, float, value)
#undef FLASHKET_ATOMIC_INTEGERS
#undef FLASHKET_ATOMIC
template <class T>
T atomicCAS(T* p, T expected, T value) {
  const T old = *p;
  if (old == expected) *p = value;
  return old;
}

// ---- what core/device.hpp adds ----
FK_DEVICE float to_float(half_t h) { return half_bits_to_float(h.bits); }
FK_DEVICE float to_float(bfloat16_t b) { return bfloat16_bits_to_float(b.bits); }
FK_DEVICE float to_float(float x) { return x; }
FK_DEVICE half_t to_half(float x) { return {float_to_half_bits(x)}; }
FK_DEVICE bfloat16_t to_bfloat16(float x) { return {float_to_bfloat16_bits(x)}; }
FK_DEVICE uint32_t pack_half(float low, float high) {
  return float_to_half_bits(low) | static_cast<uint32_t>(float_to_half_bits(high)) << 16;
}
FK_DEVICE uint32_t pack_bfloat16(float low, float high) {
  return float_to_bfloat16_bits(low) | static_cast<uint32_t>(float_to_bfloat16_bits(high)) << 16;
}

namespace emulator {

struct Mma {
  float* c;
  const uint32_t* a;
  uint32_t b[2];
};
void mma_half(void* const (&lanes)[kLanes], Site site);
void mma_bfloat16(void* const (&lanes)[kLanes], Site site);
void mma_tf32(void* const (&lanes)[kLanes], Site site);

struct LoadMatrix {
  uint32_t* r;
  const void* row;
};
void load_matrix(void* const (&lanes)[kLanes], Site site);
void load_matrix_transposed(void* const (&lanes)[kLanes], Site site);

}  // namespace emulator

inline void mma_half(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, FLASHKET_SITE) {
  emulator::Mma mine{c, a, {b0, b1}};
  emulator::collective("mma_half", emulator::mma_half, &mine, 0xffffffffu, true, {file, line});
}
inline void mma_bfloat16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, FLASHKET_SITE) {
  emulator::Mma mine{c, a, {b0, b1}};
  emulator::collective("mma_bfloat16", emulator::mma_bfloat16, &mine, 0xffffffffu, true, {file, line});
}
FK_DEVICE uint32_t tf32_bits(float x) { return __float_as_uint(x) & 0xffffe000u; }
inline void mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, FLASHKET_SITE) {
  emulator::Mma mine{c, a, {b0, b1}};
  emulator::collective("mma_tf32", emulator::mma_tf32, &mine, 0xffffffffu, true, {file, line});
}
inline void load_matrix_x4(uint32_t (&r)[4], const void* row, FLASHKET_SITE) {
  emulator::LoadMatrix mine{r, row};
  emulator::collective("load_matrix_x4", emulator::load_matrix, &mine, 0xffffffffu, true, {file, line});
}
inline void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row, FLASHKET_SITE) {
  emulator::LoadMatrix mine{r, row};
  emulator::collective("load_matrix_x4_transposed", emulator::load_matrix_transposed, &mine, 0xffffffffu, true,
                       {file, line});
}

inline void copy_async_16(void* to_shared, const void* from_global, bool is_valid = true, FLASHKET_SITE) {
  emulator::copy_async(to_shared, from_global, is_valid, {file, line});
}
inline void copy_async_commit() { emulator::copy_async_commit(); }
template <int pending>
void copy_async_wait() {
  emulator::copy_async_wait(pending);
}

}  // namespace flashket::cuda

#undef FLASHKET_SITE
