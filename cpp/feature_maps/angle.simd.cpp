// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Angle encoding: |x> = prod_j RY(x_j)|0> (or RX), <x|y> = prod_j cos((x_j - y_j) / 2), for RY and RX alike.
// Schuld, "Supervised quantum machine learning models are kernel methods", arXiv:2101.11020, sec. V.
// No state is built: a row becomes what the product or the tangent form of the pair kernel multiplies (PairKind).
// Angles are reduced in double whatever the element type. params: n_features, bandwidth. Cost: n sincos.
#include "core/half_angles.hpp"
#include "core/simd.hpp"
#include "gram/layout.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t n_features(const EncoderArgs& args) { return static_cast<int64_t>(args.params[0]); }
int64_t scratch(const EncoderArgs&) { return 0; }

constexpr int64_t kRun = 64;  // features whose sines and cosines are held at a time; even

template <class T>
void half_angles(const T* x, double half_bandwidth, int64_t count, double* sine, double* cosine) {
  for (int64_t j = 0; j < count; ++j) sine[j] = half_bandwidth * static_cast<double>(x[j]);
  for (int64_t j = count; j % kLanes<double> != 0; ++j) sine[j] = 0;
  for (int64_t j = 0; j < count; j += kLanes<double>) {
    Vec<double> s, c;
    sincos(load(sine + j), s, c);
    store<double>(sine + j, s);
    store<double>(cosine + j, c);
  }
}

int64_t n_pairs(const EncoderArgs& args) { return (n_features(args) + 1) / 2; }

template <class T>
void paired_row(const T* x, T* out, T*, const EncoderArgs& args) {
  const int64_t n = n_features(args);
  double sine[kRun], cosine[kRun];
  for (int64_t begin = 0; begin < n; begin += kRun) {
    const int64_t count = n - begin < kRun ? n - begin : kRun;
    half_angles(x + begin, 0.5 * args.params[1], count, sine, cosine);
    if (count % 2 != 0) {  // an angle of 0 beside the last
      sine[count] = 0;
      cosine[count] = 1;
    }
    for (int64_t j = 0; j < count; j += 2, out += 4) {
      const double cc = cosine[j] * cosine[j + 1], ss = sine[j] * sine[j + 1], sc = sine[j] * cosine[j + 1],
                   cs = cosine[j] * sine[j + 1];
      out[0] = static_cast<T>(cc - ss);
      out[1] = static_cast<T>(sc + cs);
      out[2] = static_cast<T>(cc + ss);
      out[3] = static_cast<T>(sc - cs);
    }
  }
}

// A whole vector of doubles from either type, and back.
FLASHKET_INLINE Vec<double> load_doubles(const double* p) { return load(p); }
FLASHKET_INLINE Vec<double> load_doubles(const float* p) {
  HalfVec v;
  memcpy(&v, p, sizeof v);
  return widen(v);
}
FLASHKET_INLINE void store_doubles(double* p, Vec<double> v) { store<double>(p, v); }
FLASHKET_INLINE void store_doubles(float* p, Vec<double> v) {
  const HalfVec half = __builtin_convertvector(v, HalfVec);
  memcpy(p, &half, sizeof half);
}

template <class T>
FLASHKET_INLINE Vec<double> rounded_to(Vec<double> v) {
  if constexpr (sizeof(T) == 8) return v;
  return widen(__builtin_convertvector(v, HalfVec));
}

FLASHKET_INLINE Vec<double> size_of(Vec<double> v) { return (Vec<double>)((UintVec<double>)v & (~uint64_t{0} >> 1)); }

FLASHKET_INLINE Vec<double> at_least(double least, Vec<double> v) {  // in size; in this order NaN stays NaN
  return (Vec<double>)((UintVec<double>)vmax<double>(splat(least), size_of(v)) |
                       ((UintVec<double>)v & (uint64_t{1} << 63)));
}

constexpr double kModerateAngle = 1e5;
constexpr double kRounding = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the rounded integer in the low bits

FLASHKET_INLINE IntVec<double> is_large(Vec<double> angle) { return size_of(angle) > kModerateAngle; }

// Half the angles of feature j.
template <class T>
FLASHKET_INLINE Vec<double> angles_of(const T* x, int64_t j, const EncoderArgs& args) {
  Vec<double> angle = load_doubles(x + j * kPanelCols<T>);
  if (args.centre) angle -= args.centre[j];
  return angle * (0.5 * args.params[1]);
}

// Sine and cosine of angle + turn, without rounding the sum of both; the turn is within half a turn. Angles up to
// kModerateAngle: reduced by pi / 2 in three parts. Larger ones, if there may be such, by the C library.
template <bool kHasLarge>
FLASHKET_INLINE void sincos_turned(Vec<double> angle, double turn, Vec<double>& sine, Vec<double>& cosine) {
  const Vec<double> given = angle;
  if constexpr (kHasLarge) angle = select<double>(is_large(angle), Vec<double>{}, angle);
  const double quarters = 0.63661977236758134308;  // of a turn in a radian
  const Vec<double> shifted = (angle * quarters + turn * quarters) + kRounding;
  const Vec<double> n = shifted - kRounding;
  Vec<double> x = angle - n * 1.57079632673412561417;
  x = x - n * 6.07710050630396597660e-11;
  x = (x - n * 2.02226624879595063154e-21) + turn;
  Vec<double> s, c;
  sincos_octant<double>(x, s, c);
  turn_quadrants<double>((IntVec<double>)shifted, s, c);
  if constexpr (kHasLarge) {
    for (int64_t l = 0; l < kLanes<double>; ++l) {
      if (!is_large(given)[l]) continue;
      const double s0 = ::sin(given[l]), c0 = ::cos(given[l]), turn_sine = ::sin(turn), turn_cosine = ::cos(turn);
      s[l] = s0 * turn_cosine + c0 * turn_sine;
      c[l] = c0 * turn_cosine - s0 * turn_sine;
    }
  }
  sine = s;
  cosine = c;
}

// Rows' tan and cot of bandwidth (x - centre) / 2, turned, as T holds them, and per group the products of the cosines
// and of the sines of the angles that these then stand for: what is left of their rounding is second order in a row's
// overlap with itself. The overlap does not depend on the turn. It keeps common angles away from the poles (multiples
// of a quarter turn), and differs from feature to feature, as equal factors would all round the same way.
template <class T, bool kHasLarge>
TangentRange tangents_of_panel(const T* x, T* panel, const EncoderArgs& args) {
  constexpr int64_t D = kLanes<double>, N = kPanelCols<T>;
  const int64_t n = n_features(args), group = args.group;
  const double mean_turn = args.centre ? M_PI / 4 : 3 * M_PI / 16;
  // Nearer to a pole the angle is off by no more than this, which no overlap shows, and four factors do not overflow.
  const double least = sizeof(T) == 4 ? 3e-8 : 1e-17;
  const T* last_row_group = x + N;
  T* other_half = panel + (n + (n + group - 1) / group) * N;
  Vec<double> low = splat(1.0), high = splat(1.0), least_factor = splat(1.0);
  for (; x < last_row_group; x += D, panel += D, other_half += D) {
    T *out = panel, *other = other_half;
    for (int64_t first = 0; first < n; first += group) {
      const int64_t last = first + group < n ? first + group : n;
      Vec<double> cosines = splat(1.0), sines = splat(1.0);
      for (int64_t j = first; j < last; ++j, out += N, other += N) {
        const double part = static_cast<double>(j) * 0.6180339887498949;
        const double turn = (part - ((part + kRounding) - kRounding)) * 0.2 + mean_turn;
        Vec<double> s, c;
        sincos_turned<kHasLarge>(angles_of(x, j, args), turn, s, c);
        s = at_least(least, s);
        c = at_least(least, c);
        const Vec<double> inverse = 1.0 / (s * c);
        const Vec<double> t = rounded_to<T>(s * s * inverse), u = rounded_to<T>(c * c * inverse);
        store_doubles(out, t);
        store_doubles(other, u);
        cosines *= c * (1.0 - s * (t * c - s));  // first order in what t c and u s miss
        sines *= s * (1.0 - c * (u * s - c));
        low = vmin<double>(low, t);
        high = vmax<double>(high, t);
      }
      store_doubles(out, cosines);
      store_doubles(other, sines);
      out += N;
      other += N;
      least_factor = vmin<double>(least_factor, vmin<double>(size_of(cosines), size_of(sines)));
    }
  }
  TangentRange range{1, 1, 1};
  for (int64_t l = 0; l < D; ++l) {
    range.low = low[l] < range.low ? low[l] : range.low;
    range.high = high[l] > range.high ? high[l] : range.high;
    range.least_factor = least_factor[l] < range.least_factor ? least_factor[l] : range.least_factor;
  }
  return range;
}

template <class T>
TangentRange tangent_panel(const T* x, T* panel, const EncoderArgs& args) {
  IntVec<double> has_large{};
  for (int64_t j = 0; j < n_features(args); ++j) {
    FLASHKET_UNROLL
    for (int64_t r = 0; r < kPanelCols<T>; r += kLanes<double>) has_large |= is_large(angles_of(x + r, j, args));
  }
  return any_lane(has_large) ? tangents_of_panel<T, true>(x, panel, args) : tangents_of_panel<T, false>(x, panel, args);
}

const Encoder tangent_encoder = {
    .name = "angle, tangents",
    .pair = PairKind::tangent,
    .depth = n_features,
    .scratch = scratch,
    .row_f32 = nullptr,
    .row_f64 = nullptr,
    .panel_f32 = tangent_panel<float>,
    .panel_f64 = tangent_panel<double>,
};

// left - right, zeros from count on.
template <class T>
FLASHKET_INLINE Vec<double> difference(const T* left, const T* right, int64_t count) {
  if (count >= kLanes<double>) return load_doubles(left) - load_doubles(right);
  Vec<double> rest{};
  FLASHKET_UNROLL
  for (int64_t l = 0; l + 1 < kLanes<double>; ++l)  // through an array, the load would wait for all stores
    if (l < count) rest[l] = static_cast<double>(left[l]) - static_cast<double>(right[l]);
  return rest;
}

constexpr double kWideDifference = 64;  // more would lose digits of the smaller angle

// Of an angle in turns: how far its cosine is from its zero, a quarter of a turn at most, negative where the cosine is.
// Squares of the whole turns are added to `turns`.
FLASHKET_INLINE Vec<double> beyond_zero(Vec<double> apart, double turns_each, Vec<double>& turns) {
  const Vec<double> n = (apart * turns_each + kRounding) - kRounding;
  const Vec<double> rest = apart * turns_each - n;
  turns += n * n;
  return 0.25 - (Vec<double>)((UintVec<double>)rest & (~uint64_t{0} >> 1));
}

// sin 2 pi x for |x| <= 1/4, to 2 ulp: a minimax polynomial, error 5e-9 of the sine.
FLASHKET_INLINE Vec<float> sine_of_turns(Vec<float> x) {
  const Vec<float> x2 = x * x;
  Vec<float> s = splat(39.7109177f);
  s = s * x2 + -76.5749923f;
  s = s * x2 + 81.6022313f;
  s = s * x2 + -41.3416775f;
  s = s * x2 + 6.28318527f;
  return s * x;
}

template <int S, int V>
FLASHKET_INLINE void multiply_rows(Vec<float> (&v)[V]) {
  FLASHKET_UNROLL
  for (int i = 0; i < V; i += 2 * S) {
    transpose_pair<float, S>(v[i], v[i + S], std::make_index_sequence<kLanes<float>>());
    v[i] *= v[i + S];
  }
}

template <size_t... I>
FLASHKET_INLINE Vec<float> join(HalfVec low, HalfVec high, std::index_sequence<I...>) {
  return __builtin_shufflevector(low, high, I...);
}

struct NothingBeside {
  FLASHKET_INLINE void step(int64_t) {}
};

// Values of as many keys as a vector has floats, two of them a step: their sums stay in registers.
struct ValuesBeside {
  static constexpr int64_t L = kLanes<float>, W = kStreamedValues / L;

  FLASHKET_INLINE void step(int64_t i) {
    FLASHKET_UNROLL
    for (int64_t j = 2 * i; j < 2 * i + 2; ++j) {
      const Vec<float> weight = splat(weights[j]);
      FLASHKET_UNROLL
      for (int64_t w = 0; w < W; ++w) acc[w] += weight * load(values + j * row_stride + w * L);
    }
  }

  const float *weights, *values;
  int64_t row_stride;
  Vec<float> acc[W];
};

// product[i] *= cosines of D features, as many as a vector has doubles, for rows i and i + D.
template <class Beside>
FLASHKET_INLINE void multiply_cosines(const float* query, const float* rows, int64_t row_stride, double turns_each,
                                      Vec<float>* product, Vec<double>& turns, Beside& beside) {
  constexpr int64_t D = kLanes<double>;
  const Vec<double> to = load_doubles(query);
  FLASHKET_UNROLL
  for (int64_t i = 0; i < D; ++i) {
    const Vec<double> low = beyond_zero(load_doubles(rows + i * row_stride) - to, turns_each, turns),
                      high = beyond_zero(load_doubles(rows + (i + D) * row_stride) - to, turns_each, turns);
    product[i] *= sine_of_turns(join(__builtin_convertvector(low, HalfVec), __builtin_convertvector(high, HalfVec),
                                     std::make_index_sequence<kLanes<float>>()));
    beside.step(i);
  }
}

// Overlaps with as many rows as a vector has floats: cosines of differences in float, reduced in double, so exact to a
// few ulp, also near their zeros. Adds squares of whole turns to `turns`.
template <class Beside>
FLASHKET_INLINE Vec<float> score_block(const float* query, const float* rows, int64_t row_stride, int64_t n,
                                       double turns_each, Vec<double>& turns, Beside& beside) {
  constexpr int64_t L = kLanes<float>, D = kLanes<double>;
  Vec<float> product[D];
  FLASHKET_UNROLL
  for (int64_t i = 0; i < D; ++i) product[i] = splat(1.0f);
  int64_t f = 0;
  NothingBeside nothing;
  if (n >= D) {
    multiply_cosines(query, rows, row_stride, turns_each, product, turns, beside);
    f = D;
  }
  for (; f + D <= n; f += D) multiply_cosines(query + f, rows + f, row_stride, turns_each, product, turns, nothing);
  if (f < n) {  // differences of 0 behind the last feature
    float rest[L + 1][D] = {};
    for (int64_t r = 0; r <= L; ++r)
      for (int64_t e = 0; e < n - f; ++e) rest[r][e] = r < L ? rows[r * row_stride + f + e] : query[f + e];
    if (n < D)
      multiply_cosines(rest[L], rest[0], D, turns_each, product, turns, beside);
    else
      multiply_cosines(rest[L], rest[0], D, turns_each, product, turns, nothing);
  }
  multiply_rows<1>(product);
  if constexpr (D > 2) multiply_rows<2>(product);
  if constexpr (D > 4) multiply_rows<4>(product);
  return product[0];
}

// False, and overlaps of no use, if an angle is too large.
template <bool kIsStreaming = false>
FLASHKET_INLINE bool score_near_rows(const float* query, const float* rows, int64_t row_stride, int64_t count,
                                     float* overlaps, const EncoderArgs& args, const WeighedValues& values = {}) {
  constexpr int64_t L = kLanes<float>;
  const int64_t n = n_features(args);
  const double turns_each = 0.25 / M_PI * args.params[1];
  Vec<double> turns{};
  NothingBeside nothing;
  for (int64_t j = 0; j + L <= count; j += L) {
    if constexpr (kIsStreaming) {
      ValuesBeside beside{values.weights + j, values.values + j * values.row_stride, values.row_stride, {}};
      store<float>(overlaps + j, score_block(query, rows + j * row_stride, row_stride, n, turns_each, turns, beside));
      FLASHKET_UNROLL
      for (int64_t w = 0; w < ValuesBeside::W; ++w) {
        float* sum = values.sums + w * L;
        store<float>(sum, load(sum) + beside.acc[w]);
      }
    } else {
      store<float>(overlaps + j, score_block(query, rows + j * row_stride, row_stride, n, turns_each, turns, nothing));
    }
  }
  for (int64_t j = count / L * L; j < count; ++j)  // the row as often as a vector has floats
    overlaps[j] = score_block(query, rows + j * row_stride, 0, n, turns_each, turns, nothing)[0];
  double sum = 0;
  for (int64_t l = 0; l < kLanes<double>; ++l) sum += turns[l];
  return sum < kModerateAngle * kModerateAngle;
}

// The cosine alone, to 1e-15 for |angle| <= kModerateAngle: reduced by pi in three parts, then Taylor on a quarter
// turn, whose first term left out is 2e-17.
FLASHKET_INLINE Vec<double> moderate_cosine(Vec<double> angle) {
  const Vec<double> shifted = angle * 0.31830988618379067154 + kRounding;
  const Vec<double> n = shifted - kRounding;
  Vec<double> x = angle - n * 3.14159265346825122834;
  x = x - n * 1.21542010126079319e-10;
  x = x - n * 4.04453249759190126e-21;
  const Vec<double> x2 = x * x;
  Vec<double> c = splat(1.0 / 2432902008176640000.0);  // 1/20!
  c = c * x2 + -1.0 / 6402373705728000.0;
  c = c * x2 + 1.0 / 20922789888000.0;
  c = c * x2 + -1.0 / 87178291200.0;
  c = c * x2 + 1.0 / 479001600.0;
  c = c * x2 + -1.0 / 3628800.0;
  c = c * x2 + 1.0 / 40320.0;
  c = c * x2 + -1.0 / 720.0;
  c = c * x2 + 1.0 / 24.0;
  c = c * x2 + -0.5;
  c = c * x2 + 1.0;
  return (Vec<double>)((UintVec<double>)c ^ ((UintVec<double>)shifted << 63));  // odd multiples of pi change the sign
}

// For rows near enough; false, and overlaps of no use, if one is not.
bool score_near_rows(const double* query, const double* rows, int64_t row_stride, int64_t count, double* overlaps,
                     const EncoderArgs& args) {
  const int64_t n = n_features(args);
  const double half_bandwidth = 0.5 * args.params[1];
  const double widest = __builtin_fabs(half_bandwidth) * kWideDifference > kModerateAngle
                            ? kModerateAngle / __builtin_fabs(half_bandwidth)
                            : kWideDifference;
  IntVec<double> is_far{};
  for (int64_t j = 0; j < count; ++j) {
    const double* x = rows + j * row_stride;
    Vec<double> product = splat(1.0);
    for (int64_t f = 0; f < n; f += kLanes<double>) {
      const Vec<double> apart = difference(query + f, x + f, n - f);
      is_far |= (apart > widest) | (apart < -widest);
      product *= moderate_cosine(apart * half_bandwidth);
    }
    if constexpr (kLanes<double> > 4) product *= exchange_lanes<double, 4>(product);
    if constexpr (kLanes<double> > 2) product *= exchange_lanes<double, 2>(product);
    overlaps[j] = product[0] * product[1];
  }
  return !any_lane(is_far);
}

template <class T>
void score_any_rows(const T* query, const T* rows, int64_t row_stride, int64_t count, T* overlaps,
                    const EncoderArgs& args) {
  const int64_t n = n_features(args);
  const double half_bandwidth = 0.5 * args.params[1];
  for (int64_t j = 0; j < count; ++j) {
    const T* x = rows + j * row_stride;
    Vec<double> product = splat(1.0);
    for (int64_t f = 0; f < n; f += kLanes<double>) {
      double first[kLanes<double>] = {}, second[kLanes<double>] = {};
      const int64_t rest = n - f < kLanes<double> ? n - f : kLanes<double>;
      for (int64_t l = 0; l < rest; ++l) {
        first[l] = static_cast<double>(query[f + l]);
        second[l] = static_cast<double>(x[f + l]);
      }
      const Vec<double> a = load(first), b = load(second), difference = a - b;
      Vec<double> sine, cosine;
      if (any_lane((difference > kWideDifference) | (difference < -kWideDifference))) {
        Vec<double> sine_b, cosine_b;
        sincos(a * half_bandwidth, sine, cosine);
        sincos(b * half_bandwidth, sine_b, cosine_b);
        cosine = cosine * cosine_b + sine * sine_b;
      } else {
        sincos(difference * half_bandwidth, sine, cosine);
      }
      product *= cosine;
    }
    if constexpr (kLanes<double> > 4) product *= exchange_lanes<double, 4>(product);
    if constexpr (kLanes<double> > 2) product *= exchange_lanes<double, 2>(product);
    overlaps[j] = static_cast<T>(product[0] * product[1]);
  }
}

template <class T>
void score_rows(const T* query, const T* rows, int64_t row_stride, int64_t count, T* overlaps,
                const EncoderArgs& args) {
  if (!score_near_rows(query, rows, row_stride, count, overlaps, args))
    score_any_rows(query, rows, row_stride, count, overlaps, args);
}

void score_rows_streaming(const float* query, const float* rows, int64_t row_stride, int64_t count, float* overlaps,
                          const EncoderArgs& args, const WeighedValues& beside) {
  const bool is_near = beside.weights != nullptr
                           ? score_near_rows<true>(query, rows, row_stride, count, overlaps, args, beside)
                           : score_near_rows(query, rows, row_stride, count, overlaps, args);
  if (!is_near) score_any_rows(query, rows, row_stride, count, overlaps, args);
}

template <class T>
void qubits(const T* x, int64_t count, T* cosine, T* sine, const EncoderArgs& args) {
  half_angles(x, count * n_features(args), 0.5 * args.params[1], cosine, sine);
}

}  // namespace

extern const Encoder angle_encoder;
const Encoder angle_encoder = {
    .name = "angle",
    .pair = PairKind::product,
    .depth = n_pairs,
    .scratch = scratch,
    .row_f32 = paired_row<float>,
    .row_f64 = paired_row<double>,
    .tangent = &tangent_encoder,
    .qubits_f32 = qubits<float>,
    .qubits_f64 = qubits<double>,
    .score_rows_f32 = score_rows<float>,
    .score_rows_f64 = score_rows<double>,
    // Of narrower vectors the sums would leave no registers.
    .score_rows_streaming = FLASHKET_VECTOR_BYTES == 64 ? score_rows_streaming : nullptr,
};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
