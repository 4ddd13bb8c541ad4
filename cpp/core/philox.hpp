// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror, Shaw (SC 2011): any element of any stream is
// reached directly, so results do not depend on the order in which threads, tiles or devices work.
#pragma once
#include <cstdint>

namespace flashket {

struct PhiloxBlock {
  uint32_t word[4];
};

inline PhiloxBlock philox(PhiloxBlock counter, uint64_t key) {
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

// The key of one score matrix: Gram uses batch = head = 0 and its own domain, attention one per (batch, query head).
enum class StreamDomain : uint32_t { gram = 1, attention = 2 };

inline uint64_t stream_key(uint64_t seed, StreamDomain domain, int64_t batch, int64_t head) {
  const PhiloxBlock b = philox({{static_cast<uint32_t>(batch), static_cast<uint32_t>(head),
                                 static_cast<uint32_t>(domain), static_cast<uint32_t>(batch >> 32)}},
                               seed);
  return (uint64_t{b.word[1]} << 32) | b.word[0];
}

// The numbers of one score (row, col). Indices count modulo 2^48; attempt a is the a-th block of the score's stream.
class ScoreStream {
 public:
  ScoreStream(uint64_t key, int64_t row, int64_t col)
      : key_(key),
        low_col_(static_cast<uint32_t>(col)),
        low_row_(static_cast<uint32_t>(row)),
        high_((static_cast<uint32_t>(static_cast<uint64_t>(col) >> 32) << 16) |
              (static_cast<uint32_t>(static_cast<uint64_t>(row) >> 32) & 0xffff)) {}

  // Two uniforms in the open interval (0, 1), 52 bits and a half step each.
  void next(double& u, double& v) {
    const PhiloxBlock b = philox({{low_col_, low_row_, high_, attempt_++}}, key_);
    u = unit(b.word[0], b.word[1]);
    v = unit(b.word[2], b.word[3]);
  }

 private:
  static double unit(uint32_t low, uint32_t high) {
    const uint64_t bits = ((uint64_t{high} << 32) | low) >> 12;
    return (static_cast<double>(bits) + 0.5) * 0x1p-52;
  }

  uint64_t key_;
  uint32_t low_col_, low_row_, high_, attempt_ = 0;
};

}  // namespace flashket
