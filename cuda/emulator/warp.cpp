// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// What a warp does together. Fragment layouts: PTX ISA, mma.m16n8k16 with 16-bit operands, mma.m16n8k8 with
// tf32 operands, and ldmatrix .x4 .b16.
#include <algorithm>
#include <cfloat>

#include "core/device.hpp"

namespace flashket::cuda::emulator {

void vote(void* const (&lanes)[kLanes], Site) {
  uint32_t ballot = 0;
  for (int l = 0; l < kLanes; ++l)
    if (lanes[l] && static_cast<const Vote*>(lanes[l])->predicate) ballot |= 1u << l;
  for (void* mine : lanes)
    if (mine) static_cast<Vote*>(mine)->ballot = ballot;
}

namespace {

float towards_zero(double x) {
  const float f = static_cast<float>(x);
  return std::fabs(static_cast<double>(f)) > std::fabs(x) ? nextafterf(f, 0.0f) : f;
}

// c + sum of n products, 8 of 16-bit and 4 of tf32 operands, as the matrix units of sm_80 add: every term cut (not
// rounded) to 24 bits and one more below the largest one's leading bit, the sum cut to float. Later architectures keep
// more bits; what holds here holds there. (Fasi, Higham, Mikaitis, Pranesh, "Numerical behavior of NVIDIA tensor
// cores", PeerJ Comput. Sci. 7:e330, 2021)
template <int n>
float add_products(float c, const float* a, const float* b) {
  double terms[n + 1];
  for (int k = 0; k < n; ++k) terms[k] = static_cast<double>(a[k]) * static_cast<double>(b[k]);
  terms[n] = static_cast<double>(c);
  double largest = 0, plain = 0;
  for (const double t : terms) largest = std::max(largest, std::fabs(t)), plain += t;
  if (!(std::fabs(plain) <= DBL_MAX)) return static_cast<float>(plain);  // first: std::max passes over NaN
  if (largest == 0) return c;
  const int64_t exponent = static_cast<int64_t>(bits_as<uint64_t>(largest) >> 52) - 1023;
  const double unit = bits_as<double>(static_cast<uint64_t>(exponent - 24 + 1023) << 52);
  const double scale = bits_as<double>(static_cast<uint64_t>(24 - exponent + 1023) << 52);
  int64_t sum = 0;
  for (const double t : terms) sum += static_cast<int32_t>(t * scale);
  return towards_zero(static_cast<double>(sum) * unit);
}

template <float (*decode)(uint16_t)>
void mma(void* const (&lanes)[kLanes]) {
  float a[16][16], b[8][16];  // b by columns
  for (int l = 0; l < kLanes; ++l) {
    const Mma& mine = *static_cast<const Mma*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i)
      for (int h = 0; h < 2; ++h)
        a[g + 8 * (i % 2)][2 * t + 8 * (i / 2) + h] = decode(static_cast<uint16_t>(mine.a[i] >> 16 * h));
    for (int i = 0; i < 2; ++i)
      for (int h = 0; h < 2; ++h) b[g][2 * t + 8 * i + h] = decode(static_cast<uint16_t>(mine.b[i] >> 16 * h));
  }
  for (int l = 0; l < kLanes; ++l) {
    const Mma& mine = *static_cast<const Mma*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = g + 8 * (i / 2), column = 2 * t + i % 2;
      const float half_way = add_products<8>(mine.c[i], a[row], b[column]);
      mine.c[i] = add_products<8>(half_way, a[row] + 8, b[column] + 8);
    }
  }
}

// The 13 lowest bits are not read.
float tf32_to_float(uint32_t bits) { return bits_as<float>(bits & 0xffffe000u); }

template <bool is_transposed>
void load(void* const (&lanes)[kLanes], Site site) {
  uint16_t matrices[4][8][8];
  for (int l = 0; l < kLanes; ++l) {
    const LoadMatrix& mine = *static_cast<const LoadMatrix*>(lanes[l]);
    check_shared_16(mine.row, is_transposed ? "load_matrix_x4_transposed" : "load_matrix_x4", site);
    memcpy(matrices[l / 8][l % 8], mine.row, 16);
  }
  for (int l = 0; l < kLanes; ++l) {
    const LoadMatrix& mine = *static_cast<const LoadMatrix*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i) {
      const uint16_t low = is_transposed ? matrices[i][2 * t][g] : matrices[i][g][2 * t];
      const uint16_t high = is_transposed ? matrices[i][2 * t + 1][g] : matrices[i][g][2 * t + 1];
      mine.r[i] = low | static_cast<uint32_t>(high) << 16;
    }
  }
}

}  // namespace

void mma_half(void* const (&lanes)[kLanes], Site) { mma<half_bits_to_float>(lanes); }
void mma_bfloat16(void* const (&lanes)[kLanes], Site) { mma<bfloat16_bits_to_float>(lanes); }
void mma_tf32(void* const (&lanes)[kLanes], Site) {
  float a[16][8], b[8][8];  // b by columns
  for (int l = 0; l < kLanes; ++l) {
    const Mma& mine = *static_cast<const Mma*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i) a[g + 8 * (i % 2)][t + 4 * (i / 2)] = tf32_to_float(mine.a[i]);
    for (int i = 0; i < 2; ++i) b[g][t + 4 * i] = tf32_to_float(mine.b[i]);
  }
  for (int l = 0; l < kLanes; ++l) {
    const Mma& mine = *static_cast<const Mma*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = g + 8 * (i / 2), column = 2 * t + i % 2;
      const float half_way = add_products<4>(mine.c[i], a[row], b[column]);
      mine.c[i] = add_products<4>(half_way, a[row] + 4, b[column] + 4);
    }
  }
}
void load_matrix(void* const (&lanes)[kLanes], Site site) { load<false>(lanes, site); }
void load_matrix_transposed(void* const (&lanes)[kLanes], Site site) { load<true>(lanes, site); }

}  // namespace flashket::cuda::emulator
