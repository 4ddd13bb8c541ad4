// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "attention/linear.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "attention/linear_redo.hpp"
#include "core/parallel.hpp"

namespace flashket {
namespace {

constexpr int64_t kFoldKeys = 512;      // keys summed in C before they go to the totals in double
constexpr int64_t kSegmentKeys = 4096;  // keys of one task at least; a multiple of every chunk
constexpr int64_t kMaxSegments = 16;
// Of the bound, what rounding of the keys' features and of their sums takes: at most 0.34 where all keys are equal,
// 0.25 elsewhere (measured; all of it: 1.3 and 0.7).
constexpr double kSumError = 0.3;

template <class C>
constexpr ConsumeTile<C> consume_sum() {
  const ConsumeOps& ops = *isa_ops().consume;
  if constexpr (sizeof(C) == 4)
    return ops.sum_f32;
  else
    return ops.sum_f64;
}

// Keys between two states. Chunk interiors cost rows * pairs, states cost their whole size a chunk.
int64_t chunk_keys(const LinearForm& form, bool causal) {
  if (!causal) return form.is_direct() ? kLinearTokens : 256;
  return form.state_rows <= 256 ? 64 : form.state_rows <= 1024 ? 128 : 256;
}

// Keys of one (batch, kv head) that one task adds up, and the first query aligned with them: query i sees key i - query
// + begin and those before. query < 0: keys before the first query.
struct Segment {
  int64_t begin, end, query;
};

// Of the state: max_c |S_c| and |z|.
struct Norms {
  double largest = 0, weights = 0;
};

// The state while keys are added. `current` is what queries read: scale (prefix + local + total).
template <class C>
struct RunningState {
  RunningState(const LinearForm& form, int64_t v_stride, int64_t n_current)
      : sums(form.block_rows * v_stride),
        weights(form.block_rows),
        total(form.state_rows * v_stride),
        total_weights(form.state_rows),
        current(n_current * v_stride),
        current_weights(n_current),
        norms(v_stride) {}

  Buffer<C> sums, weights;  // of one block and chunk
  Buffer<C> total, total_weights, current, current_weights, norms;
  Norms norm;
};

template <class T, class C>
class LinearRun {
 public:
  LinearRun(const KernelSpec& spec, const LinearForm& form, const AttentionArrays<T>& arrays, bool causal)
      : spec_(spec),
        form_(form),
        a_(arrays),
        causal_(causal),
        score_(spec.score()),
        ops_(linear_ops<C>()),
        n_heads_(arrays.q.shape[1]),
        n_kv_(arrays.k.shape[1]),
        n_queries_(arrays.q.shape[2]),
        v_dim_(arrays.v.shape[3]),
        v_stride_(round_up(v_dim_, kValueAlign)),
        group_(n_heads_ / n_kv_),
        chunk_(chunk_keys(form, causal)),
        state_size_(form.state_rows * (v_stride_ + 1)),
        scale_(form.state_rows),
        errors_(arrays.q.shape[0] * n_heads_ * n_queries_),
        magnitudes_(arrays.q.shape[0] * n_heads_ * n_queries_) {
    for (int64_t f = 0; f < form.state_rows; ++f) scale_.data()[f] = static_cast<C>(form.scale[f]);
  }

  void run() {
    const int64_t n_sets = a_.q.shape[0] * n_kv_;
    PerWorker<Scratch> scratch;
    const auto own = [&](int worker) -> Scratch& {
      return scratch.get(worker, [&] { return Scratch(spec_, form_, v_stride_, chunk_, causal_); });
    };
    // Few heads: the sums of all segments first, each segment's prefix from them, then the queries. The sums are those
    // of the other order, so results are the same.
    const bool splits = n_sets < num_threads();
    if (causal_ && !splits) {
      parallel_for(n_sets, [&](int64_t set, int worker) {
        Scratch& s = own(worker);
        Buffer<double> prefix(state_size_), local(state_size_);
        std::fill_n(prefix.data(), state_size_, 0.0);
        for (const Segment& segment : segments(set / n_kv_)) {
          sum_segment(set, segment, prefix.data(), local.data(), segment.query >= 0, s);
          for (int64_t i = 0; i < state_size_; ++i) prefix.data()[i] += local.data()[i];
        }
        clear_blind(set);
      });
      return;
    }
    std::vector<Buffer<double>> prefixes = sum_all(n_sets, splits, own);
    if (causal_) {
      std::vector<std::pair<int64_t, int64_t>> tasks;
      for (int64_t set = 0; set < n_sets; ++set)
        for (int64_t i = 0; i < static_cast<int64_t>(segments(set / n_kv_).size()); ++i) tasks.emplace_back(set, i);
      parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t index, int worker) {
        const auto [set, i] = tasks[index];
        const Segment segment = segments(set / n_kv_)[i];
        Buffer<double> local(state_size_);
        if (i == 0) clear_blind(set);
        if (segment.query >= 0)
          sum_segment(set, segment, prefixes[set].data() + i * state_size_, local.data(), true, own(worker));
      });
      for (int64_t set = 0; set < n_sets; ++set)
        if (segments(set / n_kv_).empty()) clear_blind(set);
      return;
    }
    read_all(prefixes);
    totals_ = std::move(prefixes);
  }

  // Single rows of a run that was not causal once more, all in double from the totals. What is left is the rounding of
  // the keys' features and of their sums.
  void read_again(const std::vector<int64_t>& rows) {
    const int64_t width = a_.q.shape[3];
    Buffer<T> queries(kRedoRows * width), result(kRedoRows * v_dim_);
    Buffer<double> ratios(kRedoRows);
    for (size_t first = 0, last; first < rows.size(); first = last) {
      last = same_head(rows, first, n_queries_);
      const int64_t n = static_cast<int64_t>(last - first), at = rows[first] / n_queries_;
      const int64_t batch = at / n_heads_, head = at % n_heads_, set = batch * n_kv_ + head / group_;
      double* sums = totals_[set].data();
      gather(a_.q.matrix(batch, head), rows, first, last, n_queries_, queries.data());
      linear_read<T>(spec_, form_, rows_of(static_cast<const T*>(queries.data()), n, width),
                     {sums, sums + form_.state_rows * v_stride_, 1, 1, v_stride_}, rows_of(result.data(), n, v_dim_),
                     ratios.data());
      const Norms& norms = norms_[set];
      const MatrixView<T> out = a_.out.matrix(batch, head);
      for (int64_t i = 0; i < n; ++i) {
        const T* row = result.data() + i * v_dim_;
        copy_row(row, 1, &out(rows[first + i] % n_queries_, 0), out.col_stride);
        double magnitude = 0;
        for (int64_t c = 0; c < v_dim_; ++c) magnitude = std::max(magnitude, std::abs(static_cast<double>(row[c])));
        const double sum = ratios.data()[i] * norms.weights, error = kSumError * error_of_sums(norms, magnitude) / sum;
        magnitudes_.data()[rows[first + i]] = static_cast<float>(magnitude);
        errors_.data()[rows[first + i]] = sum > 0 ? static_cast<float>(error) : std::numeric_limits<float>::infinity();
      }
    }
  }

  // Bounds on the absolute error of a row of out, and on its largest element; rows in order (batch, head, query).
  const float* errors() const { return errors_.data(); }
  const float* magnitudes() const { return magnitudes_.data(); }

 private:
  struct Scratch {
    Scratch(const KernelSpec& spec, const LinearForm& form, int64_t v_stride, int64_t chunk, bool causal)
        : keys(spec, form, chunk),
          queries(spec, form, chunk),
          values(chunk * v_stride),
          numerator(chunk * v_stride),
          denominator(round_up(chunk, kLinearTokens)),
          row(v_stride),
          state(form, v_stride, causal ? form.state_rows : 0) {
      if (!causal) return;
      const int64_t elements = spec.score().pitch();
      left = Buffer<C>(round_up(chunk, kTileRows) * elements);
      right = Buffer<C>(round_up(chunk, kTileRows) * elements);
      tile = Buffer<C>(tile_scratch(kTileRows));
      near = Buffer<double>(kTileRows * v_stride);
    }

    FactorRows<C> keys, queries;
    Buffer<C> values, numerator, denominator, row, left, right, tile;
    Buffer<double> near;  // numerators of a chunk's interior
    RunningState<C> state;
  };

  int64_t kv_len(int64_t batch) const { return a_.kv_lens ? a_.kv_lens[batch] : a_.k.shape[2]; }

  std::vector<Segment> segments(int64_t batch) const {
    const int64_t n_keys = kv_len(batch), offset = n_keys - n_queries_;
    const int64_t before = causal_ ? std::max<int64_t>(offset, 0) : n_keys;
    const int64_t length = std::max(kSegmentKeys, round_up(n_keys, kMaxSegments * kFoldKeys) / kMaxSegments);
    std::vector<Segment> result;
    for (int64_t begin = 0; begin < before; begin += length)
      result.push_back({begin, std::min(begin + length, before), -1});
    for (int64_t begin = before; begin < n_keys; begin += length)
      result.push_back({begin, std::min(begin + length, n_keys), begin - offset});
    return result;
  }

  // Queries before the first key: nothing to see.
  void clear_blind(int64_t set) {
    const int64_t batch = set / n_kv_, n_blind = std::max<int64_t>(0, n_queries_ - kv_len(batch));
    for (int64_t head = set % n_kv_ * group_; head < (set % n_kv_ + 1) * group_; ++head) {
      const MatrixView<T> out = a_.out.matrix(batch, head);
      for (int64_t i = 0; i < n_blind; ++i) {
        for (int64_t c = 0; c < v_dim_; ++c) out(i, c) = 0;
        errors_.data()[index(batch, head, i)] = magnitudes_.data()[index(batch, head, i)] = 0;
      }
    }
  }

  int64_t index(int64_t batch, int64_t head, int64_t query) const {
    return (batch * n_heads_ + head) * n_queries_ + query;
  }

  // Sums before each segment of each set, one after the other, and behind them the sums of all.
  template <class Own>
  std::vector<Buffer<double>> sum_all(int64_t n_sets, bool splits, const Own& own) {
    std::vector<Buffer<double>> prefixes(n_sets);
    std::vector<std::pair<int64_t, int64_t>> tasks;
    for (int64_t set = 0; set < n_sets; ++set) {
      const int64_t count = static_cast<int64_t>(segments(set / n_kv_).size());
      prefixes[set] = Buffer<double>((splits ? count + 1 : 2) * state_size_);
      std::fill_n(prefixes[set].data(), state_size_, 0.0);
      if (!splits)
        tasks.emplace_back(set, 0);
      else
        for (int64_t i = 0; i < count; ++i) tasks.emplace_back(set, i);
    }
    parallel_for(static_cast<int64_t>(tasks.size()), [&](int64_t task, int worker) {
      const auto [set, i] = tasks[task];
      double* to = prefixes[set].data();
      const std::vector<Segment> all = segments(set / n_kv_);
      if (splits) {
        sum_segment(set, all[i], nullptr, to + (i + 1) * state_size_, false, own(worker));
        return;
      }
      for (const Segment& segment : all) {
        sum_segment(set, segment, nullptr, to + state_size_, false, own(worker));
        for (int64_t at = 0; at < state_size_; ++at) to[at] += to[state_size_ + at];
      }
    });
    if (splits) {
      parallel_for(n_sets, [&](int64_t set, int) {
        double* to = prefixes[set].data();
        const int64_t count = static_cast<int64_t>(segments(set / n_kv_).size());
        for (int64_t at = state_size_; at < (count + 1) * state_size_; ++at) to[at] += to[at - state_size_];
        if (!causal_) std::memmove(to, to + count * state_size_, sizeof(double) * static_cast<size_t>(state_size_));
      });
    }
    return prefixes;
  }

  void load_values(const MatrixView<const T>& v, int64_t begin, int64_t end, C* to) const {
    for (int64_t j = begin; j < end; ++j, to += v_stride_) {
      copy_row(&v(j, 0), v.col_stride, to, 1);
      std::fill(to + v_dim_, to + v_stride_, C(0));
    }
  }

  template <class From, class To>
  void copy_row(const From* from, int64_t from_stride, To* to, int64_t to_stride) const {
    if constexpr (std::is_same_v<From, To>) {
      if (from_stride == 1 && to_stride == 1) {
        std::memcpy(to, from, sizeof(To) * static_cast<size_t>(v_dim_));
        return;
      }
    }
    for (int64_t c = 0; c < v_dim_; ++c) to[c * to_stride] = static_cast<To>(from[c * from_stride]);
  }

  // Adds the keys of a segment into `local`; with queries, those of its chunks are answered on the way.
  void sum_segment(int64_t set, const Segment& segment, const double* prefix, double* local, bool answers, Scratch& s) {
    const int64_t batch = set / n_kv_, kv_head = set % n_kv_;
    const auto keys = a_.k.matrix(batch, kv_head), values = a_.v.matrix(batch, kv_head);
    RunningState<C>& state = s.state;
    std::fill_n(local, state_size_, 0.0);
    std::fill_n(state.total.data(), form_.state_rows * v_stride_, C(0));
    std::fill_n(state.total_weights.data(), form_.state_rows, C(0));
    if (answers) {
      fold(prefix, local, state, true);
      measure(state);
    }
    int64_t pending = 0;
    for (int64_t begin = segment.begin; begin < segment.end; begin += chunk_) {
      const int64_t end = std::min(begin + chunk_, segment.end);
      s.keys.load(keys, begin, end);
      load_values(values, begin, end, s.values.data());
      if (answers) answer_chunk(batch, kv_head, begin, end - begin, segment.query + begin - segment.begin, s);
      add_chunk(end - begin, answers, s);
      pending += end - begin;
      if (pending >= kFoldKeys || end == segment.end) {
        fold(prefix, local, state, answers);
        pending = 0;
      }
    }
  }

  void add_chunk(int64_t rows, bool answers, Scratch& s) {
    RunningState<C>& state = s.state;
    if (answers) std::fill_n(state.norms.data(), v_stride_, C(0));
    double weight_norm = 0;
    for (const FeatureBlock& block : form_.blocks) {
      const int64_t padded = round_up(block.features, kFeatureAlign);
      C *sums = state.sums.data(), *weights = state.weights.data();
      std::fill_n(sums, padded * v_stride_, C(0));
      std::fill_n(weights, padded, C(0));
      for (int64_t first = 0; first < rows; first += kLinearTokens) {
        const int64_t n = std::min(kLinearTokens, rows - first);
        ops_.accumulate(s.keys.features(block, first / kLinearTokens), n, block.features,
                        s.values.data() + first * v_stride_, v_stride_, sums, weights);
      }
      C* total = state.total.data() + block.offset * v_stride_;
      C* total_weights = state.total_weights.data() + block.offset;
      for (int64_t f = 0; f < block.features; ++f) total_weights[f] += weights[f];
      if (!answers) {
        for (int64_t i = 0; i < block.features * v_stride_; ++i) total[i] += sums[i];
        continue;
      }
      const C* scale = scale_.data() + block.offset;
      ops_.advance(sums, scale, block.features, v_stride_, state.current.data() + block.offset * v_stride_, total,
                   state.norms.data());
      C* current = state.current_weights.data() + block.offset;
      for (int64_t f = 0; f < block.features; ++f) {
        current[f] += scale[f] * weights[f];
        weight_norm += static_cast<double>(current[f] * current[f] / scale[f]);
      }
    }
    if (!answers) return;
    state.norm.weights = std::sqrt(weight_norm);
    state.norm.largest = std::sqrt(static_cast<double>(ops_.largest(state.norms.data(), v_stride_)));
    if (!(state.norm.largest > (sizeof(C) == 4 ? 1e-15 : 1e-140))) measure(state);  // squares may have vanished
  }

  void fold(const double* prefix, double* local, RunningState<C>& state, bool answers) {
    const int64_t rows = form_.state_rows, size = rows * v_stride_;
    if (answers) {
      ops_.fold(prefix, form_.scale.data(), rows, v_stride_, local, state.total.data(), state.current.data());
    } else {
      for (int64_t i = 0; i < size; ++i) local[i] += static_cast<double>(state.total.data()[i]);
      std::fill_n(state.total.data(), size, C(0));
    }
    for (int64_t f = 0; f < rows; ++f) {
      local[size + f] += static_cast<double>(state.total_weights.data()[f]);
      state.total_weights.data()[f] = 0;
      if (answers)
        state.current_weights.data()[f] = static_cast<C>(form_.scale[f] * (prefix[size + f] + local[size + f]));
    }
  }

  // Norms of the state as it is.
  void measure(RunningState<C>& state) const {
    std::vector<double> norms(v_stride_, 0.0);
    double weight_norm = 0;
    for (int64_t f = 0; f < form_.state_rows; ++f) {
      const double inverse = 1 / form_.scale[f], w = static_cast<double>(state.current_weights.data()[f]);
      weight_norm += inverse * w * w;
      for (int64_t c = 0; c < v_stride_; ++c) {
        const double x = static_cast<double>(state.current.data()[f * v_stride_ + c]);
        norms[c] += inverse * x * x;
      }
    }
    state.norm.weights = std::sqrt(weight_norm);
    state.norm.largest = std::sqrt(*std::max_element(norms.begin(), norms.end()));
  }

  // numerator and denominator of the rows of `queries`, from the state.
  void read(FactorRows<C>& queries, int64_t rows, const C* sums, const C* weights, Scratch& s) const {
    std::fill_n(s.numerator.data(), round_up(rows, 8) * v_stride_, C(0));
    std::fill_n(s.denominator.data(), round_up(rows, kLinearTokens), C(0));
    if (sums == nullptr) return;
    for (const FeatureBlock& block : form_.blocks)
      for (int64_t first = 0; first < rows; first += kLinearTokens) {
        const int64_t n = std::min(kLinearTokens, rows - first);
        ops_.apply(queries.features(block, first / kLinearTokens), n, block.features, sums + block.offset * v_stride_,
                   weights + block.offset, v_stride_, s.numerator.data() + first * v_stride_,
                   s.denominator.data() + first);
      }
  }

  // Queries of one chunk, for every query head of the group: the state, and the chunk's own keys up to the diagonal.
  void answer_chunk(int64_t batch, int64_t kv_head, int64_t begin, int64_t rows, int64_t query, Scratch& s) {
    const int64_t width = tile_ops<C>().panel_cols;
    const int64_t elements = score_.pitch();
    s.keys.pack(rows, width, elements, s.right.data());
    const double largest_value = static_cast<double>(ops_.largest(s.values.data(), rows * v_stride_));
    for (int64_t head = kv_head * group_; head < (kv_head + 1) * group_; ++head) {
      s.queries.load(a_.q.matrix(batch, head), query, query + rows);
      s.queries.pack(rows, width, elements, s.left.data());
      const bool has_state = begin > 0;
      read(s.queries, rows, has_state ? s.state.current.data() : nullptr, s.state.current_weights.data(), s);
      for (int64_t first = 0; first < rows; first += kTileRows) {
        const int64_t n = std::min(kTileRows, rows - first), cols = first + n;
        C* values = s.tile.data();
        tile_ops<C>().score(score_, s.left.data() + first * elements, s.right.data(), n, cols, values,
                            kTileRows * kTileStride);
        for (int64_t i = 0; i < n; ++i)
          std::fill(values + i * kTileStride + first + i + 1, values + i * kTileStride + cols, C(0));
        double denominators[kTileRows] = {};
        std::fill_n(s.near.data(), kTileRows * v_stride_, 0.0);
        const RowState near{s.near.data(), denominators, nullptr, v_stride_};
        consume_sum<C>()(values, C(1), n, cols, {s.values.data(), v_stride_, kValuePanel}, near);
        for (int64_t i = 0; i < n; ++i) {
          const double near_error = score_error(first + i + 1, denominators[i]) * largest_value;
          finish_row(batch, head, query + first + i, first + i, near.numerator + i * v_stride_, denominators[i],
                     near_error, has_state ? s.state.norm : Norms{}, s);
        }
      }
    }
  }

  // Bound on the error of a sum of n kernel values of the tile: an overlap carries a quarter of the machine's epsilon,
  // its square twice itself times that.
  double score_error(int64_t n, double sum) const {
    const double rounding = 0.25 * std::numeric_limits<C>::epsilon() * score_.power;
    return score_.similarity == Similarity::fidelity ? 2 * rounding * std::sqrt(static_cast<double>(n) * sum)
                                                     : rounding * static_cast<double>(n);
  }

  double error_of_sums(const Norms& norms, double magnitude) const {
    return std::numeric_limits<C>::epsilon() * (norms.largest + magnitude * norms.weights);
  }

  void finish_row(int64_t batch, int64_t head, int64_t query, int64_t row, const double* near, double near_sum,
                  double near_error, const Norms& norms, Scratch& s) {
    const double sum = near_sum + static_cast<double>(s.denominator.data()[row]);
    const int64_t at = index(batch, head, query);
    const double magnitude =
        static_cast<double>(ops_.divide(s.numerator.data() + row * v_stride_, near, 1 / sum, v_stride_, s.row.data()));
    const double error = (near_error + error_of_sums(norms, magnitude)) / sum;
    errors_.data()[at] = sum > 0 ? static_cast<float>(error) : std::numeric_limits<float>::infinity();
    magnitudes_.data()[at] = static_cast<float>(magnitude);
    const MatrixView<T> out = a_.out.matrix(batch, head);
    copy_row(static_cast<const C*>(s.row.data()), 1, &out(query, 0), out.col_stride);
  }

  void read_all(const std::vector<Buffer<double>>& totals) {
    const int64_t n_sets = static_cast<int64_t>(totals.size()), size = form_.state_rows * v_stride_;
    std::vector<RunningState<C>> states;
    for (int64_t set = 0; set < n_sets; ++set) states.emplace_back(form_, v_stride_, form_.state_rows);
    norms_.resize(n_sets);
    parallel_for(n_sets, [&](int64_t set, int) {
      RunningState<C>& state = states[set];
      for (int64_t f = 0; f < form_.state_rows; ++f) {
        const double w = form_.scale[f];
        for (int64_t at = f * v_stride_; at < (f + 1) * v_stride_; ++at)
          state.current.data()[at] = static_cast<C>(w * totals[set].data()[at]);
        state.current_weights.data()[f] = static_cast<C>(w * totals[set].data()[size + f]);
      }
      measure(state);
      norms_[set] = state.norm;
    });
    PerWorker<Scratch> scratch;
    const int64_t n_blocks = round_up(n_queries_, chunk_) / chunk_;
    parallel_for(a_.q.shape[0] * n_heads_ * n_blocks, [&](int64_t task, int worker) {
      Scratch& s = scratch.get(worker, [&] { return Scratch(spec_, form_, v_stride_, chunk_, false); });
      const int64_t head = task / n_blocks % n_heads_, batch = task / n_blocks / n_heads_;
      const int64_t begin = task % n_blocks * chunk_, rows = std::min(chunk_, n_queries_ - begin);
      const RunningState<C>& state = states[batch * n_kv_ + head / group_];
      if (kv_len(batch) == 0) {
        const MatrixView<T> out = a_.out.matrix(batch, head);
        for (int64_t i = begin; i < begin + rows; ++i) {
          for (int64_t c = 0; c < v_dim_; ++c) out(i, c) = 0;
          errors_.data()[index(batch, head, i)] = magnitudes_.data()[index(batch, head, i)] = 0;
        }
        return;
      }
      s.queries.load(a_.q.matrix(batch, head), begin, begin + rows);
      read(s.queries, rows, state.current.data(), state.current_weights.data(), s);
      for (int64_t i = 0; i < rows; ++i) finish_row(batch, head, begin + i, i, nullptr, 0, 0, state.norm, s);
    });
  }

  const KernelSpec& spec_;
  const LinearForm& form_;
  const AttentionArrays<T>& a_;
  bool causal_;
  Score score_;
  const LinearOps<C>& ops_;
  int64_t n_heads_, n_kv_, n_queries_, v_dim_, v_stride_, group_, chunk_, state_size_;
  Buffer<C> scale_;
  Buffer<float> errors_, magnitudes_;
  std::vector<Buffer<double>> totals_;  // of a run that is not causal, with their norms
  std::vector<Norms> norms_;
};

// Rows whose error the bound does not keep below two fifths of the contract's: relative to the largest element of all
// rows that are certain, since the contract is.
std::vector<int64_t> uncertain_rows(const float* errors, const float* magnitudes, int64_t n_rows, bool is_float) {
  const float tolerance = is_float ? 2e-6f : 4e-11f;
  float largest = 0;
  for (int64_t i = 0; i < n_rows; ++i)
    if (errors[i] <= tolerance * magnitudes[i]) largest = std::max(largest, magnitudes[i]);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < n_rows; ++i)
    if (!(errors[i] <= tolerance * largest)) rows.push_back(i);
  return rows;
}

}  // namespace

bool linear_form_pays(const KernelSpec& spec, const LinearForm& form, const AttentionSizes& s, bool causal) {
  if (form.n_features == 0 || !is_long_enough(s)) return false;
  // In vector instructions of one row or pair. The weights cost one column more. Factors fitted to the crossovers of
  // both forms with as many queries as keys, one thread, AVX-512: angle 4 to 6, amplitude 16 to 64, IQP 5, 16 to 128
  // values, float32 and float64 (bench/linear_crossover.py); most lie within 15 % of where this puts them.
  const Score score = spec.score();
  const double pair_factor = score.pair == PairKind::product ? 1.25 : score.pair == PairKind::complex_dot ? 1.5 : 1;
  const double pair = static_cast<double>(score.row_elements()) * pair_factor;
  const double columns = static_cast<double>(round_up(s.v_dim, kValueAlign)), both = pair + columns + 4;
  const double n_keys = static_cast<double>(s.keys), n_queries = static_cast<double>(s.queries);
  const double seen = causal ? std::max(n_keys / 2, n_keys - n_queries / 2) : n_keys;
  const double feature_rows = static_cast<double>(form.state_rows) * (columns + 8);
  const double linear = static_cast<double>(s.kv_heads) * n_keys * feature_rows +
                        static_cast<double>(s.heads) * n_queries * feature_rows +
                        (causal ? static_cast<double>(s.heads) * n_queries * both * 32 : 0);
  return 0.95 * linear < static_cast<double>(s.heads) * n_queries * seen * both;
}

template <class T>
int64_t linear_attention(const KernelSpec& spec, const LinearForm& form, const AttentionArrays<T>& arrays,
                         const AttentionOptions& options) {
  const int64_t n_rows = arrays.q.shape[0] * arrays.q.shape[1] * arrays.q.shape[2];
  std::vector<int64_t> rows;
  {
    LinearRun<T, T> run(spec, form, arrays, options.causal);
    run.run();
    rows = uncertain_rows(run.errors(), run.magnitudes(), n_rows, sizeof(T) == 4);
    if (sizeof(T) == 4 && !options.causal && 4 * static_cast<int64_t>(rows.size()) <= n_rows) {
      run.read_again(rows);
      rows = uncertain_rows(run.errors(), run.magnitudes(), n_rows, true);
    }
  }
  if (sizeof(T) == 4 && static_cast<int64_t>(rows.size()) > n_rows / 16) {
    LinearRun<T, double> run(spec, form, arrays, options.causal);
    run.run();
    rows = uncertain_rows(run.errors(), run.magnitudes(), n_rows, true);
  }
  return attend_rows(spec, arrays, options, rows);
}

template int64_t linear_attention(const KernelSpec&, const LinearForm&, const AttentionArrays<float>&,
                                  const AttentionOptions&);
template int64_t linear_attention(const KernelSpec&, const LinearForm&, const AttentionArrays<double>&,
                                  const AttentionOptions&);

}  // namespace flashket
