// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// encode: rows of any strides become packed operands of the tile engine.
#pragma once
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer.hpp"
#include "core/isa.hpp"
#include "core/program.hpp"
#include "core/views.hpp"

namespace flashket {

// A kernel as it crosses the seam, ready to run.
struct KernelSpec {
  const Encoder* encoder;
  std::vector<double> params;
  std::shared_ptr<const CompiledProgram> program;
  ProgramView program_view{};
  Similarity similarity;
  int power;
  double gamma = 0;
  // With a tangent encoder only; see EncoderArgs.
  std::vector<double> centre{};
  int64_t group = 0;

  EncoderArgs args() const {
    return {params.data(), static_cast<int64_t>(params.size()), program ? &program_view : nullptr,
            centre.empty() ? nullptr : centre.data(), group};
  }
  int64_t n_features() const { return program ? program_view.n_features : static_cast<int64_t>(params.at(0)); }
  Score score() const { return {encoder->pair, similarity, power, gamma, encoder->depth(args()), group}; }
  // Kernels of normalised states: the value of a row with itself is 1.
  bool is_normalised() const { return similarity != Similarity::dot; }
  // Whatever the data are. A narrow Gaussian magnifies the rounding of float distances: about 4e-8 sqrt(gamma) of the
  // value. Long lines of transfer matrices lose 1e-7 of an overlap a step.
  bool needs_double() const {
    if (similarity == Similarity::projected) return gamma > 16;
    return encoder->pair == PairKind::transfer && encoder->depth(args()) * power > 9;
  }
};

template <class C>
constexpr EncodeRow<C> encode_row(const Encoder& encoder) {
  if constexpr (sizeof(C) == 4)
    return encoder.row_f32;
  else
    return encoder.row_f64;
}

template <class C>
constexpr EncodePanel<C> encode_panel(const Encoder& encoder) {
  if constexpr (sizeof(C) == 4)
    return encoder.panel_f32;
  else
    return encoder.panel_f64;
}

// The spec in the form that is cheapest whatever the rows, for everything but logarithms: a row's form and its bits do
// not depend on others. Angles nearer to a pole than 3e-8 (double: 1e-17) move to that distance, so that the products
// of a group cannot overflow.
template <class C>
KernelSpec cheapest_form(KernelSpec spec) {
  if (spec.encoder->tangent == nullptr) return spec;
  spec.encoder = spec.encoder->tangent;
  spec.group = std::min<int64_t>(spec.n_features(), sizeof(C) == 4 ? 4 : 16);
  return spec;
}

constexpr int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Rows encoded before they are packed together: whole vectors of them, fewer where a row is long.
constexpr int64_t encoded_together(int64_t row_elements) {
  return std::clamp<int64_t>((int64_t{1} << 21) / std::max<int64_t>(row_elements, 1), 1, 16);
}

// Elements that a worker needs to encode rows.
inline int64_t encoder_elements(const KernelSpec& spec) {
  const int64_t row = spec.score().row_elements();
  return spec.n_features() + 1 + encoded_together(row) * (row + 16) + spec.encoder->scratch(spec.args()) + 64;
}

// Scratch of one worker; C is the type computed in, which may be wider than the data's.
template <class C>
class RowEncoder {
 public:
  explicit RowEncoder(const KernelSpec& spec)
      : encode_(encode_row<C>(*spec.encoder)),
        encode_panel_(encode_panel<C>(*spec.encoder)),
        args_(spec.args()),
        row_elements_(spec.score().row_elements()),
        pitch_(spec.score().pitch()),
        together_(encoded_together(row_elements_)),
        row_stride_(round_up(row_elements_, 16)),
        input_(encode_panel_ ? spec.n_features() * tile_ops<C>().panel_cols : spec.n_features() + 1),
        encoded_(encode_panel_ ? 0 : together_ * row_stride_ + 64),
        scratch_(spec.encoder->scratch(args_) + 64) {}

  template <class T>
  const C* encode(const MatrixView<const T>& source, int64_t row, int64_t slot = 0) {
    for (int64_t j = 0; j < source.cols; ++j) input_.data()[j] = static_cast<C>(source(row, j));
    C* encoded = encoded_.data() + slot * row_stride_;
    encode_(input_.data(), encoded, scratch_.data(), args_);
    return encoded;
  }

  // Encodes rows [begin, end) of the source as rows 0, 1, .. of packed panels and fills the last panel up with zeros.
  // Of tangent rows it tells the range.
  template <class T>
  TangentRange pack(const MatrixView<const T>& source, int64_t begin, int64_t end, C* panels) {
    const int64_t width = tile_ops<C>().panel_cols;
    TangentRange range{1, 1, 1};
    for (int64_t row = begin; row < end; row += width, panels += width * pitch_) {
      const int64_t count = std::min(width, end - row);
      if (encode_panel_) {
        const TangentRange own = pack_panel(source, row, count, panels);
        range = {std::min(range.low, own.low), std::max(range.high, own.high),
                 std::min(range.least_factor, own.least_factor)};
      } else {
        pack_rows(source, row, count, panels);
      }
      if (count == width) continue;
      for (int64_t e = 0; e < row_elements_; ++e) std::fill(panels + e * width + count, panels + (e + 1) * width, C(0));
    }
    return range;
  }

 private:
  template <class T>
  TangentRange pack_panel(const MatrixView<const T>& source, int64_t row, int64_t count, C* panel) {
    const int64_t width = tile_ops<C>().panel_cols;
    C* input = input_.data();
    for (int64_t r = 0; r < width; ++r) {
      const int64_t from = row + (r < count ? r : 0);  // a row twice does not change the range
      for (int64_t j = 0; j < source.cols; ++j) input[j * width + r] = static_cast<C>(source(from, j));
    }
    return encode_panel_(input, panel, args_);
  }

  template <class T>
  void pack_rows(const MatrixView<const T>& source, int64_t row, int64_t count, C* panel) {
    for (int64_t first = 0; first < count; first += together_) {
      const int64_t part = std::min(together_, count - first);
      for (int64_t r = 0; r < part; ++r) encode(source, row + first + r, r);
      tile_ops<C>().pack(encoded_.data(), row_stride_, part, row_elements_, panel + first);
    }
  }

  EncodeRow<C> encode_;
  EncodePanel<C> encode_panel_;
  EncoderArgs args_;
  int64_t row_elements_, pitch_, together_, row_stride_;
  Buffer<C> input_, encoded_, scratch_;
};

}  // namespace flashket
