// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// One attention call as its kernels see it: which rows there are, which keys each may see, where values and results
// lie, and what becomes of a row whose sums are known. Shared by the general path, the matrix-unit path and their
// combine step.
//
// A "pair" is one (batch, key head). Its rows are the queries of all query heads that share those keys, the heads of a
// query next to each other: row r is query r / group of head key_head * group + r % group. So rows of a tile see
// nearly the same keys under causality, and decoding with grouped heads fills a tile from one copy of the cache.
#pragma once
#include "attention/attention.hpp"
#include "core/device.hpp"

namespace flashket::cuda {

// How kernel values become weights. exact_sum adds them; log_sum does the same in the log domain, exp(log K - maximum),
// where nothing underflows; uniform ignores them.
enum class Weighing : int { exact_sum, log_sum, softmax, uniform };

// What is left to do for a row.
enum RowStatus : int32_t { kRowDone = 0, kRowWantsLog = 1, kRowWantsUniform = 2, kRowWantsPairs = 3 };

// A run of pairs of a call. Encoded rows are numbered within the run: queries in the order (pair, head in group,
// query), which is the order of (B, Hq, Lq); keys in the order (pair, key).
struct Problem {
  int64_t first_pair, n_pairs;
  int64_t n_key_heads, group, n_queries, n_keys, v_dim;
  bool is_causal;
  const uint8_t* mask;
  int64_t mask_stride[4];
  const int64_t* kv_lens;
  Tensor4 v, out;

  FK_HD int64_t rows_per_pair() const { return group * n_queries; }
  FK_HD int64_t n_rows() const { return n_pairs * rows_per_pair(); }
};

// Of a whole call whose shapes fit; the run of pairs is still to be set.
inline Problem problem_of(const AttentionArrays& a, const AttentionOptions& o) {
  Problem p{};
  p.n_key_heads = a.k.shape[1];
  p.group = a.k.shape[1] > 0 ? a.q.shape[1] / a.k.shape[1] : 0;
  p.n_queries = a.q.shape[2];
  p.n_keys = a.k.shape[2];
  p.v_dim = a.v.shape[3];
  p.is_causal = o.causal;
  p.mask = a.mask;
  for (int i = 0; i < 4; ++i) p.mask_stride[i] = a.mask_stride[i];
  p.kv_lens = a.kv_lens;
  p.v = a.v;
  p.out = a.out;
  return p;
}

// What a block may opt in to on every device from compute capability 8.0 on: 8.6, 8.9 and 12 have the least. Kernels
// without a fallback must not want more.
constexpr size_t kLeastSharedPerBlock = 99 * 1024;

struct RowPlace {
  int64_t batch, head, query;
};

FK_HD int64_t divide_up(int64_t n, int64_t by) { return (n + by - 1) / by; }

FK_DEVICE RowPlace place_of(const Problem& p, int64_t pair, int64_t row) {
  const int64_t global = p.first_pair + pair;
  return {global / p.n_key_heads, global % p.n_key_heads * p.group + row % p.group, row / p.group};
}

// The row's number among encoded queries of the run.
FK_DEVICE int64_t query_row(const Problem& p, int64_t pair, int64_t row) {
  return pair * p.rows_per_pair() + row % p.group * p.n_queries + row / p.group;
}

FK_DEVICE int64_t kv_length(const Problem& p, int64_t batch) {
  if (p.kv_lens == nullptr) return p.n_keys;
  const int64_t length = p.kv_lens[batch];  // out of range would read past the arrays
  return length < 0 ? 0 : length > p.n_keys ? p.n_keys : length;
}

// Keys [0, limit) pass causality and kv_lens. Grows with the query.
FK_DEVICE int64_t key_limit(const Problem& p, int64_t query, int64_t length) {
  if (!p.is_causal) return length;
  const int64_t limit = query + length - p.n_queries + 1;
  return limit < 0 ? 0 : limit > length ? length : limit;
}

FK_DEVICE const uint8_t* mask_row(const Problem& p, const RowPlace& at) {
  return p.mask + at.batch * p.mask_stride[0] + at.head * p.mask_stride[1] + at.query * p.mask_stride[2];
}

FK_DEVICE double load_element(const void* data, Dtype dtype, int64_t at) {
  switch (dtype) {
    case Dtype::f16:
      return static_cast<double>(to_float(static_cast<const half_t*>(data)[at]));
    case Dtype::bf16:
      return static_cast<double>(to_float(static_cast<const bfloat16_t*>(data)[at]));
    case Dtype::f32:
      return static_cast<double>(static_cast<const float*>(data)[at]);
    default:
      return static_cast<const double*>(data)[at];
  }
}

FK_DEVICE float load_float(const void* data, Dtype dtype, int64_t at) {
  switch (dtype) {
    case Dtype::f16:
      return to_float(static_cast<const half_t*>(data)[at]);
    case Dtype::bf16:
      return to_float(static_cast<const bfloat16_t*>(data)[at]);
    case Dtype::f32:
      return static_cast<const float*>(data)[at];
    default:
      return static_cast<float>(static_cast<const double*>(data)[at]);
  }
}

template <class C>
FK_DEVICE void store_element(void* data, Dtype dtype, int64_t at, C value) {
  switch (dtype) {
    case Dtype::f16:
      static_cast<half_t*>(data)[at] = to_half(static_cast<float>(value));
      break;
    case Dtype::bf16:
      static_cast<bfloat16_t*>(data)[at] = to_bfloat16(static_cast<float>(value));
      break;
    case Dtype::f32:
      static_cast<float*>(data)[at] = static_cast<float>(value);
      break;
    default:
      static_cast<double*>(data)[at] = static_cast<double>(value);
  }
}

FK_DEVICE int64_t out_offset(const Problem& p, const RowPlace& at) {
  return at.batch * p.out.stride[0] + at.head * p.out.stride[1] + at.query * p.out.stride[2];
}

// What a finished row is judged and remembered by.
struct Finish {
  int32_t* status;       // (rows of the run), in the order of pairs and their rows
  void* row_sums;        // (B, Hq, Lq) of the whole call, or nullptr
  bool sums_are_double;  // else float
  unsigned long long* zero_rows;
  // Rows of n admissible keys whose kernel values sum to less than max(log_floor, n * log_slope) are computed again in
  // the log domain; both negative: never.
  double log_floor, log_slope;
  // Rows are taken up again by their status: those that are done keep it, since other blocks with other columns of the
  // same rows may have to read it yet.
  bool is_repeated;
};

// What becomes of a row with these sums; is_first: of the threads that know them, the one that writes them down.
FK_DEVICE int32_t finish_row(const Problem& p, const Finish& f, Weighing weighing, int64_t pair, int64_t row,
                             int64_t n_admissible, double denominator, bool is_first) {
  int32_t status = kRowDone;
  if (weighing == Weighing::exact_sum && n_admissible > 0) {
    const double slope = static_cast<double>(n_admissible) * f.log_slope;
    if (denominator < (slope > f.log_floor ? slope : f.log_floor)) status = kRowWantsLog;
  }
  if (status == kRowDone && n_admissible > 0 && denominator == 0) status = kRowWantsUniform;
  if (!is_first) return status;
  if (weighing == Weighing::uniform) {
    if (f.zero_rows != nullptr) atomicAdd(f.zero_rows, 1ull);
    return status;
  }
  if (!f.is_repeated || status != kRowDone) f.status[pair * p.rows_per_pair() + row] = status;
  if (f.row_sums != nullptr && weighing == Weighing::exact_sum) {
    const RowPlace at = place_of(p, pair, row);
    const int64_t index = (at.batch * p.n_key_heads * p.group + at.head) * p.n_queries + at.query;
    if (f.sums_are_double)
      static_cast<double*>(f.row_sums)[index] = denominator;
    else
      static_cast<float*>(f.row_sums)[index] = static_cast<float>(denominator);
  }
  return status;
}

// Sums of one row over a part of the keys, [split][row of the run], numerators with v_dim columns. Sums of a linear
// form simply add; with a maximum they are scaled to the largest one first.
template <class S>
struct Partials {
  S* numerator;
  S* denominator;
  S* maximum;  // of softmax and log_sum
  int32_t* n_admissible;
};

template <class S>
struct PartialSums {
  PartialSums() = default;
  PartialSums(int64_t n_splits, const Problem& p, Stream stream)
      : numerator(n_splits * p.n_rows() * p.v_dim, stream),
        denominator(n_splits * p.n_rows(), stream),
        maximum(n_splits * p.n_rows(), stream),
        n_admissible(n_splits * p.n_rows(), stream) {}
  Partials<S> view() const { return {numerator.data(), denominator.data(), maximum.data(), n_admissible.data()}; }

  Array<S> numerator, denominator, maximum;
  Array<int32_t> n_admissible;
};

// Keys of a pair are split so that few rows still fill the machine. Boundaries depend on shapes only.
struct Splits {
  int64_t count, keys;  // keys of each but the last, a multiple of 64
};

constexpr int64_t kBlocksWanted = 512;  // a few on each multiprocessor of the devices this is built for

inline Splits split_keys(int64_t n_blocks, int64_t n_keys, int64_t least_keys) {
  int64_t count = kBlocksWanted / (n_blocks > 0 ? n_blocks : 1);
  const int64_t most = divide_up(n_keys, least_keys);
  count = count > most ? most : count;
  if (count <= 1) return {1, divide_up(n_keys, 64) * 64};
  const int64_t keys = divide_up(divide_up(n_keys, count), 64) * 64;
  return {divide_up(n_keys, keys), keys};
}

// One warp a row: adds the splits up, judges the row, writes it. Rows of another status than `only` are left alone;
// only < 0: all rows.
// S float or double.
template <class S>
void combine(const Problem& problem, const Finish& finish, Weighing weighing, int32_t only, const Splits& splits,
             const Partials<S>& partials, Stream stream);

}  // namespace flashket::cuda
