// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The functions of cuTensorNet 2.x that FlashKet calls, typed here so that building needs no cuQuantum. Where its
// header is at hand, cutensornet_check.cpp compares every one of them with it.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/runtime.hpp"

namespace flashket::cuda::cutensornet {

using Handle = void*;
using State = void*;
using Workspace = void*;
using Operator = void*;
using Expectation = void*;
struct DoubleComplex {  // cuDoubleComplex: how a coefficient passes by value
  double x, y;
};

enum : int { kComplex32 = 4, kComplex64 = 5 };  // cudaDataType_t
enum : int { kPure = 0, kOpenBoundary = 0, kRecommended = 1, kDeviceMemory = 0, kScratch = 0 };
enum : int { kConfigSvdAlgorithm = 20 };
enum : int { kSvdJacobi = 1 };

// X(name, result, parameters): cutensornet ## name. Enumerations cross as int, which has their size.
#define FLASHKET_CUTENSORNET_FUNCTIONS(X)                                                                             \
  X(Create, int, (Handle*))                                                                                           \
  X(GetVersion, size_t, ())                                                                                           \
  X(GetErrorString, const char*, (int))                                                                               \
  X(CreateState, int, (Handle, int, int32_t, const int64_t*, int, State*))                                            \
  X(DestroyState, int, (State))                                                                                       \
  X(StateApplyTensorOperator, int,                                                                                    \
    (Handle, State, int32_t, const int32_t*, void*, const int64_t*, int32_t, int32_t, int32_t, int64_t*))             \
  X(StateApplyTensorOperatorWithGradient, int,                                                                        \
    (Handle, State, int32_t, const int32_t*, void*, const int64_t*, int32_t, int32_t, int32_t, void*, const int64_t*, \
     int64_t*))                                                                                                       \
  X(StateUpdateTensorOperator, int, (Handle, State, int64_t, void*, int32_t))                                         \
  X(StateFinalizeMPS, int, (Handle, State, int, const int64_t* const*, const int64_t* const*))                        \
  X(StateConfigure, int, (Handle, State, int, const void*, size_t))                                                   \
  X(StatePrepare, int, (Handle, State, size_t, Workspace, Stream))                                                    \
  X(StateCompute, int, (Handle, State, Workspace, int64_t**, int64_t**, void**, Stream))                              \
  X(CreateWorkspaceDescriptor, int, (Handle, Workspace*))                                                             \
  X(DestroyWorkspaceDescriptor, int, (Workspace))                                                                     \
  X(WorkspaceGetMemorySize, int, (Handle, Workspace, int, int, int, int64_t*))                                        \
  X(WorkspaceSetMemory, int, (Handle, Workspace, int, int, void*, int64_t))                                           \
  X(CreateNetworkOperator, int, (Handle, int32_t, const int64_t*, int, Operator*))                                    \
  X(NetworkOperatorAppendProduct, int,                                                                                \
    (Handle, Operator, DoubleComplex, int32_t, const int32_t*, const int32_t**, const int64_t**, const void**,        \
     int64_t*))                                                                                                       \
  X(DestroyNetworkOperator, int, (Operator))                                                                          \
  X(CreateExpectation, int, (Handle, State, Operator, Expectation*))                                                  \
  X(ExpectationPrepare, int, (Handle, Expectation, size_t, Workspace, Stream))                                        \
  X(ExpectationCompute, int, (Handle, Expectation, Workspace, void*, void*, Stream))                                  \
  X(ExpectationComputeWithGradientsBackward, int,                                                                     \
    (Handle, Expectation, int32_t, const void*, const void*, Workspace, void*, void*, Stream))                        \
  X(DestroyExpectation, int, (Expectation))

struct Functions {
#define FLASHKET_DECLARE(name, result, parameters) result(*name) parameters;
  FLASHKET_CUTENSORNET_FUNCTIONS(FLASHKET_DECLARE)
#undef FLASHKET_DECLARE
};

}  // namespace flashket::cuda::cutensornet
