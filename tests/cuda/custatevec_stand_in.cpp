// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Not NVIDIA's library: the functions of cuStateVec that FlashKet calls, on host memory, written from the documentation
// in custatevec.h. It shows that our sequence of calls computes the right states where no GPU runs the real one.
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

using Complex = std::complex<double>;
constexpr int kInvalid = 3;

struct State {
  void* data;
  int type;  // cudaDataType_t: 4 complex64, 5 complex128

  Complex get(int64_t i) const {
    return type == 4 ? Complex(static_cast<std::complex<float>*>(data)[i]) : static_cast<Complex*>(data)[i];
  }
  void set(int64_t i, Complex v) const {
    if (type == 4)
      static_cast<std::complex<float>*>(data)[i] = std::complex<float>(v);
    else
      static_cast<Complex*>(data)[i] = v;
  }
  State at(int64_t i) const { return {static_cast<char*>(data) + i * (type == 4 ? 8 : 16), type}; }
};

// matrix bit k belongs to targets[k]; row-major.
int apply(const State& state, uint32_t bits, const State& matrix, const int32_t* targets, uint32_t n_targets,
          const int32_t* controls, const int32_t* values, uint32_t n_controls) {
  uint64_t mask = 0;
  for (uint32_t t = 0; t < n_targets; ++t) {
    if (targets[t] < 0 || targets[t] >= static_cast<int32_t>(bits) || (mask >> targets[t] & 1)) return kInvalid;
    mask |= uint64_t{1} << targets[t];
  }
  for (uint32_t c = 0; c < n_controls; ++c)
    if (controls[c] < 0 || controls[c] >= static_cast<int32_t>(bits) || (mask >> controls[c] & 1)) return kInvalid;
  const int64_t size = int64_t{1} << n_targets;
  std::vector<Complex> before(static_cast<size_t>(size));
  std::vector<int64_t> index(static_cast<size_t>(size));
  for (int64_t base = 0; base < (int64_t{1} << bits); ++base) {
    if (static_cast<uint64_t>(base) & mask) continue;
    bool acts = true;
    for (uint32_t c = 0; c < n_controls; ++c) acts = acts && (base >> controls[c] & 1) == (values ? values[c] : 1);
    if (!acts) continue;
    for (int64_t m = 0; m < size; ++m) {
      index[m] = base;
      for (uint32_t t = 0; t < n_targets; ++t) index[m] |= (m >> t & 1) << targets[t];
      before[m] = state.get(index[m]);
    }
    for (int64_t r = 0; r < size; ++r) {
      Complex sum = 0;
      for (int64_t c = 0; c < size; ++c) sum += matrix.get(r * size + c) * before[c];
      state.set(index[r], sum);
    }
  }
  return 0;
}

constexpr Complex i_unit(0, 1);
const Complex kPaulis[4][4] = {{1, 0, 0, 1}, {0, 1, 1, 0}, {0, -i_unit, i_unit, 0}, {1, 0, 0, -1}};

struct SamplerState {
  State state;
  uint32_t bits;
  bool is_ready;
};

}  // namespace

extern "C" {

int custatevecCreate(void** handle) {
  *handle = new int;
  return 0;
}
int custatevecDestroy(void* handle) {
  delete static_cast<int*>(handle);
  return 0;
}
int custatevecSetStream(void*, void*) { return 0; }
const char* custatevecGetErrorString(int status) { return status == kInvalid ? "invalid value" : "error"; }
int custatevecGetProperty(int, int32_t* value) {
  *value = 0;  // 0.0.0: no version of the real library
  return 0;
}

int custatevecInitializeStateVector(void*, void* sv, int type, uint32_t bits, int kind) {
  if (kind != 0) return kInvalid;
  std::memset(sv, 0, (size_t{1} << bits) * (type == 4 ? 8 : 16));
  State{sv, type}.set(0, 1);
  return 0;
}

int custatevecApplyMatrixGetWorkspaceSize(void*, int, uint32_t, const void*, int, int, int32_t, uint32_t, uint32_t, int,
                                          size_t* bytes) {
  *bytes = 0;
  return 0;
}
int custatevecApplyMatrix(void*, void* sv, int type, uint32_t bits, const void* matrix, int matrix_type, int layout,
                          int32_t adjoint, const int32_t* targets, uint32_t n_targets, const int32_t* controls,
                          const int32_t* values, uint32_t n_controls, int, void*, size_t) {
  if (layout != 1 || adjoint != 0) return kInvalid;
  return apply({sv, type}, bits, {const_cast<void*>(matrix), matrix_type}, targets, n_targets, controls, values,
               n_controls);
}

int custatevecApplyMatrixBatchedGetWorkspaceSize(void*, int, uint32_t, uint32_t, int64_t, int, const int32_t*,
                                                 const void*, int, int, int32_t, uint32_t, uint32_t, uint32_t, int,
                                                 size_t* bytes) {
  *bytes = 512;
  return 0;
}
int custatevecApplyMatrixBatched(void*, void* sv, int type, uint32_t bits, uint32_t count, int64_t stride, int map,
                                 const int32_t* indices, const void* matrices, int matrix_type, int layout,
                                 int32_t adjoint, uint32_t n_matrices, const int32_t* targets, uint32_t n_targets,
                                 const int32_t* controls, const int32_t* values, uint32_t n_controls, int,
                                 void* workspace, size_t bytes) {
  if (layout != 1 || adjoint != 0 || workspace == nullptr || bytes < 512) return kInvalid;
  const State all{sv, type}, list{const_cast<void*>(matrices), matrix_type};
  for (uint32_t s = 0; s < count; ++s) {
    const int32_t m = map == 0 ? 0 : indices[s];
    if (m < 0 || m >= static_cast<int32_t>(n_matrices)) return kInvalid;
    const int status = apply(all.at(s * stride), bits, list.at(int64_t{m} << (2 * n_targets)), targets, n_targets,
                             controls, values, n_controls);
    if (status != 0) return status;
  }
  return 0;
}

// exp(i theta P) = cos theta + i sin theta P
int custatevecApplyPauliRotation(void*, void* sv, int type, uint32_t bits, double theta, const int* paulis,
                                 const int32_t* targets, uint32_t n_targets, const int32_t* controls,
                                 const int32_t* values, uint32_t n_controls) {
  const int64_t size = int64_t{1} << n_targets;
  std::vector<Complex> matrix(static_cast<size_t>(size * size));
  for (int64_t r = 0; r < size; ++r)
    for (int64_t c = 0; c < size; ++c) {
      Complex product = 1;
      for (uint32_t t = 0; t < n_targets; ++t) product *= kPaulis[paulis[t]][2 * (r >> t & 1) + (c >> t & 1)];
      matrix[r * size + c] = (r == c ? std::cos(theta) : 0.0) + i_unit * std::sin(theta) * product;
    }
  return apply({sv, type}, bits, {matrix.data(), 5}, targets, n_targets, controls, values, n_controls);
}

int custatevecComputeExpectationsOnPauliBasis(void*, const void* sv, int type, uint32_t bits, double* results,
                                              const int** paulis, uint32_t n_strings, const int32_t** qubits,
                                              const uint32_t* lengths) {
  const State state{const_cast<void*>(sv), type};
  for (uint32_t s = 0; s < n_strings; ++s) {
    Complex sum = 0;
    for (int64_t i = 0; i < (int64_t{1} << bits); ++i) {
      int64_t other = i;
      Complex factor = 1;
      for (uint32_t k = 0; k < lengths[s]; ++k) {
        const int bit = static_cast<int>(i >> qubits[s][k] & 1), pauli = paulis[s][k];
        const int flipped = pauli == 1 || pauli == 2 ? 1 - bit : bit;
        factor *= kPaulis[pauli][2 * flipped + bit];
        other = (other & ~(int64_t{1} << qubits[s][k])) | (int64_t{flipped} << qubits[s][k]);
      }
      sum += std::conj(state.get(other)) * factor * state.get(i);
    }
    results[s] = sum.real();
  }
  return 0;
}

int custatevecSamplerCreate(void*, const void* sv, int type, uint32_t bits, void** sampler, uint32_t, size_t* bytes) {
  *sampler = new SamplerState{{const_cast<void*>(sv), type}, bits, false};
  *bytes = 256;
  return 0;
}
int custatevecSamplerPreprocess(void*, void* sampler, void* workspace, size_t bytes) {
  if (workspace == nullptr || bytes < 256) return kInvalid;
  static_cast<SamplerState*>(sampler)->is_ready = true;
  return 0;
}
int custatevecSamplerSample(void*, void* sampler, int64_t* strings, const int32_t* order, uint32_t length,
                            const double* uniforms, uint32_t shots, int output) {
  const auto& s = *static_cast<SamplerState*>(sampler);
  if (!s.is_ready || output != 0) return 9;
  for (uint32_t shot = 0; shot < shots; ++shot) {
    double below = 0;
    int64_t found = (int64_t{1} << s.bits) - 1;
    for (int64_t i = 0; i < (int64_t{1} << s.bits); ++i) {
      below += std::norm(s.state.get(i));
      if (uniforms[shot] < below) {
        found = i;
        break;
      }
    }
    int64_t value = 0;
    for (uint32_t b = 0; b < length; ++b) value |= (found >> order[b] & 1) << b;
    strings[shot] = value;
  }
  return 0;
}
int custatevecSamplerDestroy(void* sampler) {
  delete static_cast<SamplerState*>(sampler);
  return 0;
}

}  // extern "C"
