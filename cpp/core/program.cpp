// SPDX-FileCopyrightText: 2026 The FlashKet authors
// SPDX-License-Identifier: Apache-2.0
#include "core/program.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>

#include "core/gates.hpp"
#include "core/unitary.hpp"

namespace flashket {
namespace {

constexpr int32_t kMaxTables = 2;  // a table takes as much memory as a state
// Unitaries are applied up to a factor of at most 1 and at least 1/sqrt 2; every so many it is made good, long before
// float32 overflows.
constexpr int32_t kScaleInterval = 48;
// In vector instructions for each vector of amplitudes: a phase of a pair, a sign of a pair, a polynomial of any size.
constexpr double kPairCost = 2, kSignCost = 0.5, kPolynomialCost = 24;
constexpr double kPi = 3.14159265358979323846;
constexpr size_t kMostKeptGates = 4096;

bool same_gate(const Gate& s, const Gate& t) {  // bit by bit, but for what fills up
  return s.opcode == t.opcode && s.q0 == t.q0 && s.q1 == t.q1 && std::memcmp(&s.angle, &t.angle, sizeof s.angle) == 0;
}

AngleExpression constant(double radians) { return {0, radians, 0, 1, -1, -1}; }

}  // namespace

const std::vector<std::string>& opcode_names() {
  static const std::vector<std::string> names = {"h",   "x",   "y",    "z",   "s",   "sdg", "t",  "tdg",
                                                 "rx",  "ry",  "rz",   "p",   "cx",  "cz",  "cp", "rzz",
                                                 "rxx", "ryy", "swap", "crx", "cry", "crz"};
  return names;
}

// Walks the gates once. Qubits are physical from here on: SWAP only changes where a qubit of the circuit lives.
class CompiledProgram::Builder {
 public:
  Builder(CompiledProgram& program, const std::vector<Gate>& gates)
      : p_(program), gates_(gates), waiting_(p_.n_qubits_), is_started_(p_.n_qubits_, false) {
    for (int32_t q = 0; q < p_.n_qubits_; ++q) {
      place_.push_back(q);
      p_.initial_.push_back({q, 0, 0, 0});
      p_.final_.push_back({q, 0, 0, 0});
    }
  }

  void run() {
    for (size_t i = 0; i < gates_.size(); ++i) {
      const Gate& g = gates_[i];
      if (is_parity_phase(i)) {
        run_.push_back({at(gates_[i + 1]), place_[g.q0]});
        i += 2;
      } else if (is_diagonal(g.opcode)) {
        run_.push_back({at(g), -1});
      } else {
        if (g.opcode != Opcode::swap) end_run();
        add(at(g));
      }
    }
    end_run();
    for (int32_t q = 0; q < p_.n_qubits_; ++q) {
      while (place_[q] != q) {
        const int32_t p = place_[q];
        for (const auto& [control, target] : {std::pair{p, q}, std::pair{q, p}, std::pair{p, q}})
          add_cx(control, target);
        place_[std::find(place_.begin(), place_.end(), q) - place_.begin()] = p;
        place_[q] = q;
      }
    }
    for (int32_t q = 0; q < p_.n_qubits_; ++q) {
      if (!is_started_[q] || waits(q)) flush(q);
      p_.final_[q] = take(q);
    }
    p_.n_scales_ = static_cast<int32_t>(p_.unitaries_.size()) / kScaleInterval;
    compute_fixed();
  }

 private:
  struct Diagonal {
    Gate gate;
    int32_t parity_with;  // the other qubit of CX, phase, CX; -1: the gate is what it says
  };

  Gate at(Gate g) const {
    g.q0 = place_[g.q0];
    if (g.q1 >= 0) g.q1 = place_[g.q1];
    return g;
  }

  // CX(a, b), P or RZ on b, CX(a, b): the phase acts on the parity of a and b.
  bool is_parity_phase(size_t i) const {
    if (i + 2 >= gates_.size()) return false;
    const Gate &first = gates_[i], &phase = gates_[i + 1], &last = gates_[i + 2];
    return first.opcode == Opcode::cx && last.opcode == Opcode::cx && first.q0 == last.q0 && first.q1 == last.q1 &&
           (phase.opcode == Opcode::p || phase.opcode == Opcode::rz) && phase.q0 == first.q1;
  }

  int32_t angle(const AngleExpression& e) {
    std::array<uint64_t, 5> bits;
    static_assert(sizeof bits == sizeof e);
    std::memcpy(bits.data(), &e, sizeof e);
    const auto [place, is_new] = angles_.try_emplace(bits, static_cast<int32_t>(p_.angles_.size()));
    if (is_new) {
      AngleExpression own = e;
      if (e.f0 < 0) own.a0 = 0, own.f0 = p_.n_features_;
      if (e.f1 < 0) own.a1 = 0, own.f1 = p_.n_features_;
      p_.angles_.push_back(own);
    }
    return place->second;
  }

  int32_t use(int32_t angle, int32_t multiple) {
    const auto [place, is_new] = uses_.try_emplace({angle, multiple}, static_cast<int32_t>(p_.uses_.size()));
    if (is_new) p_.uses_.push_back({angle, multiple});
    return place->second;
  }

  void add_factor(int32_t q, const Factor& factor) {
    std::vector<Factor>& list = waiting_[q];
    if (factor.kind == FactorKind::fixed && !list.empty() && list.back().kind == FactorKind::fixed)
      list.back() = product(factor, list.back());
    else
      list.push_back(factor);
  }

  void add_fixed(Opcode op, int32_t q) { add_factor(q, fixed_factor(op)); }

  void add_turning(FactorKind kind, int32_t q, int32_t angle, int32_t multiple) {
    add_factor(q, {kind, use(angle, multiple), {}});
  }

  // Whether something waits on q that does not commute with phases.
  bool waits(int32_t q) const {
    return std::any_of(waiting_[q].begin(), waiting_[q].end(), [](const Factor& f) { return !is_diagonal(f); });
  }

  Unitary take(int32_t q) {
    const int32_t begin = static_cast<int32_t>(p_.factors_.size());
    p_.factors_.insert(p_.factors_.end(), waiting_[q].begin(), waiting_[q].end());
    waiting_[q].clear();
    return {q, begin, static_cast<int32_t>(p_.factors_.size()), 0};
  }

  bool has_fixed_factors(const Unitary& unitary) const {
    return std::all_of(p_.factors_.begin() + unitary.factor_begin, p_.factors_.begin() + unitary.factor_end,
                       [](const Factor& f) { return f.kind == FactorKind::fixed; });
  }

  template <int Columns>
  void multiply_fixed(const Unitary& unitary, Complex (&u)[2][Columns]) const {
    for (int32_t f = unitary.factor_begin; f < unitary.factor_end; ++f) apply_fixed(p_.factors_[f], u);
  }

  void compute_fixed() {
    std::vector<bool> is_fixed(p_.n_qubits_, true);  // of a qubit, as far as its unitaries have come
    for (Unitary& initial : p_.initial_) {
      Complex u[2][1] = {{{1, 0}}, {{0, 0}}};
      initial.is_fixed = has_fixed_factors(initial);
      if (initial.is_fixed) multiply_fixed(initial, u);
      p_.fixed_initial_.insert(p_.fixed_initial_.end(), {u[0][0], u[1][0]});
      if (!initial.is_fixed || u[0][0].re != u[1][0].re || u[0][0].im != u[1][0].im) p_.is_uniform_ = false;
      p_.uniform_ = p_.uniform_ * u[0][0];
    }
    p_.fixed_rests_.assign(p_.n_qubits_, {1, 0});
    p_.fixed_pivots_.assign(p_.n_scales_ + 1, {1, 0});
    for (size_t i = 0; i < p_.unitaries_.size(); ++i) {
      Unitary& unitary = p_.unitaries_[i];
      SplitUnitary parts{};
      unitary.is_fixed = is_fixed[unitary.qubit] && has_fixed_factors(unitary);
      is_fixed[unitary.qubit] = unitary.is_fixed;
      if (unitary.is_fixed) {
        Complex& rest = p_.fixed_rests_[unitary.qubit];
        Complex u[2][2] = {{{1, 0}, {0, 0}}, {{0, 0}, rest}};
        multiply_fixed(unitary, u);
        parts = split(u);
        rest = parts.rest;
        Complex& pivot = p_.fixed_pivots_[i / kScaleInterval];
        pivot = pivot * parts.pivot;
      }
      p_.fixed_cores_.push_back(parts.core);
    }
  }

  void add_operation(OperationKind kind, size_t index, uint64_t qubits) {
    p_.operations_.push_back({kind, static_cast<int32_t>(index), qubits});
  }

  void flush(int32_t q) {
    if (!is_started_[q]) {
      is_started_[q] = true;
      p_.initial_[q] = take(q);
      return;
    }
    add_operation(OperationKind::unitary, p_.unitaries_.size(), uint64_t{1} << q);
    p_.unitaries_.push_back(take(q));
    if (p_.unitaries_.size() % kScaleInterval == 0)
      add_operation(OperationKind::scale, p_.unitaries_.size() / kScaleInterval - 1, 0);
  }

  // use -1: CZ.
  void add_pair(int32_t a, int32_t b, int32_t use) {
    for (const int32_t q : {a, b}) {
      if (waits(q))
        flush(q);
      else if (!is_started_[q])
        return;  // that qubit is still 0: nothing happens
    }
    add_operation(OperationKind::pair_phase, p_.pair_phases_.size(), uint64_t{1} << a | uint64_t{1} << b);
    p_.pair_phases_.push_back({a, b, use});
  }

  void add_cx(int32_t control, int32_t target) {
    add_fixed(Opcode::h, target);
    add_pair(control, target, -1);
    add_fixed(Opcode::h, target);
  }

  // Not diagonal.
  void add(const Gate& g) {
    switch (g.opcode) {
      case Opcode::rx:
      case Opcode::ry:
        add_turning(g.opcode == Opcode::rx ? FactorKind::rx : FactorKind::ry, g.q0, angle(g.angle), 2);
        break;
      case Opcode::cx:
        add_cx(g.q0, g.q1);
        break;
      case Opcode::swap:
        std::iter_swap(std::find(place_.begin(), place_.end(), g.q0), std::find(place_.begin(), place_.end(), g.q1));
        break;
      case Opcode::crx:
      case Opcode::cry: {
        // R(t/2) CZ R(-t/2) CZ: Z turns the rotation round, so it acts twice where the control is 1 and not at all
        // where 0.
        const FactorKind kind = g.opcode == Opcode::crx ? FactorKind::rx : FactorKind::ry;
        const int32_t turn = angle(g.angle);
        add_pair(g.q0, g.q1, -1);
        add_turning(kind, g.q1, turn, -1);
        add_pair(g.q0, g.q1, -1);
        add_turning(kind, g.q1, turn, 1);
        break;
      }
      case Opcode::rxx:
      case Opcode::ryy: {
        // RZZ between basis changes: H, or RX of a quarter turn.
        const auto change = [&](double quarter) {
          for (const int32_t q : {g.q0, g.q1}) {
            if (g.opcode == Opcode::rxx)
              add_fixed(Opcode::h, q);
            else
              add_turning(FactorKind::rx, q, angle(constant(quarter)), 2);
          }
        };
        change(kPi / 2);
        run_.push_back({{Opcode::rzz, g.q0, g.q1, g.angle}, -1});
        end_run();
        change(-kPi / 2);
        break;
      }
      default:
        add_fixed(g.opcode, g.q0);
    }
  }

  void end_run() {
    double cost = 0;
    for (const Diagonal& d : run_)
      if (d.parity_with >= 0 || takes_two_qubits(d.gate.opcode))
        cost += d.gate.opcode == Opcode::cz ? kSignCost : kPairCost;
    for (const Diagonal& d : run_)
      if (cost < kPolynomialCost) add_phase(d);
    if (cost >= kPolynomialCost) add_polynomial();
    run_.clear();
  }

  void add_phase(const Diagonal& d) {
    const Gate& g = d.gate;
    const bool is_parity = d.parity_with >= 0;
    switch (g.opcode) {
      case Opcode::p:
      case Opcode::rz:
      case Opcode::rzz: {
        const int32_t turn = angle(g.angle), b = is_parity ? d.parity_with : g.q1;
        if (g.opcode == Opcode::p)
          add_turning(FactorKind::phase, g.q0, turn, 4);
        else
          add_turning(FactorKind::rz, g.q0, turn, 2);
        if (b < 0) break;
        add_turning(FactorKind::phase, b, turn, 4);
        add_pair(g.q0, b, use(turn, -8));
        break;
      }
      case Opcode::cz:
        add_pair(g.q0, g.q1, -1);
        break;
      case Opcode::cp:
        add_pair(g.q0, g.q1, use(angle(g.angle), 4));
        break;
      case Opcode::crz: {
        const int32_t turn = angle(g.angle);
        add_turning(FactorKind::phase, g.q0, turn, -2);
        add_pair(g.q0, g.q1, use(turn, 4));
        break;
      }
      default:
        add_fixed(g.opcode, g.q0);
    }
  }

  // The polynomial that is being made.
  struct Sums {
    std::map<std::pair<int32_t, int32_t>, int32_t> multiples;  // of each coefficient and angle
    std::map<int32_t, uint64_t> fixed;
  };

  // a, b < 0: not there.
  int32_t coefficient(int32_t a, int32_t b) const {
    const int64_t low = std::min(a, b), high = std::max(a, b);
    return static_cast<int32_t>(high < 0 ? 0 : low < 0 ? 1 + high : 1 + p_.n_qubits_ + pairs_of(high) + low);
  }

  // A bit is (1 - s) / 2 of its sign s.
  void add_terms(const Diagonal& d, Sums& sums) {
    const Gate& g = d.gate;
    const auto turn = [&](int32_t a, int32_t b, int32_t multiple) {
      sums.multiples[{coefficient(a, b), angle(g.angle)}] += multiple;
    };
    const auto fixed = [&](int32_t a, int32_t b, uint64_t phase) { sums.fixed[coefficient(a, b)] += phase; };
    switch (g.opcode) {
      case Opcode::p:
      case Opcode::rz:
      case Opcode::rzz:
        if (g.opcode == Opcode::p) turn(-1, -1, 2);
        turn(g.q0, d.parity_with >= 0 ? d.parity_with : g.q1, -2);
        break;
      case Opcode::cz:
        fixed(-1, -1, 2 * kSixteenthTurn);
        fixed(g.q0, -1, -2 * kSixteenthTurn);
        fixed(g.q1, -1, -2 * kSixteenthTurn);
        fixed(g.q0, g.q1, 2 * kSixteenthTurn);
        break;
      case Opcode::cp:
        turn(-1, -1, 1);
        turn(g.q0, -1, -1);
        turn(g.q1, -1, -1);
        turn(g.q0, g.q1, 1);
        break;
      case Opcode::crz:
        turn(g.q1, -1, -1);
        turn(g.q0, g.q1, 1);
        break;
      default:
        fixed(-1, -1, fixed_half_phase(g.opcode));
        fixed(g.q0, -1, -fixed_half_phase(g.opcode));
    }
  }

  bool is_same(const PhasePolynomial& x, const PhasePolynomial& y) const {
    const PhaseTerm* terms = p_.terms_.data();
    const FixedPhase* fixed = p_.fixed_phases_.data();
    return std::equal(terms + x.term_begin, terms + x.term_end, terms + y.term_begin, terms + y.term_end,
                      [](const PhaseTerm& s, const PhaseTerm& t) {
                        return s.coefficient == t.coefficient && s.angle == t.angle && s.multiple == t.multiple;
                      }) &&
           std::equal(fixed + x.fixed_begin, fixed + x.fixed_end, fixed + y.fixed_begin, fixed + y.fixed_end,
                      [](const FixedPhase& s, const FixedPhase& t) {
                        return s.coefficient == t.coefficient && s.phase == t.phase;
                      });
  }

  void add_polynomial() {
    Sums sums;
    uint64_t qubits = 0;
    for (const Diagonal& d : run_) {
      add_terms(d, sums);
      for (const int32_t q : {d.gate.q0, d.gate.q1, d.parity_with})
        if (q >= 0) qubits |= uint64_t{1} << q;
    }
    const auto n_terms = [this] { return static_cast<int32_t>(p_.terms_.size()); };
    const auto n_fixed = [this] { return static_cast<int32_t>(p_.fixed_phases_.size()); };
    PhasePolynomial polynomial{n_terms(), n_terms(), 0, n_fixed(), 0, -1};
    for (const auto& [at, multiple] : sums.multiples) {
      p_.terms_.push_back({at.first, at.second, multiple});
      if (at.first == 0) ++polynomial.constant_end;
    }
    for (const auto& [at, phase] : sums.fixed) p_.fixed_phases_.push_back({at, phase});
    polynomial.term_end = n_terms();
    polynomial.fixed_end = n_fixed();
    for (int32_t q = 0; q < p_.n_qubits_; ++q)
      if ((qubits >> q & 1) && (!is_started_[q] || waits(q))) flush(q);
    size_t index = 0;
    while (index < p_.polynomials_.size() && !is_same(p_.polynomials_[index], polynomial)) ++index;
    if (index == p_.polynomials_.size()) {
      p_.polynomials_.push_back(polynomial);
    } else {
      p_.terms_.resize(polynomial.term_begin);
      p_.fixed_phases_.resize(polynomial.fixed_begin);
      if (p_.polynomials_[index].table < 0 && p_.n_tables_ < kMaxTables) p_.polynomials_[index].table = p_.n_tables_++;
    }
    add_operation(OperationKind::polynomial, index, qubits);
  }

  CompiledProgram& p_;
  const std::vector<Gate>& gates_;
  std::vector<int32_t> place_;                // of every qubit of the circuit
  std::vector<std::vector<Factor>> waiting_;  // gates on a qubit that are not yet part of an operation
  std::vector<bool> is_started_;              // its initial unitary is complete
  std::vector<Diagonal> run_;
  std::map<std::array<uint64_t, 5>, int32_t> angles_;  // by their bits
  std::map<std::pair<int32_t, int32_t>, int32_t> uses_;
};

CompiledProgram::CompiledProgram(int32_t n_qubits, int32_t n_features, const std::vector<Gate>& gates)
    : n_qubits_(n_qubits), n_features_(n_features) {
  if (n_qubits < 1 || n_qubits > kMaxQubits)
    throw std::invalid_argument("program: n_qubits must be 1 to 40, got " + std::to_string(n_qubits));
  for (size_t i = 0; i < gates.size(); ++i) {
    const Gate& g = gates[i];
    const std::string place = "program: gate " + std::to_string(i);
    if (g.opcode < Opcode::h || g.opcode > Opcode::crz) throw std::invalid_argument(place + " has an unknown opcode");
    const bool two = takes_two_qubits(g.opcode);
    if (g.q0 < 0 || g.q0 >= n_qubits || (two ? (g.q1 < 0 || g.q1 >= n_qubits || g.q1 == g.q0) : g.q1 != -1))
      throw std::invalid_argument(place + " has bad qubits");
    if (g.angle.f0 < -1 || g.angle.f0 >= n_features || g.angle.f1 < -1 || g.angle.f1 >= n_features)
      throw std::invalid_argument(place + " names a feature that does not exist");
  }
  Builder(*this, gates).run();
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
  return compile(n_qubits, n_features, std::move(gates));
}

std::shared_ptr<const CompiledProgram> CompiledProgram::compile(int32_t n_qubits, int32_t n_features,
                                                                std::vector<Gate> gates) {
  if (gates.size() > kMostKeptGates) return std::make_shared<CompiledProgram>(n_qubits, n_features, gates);
  struct Kept {
    std::vector<Gate> gates;
    std::shared_ptr<const CompiledProgram> program;
  };
  thread_local std::array<Kept, 4> kept;  // the last one used first; no lock that a fork could find taken
  const auto is_wanted = [&](const Kept& k) {
    return k.program && k.program->n_qubits_ == n_qubits && k.program->n_features_ == n_features &&
           std::equal(k.gates.begin(), k.gates.end(), gates.begin(), gates.end(), same_gate);
  };
  auto found = std::find_if(kept.begin(), kept.end(), is_wanted);
  if (found == kept.end()) {
    Kept& oldest = kept.back();
    oldest.program = std::make_shared<CompiledProgram>(n_qubits, n_features, gates);
    oldest.gates = std::move(gates);
    found = std::prev(kept.end());
  }
  std::rotate(kept.begin(), found, found + 1);
  return kept[0].program;
}

const PlanView* CompiledProgram::plan(PlanShape shape) const {
  const auto find = [&]() -> const PlanView* {
    for (const auto& slot : plans_) {
      const Plan* plan = slot.load(std::memory_order_acquire);
      if (plan == nullptr) return nullptr;
      if (std::memcmp(&plan->shape, &shape, sizeof shape) == 0) return &plan->view;
    }
    throw std::logic_error("program: more plan shapes than an instruction set has");
  };
  if (const PlanView* found = find()) return found;
  const std::lock_guard<std::mutex> lock(plans_mutex_);
  if (const PlanView* found = find()) return found;  // another thread was faster
  const auto free = std::find_if(plans_.begin(), plans_.end(), [](const auto& slot) { return slot.load() == nullptr; });
  const Plan* made = new Plan(make_plan(n_qubits_, operations_, shape));
  free->store(made, std::memory_order_release);
  return &made->view;
}

CompiledProgram::~CompiledProgram() {
  for (const auto& slot : plans_) delete slot.load();
}

ProgramView CompiledProgram::view() const {
  ProgramView v{};
  v.n_qubits = n_qubits_;
  v.n_features = n_features_;
  v.n_angles = static_cast<int32_t>(angles_.size());
  v.n_uses = static_cast<int32_t>(uses_.size());
  v.n_unitaries = static_cast<int32_t>(unitaries_.size());
  v.n_pair_phases = static_cast<int32_t>(pair_phases_.size());
  v.n_polynomials = static_cast<int32_t>(polynomials_.size());
  v.n_scales = n_scales_;
  v.n_tables = n_tables_;
  v.scale_interval = kScaleInterval;
  v.angles = angles_.data();
  v.uses = uses_.data();
  v.factors = factors_.data();
  v.initial = initial_.data();
  v.unitaries = unitaries_.data();
  v.final = final_.data();
  v.fixed_initial = fixed_initial_.data();
  v.fixed_cores = fixed_cores_.data();
  v.fixed_rests = fixed_rests_.data();
  v.fixed_pivots = fixed_pivots_.data();
  v.is_uniform = is_uniform_;
  v.uniform = uniform_;
  v.pair_phases = pair_phases_.data();
  v.polynomials = polynomials_.data();
  v.terms = terms_.data();
  v.fixed_phases = fixed_phases_.data();
  v.owner = this;
  v.plan = [](const void* owner, PlanShape shape) { return static_cast<const CompiledProgram*>(owner)->plan(shape); };
  return v;
}

}  // namespace flashket
