// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/custatevec.hpp"

#include <numeric>

#include "backends/custatevec_api.hpp"
#include "backends/library.hpp"

namespace flashket::cuda {
namespace {

using custatevec::Functions;
using custatevec::Handle;

constexpr LibraryPlace kPlace = {"cuStateVec", "libcustatevec.so.1", "cuquantum/lib", "'flashket[cuquantum]'"};
// The wheel's library needs cuBLAS, which another wheel brings to a folder that the loader does not know.
constexpr LibraryPlace kCublas = {"cuBLAS", "libcublas.so.13", "nvidia/cu13/lib", "'flashket[cuquantum]'"};
constexpr LibraryPlace kCublasLt = {"cuBLASLt", "libcublasLt.so.13", "nvidia/cu13/lib", "'flashket[cuquantum]'"};

Library with_needed(const std::vector<std::string>& folders) {
  Library::preload(kCublasLt, folders);
  Library::preload(kCublas, folders);
  return Library(kPlace, folders);
}

// exp(i theta P) of a rotation whose angle no feature changes; empty: the gate is none.
struct PauliRotation {
  std::vector<int> paulis;
  double theta = 0;
};

PauliRotation pauli_rotation(const Gate& gate) {
  const double theta = -0.5 * gate.angle.b0 * gate.angle.b1;
  switch (gate.opcode) {
    case Opcode::rx:
    case Opcode::crx:
      return {{custatevec::kPauliX}, theta};
    case Opcode::ry:
    case Opcode::cry:
      return {{custatevec::kPauliY}, theta};
    case Opcode::rz:
    case Opcode::crz:
      return {{custatevec::kPauliZ}, theta};
    case Opcode::rxx:
      return {{custatevec::kPauliX, custatevec::kPauliX}, theta};
    case Opcode::ryy:
      return {{custatevec::kPauliY, custatevec::kPauliY}, theta};
    case Opcode::rzz:
      return {{custatevec::kPauliZ, custatevec::kPauliZ}, theta};
    default:
      return {};
  }
}

// One chunk of states in a call: row indices are int32 there.
constexpr int64_t kMostStates = int64_t{1} << 30;

template <class T>
constexpr int kState = sizeof(T) == 4 ? custatevec::kComplex32 : custatevec::kComplex64;
template <class T>
constexpr int kCompute = sizeof(T) == 4 ? custatevec::kCompute32 : custatevec::kCompute64;

bool is_power_of_two(int64_t n) { return (n & (n - 1)) == 0; }

uint32_t log2_of(int64_t n) {
  uint32_t bits = 0;
  while ((int64_t{1} << bits) < n) ++bits;
  return bits;
}

}  // namespace

struct Custatevec::Implementation {
  Library library;
  Functions call{};

  explicit Implementation(const std::vector<std::string>& folders) : library(with_needed(folders)) {
#define FLASHKET_LOAD(name, result, parameters) \
  call.name = reinterpret_cast<decltype(call.name)>(library.symbol("custatevec" #name));
    FLASHKET_CUSTATEVEC_FUNCTIONS(FLASHKET_LOAD)
#undef FLASHKET_LOAD
  }

  void check(int status, const char* what) const {
    if (status != 0) throw LibraryError(std::string("custatevec") + what + " failed: " + call.GetErrorString(status));
  }

  Handle handle(Stream stream) const {
    const Handle h = Handles<Handle>::of(current_device(), [&](Handle* made) { check(call.Create(made), "Create"); });
    check(call.SetStream(h, stream), "SetStream");
    return h;
  }
};

Custatevec::Custatevec(const std::vector<std::string>& folders) : implementation_(new Implementation(folders)) {}
Custatevec::~Custatevec() = default;

Custatevec& Custatevec::open(const std::vector<std::string>& folders) {
  static Custatevec* const opened = new Custatevec(folders);  // not destroyed: the driver may be gone by then
  return *opened;
}

std::string Custatevec::path() const { return implementation_->library.path(); }

std::string Custatevec::version() const {
  std::string text;
  for (int part = 0; part < 3; ++part) {  // libraryPropertyType: major, minor, patch
    int32_t value = 0;
    implementation_->check(implementation_->call.GetProperty(part, &value), "GetProperty");
    text += (part ? "." : "") + std::to_string(value);
  }
  return text;
}

template <class T>
void Custatevec::states(const GateList& circuit, const Rows& rows, T* out, Stream stream) {
  const Implementation& lib = *implementation_;
  const Handle handle = lib.handle(stream);
  const auto n = static_cast<uint32_t>(circuit.n_qubits);
  const int64_t dimension = int64_t{1} << n;
  if (rows.count == 0) return;
  if (rows.count > kMostStates) throw std::invalid_argument("custatevec takes at most 2^30 states at a time");
  for (int64_t r = 0; r < rows.count; ++r)
    lib.check(lib.call.InitializeStateVector(handle, out + 2 * dimension * r, kState<T>, n, custatevec::kZeroState),
              "InitializeStateVector");
  Array<int32_t> own_matrix(rows.count, stream);
  {
    std::vector<int32_t> indices(static_cast<size_t>(rows.count));
    std::iota(indices.begin(), indices.end(), 0);
    copy_to_device(own_matrix.data(), indices.data(), indices.size() * sizeof(int32_t), stream);
  }
  Array<T> matrices(rows.count * 32, stream);
  Memory workspace;
  const auto reserve = [&](size_t bytes) {
    if (bytes > workspace.size()) workspace = Memory(bytes, stream);
  };
  const auto count = static_cast<uint32_t>(rows.count);
  for (const Gate& gate : circuit.gates) {
    const GatePlace place = place_of(gate);
    const auto targets = static_cast<uint32_t>(place.n_targets), controls = place.control < 0 ? 0u : 1u;
    const bool acts_on_all = place.is_fixed && is_power_of_two(rows.count);
    const uint32_t bits = n + log2_of(rows.count);
    if (const PauliRotation rotation = pauli_rotation(gate); acts_on_all && !rotation.paulis.empty()) {
      lib.check(lib.call.ApplyPauliRotation(handle, out, kState<T>, bits, rotation.theta, rotation.paulis.data(),
                                            place.targets, targets, &place.control, nullptr, controls),
                "ApplyPauliRotation");
      continue;
    }
    gate_matrices(gate, place, rows, matrices.data(), stream);
    size_t bytes = 0;
    if (acts_on_all) {
      lib.check(lib.call.ApplyMatrixGetWorkspaceSize(handle, kState<T>, bits, matrices.data(), kState<T>,
                                                     custatevec::kRowMajor, 0, targets, controls, kCompute<T>, &bytes),
                "ApplyMatrixGetWorkspaceSize");
      reserve(bytes);
      lib.check(lib.call.ApplyMatrix(handle, out, kState<T>, bits, matrices.data(), kState<T>, custatevec::kRowMajor, 0,
                                     place.targets, targets, &place.control, nullptr, controls, kCompute<T>,
                                     workspace.get(), bytes),
                "ApplyMatrix");
      continue;
    }
    const int map = place.is_fixed ? custatevec::kBroadcast : custatevec::kIndexed;
    const int32_t* const indices = place.is_fixed ? nullptr : own_matrix.data();
    const uint32_t n_matrices = place.is_fixed ? 1 : count;
    lib.check(lib.call.ApplyMatrixBatchedGetWorkspaceSize(handle, kState<T>, n, count, dimension, map, indices,
                                                          matrices.data(), kState<T>, custatevec::kRowMajor, 0,
                                                          n_matrices, targets, controls, kCompute<T>, &bytes),
              "ApplyMatrixBatchedGetWorkspaceSize");
    reserve(bytes);
    lib.check(lib.call.ApplyMatrixBatched(handle, out, kState<T>, n, count, dimension, map, indices, matrices.data(),
                                          kState<T>, custatevec::kRowMajor, 0, n_matrices, place.targets, targets,
                                          &place.control, nullptr, controls, kCompute<T>, workspace.get(), bytes),
              "ApplyMatrixBatched");
  }
}

template <class T>
std::vector<double> Custatevec::expectations(const T* states, int64_t count, int32_t n_qubits,
                                             const std::vector<PauliString>& strings, Stream stream) {
  const Implementation& lib = *implementation_;
  const Handle handle = lib.handle(stream);
  std::vector<const int*> paulis;
  std::vector<const int32_t*> qubits;
  std::vector<uint32_t> lengths;
  for (const PauliString& string : strings) {
    paulis.push_back(string.paulis.data());
    qubits.push_back(string.qubits.data());
    lengths.push_back(static_cast<uint32_t>(string.qubits.size()));
  }
  std::vector<double> values(static_cast<size_t>(count) * strings.size());
  for (int64_t r = 0; r < count && !strings.empty(); ++r)
    lib.check(lib.call.ComputeExpectationsOnPauliBasis(
                  handle, states + (r << (n_qubits + 1)), kState<T>, static_cast<uint32_t>(n_qubits),
                  values.data() + static_cast<size_t>(r) * strings.size(), paulis.data(),
                  static_cast<uint32_t>(strings.size()), qubits.data(), lengths.data()),
              "ComputeExpectationsOnPauliBasis");
  synchronize(stream);
  return values;
}

template <class T>
std::vector<int64_t> Custatevec::sample(const T* states, int64_t count, int32_t n_qubits, int64_t shots,
                                        const std::vector<double>& uniforms, Stream stream) {
  const Implementation& lib = *implementation_;
  const Handle handle = lib.handle(stream);
  const auto n = static_cast<uint32_t>(n_qubits);
  const auto n_shots = static_cast<uint32_t>(shots);
  std::vector<int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::vector<int64_t> indices(static_cast<size_t>(count * shots));
  Memory workspace;
  for (int64_t r = 0; r < count && shots > 0; ++r) {
    custatevec::Sampler sampler = nullptr;
    size_t bytes = 0;
    lib.check(lib.call.SamplerCreate(handle, states + (r << (n + 1)), kState<T>, n, &sampler, n_shots, &bytes),
              "SamplerCreate");
    const auto destroy = [&lib](custatevec::Sampler s) { lib.call.SamplerDestroy(s); };
    const std::unique_ptr<std::remove_pointer_t<custatevec::Sampler>, decltype(destroy)> owner(sampler, destroy);
    if (bytes > workspace.size()) workspace = Memory(bytes, stream);
    lib.check(lib.call.SamplerPreprocess(handle, sampler, workspace.get(), bytes), "SamplerPreprocess");
    lib.check(lib.call.SamplerSample(handle, sampler, indices.data() + r * shots, order.data(), n,
                                     uniforms.data() + r * shots, n_shots, custatevec::kRandomNumberOrder),
              "SamplerSample");
  }
  synchronize(stream);
  return indices;
}

#define FLASHKET_INSTANTIATE(T)                                                                                      \
  template void Custatevec::states(const GateList&, const Rows&, T*, Stream);                                        \
  template std::vector<double> Custatevec::expectations(const T*, int64_t, int32_t, const std::vector<PauliString>&, \
                                                        Stream);                                                     \
  template std::vector<int64_t> Custatevec::sample(const T*, int64_t, int32_t, int64_t, const std::vector<double>&,  \
                                                   Stream);
FLASHKET_INSTANTIATE(float)
FLASHKET_INSTANTIATE(double)
#undef FLASHKET_INSTANTIATE

}  // namespace flashket::cuda
