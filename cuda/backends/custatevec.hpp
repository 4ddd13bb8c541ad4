// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Circuits on NVIDIA cuStateVec: any Program, gate by gate, on one state or on a batch of them. FlashKet's own kernels
// are the fast path; this one serves large single states (n up to 33 in complex64 on 141 GB), cross-checks, sampling of
// bit strings and Pauli expectations. Traffic: one pass over all states for each gate. 2^m states of n qubits in a row
// are one state of n + m qubits, so a gate that all rows share is applied to them as to one.
#pragma once
#include <memory>

#include "backends/gate_matrices.hpp"

namespace flashket::cuda {

class Custatevec {
 public:
  // Opens the library on the first call; later calls return what it gave, whatever the folders. Throws LibraryMissing.
  static Custatevec& open(const std::vector<std::string>& folders);

  std::string path() const;
  std::string version() const;

  // out (rows.count, 2^n) complex (re, im), as flashket::cuda::states. T float or double. Nothing is synchronised by
  // us.
  template <class T>
  void states(const GateList& circuit, const Rows& rows, T* out, Stream stream);

  // <psi_r| P_p |psi_r> of states (count, 2^n) in device memory, (count, strings) to the host. Waits for the stream.
  template <class T>
  std::vector<double> expectations(const T* states, int64_t count, int32_t n_qubits,
                                   const std::vector<PauliString>& strings, Stream stream);

  // Basis indices measured of every state, (count, shots); `uniforms` (count, shots) in [0, 1) decide which. Waits.
  template <class T>
  std::vector<int64_t> sample(const T* states, int64_t count, int32_t n_qubits, int64_t shots,
                              const std::vector<double>& uniforms, Stream stream);

 private:
  struct Implementation;
  explicit Custatevec(const std::vector<std::string>& folders);
  ~Custatevec();
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace flashket::cuda
