// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/buffer.hpp"
#include "core/isa.hpp"
#include "core/parallel.hpp"
#include "core/philox.hpp"
#include "gram/mps_gram.hpp"
#include "gram/pack.hpp"

namespace flashket {
namespace {

constexpr int64_t kRowChunk = 32;

// Rows [first, first + lanes) side by side; missing rows repeat the last one, their results are not used.
struct Group {
  std::vector<int32_t> bonds;  // the largest of the lanes
  Buffer<double> tensors;
};

Group pack(const MpsView& states, int64_t first, const MpsKernel& kernel) {
  const int64_t n_sites = states.n_sites, lanes = kernel.lanes, columns = kernel.columns;
  Group group;
  group.bonds.assign(n_sites + 1, 1);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const int32_t* bonds = states.bonds_of(std::min(first + lane, states.rows - 1));
    for (int64_t j = 0; j <= n_sites; ++j) group.bonds[j] = std::max(group.bonds[j], bonds[j]);
  }
  int64_t size = 0;
  for (int64_t j = 0; j < n_sites; ++j) size += 4 * group.bonds[j] * round_up(group.bonds[j + 1], columns);
  group.tensors = Buffer<double>(size * lanes);
  std::fill_n(group.tensors.data(), size * lanes, 0.0);
  for (int64_t lane = 0; lane < lanes; ++lane) {
    const int64_t row = std::min(first + lane, states.rows - 1);
    const int32_t* bonds = states.bonds_of(row);
    const double* from = states.tensors_of(row);
    double* site = group.tensors.data();
    for (int64_t j = 0; j < n_sites; ++j) {
      const int64_t width = round_up(group.bonds[j + 1], columns);
      for (int64_t i = 0; i < 2 * bonds[j]; ++i) {
        double* to = site + 2 * i * width * lanes + lane;
        for (int64_t r = 0; r < bonds[j + 1]; to += 2 * columns * lanes)
          for (const int64_t end = std::min<int64_t>(r + columns, bonds[j + 1]), first = r; r < end; ++r, from += 2) {
            to[(r - first) * lanes] = from[0];
            to[(r - first + columns) * lanes] = from[1];
          }
      }
      site += 4 * group.bonds[j] * width * lanes;
    }
  }
  return group;
}

double value_of(const MpsGramOptions& o, double re, double im, double exponent) {
  constexpr double ln2 = 0.69314718055994530942;
  if (o.similarity == Similarity::fidelity) {
    const double square = re * re + im * im;
    if (o.log) return o.power * std::min(0.0, 2 * exponent * ln2 + std::log(square));
    const double value = std::min(1.0, std::ldexp(square, static_cast<int>(std::max(2 * exponent, -3000.0))));
    return o.readings.is_exact() ? std::pow(value, o.power) : value;
  }
  const double overlap = std::ldexp(re, static_cast<int>(std::max(exponent, -3000.0)));
  const double value = std::min(1.0, std::max(0.0, 0.5 + 0.5 * overlap));
  if (o.log) return o.power * std::log(value);
  return o.readings.is_exact() ? std::pow(value, o.power) : value;
}

}  // namespace

template <class T>
void mps_gram(const MpsView& x, const MpsView* y, const MatrixView<T>& out, const MpsGramOptions& options) {
  const bool is_symmetric = y == nullptr;
  const MpsView& right = is_symmetric ? x : *y;
  const int64_t n = x.rows, m = right.rows;
  const MpsOps& ops = *isa_ops().mps;
  // Lanes without a row of their own cost as much as the others.
  const MpsKernel& kernel = 2 * m <= ops.wide.lanes ? ops.single : ops.wide;
  const int64_t lanes = kernel.lanes;
  if (n == 0 || m == 0) return;
  const int64_t n_groups = (m + lanes - 1) / lanes, n_chunks = (n + kRowChunk - 1) / kRowChunk;
  std::vector<Group> groups(n_groups);
  parallel_for(n_groups, [&](int64_t g, int) { groups[g] = pack(right, g * lanes, kernel); });
  const int64_t widest = x.largest_bond() * round_up(right.largest_bond(), kernel.columns);
  const uint64_t key = stream_key(options.seed, StreamDomain::gram, 0, 0);
  PerWorker<Buffer<double>> scratch;
  parallel_for(n_groups * n_chunks, [&](int64_t index, int worker) {
    const Group& group = groups[index / n_chunks];
    const int64_t j0 = index / n_chunks * lanes, i0 = index % n_chunks * kRowChunk;
    const int64_t i1 = std::min(i0 + kRowChunk, n), j1 = std::min(j0 + lanes, m);
    if (is_symmetric && j1 <= i0) return;  // below the diagonal: its mirror writes it
    double* work = scratch.get(worker, [&] { return Buffer<double>((8 * widest + 3) * lanes); }).data();
    double *re = work + 8 * widest * lanes, *im = re + lanes, *exponent = im + lanes;
    for (int64_t i = i0; i < i1; ++i) {
      if (is_symmetric && j1 <= i) break;
      kernel.overlap(x.n_sites, x.bonds_of(i), x.tensors_of(i), group.bonds.data(), group.tensors.data(), work, re, im,
                     exponent);
      const int64_t first = is_symmetric ? std::max(i, j0) : j0;
      for (int64_t j = first; j < j1; ++j) re[j - j0] = value_of(options, re[j - j0], im[j - j0], exponent[j - j0]);
      if (is_symmetric && first == i) re[i - j0] = options.log ? 0 : 1;
      if (!options.readings.is_exact())
        sample_run<double>()(re + first - j0, j1 - first, options.readings, options.power, {key, i, first, false});
      for (int64_t j = first; j < j1; ++j) {
        out(i, j) = static_cast<T>(re[j - j0]);
        if (is_symmetric) out(j, i) = out(i, j);
      }
    }
  });
}

template void mps_gram(const MpsView&, const MpsView*, const MatrixView<float>&, const MpsGramOptions&);
template void mps_gram(const MpsView&, const MpsView*, const MatrixView<double>&, const MpsGramOptions&);

}  // namespace flashket
