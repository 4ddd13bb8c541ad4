// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
// Statevector of a compiled Program, one row at a time: planes re[z], im[z], qubit 0 is the lowest bit of z.
// Phases of a diagonal step are summed as fixed-point turns (uint32 for float, uint64 for double: no precision is lost
// however many terms meet) by doubling: phase(z + 2^k) = phase(z) + g_k(z), about 2 additions a basis state.
// A Walsh-Hadamard transform costs n additions a basis state; any other gate one pass.
#include "core/simd.hpp"

namespace flashket::FLASHKET_ISA_NAMESPACE {
namespace {

// Fixed-point turns of scale * angle (radians): split so that all 64 bits are right for moderate angles.
uint64_t turns(double angle, double scale) {
  const long double t =
      static_cast<long double>(angle) * static_cast<long double>(scale) * 0.159154943091895335768883763372514362L;
  const long double high = (t - ::floorl(t)) * 4294967296.0L;
  const uint64_t high_word = static_cast<uint64_t>(high);
  const long double low = (high - static_cast<long double>(high_word)) * 4294967296.0L;
  return (high_word << 32) + static_cast<uint64_t>(low);
}

template <class T>
double evaluate(const AngleExpression& e, const T* x) {
  const double first = e.f0 < 0 ? e.b0 : e.a0 * static_cast<double>(x[e.f0]) + e.b0;
  const double second = e.f1 < 0 ? e.b1 : e.a1 * static_cast<double>(x[e.f1]) + e.b1;
  return first * second;
}

// Rounded up so that whole vectors can be read and written; the encoded row has depth() elements a plane.
int64_t padded_size(const ProgramView& p) {
  const int64_t size = int64_t{1} << p.n_qubits, lanes = kLanes<float>;
  return size < lanes ? lanes : size;
}

template <class T>
struct Machine {
  using Uint = typename Simd<T>::Uint;
  const ProgramView& program;
  const T* x;
  T* re;
  T* im;
  int64_t size;
  // Scratch, in this order; see scratch().
  T* tables;            // n_tables x (cos plane, sin plane)
  Uint* phase;          // size
  Uint* increment;      // size
  uint64_t* linear;     // n
  uint64_t* quadratic;  // n x n, [k][j] with j < k

  static Uint top_bits(uint64_t turn) { return static_cast<Uint>(turn >> (64 - 8 * sizeof(Uint))); }

  // Multiplies every amplitude pair (z without bit q, z with bit q) by [[m00, m01], [m10, m11]]; with control >= 0 only
  // where that bit is set. m is re, im interleaved.
  void one_qubit(int q, int control, const T (&m)[8]) {
    const int64_t stride = int64_t{1} << q;
    const int64_t control_bit = control < 0 ? 0 : int64_t{1} << control;
    for (int64_t base = 0; base < size; base += 2 * stride) {
      for (int64_t z = base; z < base + stride; ++z) {
        if ((z & control_bit) != control_bit) continue;
        const T ar = re[z], ai = im[z], br = re[z + stride], bi = im[z + stride];
        re[z] = m[0] * ar - m[1] * ai + m[2] * br - m[3] * bi;
        im[z] = m[0] * ai + m[1] * ar + m[2] * bi + m[3] * br;
        re[z + stride] = m[4] * ar - m[5] * ai + m[6] * br - m[7] * bi;
        im[z + stride] = m[4] * ai + m[5] * ar + m[6] * bi + m[7] * br;
      }
    }
  }

  // One stage inside a vector: lanes l and l ^ S meet.
  template <int S>
  static FLASHKET_INLINE Vec<T> lane_butterfly(Vec<T> v) {
    Vec<T> partner, sign;
    for (int l = 0; l < static_cast<int>(kLanes<T>); ++l) {
      partner[l] = v[l ^ S];
      sign[l] = (l & S) ? T(-1) : T(1);
    }
    return v * sign + partner;
  }

  void walsh_hadamard(T* plane, T scale) {
    int64_t stride = 1;
    if (size >= kLanes<T>) {
      for (int64_t z = 0; z < size; z += kLanes<T>) {
        Vec<T> v = load(plane + z);
        v = lane_butterfly<1>(v);
        if constexpr (kLanes<T> > 2) v = lane_butterfly<2>(v);
        if constexpr (kLanes<T> > 4) v = lane_butterfly<4>(v);
        if constexpr (kLanes<T> > 8) v = lane_butterfly<8>(v);
        store<T>(plane + z, v * scale);
      }
      stride = kLanes<T>;
    } else {
      for (int64_t z = 0; z < size; ++z) plane[z] *= scale;
    }
    for (; stride < size; stride *= 2) {
      for (int64_t base = 0; base < size; base += 2 * stride) {
        T* low = plane + base;
        T* high = low + stride;
        if (stride >= kLanes<T>) {
          for (int64_t z = 0; z < stride; z += kLanes<T>) {
            const Vec<T> a = load(low + z), b = load(high + z);
            store<T>(low + z, a + b);
            store<T>(high + z, a - b);
          }
        } else {
          for (int64_t z = 0; z < stride; ++z) {
            const T a = low[z], b = high[z];
            low[z] = a + b;
            high[z] = a - b;
          }
        }
      }
    }
  }

  void sum_phases(const Step& step) {
    const int n = program.n_qubits;
    uint64_t constant = 0;
    memset(linear, 0, sizeof(uint64_t) * n);
    memset(quadratic, 0, sizeof(uint64_t) * n * n);
    for (int32_t i = step.term_begin; i < step.term_end; ++i) {
      const PhaseTerm& term = program.terms[i];
      uint64_t value = term.offset;
      if (term.angle >= 0) value += turns(evaluate(program.angles[term.angle], x), term.scale);
      if (term.a < 0) {
        constant += value;
      } else if (term.b < 0) {
        linear[term.a] += value;
      } else {
        const int high = term.a > term.b ? term.a : term.b, low = term.a > term.b ? term.b : term.a;
        quadratic[high * n + low] += value;
      }
    }
    phase[0] = top_bits(constant);
    for (int k = 0; k < n; ++k) {
      increment[0] = top_bits(linear[k]);
      for (int j = 0; j < k; ++j) {
        const Uint q = top_bits(quadratic[k * n + j]);
        const int64_t half = int64_t{1} << j;
        for (int64_t z = 0; z < half; ++z) increment[z + half] = increment[z] + q;
      }
      const int64_t half = int64_t{1} << k;
      for (int64_t z = 0; z < half; ++z) phase[z + half] = phase[z] + increment[z];
    }
  }

  void diagonal(const Step& step) {
    const int64_t plane = padded_size(program);  // whole vectors are stored, also where the state is smaller than one
    T* cosines = step.table < 0 ? nullptr : tables + 2 * plane * step.table;
    if (!step.is_table_ready) sum_phases(step);
    for (int64_t z = 0; z < size; z += kLanes<T>) {
      Vec<T> c, s;
      if (step.is_table_ready) {
        c = load(cosines + z);
        s = load(cosines + plane + z);
      } else {
        UintVec<T> turn;
        memcpy(&turn, phase + z, sizeof turn);
        sincos_turns<T>(turn, s, c);
        if (cosines) {
          store<T>(cosines + z, c);
          store<T>(cosines + plane + z, s);
        }
      }
      const Vec<T> a = load(re + z), b = load(im + z);
      store<T>(re + z, a * c - b * s);
      store<T>(im + z, a * s + b * c);
    }
  }

  void matrix_of(int32_t opcode, double angle, T (&m)[8]) const {
    const double c = ::cos(0.5 * angle), s = ::sin(0.5 * angle), r = 0.70710678118654752440;
    const double table[6][8] = {
        {r, 0, r, 0, r, 0, -r, 0},   // h
        {0, 0, 1, 0, 1, 0, 0, 0},    // x
        {0, 0, 0, -1, 0, 1, 0, 0},   // y
        {c, 0, 0, -s, 0, -s, c, 0},  // rx
        {c, 0, -s, 0, s, 0, c, 0},   // ry
    };
    // Opcode numbers as in program.hpp, which ISA files cannot include.
    const int row = opcode == 0 ? 0 : opcode == 1 ? 1 : opcode == 2 ? 2 : (opcode == 8 || opcode == 19) ? 3 : 4;
    for (int i = 0; i < 8; ++i) m[i] = static_cast<T>(table[row][i]);
  }

  void exchange(int64_t mask, int64_t from, int64_t to) {  // amplitudes with (z & mask) == from trade places with `to`
    for (int64_t z = 0; z < size; ++z) {
      if ((z & mask) != from) continue;
      const int64_t other = z ^ from ^ to;
      const T a = re[z], b = im[z];
      re[z] = re[other];
      im[z] = im[other];
      re[other] = a;
      im[other] = b;
    }
  }

  void run() {
    memset(re, 0, sizeof(T) * size);
    memset(im, 0, sizeof(T) * size);
    const T uniform = static_cast<T>(::pow(2.0, -0.5 * program.n_qubits));
    int32_t first = 0;
    if (program.n_steps > 0 && program.steps[0].kind == StepKind::hadamard_all) {
      for (int64_t z = 0; z < size; ++z) re[z] = uniform;
      first = 1;
    } else {
      re[0] = T(1);
    }
    for (int32_t i = first; i < program.n_steps; ++i) {
      const Step& step = program.steps[i];
      const double angle = step.angle < 0 ? 0 : evaluate(program.angles[step.angle], x);
      const int64_t bit0 = int64_t{1} << step.q0, bit1 = step.q1 < 0 ? 0 : int64_t{1} << step.q1;
      T m[8];
      switch (step.kind) {
        case StepKind::hadamard_all:
          walsh_hadamard(re, uniform);
          walsh_hadamard(im, uniform);
          break;
        case StepKind::diagonal:
          diagonal(step);
          break;
        case StepKind::one_qubit:
          matrix_of(step.opcode, angle, m);
          one_qubit(step.q0, -1, m);
          break;
        case StepKind::controlled:
          matrix_of(step.opcode, angle, m);
          one_qubit(step.q1, step.q0, m);
          break;
        case StepKind::controlled_x:
          exchange(bit0 | bit1, bit0, bit0 | bit1);
          break;
        case StepKind::swap:
          exchange(bit0 | bit1, bit0, bit1);
          break;
      }
    }
  }
};

int64_t depth(const EncoderArgs& args) { return int64_t{1} << args.program->n_qubits; }

int64_t scratch(const EncoderArgs& args) {  // in elements of T; the uint64 sums are counted for the narrow T
  const ProgramView& p = *args.program;
  const int64_t n = p.n_qubits;
  return padded_size(p) * (4 + 2 * int64_t{p.n_tables}) + 2 * (n + n * n) + 16;
}

template <class T>
void row(const T* x, T* out, T* scratch_memory, const EncoderArgs& args) {
  const ProgramView& p = *args.program;
  const int64_t padded = padded_size(p), size = depth(args);
  using Uint = typename Simd<T>::Uint;
  uint64_t* linear = reinterpret_cast<uint64_t*>(scratch_memory);
  uint64_t* quadratic = linear + p.n_qubits;
  T* planes = reinterpret_cast<T*>(quadratic + p.n_qubits * p.n_qubits);
  T *re = planes, *im = planes + padded;
  Uint* phase = reinterpret_cast<Uint*>(im + padded);
  Uint* increment = phase + padded;
  T* tables = reinterpret_cast<T*>(increment + padded);
  const bool is_padded = padded != size;
  // Small states run in padded scratch planes, others directly in the row they become.
  Machine<T> machine{
      p, x, is_padded ? re : out, is_padded ? im : out + size, size, tables, phase, increment, linear, quadratic};
  machine.run();
  if (is_padded) {
    memcpy(out, re, sizeof(T) * size);
    memcpy(out + size, im, sizeof(T) * size);
  }
}

}  // namespace

extern const Encoder program_encoder;
const Encoder program_encoder = {"program", PairKind::complex_dot, depth, scratch, row<float>, row<double>};

}  // namespace flashket::FLASHKET_ISA_NAMESPACE
