// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "gram/score.hpp"

namespace flashket::cuda {
namespace {

// A power multiplies the error of a value.
constexpr int kMostFloatPower = 2;
// A narrow Gaussian magnifies the rounding of float distances: about 4e-8 sqrt(gamma) of the value.
constexpr double kMostFloatGamma = 16;
// Long lines of transfer matrices lose 1e-7 of an overlap a step.
constexpr int64_t kMostFloatSteps = 9;
// Equal factors near 1 all round the same way: in plain floats two roundings a feature, on the matrix units, which cut
// instead of rounding, up to 5e-7 of the value for 4 features (1.9e-6 for 16, as the emulator of sm_80 adds).
constexpr int64_t kMostFloatFeatures = 16;
// What one pass of encoding may hold before its rows become planes.
constexpr int64_t kEncodedBytes = int64_t{64} << 20;

template <class C>
auto encode_function(const Encoder& encoder) {
  if constexpr (sizeof(C) == 4)
    return encoder.encode_f32;
  else
    return encoder.encode_f64;
}

Rows rows_from(const Rows& rows, int64_t first, int64_t count) {
  const auto* data =
      static_cast<const unsigned char*>(rows.data) + first * rows.stride * static_cast<int64_t>(size_of(rows.dtype));
  return {data, rows.dtype, count, rows.length, rows.stride};
}

bool is_16_bit(const Rows& rows) { return size_of(rows.dtype) == 2; }

template <class C>
EncodedRows<half_t> planes_of(const KernelSpec& spec, const PlaneShape& shape, const Rows& rows, Stream stream) {
  const int64_t pitch = spec.row_elements();
  const int64_t together = std::clamp<int64_t>(kEncodedBytes / (pitch * static_cast<int64_t>(sizeof(C))), 1,
                                               std::max<int64_t>(rows.count, 1));
  EncodedRows<half_t> result{Array<half_t>(rows.count * shape.row_elements(), stream), shape.row_elements()};
  if (shape.form == PlaneForm::complex && spec.encoder->encode_planes != nullptr &&
      spec.encoder->encode_planes(rows, reinterpret_cast<uint16_t*>(result.data.data()), result.pitch, shape.is_split,
                                  spec.args(), stream))
    return result;
  const Array<C> encoded(together * pitch, stream);
  for (int64_t first = 0; first < rows.count; first += together) {
    const int64_t count = std::min(together, rows.count - first);
    encode_function<C> (*spec.encoder)(rows_from(rows, first, count), encoded.data(), pitch, spec.args(), stream);
    make_planes(shape, encoded.data(), count, pitch, result.data.data() + first * result.pitch, stream);
  }
  return result;
}

}  // namespace

// float64 results: double multiply-adds. float32 results, automatic:
//   half    x and y are 16-bit and the pair is one of the matrix units' (product, real or complex dot of states)
//   split   the same pairs of float32 rows, power <= 2; products up to 16 features
//   simt    everything else, in double where float would leave the numbers contract: logarithms, shots (counts then
//           equal the host's), powers > 2, products of more features, narrow Gaussians, long lines
template <class T>
Engine choose_engine(const KernelSpec& spec, bool is_16_bit, const GramOptions& options) {
  const Pair pair = spec.encoder->pair;
  const int64_t depth = spec.depth();
  if (sizeof(T) == 8 || options.log || options.shots > 0) return {Arithmetic::simt, true, {}};
  const bool is_product = pair == Pair::product, is_complex = pair == Pair::complex_dot;
  const bool may_use_units = (is_product || is_complex || pair == Pair::real_dot) &&
                             (spec.similarity == Similarity::fidelity || spec.similarity == Similarity::hadamard);
  Arithmetic arithmetic = options.arithmetic;
  if (arithmetic == Arithmetic::automatic) {
    const bool is_split_exact = spec.power <= kMostFloatPower && (!is_product || depth <= kMostFloatFeatures);
    arithmetic = is_16_bit ? Arithmetic::half : is_split_exact ? Arithmetic::split : Arithmetic::simt;
  }
  if (may_use_units && arithmetic != Arithmetic::simt) {
    // The real part of a complex dot is the dot of real rows twice as long.
    const bool is_real_part = is_complex && spec.similarity == Similarity::hadamard;
    const PlaneForm form = is_product                    ? PlaneForm::product
                           : is_complex && !is_real_part ? PlaneForm::complex
                                                         : PlaneForm::real;
    const PlaneShape shape{form, arithmetic == Arithmetic::split, is_real_part ? 2 * depth : depth};
    if (mma_shared_bytes(shape) <= shared_per_block()) return {arithmetic, false, shape};
  }
  const bool is_double = spec.power > kMostFloatPower || (is_product && depth > kMostFloatFeatures) ||
                         (spec.similarity == Similarity::projected && spec.gamma > kMostFloatGamma) ||
                         (pair == Pair::transfer && depth * spec.power > kMostFloatSteps);
  return {Arithmetic::simt, is_double, {}};
}

template <class T>
template <class C>
EncodedRows<C> Scorer<T>::encode_rows(const KernelSpec& spec, const Rows& rows) const {
  const int64_t pitch = spec.row_elements();
  EncodedRows<C> result{Array<C>(rows.count * pitch, stream_), pitch};
  encode_function<C> (*spec.encoder)(rows, result.data.data(), pitch, spec.args(), stream_);
  return result;
}

template <class T>
EncodedRows<half_t> Scorer<T>::plane_rows(const KernelSpec& spec, const Rows& rows) const {
  return engine_.shape.form == PlaneForm::product ? planes_of<double>(spec, engine_.shape, rows, stream_)
                                                  : planes_of<float>(spec, engine_.shape, rows, stream_);
}

template <class T>
Scorer<T>::Scorer(const KernelSpec& spec, const Rows& x, const Rows* y, const GramOptions& options, Stream stream)
    : scoring_(scoring(spec)),
      engine_(choose_engine<T>(spec, is_16_bit(x) && (y == nullptr || is_16_bit(*y)), options)),
      is_same_(y == nullptr),
      stream_(stream) {
  finish_.is_log = options.log;
  finish_.is_normalised = spec.similarity != Similarity::dot;
  finish_.shots = options.shots;
  finish_.power = spec.power;
  finish_.key = stream_key(options.seed, StreamDomain::gram, 0, 0);
  if (options.shots > 0) scoring_.power = 1;  // the power acts on the estimate
  if (engine_.arithmetic != Arithmetic::simt) {
    x_half_ = plane_rows(spec, x);
    if (y) y_half_ = plane_rows(spec, *y);
  } else if (engine_.is_double) {
    x_double_ = encode_rows<double>(spec, x);
    if (y) y_double_ = encode_rows<double>(spec, *y);
  } else {
    x_float_ = encode_rows<float>(spec, x);
    if (y) y_float_ = encode_rows<float>(spec, *y);
  }
}

template <class T>
template <class C>
void Scorer<T>::score_with(const EncodedRows<C>& x, const EncodedRows<C>& y, const Region& region, T* out,
                           int64_t stride) const {
  const EncodedRows<C>& right = is_same_ ? x : y;
  score_simt(scoring_, x.row(region.row0), right.row(region.col0), x.pitch, region, finish_, Output<C>(out, stride),
             stream_);
}

template <class T>
void Scorer<T>::score(const Region& region, T* out, int64_t stride) const {
  if (region.rows == 0 || region.cols == 0) return;
  Region whole = region;
  whole.is_same = is_same_;
  if (engine_.is_double) return score_with(x_double_, y_double_, whole, out, stride);
  if constexpr (sizeof(T) == 4) {
    if (engine_.arithmetic == Arithmetic::simt) return score_with(x_float_, y_float_, whole, out, stride);
    const EncodedRows<half_t>& right = is_same_ ? x_half_ : y_half_;
    score_mma(engine_.shape, scoring_, x_half_.row(region.row0), right.row(region.col0), whole, finish_, {out, stride},
              stream_);
  }
}

template Engine choose_engine<float>(const KernelSpec&, bool, const GramOptions&);
template Engine choose_engine<double>(const KernelSpec&, bool, const GramOptions&);
template class Scorer<float>;
template class Scorer<double>;

}  // namespace flashket::cuda
