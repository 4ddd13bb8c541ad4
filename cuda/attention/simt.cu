// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A block of 256 threads, 64 rows and 64 columns of v. Thread (tx, ty) of a 16 x 16 grid owns rows 4 ty .. 4 ty + 3 and
// 4 tx .. 4 tx + 3 of the keys while scores are made, then the same rows and columns 4 tx .. 4 tx + 3 of v. Per tile of
// 64 keys: rows and keys pass through shared memory in stages of 32 elements, scores become weights in registers,
// weights pass through shared memory, values follow in the place of the rows. Sums over a tile are taken in C, sums of
// those in double: in float the rounding of thousands of tiles would drift.
//
// Shared memory, 8192 C: rows [32][64], keys [32][64], which values [64][64] replace, and weights [64 keys][64 rows];
// behind them what is touched once a tile, which in registers would cost a block of float its neighbour: the sums over
// tiles, 4096 doubles, and of float of every thread's rows denominators (double), maxima and counts of keys (int). A
// block of double has no neighbour, and with these it would not fit where a block may have 99 KB.
// Four neighbours are read at once; the place of a group of four is its number xor that of the element or key, which
// keeps both the transposing stores and the reads free of bank conflicts without padding.
//
// A weight of -1 marks a key that the row may not see: its value is skipped, not multiplied by 0, since it may be NaN.
#include "attention/score.hpp"
#include "attention/simt.hpp"
#include "core/launch.hpp"
#include "noise/binomial.hpp"

namespace flashket::cuda {
namespace {

constexpr int kRows = kStageRows, kKeys = kStageRows, kCols = 64, kThreads = 256;
constexpr int kShared = 2 * kStageElements * kStageRows + kKeys * kRows;  // elements, without totals
template <class C>
constexpr bool kAreRowsShared = sizeof(C) == 4;
template <class C>
constexpr size_t kSharedBytes =
    kShared * sizeof(C) +
    kThreads * kFour * (kFour * sizeof(double) + (kAreRowsShared<C> ? sizeof(double) + sizeof(C) + sizeof(int) : 0));
static_assert(kSharedBytes<float> <= kLeastSharedPerBlock && kSharedBytes<double> <= kLeastSharedPerBlock);

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
// queries and keys. Offsets of the queries in elements; keys are the run's first_key on, as far as they exist.
struct Sources {
  int64_t query[2], first_key;
  int n_keys;
};

template <class C, Pair pair>
FK_DEVICE void stage(const EncodedRows& rows, const Sources& from, int64_t begin, C* a, C* b) {
  const int q = static_cast<int>(threadIdx.x) % 8, first = static_cast<int>(threadIdx.x) / 8;
  __syncthreads();
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = first + 32 * half, at = (row / kFour ^ q) * kFour + row % kFour;
    const Four<C> x = load_group<C, pair>(rows, rows.queries, from.query[half], begin, q);
    const int64_t key = from.first_key + (row < from.n_keys ? row : from.n_keys - 1);
    const Four<C> y = load_group<C, pair>(rows, rows.keys, key * rows.pitch, begin, q);
#pragma unroll
    for (int k = 0; k < kFour; ++k) {
      a[(q * kFour + k) * kStageRows + at] = x.x[k];
      b[(q * kFour + k) * kStageRows + at] = y.x[k];
    }
  }
  __syncthreads();
}

// What is known of the thread's rows so far, in shared memory, [number][thread]; of double only the totals.
template <class C>
struct RowState {
  double* sums;  // of the thread

  FK_DEVICE RowState() : sums(reinterpret_cast<double*>(dynamic_shared<C>() + kShared) + threadIdx.x) {}
  FK_DEVICE double& total(int r, int c) { return sums[(r * kFour + c) * kThreads]; }
  // Of the thread's own keys, until the end.
  FK_DEVICE double& denominator(int r) {
    if constexpr (kAreRowsShared<C>)
      return sums[(kFour * kFour + r) * kThreads];
    else
      return denominators_[r];
  }
  FK_DEVICE C& maximum(int r) {
    if constexpr (kAreRowsShared<C>)
      return maxima()[r * kThreads + threadIdx.x];
    else
      return maxima_[r];
  }
  FK_DEVICE int& n_admissible(int r) {
    if constexpr (kAreRowsShared<C>)
      return reinterpret_cast<int*>(maxima() + kFour * kThreads)[r * kThreads + threadIdx.x];
    else
      return counts_[r];
  }

 private:
  static constexpr int kKept = kAreRowsShared<C> ? 1 : kFour;
  double denominators_[kKept];
  C maxima_[kKept];
  int counts_[kKept];

  FK_DEVICE static C* maxima() {
    return reinterpret_cast<C*>(reinterpret_cast<double*>(dynamic_shared<C>() + kShared) +
                                (kFour + 1) * kFour * kThreads);
  }
};

// Not inlined: its registers would crowd out those of every call without shots. What ptxas reports as spilled in float
// are registers saved around this call.
__attribute__((noinline)) FK_HD double sample_apart(double value, int64_t shots, int power, uint64_t key, int64_t row,
                                                    int64_t col) {
  return sample_value(value, shots, power, key, row, col);
}

// Kernel values of a tile, or their logarithms.
template <class C, Pair pair, bool is_scaled>
FK_DEVICE void score(const Pass& pass, const Scoring& scoring, const Sources& from, bool has_rows, C* a, C* b,
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
      if (!has_rows) continue;
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

// Bit 4 r + c of a thread's 16 pairs of row and key.
FK_DEVICE bool is_hidden(uint32_t hidden, int r, int c) { return hidden >> (r * kFour + c) & 1; }

// values -> weights against the running maximum. Values of hidden keys are passed over.
template <class C>
FK_DEVICE void exponentials(double scale, uint32_t hidden, C (&values)[kFour][kFour], RowState<C>& state) {
  const C none = -static_cast<C>(INFINITY);
#pragma unroll
  for (int r = 0; r < kFour; ++r) {
    C largest = none;
#pragma unroll
    for (int c = 0; c < kFour; ++c) {
      values[r][c] *= static_cast<C>(scale);
      if (!is_hidden(hidden, r, c)) largest = fmax(largest, values[r][c]);
    }
    const C before = state.maximum(r), maximum = fmax(before, largest_of_row(largest));
#pragma unroll
    for (int c = 0; c < kFour; ++c)
      values[r][c] = values[r][c] == none ? C(0) : static_cast<C>(exp(values[r][c] - maximum));
    if (maximum == before) continue;
    const double shrink = static_cast<double>(exp(before - maximum));
    state.maximum(r) = maximum;
    state.denominator(r) *= shrink;
#pragma unroll
    for (int c = 0; c < kFour; ++c) state.total(r, c) *= shrink;
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
#pragma unroll 2
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

// Two blocks on a multiprocessor in float.
template <class C, Pair pair, bool is_scaled, bool is_near = false>
FK_KERNEL void __launch_bounds__(kThreads, sizeof(C) == 4 ? 2 : 1) AttendKernel(Pass pass) {
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
  const bool has_rows = tid / kWarp * 2 * kFour < n_rows;  // the warp: a step of decoding has few
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
  uint32_t wanted = 0;  // bit r: row 4 ty + r is worked on
  RowState<C> state;
#pragma unroll
  for (int r = 0; r < kFour; ++r) {
    const int local = ty * kFour + r;
    const bool exists = local < n_rows;
    wanted |= static_cast<uint32_t>(exists && (o.only < 0 || status[local] == o.only)) << r;
    state.n_admissible(r) = 0;
    state.maximum(r) = -static_cast<C>(INFINITY);
    state.denominator(r) = 0;
#pragma unroll
    for (int c = 0; c < kFour; ++c) state.total(r, c) = 0;
  }
  // Keys before it pass causality and kv_lens; 0 beyond the last row.
  const auto limit = [&](int r) {
    const int local = ty * kFour + r;
    return local < n_rows ? static_cast<int>(key_limit(p, (first_row + local) / p.group, length)) : 0;
  };
  const int64_t least_limit = n_rows == kRows ? key_limit(p, first_row / p.group, length) : 0;
  int64_t end = key_limit(p, (first_row + n_rows - 1) / p.group, length);
  int64_t begin = split * pass.splits.keys;
  if constexpr (is_near) begin = key_limit(p, first_row / p.group, length) & -o.chunk;
  end = end < begin + pass.splits.keys ? end : begin + pass.splits.keys;

  Sources from;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = tid / 8 + 32 * half, existing = row < n_rows ? row : n_rows - 1;
    from.query[half] = query_row(p, pair_index, first_row + existing) * pass.rows.pitch;
  }
  Scoring one = pass.scoring;
  if (o.shots > 0) one.power = 1;  // a power acts on the estimate

  for (int64_t j0 = begin; j0 < end; j0 += kKeys) {
    C values[kFour][kFour];
    if (o.weighing == Weighing::uniform) {
#pragma unroll
      for (int r = 0; r < kFour; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c) values[r][c] = 1;
    } else {
      from.first_key = pair_index * p.n_keys + j0;
      from.n_keys = p.n_keys - j0 < kKeys ? static_cast<int>(p.n_keys - j0) : kKeys;
      score<C, pair, is_scaled>(pass, one, from, has_rows, a, b, values);
    }

    const bool is_whole = !is_near && p.mask == nullptr && j0 + kKeys <= least_limit;
    uint32_t hidden = 0;
#pragma unroll
    for (int r = 0; r < kFour; ++r) {
      if (is_whole) {
        state.n_admissible(r) += kFour;
        continue;
      }
      const int limit_of_row = limit(r);
      int n_seen = 0;
      const uint8_t* mask = nullptr;
      if (p.mask != nullptr && ty * kFour + r < n_rows)
        mask = mask_row(p, place_of(p, pair_index, first_row + ty * kFour + r));
#pragma unroll
      for (int c = 0; c < kFour; ++c) {
        const int64_t key = j0 + tx * kFour + c;
        bool is_seen = key < limit_of_row && key < end && (mask == nullptr || mask[key * p.mask_stride[3]] != 0);
        if constexpr (is_near) is_seen = is_seen && key >= (limit_of_row & -o.chunk);
        hidden |= static_cast<uint32_t>(!is_seen) << (r * kFour + c);
        n_seen += is_seen;
      }
      state.n_admissible(r) += n_seen;
    }
    if (o.shots > 0 && o.weighing != Weighing::uniform) {
      // Through shared memory, so that the sampler's code exists once.
#pragma unroll
      for (int r = 0; r < kFour; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c)
          weights[(r * kFour + c) * kThreads + tid] = is_hidden(hidden, r, c) ? C(0) : values[r][c];
#pragma unroll 1
      for (int entry = 0; entry < kFour * kFour; ++entry) {
        C& value = weights[entry * kThreads + tid];
        const int local = ty * kFour + entry / kFour;
        if (local >= n_rows) continue;
        const RowPlace at = place_of(p, pair_index, first_row + local);
        const uint64_t key = stream_key(o.seed, StreamDomain::attention, at.batch, at.head);
        value = static_cast<C>(sample_apart(static_cast<double>(value), o.shots, pass.scoring.power, key,
                                            at.query + length - p.n_queries, j0 + tx * kFour + entry % kFour));
      }
#pragma unroll
      for (int r = 0; r < kFour; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c) values[r][c] = weights[(r * kFour + c) * kThreads + tid];
      __syncthreads();
    }
    if (o.weighing == Weighing::softmax || o.weighing == Weighing::log_sum)
      exponentials(o.weighing == Weighing::softmax ? o.scale : 1.0, hidden, values, state);

    __syncthreads();  // the last tile's weights and this one's rows have been read
#pragma unroll
    for (int r = 0; r < kFour; ++r) {
      C sum = 0;
#pragma unroll
      for (int c = 0; c < kFour; ++c) sum += is_hidden(hidden, r, c) ? C(0) : values[r][c];
      state.denominator(r) += static_cast<double>(sum);
    }
#pragma unroll
    for (int c = 0; c < kFour; ++c) {
      Four<C> w;
#pragma unroll
      for (int r = 0; r < kFour; ++r) w.x[r] = is_hidden(hidden, r, c) ? C(-1) : values[r][c];
      group_at(weights + (tx * kFour + c) * kRows, ty ^ tx) = w;
    }
    load_values(p, batch * p.v.stride[0] + kv_head * p.v.stride[1], j0, end, first_col, v);
    __syncthreads();
    if (has_rows) {
      C sum[kFour][kFour] = {};
      if (is_whole)
        multiply<C, true>(weights, v, ty, tx, sum);
      else
        multiply<C, false>(weights, v, ty, tx, sum);
#pragma unroll
      for (int r = 0; r < kFour; ++r)
#pragma unroll
        for (int c = 0; c < kFour; ++c) state.total(r, c) += static_cast<double>(sum[r][c]);
    }
    __syncthreads();
  }

#pragma unroll
  for (int r = 0; r < kFour; ++r) {
    const double denominator = sum_of_row(state.denominator(r));
    const int n_admissible = sum_of_row(state.n_admissible(r));
    if ((wanted >> r & 1) == 0) continue;
    const int64_t row = first_row + ty * kFour + r;
    const bool is_first = tx == 0 && first_col == 0;
    if (is_near || pass.splits.count > 1) {
      const int64_t at = split * p.n_rows() + pair_index * rows_per_pair + row;
      if (is_first) {
        pass.partials.denominator[at] = denominator;
        pass.partials.maximum[at] = static_cast<double>(state.maximum(r));
        pass.partials.n_admissible[at] = n_admissible;
      }
#pragma unroll
      for (int c = 0; c < kFour; ++c)
        if (first_col + tx * kFour + c < p.v_dim)
          pass.partials.numerator[at * p.v_dim + first_col + tx * kFour + c] = state.total(r, c);
      continue;
    }
    const int32_t left = finish_row(p, pass.finish, o.weighing, pair_index, row, n_admissible, denominator, is_first);
    if (left != kRowDone) continue;
    const int64_t at = out_offset(p, place_of(p, pair_index, row)) + first_col + tx * kFour;
#pragma unroll
    for (int c = 0; c < kFour; ++c)
      if (first_col + tx * kFour + c < p.v_dim)
        store_element(p.out.data, p.out.dtype, at + c, n_admissible == 0 ? 0.0 : state.total(r, c) / denominator);
  }
}

template <class C, Pair pair, bool is_scaled, bool is_near = false>
void launch_attend(const char* name, const Pass& pass, Stream stream) {
  const Problem& p = pass.problem;
  const Grid grid{p.n_pairs * pass.splits.count * divide_up(p.rows_per_pair(), kRows), divide_up(p.v_dim, kCols)};
  launch(name, AttendKernel<C, pair, is_scaled, is_near>, grid, kThreads, kSharedBytes<C>, stream, pass);
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

void launch_near(Pair pair, const Pass& pass, Stream stream) {
  switch (pair) {
    case Pair::product:
      return launch_attend<double, Pair::product, false, true>("attention, product, near keys", pass, stream);
    case Pair::real_dot:
      return launch_attend<double, Pair::real_dot, false, true>("attention, real dot, near keys", pass, stream);
    case Pair::complex_dot:
      return launch_attend<double, Pair::complex_dot, false, true>("attention, complex dot, near keys", pass, stream);
    default:
      throw std::logic_error("flashket_cuda: this pair kind has no linear form");
  }
}

}  // namespace

void simt_pass(const KernelSpec& spec, const Problem& problem, const Finish& finish, const EncodedRows& rows,
               const PassOptions& options, Stream stream) {
  Pass pass{};
  pass.problem = problem;
  pass.finish = finish;
  pass.finish.is_repeated = options.only >= 0;
  pass.rows = rows;
  pass.options = options;
  pass.scoring = scoring(spec);
  if (options.chunk > 0) {
    pass.splits = {1, problem.n_keys};
    pass.partials = options.near;
    return launch_near(spec.encoder->pair, pass, stream);
  }
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
    combine(problem, pass.finish, options.weighing, options.only, pass.splits, pass.partials, stream);
}

}  // namespace flashket::cuda
