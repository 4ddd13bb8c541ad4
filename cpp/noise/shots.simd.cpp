// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Exact binomial counts, a vector of entries at a time. Means below 10: inversion by sequential search. Above: BTRS,
// the transformed rejection of W. Hoermann, "The generation of binomial random variates", J. Stat. Comput. Simul. 46
// (1993). Uniforms are Philox4x32-10 of (column, row, attempt) under the matrix's key; see core/philox.hpp. Compiled
// without contraction of a b + c, and with logarithms of its own: every instruction set draws the same counts.
#include "noise/shots.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

using Real = Vec<double>;
using Int = IntVec<double>;
using Uint = UintVec<double>;
constexpr int64_t L = kLanes<double>;
constexpr int64_t kChunk = 256;
constexpr uint64_t kLow = 0xffffffff;

// Products of the low 32 bits of every lane; in plain C++ compilers would multiply all 64.
FLASHKET_INLINE Uint multiply_low(Uint a, uint32_t b) {
#if defined(__x86_64__) && FLASHKET_VECTOR_BYTES == 64
  return (Uint)_mm512_maskz_mul_epu32(0xff, (__m512i)a, _mm512_set1_epi64(b));
#elif defined(__x86_64__) && FLASHKET_VECTOR_BYTES == 32
  return (Uint)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#elif defined(__x86_64__)
  return (Uint)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(b));
#else
  return (a & kLow) * uint64_t{b};
#endif
}

// One bit a lane of a comparison's result.
FLASHKET_INLINE unsigned lane_bits(Int mask) {
#if defined(__x86_64__) && FLASHKET_VECTOR_BYTES == 64
  return _mm512_movepi64_mask((__m512i)mask);
#elif defined(__x86_64__) && FLASHKET_VECTOR_BYTES == 32
  return static_cast<unsigned>(_mm256_movemask_pd((__m256d)mask));
#elif defined(__x86_64__)
  return static_cast<unsigned>(_mm_movemask_pd((__m128d)mask));
#else
  unsigned bits = 0;
  for (int l = 0; l < static_cast<int>(L); ++l) bits |= static_cast<unsigned>(mask[l] & 1) << l;
  return bits;
#endif
}

// 52 bits and a half step: in the open interval (0, 1).
FLASHKET_INLINE Real unit(Uint low, Uint high) {
  const Uint bits = ((high << 32) | (low & kLow)) >> 12;
  return ((Real)(bits | UINT64_C(0x3ff0000000000000)) - 1.0) + 0x1p-53;
}

// Two uniforms for each of the values offset[l] places along the run.
FLASHKET_INLINE void uniforms(const ScoreRun& run, Uint offset, uint32_t attempt, Real& u, Real& v) {
  const Uint along = offset + static_cast<uint64_t>(run.is_down ? run.row : run.col);
  const uint64_t across = static_cast<uint64_t>(run.is_down ? run.col : run.row);
  const Uint across_low = Uint{} + (across & kLow);
  Uint c0, c1, c2;
  if (run.is_down) {
    c0 = across_low;
    c1 = along;
    c2 = ((along >> 32) & UINT64_C(0xffff)) | ((across >> 32 << 16) & kLow);
  } else {
    c0 = along;
    c1 = across_low;
    c2 = ((along >> 32) << 16) | ((across >> 32) & 0xffff);
  }
  Uint c3 = Uint{} + uint64_t{attempt};
  uint32_t k0 = static_cast<uint32_t>(run.key), k1 = static_cast<uint32_t>(run.key >> 32);
  // Bits above the lowest 32 of a lane are of no account: only the low ones are multiplied and kept.
  for (int round = 0; round < 10; ++round) {
    const Uint p0 = multiply_low(c0, 0xD2511F53), p1 = multiply_low(c2, 0xCD9E8D57);
    c0 = (p1 >> 32) ^ c1 ^ uint64_t{k0};
    c2 = (p0 >> 32) ^ c3 ^ uint64_t{k1};
    c1 = p1;
    c3 = p0;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  u = unit(c0, c1);
  v = unit(c2, c3);
}

// 2 atanh(s) for |s| <= 0.172: interpolated at Chebyshev nodes, 1e-17.
FLASHKET_INLINE Real twice_atanh(Real s) {
  const Real z = s * s;
  Real p = splat(0.14619343453512615);
  p = p * z + 0.15331487235865734;
  p = p * z + 0.18182896183483085;
  p = p * z + 0.2222221103781659;
  p = p * z + 0.28571428626570206;
  p = p * z + 0.3999999999989819;
  p = p * z + 0.666666666666667;
  return s * z * p + (s + s);
}

// log(a / b) of positive normal numbers: exact differences of near ones keep their digits.
FLASHKET_INLINE Real log_ratio(Real a, Real b) {
  Int exponent = (Int)((Uint)a >> 52) - (Int)((Uint)b >> 52);
  Real x = (Real)((Uint)a - ((Uint)exponent << 52));
  const Int is_large = x > b * 1.4142135623730951, is_small = x < b * 0.7071067811865476;
  x = select<double>(is_large, x * 0.5, select<double>(is_small, x + x, x));
  exponent = exponent - is_large + is_small;
  constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52: integers added to its bits are added to its value
  const Real e = (Real)((Int)splat(magic) + exponent) - magic;
  return e * 6.93147180369123816490e-01 + (twice_atanh((x - b) / (x + b)) + e * 1.90821492927058770002e-10);
}

// log(1 - p) for p <= 1/2, right to the last digits for small p too.
FLASHKET_INLINE Real log_complement(Real p) {
  const Int is_small = p <= 0.29;
  const Real s = select<double>(is_small, -p, 1.0 - (p + p)) / select<double>(is_small, 2.0 - p, 3.0 - (p + p));
  return twice_atanh(s) + select<double>(is_small, Real{}, splat(-0.69314718055994530942));
}

FLASHKET_INLINE Real round_down(Real x) {  // |x| < 2^51
  constexpr double magic = 6755399441055744.0;
  const Real nearest = (x + magic) - magic;
  return select<double>(nearest > x, nearest - 1.0, nearest);
}

FLASHKET_INLINE Real square_root(Real x) {
  Real r;
  for (int l = 0; l < static_cast<int>(L); ++l) r[l] = __builtin_sqrt(x[l]);
  return r;
}

// log k! without (k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2: Stirling's series in 1 / (k + 1).
FLASHKET_INLINE Real stirling_tail(Real k) {
  const Real x = 1.0 / (k + 1.0), x2 = x * x;
  Real p = splat(1.0 / 1188);
  p = p * x2 + -1.0 / 1680;
  p = p * x2 + 1.0 / 1260;
  p = p * x2 + -1.0 / 360;
  p = (p * x2 + 1.0 / 12) * x;
  const unsigned few = lane_bits(k < 9.5);
  if (few != 0) {
    constexpr double table[] = {0.08106146679532726, 0.04134069595540929, 0.02767792568499834, 0.02079067210376509,
                                0.01664469118982119, 0.01387612882307075, 0.01189670994589177, 0.01041126526197209,
                                0.00925546218271273, 0.00833056343336287};
    for (int l = 0; l < static_cast<int>(L); ++l)
      if (few >> l & 1) p[l] = table[static_cast<int>(k[l])];
  }
  return p;
}

constexpr int64_t kMostSearched = 110;  // of a mean below 10, beyond it lies less than 1e-60

struct Reciprocals {
  double of[kMostSearched];  // 1 / (k + 1)
  constexpr Reciprocals() : of{} {
    for (int64_t k = 0; k < kMostSearched; ++k) of[k] = 1.0 / static_cast<double>(k + 1);
  }
};
constexpr Reciprocals kReciprocals;

// Entries still to be drawn: their place in the chunk and the smaller of p and 1 - p.
struct Entries {
  int64_t count = 0;
  uint64_t index[kChunk + L];
  double p[kChunk + L];

  FLASHKET_INLINE void add(uint64_t i, double probability, bool is_wanted) {
    index[count] = i;
    p[count] = probability;
    count += is_wanted;
  }
  void fill_up() {  // to whole vectors, with entries that nobody asks for
    for (int64_t l = count; l < count + L; ++l) {
      index[l] = 0;
      p[l] = 0.5;
    }
  }
  Uint index_at(int64_t at) const {
    Uint i;
    memcpy(&i, index + at, sizeof i);
    return i;
  }
};

class Sampler {
 public:
  Sampler(int64_t shots, const ScoreRun& run) : shots_(shots), n_(static_cast<double>(shots)), run_(run) {}

  // counts[l] of values[l] for l < size; of those between 0 and 1 only, and of 1 - p where p > 1/2.
  void draw(const double* values, int64_t size, double* counts) {
    Entries few, many;
    for (int64_t l = 0; l < size; ++l) {
      const double p = values[l], least = p > 0.5 ? 1 - p : p;
      const bool is_open = p > 0 && p < 1, is_few = n_ * least < 10;
      few.add(static_cast<uint64_t>(l), least, is_open & is_few);
      many.add(static_cast<uint64_t>(l), least, is_open & !is_few);
    }
    few.fill_up();
    for (int64_t at = 0; at < few.count; at += L) search(few, at, counts);
    for (uint32_t attempt = 0; many.count > 0; ++attempt) reject(many, attempt, counts);
  }

 private:
  // All lanes look at the same k at a time.
  void search(const Entries& entries, int64_t at, double* counts) const {
    const Real p = load(entries.p + at), odds = p / (1.0 - p), at_zero = exp_nonpositive(n_ * log_complement(p));
    const Uint index = entries.index_at(at);
    const int64_t n_valid = entries.count - at < L ? entries.count - at : L;
    Int pending;
    for (int l = 0; l < static_cast<int>(L); ++l) pending[l] = l < n_valid ? -1 : 0;
    Real count = {};
    const int64_t limit = shots_ < kMostSearched ? shots_ : kMostSearched;
    for (uint32_t attempt = 0; lane_bits(pending) != 0; ++attempt) {
      Real u, unused, k = {}, probability = at_zero;
      uniforms(run_, index, attempt, u, unused);
      Int is_beyond = pending;
      for (int64_t j = 0; j < limit; ++j) {
        is_beyond &= u >= probability;
        if (lane_bits(is_beyond) == 0) break;
        k += (Real)((Int)splat(1.0) & is_beyond);
        u -= probability;
        probability *= odds * ((n_ - static_cast<double>(j)) * kReciprocals.of[j]);
      }
      count = select<double>(pending, k, count);
      // Who passed the limit without having had all shots had a u within rounding of 1.
      pending = limit == shots_ ? Int{} : is_beyond;
    }
    for (int64_t l = 0; l < n_valid; ++l) counts[entries.index[at + l]] = count[l];
  }

  // One attempt for every entry; those that it fails stay in the list.
  void reject(Entries& entries, uint32_t attempt, double* counts) {
    entries.fill_up();
    Entries undecided, failed;
    double numerator[kChunk + L], denominator[kChunk + L];  // of the variable that is compared with the density
    for (int64_t at = 0; at < entries.count; at += L) {
      const Real p = load(entries.p + at), mean = n_ * p, deviation = square_root(mean * (1.0 - p));
      const Real b = deviation * 2.53 + 1.15, a = b * 0.0248 + p * 0.01 - 0.0873, over_b = 1.0 / b;
      Real u, v;
      uniforms(run_, entries.index_at(at), attempt, u, v);
      u -= 0.5;
      const Real us = 0.5 - (Real)((Int)u & INT64_MAX);
      const Real k = round_down(((a + a) / us + b) * u + (mean + 0.5));
      const unsigned accepted = lane_bits((us >= 0.07) & (v <= 0.92 - over_b * 4.2));
      const unsigned possible = lane_bits((k >= 0.0) & (k <= n_));
      double some_numerators[L], some_denominators[L];
      store<double>(some_numerators, v * ((over_b * 5.1 + 2.83) * deviation) * (us * us));
      store<double>(some_denominators, b * (us * us) + a);
      const int64_t n_valid = entries.count - at < L ? entries.count - at : L;
      for (int64_t l = 0; l < n_valid; ++l) {
        const uint64_t index = entries.index[at + l];
        const double probability = entries.p[at + l];
        const bool is_accepted = accepted >> l & 1, is_possible = possible >> l & 1;
        counts[index] = k[l];
        numerator[undecided.count] = some_numerators[l];
        denominator[undecided.count] = some_denominators[l];
        undecided.add(index, probability, !is_accepted & is_possible);
        failed.add(index, probability, !is_accepted & !is_possible);
      }
    }
    undecided.fill_up();
    for (int64_t l = undecided.count; l < undecided.count + L; ++l) numerator[l] = denominator[l] = 1;
    for (int64_t at = 0; at < undecided.count; at += L) {
      const int64_t n_valid = undecided.count - at < L ? undecided.count - at : L;
      Real k = {};
      for (int64_t l = 0; l < n_valid; ++l) k[l] = counts[undecided.index[at + l]];
      const Real left = log_ratio(load(numerator + at), load(denominator + at));
      const unsigned passed = lane_bits(left <= log_density(k, load(undecided.p + at)));
      for (int64_t l = 0; l < n_valid; ++l)
        failed.add(undecided.index[at + l], undecided.p[at + l], !(passed >> l & 1));
    }
    memcpy(entries.index, failed.index, sizeof(uint64_t) * failed.count);
    memcpy(entries.p, failed.p, sizeof(double) * failed.count);
    entries.count = failed.count;
  }

  // log of the probability of k over that of the mode m. Written in ratios near 1, so that nothing large cancels.
  FLASHKET_INLINE Real log_density(Real k, Real p) const {
    const Real q = 1.0 - p, m = round_down((n_ + 1.0) * p), d = k - m, m1 = m + 1.0, k1 = k + 1.0;
    const Real rest_m = n_ - m, rest_k = n_ - k, rest_m1 = rest_m + 1.0, rest_k1 = rest_k + 1.0;
    return d * log_ratio(rest_k1 * p, k1 * q) - (m + 0.5) * log_ratio(k1, m1) -
           (rest_m + 0.5) * log_ratio(rest_k1, rest_m1) + (stirling_tail(m) - stirling_tail(k)) +
           (stirling_tail(rest_m) - stirling_tail(rest_k));
  }

  int64_t shots_;
  double n_;
  ScoreRun run_;
};

FLASHKET_INLINE double raised(double x, int power) {
  if (power == 1) return x;
  double result = 1;
  for (; power > 0; power >>= 1, x *= x)
    if (power & 1) result *= x;
  return result;
}

// What noise makes of probabilities: rounded twice, as everywhere, never fused. Excluded scores and NaN stay.
FLASHKET_INLINE void disturb(double* p, int64_t size, const Readings& readings) {
  for (int64_t l = 0; l < size; ++l) {
    const double raw = p[l] * readings.scale + readings.offset;
    const double bounded = raw < 0 ? 0 : raw > 1 ? 1 : raw;
    p[l] = p[l] >= 0 ? bounded : p[l];
  }
}

template <class T>
void sample(T* values, int64_t count, const Readings& readings, int power, const ScoreRun& run) {
  double p[kChunk], counts[kChunk];
  const double n = static_cast<double>(readings.shots);
  for (int64_t first = 0; first < count; first += kChunk) {
    const int64_t size = count - first < kChunk ? count - first : kChunk;
    for (int64_t l = 0; l < size; ++l) p[l] = static_cast<double>(values[first + l]);
    if (readings.is_noisy()) disturb(p, size, readings);
    if (readings.shots == 0) {
      for (int64_t l = 0; l < size; ++l)
        values[first + l] = p[l] >= 0 ? static_cast<T>(raised(p[l], power)) : values[first + l];
      continue;
    }
    for (int64_t l = 0; l < size; ++l) counts[l] = 0;
    ScoreRun part = run;
    (run.is_down ? part.row : part.col) += first;
    Sampler(readings.shots, part).draw(p, size, counts);
    for (int64_t l = 0; l < size; ++l) {
      // Of p >= 1 no count was drawn: all shots agree.
      const double estimate = (p[l] > 0.5 ? n - counts[l] : counts[l]) / n;
      values[first + l] = p[l] >= 0 ? static_cast<T>(raised(estimate, power)) : values[first + l];
    }
  }
}

}  // namespace

extern const NoiseOps noise_ops;
const NoiseOps noise_ops = {sample<float>, sample<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
