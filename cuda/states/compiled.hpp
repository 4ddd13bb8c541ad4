// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// A CompiledProgram as flat arrays in device memory, and the plan of its operations as steps of a thread block.
//
// A block of threads holds 2^n_local amplitudes in shared memory (the whole state where it fits). A step is one trip of
// them through registers: every thread takes the 2^R amplitudes that differ in the R qubits of the step, multiplies by
// a phase polynomial, applies the step's operations, multiplies by another polynomial and puts them back. A pass is a
// run of steps between two trips to global memory; a state that fits into shared memory has one pass and no trip.
#pragma once
#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "../../cpp/core/program.hpp"
#include "core/runtime.hpp"

namespace flashket::cuda::statevector {

// Where an operation of the plan lies, and what of it does not depend on the row.
struct OperationPlace {
  int32_t index;  // in the row's list
  int32_t place;  // of a unitary: its register; of a phase: the registers that must be 1, as a mask
  uint32_t mask;  // bits of the block's index that must be 1 for a phase to act
};

// Codes of operations: 8 place + 4 is_swapped + kind; the others plus a mask of registers.
constexpr int32_t kRealKind = 0, kImaginaryKind = 1, kComplexKind = 2;
constexpr int32_t kPhaseCode = 32, kSignCode = 48, kScaleCode = 64;

// Of a unitary in its register, from the r of its core.
constexpr int32_t unitary_code(int32_t place, bool is_swapped, double re, double im) {
  constexpr double negligible = 1e-18;
  const auto is_small = [](double x) { return x < negligible && x > -negligible; };
  return 8 * place + (is_swapped ? 4 : 0) + (is_small(im) ? kRealKind : is_small(re) ? kImaginaryKind : kComplexKind);
}

// An operation that is the same for every row.
struct FixedOperation {
  int32_t index, code;
  double re, im;
};

// multiple quarters of an angle.
struct SlotTerm {
  int32_t angle, multiple;
};

struct StateStep {
  int32_t op_begin, op_end;
  int32_t before, after;                  // polynomials, -1: none
  int32_t registers[kMaxRegisterQubits];  // ascending positions within the block
};

struct StatePass {
  int32_t step_begin, step_end;
  int32_t n_local, n_outer;
  int32_t run_bits;    // local[i] == i below
  int32_t end_lowest;  // the lowest register of the last step
  int32_t is_first, is_last;
  int8_t local[kMaxQubits], outer[kMaxQubits];
};

// Pointers to device memory.
struct ProgramPointers {
  int32_t n_qubits, n_features, n_angles, n_unitaries, n_pair_phases, n_polynomials, n_scales, n_operations, n_fixed;
  int32_t is_uniform;  // every state starts with equal amplitudes: scale times this
  double uniform_re, uniform_im;
  double fixed_phase_re, fixed_phase_im;  // what fixed unitaries leave out of all amplitudes, beside sizes
  const AngleExpression* angles;
  const AngleUse* uses;
  const Factor* factors;
  const Unitary *initial, *unitaries, *final;  // unitaries: those that features turn
  const FixedOperation* fixed_operations;      // the others
  const double* fixed_initial;                 // of every qubit the amplitudes of 0 and 1: re, im, re, im
  const double* fixed_rests;                   // of every qubit the phase of 1 that fixed unitaries leave: re, im
  const int32_t* scale_begin;                  // n_scales + 2: unitaries of each scale, and those after the last
  const double* fixed_sizes;                   // n_scales + 1: what fixed unitaries contribute
  const PairPhase* pair_phases;
  const int32_t *chain_begin, *chain;  // of every qubit, its unitaries in order
  const OperationPlace *unitary_places, *pair_places, *scale_places;
  const uint64_t* outer_masks;  // of operations: bits of the whole index that must be 1
  const int32_t* slot_begin;    // coefficients_of(n) for each polynomial, and the end
  const SlotTerm* slot_terms;
  const uint64_t* slot_fixed;  // as fixed-point turns, for each coefficient
  const StateStep* steps;
  const StatePass* passes;
};

struct DeviceProgram {
  ProgramPointers pointers{};
  std::vector<StatePass> passes;
  Memory memory;
};

namespace detail {

// Arrays one after another, uploaded at once.
class Packer {
 public:
  template <class U>
  size_t add(const U* data, size_t count) {
    const size_t begin = (bytes_.size() + 15) / 16 * 16;
    bytes_.resize(begin + std::max<size_t>(count * sizeof(U), 1));
    const auto* from = reinterpret_cast<const unsigned char*>(data);
    std::copy(from, from + count * sizeof(U), bytes_.begin() + static_cast<std::ptrdiff_t>(begin));
    return begin;
  }
  template <class U>
  size_t add(const std::vector<U>& v) {
    return add(v.data(), v.size());
  }
  Memory upload(Stream stream) const {
    Memory memory(bytes_.size(), stream);
    copy_to_device(memory.get(), bytes_.data(), bytes_.size(), stream);
    return memory;
  }

 private:
  std::vector<unsigned char> bytes_;
};

// Registers of a step that has no operations: the highest, so that neighbouring threads take neighbouring amplitudes.
inline StateStep plain_step(int32_t op, int32_t size_bits, int32_t register_bits) {
  StateStep step{op, op, -1, -1, {}};
  for (int32_t j = 0; j < register_bits; ++j) step.registers[j] = size_bits - register_bits + j;
  return step;
}

// The coefficients of phase polynomials in bits, which are 0 where an amplitude's is, so that a thread's first
// amplitude gives all its others by additions: a sign is 1 - 2 bit. Much cancels: of a controlled phase only the pair
// is left. Whole numbers of quarters and of 2^-64 turns, so nothing is rounded.
struct Slots {
  std::vector<int32_t> begin{0};
  std::vector<SlotTerm> terms;
  std::vector<uint64_t> fixed;

  void add(const ProgramView& p, const PhasePolynomial& polynomial) {
    const int32_t n = p.n_qubits, size = static_cast<int32_t>(coefficients_of(n));
    std::vector<std::pair<int32_t, int32_t>> qubits(size, {-1, -1});  // of a coefficient
    for (int32_t k = 0; k < n; ++k) {
      qubits[1 + k] = {k, -1};
      for (int32_t j = 0; j < k; ++j) qubits[1 + n + pairs_of(k) + j] = {k, j};
    }
    // f(coefficient of bits, factor) for all that a coefficient of signs becomes.
    const auto each = [&](int32_t coefficient, const auto& f) {
      const auto [k, j] = qubits[coefficient];
      f(0, 1);
      if (k >= 0) f(1 + k, -2);
      if (j < 0) return;
      f(1 + j, -2);
      f(coefficient, 4);
    };
    std::vector<std::map<int32_t, int32_t>> multiples(size);  // by angle
    for (int32_t t = polynomial.term_begin; t < polynomial.term_end; ++t) {
      const PhaseTerm& term = p.terms[t];
      each(term.coefficient, [&](int32_t to, int32_t factor) { multiples[to][term.angle] += factor * term.multiple; });
    }
    for (const auto& slot : multiples) {
      for (const auto& [angle, multiple] : slot)
        if (multiple != 0) terms.push_back({angle, multiple});
      begin.push_back(static_cast<int32_t>(terms.size()));
    }
    const size_t first = fixed.size();
    fixed.resize(first + static_cast<size_t>(size), 0);
    for (int32_t t = polynomial.fixed_begin; t < polynomial.fixed_end; ++t) {
      const FixedPhase& term = p.fixed_phases[t];
      each(term.coefficient, [&](int32_t to, int32_t factor) {
        fixed[first + static_cast<size_t>(to)] += static_cast<uint64_t>(static_cast<int64_t>(factor)) * term.phase;
      });
    }
  }
};

inline void add_steps(const PlanView& plan, const Pass& pass, int32_t register_bits, std::vector<StateStep>& steps) {
  const size_t first = steps.size();
  const int32_t size_bits = std::max(pass.n_local, register_bits);
  for (int32_t i = pass.tile_begin; i < pass.tile_end; ++i) {
    const Tile& tile = plan.tiles[i];
    const bool is_open = steps.size() > first && steps.back().after < 0;
    if (tile.polynomial >= 0) {
      if (is_open) {
        steps.back().after = tile.polynomial;
      } else {
        steps.push_back(plain_step(tile.op_begin, size_bits, register_bits));
        steps.back().before = tile.polynomial;
      }
      continue;
    }
    if (!is_open || steps.back().op_begin < steps.back().op_end)
      steps.push_back(plain_step(tile.op_begin, size_bits, register_bits));
    StateStep& step = steps.back();
    step.op_begin = tile.op_begin;
    step.op_end = tile.op_end;
    // A state of fewer qubits than registers gets further ones that stay 0.
    for (int32_t j = 0; j < register_bits; ++j) step.registers[j] = j < tile.n_registers ? tile.registers[j] : j;
  }
  if (steps.size() == first) steps.push_back(plain_step(0, size_bits, register_bits));
}

}  // namespace detail

inline DeviceProgram upload_program(const ProgramView& p, int32_t block_bits, int32_t register_bits, Stream stream) {
  const PlanView& plan = *p.plan(p.owner, {0, register_bits, block_bits});
  const int32_t n = p.n_qubits;
  DeviceProgram out;
  ProgramPointers& to = out.pointers;
  to.n_qubits = n;
  to.n_features = p.n_features;
  to.n_angles = p.n_angles;
  to.n_pair_phases = p.n_pair_phases;
  to.n_polynomials = p.n_polynomials;
  to.n_scales = p.n_scales;
  to.n_operations = plan.n_operations;
  to.is_uniform = p.is_uniform;
  to.uniform_re = p.uniform.re;
  to.uniform_im = p.uniform.im;

  std::vector<OperationPlace> unitaries(p.n_unitaries), pairs(p.n_pair_phases), scales(p.n_scales);
  std::vector<uint64_t> outer_masks(plan.n_operations);
  for (int32_t i = 0; i < plan.n_operations; ++i) {
    const PlannedOperation& op = plan.operations[i];
    outer_masks[i] = op.outer_mask;
    const auto mask = static_cast<uint32_t>(op.block_mask);
    if (op.kind == OperationKind::unitary)
      unitaries[op.index] = {i, op.place, 0};
    else if (op.kind == OperationKind::pair_phase)
      pairs[op.index] = {i, static_cast<int32_t>(op.register_mask), mask};
    else
      scales[op.index] = {i, 0, 0};
  }
  std::vector<Unitary> turned;
  std::vector<OperationPlace> turned_places;
  std::vector<FixedOperation> fixed_operations;
  std::vector<std::vector<int32_t>> chains(n);
  std::vector<int32_t> scale_begin;
  for (int32_t i = 0; i < p.n_unitaries; ++i) {
    if (i % p.scale_interval == 0) scale_begin.push_back(static_cast<int32_t>(turned.size()));
    const Unitary& unitary = p.unitaries[i];
    const OperationPlace& place = unitaries[i];
    if (unitary.is_fixed) {
      const Core& core = p.fixed_cores[i];
      fixed_operations.push_back(
          {place.index, unitary_code(place.place, core.is_swapped, core.r.re, core.r.im), core.r.re, core.r.im});
    } else {
      chains[unitary.qubit].push_back(static_cast<int32_t>(turned.size()));
      turned.push_back(unitary);
      turned_places.push_back(place);
    }
  }
  scale_begin.resize(p.n_scales + 2, static_cast<int32_t>(turned.size()));
  to.n_unitaries = static_cast<int32_t>(turned.size());
  to.n_fixed = static_cast<int32_t>(fixed_operations.size());
  std::vector<double> fixed_sizes;
  to.fixed_phase_re = 1;
  to.fixed_phase_im = 0;
  for (int32_t i = 0; i <= p.n_scales; ++i) {
    const auto pivot = p.fixed_pivots[i];
    const double size = std::hypot(pivot.re, pivot.im), re = pivot.re / size, im = pivot.im / size;
    fixed_sizes.push_back(size);
    const double phase_re = to.fixed_phase_re, phase_im = to.fixed_phase_im;
    to.fixed_phase_re = phase_re * re - phase_im * im;
    to.fixed_phase_im = phase_re * im + phase_im * re;
  }
  std::vector<int32_t> chain_begin{0}, chain;
  for (const std::vector<int32_t>& c : chains) {
    chain.insert(chain.end(), c.begin(), c.end());
    chain_begin.push_back(static_cast<int32_t>(chain.size()));
  }
  detail::Slots slots;
  for (int32_t i = 0; i < p.n_polynomials; ++i) slots.add(p, p.polynomials[i]);
  std::vector<StateStep> steps;
  for (int32_t i = 0; i < plan.n_passes; ++i) {
    const Pass& from = plan.passes[i];
    StatePass pass{};
    pass.step_begin = static_cast<int32_t>(steps.size());
    detail::add_steps(plan, from, register_bits, steps);
    pass.step_end = static_cast<int32_t>(steps.size());
    pass.n_local = from.n_local;
    pass.n_outer = from.n_outer;
    pass.run_bits = from.run_bits;
    pass.end_lowest = steps.back().registers[0];
    pass.is_first = i == 0;
    pass.is_last = i + 1 == plan.n_passes;
    std::copy_n(from.local, from.n_local, pass.local);
    std::copy_n(from.outer, from.n_outer, pass.outer);
    out.passes.push_back(pass);
  }
  int32_t n_factors = 0;
  for (const auto& [list, count] : {std::pair{p.initial, n}, {p.unitaries, p.n_unitaries}, {p.final, n}})
    for (int32_t i = 0; i < count; ++i) n_factors = std::max(n_factors, list[i].factor_end);

  detail::Packer packer;
  const size_t at[] = {packer.add(p.angles, p.n_angles),
                       packer.add(p.uses, p.n_uses),
                       packer.add(p.factors, n_factors),
                       packer.add(p.initial, n),
                       packer.add(turned),
                       packer.add(p.final, n),
                       packer.add(fixed_operations),
                       packer.add(&p.fixed_initial->re, 4 * n),
                       packer.add(&p.fixed_rests->re, 2 * n),
                       packer.add(scale_begin),
                       packer.add(fixed_sizes),
                       packer.add(p.pair_phases, p.n_pair_phases),
                       packer.add(chain_begin),
                       packer.add(chain),
                       packer.add(turned_places),
                       packer.add(pairs),
                       packer.add(scales),
                       packer.add(outer_masks),
                       packer.add(slots.begin),
                       packer.add(slots.terms),
                       packer.add(slots.fixed),
                       packer.add(steps),
                       packer.add(out.passes)};
  out.memory = packer.upload(stream);
  int i = 0;
  const auto next = [&](auto& pointer) {
    pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(
        static_cast<unsigned char*>(out.memory.get()) + at[i++]);
  };
  next(to.angles);
  next(to.uses);
  next(to.factors);
  next(to.initial);
  next(to.unitaries);
  next(to.final);
  next(to.fixed_operations);
  next(to.fixed_initial);
  next(to.fixed_rests);
  next(to.scale_begin);
  next(to.fixed_sizes);
  next(to.pair_phases);
  next(to.chain_begin);
  next(to.chain);
  next(to.unitary_places);
  next(to.pair_places);
  next(to.scale_places);
  next(to.outer_masks);
  next(to.slot_begin);
  next(to.slot_terms);
  next(to.slot_fixed);
  next(to.steps);
  next(to.passes);
  return out;
}

}  // namespace flashket::cuda::statevector
