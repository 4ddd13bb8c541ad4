// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Sums of the same row over parts of its keys become one. A warp a row; reads every partial sum once.
#include <math.h>

#include "attention/problem.hpp"
#include "core/launch.hpp"

namespace flashket::cuda {
namespace {

constexpr int kRowsTogether = 4;

template <class S>
FK_KERNEL void CombineKernel(Problem p, Finish finish, Weighing weighing, int32_t only, int64_t n_splits,
                             Partials<S> partials) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t n_rows = p.n_rows(), index = int64_t{blockIdx.x} * kRowsTogether + threadIdx.x / kWarp;
  if (index >= n_rows) return;
  const int64_t pair = index / p.rows_per_pair(), row = index % p.rows_per_pair();
  if (only >= 0 && finish.status[index] != only) return;
  const bool has_maximum = weighing == Weighing::softmax || weighing == Weighing::log_sum;
  double maximum = -static_cast<double>(INFINITY);
  if (has_maximum)
    for (int64_t s = 0; s < n_splits; ++s) maximum = fmax(maximum, static_cast<double>(partials.maximum[s * n_rows + index]));
  // A part without a finite maximum has no weight unless all are like that; then NaN must be kept and 0 stays 0.
  const auto scale = [&](int64_t at) {
    if (!has_maximum) return 1.0;
    const double own = static_cast<double>(partials.maximum[at]);
    return own == maximum ? 1.0 : exp(own - maximum);
  };
  double denominator = 0;
  int64_t n_admissible = 0;
  for (int64_t s = 0; s < n_splits; ++s) {
    const int64_t at = s * n_rows + index;
    denominator += static_cast<double>(partials.denominator[at]) * scale(at);
    n_admissible += partials.n_admissible[at];
  }
  __syncwarp();  // every lane has read the status before lane 0 changes it
  const int32_t left = finish_row(p, finish, weighing, pair, row, n_admissible, denominator, lane == 0);
  if (left != kRowDone) return;
  const int64_t to = out_offset(p, place_of(p, pair, row));
  for (int64_t c = lane; c < p.v_dim; c += kWarp) {
    double numerator = 0;
    for (int64_t s = 0; s < n_splits; ++s) {
      const int64_t at = s * n_rows + index;
      numerator += static_cast<double>(partials.numerator[at * p.v_dim + c]) * scale(at);
    }
    store_element(p.out.data, p.out.dtype, to + c, n_admissible == 0 ? 0.0 : numerator / denominator);
  }
}

}  // namespace

template <class S>
void combine(const Problem& problem, const Finish& finish, Weighing weighing, int32_t only, const Splits& splits,
             const Partials<S>& partials, Stream stream) {
  launch("CombineKernel", CombineKernel<S>, {divide_up(problem.n_rows(), kRowsTogether)}, kRowsTogether * kWarp, 0, stream,
         problem, finish, weighing, only, splits.count, partials);
}

template void combine(const Problem&, const Finish&, Weighing, int32_t, const Splits&, const Partials<float>&, Stream);
template void combine(const Problem&, const Finish&, Weighing, int32_t, const Splits&, const Partials<double>&, Stream);

}  // namespace flashket::cuda
