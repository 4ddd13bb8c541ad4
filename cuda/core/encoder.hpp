// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A feature map on the device: rows in, encoded rows out, as plain floats or doubles. <stem>.cu in feature_maps/,
// controls/ or states/ defines <stem>_encoder; that folder listing is the list of encoders, the names are the host's.
// What an encoded row holds, (rows, row_elements) row-major:
//   product      per feature cos, sin of half its angle:   <x|y> = prod (c c' + s s')
//   real_dot     depth reals:                               <x|y> = sum a b
//   complex_dot  depth real parts, then depth imaginary:    <x|y> = sum conj(a) b
//   distance     depth reals:                               sum (a - b)^2
//   transfer     kTransferElements a step, as on the host:  gram/transfer of cpp/
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "../../cpp/core/program.hpp"
#include "../../cpp/core/types.hpp"
#include "core/runtime.hpp"

namespace flashket::cuda {

enum class Dtype { f16, bf16, f32, f64 };
constexpr size_t size_of(Dtype d) { return d == Dtype::f64 ? 8 : d == Dtype::f32 ? 4 : 2; }

// Rows in device memory, elements next to each other.
struct Rows {
  const void* data;
  Dtype dtype;
  int64_t count, length, stride;  // stride in elements
};

enum class Pair : int { product, real_dot, complex_dot, distance, transfer };

// A Program before it is compiled.
struct GateList {
  int32_t n_qubits, n_features;
  std::vector<Gate> gates;
};

struct EncodeArgs {
  const std::vector<double>& params;  // params[0] is the number of features, the rest is the map's own: as on the host
  const CompiledProgram* program;     // of circuits
  const GateList* gates = nullptr;    // the same circuit, for libraries that apply gates
};

struct Encoder {
  const char* name;
  Pair pair;
  // Factors of a product (features), terms of a sum, steps of a transfer.
  int64_t (*depth)(const EncodeArgs& args);
  // (rows.count, row_elements) row-major, `pitch` elements from row to row. Rows of any dtype; T float or double.
  void (*encode_f32)(const Rows& rows, float* out, int64_t pitch, const EncodeArgs& args, Stream stream);
  void (*encode_f64)(const Rows& rows, double* out, int64_t pitch, const EncodeArgs& args, Stream stream);
  // d_rows (rows.count, n_features) = slopes (rows.count, row_elements), `pitch` apart, of the encoded rows times the
  // encoding's derivative; nullptr: not on the device.
  void (*pull_back)(const Rows& rows, const double* slopes, int64_t pitch, double* d_rows, const EncodeArgs& args,
                    Stream stream) = nullptr;
  // Of complex_dot: what gram/planes.hpp makes of encode_f32's rows, written at once, `pitch` fp16 values from row to
  // row. false: not for such rows, and nothing was done; nullptr: for none.
  bool (*encode_planes)(const Rows& rows, uint16_t* planes, int64_t pitch, bool is_split, const EncodeArgs& args,
                        Stream stream) = nullptr;
};

constexpr int64_t row_elements(Pair pair, int64_t depth) {
  return pair == Pair::product || pair == Pair::complex_dot ? 2 * depth
         : pair == Pair::transfer                           ? kTransferElements * depth
                                                            : depth;
}

// Throws std::invalid_argument for a name that has no device code.
const Encoder& find_encoder(const std::string& name);
std::vector<std::string> encoder_names();

// A kernel as it comes from Python: what is encoded, and what the overlap becomes.
struct KernelSpec {
  const Encoder* encoder;
  std::vector<double> params;
  std::shared_ptr<CompiledProgram> program;
  std::shared_ptr<const GateList> gates;
  Similarity similarity;
  int power = 1;
  double gamma = 1;

  EncodeArgs args() const { return {params, program.get(), gates.get()}; }
  int64_t depth() const { return encoder->depth(args()); }
  int64_t row_elements() const { return cuda::row_elements(encoder->pair, depth()); }
};

}  // namespace flashket::cuda
