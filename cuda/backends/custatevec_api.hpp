// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The functions of cuStateVec 1.x that FlashKet calls, typed here so that building needs no cuQuantum. Where its header
// is at hand, custatevec_check.cpp compares every one of them with it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/runtime.hpp"

namespace flashket::cuda::custatevec {

using Handle = struct custatevecContext*;
using Sampler = struct custatevecSamplerDescriptor*;
using Index = int64_t;

// cudaDataType_t
enum : int { kComplex32 = 4, kComplex64 = 5 };
enum : int { kRowMajor = 1 };
enum : int { kBroadcast = 0, kIndexed = 1 };
enum : int { kCompute32 = 1 << 2, kCompute64 = 1 << 4 };
enum : int { kPauliI = 0, kPauliX = 1, kPauliY = 2, kPauliZ = 3 };
enum : int { kRandomNumberOrder = 0 };
enum : int { kZeroState = 0 };

// X(name, result, parameters): custatevec ## name. Enumerations cross as int, which has their size.
#define FLASHKET_CUSTATEVEC_FUNCTIONS(X)                                                                              \
  X(Create, int, (Handle*))                                                                                           \
  X(Destroy, int, (Handle))                                                                                           \
  X(SetStream, int, (Handle, Stream))                                                                                 \
  X(GetErrorString, const char*, (int))                                                                               \
  X(GetProperty, int, (int, int32_t*))                                                                                \
  X(InitializeStateVector, int, (Handle, void*, int, uint32_t, int))                                                  \
  X(ApplyMatrixGetWorkspaceSize, int,                                                                                 \
    (Handle, int, uint32_t, const void*, int, int, int32_t, uint32_t, uint32_t, int, size_t*))                        \
  X(ApplyMatrix, int,                                                                                                 \
    (Handle, void*, int, uint32_t, const void*, int, int, int32_t, const int32_t*, uint32_t, const int32_t*,          \
     const int32_t*, uint32_t, int, void*, size_t))                                                                   \
  X(ApplyMatrixBatchedGetWorkspaceSize, int,                                                                          \
    (Handle, int, uint32_t, uint32_t, Index, int, const int32_t*, const void*, int, int, int32_t, uint32_t, uint32_t, \
     uint32_t, int, size_t*))                                                                                         \
  X(ApplyMatrixBatched, int,                                                                                          \
    (Handle, void*, int, uint32_t, uint32_t, Index, int, const int32_t*, const void*, int, int, int32_t, uint32_t,    \
     const int32_t*, uint32_t, const int32_t*, const int32_t*, uint32_t, int, void*, size_t))                         \
  X(ApplyPauliRotation, int,                                                                                          \
    (Handle, void*, int, uint32_t, double, const int*, const int32_t*, uint32_t, const int32_t*, const int32_t*,      \
     uint32_t))                                                                                                       \
  X(ComputeExpectationsOnPauliBasis, int,                                                                             \
    (Handle, const void*, int, uint32_t, double*, const int**, uint32_t, const int32_t**, const uint32_t*))           \
  X(SamplerCreate, int, (Handle, const void*, int, uint32_t, Sampler*, uint32_t, size_t*))                            \
  X(SamplerPreprocess, int, (Handle, Sampler, void*, size_t))                                                         \
  X(SamplerSample, int, (Handle, Sampler, Index*, const int32_t*, uint32_t, const double*, uint32_t, int))            \
  X(SamplerDestroy, int, (Sampler))

struct Functions {
#define FLASHKET_DECLARE(name, result, parameters) result(*name) parameters;
  FLASHKET_CUSTATEVEC_FUNCTIONS(FLASHKET_DECLARE)
#undef FLASHKET_DECLARE
};

}  // namespace flashket::cuda::custatevec
