// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// StateKernel: one pass over states of which a block of 2^n_local amplitudes lies in shared memory. Small states share
// a thread block. Traffic to global memory: none to start with (the first pass begins with a product state), one write,
// or a read and a write for each further pass. An exchange through shared memory moves 16 bytes an amplitude and is
// free of bank conflicts for runs of register_bits neighbouring qubits: the lowest bits of an address are the exclusive
// or of groups of bits of the index.
#pragma once
#include "gram/planes.hpp"
#include "states/registers.hpp"
#include "states/run.hpp"

namespace flashket::cuda::statevector {

template <class T>
struct StateOutput {
  T* data;
  int64_t pitch;  // elements from row to row
  int64_t plane;  // 2^n
  Layout layout;
  int64_t rows;
};

// How a thread block is shared out; the same on host and device.
struct BlockShape {
  int32_t size_bits;   // of a state's block; at least register_bits
  int32_t group_bits;  // threads a row
  int32_t row_bits;    // rows a block
  int32_t low_bits;    // of a product: its lower table's
  int32_t line_bits;   // of a polynomial: from row to row of its matrix
  int32_t n_outer;

  FK_HD int threads() const { return 1 << (group_bits + row_bits); }
  FK_HD int64_t table_size() const { return (int64_t{1} << low_bits) + (int64_t{1} << (size_bits - low_bits)); }
  // Matrix, constant, what the outer bits add; a multiple of 16 bytes.
  FK_HD int64_t polynomial_size() const { return ((int64_t{size_bits} << line_bits) + 1 + n_outer + 3) / 4 * 4; }
  template <class T>
  FK_HD size_t shared_bytes() const {
    const int64_t rows = int64_t{1} << row_bits;
    const int64_t amplitudes = (int64_t{1} << size_bits) + 2 * table_size();
    return static_cast<size_t>(rows *
                               (amplitudes * 2 * int64_t{sizeof(T)} + 2 * polynomial_size() * int64_t{sizeof(T)}));
  }
};

// One row's view of the block.
template <class T>
struct BlockRow {
  const ProgramPointers& program;
  const PreparedRows<T>& prepared;
  const StatePass& pass;
  const BlockShape& shape;
  int64_t row;          // prepared
  int t, slot;          // thread of the row, row of the block
  uint64_t outer;       // bits of the whole index that are 1 throughout the block
  Complex<T>* state;    // of all rows of the block
  Complex<T>* tables;   // of the row: product state, final phases
  Uint<T>* polynomial;  // of the row: before, after

  FK_DEVICE int group() const { return 1 << shape.group_bits; }

  // Swizzled: linear in the bits of i, the exclusive or of what each of them gives.
  FK_DEVICE static uint32_t swizzle(uint32_t i) {
    constexpr int B = Traits<T>::bank_bits;
    uint32_t fold = i >> B;
    fold ^= fold >> B;
    fold ^= fold >> 2 * B;
    return i ^ (fold & ((1u << B) - 1));
  }
  FK_DEVICE uint32_t address(uint32_t z) const { return swizzle(static_cast<uint32_t>(slot) << shape.size_bits | z); }

  // f(amplitude in the block's memory, constant i) for the amplitudes of a thread.
  template <class F>
  FK_DEVICE void each_amplitude(uint32_t base, const int32_t* registers, const F& f) const {
    uint32_t at = address(base);
    uint32_t steps[kRegisterBits<T>];
#pragma unroll
    for (int j = 0; j < kRegisterBits<T>; ++j) steps[j] = swizzle(1u << registers[j]);
    for_each_amplitude<kAmplitudes<T>>([&](auto i, auto bit) {
      if constexpr (bit.value >= 0) at ^= steps[bit.value];
      f(state[at], i.value);
    });
  }

  // Of amplitude z of the block in the whole state.
  FK_DEVICE int64_t index(uint32_t z) const {
    uint64_t at = outer | (z & ((1u << pass.run_bits) - 1));
    for (int i = pass.run_bits; i < pass.n_local; ++i) at |= static_cast<uint64_t>(z >> i & 1) << pass.local[i];
    return static_cast<int64_t>(at);
  }

  FK_DEVICE Complex<double> factor(bool is_final, int q, uint32_t bit) const {
    const int64_t n = program.n_qubits;
    if (!is_final) return prepared.initial[row * 2 * n + 2 * q + bit];
    return bit ? prepared.final[row * n + q] : Complex<double>{1, 0};
  }

  // Whether all amplitudes are equal before the first step, and no table is needed. Qubits that only fill up the
  // registers stay 0.
  FK_DEVICE bool starts_uniform() const { return program.is_uniform && pass.n_local == shape.size_bits; }

  FK_DEVICE Complex<T> uniform_start() const {
    const Complex<double> a = prepared.scale[row] * Complex<double>{program.uniform_re, program.uniform_im};
    return {static_cast<T>(a.re), static_cast<T>(a.im)};
  }

  // prod_q factor of qubit q at its bit, as a table over the lower and one over the upper positions, which has the
  // scale and the outer bits.
  FK_DEVICE void fill_tables(bool is_final) const {
    Complex<T>* to = tables + (is_final ? shape.table_size() : 0);
    const int size = static_cast<int>(shape.table_size()), low_size = 1 << shape.low_bits;
    for (int e = t; e < size; e += group()) {
      const bool is_low = e < low_size;
      const int first = is_low ? 0 : shape.low_bits, last = is_low ? shape.low_bits : shape.size_bits;
      const uint32_t bits = static_cast<uint32_t>(is_low ? e : e - low_size);
      Complex<double> product{1, 0};
      if (!is_low && !is_final) product = prepared.scale[row];
      for (int i = first; i < last; ++i) {
        const uint32_t bit = bits >> (i - first) & 1;
        if (i < pass.n_local)
          product = product * factor(is_final, pass.local[i], bit);
        else if (bit)
          product = {0, 0};  // a qubit that is not there
      }
      if (!is_low)
        for (int i = 0; i < pass.n_outer; ++i)
          product = product * factor(is_final, pass.outer[i], static_cast<uint32_t>(outer >> pass.outer[i] & 1));
      to[e] = {static_cast<T>(product.re), static_cast<T>(product.im)};
    }
  }

  // f(factor of the product of that kind, constant i) for the amplitudes of a thread.
  template <class F>
  FK_DEVICE void each_product(bool is_final, uint32_t base, const int32_t* registers, const F& f) const {
    const Complex<T>* table = tables + (is_final ? shape.table_size() : 0);
    const uint32_t low_mask = (1u << shape.low_bits) - 1;
    uint32_t z = base;
    for_each_amplitude<kAmplitudes<T>>([&](auto i, auto bit) {
      if constexpr (bit.value >= 0) z ^= 1u << registers[bit.value];
      f(table[z & low_mask] * table[low_mask + 1 + (z >> shape.low_bits)], i.value);
    });
  }

  FK_DEVICE static Uint<T> top_bits(uint64_t turn) {
    if constexpr (sizeof(T) == 8)
      return turn;
    else
      return static_cast<uint32_t>((turn + (uint64_t{1} << 31)) >> 32);
  }

  // Coefficient of qubits a and b, or of a alone.
  FK_DEVICE uint64_t coefficient(const uint64_t* all, int a, int b) const {
    if (a == b) return all[1 + a];
    const int high = a > b ? a : b, low = a > b ? b : a;
    return all[1 + program.n_qubits + high * (high - 1) / 2 + low];
  }

  FK_DEVICE void fill_polynomial(int32_t polynomial_index, Uint<T>* to) const {
    const int64_t n = coefficients_of(program.n_qubits);
    const uint64_t* all = prepared.coefficients + (row * program.n_polynomials + polynomial_index) * n;
    const int lines = 1 << shape.line_bits, matrix = shape.size_bits << shape.line_bits;
    for (int e = t; e < matrix + 1 + pass.n_outer; e += group()) {
      uint64_t sum = 0;
      if (e > matrix) {  // an outer bit with those below it
        const int k = e - matrix - 1;
        if (outer >> pass.outer[k] & 1) {
          sum = coefficient(all, pass.outer[k], pass.outer[k]);
          for (int i = 0; i < k; ++i)
            if (outer >> pass.outer[i] & 1) sum += coefficient(all, pass.outer[k], pass.outer[i]);
        }
      } else if (e == matrix) {
        sum = all[0];
      } else {
        const int k = e >> shape.line_bits, j = e & (lines - 1);
        if (k < pass.n_local && j < pass.n_local) {
          sum = coefficient(all, pass.local[k], pass.local[j]);
          if (k == j)
            for (int i = 0; i < pass.n_outer; ++i)
              if (outer >> pass.outer[i] & 1) sum += coefficient(all, pass.local[k], pass.outer[i]);
        }
      }
      to[e] = top_bits(sum);
    }
  }

  FK_DEVICE void apply_polynomial(Registers<T>& v, const Uint<T>* m, uint32_t base, const int32_t* registers) const {
    const Uint<T>* rest = m + (shape.size_bits << shape.line_bits);
    Uint<T> constant = rest[0];
    for (int i = 0; i < pass.n_outer; ++i) constant += rest[1 + i];
    multiply_by_polynomial<T>(v, m, shape.line_bits, pass.n_local, constant, base, registers);
  }

  FK_DEVICE void apply_operations(Registers<T>& v, const StateStep& step, uint32_t base) const {
    const RowOperation<T>* operations = prepared.operations + row * program.n_operations;
    if (step.op_begin == step.op_end) return;
    RowOperation<T> next = operations[step.op_begin];
    for (int32_t i = step.op_begin; i < step.op_end; ++i) {
      const RowOperation<T> op = next;
      if (i + 1 < step.op_end) next = operations[i + 1];  // under way while this one acts
      if (pass.n_outer) {
        const uint64_t mask = program.outer_masks[i];
        if ((outer & mask) != mask) continue;
      }
      apply_operation<T>(v, op, base);
    }
  }

  FK_DEVICE void read(const StateOutput<T>& out, int64_t to_row) const {
    for (uint32_t z = static_cast<uint32_t>(t); z >> pass.n_local == 0; z += static_cast<uint32_t>(group())) {
      const T* from = out.data + to_row * out.pitch;
      const int64_t at = index(z);
      state[address(z)] = out.layout == Layout::planes ? Complex<T>{from[at], from[out.plane + at]}
                                                       : reinterpret_cast<const Complex<T>*>(from)[at];
    }
  }

  FK_DEVICE static void write(const StateOutput<T>& out, int64_t to_row, int64_t at, Complex<T> a) {
    T* to = out.data + to_row * out.pitch;
    if (out.layout == Layout::planes) {
      to[at] = a.re;
      to[out.plane + at] = a.im;
    } else {
      reinterpret_cast<Complex<T>*>(to)[at] = a;
    }
  }

  FK_DEVICE void write_all(const StateOutput<T>& out, int64_t to_row) const {
    for (uint32_t z = static_cast<uint32_t>(t); z >> pass.n_local == 0; z += static_cast<uint32_t>(group()))
      write(out, to_row, index(z), state[address(z)]);
  }

  // As planes.cu makes them of float amplitudes: two neighbours are one 4-byte store a plane, a warp's 64 bytes of
  // each.
  FK_DEVICE void write_planes(const StateOutput<T>& out, int64_t to_row) const {
    const int parts = out.layout == Layout::split ? 2 : 1;
    half_t* const to = reinterpret_cast<half_t*>(out.data) + to_row * out.pitch;
    for (uint32_t z = 2 * static_cast<uint32_t>(t); z >> pass.n_local == 0; z += 2 * static_cast<uint32_t>(group())) {
      const Complex<T> a = state[address(z)], b = state[address(z + 1)];
      half_t* const at = to + int64_t{z / kPlaneStep} * (2 * parts * kPlaneStep) + z % kPlaneStep;
      const auto write_side = [&](int side, T first, T second) {
        const float x = static_cast<float>(first) * static_cast<float>(kSumScale);
        const float y = static_cast<float>(second) * static_cast<float>(kSumScale);
        half_t* const plane = at + side * parts * kPlaneStep;
        *reinterpret_cast<uint32_t*>(plane) = pack_half(x, y);
        if (parts == 2)
          *reinterpret_cast<uint32_t*>(plane + kPlaneStep) =
              pack_half(x - to_float(to_half(x)), y - to_float(to_half(y)));
      };
      write_side(0, a.re, b.re);
      write_side(1, a.im, b.im);
    }
  }

  // A thread's amplitudes.
  FK_DEVICE void write_registers(const StateOutput<T>& out, int64_t to_row, uint32_t base, const int32_t* registers,
                                 const Registers<T>& v) const {
    int64_t at = index(base), steps[kRegisterBits<T>];
#pragma unroll
    for (int j = 0; j < kRegisterBits<T>; ++j) steps[j] = int64_t{1} << pass.local[registers[j]];
    for_each_amplitude<kAmplitudes<T>>([&](auto i, auto bit) {
      if constexpr (bit.value >= 0) at ^= steps[bit.value];
      write(out, to_row, at, v[i.value]);
    });
  }
};

// The steps; afterwards the block is in shared memory, or, with is_direct, in the output.
template <class T>
FK_DEVICE void run_steps(const BlockRow<T>& b, const StateOutput<T>& out, int64_t to_row, bool is_row, bool is_direct) {
  const bool has_final = b.pass.is_last && b.prepared.has_final[b.row];
  for (int32_t s = b.pass.step_begin; s < b.pass.step_end; ++s) {
    const StateStep step = b.program.steps[s];
    const bool is_start = b.pass.is_first && s == b.pass.step_begin, is_end = s + 1 == b.pass.step_end;
    Uint<T>* after = b.polynomial + b.shape.polynomial_size();
    if (step.before >= 0) b.fill_polynomial(step.before, b.polynomial);
    if (step.after >= 0) b.fill_polynomial(step.after, after);
    const bool is_uniform = is_start && b.starts_uniform();
    const Complex<T> uniform = is_uniform ? b.uniform_start() : Complex<T>{0, 0};
    if (is_start && !is_uniform) b.fill_tables(false);
    if (is_end && has_final) b.fill_tables(true);
    __syncthreads();
    for (uint32_t i = static_cast<uint32_t>(b.t); i >> (b.shape.size_bits - kRegisterBits<T>) == 0;
         i += static_cast<uint32_t>(b.group())) {
      const uint32_t base = spread<T>(i, step.registers);
      Registers<T> v;
      if (is_uniform) {
#pragma unroll
        for (int k = 0; k < kAmplitudes<T>; ++k) v[k] = uniform;
      } else if (is_start) {
        b.each_product(false, base, step.registers, [&](Complex<T> a, int k) { v[k] = a; });
      } else {
        b.each_amplitude(base, step.registers, [&](const Complex<T>& a, int k) { v[k] = a; });
      }
      if (step.before >= 0) b.apply_polynomial(v, b.polynomial, base, step.registers);
      b.apply_operations(v, step, base);
      if (step.after >= 0) b.apply_polynomial(v, after, base, step.registers);
      if (is_end && has_final)
        b.each_product(true, base, step.registers, [&](Complex<T> a, int k) { v[k] = v[k] * a; });
      if (!is_end || !is_direct)
        b.each_amplitude(base, step.registers, [&](Complex<T>& a, int k) { a = v[k]; });
      else if (is_row)
        b.write_registers(out, to_row, base, step.registers, v);
    }
    __syncthreads();
  }
}

}  // namespace flashket::cuda::statevector
