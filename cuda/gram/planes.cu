// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Encoded rows to what the matrix units multiply: fp16 planes, [row][step of 32 elements][plane][32].
//
//   product  every 4 features become the 16 products of their cosines and sines (a Kronecker product): the dot of two
//            such vectors is the product of 4 cosines of differences. Element i takes the sine of feature t where bit
//            3 - t of i is set.
//   real     the elements themselves; complex: real and imaginary parts in planes of their own.
//
// A split operand is two planes, hi = fp16(x), lo = fp16(x - hi): 22 bits. Elements of normalised rows are at most 1;
// powers of two (kProductScale, kSumScale) bring them to where lo has no denormals that matter. Order of planes: hi,
// lo, of complex rows re hi, re lo, im hi, im lo. Missing elements are 0, missing features of a product cos 0, sin 0.
// Cost: reads the encoded rows once, writes 2 bytes an element and plane.
#include "core/launch.hpp"
#include "gram/planes.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kRun = 8;  // elements of a thread: 16 bytes of a plane

template <class C>
FK_DEVICE void product_elements(const C* row, int64_t n_features, int64_t first, float (&out)[kRun], C (&value)[kRun]) {
  C cosine[4], sine[4];
#pragma unroll
  for (int t = 0; t < 4; ++t) {
    const int64_t j = first / 16 * 4 + t;
    cosine[t] = j < n_features ? row[2 * j] : C(1);
    sine[t] = j < n_features ? row[2 * j + 1] : C(0);
  }
  const C leading = (first & 8 ? sine[0] : cosine[0]) * static_cast<C>(kProductScale);
#pragma unroll
  for (int e = 0; e < kRun; ++e) {
    value[e] =
        leading * ((e & 4 ? sine[1] : cosine[1]) * ((e & 2 ? sine[2] : cosine[2]) * (e & 1 ? sine[3] : cosine[3])));
    out[e] = static_cast<float>(value[e]);
  }
}

// A thread: 8 elements of a row, in all planes.
template <class C, PlaneForm kForm, bool kIsSplit>
FK_KERNEL void __launch_bounds__(kThreads)
    MakePlanes(PlaneShape shape, const C* rows, int64_t count, int64_t pitch, half_t* planes) {
  constexpr int kParts = kIsSplit ? 2 : 1, kSides = kForm == PlaneForm::complex ? 2 : 1, kPlanes = kParts * kSides;
  constexpr int64_t kRuns = kPlaneStep / kRun;
  const int64_t steps = shape.steps(), i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count * steps * kRuns) return;
  const int64_t row = i / (steps * kRuns), rest = i - row * steps * kRuns, step = rest / kRuns, run = rest % kRuns;
  const C* from = rows + row * pitch;
  half_t* to = planes + (row * steps + step) * (kPlanes * kPlaneStep) + run * kRun;
#pragma unroll
  for (int side = 0; side < kSides; ++side) {
    C value[kRun];
    float rounded[kRun];
    const int64_t first = step * kPlaneStep + run * kRun;
    if constexpr (kForm == PlaneForm::product) {
      product_elements(from, shape.depth, first, rounded, value);
    } else {
#pragma unroll
      for (int e = 0; e < kRun; ++e) {
        const bool is_there = first + e < shape.depth;
        value[e] = is_there ? from[side * shape.depth + first + e] * static_cast<C>(kSumScale) : C(0);
        rounded[e] = static_cast<float>(value[e]);
      }
    }
    uint32_t packed[kRun / 2];
#pragma unroll
    for (int e = 0; e < kRun; e += 2) packed[e / 2] = pack_half(rounded[e], rounded[e + 1]);
    *reinterpret_cast<uint4*>(to + side * kParts * kPlaneStep) = make_uint4(packed[0], packed[1], packed[2], packed[3]);
    if constexpr (kIsSplit) {
#pragma unroll
      for (int e = 0; e < kRun; ++e)
        rounded[e] = static_cast<float>(value[e] - static_cast<C>(to_float(to_half(rounded[e]))));
#pragma unroll
      for (int e = 0; e < kRun; e += 2) packed[e / 2] = pack_half(rounded[e], rounded[e + 1]);
      *reinterpret_cast<uint4*>(to + (side * kParts + 1) * kPlaneStep) =
          make_uint4(packed[0], packed[1], packed[2], packed[3]);
    }
  }
}

template <class C, PlaneForm kForm>
void launch_planes(const PlaneShape& shape, const C* rows, int64_t count, int64_t pitch, half_t* planes,
                   Stream stream) {
  const int64_t blocks = (count * shape.steps() * (kPlaneStep / kRun) + kThreads - 1) / kThreads;
  if (shape.is_split)
    launch("MakePlanes", MakePlanes<C, kForm, true>, {blocks}, kThreads, 0, stream, shape, rows, count, pitch, planes);
  else
    launch("MakePlanes", MakePlanes<C, kForm, false>, {blocks}, kThreads, 0, stream, shape, rows, count, pitch, planes);
}

}  // namespace

void make_planes(const PlaneShape& shape, const double* rows, int64_t count, int64_t pitch, half_t* planes,
                 Stream stream) {
  launch_planes<double, PlaneForm::product>(shape, rows, count, pitch, planes, stream);
}

void make_planes(const PlaneShape& shape, const float* rows, int64_t count, int64_t pitch, half_t* planes,
                 Stream stream) {
  if (shape.form == PlaneForm::complex)
    launch_planes<float, PlaneForm::complex>(shape, rows, count, pitch, planes, stream);
  else
    launch_planes<float, PlaneForm::real>(shape, rows, count, pitch, planes, stream);
}

}  // namespace flashket::cuda
