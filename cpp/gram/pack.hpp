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

  EncoderArgs args() const {
    return {params.data(), static_cast<int64_t>(params.size()), program ? &program_view : nullptr};
  }
  int64_t n_features() const { return program ? program_view.n_features : static_cast<int64_t>(params.at(0)); }
  Score score() const { return {encoder->pair, similarity, power, gamma, encoder->depth(args())}; }
  // Kernels of normalised states: the value of a row with itself is 1.
  bool is_normalised() const { return similarity != Similarity::dot; }
  // A narrow Gaussian magnifies the rounding of float distances: about 4e-8 sqrt(gamma) of the value.
  bool is_narrow() const { return similarity == Similarity::projected && gamma > 16; }
};

template <class C>
constexpr EncodeRow<C> encode_row(const Encoder& encoder) {
  if constexpr (sizeof(C) == 4)
    return encoder.row_f32;
  else
    return encoder.row_f64;
}

// Where rows [begin, ...) of the source go: lanes rows interleaved, missing rows of the last group zero.
template <class C>
struct PackTarget {
  C* data;
  int64_t lanes;
};

constexpr int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Scratch of one worker; C is the type computed in, which may be wider than the data's.
template <class C>
class RowEncoder {
 public:
  explicit RowEncoder(const KernelSpec& spec)
      : spec_(&spec),
        args_(spec.args()),
        row_elements_(spec.score().row_elements()),
        input_(spec.n_features() + 1),
        encoded_(row_elements_ + 64),
        scratch_(spec.encoder->scratch(args_) + 64) {}

  template <class T>
  const C* encode(const MatrixView<const T>& source, int64_t row) {
    for (int64_t j = 0; j < source.cols; ++j) input_.data()[j] = static_cast<C>(source(row, j));
    encode_row<C> (*spec_->encoder)(input_.data(), encoded_.data(), scratch_.data(), args_);
    return encoded_.data();
  }

  // Encodes rows [begin, end) of the source as rows 0, 1, .. of every target.
  template <class T>
  void pack(const MatrixView<const T>& source, int64_t begin, int64_t end,
            std::initializer_list<PackTarget<C>> targets) {
    const int planes_count = planes(spec_->encoder->pair);
    const int64_t depth = row_elements_ / planes_count;
    for (int64_t row = begin; row < end; ++row) {
      const C* encoded = encode(source, row);
      for (const PackTarget<C>& target : targets) scatter(encoded, target, row - begin, planes_count, depth);
    }
    std::fill_n(encoded_.data(), row_elements_, C(0));
    for (const PackTarget<C>& target : targets)
      for (int64_t row = end - begin; row % target.lanes != 0; ++row)
        scatter(encoded_.data(), target, row, planes_count, depth);
  }

 private:
  void scatter(const C* encoded, const PackTarget<C>& target, int64_t row, int planes_count, int64_t depth) const {
    C* out = target.data + row / target.lanes * target.lanes * row_elements_ + row % target.lanes;
    for (int64_t d = 0; d < depth; ++d)
      for (int p = 0; p < planes_count; ++p) out[(d * planes_count + p) * target.lanes] = encoded[p * depth + d];
  }

  const KernelSpec* spec_;
  EncoderArgs args_;
  int64_t row_elements_;
  Buffer<C> input_, encoded_, scratch_;
};

}  // namespace flashket
