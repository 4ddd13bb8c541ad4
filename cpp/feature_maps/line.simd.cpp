// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// States 2^(-n/2) sum_z exp(i phi(z)) |z> whose phase phi = c + sum_j l_j z_j + sum_j q_j z_j z_(j+1) couples
// neighbours of a line only: H on every qubit, then diagonal gates. Havlicek et al., Nature 567, 209 (2019), with one
// repetition. No state is built: a row becomes the cosines and sines of gram/transfer.hpp, any number of qubits. Angles
// are summed as fixed-point quarter turns of 64 bits whatever the element type. params: n_features, n_sites, then for
// every gate (site, mc, m0, m1, mq, a0, f0, b0, a1, f1, b1): the angle t = (a0 x[f0] + b0)(a1 x[f1] + b1) (f < 0: b
// alone) adds t / 4 times the integers mc, m0, m1, mq to c, l_site, l_(site+1), q_site. Cost: a reduction per gate, 5
// sincos for two sites.
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

constexpr int64_t kRecord = 11;
constexpr int64_t kPhases = kTransferElements / 2;
constexpr double kQuarterTurns = 0.25;

int64_t sites(const EncoderArgs& args) { return static_cast<int64_t>(args.params[1]); }
int64_t depth(const EncoderArgs& args) { return 1 + (sites(args) + 1) / 2; }
// Sums c, l, q (one site of zeros on either side), then the phases of one step each, padded to whole vectors.
int64_t scratch(const EncoderArgs& args) {
  const int64_t words = 2 * sites(args) + 8 + kPhases * (depth(args) + kLanes<double>);
  return words * 2;  // elements of the narrow type
}

// t / (2 pi) as fixed point, 2^64 = one turn; right to 2^-52 of a turn for |t| up to 10^6, by libm's exact reduction
// beyond.
uint64_t turns(double t) {
  constexpr double high = 0.15915494309189535, low = -9.839338337591243e-18;  // their sum is 1 / (2 pi)
  double part;
  if (t < 1e6 && t > -1e6) {
    const double whole = ::floor(t * high + 0.5);
    part = __builtin_fma(t, high, -whole) + t * low;
  } else {
    part = ::atan2(::sin(t), ::cos(t)) * high;
  }
  // Through two words: a part of exactly half a turn does not fit a signed integer.
  const double upper = ::floor(part * 4294967296.0);
  const double lower = (part * 4294967296.0 - upper) * 4294967296.0;
  return (static_cast<uint64_t>(static_cast<int64_t>(upper)) << 32) + static_cast<uint64_t>(lower);
}

template <class T>
double factor(const T* x, double scale, double feature, double offset) {
  return feature < 0 ? offset : scale * static_cast<double>(x[static_cast<int64_t>(feature)]) + offset;
}

template <class T>
void row(const T* x, T* out, T* memory, const EncoderArgs& args) {
  const int64_t n = sites(args), n_steps = depth(args);
  uint64_t* linear = reinterpret_cast<uint64_t*>(memory);  // [n + 2], zero from n on
  uint64_t* coupling = linear + n + 2;                     // [n + 2], of a site and the next; zero from n - 1 on
  uint64_t* phases[kPhases];
  phases[0] = coupling + n + 2;
  for (int64_t k = 1; k < kPhases; ++k) phases[k] = phases[k - 1] + n_steps;
  memset(linear, 0, sizeof(uint64_t) * (2 * n + 4));
  uint64_t constant = 0;
  for (const double* p = args.params + 2; p < args.params + args.n_params; p += kRecord) {
    const int64_t site = static_cast<int64_t>(p[0]);
    const uint64_t t = turns(kQuarterTurns * (factor(x, p[5], p[6], p[7]) * factor(x, p[8], p[9], p[10])));
    const auto times = [t](double m) { return static_cast<uint64_t>(static_cast<int64_t>(m)) * t; };
    constant += times(p[1]);
    linear[site] += times(p[2]);
    linear[site + 1] += times(p[3]);
    coupling[site] += times(p[4]);
  }
  // All sums so far are of half angles, which is what the summed-out (odd) sites need; even sites take twice them.
  constant *= 2;
  for (int64_t j = 1; j < n; j += 2) constant += linear[j];
  for (int64_t k = 0; k < kPhases; ++k) phases[k][0] = constant;
  for (int64_t d = 1; d < n_steps; ++d) {
    const int64_t even = 2 * d - 2, odd = even + 1;
    const uint64_t before = coupling[even], after = coupling[odd], h = linear[odd];
    phases[0][d] = 2 * linear[even] + before + (even > 0 ? coupling[even - 1] : 0);
    phases[1][d] = h;
    phases[2][d] = h + after;
    phases[3][d] = h + before;
    phases[4][d] = h + before + after;
  }
  for (int64_t k = 0; k < kPhases; ++k)
    for (int64_t d = 0; d < n_steps; d += kLanes<double>) {
      UintVec<double> turn;
      memcpy(&turn, phases[k] + d, sizeof turn);
      Vec<double> s, c;
      sincos_turns<double>(turn, s, c);
      for (int64_t l = 0; l < kLanes<double> && d + l < n_steps; ++l) {
        out[(d + l) * kTransferElements + 2 * k] = static_cast<T>(c[l]);
        out[(d + l) * kTransferElements + 2 * k + 1] = static_cast<T>(s[l]);
      }
    }
}

}  // namespace

extern const Encoder line_encoder;
const Encoder line_encoder = {"line", PairKind::transfer, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
