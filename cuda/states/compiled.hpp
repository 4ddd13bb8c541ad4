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

struct SlotTerm {
  int32_t angle, multiple;  // angle -1: offset alone
  uint64_t offset;
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
  int32_t n_qubits, n_angles, n_unitaries, n_pair_phases, n_polynomials, n_scales, n_operations;
  int32_t scale_interval;
  const AngleExpression* angles;
  const AngleUse* uses;
  const Factor* factors;
  const Unitary *initial, *unitaries, *final;
  const PairPhase* pair_phases;
  const int32_t *chain_begin, *chain;  // of every qubit, its unitaries in order
  const OperationPlace *unitary_places, *pair_places, *scale_places;
  const uint64_t* outer_masks;  // of operations: bits of the whole index that must be 1
  const int32_t* slot_begin;    // coefficients(n) for each polynomial, and the end
  const SlotTerm* slot_terms;
  const StateStep* steps;
  const StatePass* passes;
};

constexpr int32_t pairs_of(int32_t n) { return n * (n - 1) / 2; }
// Coefficients of a polynomial: constant, linear[n], pair[k (k - 1) / 2 + j] with j < k.
constexpr int32_t coefficients_of(int32_t n) { return 1 + n + pairs_of(n); }

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
  to.n_angles = p.n_angles;
  to.n_unitaries = p.n_unitaries;
  to.n_pair_phases = p.n_pair_phases;
  to.n_polynomials = p.n_polynomials;
  to.n_scales = p.n_scales;
  to.n_operations = plan.n_operations;
  to.scale_interval = p.scale_interval;

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
  std::vector<std::vector<int32_t>> chains(n);
  for (int32_t i = 0; i < p.n_unitaries; ++i) chains[p.unitaries[i].qubit].push_back(i);
  std::vector<int32_t> chain_begin{0}, chain;
  for (const std::vector<int32_t>& c : chains) {
    chain.insert(chain.end(), c.begin(), c.end());
    chain_begin.push_back(static_cast<int32_t>(chain.size()));
  }
  std::vector<int32_t> slot_begin{0};
  std::vector<SlotTerm> slot_terms;
  for (int32_t i = 0; i < p.n_polynomials; ++i) {
    std::vector<std::vector<SlotTerm>> slots(coefficients_of(n));
    for (int32_t t = p.polynomials[i].term_begin; t < p.polynomials[i].term_end; ++t) {
      const PhaseTerm& term = p.terms[t];
      const int32_t high = std::max(term.a, term.b), low = std::min(term.a, term.b);
      const int32_t slot = term.a < 0 ? 0 : term.b < 0 ? 1 + term.a : 1 + n + pairs_of(high) + low;
      slots[slot].push_back({term.angle, term.multiple, term.offset});
    }
    for (const std::vector<SlotTerm>& s : slots) {
      slot_terms.insert(slot_terms.end(), s.begin(), s.end());
      slot_begin.push_back(static_cast<int32_t>(slot_terms.size()));
    }
  }
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
                       packer.add(p.unitaries, p.n_unitaries),
                       packer.add(p.final, n),
                       packer.add(p.pair_phases, p.n_pair_phases),
                       packer.add(chain_begin),
                       packer.add(chain),
                       packer.add(unitaries),
                       packer.add(pairs),
                       packer.add(scales),
                       packer.add(outer_masks),
                       packer.add(slot_begin),
                       packer.add(slot_terms),
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
  next(to.pair_phases);
  next(to.chain_begin);
  next(to.chain);
  next(to.unitary_places);
  next(to.pair_places);
  next(to.scale_places);
  next(to.outer_masks);
  next(to.slot_begin);
  next(to.slot_terms);
  next(to.steps);
  next(to.passes);
  return out;
}

}  // namespace flashket::cuda::statevector
