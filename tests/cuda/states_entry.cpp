// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The state kernels in the emulator as C functions for ctypes; see test_state_kernels.py. Data is host memory, which is
// copied to the emulator's device and back. A failed call returns its error's text.
#include <cstring>

#include "gram/mps.hpp"
#include "states/run.hpp"
#include "states/states.hpp"

namespace flashket::cuda {

extern const Encoder program_encoder, bloch_encoder, line_encoder;

namespace {

thread_local std::string error;

template <class F>
const char* guarded(const F& f) {
  try {
    f();
    return nullptr;
  } catch (const std::exception& e) {
    error = e.what();
    return error.c_str();
  }
}

struct ProgramArrays {
  int32_t n_qubits, n_features;
  int64_t n_gates;
  const int32_t *opcodes, *qubits, *features;
  const double* coefficients;
};

struct RowArrays {
  const void* data;
  int32_t dtype;
  int64_t count, length, stride, bytes;
};

KernelSpec spec_of(const std::string& name, const double* params, int64_t n_params, const ProgramArrays* p) {
  KernelSpec spec{};
  for (const Encoder* encoder : {&program_encoder, &bloch_encoder, &line_encoder})
    if (name == encoder->name) spec.encoder = encoder;
  spec.params.assign(params, params + n_params);
  if (p)
    spec.program = std::const_pointer_cast<CompiledProgram>(CompiledProgram::from_arrays(
        p->n_qubits, p->n_features, p->n_gates, p->opcodes, p->qubits, p->features, p->coefficients));
  return spec;
}

template <class T>
void run(const KernelSpec& spec, const RowArrays& x, T* out, int64_t out_elements, int64_t pitch, bool as_states) {
  const Array<unsigned char> input(x.bytes, nullptr);
  copy_to_device(input.get(), x.data, static_cast<size_t>(x.bytes), nullptr);
  const Rows rows{input.get(), static_cast<Dtype>(x.dtype), x.count, x.length, x.stride};
  const Array<T> result(out_elements, nullptr);
  copy_to_device(result.get(), out, sizeof(T) * static_cast<size_t>(out_elements), nullptr);
  if (as_states)
    states(spec, rows, result.data(), nullptr);
  else if constexpr (sizeof(T) == 4)
    spec.encoder->encode_f32(rows, result.data(), pitch, spec.args(), nullptr);
  else
    spec.encoder->encode_f64(rows, result.data(), pitch, spec.args(), nullptr);
  copy_to_host(out, result.get(), sizeof(T) * static_cast<size_t>(out_elements), nullptr);
}

template <class C, class T>
void run_mps_in(const MpsView& x, const MpsView* y, T* out, int64_t stride, const MpsGramOptions& options) {
  const DeviceMps<C> left(x, nullptr);
  if (!y) return mps_gram<C, T>(left, nullptr, out, stride, options, nullptr);
  const DeviceMps<C> right(*y, nullptr);
  mps_gram<C, T>(left, &right, out, stride, options, nullptr);
}

template <class T>
void run_mps(const MpsView& x, const MpsView* y, T* out, int32_t compute, const MpsGramOptions& options) {
  const int64_t cols = y ? y->rows : x.rows, count = x.rows * cols;
  const Array<T> result(count, nullptr);
  if (compute == 0)
    mps_gram(x, y, result.data(), cols, options, nullptr);
  else if (compute == 8)
    run_mps_in<double>(x, y, result.data(), cols, options);
  else if constexpr (sizeof(T) == 4)
    run_mps_in<float>(x, y, result.data(), cols, options);
  copy_to_host(out, result.get(), sizeof(T) * static_cast<size_t>(count), nullptr);
}

}  // namespace
}  // namespace flashket::cuda

using namespace flashket::cuda;

extern "C" {

// Rows of `name`, or states where it is "states"; block_bits 0: as much as fits.
const char* flashket_test_encode(const char* name, const double* params, int64_t n_params, const ProgramArrays* program,
                                 const RowArrays* x, void* out, int32_t is_double, int64_t out_elements, int64_t pitch,
                                 int32_t block_bits) {
  return guarded([&] {
    const statevector::BlockBitsScope scope(block_bits);
    const bool as_states = std::string(name) == "states";
    const KernelSpec spec = spec_of(as_states ? "program" : name, params, n_params, program);
    if (is_double)
      run(spec, *x, static_cast<double*>(out), out_elements, pitch, as_states);
    else
      run(spec, *x, static_cast<float*>(out), out_elements, pitch, as_states);
  });
}

// Bonds, offsets and tensors of x and of y (rows_y < 0: y is x); compute 0: as the library chooses, 4, 8: bytes.
const char* flashket_test_mps(int64_t n_sites, int64_t rows_x, const int32_t* bonds_x, const int64_t* offsets_x,
                              const double* tensors_x, int64_t rows_y, const int32_t* bonds_y, const int64_t* offsets_y,
                              const double* tensors_y, void* out, int32_t is_double, int32_t compute,
                              int32_t is_hadamard, int32_t power, int32_t log, int64_t shots, uint64_t seed) {
  return guarded([&] {
    const flashket::MpsView x{rows_x, n_sites, bonds_x, offsets_x, tensors_x};
    const flashket::MpsView y{rows_y, n_sites, bonds_y, offsets_y, tensors_y};
    const flashket::MpsGramOptions options{
        is_hadamard ? flashket::Similarity::hadamard : flashket::Similarity::fidelity, power, log != 0, {shots}, seed};
    if (is_double)
      run_mps(x, rows_y < 0 ? nullptr : &y, static_cast<double*>(out), compute, options);
    else
      run_mps(x, rows_y < 0 ? nullptr : &y, static_cast<float*>(out), compute, options);
  });
}

int64_t flashket_test_depth(const char* name, const double* params, int64_t n_params, const ProgramArrays* program) {
  return spec_of(name, params, n_params, program).depth();
}
}
