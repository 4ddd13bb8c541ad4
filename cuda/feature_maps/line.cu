// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Rows of the transfer pair for circuits whose phases couple neighbours of a line: twin of the host's
// feature_maps/line.simd.cpp, which has the formula and the meaning of params. Every angle is reduced once and added,
// as fixed-point quarter turns of 64 bits, to the sums that it is part of: integers, whose order does
// not matter. A block a row; cost: a reduction a gate, 5 sincos for two sites. Traffic: the row, and 8 bytes a gate and
// sum that stay in the caches.
#include <algorithm>
#include <stdexcept>

#include "core/launch.hpp"
#include "feature_maps/rows.hpp"
#include "states/numbers.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kRecord = 11, kPhases = kTransferElements / 2;
constexpr int64_t kScratchBytes = int64_t{64} << 20;

struct Term {
  int32_t gate, multiple;
};

// Sums of a row: constant, linear[n + 2], coupling[n + 2], zero from n and n - 1 on.
struct LinePointers {
  int64_t n_sites, n_gates;
  const double* records;      // of the gates, as in params
  const int32_t* term_begin;  // of every sum
  const Term* terms;
};

int64_t sites(const EncodeArgs& args) { return static_cast<int64_t>(args.params.at(1)); }
int64_t depth(const EncodeArgs& args) { return 1 + (sites(args) + 1) / 2; }

FK_DEVICE double factor(const Rows& x, int64_t row, double scale, double index, double offset) {
  return index < 0 ? offset
                   : statevector::linear_factor(scale, load_element(x, row, static_cast<int64_t>(index)), offset);
}

// scratch: of every row of the launch, the turns of its gates, its sums, and whether an angle is not finite.
template <class T>
FK_KERNEL void __launch_bounds__(kThreads)
    LineKernel(LinePointers line, Rows x, int64_t first, uint64_t* scratch, T* out, int64_t pitch) {
  const int64_t n = line.n_sites, n_sums = 2 * n + 5, t = threadIdx.x, row = first + blockIdx.x;
  uint64_t* turns = scratch + blockIdx.x * (line.n_gates + n_sums + 1);
  uint64_t* sums = turns + line.n_gates;
  uint64_t* is_bad = sums + n_sums;
  if (t == 0) *is_bad = 0;
  __syncthreads();
  for (int64_t i = t; i < line.n_gates; i += kThreads) {
    const double* p = line.records + i * kRecord;
    const double angle = __dmul_rn(factor(x, row, p[5], p[6], p[7]), factor(x, row, p[8], p[9], p[10]));
    turns[i] = statevector::quarter_turns(angle);
    if (!statevector::is_finite(angle)) *is_bad = 1;
  }
  __syncthreads();
  for (int64_t i = t; i < n_sums; i += kThreads) {
    uint64_t sum = 0;
    for (int32_t k = line.term_begin[i]; k < line.term_begin[i + 1]; ++k)
      sum += static_cast<uint64_t>(static_cast<int64_t>(line.terms[k].multiple)) * turns[line.terms[k].gate];
    sums[i] = sum;
  }
  __syncthreads();
  const uint64_t* linear = sums + 1;
  const uint64_t* coupling = linear + n + 2;
  T* to = out + row * pitch;
  const int64_t n_steps = 1 + (n + 1) / 2;
  for (int64_t i = t; i < n_steps * kPhases; i += kThreads) {
    const int64_t d = i / kPhases, k = i % kPhases;
    uint64_t phase;
    if (d == 0) {
      phase = 2 * sums[0];  // sums are of half angles, which the summed-out (odd) sites need; the rest takes twice them
      for (int64_t j = 1; j < n; j += 2) phase += linear[j];
    } else {
      const int64_t even = 2 * d - 2, odd = even + 1;
      const uint64_t before = coupling[even], after = coupling[odd];
      phase = k == 0 ? 2 * linear[even] + before + (even > 0 ? coupling[even - 1] : 0)
                     : linear[odd] + (k >= 3 ? before : 0) + (k % 2 == 0 ? after : 0);
    }
    const statevector::Complex<double> unit = statevector::unit_of(phase);
    const bool is_nan = d == 0 && *is_bad;
    to[2 * i] = is_nan ? static_cast<T>(NAN) : static_cast<T>(unit.re);
    to[2 * i + 1] = is_nan ? static_cast<T>(NAN) : static_cast<T>(unit.im);
  }
}

template <class U>
Array<U> upload(const std::vector<U>& v, Stream stream) {
  Array<U> out(static_cast<int64_t>(std::max<size_t>(v.size(), 1)), stream);
  if (!v.empty()) copy_to_device(out.get(), v.data(), v.size() * sizeof(U), stream);
  return out;
}

template <class T>
void encode_rows(const Rows& x, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  const int64_t n = sites(args), n_gates = (static_cast<int64_t>(args.params.size()) - 2) / kRecord, n_sums = 2 * n + 5;
  const double* records = args.params.data() + 2;
  if (x.length != static_cast<int64_t>(args.params[0]))
    throw std::invalid_argument("line: rows must have " + std::to_string(static_cast<int64_t>(args.params[0])) +
                                " features, got " + std::to_string(x.length));
  if (x.count == 0) return;
  std::vector<std::vector<Term>> lists(static_cast<size_t>(n_sums));
  for (int64_t i = 0; i < n_gates; ++i) {
    const double* p = records + i * kRecord;
    const int64_t site = static_cast<int64_t>(p[0]), targets[] = {0, 1 + site, 2 + site, 1 + n + 2 + site};
    for (int k = 0; k < 4; ++k)
      if (p[1 + k] != 0)
        lists[static_cast<size_t>(targets[k])].push_back({static_cast<int32_t>(i), static_cast<int32_t>(p[1 + k])});
  }
  std::vector<int32_t> begin{0};
  std::vector<Term> terms;
  for (const std::vector<Term>& list : lists) {
    terms.insert(terms.end(), list.begin(), list.end());
    begin.push_back(static_cast<int32_t>(terms.size()));
  }
  const Array<double> records_there = upload(std::vector<double>(records, records + n_gates * kRecord), stream);
  const Array<int32_t> begin_there = upload(begin, stream);
  const Array<Term> terms_there = upload(terms, stream);
  const LinePointers line{n, n_gates, records_there.data(), begin_there.data(), terms_there.data()};
  const int64_t words = n_gates + n_sums + 1;
  const int64_t chunk = std::max<int64_t>(1, std::min(x.count, kScratchBytes / 8 / words));
  const Array<uint64_t> scratch(chunk * words, stream);
  for (int64_t first = 0; first < x.count; first += chunk)
    launch("LineKernel", LineKernel<T>, Grid{std::min(chunk, x.count - first)}, kThreads, 0, stream, line, x, first,
           scratch.data(), out, pitch);
}

}  // namespace

extern const Encoder line_encoder;
const Encoder line_encoder = {"line", Pair::transfer, depth, encode_rows<float>, encode_rows<double>};

}  // namespace flashket::cuda
