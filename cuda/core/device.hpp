// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What device code may use beyond plain C++: the only file that names PTX and CUDA intrinsics. Compiled by nvcc it is
// the GPU; compiled with FLASHKET_EMULATE the same names come from emulator/device.hpp and kernels run on the CPU, a
// fiber a thread, which is how they are tested where no GPU is at hand.
//
// Names both have: FK_KERNEL, FK_DEVICE, FK_HD; threadIdx, blockIdx, blockDim, gridDim; __shared__,
// dynamic_shared<T>();
// __syncthreads, __syncwarp, __shfl_sync, __shfl_xor_sync, __shfl_down_sync, __ballot_sync, __any_sync, atomicAdd,
// __ldg, __stcs, __popc, __umulhi, C's math functions with f, sincospif, sincospi, rsqrtf, __expf; and what follows.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace flashket::cuda {

constexpr int kWarp = 32;

// 16-bit floats as bits: arithmetic happens in float or in the matrix units.
struct half_t {
  uint16_t bits;
};
struct bfloat16_t {
  uint16_t bits;
};

}  // namespace flashket::cuda

#if defined(FLASHKET_EMULATE)
#include "emulator/device.hpp"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define FK_KERNEL __global__
#define FK_DEVICE __device__ __forceinline__
#define FK_HD __host__ __device__ inline

namespace flashket::cuda {

// The block's dynamic shared memory, 128-byte aligned.
template <class T>
FK_DEVICE T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char flashket_dynamic_shared[];
  return reinterpret_cast<T*>(flashket_dynamic_shared);
}

FK_DEVICE float to_float(half_t h) { return __half2float(__ushort_as_half(h.bits)); }
FK_DEVICE float to_float(bfloat16_t b) { return __uint_as_float(static_cast<uint32_t>(b.bits) << 16); }
FK_DEVICE float to_float(float x) { return x; }
FK_DEVICE half_t to_half(float x) { return {__half_as_ushort(__float2half_rn(x))}; }
FK_DEVICE bfloat16_t to_bfloat16(float x) { return {__bfloat16_as_ushort(__float2bfloat16_rn(x))}; }

// Two 16-bit floats in one register, the first in the low half: an operand of mma.
FK_DEVICE uint32_t pack_half(float low, float high) {
  const __half2 v = __floats2half2_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&v);
}
FK_DEVICE uint32_t pack_bfloat16(float low, float high) {
  const __nv_bfloat162 v = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&v);
}

FK_DEVICE uint32_t shared_address(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// c += a b, (16 x 16) (16 x 8), fp32 sums. Lane l, g = l / 4, t = l % 4: c = rows g, g, g + 8, g + 8, columns 2t, 2t +
// 1; a[0] = row g, columns 2t, 2t + 1; a[1] = row g + 8; a[2], a[3] = the same 8 columns on; b0 = rows 2t, 2t + 1 of
// column g; b1 = 8 rows on. (PTX ISA, mma.m16n8k16)
FK_DEVICE void mma_half(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
FK_DEVICE void mma_bfloat16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The bits of a float that mma_tf32 reads: sign, exponent, 10 of the mantissa.
FK_DEVICE uint32_t tf32_bits(float x) { return __float_as_uint(x) & 0xffffe000u; }

// c += a b, (16 x 8) (8 x 8) of tf32 numbers, fp32 sums. Lane l, g = l / 4, t = l % 4: c as above; a[0] = row g, column
// t; a[1] = row g + 8; a[2], a[3] = the same 4 columns on; b0 = row t of column g, b1 = 4 rows on. (PTX ISA,
// mma.m16n8k8)
FK_DEVICE void mma_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices of 16-bit values from shared memory; lanes 8i .. 8i + 7 give the row addresses (16-byte aligned)
// of matrix i; lane l gets row l / 4, columns 2 (l % 4), + 1 of each. transposed: of each one's transpose.
FK_DEVICE void load_matrix_x4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
FK_DEVICE void load_matrix_x4_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3},[%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// 16 bytes from global to shared memory, arriving when waited for; zeros instead where !is_valid (from is not read).
FK_DEVICE void copy_async_16(void* to_shared, const void* from_global, bool is_valid = true) {
  asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;\n" ::"r"(shared_address(to_shared)), "l"(from_global),
               "r"(is_valid ? 16 : 0)
               : "memory");
}
FK_DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
// Waits until at most `pending` of the thread's newest groups are under way; a barrier makes them visible to others.
template <int pending>
FK_DEVICE void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(pending) : "memory");
}

}  // namespace flashket::cuda
#endif
