// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror, Shaw (SC 2011): any element of any stream is
// reached directly, so results do not depend on the order in which threads, tiles or devices work.
#pragma once
#include <cstdint>

// What the device core shares with the host is compiled for both.
#if !defined(FLASHKET_HD)
#if defined(__CUDACC__)
#define FLASHKET_HD __host__ __device__
#else
#define FLASHKET_HD
#endif
#endif

namespace flashket {

struct PhiloxBlock {
  uint32_t word[4];
};

FLASHKET_HD inline PhiloxBlock philox(PhiloxBlock counter, uint64_t key) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  uint32_t c0 = counter.word[0], c1 = counter.word[1], c2 = counter.word[2], c3 = counter.word[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0;
    const uint64_t p1 = uint64_t{0xCD9E8D57} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {{c0, c1, c2, c3}};
}

// The key of one score matrix: Gram uses batch = head = 0 and its own domain, attention one per (batch, query head),
// trajectories one for each direction of the circuit.
enum class StreamDomain : uint32_t { gram = 1, attention = 2, trajectories = 3 };

FLASHKET_HD inline uint64_t stream_key(uint64_t seed, StreamDomain domain, int64_t batch, int64_t head) {
  const PhiloxBlock b = philox({{static_cast<uint32_t>(batch), static_cast<uint32_t>(head),
                                 static_cast<uint32_t>(domain), static_cast<uint32_t>(batch >> 32)}},
                               seed);
  return (uint64_t{b.word[1]} << 32) | b.word[0];
}

// Element (row, col) of that matrix draws its numbers under this key from the counters
// {low col, low row, high col << 16 | high row, attempt}: the low 32 bits of an index and the 16 above them, so indices
// count modulo 2^48. Words 0 and 1 of the block make its first uniform, 2 and 3 its second. See noise/shots.simd.cpp.

}  // namespace flashket
