// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Angle encoding: |x> = prod_j RY(x_j)|0> (or RX), <x|y> = prod_j cos((x_j - y_j) / 2), for RY and RX alike.
// Schuld, "Supervised quantum machine learning models are kernel methods", arXiv:2101.11020, sec. V.
// No state is built: a row becomes what the product or the tangent form of the pair kernel multiplies (PairKind).
// Angles are reduced in double whatever the element type. params: n_features, bandwidth. Cost: n sincos.
#include "core/half_angles.hpp"
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

int64_t n_features(const EncoderArgs& args) { return static_cast<int64_t>(args.params[0]); }
int64_t scratch(const EncoderArgs&) { return 0; }

constexpr int64_t kRun = 64;  // features whose sines and cosines are held at a time; even

// Sines and cosines of bandwidth (x - centre) / 2.
template <class T>
void half_angles(const T* x, const double* centre, double half_bandwidth, int64_t count, double* sine, double* cosine) {
  for (int64_t j = 0; j < count; ++j) {
    const double angle = half_bandwidth * (centre ? static_cast<double>(x[j]) - centre[j] : static_cast<double>(x[j]));
    sine[j] = angle;
  }
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
    half_angles(x + begin, nullptr, 0.5 * args.params[1], count, sine, cosine);
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

template <class T>
FLASHKET_INLINE Vec<double> rounded_to(Vec<double> v) {
  if constexpr (sizeof(T) == 8) return v;
  return widen(__builtin_convertvector(v, HalfVec));
}

FLASHKET_INLINE Vec<double> size_of(Vec<double> v) { return select<double>(v < 0.0, -v, v); }

// tan and cot of bandwidth (x - centre) / 2, turned, as T holds them, and the cosine and sine of the angles that these
// then stand for: what is left of their rounding is second order in a row's overlap with itself.
// The overlap does not depend on the turn. It keeps common angles away from the poles (multiples of a quarter turn),
// and differs from feature to feature, as equal factors would all round the same way.
template <class T>
void tangents(const T* x, const double* centre, double half_bandwidth, int64_t first, int64_t count, double* tangent,
              double* cotangent, double* cosine, double* sine) {
  half_angles(x, centre, half_bandwidth, count, sine, cosine);
  const double mean_turn = centre ? 0.41421356 : 0.30334668;  // tan of half of it: pi / 4, 3 pi / 16
  // Nearer to a pole the angle is off by no more than this, which no overlap shows, and four factors do not overflow.
  const double least = sizeof(T) == 4 ? 3e-8 : 1e-17;
  Vec<double> feature;
  for (int64_t l = 0; l < kLanes<double>; ++l) feature[l] = static_cast<double>(first + l);
  for (int64_t j = 0; j < count; j += kLanes<double>, feature += static_cast<double>(kLanes<double>)) {
    const double magic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to whole numbers
    const Vec<double> part = feature * 0.6180339887498949;
    const Vec<double> q = (part - ((part + magic) - magic)) * 0.1 + mean_turn;
    const Vec<double> scale = 1.0 / (q * q + 1.0), turn_cosine = (1.0 - q * q) * scale, turn_sine = (q + q) * scale;
    const Vec<double> s0 = load(sine + j), c0 = load(cosine + j);
    Vec<double> s = s0 * turn_cosine + c0 * turn_sine, c = c0 * turn_cosine - s0 * turn_sine;
    s = select<double>(size_of(s) < least, select<double>(s < 0.0, splat(-least), splat(least)), s);
    c = select<double>(size_of(c) < least, select<double>(c < 0.0, splat(-least), splat(least)), c);
    const Vec<double> inverse = 1.0 / (s * c);
    const Vec<double> t = rounded_to<T>(s * s * inverse), u = rounded_to<T>(c * c * inverse);
    store<double>(tangent + j, t);
    store<double>(cotangent + j, u);
    store<double>(cosine + j, c * (1.0 - s * (t * c - s)));  // first order in what t c and u s miss
    store<double>(sine + j, s * (1.0 - c * (u * s - c)));
  }
}

template <class T>
void tangent_row(const T* x, T* out, T*, const EncoderArgs& args) {
  const int64_t n = n_features(args), group = args.group;  // n or a divisor of kRun
  double sine[kRun], cosine[kRun], tangent[kRun], cotangent[kRun];
  T* other = out + n + (n + group - 1) / group;
  for (int64_t begin = 0; begin < n; begin += kRun) {
    const int64_t count = n - begin < kRun ? n - begin : kRun;
    tangents(x + begin, args.centre ? args.centre + begin : nullptr, 0.5 * args.params[1], begin, count, tangent,
             cotangent, cosine, sine);
    for (int64_t first = 0; first < count; first += group) {
      const int64_t last = first + group < count ? first + group : count;
      double cosines = 1, sines = 1;
      for (int64_t j = first; j < last; ++j) {
        *out++ = static_cast<T>(tangent[j]);
        *other++ = static_cast<T>(cotangent[j]);
        cosines *= cosine[j];
        sines *= sine[j];
      }
      *out++ = static_cast<T>(cosines);
      *other++ = static_cast<T>(sines);
    }
  }
}

const Encoder tangent_encoder = {"angle, tangents", PairKind::tangent,  n_features,
                                 scratch,           tangent_row<float>, tangent_row<double>};

// A whole vector of doubles from either type.
FLASHKET_INLINE Vec<double> load_doubles(const double* p) { return load(p); }
FLASHKET_INLINE Vec<double> load_doubles(const float* p) {
  HalfVec v;
  memcpy(&v, p, sizeof v);
  return widen(v);
}

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

constexpr double kModerateAngle = 1e5;
constexpr double kWideDifference = 64;            // more would lose digits of the smaller angle
constexpr double kRounding = 6755399441055744.0;  // 1.5 * 2^52: adding it leaves the rounded integer in the low bits

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
