// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Statevector of a compiled Program. Qubit 0 is the lowest bit of the basis index. A block of the state lies in planes
// re[z], im[z] that fit the second-level cache; a state no larger than a block is one block. Larger ones are made in
// passes: gather a block, run all tiles of the pass, write it back.
#include "states/diagonal.hpp"
#include "states/state_ops.hpp"
#include "states/tile.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

template <class T>
constexpr int32_t kBlockBits = sizeof(T) == 4 ? 15 : 14;  // 256 KiB: with the lines it came from, half of most L2s

// A state of two blocks is one: no lines that it comes from stand beside it in the cache.
template <class T>
const PlanView& plan_of(const EncoderArgs& args) {
  const ProgramView& p = *args.program;
  const int32_t block_bits = p.n_qubits == kBlockBits<T> + 1 ? p.n_qubits : kBlockBits<T>;
  return *p.plan(p.owner, {kLaneBits<T>, kRegisterBits, block_bits});
}

// Rounded up so that whole vectors can be read and written.
template <class T>
int64_t padded_size(int32_t n_bits) {
  const int64_t size = int64_t{1} << n_bits;
  return size < kLanes<T> ? kLanes<T> : size;
}

// A whole state as planes, or as interleaved complex numbers.
template <class T>
struct Planes {
  T *re, *im;

  void read(int64_t at, int64_t n, T* to_re, T* to_im) const {
    memcpy(to_re, re + at, sizeof(T) * n);
    memcpy(to_im, im + at, sizeof(T) * n);
  }
  void write(int64_t at, int64_t n, const T* from_re, const T* from_im) const {
    memcpy(re + at, from_re, sizeof(T) * n);
    memcpy(im + at, from_im, sizeof(T) * n);
  }
};

// Lane numbers 0 .. N - 1 as a list of template arguments; <utility> is not for files of one instruction set.
template <int... I>
struct Lanes {};
template <int N, int... I>
struct CountLanes : CountLanes<N - 1, N - 1, I...> {};
template <int... I>
struct CountLanes<0, I...> {
  using List = Lanes<I...>;
};

// Every second lane of a and then b, from lane `First` on.
template <int First, class V, int... I>
FLASHKET_INLINE V every_second(V a, V b, Lanes<I...>) {
  return __builtin_shufflevector(a, b, (2 * I + First)...);
}

// Lanes of a and b in turn, from lane `First` on.
template <int First, class V, int... I>
FLASHKET_INLINE V in_turn(V a, V b, Lanes<I...>) {
  return __builtin_shufflevector(a, b, (First + I / 2 + I % 2 * static_cast<int>(sizeof...(I)))...);
}

template <class T>
struct Interleaved {
  using List = typename CountLanes<static_cast<int>(kLanes<T>)>::List;
  static constexpr int lanes = static_cast<int>(kLanes<T>);
  T* data;

  void read(int64_t at, int64_t n, T* to_re, T* to_im) const {
    for (int64_t z = 0; z < n; z += lanes) {
      const T* from = data + 2 * (at + z);
      const Vec<T> a = load(from), b = load(from + lanes);
      store<T>(to_re + z, every_second<0>(a, b, List{}));
      store<T>(to_im + z, every_second<1>(a, b, List{}));
    }
  }
  void write(int64_t at, int64_t n, const T* from_re, const T* from_im) const {
    int64_t z = 0;
    for (; z + lanes <= n; z += lanes) {
      const Vec<T> re = load(from_re + z), im = load(from_im + z);
      T* to = data + 2 * (at + z);
      store<T>(to, in_turn<0>(re, im, List{}));
      store<T>(to + lanes, in_turn<lanes / 2>(re, im, List{}));
    }
    for (; z < n; ++z) {
      data[2 * (at + z)] = from_re[z];
      data[2 * (at + z) + 1] = from_im[z];
    }
  }
};

// Vectors that meet in a tile lie powers of two apart, in one set of the first-level cache: the planes take a set each.
constexpr int64_t kPlaneGap = 33 * 64;

// Memory of one worker.
template <class T>
struct Worker {
  T *re, *im;  // a block
  T* tables;   // of polynomials that run more than once: cos plane, sin plane each
  Complex* product;
  PolynomialPhases<T>* phases;
  RowOperation<T>* operations;  // those of a tile that act on this block

  static Worker take(const ProgramView& p, const PlanView& plan, Arena& arena) {
    const int32_t n_local = plan.passes[0].n_local;
    const int64_t plane = padded_size<T>(n_local);
    Worker w{};
    w.re = arena.take<T>(plane);
    arena.take<char>(kPlaneGap);
    w.im = arena.take<T>(plane);
    arena.take<char>(kPlaneGap);
    w.tables = arena.take<T>(has_tables(p, n_local) ? 2 * plane * p.n_tables : 0);
    w.product = arena.take<Complex>(int64_t{1} << (n_local > kProductBits ? n_local - kProductBits : 0));
    w.phases = arena.take<PolynomialPhases<T>>(p.n_polynomials ? 1 : 0);
    w.operations = arena.take<RowOperation<T>>(plan.largest_tile);
    return w;
  }

  // Tables would push larger states out of the cache.
  static bool has_tables(const ProgramView& p, int32_t n_local) {
    return n_local == p.n_qubits && n_local <= kBlockBits<T>;
  }
};

// One pass over one block.
template <class T>
struct Block {
  const ProgramView& program;
  const PlanView& plan;
  const Row<T>& row;
  Worker<T>& worker;

  void run_tile(const Tile& tile, T* re, T* im, const BlockPlace& place, int64_t size) const {
    const RowOperation<T>* operations = row.operations + tile.op_begin;
    int32_t n = tile.op_end - tile.op_begin;
    if (place.n_local < program.n_qubits) {
      int32_t kept = 0;
      for (int32_t i = 0; i < n; ++i)
        if ((place.outer & operations[i].outer_mask) == operations[i].outer_mask)
          worker.operations[kept++] = operations[i];
      operations = worker.operations;
      n = kept;
    }
    const int64_t n_vectors = size / kLanes<T>;
    switch (tile.n_registers) {
      case 0:
        return run_tiles<T, 0>(re, im, n_vectors, tile.registers, operations, n);
      case 1:
        return run_tiles<T, 1>(re, im, n_vectors, tile.registers, operations, n);
      case 2:
        return run_tiles<T, 2>(re, im, n_vectors, tile.registers, operations, n);
      default:
        return run_tiles<T, kRegisterBits>(re, im, n_vectors, tile.registers, operations, n);
    }
  }

  // re, im: the block, which the first pass fills.
  void run(const Pass& pass, const BlockPlace& place, T* re, T* im) const {
    const int64_t size = padded_size<T>(pass.n_local);
    using Factors = const Complex(*)[2];
    const bool is_first = &pass == plan.passes;
    // Equal amplitudes that the first phases meet are never written.
    bool is_uniform = is_first && program.is_uniform && pass.tile_begin < pass.tile_end &&
                      plan.tiles[pass.tile_begin].polynomial >= 0 && pass.n_local >= kLaneBits<T>;
    if (is_first && !is_uniform)
      apply_product<T>(re, im, reinterpret_cast<Factors>(row.initial), *row.scale, place, program.n_qubits,
                       worker.product, true);
    uint64_t ready = 0;  // tables that are filled
    for (int32_t i = pass.tile_begin; i < pass.tile_end; ++i) {
      const Tile& tile = plan.tiles[i];
      if (tile.polynomial < 0) {
        run_tile(tile, re, im, place, size);
        continue;
      }
      const int32_t slot =
          Worker<T>::has_tables(program, place.n_local) ? program.polynomials[tile.polynomial].table : -1;
      T* table = slot < 0 ? nullptr : worker.tables + 2 * size * slot;
      if (table && (ready >> slot & 1)) {
        apply_table(re, im, table, size);
        continue;
      }
      const uint64_t* coefficients = row.coefficients + tile.polynomial * coefficients_of(program.n_qubits);
      if (is_uniform)
        apply_polynomial<true>(re, im, coefficients, program.n_qubits, place, *worker.phases, table, size,
                               *row.scale * program.uniform);
      else
        apply_polynomial<false>(re, im, coefficients, program.n_qubits, place, *worker.phases, table, size, {});
      is_uniform = false;
      if (table) ready |= uint64_t{1} << slot;
    }
    if (&pass == plan.passes + plan.n_passes - 1 && *row.has_final)
      apply_product<T>(re, im, reinterpret_cast<Factors>(row.final), {1, 0}, place, program.n_qubits, worker.product,
                       false);
  }

  // Block number `index` of a state that is larger than a block.
  template <class Storage>
  void run_at(const Pass& pass, int64_t index, const Storage& state) const {
    BlockPlace place{pass.local, pass.n_local, 0};
    for (int32_t i = 0; i < pass.n_outer; ++i) place.outer |= static_cast<uint64_t>(index >> i & 1) << pass.outer[i];
    int64_t scattered = 0;  // local bits above the contiguous ones
    for (int32_t i = pass.run_bits; i < pass.n_local; ++i) scattered |= int64_t{1} << pass.local[i];
    const int64_t run_size = int64_t{1} << pass.run_bits, size = int64_t{1} << pass.n_local;
    const auto each_run = [&](const auto& f) {
      int64_t at = 0;
      for (int64_t z = 0; z < size; z += run_size) {
        f(static_cast<int64_t>(place.outer) + at, z);
        at = ((at | ~scattered) + 1) & scattered;
      }
    };
    T *re = worker.re, *im = worker.im;
    if (&pass != plan.passes) each_run([&](int64_t at, int64_t z) { state.read(at, run_size, re + z, im + z); });
    run(pass, place, re, im);
    each_run([&](int64_t at, int64_t z) { state.write(at, run_size, re + z, im + z); });
  }

  template <class Storage>
  void run_all(const Storage& state) const {
    for (const Pass* pass = plan.passes; pass < plan.passes + plan.n_passes; ++pass)
      for (int64_t index = 0; index < int64_t{1} << pass->n_outer; ++index) run_at(*pass, index, state);
  }
};

template <class T>
int64_t elements(int64_t bytes) {
  return (bytes + static_cast<int64_t>(sizeof(T)) - 1) / static_cast<int64_t>(sizeof(T)) + 16;  // and an aligned start
}

template <class T>
int64_t row_elements(const EncoderArgs& args) {
  Arena arena{nullptr};
  Row<T>::take(*args.program, arena);
  return elements<T>(arena.used);
}

template <class T>
int64_t worker_elements(const EncoderArgs& args) {
  Arena arena{nullptr};
  Worker<T>::take(*args.program, plan_of<T>(args), arena);
  return elements<T>(arena.used);
}

template <class T>
Arena arena_in(T* memory) {
  return {reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(memory) + 63) / 64 * 64)};
}

int64_t depth(const EncoderArgs& args) { return int64_t{1} << args.program->n_qubits; }

int64_t scratch(const EncoderArgs& args) {
  const int64_t narrow = row_elements<float>(args) + worker_elements<float>(args);
  const int64_t wide = row_elements<double>(args) + worker_elements<double>(args);
  return narrow > wide ? narrow : wide;
}

// Runs the circuit for one row; `one_block` gets the block when the state is one, otherwise `state` is where it
// becomes.
template <class T, class Storage>
void encode(const T* x, T* scratch_memory, const EncoderArgs& args, const Storage& state, T* in_place_re,
            T* in_place_im) {
  const ProgramView& p = *args.program;
  const PlanView& plan = plan_of<T>(args);
  Arena arena = arena_in(scratch_memory);
  Row<T> row = Row<T>::take(p, arena);
  Worker<T> worker = Worker<T>::take(p, plan, arena);
  row.prepare(p, plan, x);
  const Block<T> block{p, plan, row, worker};
  const Pass& pass = plan.passes[0];
  if (pass.n_outer) {
    block.run_all(state);
  } else if (in_place_re && padded_size<T>(p.n_qubits) == depth(args)) {
    block.run(pass, {pass.local, pass.n_local, 0}, in_place_re, in_place_im);
  } else {
    block.run(pass, {pass.local, pass.n_local, 0}, worker.re, worker.im);
    state.write(0, depth(args), worker.re, worker.im);
  }
}

template <class T>
void encode_planes(const T* x, T* out, T* scratch_memory, const EncoderArgs& args) {
  T* im = out + depth(args);
  encode<T>(x, scratch_memory, args, Planes<T>{out, im}, out, im);
}

template <class T>
void encode_interleaved(const T* x, T* out, T* scratch_memory, const EncoderArgs& args) {
  encode<T>(x, scratch_memory, args, Interleaved<T>{out}, nullptr, nullptr);
}

template <class T>
void prepare(const T* x, T* row_memory, const EncoderArgs& args) {
  Arena arena = arena_in(row_memory);
  Row<T>::take(*args.program, arena).prepare(*args.program, plan_of<T>(args), x);
}

template <class T>
void run_block(T* out, T* row_memory, T* worker_memory, const EncoderArgs& args, int32_t pass, int64_t index) {
  const ProgramView& p = *args.program;
  const PlanView& plan = plan_of<T>(args);
  Arena row_arena = arena_in(row_memory), worker_arena = arena_in(worker_memory);
  const Row<T> row = Row<T>::take(p, row_arena);
  Worker<T> worker = Worker<T>::take(p, plan, worker_arena);
  Block<T>{p, plan, row, worker}.run_at(plan.passes[pass], index, Interleaved<T>{out});
}

template <class T>
constexpr StateFunctions<T> state_functions = {encode_interleaved<T>, prepare<T>,        run_block<T>, plan_of<T>,
                                               row_elements<T>,       worker_elements<T>};

constexpr StateOps state_ops = {state_functions<float>, state_functions<double>};

}  // namespace

extern const Encoder program_encoder;
const Encoder program_encoder = {
    "program", PairKind::complex_dot, depth, scratch, encode_planes<float>, encode_planes<double>, &state_ops};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
