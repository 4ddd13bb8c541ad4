// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// CUDA's vector types and scalar intrinsics as plain C++, in namespace flashket::cuda, where device code finds them
// before any name of the C library. Approximate intrinsics are as rough as CUDA documents them, so that a tolerance met
// here is not met by luck.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmath>

namespace flashket::cuda {

// ---- vector types, with CUDA's alignments ----
#define FLASHKET_VECTOR(T, name, alignment2, alignment4)             \
  struct name##1 { T x; };                                           \
  struct alignas(alignment2) name##2 { T x, y; };                    \
  struct name##3 { T x, y, z; };                                     \
  struct alignas(alignment4) name##4 { T x, y, z, w; };              \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
FLASHKET_VECTOR(unsigned char, uchar, 2, 4)
FLASHKET_VECTOR(short, short, 4, 8)
FLASHKET_VECTOR(unsigned short, ushort, 4, 8)
FLASHKET_VECTOR(int, int, 8, 16)
FLASHKET_VECTOR(unsigned, uint, 8, 16)
FLASHKET_VECTOR(long long, longlong, 16, 16)
FLASHKET_VECTOR(unsigned long long, ulonglong, 16, 16)
FLASHKET_VECTOR(float, float, 8, 16)
FLASHKET_VECTOR(double, double, 16, 16)
#undef FLASHKET_VECTOR

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// ---- bits ----
namespace emulator {
template <class To, class From>
inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
}  // namespace emulator
inline unsigned __float_as_uint(float x) { return emulator::bits_as<unsigned>(x); }
inline int __float_as_int(float x) { return emulator::bits_as<int>(x); }
inline float __uint_as_float(unsigned x) { return emulator::bits_as<float>(x); }
inline float __int_as_float(int x) { return emulator::bits_as<float>(x); }
inline long long __double_as_longlong(double x) { return emulator::bits_as<long long>(x); }
inline double __longlong_as_double(long long x) { return emulator::bits_as<double>(x); }
inline int __double2hiint(double x) { return static_cast<int>(emulator::bits_as<uint64_t>(x) >> 32); }
inline int __double2loint(double x) { return static_cast<int>(emulator::bits_as<uint64_t>(x)); }
inline double __hiloint2double(int high, int low) {
  return emulator::bits_as<double>(static_cast<uint64_t>(static_cast<uint32_t>(high)) << 32 |
                                   static_cast<uint32_t>(low));
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned y = 0;
  for (int i = 0; i < 32; ++i) y |= (x >> i & 1) << (31 - i);
  return y;
}
inline unsigned long long __brevll(unsigned long long x) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 |
         __brev(static_cast<unsigned>(x >> 32));
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}

// ---- IEEE arithmetic ----
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return ::sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return ::fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return ::sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return ::fma(a, b, c); }

namespace emulator {
// Conversions saturate; NaN becomes 0 (int) as in PTX cvt.
template <class To, class From>
inline To saturating(From x) {
  if (x != x) return 0;
  constexpr From low = static_cast<From>(static_cast<To>(~To{0} < To{0} ? To{1} << (8 * sizeof(To) - 1) : To{0}));
  const From high = static_cast<From>(ldexp(1.0, 8 * sizeof(To) - (~To{0} < To{0} ? 1 : 0)));
  if (x >= high) return ~To{0} < To{0} ? static_cast<To>(~(To{1} << (8 * sizeof(To) - 1))) : ~To{0};
  return x <= low ? static_cast<To>(low) : static_cast<To>(x);
}
}  // namespace emulator
inline int __float2int_rn(float x) { return emulator::saturating<int>(::rintf(x)); }
inline int __float2int_rz(float x) { return emulator::saturating<int>(::truncf(x)); }
inline int __float2int_rd(float x) { return emulator::saturating<int>(::floorf(x)); }
inline int __float2int_ru(float x) { return emulator::saturating<int>(::ceilf(x)); }
inline unsigned __float2uint_rn(float x) { return emulator::saturating<unsigned>(::rintf(x)); }
inline unsigned __float2uint_rz(float x) { return emulator::saturating<unsigned>(::truncf(x)); }
inline long long __float2ll_rn(float x) { return emulator::saturating<long long>(::rintf(x)); }
inline int __double2int_rn(double x) { return emulator::saturating<int>(::rint(x)); }
inline int __double2int_rz(double x) { return emulator::saturating<int>(::trunc(x)); }
inline long long __double2ll_rn(double x) { return emulator::saturating<long long>(::rint(x)); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline double __int2double_rn(int x) { return x; }

// ---- functions of CUDA that C lacks ----
// sin and cos of pi x, exact at the multiples of 1/2.
inline void sincospi(double x, double* s, double* c) {
  const double halves = ::rint(2 * x);
  const double rest = 3.14159265358979323846 * ::fma(-0.5, halves, x);
  const double sine = ::sin(rest), cosine = ::cos(rest);
  const int quarter = static_cast<int>(::fmod(halves, 4.0)) & 3;
  *s = quarter == 0 ? sine : quarter == 1 ? cosine : quarter == 2 ? -sine : -cosine;
  *c = quarter == 0 ? cosine : quarter == 1 ? -sine : quarter == 2 ? -cosine : sine;
}
inline void sincospif(float x, float* s, float* c) {
  double sine, cosine;
  sincospi(static_cast<double>(x), &sine, &cosine);
  *s = static_cast<float>(sine), *c = static_cast<float>(cosine);
}
inline double sinpi(double x) {
  double s, c;
  sincospi(x, &s, &c);
  return s;
}
inline double cospi(double x) {
  double s, c;
  sincospi(x, &s, &c);
  return c;
}
inline float sinpif(float x) { return static_cast<float>(sinpi(static_cast<double>(x))); }
inline float cospif(float x) { return static_cast<float>(cospi(static_cast<double>(x))); }
inline float rsqrtf(float x) { return 1.0f / ::sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / ::sqrt(x); }

// ---- approximate intrinsics ----
inline float __fdividef(float a, float b) { return ::fabsf(b) > 0x1p126f && ::fabsf(b) < INFINITY ? 0.0f * a : a / b; }
inline float __expf(float x) { return ::exp2f(x * 1.4426950408889634f); }
inline float __exp10f(float x) { return ::exp2f(x * 3.3219280948873623f); }
// Absolute error 2^-21.41 in [0.5, 2], 2 or 3 units in the last place elsewhere.
inline float __log2f(float x) { return x >= 0.5f && x <= 2.0f ? ::rintf(::log2f(x) * 0x1p21f) * 0x1p-21f : ::log2f(x); }
inline float __logf(float x) { return __log2f(x) * 0.6931471805599453f; }
inline float __log10f(float x) { return __log2f(x) * 0.30102999566398120f; }
inline float __powf(float x, float y) { return ::exp2f(y * __log2f(x)); }
// Absolute error 2^-21.41 in [-pi, pi].
inline float __sinf(float x) { return ::rintf(::sinf(x) * 0x1p21f) * 0x1p-21f; }
inline float __cosf(float x) { return ::rintf(::cosf(x) * 0x1p21f) * 0x1p-21f; }
inline float __tanf(float x) { return __sinf(x) / __cosf(x); }
inline void __sincosf(float x, float* s, float* c) { *s = __sinf(x), *c = __cosf(x); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
inline float __frsqrt_rn(float x) { return static_cast<float>(1 / ::sqrt(static_cast<double>(x))); }

// ---- min, max: CUDA's overloads, so that what is ambiguous there is ambiguous here; NaN loses ----
#define FLASHKET_MINMAX(R, A, B)                                                                                   \
  inline R min(A a, B b) { return static_cast<R>(a) < static_cast<R>(b) ? static_cast<R>(a) : static_cast<R>(b); } \
  inline R max(A a, B b) { return static_cast<R>(a) > static_cast<R>(b) ? static_cast<R>(a) : static_cast<R>(b); }
#define FLASHKET_MINMAX_INTEGERS(S, U) \
  FLASHKET_MINMAX(S, S, S)             \
  FLASHKET_MINMAX(U, U, U)             \
  FLASHKET_MINMAX(U, S, U)             \
  FLASHKET_MINMAX(U, U, S)
FLASHKET_MINMAX_INTEGERS(int, unsigned)
FLASHKET_MINMAX_INTEGERS(long, unsigned long)
FLASHKET_MINMAX_INTEGERS(long long, unsigned long long)
#undef FLASHKET_MINMAX_INTEGERS
#undef FLASHKET_MINMAX
inline float min(float a, float b) { return ::fminf(a, b); }
inline float max(float a, float b) { return ::fmaxf(a, b); }
inline double min(double a, double b) { return ::fmin(a, b); }
inline double max(double a, double b) { return ::fmax(a, b); }
inline double min(float a, double b) { return ::fmin(a, b); }
inline double max(float a, double b) { return ::fmax(a, b); }
inline double min(double a, float b) { return ::fmin(a, b); }
inline double max(double a, float b) { return ::fmax(a, b); }

// ---- 16-bit floats, round to nearest even ----
inline float half_bits_to_float(uint16_t bits) {
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  // The exponent is 112 too small; infinity and NaN keep the largest one.
  const float value = magnitude >= 0x0f800000u ? emulator::bits_as<float>(magnitude | 0x7f800000u)
                                               : emulator::bits_as<float>(magnitude) * 0x1p112f;
  return bits & 0x8000 ? -value : value;
}
inline uint16_t float_to_half_bits(float x) {
  const uint32_t bits = emulator::bits_as<uint32_t>(x), sign = bits >> 16 & 0x8000;
  const float magnitude = emulator::bits_as<float>(bits & 0x7fffffffu);
  if (magnitude != magnitude) return 0x7fff;  // what cvt.rn.f16.f32 gives
  if (magnitude >= 65520.0f) return static_cast<uint16_t>(sign | 0x7c00);
  if (magnitude < 0x1p-14f)  // subnormal: a whole number of 2^-24; the addition rounds it
    return static_cast<uint16_t>(sign | (emulator::bits_as<uint32_t>(magnitude + 0.5f) - 0x3f000000u));
  const uint32_t m = emulator::bits_as<uint32_t>(magnitude);
  return static_cast<uint16_t>(sign | ((m + 0xfff + (m >> 13 & 1) - (112u << 23)) >> 13));
}
inline float bfloat16_bits_to_float(uint16_t bits) {
  return emulator::bits_as<float>(static_cast<uint32_t>(bits) << 16);
}
inline uint16_t float_to_bfloat16_bits(float x) {
  const uint32_t bits = emulator::bits_as<uint32_t>(x);
  if (x != x) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace flashket::cuda
