// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// attention_backward(): gradients of
//
//   out_i = sum_j w_ij v_j,   w = K / sum K   or   w = softmax(K / T)
//
// with respect to q, k and v before encoding. With t_ij = d_out_i . (v_j - out_i):
//
//   d_v_j = sum_i w_ij d_out_i,   dL / dlog K_ij = w_ij t_ij (sum),   dL / dK_ij = w_ij t_ij / T (softmax),
//
// and from there through the similarity and the overlap to encoded rows, then through the encoder's pull_back to the
// rows. The general path does everything in double, sums in the log domain: rows whose values underflow float have
// gradients too. Three launches (row sums, queries, keys) that each compute every overlap again; nothing of size Lq x
// Lk exists. Rows without admissible key have gradient 0; rows of zeros, which are plain means, have one only with
// respect to v. Cost: 3 Lq Lk (row_elements + v_dim) FMA in double, and as much again for the accumulation.
//
// 16-bit rows with a real dot go over the matrix units (backward_mma.hpp). Rows that these leave are added by the
// general path, whose blocks end at once where there are none.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "attention/backward_mma.hpp"
#include "attention/slope.hpp"
#include "core/launch.hpp"
#include "gram/overlap.hpp"

namespace flashket::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kWorkspace = int64_t{2}
                               << 30;  // of encoded rows and their gradients, or those of one (batch, key head)

enum RowKind : int32_t { kNoKey = 0, kMean = 1, kWeighted = 2, kElsewhere = 3 };  // elsewhere: on the matrix units

// What a query's weights are made with: w = exp(exponent - maximum) / sum. delta = d_out . out.
struct RowSums {
  double maximum, sum, delta;
  int64_t n_admissible;
  int32_t kind;
};

struct Backward {
  Problem problem;
  Scoring scoring;
  bool is_sum;
  double inverse_temperature;
  Tensor4 d_out;
  const double *queries, *keys;  // encoded
  int64_t pitch, row_elements;
  RowSums* sums;  // (rows of the run), in the order of pairs and their rows
  // After the matrix units: the rows that are left, [pair][row], and where they end, [pair]. nullptr: all rows.
  const uint8_t* is_left;
  const LeftOver* left_over;
};

// The score of softmax controls has no logarithm: its sum is taken as it is.
FK_DEVICE bool is_plain(const Backward& b) { return b.is_sum && b.scoring.similarity == Similarity::dot; }

FK_DEVICE double exponent_of(const Backward& b, const Overlap<double>& s) {
  if (is_plain(b)) return s.re;
  if (b.is_sum) return log_kernel_value(b.scoring, s);
  return plain(scaled_kernel_value(b.scoring, s)) * b.inverse_temperature;
}

FK_DEVICE bool is_admissible(const Problem& p, const RowPlace& at, int64_t key, int64_t length) {
  return key < key_limit(p, at.query, length) && (p.mask == nullptr || mask_row(p, at)[key * p.mask_stride[3]] != 0);
}

// d_out_i . v_j
FK_DEVICE double dot_with_value(const Backward& b, const RowPlace& at, int64_t key) {
  const Problem& p = b.problem;
  const int64_t from = at.batch * b.d_out.stride[0] + at.head * b.d_out.stride[1] + at.query * b.d_out.stride[2];
  const int64_t value = at.batch * p.v.stride[0] + at.head / p.group * p.v.stride[1] + key * p.v.stride[2];
  double sum = 0;
  for (int64_t d = 0; d < p.v_dim; ++d)
    sum += load_element(b.d_out.data, b.d_out.dtype, from + d) * load_element(p.v.data, p.v.dtype, value + d);
  return sum;
}

template <Pair kPair>
FK_DEVICE Overlap<double> overlap_of(const Backward& b, int64_t query, int64_t key) {
  return overlap<kPair>(b.queries + query * b.pitch, 1, b.keys + key * b.pitch, 1, b.scoring.depth);
}

// Sums with their own maximum.
struct RunningSums {
  double maximum, sum, slope;
  int64_t count;

  FK_DEVICE void add(double exponent, double of_slope, bool is_plain_sum) {
    ++count;
    if (is_plain_sum) {
      sum += exponent;
      slope += exponent * of_slope;
      return;
    }
    join({exponent, exponent == -INFINITY ? 0.0 : 1.0, exponent == -INFINITY ? 0.0 : of_slope, 0}, false);
  }
  FK_DEVICE void join(const RunningSums& other, bool is_plain_sum) {
    count += other.count;
    if (is_plain_sum) {
      sum += other.sum;
      slope += other.slope;
      return;
    }
    // NaN is no maximum but must stay: it is then the sum that carries it.
    const double largest = other.maximum > maximum ? other.maximum : maximum;
    if (largest == -INFINITY && other.maximum == -INFINITY) return;
    const double here = maximum == largest ? 1.0 : exp(maximum - largest);
    const double there = other.maximum == largest ? 1.0 : exp(other.maximum - largest);
    sum = sum * here + other.sum * there;
    slope = slope * here + other.slope * there;
    maximum = largest;
  }
};

// One block a query.
template <Pair kPair>
FK_KERNEL void __launch_bounds__(kThreads) RowSumsKernel(Backward b) {
  __shared__ RunningSums parts[kThreads];
  const Problem& p = b.problem;
  const int64_t pair = blockIdx.x / p.rows_per_pair(), row = blockIdx.x % p.rows_per_pair();
  if (b.is_left != nullptr && b.is_left[blockIdx.x] == 0) {
    if (threadIdx.x == 0) b.sums[blockIdx.x] = {0, 0, 0, 0, kElsewhere};
    return;
  }
  const RowPlace at = place_of(p, pair, row);
  const int64_t length = kv_length(p, at.batch), limit = key_limit(p, at.query, length);
  RunningSums mine{is_plain(b) ? 0.0 : -INFINITY, 0, 0, 0};
  for (int64_t key = threadIdx.x; key < limit; key += kThreads)
    if (is_admissible(p, at, key, length))
      mine.add(exponent_of(b, overlap_of<kPair>(b, query_row(p, pair, row), pair * p.n_keys + key)),
               dot_with_value(b, at, key), is_plain(b));
  parts[threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int t = 1; t < kThreads; ++t) mine.join(parts[t], is_plain(b));
  const int32_t kind = mine.count == 0 ? kNoKey : mine.sum == 0 ? kMean : kWeighted;
  b.sums[blockIdx.x] = {mine.maximum, mine.sum, kind == kWeighted ? mine.slope / mine.sum : 0.0, mine.count, kind};
}

// What a pair adds: to v with the weight, to encoded rows through d re and d im of the overlap. Of a product d re is
// the derivative with respect to log |s| for the fidelity, else with respect to s, and `others` the product of its
// factors that are not 0.
struct PairSlope {
  double weight, re, im, others;
  int32_t n_zero_factors;
};

template <Pair kPair>
FK_DEVICE PairSlope pair_slope(const Backward& b, const RowPlace& at, const RowSums& sums, int64_t query, int64_t key,
                               int64_t key_in_pair) {
  PairSlope d{0, 0, 0, 0, 0};
  if (sums.kind == kNoKey || sums.kind == kElsewhere) return d;
  if (sums.kind == kMean) {
    d.weight = 1.0 / static_cast<double>(sums.n_admissible);
    return d;
  }
  const Overlap<double> s = overlap_of<kPair>(b, query, key);
  const Scoring& k = b.scoring;
  const double exponent = exponent_of(b, s);
  d.weight = (is_plain(b) ? exponent : exp(exponent - sums.maximum)) / sums.sum;
  const double t = dot_with_value(b, at, key_in_pair) - sums.delta;
  const auto raised = [](double x, int n) { return raise(x, n); };
  const double re = s.exponent == 0 ? s.re : s.re * power_of_two<double>(s.exponent), power = k.power;
  if (k.similarity == Similarity::dot) {
    d.re = value_slope(b.is_sum, d.weight, 1 / sums.sum, t, b.inverse_temperature);
  } else if (k.similarity == Similarity::hadamard) {
    const double inverse = b.is_sum ? exp(-sums.maximum) / sums.sum : 0.0;
    d.re =
        hadamard_slope(re, k.power, raised).slope * value_slope(b.is_sum, d.weight, inverse, t, b.inverse_temperature);
  } else {
    // dL / dlog K: of a sum the weight, which does not underflow, takes the value's place.
    const double by_log =
        b.is_sum ? d.weight * t
                 : plain(scaled_kernel_value(k, s)) * value_slope(false, d.weight, 0.0, t, b.inverse_temperature);
    if (k.similarity == Similarity::projected) {
      d.re = -k.gamma * by_log;
    } else if (kPair == Pair::product) {
      d.re = 2 * power * by_log;
    } else {
      const double square = s.re * s.re + s.im * s.im;
      d.re = square > 0 ? 2 * power * by_log * (s.re / square) : 0.0;
      d.im = square > 0 ? 2 * power * by_log * (s.im / square) : 0.0;
    }
  }
  if (kPair == Pair::product && k.similarity != Similarity::fidelity) {
    d.others = 1;
    const double *x = b.queries + query * b.pitch, *y = b.keys + key * b.pitch;
    for (int64_t f = 0; f < k.depth; ++f) {
      const double factor = x[2 * f] * y[2 * f] + x[2 * f + 1] * y[2 * f + 1];
      if (factor == 0)
        ++d.n_zero_factors;
      else
        d.others *= factor;
    }
  }
  return d;
}

// What a pair adds to element e of `own` encoded row; is_query: that row is the left one of <x|y>.
template <Pair kPair>
FK_DEVICE double element_slope(const Scoring& k, const PairSlope& d, const double* own, const double* other, int64_t e,
                               bool is_query) {
  if constexpr (kPair == Pair::product) {
    const int64_t f = e / 2;
    const double factor = own[2 * f] * other[2 * f] + own[2 * f + 1] * other[2 * f + 1];
    if (k.similarity == Similarity::fidelity) return factor == 0 ? 0.0 : d.re / factor * other[e];
    const bool is_alone = d.n_zero_factors == 0 || (d.n_zero_factors == 1 && factor == 0);
    const double rest = factor == 0 ? d.others : d.others / factor;
    return is_alone ? d.re * rest * other[e] : 0.0;
  } else if constexpr (kPair == Pair::distance) {
    return d.re * (own[e] - other[e]);
  } else if constexpr (kPair == Pair::complex_dot) {
    // <x|y> = sum xr yr + xi yi + i (xr yi - xi yr)
    const bool is_re = e < k.depth;
    const double straight = other[e], crossed = other[is_re ? e + k.depth : e - k.depth];
    return d.re * straight + (is_re == is_query ? d.im : -d.im) * crossed;
  } else {
    return d.re * other[e];
  }
}

// One block a row: of queries (is_query) the gradient of its encoded row, of keys that and the gradient of its value.
template <Pair kPair, bool is_query>
FK_KERNEL void __launch_bounds__(kThreads)
    RowGradient(Backward b, double* gradient, double* d_values, uint8_t* is_seen) {
  __shared__ PairSlope slopes[kThreads];
  __shared__ int64_t others[kThreads];  // the other row of the pair, -1 where there is none
  __shared__ int has_others;
  const Problem& p = b.problem;
  const int64_t per_pair = is_query ? p.rows_per_pair() : p.n_keys, pair = blockIdx.x / per_pair,
                own = blockIdx.x % per_pair;
  const bool is_addition = b.is_left != nullptr;
  if (is_addition && (is_query ? b.is_left[blockIdx.x] == 0 : own >= b.left_over[pair].keys)) return;
  const int64_t own_row = is_query ? query_row(p, pair, own) : pair * p.n_keys + own;
  const double* const own_values = (is_query ? b.queries : b.keys) + own_row * b.pitch;
  double* const to = gradient + own_row * b.row_elements;
  const RowPlace key_place = place_of(p, pair, 0);  // of its batch and first head
  const int64_t length = kv_length(p, key_place.batch);
  const int64_t n_others = is_query      ? key_limit(p, place_of(p, pair, own).query, length)
                           : is_addition ? b.left_over[pair].rows
                                         : p.rows_per_pair();
  // Element by element the block keeps its sums in memory that is its own.
  double* const value_sums = is_query ? nullptr : d_values + own_row * p.v_dim;
  if (threadIdx.x == 0) has_others = 0;
  if (is_query || !is_addition)
    for (int64_t e = threadIdx.x; e < b.row_elements; e += kThreads) to[e] = 0;
  if (!is_query && !is_addition)
    for (int64_t d = threadIdx.x; d < p.v_dim; d += kThreads) value_sums[d] = 0;
  for (int64_t first = 0; first < n_others; first += kThreads) {
    const int64_t other = first + threadIdx.x;
    PairSlope mine{0, 0, 0, 0, 0};
    int64_t other_row = -1;
    if (other < n_others) {
      const int64_t row = is_query ? own : other, key = is_query ? other : own;
      const RowPlace at = place_of(p, pair, row);
      const RowSums& sums = b.sums[pair * p.rows_per_pair() + row];
      if (sums.kind != kElsewhere && is_admissible(p, at, key, length)) {
        other_row = is_query ? pair * p.n_keys + key : query_row(p, pair, row);
        mine = pair_slope<kPair>(b, at, sums, query_row(p, pair, row), pair * p.n_keys + key, key);
      }
    }
    slopes[threadIdx.x] = mine;
    others[threadIdx.x] = other_row;
    __syncthreads();
    if (other_row >= 0) has_others = 1;
    const int n = static_cast<int>(n_others - first < kThreads ? n_others - first : kThreads);
    for (int64_t e = threadIdx.x; e < b.row_elements; e += kThreads) {
      double sum = 0;
      for (int o = 0; o < n; ++o)
        if (others[o] >= 0 && (slopes[o].re != 0 || slopes[o].im != 0))
          sum += element_slope<kPair>(b.scoring, slopes[o], own_values,
                                      (is_query ? b.keys : b.queries) + others[o] * b.pitch, e, is_query);
      to[e] += sum;
    }
    if (!is_query)
      for (int64_t d = threadIdx.x; d < p.v_dim; d += kThreads) {
        double sum = 0;
        for (int o = 0; o < n; ++o) {
          if (others[o] < 0) continue;
          const RowPlace at = place_of(p, pair, first + o);
          const int64_t from =
              at.batch * b.d_out.stride[0] + at.head * b.d_out.stride[1] + at.query * b.d_out.stride[2];
          sum += slopes[o].weight * load_element(b.d_out.data, b.d_out.dtype, from + d);
        }
        value_sums[d] += sum;
      }
    __syncthreads();
  }
  if (threadIdx.x == 0 && !is_addition) is_seen[own_row] = has_others != 0;
}

// Contiguous rows, numbered from first on in the order of (batch, head, position), to a tensor. A row that meets none
// has gradient 0, whatever it holds.
FK_KERNEL void __launch_bounds__(kThreads)
    StoreRows(const double* rows, const uint8_t* is_seen, int64_t first, int64_t count, Tensor4 to) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count * to.shape[3]) return;
  const int64_t row = first + i / to.shape[3], d = i % to.shape[3];
  const int64_t position = row % to.shape[2], head = row / to.shape[2] % to.shape[1],
                batch = row / to.shape[2] / to.shape[1];
  store_element(to.data, to.dtype,
                batch * to.stride[0] + head * to.stride[1] + position * to.stride[2] + d * to.stride[3],
                is_seen[i / to.shape[3]] != 0 ? rows[i] : 0.0);
}

template <Pair kPair>
void launch_all(const Backward& b, const BackwardResults& to, Stream stream) {
  const Problem& p = b.problem;
  launch("RowSums", RowSumsKernel<kPair>, {p.n_rows()}, kThreads, 0, stream, b);
  launch("QueryGradient", RowGradient<kPair, true>, {p.n_rows()}, kThreads, 0, stream, b, to.d_queries, nullptr,
         to.is_query_seen);
  launch("KeyGradient", RowGradient<kPair, false>, {p.n_pairs * p.n_keys}, kThreads, 0, stream, b, to.d_keys,
         to.d_values, to.is_key_seen);
}

void check(bool is_good, const char* what) {
  if (!is_good) throw std::invalid_argument(what);
}

void check_arrays(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o,
                  const AttentionGradients& g) {
  const int64_t *q = a.q.shape, *k = a.k.shape, *v = a.v.shape;
  check(o.shots == 0, "sampled attention has no gradient");
  check(spec.encoder->pull_back != nullptr, "this feature map has no gradient on the device");
  check(k[0] == q[0] && v[0] == q[0] && v[1] == k[1] && v[2] == k[2] && k[3] == q[3], "q, k and v must fit together");
  check(k[1] > 0 ? q[1] % k[1] == 0 : q[1] == 0, "the number of query heads must be a multiple of that of key heads");
  check(o.temperature > 0, "temperature must be positive");
  check(std::equal(g.d_q.shape, g.d_q.shape + 4, q) && std::equal(g.d_k.shape, g.d_k.shape + 4, k) &&
            std::equal(g.d_v.shape, g.d_v.shape + 4, v),
        "gradients must have the shapes of q, k and v");
  check(g.d_out.shape[0] == q[0] && g.d_out.shape[1] == q[1] && g.d_out.shape[2] == q[2] && g.d_out.shape[3] == v[3],
        "d_out must be (B, Hq, Lq, Dv)");
}

// shape.length 0: the general path alone.
void run(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o, const AttentionGradients& g,
         const Problem& problem, const BackwardShape& shape, Stream stream) {
  const int64_t n_queries = problem.n_rows(), n_keys = problem.n_pairs * problem.n_keys, features = a.q.shape[3];
  const int64_t first_query = problem.first_pair * problem.rows_per_pair(),
                first_key = problem.first_pair * problem.n_keys;
  const bool is_on_matrix_units = shape.length > 0;
  const Precision precision = is_on_matrix_units ? Precision::both : Precision::f64;
  Memory query_copy, key_copy;
  const Rows queries = flat_rows(a.q, first_query, n_queries, query_copy, stream);
  const Rows keys = flat_rows(a.k, first_key, n_keys, key_copy, stream);
  const Encoded x = encode_rows(spec, queries, precision, stream), y = encode_rows(spec, keys, precision, stream);
  const int64_t elements = spec.row_elements();
  Array<RowSums> sums(n_queries, stream);
  Array<uint8_t> is_seen(n_queries + n_keys, stream);  // whether a row meets any; queries, then keys
  Array<double> d_queries(n_queries * elements, stream), d_keys(n_keys * elements, stream),
      d_values(n_keys * problem.v_dim, stream);
  Array<uint8_t> is_left(is_on_matrix_units ? n_queries : 0, stream);
  Array<LeftOver> left_over(is_on_matrix_units ? problem.n_pairs : 0, stream);
  const BackwardResults to{d_queries.data(),           d_keys.data(),  d_values.data(), is_seen.data(),
                           is_seen.data() + n_queries, is_left.data(), left_over.data()};
  Backward b{problem,           scoring(spec), o.normalization == Normalization::sum,
             1 / o.temperature, g.d_out,       x.f64.data(),
             y.f64.data(),      x.pitch,       elements,
             sums.data(),       nullptr,       nullptr};
  if (is_on_matrix_units) {
    const BackwardOperands operands =
        backward_operands(spec, problem, shape, x.f32.data(), y.f32.data(), x.pitch, g.d_out, stream);
    matrix_backward(spec, problem, o, operands, to, stream);
    b.is_left = to.is_left;
    b.left_over = to.left_over;
  }
  switch (spec.encoder->pair) {
    case Pair::product:
      launch_all<Pair::product>(b, to, stream);
      break;
    case Pair::real_dot:
      launch_all<Pair::real_dot>(b, to, stream);
      break;
    case Pair::complex_dot:
      launch_all<Pair::complex_dot>(b, to, stream);
      break;
    case Pair::distance:
      launch_all<Pair::distance>(b, to, stream);
      break;
    case Pair::transfer:
      throw std::invalid_argument("a line of 2 x 2 matrices has no gradient on the device");
  }
  const auto store = [&](const double* rows, int64_t count, const uint8_t* seen, int64_t first, const Tensor4& to) {
    launch("StoreRows", StoreRows, {divide_up(count * to.shape[3], kThreads)}, kThreads, 0, stream, rows, seen, first,
           count, to);
  };
  const auto pull_back = [&](const Rows& rows, const double* encoded, const uint8_t* seen, int64_t first,
                             const Tensor4& to) {
    Array<double> slopes(rows.count * features, stream);
    spec.encoder->pull_back(rows, encoded, elements, slopes.data(), spec.args(), stream);
    store(slopes.data(), rows.count, seen, first, to);
  };
  pull_back(queries, to.d_queries, to.is_query_seen, first_query, g.d_q);
  pull_back(keys, to.d_keys, to.is_key_seen, first_key, g.d_k);
  store(to.d_values, n_keys, to.is_key_seen, first_key, g.d_v);
}

}  // namespace

void attention_backward(const KernelSpec& spec, const AttentionArrays& a, const AttentionOptions& o,
                        const AttentionGradients& gradients, Stream stream) {
  check_arrays(spec, a, o, gradients);
  Problem problem = problem_of(a, o);
  const bool is_half = a.q.dtype == Dtype::f16 || a.q.dtype == Dtype::bf16;
  BackwardShape shape{0, 0};
  if (is_half || o.arithmetic == Arithmetic::half) shape = backward_shape(spec, problem, o);
  const int64_t n_pairs = a.k.shape[0] * a.k.shape[1];
  const int64_t row_bytes = 8 * (3 * spec.row_elements() + 2 * problem.v_dim + a.q.shape[3]);
  const int64_t pair_bytes = (problem.rows_per_pair() + problem.n_keys) * row_bytes;
  const int64_t together =
      std::clamp<int64_t>(kWorkspace / std::max<int64_t>(pair_bytes, 1), 1, std::max<int64_t>(n_pairs, 1));
  for (problem.first_pair = 0; problem.first_pair < n_pairs; problem.first_pair += together) {
    problem.n_pairs = std::min(together, n_pairs - problem.first_pair);
    run(spec, a, o, gradients, problem, shape, stream);
  }
}

}  // namespace flashket::cuda
