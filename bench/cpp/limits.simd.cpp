// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Loops that do nothing but keep one unit of the machine busy. C linkage and the instruction set in the name, so that
// limits.cpp links all of them and bench/peers.py loads the one in use. Each returns how much it did.
#include "core/simd.hpp"

#define FLASHKET_JOIN_EXPANDED(a, b) a##_##b
#define FLASHKET_JOIN(a, b) FLASHKET_JOIN_EXPANDED(a, b)
#define FLASHKET_LIMIT(name) FLASHKET_JOIN(limit_##name, FLASHKET_ISA_NAMESPACE)

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Two ports with a latency of four to five cycles need ten independent chains; twelve and the two constants fit into
// sixteen registers.
constexpr int kChains = 12;

// mode 0: every instruction is a multiply-add; mode 1: every second one is a multiplication, the mix of product
// kernels.
template <class T, int mode>
FLASHKET_INLINE double busy(int64_t rounds, T seed) {
  Vec<T> chains[kChains];
  FLASHKET_UNROLL
  for (int i = 0; i < kChains; ++i) chains[i] = splat<T>(seed + T(i) * T(1e-3));
  // Values settle at addend / (1 - factor), far from overflow and from denormals.
  const Vec<T> factor = splat<T>(seed * T(0.5)), addend = splat<T>(seed * T(0.25)), near_one = splat<T>(seed);
  for (int64_t round = 0; round < rounds; ++round) {
    FLASHKET_UNROLL
    for (int i = 0; i < kChains; ++i) chains[i] = chains[i] * factor + addend;
    FLASHKET_UNROLL
    for (int i = 0; i < kChains; ++i) chains[i] = mode == 0 ? chains[i] * factor + addend : chains[i] * near_one;
  }
  Vec<T> sum{};
  FLASHKET_UNROLL
  for (int i = 0; i < kChains; ++i) sum += chains[i];
  volatile T sink = sum_lanes<T>(sum);
  (void)sink;
  return double(rounds) * 2 * kChains * kLanes<T>;
}

volatile double one = 1;  // volatile: the compiler must not know the constants

}  // namespace
}  // namespace flashket::FLASHKET_ISA_NAMESPACE

extern "C" {

// Floating-point operations done, two a lane and multiply-add.
double FLASHKET_LIMIT(fma_f32)(int64_t rounds) {
  using namespace flashket::FLASHKET_ISA_NAMESPACE;
  return 2 * busy<float, 0>(rounds, float(one));
}

double FLASHKET_LIMIT(fma_f64)(int64_t rounds) {
  using namespace flashket::FLASHKET_ISA_NAMESPACE;
  return 2 * busy<double, 0>(rounds, double(one));
}

// Lane-operations done, one a lane and instruction, multiply-adds and multiplications in turn.
double FLASHKET_LIMIT(instructions_f32)(int64_t rounds) {
  using namespace flashket::FLASHKET_ISA_NAMESPACE;
  return busy<float, 1>(rounds, float(one));
}

double FLASHKET_LIMIT(instructions_f64)(int64_t rounds) {
  using namespace flashket::FLASHKET_ISA_NAMESPACE;
  return busy<double, 1>(rounds, double(one));
}

// Reads count floats and returns the bytes of the whole vectors among them; eight streams of additions hide their
// latency.
double FLASHKET_LIMIT(read)(const float* values, int64_t count) {
  using namespace flashket::FLASHKET_ISA_NAMESPACE;
  constexpr int64_t step = 8 * kLanes<float>;
  Vec<float> sums[8]{};
  int64_t i = 0;
  for (; i + step <= count; i += step) {
    FLASHKET_UNROLL
    for (int64_t s = 0; s < 8; ++s) sums[s] += load(values + i + s * kLanes<float>);
  }
  Vec<float> sum{};
  FLASHKET_UNROLL
  for (int s = 0; s < 8; ++s) sum += sums[s];
  volatile float sink = sum_lanes<float>(sum);
  (void)sink;
  return double(i) * sizeof(float);
}

}  // extern "C"
