// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// From tensors to what the kernels read: encoded rows for the general path, fp16 rows and bf16 values for the matrix
// units. Forward, backward and linear form start from the same operands.
#pragma once
#include "attention/simt.hpp"

namespace flashket::cuda {

// Rows first .. first + count of the tensor's (batch, head, position), as one matrix. Where its strides do not allow
// that, the rows are copied to `copy`.
Rows flat_rows(const Tensor4& tensor, int64_t first, int64_t count, Memory& copy, Stream stream);

enum class Precision { f32, f64, both };

// Encoded rows of one tensor, `pitch` elements apart; both: made in double, then rounded. Cost: the encoder's, and one
// pass over the rows for the rounding.
struct Encoded {
  int64_t pitch;
  Array<float> f32;
  Array<double> f64;
};
Encoded encode_rows(const KernelSpec& spec, const Rows& rows, Precision precision, Stream stream);

// How the matrix units compute an overlap.
//   dot      real rows, depth padded to a multiple of 16
//   product  groups of 4 features, 16 products of their cosines and sines each: a group is one dot, groups multiply
//   complex  real parts, imaginary parts, the depth of each padded to a multiple of 16
enum class Form : int { dot, product, complex };

// fp16 values of a packed row, or 0 where there is no such form.
int64_t packed_length(const KernelSpec& spec);
Form packed_form(Pair pair);

// float rows -> fp16 rows of `length` values, padded with zeros (groups of a product: with the features' value for an
// angle of 0, the number 1). |entries| <= 1, so fp16 loses 2^-12 of a value at most.
void pack_rows(const KernelSpec& spec, const float* rows, int64_t count, int64_t pitch, half_t* out, int64_t length,
               Stream stream);

constexpr int kKeyTile = 64;  // keys that the matrix-unit kernels look at together

// Values, [pair][key][width], width a multiple of 16, padded with zeros. Values that are not finite become 0, since a
// matrix unit would carry them to rows that may not see them; flags tell which keys they belong to.
template <class T>
struct ValuesOf {
  Array<T> values;
  Array<uint8_t> is_bad;       // [pair][key]
  Array<uint8_t> is_pair_bad;  // [pair]: any of its keys
};
using PackedValues = ValuesOf<bfloat16_t>;
using PackedFloats = ValuesOf<float>;
PackedValues pack_values(const Problem& problem, int64_t width, Stream stream);
PackedFloats pack_floats(const Problem& problem, int64_t width, Stream stream);

}  // namespace flashket::cuda
