// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cutensornet.hpp"

#include <cmath>
#include <complex>

#include "backends/cutensornet_api.hpp"
#include "backends/gate_matrix.hpp"

namespace flashket::cuda {
namespace {

using cutensornet::Functions;
using cutensornet::Handle;

constexpr LibraryPlace kPlace = {"cuTensorNet", "libcutensornet.so.2", "cuquantum/lib", "'flashket[cuquantum]'"};
// What it is linked with and other wheels bring, in the order in which they need each other.
constexpr LibraryPlace kNeeded[] = {
    {"cuBLASLt", "libcublasLt.so.13", "nvidia/cu13/lib", ""},
    {"cuBLAS", "libcublas.so.13", "nvidia/cu13/lib", ""},
    {"cuSOLVER", "libcusolver.so.12", "nvidia/cu13/lib", ""},
    {"cuTENSOR", "libcutensor.so.2", "cutensor/lib", ""},
};

// Of free device memory: how much the contraction may plan with.
constexpr double kWorkspaceShare = 0.8;

template <class T>
constexpr int kType = sizeof(T) == 4 ? cutensornet::kComplex32 : cutensornet::kComplex64;

Library with_needed(const std::vector<std::string>& folders) {
  for (const LibraryPlace& place : kNeeded) Library::preload(place, folders);
  return Library(kPlace, folders);
}

// Destroys a descriptor of the library at the end of a scope.
class Owned {
 public:
  explicit Owned(int (*destroy)(void*)) : destroy_(destroy) {}
  ~Owned() {
    if (value_ != nullptr) destroy_(value_);
  }
  Owned(const Owned&) = delete;
  void** address() { return &value_; }
  void* get() const { return value_; }

 private:
  int (*destroy_)(void*);
  void* value_ = nullptr;
};

}  // namespace

struct Cutensornet::Implementation {
  Library library;
  Functions call{};

  explicit Implementation(const std::vector<std::string>& folders) : library(with_needed(folders)) {
#define FLASHKET_LOAD(name, result, parameters) \
  call.name = reinterpret_cast<decltype(call.name)>(library.symbol("cutensornet" #name));
    FLASHKET_CUTENSORNET_FUNCTIONS(FLASHKET_LOAD)
#undef FLASHKET_LOAD
  }

  void check(int status, const char* what) const {
    if (status != 0) throw LibraryError(std::string("cutensornet") + what + " failed: " + call.GetErrorString(status));
  }

  Handle handle() const {
    const Handle h = Handles<Handle>::of(current_device(), [&](Handle* made) { check(call.Create(made), "Create"); });
    return h;
  }

  static size_t workspace_limit() {
    return static_cast<size_t>(kWorkspaceShare * static_cast<double>(device_properties(current_device()).free_memory));
  }

  // Gives a prepared computation the scratch memory that it asks for.
  Memory scratch(Handle h, void* workspace, Stream stream) const {
    int64_t bytes = 0;
    check(call.WorkspaceGetMemorySize(h, workspace, cutensornet::kRecommended, cutensornet::kDeviceMemory,
                                      cutensornet::kScratch, &bytes),
          "WorkspaceGetMemorySize");
    Memory memory(static_cast<size_t>(bytes), stream);
    check(call.WorkspaceSetMemory(h, workspace, cutensornet::kDeviceMemory, cutensornet::kScratch, memory.get(), bytes),
          "WorkspaceSetMemory");
    return memory;
  }

  // The network of a circuit whose gates are replaced row by row.
  template <class T>
  class Network {
   public:
    Network(const Implementation& lib, Handle handle, const GateList& circuit, bool has_gradients, Stream stream)
        : lib_(lib),
          handle_(handle),
          circuit_(circuit),
          stream_(stream),
          state_(lib.call.DestroyState),
          tensors_(static_cast<int64_t>(circuit.gates.size()) * kEntries, stream),
          gradients_(has_gradients ? static_cast<int64_t>(circuit.gates.size()) * kEntries : 0, stream) {
      const std::vector<int64_t> extents(static_cast<size_t>(circuit.n_qubits), 2);
      lib.check(lib.call.CreateState(handle, cutensornet::kPure, circuit.n_qubits, extents.data(), kType<T>,
                                     state_.address()),
                "CreateState");
      for (size_t g = 0; g < circuit.gates.size(); ++g) {
        const GatePlace place = place_of(circuit.gates[g], true);
        // The first mode is the highest bit of the matrix's indices.
        const int32_t two[] = {place.targets[1], place.targets[0]};
        const int32_t* const modes = place.n_targets == 2 ? two : place.targets;
        const int32_t is_immutable = place.is_fixed, adjoint = 0, unitary = 1;
        int64_t id = 0;
        if (has_gradients && !place.is_fixed)
          lib.check(lib.call.StateApplyTensorOperatorWithGradient(handle, state_.get(), place.n_targets, modes,
                                                                  tensor(g), nullptr, is_immutable, adjoint, unitary,
                                                                  gradient(g), nullptr, &id),
                    "StateApplyTensorOperatorWithGradient");
        else
          lib.check(lib.call.StateApplyTensorOperator(handle, state_.get(), place.n_targets, modes, tensor(g), nullptr,
                                                      is_immutable, adjoint, unitary, &id),
                    "StateApplyTensorOperator");
        ids_.push_back(id);
      }
    }

    void load(const Rows& rows, int64_t r) {
      Rows row = rows;
      row.data = static_cast<const char*>(rows.data) + static_cast<size_t>(r * rows.stride) * size_of(rows.dtype);
      row.count = 1;
      for (size_t g = 0; g < circuit_.gates.size(); ++g) {
        const GatePlace place = place_of(circuit_.gates[g], true);
        if (place.is_fixed && is_loaded_) continue;
        gate_matrices(circuit_.gates[g], place, row, tensor(g), stream_);
        if (!place.is_fixed)
          lib_.check(lib_.call.StateUpdateTensorOperator(handle_, state_.get(), ids_[g], tensor(g), 1),
                     "StateUpdateTensorOperator");
      }
      is_loaded_ = true;
    }

    void* state() const { return state_.get(); }
    T* tensor(size_t g) const { return tensors_.data() + g * kEntries; }
    T* gradient(size_t g) const { return gradients_.data() + g * kEntries; }

    std::vector<std::complex<T>> gradient_entries() const {
      std::vector<std::complex<T>> entries(circuit_.gates.size() * kEntries / 2);
      copy_to_host(entries.data(), gradients_.data(), entries.size() * sizeof(std::complex<T>), stream_);
      return entries;
    }

    static constexpr int64_t kEntries =
        32;  // reals of a matrix of two qubits; a multiple of 128 bytes from gate to gate

   private:
    const Implementation& lib_;
    Handle handle_;
    const GateList& circuit_;
    Stream stream_;
    Owned state_;
    Array<T> tensors_, gradients_;
    std::vector<int64_t> ids_;
    bool is_loaded_ = false;
  };

  // How the library's gradient tensors G make d E / d t = factor * Re sum G' dA / dt, with G' = G or conj(G).
  struct Convention {
    bool is_conjugated;
    double factor;
  };

  template <class T>
  void run_expectations(Handle h, const GateList& circuit, const Rows& rows, const std::vector<PauliString>& strings,
                        const std::vector<double>* x, const Convention* convention, std::vector<double>& values,
                        std::vector<double>* gradients, Stream stream) const {
    Network<T> network(*this, h, circuit, convention != nullptr, stream);
    Array<T> paulis(4 * 8, stream);
    const T pauli_entries[4][8] = {
        {1, 0, 0, 0, 0, 0, 1, 0}, {0, 0, 1, 0, 1, 0, 0, 0}, {0, 0, 0, -1, 0, 1, 0, 0}, {1, 0, 0, 0, 0, 0, -1, 0}};
    copy_to_device(paulis.data(), pauli_entries, sizeof pauli_entries, stream);
    const std::vector<int64_t> extents(static_cast<size_t>(circuit.n_qubits), 2);
    const auto n_strings = static_cast<int64_t>(strings.size());
    values.assign(static_cast<size_t>(rows.count * n_strings), 0);
    if (gradients) gradients->assign(values.size() * static_cast<size_t>(circuit.n_features), 0);
    for (int64_t p = 0; p < n_strings; ++p) {
      const PauliString& string = strings[p];
      Owned network_operator(call.DestroyNetworkOperator), expectation(call.DestroyExpectation),
          workspace(call.DestroyWorkspaceDescriptor);
      check(call.CreateNetworkOperator(h, circuit.n_qubits, extents.data(), kType<T>, network_operator.address()),
            "CreateNetworkOperator");
      std::vector<int32_t> one(string.qubits.size(), 1);
      std::vector<const int32_t*> modes;
      std::vector<const void*> tensors;
      for (size_t k = 0; k < string.qubits.size(); ++k) {
        modes.push_back(&string.qubits[k]);
        tensors.push_back(paulis.data() + 8 * string.paulis[k]);
      }
      int64_t component = 0;
      check(call.NetworkOperatorAppendProduct(h, network_operator.get(), {1, 0},
                                              static_cast<int32_t>(string.qubits.size()), one.data(), modes.data(),
                                              nullptr, tensors.data(), &component),
            "NetworkOperatorAppendProduct");
      network.load(rows, 0);
      check(call.CreateExpectation(h, network.state(), network_operator.get(), expectation.address()),
            "CreateExpectation");
      check(call.CreateWorkspaceDescriptor(h, workspace.address()), "CreateWorkspaceDescriptor");
      check(call.ExpectationPrepare(h, expectation.get(), workspace_limit(), workspace.get(), stream),
            "ExpectationPrepare");
      const Memory memory = scratch(h, workspace.get(), stream);
      for (int64_t r = 0; r < rows.count; ++r) {
        network.load(rows, r);
        std::complex<T> value = 0, norm = 0;
        if (convention == nullptr) {
          check(call.ExpectationCompute(h, expectation.get(), workspace.get(), &value, &norm, stream),
                "ExpectationCompute");
        } else {
          const std::complex<T> upstream = 1;
          check(call.ExpectationComputeWithGradientsBackward(h, expectation.get(), 0, &upstream, nullptr,
                                                             workspace.get(), &value, &norm, stream),
                "ExpectationComputeWithGradientsBackward");
        }
        synchronize(stream);
        values[r * n_strings + p] = static_cast<double>(value.real()) / static_cast<double>(norm.real());
        if (gradients)
          chain(circuit, network.gradient_entries(), x->data() + r * circuit.n_features, *convention,
                gradients->data() + (r * n_strings + p) * circuit.n_features);
      }
    }
  }

  // Adds every gate's part of d E / d x.
  template <class T>
  static void chain(const GateList& circuit, const std::vector<std::complex<T>>& entries, const double* x,
                    const Convention& convention, double* gradient) {
    for (size_t g = 0; g < circuit.gates.size(); ++g) {
      const Gate& gate = circuit.gates[g];
      const GatePlace place = place_of(gate, true);
      if (place.is_fixed) continue;
      const AngleExpression& e = gate.angle;
      const double first = e.f0 < 0 ? e.b0 : e.a0 * x[e.f0] + e.b0, second = e.f1 < 0 ? e.b1 : e.a1 * x[e.f1] + e.b1;
      GateEntry derivative[16];
      fill_gate_derivative(gate.opcode, first * second, derivative);
      if (is_controlled(gate.opcode)) expand_control(derivative, GateEntry{0, 0});
      double by_angle = 0;
      for (int i = 0; i < place.entries(); ++i) {
        const std::complex<double> entry(entries[g * Network<T>::kEntries / 2 + i]);
        const double sign = convention.is_conjugated ? -1 : 1;
        by_angle += entry.real() * derivative[i].re - sign * entry.imag() * derivative[i].im;
      }
      by_angle *= convention.factor;
      if (e.f0 >= 0) gradient[e.f0] += by_angle * e.a0 * second;
      if (e.f1 >= 0) gradient[e.f1] += by_angle * e.a1 * first;
    }
  }

  // Asks the library itself: <Z> after RY(0.3) RX(t) is cos(0.3) cos(t). Its documentation names neither the
  // conjugation nor the factor of a gradient with respect to complex tensors; a wrong guess here would be a wrong
  // number.
  const Convention& convention(Handle h, Stream stream) const {
    static const Convention found = [&] {
      const double t = 0.7;
      GateList circuit{1, 1, {}};
      circuit.gates.push_back({Opcode::ry, 0, -1, {0, 0.3, 0, 1, -1, -1}});
      circuit.gates.push_back({Opcode::rx, 0, -1, {1, 0, 0, 1, 0, -1}});
      Array<double> row(1, stream);
      copy_to_device(row.data(), &t, sizeof t, stream);
      const Rows rows{row.data(), Dtype::f64, 1, 1, 1};
      const std::vector<double> x{t};
      const double wanted = -std::cos(0.3) * std::sin(t);
      for (const Convention& candidate :
           {Convention{false, 2}, Convention{true, 2}, Convention{false, 1}, Convention{true, 1}}) {
        std::vector<double> values, gradients;
        run_expectations<double>(h, circuit, rows, {{{3}, {0}}}, &x, &candidate, values, &gradients, stream);
        if (std::abs(gradients[0] - wanted) < 1e-9) return candidate;
      }
      throw LibraryError("cuTensorNet's gradients follow none of the conventions that FlashKet knows");
    }();
    return found;
  }
};

Cutensornet::Cutensornet(const std::vector<std::string>& folders) : implementation_(new Implementation(folders)) {}
Cutensornet::~Cutensornet() = default;

Cutensornet& Cutensornet::open(const std::vector<std::string>& folders) {
  static Cutensornet* const opened = new Cutensornet(folders);  // not destroyed: the driver may be gone by then
  return *opened;
}

std::string Cutensornet::path() const { return implementation_->library.path(); }

std::string Cutensornet::version() const {
  const size_t v = implementation_->call.GetVersion();  // major * 10000 + minor * 100 + patch
  return std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." + std::to_string(v % 100);
}

std::vector<int64_t> Cutensornet::bonds(int32_t n_qubits, int64_t max_bond) {
  std::vector<int64_t> sizes;
  for (int32_t j = 0; j <= n_qubits; ++j) {
    const int32_t nearer = j < n_qubits - j ? j : n_qubits - j;
    const int64_t full = nearer < 62 ? int64_t{1} << nearer : INT64_MAX;
    sizes.push_back(full < max_bond ? full : max_bond);
  }
  return sizes;
}

int64_t Cutensornet::row_elements(int32_t n_qubits, int64_t max_bond) {
  const std::vector<int64_t> sizes = bonds(n_qubits, max_bond);
  int64_t count = 0;
  for (int32_t j = 0; j < n_qubits; ++j) count += 2 * sizes[j] * sizes[j + 1];
  return count;
}

template <class T>
void Cutensornet::mps(const GateList& circuit, const Rows& rows, int64_t max_bond, T* out, Stream stream) {
  if (circuit.n_qubits < 2) throw std::invalid_argument("cuTensorNet factorises states of two qubits and more");
  if (rows.count == 0) return;
  const Implementation& lib = *implementation_;
  const Handle h = lib.handle();
  Implementation::Network<T> network(lib, h, circuit, false, stream);
  const std::vector<int64_t> sizes = bonds(circuit.n_qubits, max_bond);
  const int32_t n = circuit.n_qubits;
  std::vector<std::vector<int64_t>> extents, strides;
  for (int32_t j = 0; j < n; ++j) {  // [left][z][right] row-major; the ends lack a bond
    const int64_t left = sizes[j], right = sizes[j + 1];
    extents.push_back(j == 0       ? std::vector<int64_t>{2, right}
                      : j == n - 1 ? std::vector<int64_t>{left, 2}
                                   : std::vector<int64_t>{left, 2, right});
    strides.push_back(j == 0       ? std::vector<int64_t>{right, 1}
                      : j == n - 1 ? std::vector<int64_t>{2, 1}
                                   : std::vector<int64_t>{2 * right, right, 1});
  }
  std::vector<int64_t*> extent_pointers, stride_pointers;
  for (int32_t j = 0; j < n; ++j) {
    extent_pointers.push_back(extents[j].data());
    stride_pointers.push_back(strides[j].data());
  }
  lib.check(lib.call.StateFinalizeMPS(h, network.state(), cutensornet::kOpenBoundary, extent_pointers.data(),
                                      stride_pointers.data()),
            "StateFinalizeMPS");
  const int algorithm = cutensornet::kSvdJacobi;
  lib.check(lib.call.StateConfigure(h, network.state(), cutensornet::kConfigSvdAlgorithm, &algorithm, sizeof algorithm),
            "StateConfigure");
  network.load(rows, 0);
  Owned workspace(lib.call.DestroyWorkspaceDescriptor);
  lib.check(lib.call.CreateWorkspaceDescriptor(h, workspace.address()), "CreateWorkspaceDescriptor");
  lib.check(lib.call.StatePrepare(h, network.state(), Implementation::workspace_limit(), workspace.get(), stream),
            "StatePrepare");
  const Memory memory = lib.scratch(h, workspace.get(), stream);
  const std::vector<std::vector<int64_t>> wanted = extents;
  for (int64_t r = 0; r < rows.count; ++r) {
    network.load(rows, r);
    std::vector<void*> tensors;
    T* site = out + 2 * r * row_elements(n, max_bond);
    for (int32_t j = 0; j < n; ++j) {
      tensors.push_back(site);
      site += 4 * sizes[j] * sizes[j + 1];
    }
    lib.check(lib.call.StateCompute(h, network.state(), workspace.get(), extent_pointers.data(), stride_pointers.data(),
                                    tensors.data(), stream),
              "StateCompute");
    if (extents != wanted) throw LibraryError("cuTensorNet returned tensors of other sizes than it was asked for");
  }
  synchronize(stream);  // gates and workspace are freed on return, and the library names no stream order for its own
}

template <class T>
std::vector<double> Cutensornet::expectations(const GateList& circuit, const Rows& rows,
                                              const std::vector<PauliString>& strings, std::vector<double>* gradients,
                                              Stream stream) {
  const Implementation& lib = *implementation_;
  std::vector<double> values;
  if (rows.count == 0 || strings.empty()) return values;
  const Handle h = lib.handle();
  std::vector<double> x;
  if (gradients) {
    if (rows.dtype != Dtype::f64) throw std::invalid_argument("gradients need rows of float64");
    x.resize(static_cast<size_t>(rows.count * circuit.n_features));
    for (int64_t r = 0; r < rows.count; ++r)
      copy_to_host(x.data() + r * circuit.n_features, static_cast<const double*>(rows.data) + r * rows.stride,
                   static_cast<size_t>(circuit.n_features) * sizeof(double), stream);
  }
  lib.run_expectations<T>(h, circuit, rows, strings, &x, gradients ? &lib.convention(h, stream) : nullptr, values,
                          gradients, stream);
  return values;
}

#define FLASHKET_INSTANTIATE(T)                                                      \
  template void Cutensornet::mps(const GateList&, const Rows&, int64_t, T*, Stream); \
  template std::vector<double> Cutensornet::expectations<T>(                         \
      const GateList&, const Rows&, const std::vector<PauliString>&, std::vector<double>*, Stream);
FLASHKET_INSTANTIATE(float)
FLASHKET_INSTANTIATE(double)
#undef FLASHKET_INSTANTIATE

}  // namespace flashket::cuda
