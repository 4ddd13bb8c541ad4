// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "gram/parts.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 256;

// A thread a value. Of a symmetric matrix the half above the diagonal was computed.
template <class C>
FK_KERNEL void __launch_bounds__(kThreads) CombineParts(Scoring scoring, Region region, Finish finish, const C* sums,
                                                        int64_t parts, int sides, Output<double> out) {
  const int64_t size = region.rows * region.cols, at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= size) return;
  const int64_t i = at / region.cols, j = at - i * region.cols;
  if (region.is_symmetric && j < i) return;
  double re = 0, im = 0;
  for (int64_t part = 0; part < parts; ++part) {
    re += static_cast<double>(sums[part * sides * size + at]);
    if (sides == 2) im += static_cast<double>(sums[(part * sides + 1) * size + at]);
  }
  const double exact =
      finish.is_log ? log_kernel_value(scoring, Overlap<double>{re, im, 0}) : kernel_value(scoring, re, im);
  const double value = finish_value(finish, region.is_same, exact, region.row0 + i, region.col0 + j,
                                    [&](double v) { return out.as_stored(v); });
  out.put(i * out.stride + j, value);
  if (region.is_symmetric && j > i) out.put(j * out.stride + i, value);
}

}  // namespace

template <class C>
void combine_parts(const Scoring& scoring, const Region& region, const Finish& finish, const C* sums, int64_t parts,
                   int sides, const Output<double>& out, Stream stream) {
  launch("CombineParts", CombineParts<C>, {(region.rows * region.cols + kThreads - 1) / kThreads}, kThreads, 0, stream,
         scoring, region, finish, sums, parts, sides, out);
}

template void combine_parts(const Scoring&, const Region&, const Finish&, const float*, int64_t, int,
                            const Output<double>&, Stream);
template void combine_parts(const Scoring&, const Region&, const Finish&, const double*, int64_t, int,
                            const Output<double>&, Stream);

}  // namespace flashket::cuda
