# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Programs: what expressions become as gate angles, decomposition of every known gate, and OpenQASM out and in again."""

from __future__ import annotations

import math
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flashket as fk
from contract import run_python
from flashket import reference
from flashket.circuits import gates
from flashket.circuits.expression import DegreeError, Expression
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE

numbers = st.one_of(st.sampled_from([0.0, 1.0, -1.0, 2.0, math.pi, -0.5]), st.floats(-50, 50, allow_subnormal=False))


def value_of(angles, x):
    """Return the sum over gates of the product of the factors."""
    return sum(math.prod(s * x[f] + o if f >= 0 else o for s, f, o in factors) for factors in angles)


@st.composite
def affine(draw, n=3):
    """Return (Expression, function) of up to three features."""
    offset, scales = draw(numbers), draw(st.dictionaries(st.integers(0, n - 1), numbers, max_size=n))
    expression = Expression(offset)
    for feature, scale in scales.items():
        expression += Expression.feature(feature) * scale
    return expression, lambda x: offset + sum(scale * x[feature] for feature, scale in scales.items())


@given(affine(), affine(), affine(), numbers)
def test_expressions_keep_their_value(a, b, c, k):
    x = (0.3, -1.7, 2.9)
    expression = (a[0] * b[0] - c[0]) * k + c[0] * 2.0
    expected = (a[1](x) * b[1](x) - c[1](x)) * k + c[1](x) * 2.0
    size = (1 + abs(k)) * 300**2  # an affine function of three features is at most 50 (1 + 0.3 + 1.7 + 2.9)
    angles = expression.gate_angles()
    assert all(1 <= len(factors) <= 2 for factors in angles)
    assert value_of(angles, x) == pytest.approx(expected, abs=1e-14 * size)


@given(numbers, numbers, numbers, numbers)
def test_a_product_of_two_is_one_gate(a, b, c, d):
    """Also when it comes expanded, as a polynomial's coefficients."""
    product = (Expression.feature(0) * a + b) * (Expression.feature(1) * c + d)
    assert len(product.gate_angles()) == 1
    expanded = Expression.polynomial(b * d, {0: a * d, 1: b * c}, {(0, 1): a * c})
    angles = expanded.gate_angles()
    x = (0.7, -1.3)
    assert value_of(angles, x) == pytest.approx((a * x[0] + b) * (c * x[1] + d), abs=1e-14 * (1 + abs(a) + abs(b)) * (1 + abs(c) + abs(d)))
    if a * c * a * c > 1e-200:
        assert len(angles) == 1


def test_third_degree_is_refused():
    x, y = Expression.feature(0), Expression.feature(1)
    for left, right in ((x * y, x), (x, x * x), (x * y + 1.0, y + 2.0)):
        with pytest.raises(DegreeError):
            _ = left * right
    assert (x * x).gate_angles() == [(fk.Linear(1.0, 0), fk.Linear(1.0, 0))]


# Every known gate from its textbook matrix; of several qubits the first is the most significant here, as in gate_matrix.
PAULI = {"x": [[0, 1], [1, 0]], "y": [[0, -1j], [1j, 0]], "z": [[1, 0], [0, -1]]}
X, Y, Z = (np.array(PAULI[name], complex) for name in "xyz")
H = (X + Z) / math.sqrt(2)
SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
SWAP = np.eye(4)[[0, 2, 1, 3]]


def controlled(matrix, n=1):
    out = np.eye(len(matrix) * 2**n, dtype=complex)
    out[-len(matrix) :, -len(matrix) :] = matrix
    return out


def rotation(generator, t):
    return math.cos(t / 2) * np.eye(len(generator)) - 1j * math.sin(t / 2) * generator


def u(t, p, k):
    c, s = math.cos(t / 2), math.sin(t / 2)
    return np.array([[c, -np.exp(1j * k) * s], [np.exp(1j * p) * s, np.exp(1j * (p + k)) * c]])


def phase(t):
    return np.diag([1, np.exp(1j * t)])


MATRICES = {
    "id": lambda: np.eye(2),
    "u0": lambda t: np.eye(2),
    "sx": lambda: SX,
    "sxdg": lambda: SX.conj().T,
    "u": u,
    "u2": lambda p, k: u(math.pi / 2, p, k),
    "r": lambda t, p: rotation(math.cos(p) * X + math.sin(p) * Y, t),
    "cy": lambda: controlled(Y),
    "ch": lambda: controlled(H),
    "cs": lambda: controlled(phase(math.pi / 2)),
    "csdg": lambda: controlled(phase(-math.pi / 2)),
    "csx": lambda: controlled(SX),
    "cu3": lambda t, p, k: controlled(u(t, p, k)),
    "cu": lambda t, p, k, g: controlled(np.exp(1j * g) * u(t, p, k)),
    "dcx": lambda: np.eye(4)[[0, 2, 3, 1]],
    "iswap": lambda: np.array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]]),
    "rzx": lambda t: rotation(np.kron(Z, X), t),
    "ecr": lambda: (np.kron(X, np.eye(2)) - np.kron(Y, X)) / math.sqrt(2),
    "ccp": lambda t: controlled(phase(t), 2),
    "ccz": lambda: controlled(Z, 2),
    "ccx": lambda: controlled(X, 2),
    "cswap": lambda: controlled(SWAP),
    "c3z": lambda: controlled(Z, 3),
    "c3x": lambda: controlled(X, 3),
    "c3sqrtx": lambda: controlled(SX, 3),
    "c4x": lambda: controlled(X, 4),
    # Margolus: a Toffoli up to a phase, -1 on |101> and i, -i between |110> and |111>.
    "rccx": lambda: np.array([*np.eye(8)[:5], -np.eye(8)[5], -1j * np.eye(8)[7], 1j * np.eye(8)[6]]),
}


def unitary(ops, n):
    """Return the matrix of the gates, the first qubit the most significant bit; a column is the state that a basis state becomes."""
    columns = []
    for z in range(2**n):
        preparation = [fk.Gate("x", (q,)) for q in range(n) if z >> (n - 1 - q) & 1]
        program = fk.Program(n, 0, (*preparation, *gates.assemble(ops, n, 0).gates))
        state = reference.run_program(program, np.zeros((1, 0)))[0].reshape((2,) * n)
        columns.append(state.transpose(range(n)[::-1]).ravel())
    return np.array(columns).T


@pytest.mark.parametrize("name", [*gates.RULES, *OPCODES])
def test_gates_are_their_matrices(name):
    n_angles, n_qubits = gates.known_gate(name)
    values = [0.7, -1.9, 2.4, 0.3][:n_angles]
    if name == "rc3x":
        matrix = unitary(gates.expand(name, [], range(4)), 4)
        np.testing.assert_allclose(np.abs(matrix), np.abs(controlled(X, 3)), atol=1e-12)
        return
    expected = MATRICES[name](*values) if name in MATRICES else reference.gate_matrix(name, *values)
    got = unitary(gates.expand(name, [Expression(value) for value in values], range(n_qubits)), n_qubits)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("name", [*(name for name, rule in gates.RULES.items() if rule.n_qubits < 4), *OPCODES])
def test_modifiers_are_exact(name):
    n_angles, n = gates.known_gate(name)
    angles = [Expression(value) for value in (0.7, -1.9, 2.4, 0.3)[:n_angles]]
    ops = gates.expand(name, angles, range(1, n + 1))
    matrix = unitary(gates.expand(name, angles, range(n)), n)
    np.testing.assert_allclose(unitary(gates.control(ops, 0), n + 1), controlled(matrix), atol=1e-12)
    np.testing.assert_allclose(unitary(gates.inverse(ops), n + 1), np.kron(np.eye(2), matrix.conj().T), atol=1e-12)
    for exponent in (0, 3, -2):
        expected = np.kron(np.eye(2), np.linalg.matrix_power(matrix, exponent))
        np.testing.assert_allclose(unitary(gates.power(ops, exponent), n + 1), expected, atol=1e-12)


def test_global_phase_is_a_phase_and_its_control_is_p():
    phases = [gates.Op("gphase", (), Expression(0.4)), gates.Op("gphase", (), Expression(0.9))]
    np.testing.assert_allclose(unitary(phases, 2), np.exp(1.3j) * np.eye(4), atol=1e-12)
    np.testing.assert_allclose(unitary(gates.control(phases, 0), 1), phase(1.3), atol=1e-12)


def test_written_definitions_are_the_gates():
    for name in gates.WRITTEN:
        np.testing.assert_allclose(unitary(gates.written(name, [Expression(0.8)], [0, 1]), 2), reference.gate_matrix(name, 0.8), atol=1e-12)


def test_chain_of_controls():
    """Three controls of a gate with three angles."""
    ops = gates.expand("u", [Expression(0.3), Expression(1.1), Expression(-0.4)], [3])
    ops = reduce(gates.control, (2, 1, 0), ops)
    np.testing.assert_allclose(unitary(ops, 4), controlled(u(0.3, 1.1, -0.4), 3), atol=1e-12)


@st.composite
def programs(draw):
    """Return any Program of up to four qubits and three features."""
    n_qubits, n_features = draw(st.integers(1, 4)), draw(st.integers(0, 3))
    names = [name for name in OPCODES if n_qubits > 1 or name not in TWO_QUBIT]

    def factor(is_constant=False):
        feature = -1 if is_constant else draw(st.integers(0, n_features - 1))
        scale = 0.0 if is_constant else draw(numbers.filter(bool))
        return fk.Linear(scale, feature, draw(numbers))

    found = []
    for name in draw(st.lists(st.sampled_from(names), max_size=12)):
        qubits = draw(st.permutations(range(n_qubits)))[: 2 if name in TWO_QUBIT else 1]
        angle = ()
        if name in WITH_ANGLE:
            count = draw(st.integers(0, 2)) if n_features else 0
            angle = tuple(factor() for _ in range(count)) or (factor(is_constant=True),)
        found.append(fk.Gate(name, tuple(qubits), angle))
    return fk.Program(n_qubits, n_features, tuple(found))


@given(programs())
def test_qasm_round_trip(program):
    again = fk.Program.from_qasm(program.to_qasm())
    assert again == program and hash(again) == hash(program)


@given(programs(), st.integers(0, 2**31))
def test_states_agree_with_the_oracle(program, seed):
    x = np.random.default_rng(seed).uniform(-2, 2, (3, program.n_features))
    feature_map = fk.Circuit(program)
    # A rounding of x or of a coefficient grows with the size of the angle.
    size = max([1.0, *(math.prod(2 * abs(f.scale) + abs(f.offset) for f in gate.angle) for gate in program.gates if gate.angle)])
    np.testing.assert_allclose(fk.states(x, feature_map=feature_map), reference.run_program(program, x), atol=1e-12 * max(1, size / 100))


def test_what_the_maps_write_comes_back():
    for feature_map in (fk.Angle(3), fk.IQP(3, reps=2), fk.ZZ(4, entanglement="circular"), fk.HardwareEfficient(3)):
        program = feature_map.program()
        assert fk.Program.from_qasm(program.to_qasm()) == program


def test_gates_become_plain_data():
    gate = fk.Gate("rzz", np.array([0, 1]), [(np.float32(2), np.int64(0)), [1, 1, 0.5]])
    assert gate == fk.Gate("rzz", (0, 1), (fk.Linear(2.0, 0), fk.Linear(1.0, 1, 0.5)))
    assert hash(gate) == hash(fk.Gate("rzz", (0, 1), (fk.Linear(2.0, 0), fk.Linear(1.0, 1, 0.5))))
    assert [type(value) for value in (*gate.qubits, *gate.angle[0])] == [int, int, float, int, float]


def test_exported_text_is_plain():
    gate = fk.Gate("rzz", (1, 0), (fk.Linear(-1.0, 0, math.pi), fk.Linear(-0.5, 1, 0.25)))
    assert fk.Program(2, 2, (fk.Gate("h", (0,)), gate)).to_qasm().splitlines() == [
        "OPENQASM 3.0;",
        'include "stdgates.inc";',
        "input float[64] x_0;",
        "input float[64] x_1;",
        "gate rzz(t) a, b { cx a, b; rz(t) b; cx a, b; }",
        "qubit[2] q;",
        "h q[0];",
        "rzz((-x_0 + 3.141592653589793) * (-0.5 * x_1 + 0.25)) q[1], q[0];",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fk.Program(0, 1, ()), r"n_qubits must be positive and n_features not negative, got 0 and 1"),
        (lambda: fk.Program(1.5, 1, ()), r"n_qubits must be positive and n_features not negative, got 1.5 and 1"),
        (lambda: fk.Program(1, 1, ("h",)), r"gates must be a tuple of Gate, got 'h'"),
        (lambda: fk.Program(1, -1, ()), r"got 1 and -1"),
        (lambda: fk.Program(1, 1, (fk.Gate("h", (1,)),)), r"qubits must be in 0..0"),
        (lambda: fk.Program(1, 1, (fk.Gate("rx", (0,), (fk.Linear(1.0, 1),)),)), r"features must be in 0..0"),
        (lambda: fk.Program(1, 0, (fk.Gate("rx", (0,), (fk.Linear(1.0, 0),)),)), r"a circuit of no features has constant angles"),
        (lambda: fk.Program(1, 1, (fk.Gate("rx", (0,), (fk.Linear(math.nan, 0),)),)), r"angles must be finite"),
        (lambda: fk.Program(1, 1, (fk.Gate("rx", (0,), (fk.Linear(1.0, 0, 1e80),)),)), r"angles must be finite .* at most 1e\+75"),
        (lambda: fk.Gate("h", 0), r"qubits must be a tuple of int and angle a tuple of Linear, got 0 and \(\)"),
        (lambda: fk.Gate("h", (0.5,)), r"qubits must be a tuple of int"),
        (lambda: fk.Gate("rx", (0,), 0.3), r"angle a tuple of Linear, got \(0,\) and 0.3"),
        (lambda: fk.Gate("rx", (0,), ((1.0,),)), r"angle a tuple of Linear"),
        (lambda: fk.Gate("rx", (0,)), r"rx needs an angle of one or two factors, got 0"),
        (lambda: fk.Gate("h", (0,), (fk.Linear(1.0, 0),)), r"h takes no angle"),
        (lambda: fk.Gate("cx", (0, 0)), r"cx acts on 2 distinct qubit"),
        (lambda: fk.Gate("warp", (0,)), r"name must be one of h x"),
    ],
)
def test_bad_programs(make, message):
    with pytest.raises(fk.InputError, match=message):
        make()


def test_reading_without_the_parser_says_what_to_install():
    code = """
import sys
sys.modules["openqasm3"] = None
import flashket as fk
try:
    fk.Program.from_qasm("qubit q; h q;")
except fk.BackendUnavailable as error:
    print(error)
"""
    assert "pip install 'flashket[qasm]'" in run_python(code).stdout
