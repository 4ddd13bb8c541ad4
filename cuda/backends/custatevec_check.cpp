// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Compiles only if our declarations agree with cuStateVec's own header. Nothing here runs; built where the header is.
#include <custatevec.h>

#include "backends/custatevec_api.hpp"
#include "backends/header_check.hpp"

namespace flashket::cuda::custatevec {

#define FLASHKET_AGREE(name, result, parameters) \
  static_assert(Agree<result(*) parameters, decltype(&custatevec##name)>::value, "custatevec" #name);
FLASHKET_CUSTATEVEC_FUNCTIONS(FLASHKET_AGREE)
#undef FLASHKET_AGREE

static_assert(kComplex32 == int{CUDA_C_32F} && kComplex64 == int{CUDA_C_64F});
static_assert(kRowMajor == int{CUSTATEVEC_MATRIX_LAYOUT_ROW});
static_assert(kBroadcast == int{CUSTATEVEC_MATRIX_MAP_TYPE_BROADCAST} &&
              kIndexed == int{CUSTATEVEC_MATRIX_MAP_TYPE_MATRIX_INDEXED});
static_assert(kCompute32 == int{CUSTATEVEC_COMPUTE_32F} && kCompute64 == int{CUSTATEVEC_COMPUTE_64F});
static_assert(kPauliX == int{CUSTATEVEC_PAULI_X} && kPauliY == int{CUSTATEVEC_PAULI_Y} &&
              kPauliZ == int{CUSTATEVEC_PAULI_Z});
static_assert(kRandomNumberOrder == int{CUSTATEVEC_SAMPLER_OUTPUT_RANDNUM_ORDER} &&
              kZeroState == int{CUSTATEVEC_STATE_VECTOR_TYPE_ZERO});

}  // namespace flashket::cuda::custatevec
