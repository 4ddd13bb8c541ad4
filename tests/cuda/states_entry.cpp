// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// The state kernels in the emulator as C functions for ctypes; see test_state_kernels.py. Data is host memory, which is
// copied to the emulator's device and back. A failed call returns its error's text.
#include <cstring>

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

int64_t flashket_test_depth(const char* name, const double* params, int64_t n_params, const ProgramArrays* program) {
  return spec_of(name, params, n_params, program).depth();
}
}
