// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "attention/attention.hpp"

#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>

#include "attention/linear.hpp"
#include "core/parallel.hpp"
#include "core/philox.hpp"

namespace flashket {
namespace {

// Calls with no more queries read keys and values in place: packing them would cost more than it saves.
constexpr int64_t kMaxDirectQueries = 2;

constexpr double kNone = -std::numeric_limits<double>::infinity();

template <class C>
constexpr ConsumeTile<C> consumer(Normalization normalization) {
  const ConsumeOps& ops = *isa_ops().consume;
  if constexpr (sizeof(C) == 4)
    return normalization == Normalization::sum ? ops.sum_f32 : ops.softmax_f32;
  else
    return normalization == Normalization::sum ? ops.sum_f64 : ops.softmax_f64;
}

// Keys and values of one (batch, kv head), packed for the tile engine; keys == nullptr: rows as the caller has them.
template <class C>
struct PackedKeys {
  const C* keys;
  ValueTile<C> values;
};

// Memory of one worker for blocks computed in C.
template <class C>
struct BlockScratch {
  BlockScratch(const KernelSpec& spec, int64_t v_stride, bool is_direct = false)
      : encoder(spec),
        queries(kTileRows * spec.score().pitch()),
        tile(is_direct ? kTileRows * kTileStride : tile_scratch(kTileRows)),
        numerator(kTileRows * v_stride),
        denominator(kTileRows),
        maximum(kTileRows),
        partial(partial_sums(v_stride)) {}

  RowEncoder<C> encoder;
  Buffer<C> queries, tile;
  Buffer<double> numerator, denominator, maximum;
  Buffer<float> partial;
};

// For the log-domain second pass: keys are encoded tile by tile, only where it is needed.
struct LogScratch {
  LogScratch(const KernelSpec& spec, int64_t v_stride, int64_t n_keys)
      : block(spec, v_stride), keys(n_keys * spec.score().pitch()), values(n_keys * round_up(v_stride, kValuePanel)) {}

  BlockScratch<double> block;
  Buffer<double> keys, values;
};

// How a tile's scores become weights. exact_sum adds kernel values; log_sum is the same in the log domain, where
// nothing underflows: exp(log K - maximum); uniform ignores the scores.
enum class Weighing { exact_sum, log_sum, softmax, uniform };

template <class T>
class AttentionRun {
 public:
  AttentionRun(const KernelSpec& spec, const AttentionArrays<T>& arrays, const AttentionOptions& options)
      : spec_(spec),
        a_(arrays),
        o_(options),
        form_(cheapest_form<T>(spec)),
        score_(form_.score()),
        v_dim_(arrays.v.shape[3]),
        v_stride_(round_up(v_dim_, kValueAlign)),
        v_packed_(round_up(v_dim_, kValuePanel)),
        group_(arrays.q.shape[1] / arrays.k.shape[1]),
        // log2 K is about -2 per feature for angles spread over the circle: beyond this, float products are lost
        // anyway.
        prefers_log_(can_log() && score_.similarity == Similarity::fidelity &&
                     static_cast<double>(n_factors()) * score_.power > (sizeof(T) == 4 ? 40 : 480)),
        is_direct_(arrays.q.shape[2] <= kMaxDirectQueries && score_rows() != nullptr && options.readings.is_exact() &&
                   !prefers_log_ && arrays.k.stride[3] == 1 && arrays.v.stride[3] == 1 && v_dim_ == v_stride_) {}

  // Whether keys and values are read where they are.
  bool is_direct() const { return is_direct_; }

  template <class C>
  int64_t run() {
    const int64_t n_batch = a_.q.shape[0], n_heads = a_.q.shape[1], n_queries = a_.q.shape[2];
    pack_all<C>();
    PerWorker<BlockScratch<C>> scratch;
    PerWorker<LogScratch> log_scratch;
    const int64_t n_blocks = round_up(n_queries, kTileRows) / kTileRows;
    std::atomic<int64_t> zero_rows{0};
    parallel_for(n_batch * n_heads * n_blocks, [&](int64_t index, int worker) {
      // Last blocks first: under causality they are the longest.
      const Block block = make_block(index / n_blocks / n_heads, index / n_blocks % n_heads,
                                     (n_blocks - 1 - index % n_blocks) * kTileRows);
      BlockScratch<C>& own = scratch.get(worker, [&] { return BlockScratch<C>(form_, v_stride_, is_direct_in<C>()); });
      zero_rows += attend<C>(block, own, [&]() -> LogScratch& {
        return log_scratch.get(worker, [&] { return LogScratch(spec_, v_stride_, std::min(kTileCols, longest_)); });
      });
    });
    return zero_rows;
  }

 private:
  struct Block {
    int64_t batch, head, kv_head, first, rows, kv_len, offset;  // offset: query i is at absolute position i + offset
    int64_t n_keys;                                             // keys that any row of the block may see
    uint64_t key;                                               // random stream
  };

  // Of overlaps that are products; 0: they are sums.
  int64_t n_factors() const {
    if (spec_.encoder->pair == PairKind::product) return spec_.n_features();
    return score_.pair == PairKind::transfer ? score_.depth : 0;
  }

  ScoreRows<T> score_rows() const {
    if constexpr (sizeof(T) == 4)
      return spec_.encoder->score_rows_f32;
    else
      return spec_.encoder->score_rows_f64;
  }

  template <class C>
  bool is_direct_in() const {
    return sizeof(C) == sizeof(T) && is_direct_;
  }

  bool can_log() const {
    return o_.normalization == Normalization::sum && o_.readings.is_exact() && spec_.is_normalised();
  }

  int64_t kv_len(int64_t batch) const { return a_.kv_lens ? a_.kv_lens[batch] : a_.k.shape[2]; }

  Block make_block(int64_t batch, int64_t head, int64_t first) const {
    Block b{batch, head, head / group_, first, std::min(kTileRows, a_.q.shape[2] - first), kv_len(batch), 0, 0, 0};
    b.offset = b.kv_len - a_.q.shape[2];
    b.n_keys = row_limit(b, b.first + b.rows - 1);
    b.key = stream_key(o_.seed, StreamDomain::attention, batch, head);
    return b;
  }

  // Keys [0, limit) pass causality and kv_lens.
  int64_t row_limit(const Block& b, int64_t query) const {
    return o_.causal ? std::clamp<int64_t>(query + b.offset + 1, 0, b.kv_len) : b.kv_len;
  }

  // Offset of (batch, kv head) in the packed keys, in keys; every pair has room for the longest.
  int64_t slot(int64_t batch, int64_t kv_head) const { return (batch * a_.k.shape[1] + kv_head) * longest_; }

  // Of the packed values of the tile that begins with key j0.
  int64_t panel_stride(int64_t j0) const { return std::min(kTileCols, longest_ - j0) * kValuePanel; }

  template <class C>
  void pack_all() {
    Buffer<C>& keys = std::get<0>(packed<C>());
    Buffer<C>& values = std::get<1>(packed<C>());
    const int64_t n_batch = a_.k.shape[0], n_heads = a_.k.shape[1], pitch = score_.pitch();
    longest_ = 0;
    for (int64_t b = 0; b < n_batch; ++b) longest_ = std::max(longest_, kv_len(b));
    longest_ = round_up(longest_, kTileRows);  // a multiple of every panel
    if (longest_ == 0 || prefers_log_ || is_direct_in<C>()) return;
    keys = Buffer<C>(n_batch * n_heads * longest_ * pitch);
    values = Buffer<C>(n_batch * n_heads * longest_ * v_packed_);
    const int64_t chunks = round_up(longest_, kTileCols) / kTileCols;
    PerWorker<RowEncoder<C>> encoders;
    parallel_for(n_batch * n_heads * chunks, [&](int64_t index, int worker) {
      const int64_t batch = index / chunks / n_heads, head = index / chunks % n_heads,
                    begin = index % chunks * kTileCols;
      const int64_t end = std::min(begin + kTileCols, kv_len(batch));
      if (begin >= end) return;
      RowEncoder<C>& encoder = encoders.get(worker, [&] { return RowEncoder<C>(form_); });
      const int64_t at = slot(batch, head) + begin;
      pack_tile(encoder, batch, head, begin, end, keys.data() + at * pitch, values.data() + at * v_packed_,
                panel_stride(begin));
    });
  }

  template <class C>
  void pack_tile(RowEncoder<C>& encoder, int64_t batch, int64_t kv_head, int64_t begin, int64_t end, C* keys, C* values,
                 int64_t panel_stride) const {
    encoder.pack(a_.k.matrix(batch, kv_head), begin, end, keys);
    const MatrixView<const T> v = a_.v.matrix(batch, kv_head);
    for (int64_t j = begin; j < end; ++j) {
      C* to = values + (j - begin) * kValuePanel;
      for (int64_t first = 0; first < v_packed_; first += kValuePanel, to += panel_stride) {
        const int64_t count = std::clamp<int64_t>(v_dim_ - first, 0, kValuePanel);
        for (int64_t c = 0; c < count; ++c) to[c] = static_cast<C>(v(j, first + c));
        std::fill(to + count, to + kValuePanel, C(0));
      }
    }
  }

  template <class C>
  auto& packed() {
    if constexpr (sizeof(C) == sizeof(T))
      return packed_;
    else
      return packed_wide_;
  }

  template <class C>
  int64_t attend(const Block& b, BlockScratch<C>& scratch, const std::function<LogScratch&()>& log_scratch) {
    const MatrixView<T> out = a_.out.matrix(b.batch, b.head);
    bool wants_log[kTileRows];
    int64_t n_admissible[kTileRows];
    int64_t n_log = 0, n_zero = 0;
    if (prefers_log_) {
      std::fill_n(wants_log, kTileRows, true);
      n_log = b.rows;
    } else {
      std::fill_n(wants_log, kTileRows, false);
      const int64_t at = slot(b.batch, b.kv_head);
      const C* keys = std::get<0>(packed<C>()).data() + at * score_.pitch();
      const C* values = std::get<1>(packed<C>()).data() + at * v_packed_;
      if (!is_direct_in<C>()) pack_queries(b, scratch);
      const auto whole = [&](int64_t j0) {
        if constexpr (sizeof(C) == sizeof(T)) {
          if (is_direct_) {
            const MatrixView<const T> v = a_.v.matrix(b.batch, b.kv_head);
            return PackedKeys<C>{nullptr, {&v(j0, 0), v.row_stride, kValuePanel}};
          }
        }
        return PackedKeys<C>{keys + j0 * score_.pitch(), {values + j0 * v_packed_, kValuePanel, panel_stride(j0)}};
      };
      const Weighing weighing = o_.normalization == Normalization::sum ? Weighing::exact_sum : Weighing::softmax;
      weigh(b, scratch, weighing, whole, n_admissible);
      bool has_zero = false;
      for (int64_t i = 0; i < b.rows; ++i) {
        const double denominator = scratch.denominator.data()[i];
        wants_log[i] = can_log() && n_admissible[i] > 0 && denominator < log_threshold(n_admissible[i]);
        n_log += wants_log[i];
        if (wants_log[i]) continue;
        if (n_admissible[i] > 0 && denominator == 0)
          has_zero = true;
        else
          write_row(out, b.first + i, scratch, i);
      }
      if (has_zero) {
        bool is_zero[kTileRows];
        for (int64_t i = 0; i < b.rows; ++i)
          n_zero += is_zero[i] = n_admissible[i] > 0 && !wants_log[i] && scratch.denominator.data()[i] == 0;
        weigh(b, scratch, Weighing::uniform, whole, n_admissible);
        for (int64_t i = 0; i < b.rows; ++i)
          if (is_zero[i]) write_row(out, b.first + i, scratch, i);
      }
    }
    if (n_log > 0) n_zero += attend_in_log(b, log_scratch(), wants_log, out);
    return n_zero;
  }

  int64_t attend_in_log(const Block& b, LogScratch& s, const bool* wants_log, const MatrixView<T>& out) {
    const auto on_the_fly = [&](int64_t j0) {
      pack_tile(s.block.encoder, b.batch, b.kv_head, j0, std::min(j0 + kTileCols, b.n_keys), s.keys.data(),
                s.values.data(), panel_stride(j0));
      return PackedKeys<double>{s.keys.data(), {s.values.data(), kValuePanel, panel_stride(j0)}};
    };
    int64_t n_admissible[kTileRows];
    pack_queries(b, s.block);
    weigh(b, s.block, Weighing::log_sum, on_the_fly, n_admissible);
    bool is_zero[kTileRows] = {};
    int64_t n_zero = 0;
    for (int64_t i = 0; i < b.rows; ++i) {
      if (!wants_log[i]) continue;
      n_zero += is_zero[i] = n_admissible[i] > 0 && s.block.denominator.data()[i] == 0;
      if (!is_zero[i]) write_row(out, b.first + i, s.block, i);
    }
    if (n_zero > 0) {
      weigh(b, s.block, Weighing::uniform, on_the_fly, n_admissible);
      for (int64_t i = 0; i < b.rows; ++i)
        if (is_zero[i]) write_row(out, b.first + i, s.block, i);
    }
    return n_zero;
  }

  // Rows whose n kernel values sum to less are computed again in the log domain: what underflowed, or the rounding of
  // small float overlaps, would show. An overlap s is wrong by about 3e-8, a weight by 2 power 3e-8 / s of itself, and
  // an output of random values by the same part of itself, which must stay below 3e-6; s^2 is the mean kernel value.
  // For the Hadamard test the same with (1 + s) / 2. In a product of a fidelity only the smallest factor is that wrong;
  // the others' squares are about 1/2.
  double log_threshold(int64_t n) const {
    if (sizeof(T) == 8) return 1e-290;
    const double p = score_.power;
    if (score_.similarity == Similarity::hadamard)
      return std::max(1e-24, static_cast<double>(n) * std::pow(0.02 * p, p));
    double least_mean = 5e-4 * p * p;
    if (spec_.encoder->pair == PairKind::product)
      least_mean *= std::pow(0.5, static_cast<double>(spec_.n_features() - 1));
    return std::max(1e-24, static_cast<double>(n) * std::pow(least_mean, p));
  }

  template <class C>
  void pack_queries(const Block& b, BlockScratch<C>& scratch) const {
    scratch.encoder.pack(a_.q.matrix(b.batch, b.head), b.first, b.first + b.rows, scratch.queries.data());
  }

  // One pass over the keys of a block; leaves numerator and denominator in scratch.
  template <class C, class Keys>
  void weigh(const Block& b, BlockScratch<C>& scratch, Weighing weighing, const Keys& keys,
             int64_t* n_admissible) const {
    if constexpr (sizeof(C) == 4 && sizeof(T) == 4) {
      if (weighing == Weighing::exact_sum && streams_values(b)) {
        weigh_streaming(b, scratch, n_admissible);
        return;
      }
    }
    const bool is_softmax = weighing == Weighing::softmax || weighing == Weighing::log_sum;
    const ConsumeTile<C> consume = consumer<C>(is_softmax ? Normalization::softmax : Normalization::sum);
    const C scale = weighing == Weighing::softmax ? static_cast<C>(1 / o_.temperature) : C(1);
    const C excluded = is_softmax ? static_cast<C>(kNone) : C(0);
    RowState state{scratch.numerator.data(), scratch.denominator.data(), scratch.maximum.data(), v_stride_,
                   scratch.partial.data()};
    std::fill_n(n_admissible, kTileRows, 0);
    std::fill_n(state.numerator, (b.rows == 1 ? 1 : kTileRows) * v_stride_, 0.0);
    std::fill_n(state.denominator, kTileRows, 0.0);
    std::fill_n(state.maximum, kTileRows, kNone);
    if (b.rows > 1) std::fill_n(state.partial, partial_sums(v_stride_), 0.0F);
    Score score = weighing == Weighing::log_sum ? spec_.score() : score_;
    if (!o_.readings.is_exact()) score.power = 1;
    C* values = scratch.tile.data();
    for (int64_t j0 = 0; j0 < b.n_keys; j0 += kTileCols) {
      const int64_t cols = std::min(kTileCols, b.n_keys - j0);
      const PackedKeys<C> packed_keys = keys(j0);
      if (weighing != Weighing::uniform && packed_keys.keys == nullptr) {
        if constexpr (sizeof(C) == sizeof(T)) score_in_place(b, scratch, j0, cols, values);
      } else if (weighing != Weighing::uniform) {
        tile_function<C>(weighing)(score, scratch.queries.data(), packed_keys.keys, b.rows, cols, values,
                                   kTileRows * kTileStride);
      }
      const bool is_whole = a_.mask == nullptr && o_.readings.is_exact() && weighing != Weighing::uniform &&
                            row_limit(b, b.first) >= j0 + cols;  // every row sees every key
      for (int64_t i = 0; i < b.rows; ++i) {
        if (is_whole) {
          n_admissible[i] += cols;
          continue;
        }
        C* row = values + i * kTileStride;
        const bool is_read = weighing != Weighing::uniform && !o_.readings.is_exact();
        if (weighing == Weighing::uniform) std::fill_n(row, cols, C(1));
        // Noise lifts zeros, so what is excluded must become 0 after it; of shots alone zeros cost nothing.
        if (is_read && o_.readings.is_noisy()) sample(b, b.first + i, j0, cols, row);
        n_admissible[i] += exclude(b, b.first + i, j0, cols, row, excluded);
        if (is_read && !o_.readings.is_noisy()) sample(b, b.first + i, j0, cols, row);
      }
      state.is_last_partial = j0 / kTileCols % kPartialTiles == kPartialTiles - 1 || j0 + cols == b.n_keys;
      consume(values, scale, b.rows, cols, packed_keys.values, state);
    }
  }

  bool streams_values(const Block& b) const {
    return is_direct_ && spec_.encoder->score_rows_streaming != nullptr && b.rows == 1 && v_dim_ == kStreamedValues;
  }

  // weigh() for one query that reads keys and values in place: the values of a tile are weighed while the keys of the
  // next one are scored.
  void weigh_streaming(const Block& b, BlockScratch<float>& scratch, int64_t* n_admissible) const {
    const MatrixView<const T> q = a_.q.matrix(b.batch, b.head), k = a_.k.matrix(b.batch, b.kv_head);
    const MatrixView<const T> v = a_.v.matrix(b.batch, b.kv_head);
    const EncoderArgs args = spec_.args();
    const ConsumeTile<float> consume = consumer<float>(Normalization::sum);
    float* query = scratch.queries.data();
    for (int64_t d = 0; d < q.cols; ++d) query[d] = q(b.first, d);
    double *numerator = scratch.numerator.data(), *denominator = scratch.denominator.data(), unused = 0;
    std::fill_n(numerator, v_stride_, 0.0);
    *denominator = 0;
    *n_admissible = 0;
    float* last = nullptr;  // weights of the tile before, which is a whole one
    for (int64_t j0 = 0; j0 < b.n_keys; j0 += kTileCols) {
      const int64_t cols = std::min(kTileCols, b.n_keys - j0);
      float* row = scratch.tile.data() + j0 / kTileCols % 2 * kTileStride;
      alignas(64) float sums[kStreamedValues] = {};
      const WeighedValues beside{last, last ? &v(j0 - kTileCols, 0) : nullptr, v.row_stride, sums};
      spec_.encoder->score_rows_streaming(query, &k(j0, 0), k.row_stride, cols, row, args, beside);
      tile_ops<float>().finish(score_, row, cols);
      *n_admissible += exclude(b, b.first, j0, cols, row, 0.0f);
      consume(row, 1.0f, 1, cols, {}, {numerator, denominator, nullptr, 0});
      if (last != nullptr) {
        for (int64_t c = 0; c < kStreamedValues; ++c) numerator[c] += static_cast<double>(sums[c]);
        const int64_t done = cols / kStreamedRows * kStreamedRows;
        if (done < kTileCols)
          consume(last + done, 1.0f, 1, kTileCols - done, {&v(j0 - kTileCols + done, 0), v.row_stride, kValuePanel},
                  {numerator, &unused, nullptr, v_stride_});
      }
      last = row;
      if (j0 + kTileCols >= b.n_keys)
        consume(row, 1.0f, 1, cols, {&v(j0, 0), v.row_stride, kValuePanel}, {numerator, &unused, nullptr, v_stride_});
    }
  }

  void score_in_place(const Block& b, BlockScratch<T>& scratch, int64_t j0, int64_t cols, T* values) const {
    const MatrixView<const T> q = a_.q.matrix(b.batch, b.head), k = a_.k.matrix(b.batch, b.kv_head);
    const EncoderArgs args = spec_.args();
    T* query = scratch.queries.data();
    for (int64_t i = 0; i < b.rows; ++i) {
      for (int64_t d = 0; d < q.cols; ++d) query[d] = q(b.first + i, d);
      T* row = values + i * kTileStride;
      score_rows()(query, &k(j0, 0), k.row_stride, cols, row, args);
      tile_ops<T>().finish(score_, row, cols);
    }
  }

  template <class C>
  ScoreTile<C> tile_function(Weighing weighing) const {
    if constexpr (sizeof(C) == 8) {
      if (weighing == Weighing::log_sum) return isa_ops().log_tile;
    }
    return tile_ops<C>().score;
  }

  // Overwrites what the query may not see; returns how many keys are left.
  template <class C>
  int64_t exclude(const Block& b, int64_t query, int64_t j0, int64_t cols, C* row, C excluded) const {
    const int64_t limit = std::clamp<int64_t>(row_limit(b, query) - j0, 0, cols);
    std::fill(row + limit, row + cols, excluded);
    if (a_.mask == nullptr) return limit;
    const Tensor4View<const bool>& m = *a_.mask;
    const bool* mask = m.data + b.batch * m.stride[0] + b.head * m.stride[1] + query * m.stride[2] + j0 * m.stride[3];
    int64_t count = 0;
    for (int64_t j = 0; j < limit; ++j) {
      if (mask[j * m.stride[3]])
        ++count;
      else
        row[j] = excluded;
    }
    return count;
  }

  template <class C>
  void sample(const Block& b, int64_t query, int64_t j0, int64_t cols, C* row) const {
    const int64_t limit = std::clamp<int64_t>(row_limit(b, query) - j0, 0, cols);
    sample_run<C>()(row, limit, o_.readings, spec_.power, {b.key, query + b.offset, j0, false});
  }

  template <class C>
  void write_row(const MatrixView<T>& out, int64_t query, const BlockScratch<C>& scratch, int64_t i) const {
    const double denominator = scratch.denominator.data()[i];
    const double* numerator = scratch.numerator.data() + i * v_stride_;
    T* to = &out(query, 0);
    if (denominator == 0)
      for (int64_t c = 0; c < v_dim_; ++c) to[c * out.col_stride] = 0;
    else if (out.col_stride == 1)
      for (int64_t c = 0; c < v_dim_; ++c) to[c] = static_cast<T>(numerator[c] / denominator);
    else
      for (int64_t c = 0; c < v_dim_; ++c) to[c * out.col_stride] = static_cast<T>(numerator[c] / denominator);
  }

  const KernelSpec& spec_;
  const AttentionArrays<T>& a_;
  const AttentionOptions& o_;
  KernelSpec form_;  // what scores are computed with, but logarithms
  Score score_;
  int64_t v_dim_, v_stride_, v_packed_, group_, longest_ = 0;
  bool prefers_log_, is_direct_;
  std::tuple<Buffer<T>, Buffer<T>> packed_;
  std::tuple<Buffer<double>, Buffer<double>> packed_wide_;
};

template <class T>
bool is_finite(const Tensor4View<T>& out) {
  for (int64_t b = 0; b < out.shape[0]; ++b)
    for (int64_t h = 0; h < out.shape[1]; ++h) {
      const MatrixView<T> rows = out.matrix(b, h);
      for (int64_t i = 0; i < rows.rows; ++i)
        for (int64_t j = 0; j < rows.cols; ++j)
          if (!std::isfinite(rows(i, j))) return false;
    }
  return true;
}

}  // namespace

template <class T>
int64_t attention(const KernelSpec& spec, const AttentionArrays<T>& arrays, const AttentionOptions& options) {
  if (arrays.q.shape[0] == 0 || arrays.q.shape[1] == 0 || arrays.q.shape[2] == 0) return 0;
  const AttentionSizes sizes{arrays.q.shape[0], arrays.q.shape[1], arrays.k.shape[1],
                             arrays.q.shape[2], arrays.k.shape[2], arrays.v.shape[3]};
  const bool is_forced = options.form == AttentionForm::linear;
  const bool may_be_linear = is_forced || options.form == AttentionForm::automatic;
  if (may_be_linear && can_be_linear(arrays, options) && (is_forced || is_long_enough(sizes))) {
    const LinearForm form = linear_form(spec);
    if (is_forced ? form.n_features > 0 : linear_form_pays(spec, form, sizes, options.causal))
      return linear_attention<T>(spec, form, arrays, options);
  }
  AttentionRun<T> run(spec, arrays, options);
  // A small temperature magnifies the rounding of float scores: about 6e-8 of an overlap, more with every factor of a
  // product and with the gates of a circuit, and 2 power times that of a fidelity. A power of an estimate may
  // underflow.
  const Score score = spec.score();
  double least_temperature = (spec.similarity == Similarity::hadamard ? 0.025 : 0.06) * spec.power;
  if (score.pair == PairKind::product)
    least_temperature *= std::max(1.0, std::sqrt(static_cast<double>(spec.n_features()) / 8));
  if (score.pair == PairKind::complex_dot || score.pair == PairKind::transfer) least_temperature *= 2;
  const bool is_magnified = options.normalization == Normalization::softmax && spec.is_normalised() &&
                            options.readings.shots == 0 && options.temperature < least_temperature;
  // Noisy values without shots have no log domain to be computed again in.
  const bool is_wide = is_magnified || (!options.readings.is_exact() && spec.power > 1) ||
                       (options.readings.shots == 0 && options.readings.is_noisy()) || spec.needs_double();
  if (options.form == AttentionForm::in_place) {
    // Of softmax a score that is not a number has no weight: such a key would be left out without a trace.
    const bool shows_all = options.normalization == Normalization::sum && arrays.mask == nullptr;
    if (is_wide || !shows_all || !run.is_direct()) return kNotInPlace;
    const int64_t n_zero = run.template run<T>();
    return is_finite(arrays.out) ? n_zero : kNotInPlace;
  }
  return is_wide ? run.template run<double>() : run.template run<T>();
}

template int64_t attention(const KernelSpec&, const AttentionArrays<float>&, const AttentionOptions&);
template int64_t attention(const KernelSpec&, const AttentionArrays<double>&, const AttentionOptions&);

}  // namespace flashket
