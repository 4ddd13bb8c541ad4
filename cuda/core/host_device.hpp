// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// For formulas that host and device share; includes nothing of CUDA.
#pragma once

#if defined(__CUDACC__)
#define FLASHKET_HD __host__ __device__
#else
#define FLASHKET_HD
#endif
