// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// FLASHKET_ASAN: compiled with AddressSanitizer (GCC and Clang say so differently).
#pragma once
#if defined(__SANITIZE_ADDRESS__)
#define FLASHKET_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FLASHKET_ASAN 1
#endif
#endif
