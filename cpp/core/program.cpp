// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "core/program.hpp"

#include <stdexcept>

namespace flashket {
namespace {

constexpr int32_t kMaxTables = 2;  // a table takes as much memory as a state
constexpr double kPi = 3.14159265358979323846;

AngleExpression constant(double radians) { return {0, radians, 0, 1, -1, -1}; }

bool takes_angle(Opcode op) {
  switch (op) {
    case Opcode::rx:
    case Opcode::ry:
    case Opcode::rz:
    case Opcode::p:
    case Opcode::cp:
    case Opcode::rzz:
    case Opcode::rxx:
    case Opcode::ryy:
    case Opcode::crx:
    case Opcode::cry:
    case Opcode::crz:
      return true;
    default:
      return false;
  }
}

bool takes_two_qubits(Opcode op) { return op >= Opcode::cx; }

bool is_diagonal(Opcode op) {
  switch (op) {
    case Opcode::z:
    case Opcode::s:
    case Opcode::sdg:
    case Opcode::t:
    case Opcode::tdg:
    case Opcode::rz:
    case Opcode::p:
    case Opcode::cz:
    case Opcode::cp:
    case Opcode::rzz:
    case Opcode::crz:
      return true;
    default:
      return false;
  }
}

// RXX and RYY are RZZ between basis changes; everything downstream then knows fewer gates.
std::vector<Gate> decompose(const std::vector<Gate>& gates) {
  std::vector<Gate> out;
  for (const Gate& g : gates) {
    if (g.opcode != Opcode::rxx && g.opcode != Opcode::ryy) {
      out.push_back(g);
      continue;
    }
    const bool is_x = g.opcode == Opcode::rxx;
    for (const int32_t q : {g.q0, g.q1})
      out.push_back({is_x ? Opcode::h : Opcode::rx, q, -1, constant(is_x ? 0 : kPi / 2)});
    out.push_back({Opcode::rzz, g.q0, g.q1, g.angle});
    for (const int32_t q : {g.q0, g.q1})
      out.push_back({is_x ? Opcode::h : Opcode::rx, q, -1, constant(is_x ? 0 : -kPi / 2)});
  }
  return out;
}

bool same_terms(const std::vector<PhaseTerm>& terms, const std::vector<AngleExpression>& angles, const Step& a,
                const Step& b) {
  const int32_t n = a.term_end - a.term_begin;
  if (n != b.term_end - b.term_begin) return false;
  for (int32_t i = 0; i < n; ++i) {
    const PhaseTerm &s = terms[a.term_begin + i], &t = terms[b.term_begin + i];
    if (s.a != t.a || s.b != t.b || s.scale != t.scale || s.offset != t.offset || (s.angle < 0) != (t.angle < 0))
      return false;
    if (s.angle < 0) continue;
    const AngleExpression &x = angles[s.angle], &y = angles[t.angle];
    if (x.a0 != y.a0 || x.b0 != y.b0 || x.a1 != y.a1 || x.b1 != y.b1 || x.f0 != y.f0 || x.f1 != y.f1) return false;
  }
  return true;
}

}  // namespace

const std::vector<std::string>& opcode_names() {
  static const std::vector<std::string> names = {"h",   "x",   "y",    "z",   "s",   "sdg", "t",  "tdg",
                                                 "rx",  "ry",  "rz",   "p",   "cx",  "cz",  "cp", "rzz",
                                                 "rxx", "ryy", "swap", "crx", "cry", "crz"};
  return names;
}

CompiledProgram::CompiledProgram(int32_t n_qubits, int32_t n_features, const std::vector<Gate>& source)
    : n_qubits_(n_qubits), n_features_(n_features) {
  if (n_qubits < 1 || n_qubits > 40)
    throw std::invalid_argument("program: n_qubits must be 1 to 40, got " + std::to_string(n_qubits));
  for (size_t i = 0; i < source.size(); ++i) {
    const Gate& g = source[i];
    const std::string place = "program: gate " + std::to_string(i);
    if (g.opcode < Opcode::h || g.opcode > Opcode::crz) throw std::invalid_argument(place + " has an unknown opcode");
    const bool two = takes_two_qubits(g.opcode);
    if (g.q0 < 0 || g.q0 >= n_qubits || (two ? (g.q1 < 0 || g.q1 >= n_qubits || g.q1 == g.q0) : g.q1 != -1))
      throw std::invalid_argument(place + " has bad qubits");
    if (g.angle.f0 < -1 || g.angle.f0 >= n_features || g.angle.f1 < -1 || g.angle.f1 >= n_features)
      throw std::invalid_argument(place + " names a feature that does not exist");
  }
  const std::vector<Gate> gates = decompose(source);

  const auto add_angle = [&](const AngleExpression& e) {
    angles_.push_back(e);
    return static_cast<int32_t>(angles_.size()) - 1;
  };
  // scale and turns: this much of the angle, plus a fixed part of a turn (T is an eighth: 2^61).
  const auto add_term = [&](int32_t a, int32_t b, double scale, int32_t angle, uint64_t offset) {
    terms_.push_back({a, b, scale, offset, angle});
  };
  const auto add_diagonal = [&](const Gate& g) {
    constexpr uint64_t eighth = uint64_t{1} << 61;
    const int32_t angle = takes_angle(g.opcode) ? add_angle(g.angle) : -1;
    switch (g.opcode) {
      case Opcode::z:
        add_term(g.q0, -1, 0, -1, 4 * eighth);
        break;
      case Opcode::s:
        add_term(g.q0, -1, 0, -1, 2 * eighth);
        break;
      case Opcode::sdg:
        add_term(g.q0, -1, 0, -1, 6 * eighth);
        break;
      case Opcode::t:
        add_term(g.q0, -1, 0, -1, eighth);
        break;
      case Opcode::tdg:
        add_term(g.q0, -1, 0, -1, 7 * eighth);
        break;
      case Opcode::p:
        add_term(g.q0, -1, 1, angle, 0);
        break;
      case Opcode::rz:
        add_term(-1, -1, -0.5, angle, 0);
        add_term(g.q0, -1, 1, angle, 0);
        break;
      case Opcode::cz:
        add_term(g.q0, g.q1, 0, -1, 4 * eighth);
        break;
      case Opcode::cp:
        add_term(g.q0, g.q1, 1, angle, 0);
        break;
      case Opcode::crz:
        add_term(g.q0, -1, -0.5, angle, 0);
        add_term(g.q0, g.q1, 1, angle, 0);
        break;
      default:  // rzz: exp(-i angle / 2) on even parity, exp(+i angle / 2) on odd; parity = a + b - 2 a b
        add_term(-1, -1, -0.5, angle, 0);
        add_term(g.q0, -1, 1, angle, 0);
        add_term(g.q1, -1, 1, angle, 0);
        add_term(g.q0, g.q1, -2, angle, 0);
    }
  };
  // CX(a, b), P or RZ on b, CX(a, b): the phase acts on the parity of a and b.
  const auto is_parity_phase = [&](size_t i) {
    if (i + 2 >= gates.size()) return false;
    const Gate &first = gates[i], &phase = gates[i + 1], &last = gates[i + 2];
    return first.opcode == Opcode::cx && last.opcode == Opcode::cx && first.q0 == last.q0 && first.q1 == last.q1 &&
           (phase.opcode == Opcode::p || phase.opcode == Opcode::rz) && phase.q0 == first.q1;
  };

  for (size_t i = 0; i < gates.size();) {
    const Gate& g = gates[i];
    Step step{};
    step.q0 = g.q0;
    step.q1 = g.q1;
    step.angle = step.table = -1;
    step.opcode = static_cast<int32_t>(g.opcode);

    if (is_diagonal(g.opcode) || is_parity_phase(i)) {
      step.kind = StepKind::diagonal;
      step.term_begin = static_cast<int32_t>(terms_.size());
      for (; i < gates.size(); ++i) {
        if (is_parity_phase(i)) {
          const Gate& phase = gates[i + 1];
          const int32_t angle = add_angle(phase.angle), a = gates[i].q0, b = gates[i].q1;
          if (phase.opcode == Opcode::rz) add_term(-1, -1, -0.5, angle, 0);
          add_term(a, -1, 1, angle, 0);
          add_term(b, -1, 1, angle, 0);
          add_term(a, b, -2, angle, 0);
          i += 2;
        } else if (is_diagonal(gates[i].opcode)) {
          add_diagonal(gates[i]);
        } else {
          break;
        }
      }
      step.term_end = static_cast<int32_t>(terms_.size());
      for (Step& earlier : steps_) {
        if (earlier.kind != StepKind::diagonal || !same_terms(terms_, angles_, earlier, step)) continue;
        if (earlier.table < 0 && n_tables_ == kMaxTables) break;
        if (earlier.table < 0) earlier.table = n_tables_++;
        step.table = earlier.table;
        step.is_table_ready = 1;
        break;
      }
      steps_.push_back(step);
      continue;
    }

    if (g.opcode == Opcode::h) {
      std::vector<bool> seen(n_qubits, false);
      size_t end = i;
      while (end < gates.size() && gates[end].opcode == Opcode::h && !seen[gates[end].q0]) seen[gates[end++].q0] = true;
      if (static_cast<int32_t>(end - i) == n_qubits) {
        step.kind = StepKind::hadamard_all;
        steps_.push_back(step);
        i = end;
        continue;
      }
    }

    if (takes_angle(g.opcode)) step.angle = add_angle(g.angle);
    switch (g.opcode) {
      case Opcode::cx:
        step.kind = StepKind::controlled_x;
        break;
      case Opcode::swap:
        step.kind = StepKind::swap;
        break;
      case Opcode::crx:
      case Opcode::cry:
        step.kind = StepKind::controlled;
        break;
      default:
        step.kind = StepKind::one_qubit;
    }
    steps_.push_back(step);
    ++i;
  }
}

std::shared_ptr<const CompiledProgram> CompiledProgram::from_arrays(int32_t n_qubits, int32_t n_features,
                                                                    int64_t n_gates, const int32_t* opcodes,
                                                                    const int32_t* qubits, const int32_t* features,
                                                                    const double* coefficients) {
  std::vector<Gate> gates;
  for (int64_t i = 0; i < n_gates; ++i) {
    const double* c = coefficients + 4 * i;
    gates.push_back({static_cast<Opcode>(opcodes[i]),
                     qubits[2 * i],
                     qubits[2 * i + 1],
                     {c[0], c[1], c[2], c[3], features[2 * i], features[2 * i + 1]}});
  }
  return std::make_shared<CompiledProgram>(n_qubits, n_features, gates);
}

ProgramView CompiledProgram::view() const {
  return {n_qubits_,
          n_features_,
          static_cast<int32_t>(steps_.size()),
          static_cast<int32_t>(terms_.size()),
          n_tables_,
          static_cast<int32_t>(angles_.size()),
          steps_.data(),
          terms_.data(),
          angles_.data()};
}

}  // namespace flashket
