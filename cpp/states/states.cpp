// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "states/states.hpp"

#include "core/parallel.hpp"
#include "states/state_ops.hpp"

namespace flashket {
namespace {

template <class T>
const StateFunctions<T>& functions(const StateOps& ops) {
  if constexpr (sizeof(T) == 4)
    return ops.f32;
  else
    return ops.f64;
}

template <class T>
void copy_row(const MatrixView<const T>& x, int64_t row, T* to) {
  for (int64_t j = 0; j < x.cols; ++j) to[j] = x(row, j);
}

// Rows one after another, the blocks of each among the threads.
template <class T>
void states_by_blocks(const StateFunctions<T>& f, const EncoderArgs& args, const MatrixView<const T>& x, T* out,
                      int64_t n_amplitudes) {
  Buffer<T> input(x.cols), prepared(f.row_elements(args));
  PerWorker<Buffer<T>> memory;
  const PlanView& plan = f.plan(args);
  for (int64_t row = 0; row < x.rows; ++row) {
    copy_row(x, row, input.data());
    f.prepare(input.data(), prepared.data(), args);
    T* to = out + row * 2 * n_amplitudes;
    for (int32_t pass = 0; pass < plan.n_passes; ++pass) {
      parallel_for(int64_t{1} << plan.passes[pass].n_outer, [&](int64_t block, int worker) {
        Buffer<T>& own = memory.get(worker, [&] { return Buffer<T>(f.worker_elements(args)); });
        f.run_block(to, prepared.data(), own.data(), args, pass, block);
      });
    }
  }
}

template <class T>
void states_by_rows(const StateFunctions<T>& f, const EncoderArgs& args, const MatrixView<const T>& x, T* out,
                    int64_t n_amplitudes) {
  struct Memory {
    Buffer<T> input, scratch;
  };
  PerWorker<Memory> memory;
  parallel_for(x.rows, [&](int64_t row, int worker) {
    Memory& own = memory.get(
        worker, [&] { return Memory{Buffer<T>(x.cols), Buffer<T>(f.row_elements(args) + f.worker_elements(args))}; });
    copy_row(x, row, own.input.data());
    f.encode(own.input.data(), out + row * 2 * n_amplitudes, own.scratch.data(), args);
  });
}

}  // namespace

template <class T>
void states(const KernelSpec& spec, const MatrixView<const T>& x, T* out, int64_t n_amplitudes) {
  const PairKind pair = spec.encoder->pair;
  if (pair == PairKind::product) throw std::invalid_argument("states need the Program of a product map");
  const int64_t depth = spec.score().depth;
  if (depth > n_amplitudes) throw std::invalid_argument("states: too few amplitudes");
  if (spec.encoder->states && depth == n_amplitudes) {
    const StateFunctions<T>& f = functions<T>(*spec.encoder->states);
    const EncoderArgs args = spec.args();
    // Few large states are shared out by blocks. Either way every amplitude is computed by the same operations.
    if (x.rows < 4 * num_threads() && f.plan(args).passes[0].n_outer > 0)
      states_by_blocks(f, args, x, out, n_amplitudes);
    else
      states_by_rows(f, args, x, out, n_amplitudes);
    return;
  }
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
