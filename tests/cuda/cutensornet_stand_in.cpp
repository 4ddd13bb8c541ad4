// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Not NVIDIA's library: the functions of cuTensorNet that FlashKet calls, as dense states on host memory, written from
// the documentation in cutensornet.h. It shows that our sequence of calls computes the right tensors where no GPU runs
// the real one. States are factorised without truncation only; gradients are the conjugates of d E / d A.
#include <complex>
#include <cstdint>
#include <vector>

namespace {

using Complex = std::complex<double>;
constexpr int kInvalid = 7;

Complex get(const void* data, int type, int64_t i) {
  return type == 4 ? Complex(static_cast<const std::complex<float>*>(data)[i]) : static_cast<const Complex*>(data)[i];
}
void set(void* data, int type, int64_t i, Complex v) {
  if (type == 4)
    static_cast<std::complex<float>*>(data)[i] = std::complex<float>(v);
  else
    static_cast<Complex*>(data)[i] = v;
}

// A matrix on some modes, row-major, the first mode the highest bit of its indices. Mode q is bit q of a state's index.
struct Operator {
  std::vector<int32_t> modes;
  const void* data;
  void* gradient;
};

struct State {
  int32_t n;
  int type;
  std::vector<Operator> operators;
  bool is_mps = false, is_prepared = false;
  std::vector<std::vector<int64_t>> extents, strides;
};

struct Product {
  std::vector<Operator> factors;
  Complex coefficient;
};
struct NetworkOperator {
  int type;
  std::vector<Product> products;
};
struct Expectation {
  State* state;
  NetworkOperator* network_operator;
  bool is_prepared;
};
struct Workspace {
  void* memory;
  int64_t bytes;
};

int64_t spread(int64_t m, const std::vector<int32_t>& modes) {
  int64_t index = 0;
  const auto k = static_cast<int>(modes.size());
  for (int i = 0; i < k; ++i) index |= (m >> (k - 1 - i) & 1) << modes[i];
  return index;
}

std::vector<Complex> apply(const Operator& op, int type, const std::vector<Complex>& in, bool adjoint) {
  const int64_t size = int64_t{1} << op.modes.size();
  const int64_t mask = spread(size - 1, op.modes);
  std::vector<Complex> out(in.size());
  for (int64_t base = 0; base < static_cast<int64_t>(in.size()); ++base) {
    if (base & mask) continue;
    for (int64_t r = 0; r < size; ++r)
      for (int64_t c = 0; c < size; ++c) {
        const Complex entry = adjoint ? std::conj(get(op.data, type, c * size + r)) : get(op.data, type, r * size + c);
        out[base | spread(r, op.modes)] += entry * in[base | spread(c, op.modes)];
      }
  }
  return out;
}

std::vector<Complex> run(const State& s, size_t count) {
  std::vector<Complex> psi(size_t{1} << s.n);
  psi[0] = 1;
  for (size_t g = 0; g < count; ++g) psi = apply(s.operators[g], s.type, psi, false);
  return psi;
}

std::vector<Complex> act(const NetworkOperator& o, const std::vector<Complex>& psi) {
  std::vector<Complex> sum(psi.size());
  for (const Product& product : o.products) {
    std::vector<Complex> part = psi;
    for (const Operator& factor : product.factors) part = apply(factor, o.type, part, false);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += product.coefficient * part[i];
  }
  return sum;
}

Complex inner(const std::vector<Complex>& a, const std::vector<Complex>& b) {
  Complex sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::conj(a[i]) * b[i];
  return sum;
}

bool is_ready(const void* workspace) {
  const auto* w = static_cast<const Workspace*>(workspace);
  return w->memory != nullptr && w->bytes >= 4096 && reinterpret_cast<uintptr_t>(w->memory) % 256 == 0;
}

}  // namespace

extern "C" {

int cutensornetCreate(void** handle) {
  *handle = new int;
  return 0;
}
size_t cutensornetGetVersion() { return 0; }
const char* cutensornetGetErrorString(int status) { return status == kInvalid ? "invalid value" : "error"; }

int cutensornetCreateState(void*, int purity, int32_t n, const int64_t* extents, int type, void** state) {
  if (purity != 0) return kInvalid;
  for (int32_t q = 0; q < n; ++q)
    if (extents[q] != 2) return kInvalid;
  *state = new State{n, type, {}, false, false, {}, {}};
  return 0;
}
int cutensornetDestroyState(void* state) {
  delete static_cast<State*>(state);
  return 0;
}
int cutensornetStateApplyTensorOperatorWithGradient(void*, void* state, int32_t count, const int32_t* modes, void* data,
                                                    const int64_t* strides, int32_t, int32_t adjoint, int32_t,
                                                    void* gradient, const int64_t* gradient_strides, int64_t* id) {
  auto& s = *static_cast<State*>(state);
  if (strides != nullptr || gradient_strides != nullptr || adjoint != 0) return kInvalid;
  for (int32_t i = 0; i < count; ++i)
    if (modes[i] < 0 || modes[i] >= s.n) return kInvalid;
  *id = static_cast<int64_t>(s.operators.size());
  s.operators.push_back({std::vector<int32_t>(modes, modes + count), data, gradient});
  return 0;
}
int cutensornetStateApplyTensorOperator(void* h, void* state, int32_t count, const int32_t* modes, void* data,
                                        const int64_t* strides, int32_t immutable, int32_t adjoint, int32_t unitary,
                                        int64_t* id) {
  return cutensornetStateApplyTensorOperatorWithGradient(h, state, count, modes, data, strides, immutable, adjoint,
                                                         unitary, nullptr, nullptr, id);
}
int cutensornetStateUpdateTensorOperator(void*, void* state, int64_t id, void* data, int32_t) {
  auto& s = *static_cast<State*>(state);
  if (id < 0 || id >= static_cast<int64_t>(s.operators.size())) return kInvalid;
  s.operators[id].data = data;
  return 0;
}

int cutensornetStateFinalizeMPS(void*, void* state, int boundary, const int64_t* const* extents,
                                const int64_t* const* strides) {
  auto& s = *static_cast<State*>(state);
  if (boundary != 0 || s.n < 2) return kInvalid;
  for (int32_t j = 0; j < s.n; ++j) {
    const int rank = j == 0 || j == s.n - 1 ? 2 : 3;
    s.extents.emplace_back(extents[j], extents[j] + rank);
    s.strides.emplace_back(strides[j], strides[j] + rank);
  }
  s.is_mps = true;
  return 0;
}
int cutensornetStateConfigure(void*, void*, int attribute, const void* value, size_t bytes) {
  return attribute == 20 && bytes == sizeof(int) && *static_cast<const int*>(value) == 1 ? 0 : kInvalid;
}
int cutensornetStatePrepare(void*, void* state, size_t, void*, void*) {
  static_cast<State*>(state)->is_prepared = true;
  return 0;
}

// Sites left of the middle copy their index into the bond, sites right of it read theirs from it; the middle has it
// all.
int cutensornetStateCompute(void*, void* state, void* workspace, int64_t** extents, int64_t** strides, void** tensors,
                            void*) {
  const auto& s = *static_cast<State*>(state);
  if (!s.is_mps || !s.is_prepared || !is_ready(workspace)) return kInvalid;
  const std::vector<Complex> psi = run(s, s.operators.size());
  const int32_t middle = s.n / 2;
  for (int32_t j = 0; j < s.n; ++j) {
    const bool is_first = j == 0, is_last = j == s.n - 1;
    const int64_t left = int64_t{1} << (j <= middle ? j : s.n - j),
                  right = int64_t{1} << (j < middle ? j + 1 : s.n - j - 1);
    const std::vector<int64_t>& e = s.extents[j];
    if ((is_first ? 1 : e[0]) != left || (is_last ? 1 : e.back()) != right) return kInvalid;  // would need truncation
    for (size_t i = 0; i < e.size(); ++i) {
      extents[j][i] = e[i];
      strides[j][i] = s.strides[j][i];
    }
    for (int64_t l = 0; l < left; ++l)
      for (int64_t z = 0; z < 2; ++z)
        for (int64_t r = 0; r < right; ++r) {
          const Complex value = j < middle    ? Complex(r == (l | z << j))
                                : j == middle ? psi[l | z << j | r << (j + 1)]
                                              : Complex(l == (z | r << 1));
          const std::vector<int64_t>& step = s.strides[j];
          const int64_t at = is_first  ? z * step[0] + r * step[1]
                             : is_last ? l * step[0] + z * step[1]
                                       : l * step[0] + z * step[1] + r * step[2];
          set(tensors[j], s.type, at, value);
        }
  }
  return 0;
}

int cutensornetCreateWorkspaceDescriptor(void*, void** workspace) {
  *workspace = new Workspace{nullptr, 0};
  return 0;
}
int cutensornetDestroyWorkspaceDescriptor(void* workspace) {
  delete static_cast<Workspace*>(workspace);
  return 0;
}
int cutensornetWorkspaceGetMemorySize(void*, void*, int preference, int space, int kind, int64_t* bytes) {
  *bytes = 4096;
  return preference == 1 && space == 0 && kind == 0 ? 0 : kInvalid;
}
int cutensornetWorkspaceSetMemory(void*, void* workspace, int, int, void* memory, int64_t bytes) {
  *static_cast<Workspace*>(workspace) = {memory, bytes};
  return 0;
}

struct Coefficient {
  double x, y;
};
int cutensornetCreateNetworkOperator(void*, int32_t, const int64_t*, int type, void** network_operator) {
  *network_operator = new NetworkOperator{type, {}};
  return 0;
}
int cutensornetNetworkOperatorAppendProduct(void*, void* network_operator, Coefficient coefficient, int32_t count,
                                            const int32_t* n_modes, const int32_t** modes, const int64_t** strides,
                                            const void** data, int64_t* id) {
  auto& o = *static_cast<NetworkOperator*>(network_operator);
  if (strides != nullptr) return kInvalid;
  Product product{{}, {coefficient.x, coefficient.y}};
  for (int32_t i = 0; i < count; ++i) {
    if (n_modes[i] != 1) return kInvalid;  // of one mode both conventions of storage agree
    product.factors.push_back({{modes[i][0]}, data[i], nullptr});
  }
  *id = static_cast<int64_t>(o.products.size());
  o.products.push_back(product);
  return 0;
}
int cutensornetDestroyNetworkOperator(void* network_operator) {
  delete static_cast<NetworkOperator*>(network_operator);
  return 0;
}

int cutensornetCreateExpectation(void*, void* state, void* network_operator, void** expectation) {
  *expectation = new Expectation{static_cast<State*>(state), static_cast<NetworkOperator*>(network_operator), false};
  return 0;
}
int cutensornetExpectationPrepare(void*, void* expectation, size_t, void*, void*) {
  static_cast<Expectation*>(expectation)->is_prepared = true;
  return 0;
}
int cutensornetExpectationCompute(void*, void* expectation, void* workspace, void* value, void* norm, void*) {
  const auto& e = *static_cast<Expectation*>(expectation);
  if (!e.is_prepared || !is_ready(workspace)) return kInvalid;
  const std::vector<Complex> psi = run(*e.state, e.state->operators.size());
  set(value, e.state->type, 0, inner(psi, act(*e.network_operator, psi)));
  set(norm, e.state->type, 0, inner(psi, psi));
  return 0;
}
int cutensornetExpectationComputeWithGradientsBackward(void* h, void* expectation, int32_t accumulate,
                                                       const void* upstream, const void* norm_upstream, void* workspace,
                                                       void* value, void* norm, void* stream) {
  const auto& e = *static_cast<Expectation*>(expectation);
  const State& s = *e.state;
  if (accumulate != 0 || get(upstream, s.type, 0) != Complex(1) || norm_upstream != nullptr) return kInvalid;
  const int status = cutensornetExpectationCompute(h, expectation, workspace, value, norm, stream);
  if (status != 0) return status;
  std::vector<Complex> behind = act(*e.network_operator, run(s, s.operators.size()));
  for (size_t g = s.operators.size(); g-- > 0;) {
    const Operator& op = s.operators[g];
    if (op.gradient != nullptr) {
      const std::vector<Complex> before = run(s, g);
      const int64_t size = int64_t{1} << op.modes.size(), mask = spread(size - 1, op.modes);
      for (int64_t r = 0; r < size; ++r)
        for (int64_t c = 0; c < size; ++c) {
          Complex sum = 0;
          for (int64_t base = 0; base < static_cast<int64_t>(before.size()); ++base)
            if ((base & mask) == 0)
              sum += std::conj(behind[base | spread(r, op.modes)]) * before[base | spread(c, op.modes)];
          set(op.gradient, s.type, r * size + c, std::conj(sum));
        }
    }
    behind = apply(op, s.type, behind, true);
  }
  return 0;
}
int cutensornetDestroyExpectation(void* expectation) {
  delete static_cast<Expectation*>(expectation);
  return 0;
}

}  // extern "C"
