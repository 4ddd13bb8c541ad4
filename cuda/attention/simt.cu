// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A block of 256 threads, 64 rows and 64 columns of v. Thread (tx, ty) of a 16 x 16 grid owns rows 4 ty .. 4 ty + 3 and
// 4 tx .. 4 tx + 3 of the keys while scores are made, then the same rows and columns 4 tx .. 4 tx + 3 of v. Per tile of
// 64 keys: rows and keys pass through shared memory in stages of 32 elements, scores become weights in registers,
// weights pass through shared memory, values follow in the place of the rows. Sums over a tile are taken in C, sums of
// those in double: in float the rounding of thousands of tiles would drift.
//
// Shared memory, 12288 C: rows [32][64], keys [32][64], which values [64][64] replace, and weights [64 keys][64 rows].
// Four neighbours are read at once; the place of a group of four is its number xor that of the element or key, which
// keeps both the transposing stores and the reads free of bank conflicts without padding.
//
// A weight of -1 marks a key that the row may not see: its value is skipped, not multiplied by 0, since it may be NaN.
#include "attention/simt.hpp"

#include "attention/score.hpp"
#include "core/launch.hpp"
#include "noise/binomial.hpp"

namespace flashket::cuda {
namespace {

constexpr int kRows = kStageRows, kKeys = kStageRows, kCols = 64, kThreads = 256;
constexpr int kShared = 2 * kStageElements * kStageRows + kKeys * kRows;  // elements

struct Pass {
  Problem problem;
  Finish finish;
  EncodedRows rows;
  PassOptions options;
  Scoring scoring;
  Splits splits;
  Partials<double> partials;
};

// is_scaled: mantissas and exponents apart, for logarithms; other pair kinds do not underflow or always do that.
template <class C, Pair pair, bool is_scaled>
struct OverlapOf {
  using type = SumOverlap<C, pair>;
};
template <class C, bool is_scaled>
struct OverlapOf<C, Pair::product, is_scaled> {
  using type = ProductOverlap<C, is_scaled>;
};
template <class C, bool is_scaled>
struct OverlapOf<C, Pair::transfer, is_scaled> {
  using type = TransferOverlap<C>;
};

template <Pair pair>
FK_DEVICE int64_t row_length(int64_t depth) {  // real parts only of complex rows
  return pair == Pair::product ? 2 * depth : pair == Pair::transfer ? kTransferElements * depth : depth;
}

// Group q of four elements of the stage that begins with element `begin`. Beyond the end: factors of 1 in a product,
// else 0.
template <class C, Pair pair>
FK_DEVICE Four<C> load_group(const EncodedRows& rows, const void* data, int64_t row_offset, int64_t begin, int q) {
  const int64_t length = row_length<pair>(rows.depth);
  int64_t element = begin + q * kFour, offset = row_offset + element;
  if (pair == Pair::complex_dot && q >= kStageElements / 2 / kFour) {
    element -= kStageElements / 2;
    offset += rows.depth - kStageElements / 2;
  }
  Four<C> out;
  if (element + kFour <= length && offset % kFour == 0) {
    if (rows.are_double) {
      const Four<double> v = *reinterpret_cast<const Four<double>*>(static_cast<const double*>(data) + offset);
#pragma unroll
      for (int k = 0; k < kFour; ++k) out.x[k] = static_cast<C>(v.x[k]);
    } else {
      const Four<float> v = *reinterpret_cast<const Four<float>*>(static_cast<const float*>(data) + offset);
#pragma unroll
      for (int k = 0; k < kFour; ++k) out.x[k] = static_cast<C>(v.x[k]);
    }
    return out;
  }
#pragma unroll
  for (int k = 0; k < kFour; ++k) {
    if (element + k >= length)
      out.x[k] = pair == Pair::product && k % 2 == 0 ? C(1) : C(0);
    else if (rows.are_double)
      out.x[k] = static_cast<C>(static_cast<const double*>(data)[offset + k]);
    else
      out.x[k] = static_cast<C>(static_cast<const float*>(data)[offset + k]);
  }
  return out;
}

// Where a thread's share of a stage comes from: a group of four elements of rows n and n + 32, n = thread / 8, of
// queries and keys. Offsets of the rows in elements.
struct Sources {
  int64_t query[2], key[2];
};

template <class C, Pair pair>
FK_DEVICE void stage(const EncodedRows& rows, const Sources& from, int64_t begin, C* a, C* b) {
  const int q = static_cast<int>(threadIdx.x) % 8, first = static_cast<int>(threadIdx.x) / 8;
  __syncthreads();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + 32 * half, at = (row / kFour ^ q) * kFour + row % kFour;
    const Four<C> x = load_group<C, pair>(rows, rows.queries, from.query[half], begin, q);
    const Four<C> y = load_group<C, pair>(rows, rows.keys, from.key[half], begin, q);
#pragma unroll
    for (int k = 0; k < kFour; ++k) {
      a[(q * kFour + k) * kStageRows + at] = x.x[k];
      b[(q * kFour + k) * kStageRows + at] = y.x[k];
    }
  }
  __syncthreads();
}

// What the thread's rows mean, and what is known of them so far.
struct RowState {
  int limit[kFour];  // keys before it pass causality and kv_lens; 0 beyond the last row
  bool is_wanted[kFour];
  int n_admissible[kFour];
  double maximum[kFour];
  double denominator[kFour];  // of the thread's own keys, until the end
};

// Kernel values of a tile, or their logarithms.
template <class C, Pair pair, bool is_scaled>
FK_DEVICE void score(const Pass& pass, const Scoring& scoring, const Sources& from, C* a, C* b,
                     C (&values)[kFour][kFour]) {
  using Rows = typename OverlapOf<C, pair, is_scaled>::type;
  const bool is_log = pass.options.weighing == Weighing::log_sum;
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
  const int64_t length = row_length<pair>(pass.rows.depth);
#pragma unroll
  for (int first = 0; first < kFour; first += Rows::R) {
    Rows overlap(pass.rows.depth);
    for (int64_t begin = 0; begin < length; begin += Rows::depth) {
      stage<C, pair>(pass.rows, from, begin, a, b);
      if constexpr (pair == Pair::transfer)
        overlap.add(a, b, ty, tx, first, length - begin);
      else
        overlap.add(a, b, ty, tx);
    }
    overlap.finish();
#pragma unroll
    for (int r = 0; r < Rows::R; ++r)
#pragma unroll
      for (int c = 0; c < kFour; ++c) {
        const Overlap<C> s = overlap.overlap(r, c);
        if (sizeof(C) == 8 && is_log) {
          values[first + r][c] = log_kernel_value(scoring, s);
        } else {
          const C scale = pair == Pair::transfer ? power_of_two<C>(s.exponent) : C(1);
          values[first + r][c] = kernel_value(scoring, s.re * scale, s.im * scale);
        }
      }
  }
}

template <class C>
FK_DEVICE C largest_of_row(C x) {  // over the 16 threads of one ty; not a number is passed over
#pragma unroll
  for (int lanes = 8; lanes > 0; lanes /= 2) x = fmax(x, __shfl_xor_sync(0xffffffffu, x, lanes));
  return x;
}

template <class T>
FK_DEVICE T sum_of_row(T x) {
#pragma unroll
  for (int lanes = 8; lanes > 0; lanes /= 2) x += __shfl_xor_sync(0xffffffffu, x, lanes);
  return x;
}

// values -> weights against the running maximum. Values of hidden keys are passed over.
template <class C>
FK_DEVICE void exponentials(double scale, const bool (&is_hidden)[kFour][kFour], C (&values)[kFour][kFour],
                            RowState& state, double (&total)[kFour][kFour]) {
  const C none = -static_cast<C>(INFINITY);
#pragma unroll
  for (int r = 0; r < kFour; ++r) {
    C largest = none;
#pragma unroll
    for (int c = 0; c < kFour; ++c) {
      values[r][c] *= static_cast<C>(scale);
      if (!is_hidden[r][c]) largest = fmax(largest, values[r][c]);
    }
    const C before = static_cast<C>(state.maximum[r]), maximum = fmax(before, largest_of_row(largest));
#pragma unroll
    for (int c = 0; c < kFour; ++c)
      values[r][c] = values[r][c] == none ? C(0) : static_cast<C>(exp(values[r][c] - maximum));
    if (maximum == before) continue;
    const double shrink = static_cast<double>(exp(before - maximum));
    state.maximum[r] = static_cast<double>(maximum);
    state.denominator[r] *= shrink;
#pragma unroll
    for (int c = 0; c < kFour; ++c) total[r][c] *= shrink;
  }
}

// Values of 64 keys, 64 columns. Keys beyond the end are 0: nobody sees them.
template <class C>
FK_DEVICE void load_values(const Problem& p, int64_t base, int64_t first_key, int64_t end, int64_t first_col, C* v) {
  const int col = static_cast<int>(threadIdx.x) % kCols;
  for (int j = static_cast<int>(threadIdx.x) / kCols; j < kKeys; j += kThreads / kCols) {
    C x = 0;
    if (first_key + j < end && first_col + col < p.v_dim) {
      const int64_t at = base + (first_key + j) * p.v.stride[2] + first_col + col;
      if constexpr (sizeof(C) == 8)
        x = load_element(p.v.data, p.v.dtype, at);
      else
        x = load_float(p.v.data, p.v.dtype, at);
    }
    v[j * kCols + col] = x;
  }
}

template <class C, bool is_whole>
FK_DEVICE void multiply(C* weights, C* v, int ty, int tx, C (&sum)[kFour][kFour]) {
#pragma unroll 4
  for (int j = 0; j < kKeys; ++j) {
    const Four<C> w = group_at(weights + j * kRows, ty ^ (j / kFour)), x = group_at(v + j * kCols, tx);
#pragma unroll
    for (int r = 0; r < kFour; ++r) {
      if (!is_whole && w.x[r] == C(-1)) continue;
#pragma unroll
      for (int c = 0; c < kFour; ++c) sum[r][c] += w.x[r] * x.x[c];
    }
  }
}

template <class C, Pair pair, bool is_scaled>
FK_KERNEL void __launch_bounds__(kThreads) AttendKernel(Pass pass) {
  const Problem& p = pass.problem;
  const PassOptions& o = pass.options;
  C* const a = dynamic_shared<C>();
  C* const b = a + kStageElements * kStageRows;
  C* const v = a;
  C* const weights = b + kStageElements * kStageRows;
  const int tid = static_cast<int>(threadIdx.x), tx = tid % 16, ty = tid / 16;
  const int64_t rows_per_pair = p.rows_per_pair(), n_tiles = divide_up(rows_per_pair, kRows);
  // Last tiles first: under causality they are the longest.
  const int64_t block = blockIdx.x, tile = n_tiles - 1 - block % n_tiles;
  const int64_t split = block / n_tiles % pass.splits.count, pair_index = block / n_tiles / pass.splits.count;
  const int64_t first_row = tile * kRows, first_col = static_cast<int64_t>(blockIdx.y) * kCols;
  const int64_t rows_left = rows_per_pair - first_row;
  const int n_rows = rows_left < kRows ? static_cast<int>(rows_left) : kRows;
  const int32_t* status = pass.finish.status + pair_index * rows_per_pair + first_row;

  if (o.only >= 0) {
    int* is_needed = reinterpret_cast<int*>(weights);
    if (tid == 0) *is_needed = 0;
    __syncthreads();
    if (tid < n_rows && status[tid] == o.only) *is_needed = 1;
    __syncthreads();
    if (*is_needed == 0) return;
    __syncthreads();
  }

  const int64_t batch = (p.first_pair + pair_index) / p.n_key_heads;
  const int64_t kv_head = (p.first_pair + pair_index) % p.n_key_heads, length = kv_length(p, batch);
  RowState state;
#pragma unroll
  for (int r = 0; r < kFour; ++r) {
    const int local = ty * kFour + r;
    const bool exists = local < n_rows;
    state.limit[r] = exists ? static_cast<int>(key_limit(p, (first_row + local) / p.group, length)) : 0;
    state.is_wanted[r] = exists && (o.only < 0 || status[local] == o.only);
    state.n_admissible[r] = 0;
    state.maximum[r] = -static_cast<double>(INFINITY);
    state.denominator[r] = 0;
  }
  const int64_t least_limit = n_rows == kRows ? key_limit(p, first_row / p.group, length) : 0;
  int64_t end = key_limit(p, (first_row + n_rows - 1) / p.group, length);
  const int64_t begin = split * pass.splits.keys;
  end = end < begin + pass.splits.keys ? end : begin + pass.splits.keys;

  Sources from;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = tid / 8 + 32 * half, existing = row < n_rows ? row : n_rows - 1;
    from.query[half] = query_row(p, pair_index, first_row + existing) * pass.rows.pitch;
  }
  Scoring one = pass.scoring;
  if (o.shots > 0) one.power = 1;  // a power acts on the estimate

  double total[kFour][kFour] = {};
  for (int64_t j0 = begin; j0 < end; j0 += kKeys) {
    C values[kFour][kFour];
    if (o.weighing == Weighing::uniform) {
#pragma unroll
      for (int r = 0; r < kFour; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c) values[r][c] = 1;
    } else {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t key = j0 + tid / 8 + 32 * half;
        from.key[half] = (pair_index * p.n_keys + (key < p.n_keys ? key : p.n_keys - 1)) * pass.rows.pitch;
      }
      score<C, pair, is_scaled>(pass, one, from, a, b, values);
    }

    const bool is_whole = p.mask == nullptr && j0 + kKeys <= least_limit;
    bool is_hidden[kFour][kFour];
#pragma unroll
    for (int r = 0; r < kFour; ++r) {
      const uint8_t* mask = nullptr;
      if (p.mask != nullptr && ty * kFour + r < n_rows)
        mask = mask_row(p, place_of(p, pair_index, first_row + ty * kFour + r));
#pragma unroll
      for (int c = 0; c < kFour; ++c) {
        const int64_t key = j0 + tx * kFour + c;
        is_hidden[r][c] = !is_whole && (key >= state.limit[r] || key >= end ||
                                        (mask != nullptr && mask[key * p.mask_stride[3]] == 0));
        state.n_admissible[r] += !is_hidden[r][c];
      }
    }
    if (o.shots > 0 && o.weighing != Weighing::uniform) {
      // Through shared memory, so that the sampler's code exists once.
#pragma unroll
      for (int r = 0; r < kFour; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c)
          weights[(r * kFour + c) * kThreads + tid] = is_hidden[r][c] ? C(0) : values[r][c];
#pragma unroll 1
      for (int entry = 0; entry < kFour * kFour; ++entry) {
        C& value = weights[entry * kThreads + tid];
        const int local = ty * kFour + entry / kFour;
        if (local >= n_rows) continue;
        const RowPlace at = place_of(p, pair_index, first_row + local);
        const uint64_t key = stream_key(o.seed, StreamDomain::attention, at.batch, at.head);
        value = static_cast<C>(sample_value(static_cast<double>(value), o.shots, pass.scoring.power, key, at.query + length - p.n_queries,
                              j0 + tx * kFour + entry % kFour));
      }
#pragma unroll
      for (int r = 0; r < kFour; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c) values[r][c] = weights[(r * kFour + c) * kThreads + tid];
      __syncthreads();
    }
    if (o.weighing == Weighing::softmax || o.weighing == Weighing::log_sum)
      exponentials(o.weighing == Weighing::softmax ? o.scale : 1.0, is_hidden, values, state, total);

    __syncthreads();  // the last tile's weights and this one's rows have been read
#pragma unroll
    for (int r = 0; r < kFour; ++r) {
      C sum = 0;
#pragma unroll
      for (int c = 0; c < kFour; ++c) sum += is_hidden[r][c] ? C(0) : values[r][c];
      state.denominator[r] += static_cast<double>(sum);
    }
#pragma unroll
    for (int c = 0; c < kFour; ++c) {
      Four<C> w;
#pragma unroll
      for (int r = 0; r < kFour; ++r) w.x[r] = is_hidden[r][c] ? C(-1) : values[r][c];
      group_at(weights + (tx * kFour + c) * kRows, ty ^ tx) = w;
    }
    load_values(p, batch * p.v.stride[0] + kv_head * p.v.stride[1], j0, end, first_col, v);
    __syncthreads();
    C sum[kFour][kFour] = {};
    if (is_whole)
      multiply<C, true>(weights, v, ty, tx, sum);
    else
      multiply<C, false>(weights, v, ty, tx, sum);
#pragma unroll
    for (int r = 0; r < kFour; ++r)
#pragma unroll
      for (int c = 0; c < kFour; ++c) total[r][c] += static_cast<double>(sum[r][c]);
    __syncthreads();
  }

#pragma unroll
  for (int r = 0; r < kFour; ++r) {
    const double denominator = sum_of_row(state.denominator[r]);
    const int n_admissible = sum_of_row(state.n_admissible[r]);
    if (!state.is_wanted[r]) continue;
    const int64_t row = first_row + ty * kFour + r;
    const bool is_first = tx == 0 && first_col == 0;
    if (pass.splits.count > 1) {
      const int64_t at = split * p.n_rows() + pair_index * rows_per_pair + row;
      if (is_first) {
        pass.partials.denominator[at] = denominator;
        pass.partials.maximum[at] = state.maximum[r];
        pass.partials.n_admissible[at] = n_admissible;
      }
#pragma unroll
      for (int c = 0; c < kFour; ++c)
        if (first_col + tx * kFour + c < p.v_dim)
          pass.partials.numerator[at * p.v_dim + first_col + tx * kFour + c] = total[r][c];
      continue;
    }
    const int32_t left = finish_row(p, pass.finish, o.weighing, pair_index, row, n_admissible, denominator, is_first);
    if (left != kRowDone) continue;
    const int64_t at = out_offset(p, place_of(p, pair_index, row)) + first_col + tx * kFour;
#pragma unroll
    for (int c = 0; c < kFour; ++c)
      if (first_col + tx * kFour + c < p.v_dim)
        store_element(p.out.data, p.out.dtype, at + c, n_admissible == 0 ? 0.0 : total[r][c] / denominator);
  }
}

template <class C, Pair pair, bool is_scaled>
void launch_attend(const char* name, const Pass& pass, Stream stream) {
  const Problem& p = pass.problem;
  const Grid grid{p.n_pairs * pass.splits.count * divide_up(p.rows_per_pair(), kRows), divide_up(p.v_dim, kCols)};
  launch(name, AttendKernel<C, pair, is_scaled>, grid, kThreads, kShared * sizeof(C), stream, pass);
}

template <class C>
void launch_pair(Pair pair, const Pass& pass, Stream stream) {
  switch (pair) {
    case Pair::product:
      if constexpr (sizeof(C) == 8) {
        if (pass.options.weighing == Weighing::log_sum)
          return launch_attend<C, Pair::product, true>("attention, scaled product", pass, stream);
      }
      return launch_attend<C, Pair::product, false>("attention, product", pass, stream);
    case Pair::real_dot:
      return launch_attend<C, Pair::real_dot, false>("attention, real dot", pass, stream);
    case Pair::complex_dot:
      return launch_attend<C, Pair::complex_dot, false>("attention, complex dot", pass, stream);
    case Pair::distance:
      return launch_attend<C, Pair::distance, false>("attention, distance", pass, stream);
    case Pair::transfer:
      return launch_attend<C, Pair::transfer, false>("attention, transfer", pass, stream);
  }
}

}  // namespace

void simt_pass(const KernelSpec& spec, const Problem& problem, const Finish& finish, const EncodedRows& rows,
               const PassOptions& options, Stream stream) {
  Pass pass{};
  pass.problem = problem;
  pass.finish = finish;
  pass.rows = rows;
  pass.options = options;
  pass.scoring = scoring(spec);
  const int64_t n_blocks =
      problem.n_pairs * divide_up(problem.rows_per_pair(), kRows) * divide_up(problem.v_dim, kCols);
  pass.splits = split_keys(n_blocks, problem.n_keys, 4 * kKeys);
  PartialSums<double> sums;
  if (pass.splits.count > 1) {
    sums = PartialSums<double>(pass.splits.count, problem, stream);
    pass.partials = sums.view();
  }
  if (options.in_double || options.weighing == Weighing::log_sum)
    launch_pair<double>(spec.encoder->pair, pass, stream);
  else
    launch_pair<float>(spec.encoder->pair, pass, stream);
  if (pass.splits.count > 1)
    combine(problem, finish, options.weighing, options.only, pass.splits, pass.partials, stream);
}

}  // namespace flashket::cuda
