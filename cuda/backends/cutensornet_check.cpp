// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Compiles only if our declarations agree with cuTensorNet's own header. Nothing here runs; built where the header is.
#include <cutensornet.h>

#include "backends/cutensornet_api.hpp"
#include "backends/header_check.hpp"

template <>
struct flashket::cuda::Canonical<cuDoubleComplex> {
  using type = flashket::cuda::cutensornet::DoubleComplex;
  static_assert(sizeof(type) == sizeof(cuDoubleComplex));
};

namespace flashket::cuda::cutensornet {

#define FLASHKET_AGREE(name, result, parameters) \
  static_assert(Agree<result(*) parameters, decltype(&cutensornet##name)>::value, "cutensornet" #name);
FLASHKET_CUTENSORNET_FUNCTIONS(FLASHKET_AGREE)
#undef FLASHKET_AGREE

static_assert(kComplex32 == int{CUDA_C_32F} && kComplex64 == int{CUDA_C_64F});
static_assert(kPure == int{CUTENSORNET_STATE_PURITY_PURE} && kOpenBoundary == int{CUTENSORNET_BOUNDARY_CONDITION_OPEN});
static_assert(kRecommended == int{CUTENSORNET_WORKSIZE_PREF_RECOMMENDED});
static_assert(kDeviceMemory == int{CUTENSORNET_MEMSPACE_DEVICE} && kScratch == int{CUTENSORNET_WORKSPACE_SCRATCH});
static_assert(kConfigSvdAlgorithm == int{CUTENSORNET_STATE_CONFIG_MPS_SVD_ALGO});
static_assert(kSvdJacobi == int{CUTENSORNET_TENSOR_SVD_ALGO_GESVDJ});

}  // namespace flashket::cuda::cutensornet
