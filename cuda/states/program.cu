// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Statevector of a compiled Program, a batch of rows at a time. Twin of the host's states/program.simd.cpp: the same
// operations, planned for blocks of shared memory instead of cache and for threads' registers instead of vectors.
//
// The first one-qubit gates of all qubits make a product state, which is computed where it is needed: an IQP map of one
// repetition writes its amplitudes and reads nothing. float32 states of up to 13 (14 on devices with the memory) qubits
// stay in shared memory, float64 one less; larger ones are made in passes over global memory in the output itself.
// Cost: an exchange for every register_bits qubits that a layer acts on, a sincos an amplitude for every polynomial.
#include <stdexcept>

#include "states/adjoint.hpp"
#include "states/bloch_sums.hpp"
#include "states/states.hpp"

namespace flashket::cuda {
namespace statevector {
namespace {

constexpr int32_t kMaxGroupBits = 9, kMinBlockThreadBits = 7;
constexpr int64_t kPreparedBytes = int64_t{64}
                                   << 20;  // prepared rows at a time: they come back from the second-level cache
constexpr int64_t kMaxBlocks = (int64_t{1} << 31) - 1;

thread_local int32_t forced_block_bits = 0;

template <class T>
FK_KERNEL void __launch_bounds__(1 << kMaxGroupBits)
    StateKernel(ProgramPointers program, PreparedRows<T> prepared, int32_t pass_index, BlockShape shape,
                StateOutput<T> out, int64_t first, int64_t count, bool is_direct) {
  const StatePass& pass = program.passes[pass_index];
  const int64_t rows = int64_t{1} << shape.row_bits;
  const int slot = static_cast<int>(threadIdx.x) >> shape.group_bits;
  const int64_t row = (int64_t{blockIdx.x} >> pass.n_outer) * rows + slot;
  const bool is_row = row < count;
  auto* state = dynamic_shared<Complex<T>>();
  Complex<T>* tables = state + (rows << shape.size_bits);
  auto* polynomials = reinterpret_cast<Uint<T>*>(tables + rows * 2 * shape.table_size());
  BlockRow<T> b{program,
                prepared,
                pass,
                shape,
                is_row ? row : count - 1,
                static_cast<int>(threadIdx.x) & ((1 << shape.group_bits) - 1),
                slot,
                0,
                state,
                tables + slot * 2 * shape.table_size(),
                polynomials + slot * 2 * shape.polynomial_size()};
  for (int i = 0; i < pass.n_outer; ++i) b.outer |= static_cast<uint64_t>(blockIdx.x >> i & 1) << pass.outer[i];
  const int64_t to_row = first + b.row;
  if (!pass.is_first) {
    b.read(out, to_row);
    __syncthreads();
  }
  run_steps(b, out, to_row, is_row, is_direct);
  if (out.layout == Layout::bloch)
    write_bloch(b, out, to_row, is_row);
  else if (sizeof(T) == 4 && out.layout >= Layout::halves && is_row)
    b.write_planes(out, to_row);
  else if (!is_direct && is_row)
    b.write_all(out, to_row);
}

template <class T>
BlockShape shape_of(const StatePass& pass) {
  constexpr int32_t register_bits = kRegisterBits<T>;
  BlockShape shape{};
  shape.size_bits = std::max(pass.n_local, register_bits);
  // 128 registers a thread: two blocks of 256 threads fit where their memory does.
  const bool is_alone = (static_cast<int64_t>(sizeof(Complex<T>)) << shape.size_bits) > 64 * 1024;
  shape.group_bits = std::min(shape.size_bits - register_bits, is_alone ? kMaxGroupBits : kMaxGroupBits - 1);
  shape.row_bits = std::max(kMinBlockThreadBits - shape.group_bits, 0);
  shape.low_bits = (shape.size_bits + 1) / 2;
  shape.line_bits = shape.size_bits <= 4 ? 2 : shape.size_bits <= 8 ? 3 : 4;
  shape.n_outer = pass.n_outer;
  return shape;
}

// The most qubits whose block fits.
template <class T>
int32_t largest_block() {
  const int32_t usual = sizeof(T) == 4 ? 13 : 12;
  StatePass pass{};
  pass.n_local = usual + 1;
  return shape_of<T>(pass).template shared_bytes<T>() <= shared_per_block() ? usual + 1 : usual;
}

// Blocks of large states are smaller than they could be, so that a multiprocessor works on several.
template <class T>
int32_t block_bits_of(int32_t n_qubits) {
  if (forced_block_bits > 0) return forced_block_bits;
  const int32_t largest = largest_block<T>(), usual = sizeof(T) == 4 ? 13 : 12;
  return n_qubits <= largest ? std::max(n_qubits, usual) : usual;
}

}  // namespace

template <class T>
bool fits_block(int32_t n_qubits) {
  return n_qubits <= (forced_block_bits > 0 ? forced_block_bits : largest_block<T>());
}
template bool fits_block<float>(int32_t);
template bool fits_block<double>(int32_t);

BlockBitsScope::BlockBitsScope(int32_t bits) : previous_(forced_block_bits) { forced_block_bits = bits; }
BlockBitsScope::~BlockBitsScope() { forced_block_bits = previous_; }

template <class T>
void run_program(const CompiledProgram& program, const Rows& x, T* out, int64_t pitch, Layout layout, Stream stream) {
  const ProgramView view = program.view();
  if (x.length != view.n_features)
    throw std::invalid_argument("program: rows must have " + std::to_string(view.n_features) + " features, got " +
                                std::to_string(x.length));
  if (layout == Layout::bloch && !fits_block<T>(view.n_qubits))
    throw std::invalid_argument("program: Bloch vectors of " + std::to_string(view.n_qubits) +
                                " qubits need the state in memory");
  if (x.count == 0) return;
  constexpr int32_t R = kRegisterBits<T>;
  const DeviceProgram compiled = upload_program(view, block_bits_of<T>(view.n_qubits), R, stream);
  const ProgramPointers& p = compiled.pointers;
  const int64_t bytes = PreparedRows<T>::bytes_per_row(p);
  const int64_t blocks_per_row = int64_t{1} << compiled.passes[0].n_outer;
  const int64_t chunk =
      std::max<int64_t>(1, std::min({x.count, kPreparedBytes / bytes, kMaxBlocks / blocks_per_row / 128 * 128}));
  const Memory memory(static_cast<size_t>(bytes * chunk), stream);
  const PreparedRows<T> prepared = PreparedRows<T>::at(p, chunk, memory.get());
  const StateOutput<T> output{out, pitch, int64_t{1} << view.n_qubits, layout, x.count};
  for (int64_t first = 0; first < x.count; first += chunk) {
    const int64_t count = std::min(chunk, x.count - first);
    prepare(p, x, first, count, prepared, stream);
    for (size_t i = 0; i < compiled.passes.size(); ++i) {
      const StatePass& pass = compiled.passes[i];
      const BlockShape shape = shape_of<T>(pass);
      const int64_t row_blocks = (count + (int64_t{1} << shape.row_bits) - 1) >> shape.row_bits;
      // Straight from registers, where neighbouring threads then write at least whole sectors.
      const bool is_direct = layout < Layout::bloch && pass.n_local >= R + 3 && pass.end_lowest >= 3;
      launch("StateKernel", StateKernel<T>, Grid{row_blocks << pass.n_outer}, shape.threads(),
             shape.template shared_bytes<T>(), stream, p, prepared, static_cast<int32_t>(i), shape, output, first,
             count, is_direct);
    }
  }
}
template void run_program(const CompiledProgram&, const Rows&, float*, int64_t, Layout, Stream);
template void run_program(const CompiledProgram&, const Rows&, double*, int64_t, Layout, Stream);

}  // namespace statevector

namespace {

const CompiledProgram& program_of(const EncodeArgs& args) {
  if (args.program == nullptr) throw std::invalid_argument("program: the encoder needs a circuit");
  return *args.program;
}

int64_t depth(const EncodeArgs& args) { return int64_t{1} << program_of(args).view().n_qubits; }

template <class T>
void encode_rows(const Rows& rows, T* out, int64_t pitch, const EncodeArgs& args, Stream stream) {
  statevector::run_program(program_of(args), rows, out, pitch, statevector::Layout::planes, stream);
}

// Rows of fewer amplitudes than a step of a plane would need padding.
bool encode_planes(const Rows& rows, uint16_t* planes, int64_t pitch, bool is_split, const EncodeArgs& args,
                   Stream stream) {
  const CompiledProgram& program = program_of(args);
  const int32_t n_qubits = program.view().n_qubits;
  if ((int64_t{1} << n_qubits) < kPlaneStep || !statevector::fits_block<float>(n_qubits)) return false;
  statevector::run_program(program, rows, reinterpret_cast<float*>(planes), pitch,
                           is_split ? statevector::Layout::split : statevector::Layout::halves, stream);
  return true;
}

constexpr int kCopyThreads = 256;

// Encoded rows, real or planes, as complex numbers; beyond depth zeros.
template <class T>
FK_KERNEL void InterleaveKernel(const T* encoded, int64_t pitch, int64_t depth, bool is_complex, int64_t count,
                                int64_t n_amplitudes, T* out) {
  const int64_t i = int64_t{blockIdx.x} * kCopyThreads + threadIdx.x;
  if (i >= count * n_amplitudes) return;
  const int64_t row = i / n_amplitudes, z = i % n_amplitudes;
  const T* from = encoded + row * pitch;
  out[2 * i] = z < depth ? from[z] : T(0);
  out[2 * i + 1] = is_complex && z < depth ? from[depth + z] : T(0);
}

}  // namespace

extern const Encoder program_encoder;
const Encoder program_encoder = {"program",          Pair::complex_dot,   depth,
                                 encode_rows<float>, encode_rows<double>, statevector::pull_back_states,
                                 encode_planes};

template <class T>
void states(const KernelSpec& spec, const Rows& x, T* out, Stream stream) {
  const Encoder& encoder = *spec.encoder;
  if (&encoder == &program_encoder) {
    const CompiledProgram& program = program_of(spec.args());
    const int64_t pitch = int64_t{2} << program.view().n_qubits;
    return statevector::run_program(program, x, out, pitch, statevector::Layout::interleaved, stream);
  }
  if (encoder.pair != Pair::real_dot && encoder.pair != Pair::complex_dot)
    throw std::invalid_argument(std::string("states need the Program of the map, ") + encoder.name + " has none");
  const int64_t n = spec.depth(), pitch = spec.row_elements();
  int64_t n_amplitudes = 2;  // a map has a qubit at least
  while (n_amplitudes < n) n_amplitudes *= 2;
  if (x.count == 0) return;
  const Array<T> encoded(x.count * pitch, stream);
  if constexpr (sizeof(T) == 4)
    encoder.encode_f32(x, encoded.data(), pitch, spec.args(), stream);
  else
    encoder.encode_f64(x, encoded.data(), pitch, spec.args(), stream);
  const int64_t blocks = (x.count * n_amplitudes + kCopyThreads - 1) / kCopyThreads;
  launch("InterleaveKernel", InterleaveKernel<T>, Grid{blocks}, kCopyThreads, 0, stream, encoded.data(), pitch, n,
         encoder.pair == Pair::complex_dot, x.count, n_amplitudes, out);
}
template void states(const KernelSpec&, const Rows&, float*, Stream);
template void states(const KernelSpec&, const Rows&, double*, Stream);

}  // namespace flashket::cuda
