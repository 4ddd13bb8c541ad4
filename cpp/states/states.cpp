// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "states/states.hpp"

#include "core/parallel.hpp"

namespace flashket {

template <class T>
void states(const KernelSpec& spec, const MatrixView<const T>& x, T* out, int64_t n_amplitudes) {
  const PairKind pair = spec.encoder->pair;
  if (pair == PairKind::product) throw std::invalid_argument("states need the Program of a product map");
  const int64_t depth = spec.score().depth;
  if (depth > n_amplitudes) throw std::invalid_argument("states: too few amplitudes");
  PerWorker<RowEncoder<T>> encoders;
  parallel_for(x.rows, [&](int64_t row, int worker) {
    const T* encoded = encoders.get(worker, [&] { return RowEncoder<T>(spec); }).encode(x, row);
    T* to = out + row * 2 * n_amplitudes;
    for (int64_t z = 0; z < n_amplitudes; ++z) {
      to[2 * z] = z < depth ? encoded[z] : T(0);
      to[2 * z + 1] = pair == PairKind::complex_dot ? encoded[depth + z] : T(0);
    }
  });
}

template void states(const KernelSpec&, const MatrixView<const float>&, float*, int64_t);
template void states(const KernelSpec&, const MatrixView<const double>&, double*, int64_t);

}  // namespace flashket
