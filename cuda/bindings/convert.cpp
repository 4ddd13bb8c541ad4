// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "bindings/convert.hpp"

#include <nanobind/stl/vector.h>

namespace flashket::cuda::bindings {
namespace {

template <class T, class... Shape>
using HostArray = nb::ndarray<const T, nb::device::cpu, nb::c_contig, Shape...>;

constexpr int kCpu = 1, kCuda = 2, kCudaHost = 3, kRocmHost = 11, kCudaManaged = 13;  // DLPack's device types

Similarity parse_similarity(const std::string& name) {
  if (name == "fidelity") return Similarity::fidelity;
  if (name == "hadamard") return Similarity::hadamard;
  if (name == "projected") return Similarity::projected;
  require(name == "dot", "unknown similarity " + name);
  return Similarity::dot;
}

}  // namespace

GateList parse_circuit(const nb::tuple& program) {
  const auto opcodes = nb::cast<HostArray<int32_t, nb::ndim<1>>>(program[2]);
  const auto qubits = nb::cast<HostArray<int32_t, nb::shape<-1, 2>>>(program[3]);
  const auto features = nb::cast<HostArray<int32_t, nb::shape<-1, 2>>>(program[4]);
  const auto coefficients = nb::cast<HostArray<double, nb::shape<-1, 4>>>(program[5]);
  const size_t n = opcodes.shape(0);
  require(qubits.shape(0) == n && features.shape(0) == n && coefficients.shape(0) == n,
          "program arrays must be (g,), (g, 2), (g, 2), (g, 4)");
  GateList circuit{nb::cast<int32_t>(program[0]), nb::cast<int32_t>(program[1]), {}};
  circuit.gates.reserve(n);
  for (size_t i = 0; i < n; ++i) {
    const double* c = coefficients.data() + 4 * i;
    const int32_t *q = qubits.data() + 2 * i, *f = features.data() + 2 * i;
    circuit.gates.push_back({static_cast<Opcode>(opcodes.data()[i]), q[0], q[1], {c[0], c[1], c[2], c[3], f[0], f[1]}});
  }
  return circuit;
}

KernelSpec parse_spec(const nb::tuple& t) {
  require(t.size() == 5, "spec must be (encoder, params, program, similarity, power or gamma)");
  KernelSpec spec{};
  spec.encoder = &find_encoder(nb::cast<std::string>(t[0]));
  spec.params = nb::cast<std::vector<double>>(t[1]);
  if (!t[2].is_none()) {
    spec.gates = std::make_shared<const GateList>(parse_circuit(nb::cast<nb::tuple>(t[2])));
    spec.program = std::make_shared<CompiledProgram>(spec.gates->n_qubits, spec.gates->n_features, spec.gates->gates);
  }
  require(spec.program != nullptr || !spec.params.empty(), "spec needs a program or the number of features");
  spec.similarity = parse_similarity(nb::cast<std::string>(t[3]));
  require((spec.similarity == Similarity::projected) == (spec.encoder->pair == Pair::distance),
          "a distance needs the projected similarity and the other way round");
  if (spec.similarity == Similarity::projected) {
    spec.gamma = nb::cast<double>(t[4]);
    require(spec.gamma >= 0, "bad gamma");
    return spec;
  }
  spec.power = nb::cast<int>(t[4]);
  require(spec.power >= 1 && (spec.power == 1 || spec.similarity != Similarity::dot), "bad power");
  return spec;
}

Arithmetic parse_arithmetic(const std::string& name) {
  if (name == "auto") return Arithmetic::automatic;
  if (name == "half") return Arithmetic::half;
  if (name == "split") return Arithmetic::split;
  require(name == "simt", "arithmetic must be auto, half, split or simt");
  return Arithmetic::simt;
}

int64_t n_features(const KernelSpec& spec) {
  return spec.program ? spec.program->view().n_features : static_cast<int64_t>(spec.params[0]);
}

PythonAllocator::PythonAllocator(nb::callable allocate, nb::callable release)
    : allocate_(std::move(allocate)), release_(std::move(release)) {
  allocator_.context = this;
  allocator_.allocate = [](void* context, size_t bytes, Stream stream) -> void* {
    const nb::gil_scoped_acquire locked;
    const nb::object address =
        static_cast<PythonAllocator*>(context)->allocate_(bytes, reinterpret_cast<uintptr_t>(stream));
    return reinterpret_cast<void*>(nb::cast<uintptr_t>(address));
  };
  allocator_.release = [](void* context, void* memory, size_t bytes, Stream stream) {
    const nb::gil_scoped_acquire locked;
    try {
      static_cast<PythonAllocator*>(context)->release_(reinterpret_cast<uintptr_t>(memory), bytes,
                                                       reinterpret_cast<uintptr_t>(stream));
    } catch (nb::python_error& error) {
      // Memory is released by destructors, which cannot raise.
      error.discard_as_unraisable("flashket_cuda: release of a workspace");
    }
  };
}

Place parse_place(const nb::tuple& t) {
  require(t.size() == 4, "place must be (device, stream, allocator, is_host)");
  Place place{nb::cast<int>(t[0]), reinterpret_cast<Stream>(nb::cast<uintptr_t>(t[1])), nullptr, nb::cast<bool>(t[3])};
  require(place.device >= 0 && place.device < device_count(), "there is no device " + std::to_string(place.device));
  if (!t[2].is_none()) {
    const auto pair = nb::cast<nb::tuple>(t[2]);
    require(pair.size() == 2, "an allocator must be (allocate, release)");
    place.allocator =
        std::make_unique<PythonAllocator>(nb::cast<nb::callable>(pair[0]), nb::cast<nb::callable>(pair[1]));
  }
  return place;
}

int64_t View::elements() const {
  int64_t n = 1;
  for (const int64_t length : shape) n *= length;
  return n;
}

bool View::is_contiguous() const {
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] > 1 && stride[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

View make_view(void* data, const nb::dlpack::dtype& dtype, size_t ndim, const int64_t* shape, const int64_t* stride,
               int device_type, int device_id, const Place& place) {
  const bool is_in_host_memory = device_type == kCpu || device_type == kCudaHost || device_type == kRocmHost;
  const bool is_host = kIsEmulated ? place.is_host : is_in_host_memory;
  View v{data, dtype, {shape, shape + ndim}, {stride, stride + ndim}, is_host};
  if (kIsEmulated) {
    require(is_in_host_memory, "the emulated device takes host memory only");
  } else if (!is_host) {
    require(device_type == kCuda || device_type == kCudaManaged, "arrays must be in CUDA memory");
    require(device_id == place.device,
            "arrays must be on device " + std::to_string(place.device) + ", one is on " + std::to_string(device_id));
  }
  require(!is_host || v.is_contiguous(), "host arrays must be C-contiguous");
  // Complex numbers are read and written whole; a fault would end the process's use of the device.
  require(is_host || reinterpret_cast<uintptr_t>(data) * 8 % dtype.bits == 0,
          "arrays must be aligned to their elements");
  return v;
}

Dtype real_dtype(const nb::dlpack::dtype& dtype) {
  using Code = nb::dlpack::dtype_code;
  const auto is = [&](Code code, int bits) { return dtype.code == static_cast<uint8_t>(code) && dtype.bits == bits; };
  if (is(Code::Float, 16)) return Dtype::f16;
  if (is(Code::Bfloat, 16)) return Dtype::bf16;
  if (is(Code::Float, 32)) return Dtype::f32;
  require(is(Code::Float, 64), "arrays must be float16, bfloat16, float32 or float64");
  return Dtype::f64;
}

Staged::Staged(const View& view, Use use, const Place& place) : view_(view), stream_(place.stream) {
  if (!view.is_host || view.elements() == 0) return;
  copy_ = Memory(view.bytes(), stream_);
  if (use == Use::read) copy_to_device(copy_.get(), view.data, view.bytes(), stream_);
}

void Staged::back() {
  if (copy_.get()) copy_to_host(view_.data, copy_.get(), view_.bytes(), stream_);
}

Rows Staged::rows() const { return {data(), real_dtype(view_.dtype), view_.shape[0], view_.shape[1], view_.stride[0]}; }

void check_rows(const View& x, const KernelSpec& spec) {
  real_dtype(x.dtype);
  require(x.shape.size() == 2 && x.shape[1] == n_features(spec), "rows must be (n, n_features)");
  require(x.has_contiguous_rows(), "the last axis must be contiguous");
}

}  // namespace flashket::cuda::bindings
