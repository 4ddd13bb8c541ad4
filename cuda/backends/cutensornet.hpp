// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Circuits on NVIDIA cuTensorNet: matrix product states of a Program's rows, and expectation values with gradients by
// contraction of the network. It has no overlap of two states: gram/mps.hpp sweeps those. One state at a time: the
// network is built and planned once, and every row only replaces the gates' tensors.
#pragma once
#include <memory>

#include "backends/gate_matrices.hpp"
#include "backends/library.hpp"

namespace flashket::cuda {

class Cutensornet {
 public:
  // Opens the library on the first call; later calls return what it gave, whatever the folders. Throws LibraryMissing.
  static Cutensornet& open(const std::vector<std::string>& folders);

  std::string path() const;
  std::string version() const;

  // Bonds of the states, n + 1 of them: min(2^j, 2^(n - j), max_bond).
  static std::vector<int64_t> bonds(int32_t n_qubits, int64_t max_bond);
  static int64_t row_elements(int32_t n_qubits, int64_t max_bond);  // complex numbers of one state

  // out: row after row, site after site, [left bond][z][right bond] complex; site j is qubit j. At least two qubits.
  template <class T>
  void mps(const GateList& circuit, const Rows& rows, int64_t max_bond, T* out, Stream stream);

  // <psi_r| P_p |psi_r>, (count, strings); gradients, unless nullptr, d of that / d x_rf, (count, strings, features).
  // Waits for the stream.
  template <class T>
  std::vector<double> expectations(const GateList& circuit, const Rows& rows, const std::vector<PauliString>& strings,
                                   std::vector<double>* gradients, Stream stream);

 private:
  struct Implementation;
  explicit Cutensornet(const std::vector<std::string>& folders);
  ~Cutensornet();
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace flashket::cuda
