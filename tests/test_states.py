# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The statevector engine: random circuits of every gate against the oracle, large states, threads, exact phases."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, tolerance
from flashket import planner, reference
from flashket.backends.cpu import core
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program

BLOCK_QUBITS = {np.float32: 15, np.float64: 14}
"""A larger state is made in several passes over blocks of so many qubits."""


def run(program, x, dtype):
    """Return the states of the rows from the compiled module."""
    x = np.ascontiguousarray(x, dtype)
    out = np.full((len(x), 2**program.n_qubits), np.nan, np.result_type(dtype, np.complex64))
    core().states(("program", [], program._arrays, "fidelity", 1), x, out)
    return out


def random_angle(rng, n_features):
    """One or two factors, each of a feature or a constant."""
    features = rng.integers(-1, n_features, rng.integers(1, 3))
    return tuple(Linear(float(rng.normal()) if f >= 0 else 0.0, int(f), float(rng.normal())) for f in features)


def random_gate(rng, name, n_qubits, n_features):
    qubits = rng.permutation(n_qubits)[: 2 if name in TWO_QUBIT else 1]
    return Gate(name, tuple(int(q) for q in qubits), random_angle(rng, n_features) if name in WITH_ANGLE else ())


def random_program(rng, n_qubits, n_gates, names=tuple(OPCODES), n_features=3):
    names = [name for name in names if n_qubits > 1 or name not in TWO_QUBIT]
    gates = [random_gate(rng, names[rng.integers(len(names))], n_qubits, n_features) for _ in range(n_gates)]
    return Program(n_qubits, n_features, tuple(gates))


def brickwork(rng, n_qubits, depth):
    """Rotations on every qubit, then CZ or CX on alternating neighbours."""
    gates = []
    for layer in range(depth):
        gates += [random_gate(rng, ("rx", "ry", "rz", "p")[rng.integers(4)], 1, 3) for _ in range(n_qubits)]
        gates[-n_qubits:] = [replace(gate, qubits=(q,)) for q, gate in enumerate(gates[-n_qubits:])]
        gates += [Gate(("cz", "cx")[layer % 3 == 0], (q, q + 1)) for q in range(layer % 2, n_qubits - 1, 2)]
    return Program(n_qubits, 3, tuple(gates))


def inverse(gates):
    """The gates that undo them, last first."""
    other = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t"}
    return tuple(
        Gate(
            other.get(gate.name, gate.name),
            gate.qubits,
            tuple(f._replace(scale=-f.scale, offset=-f.offset) for f in gate.angle[:1]) + gate.angle[1:],
        )
        for gate in reversed(gates)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_qubits", range(1, 11))
def test_any_program_of_random_gates(n_qubits, dtype):
    rng = np.random.default_rng(n_qubits)
    for n_gates in (0, 1, 4, 25, 120):
        program = random_program(rng, n_qubits, n_gates)
        x = rng.uniform(-2, 2, (3, 3)).astype(dtype)
        np.testing.assert_allclose(run(program, x, dtype), reference.run_program(program, x), rtol=0, atol=tolerance("value", dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPCODES)
def test_any_program_with_one_gate(name, dtype):
    """Every gate on every qubit or ordered pair of qubits of a state without symmetry: lanes, registers and what lies outside."""
    rng = np.random.default_rng(7)
    n = 9
    before = tuple(Gate(gate, (q,), (Linear(0.0, -1, 0.3 + 0.1 * q),)) for q in range(n) for gate in ("ry", "rz"))
    after = tuple(Gate("ry", (q,), (Linear(0.0, -1, 0.2 + 0.2 * q),)) for q in range(n))
    x = rng.uniform(-2, 2, (1, 3)).astype(dtype)
    for qubits in [(a, b) for a in range(n) for b in range(n) if a != b] if name in TWO_QUBIT else [(a,) for a in range(n)]:
        gate = Gate(name, qubits, random_angle(rng, 3) if name in WITH_ANGLE else ())
        program = Program(n, 3, (*before, gate, *after))
        np.testing.assert_allclose(run(program, x, dtype), reference.run_program(program, x), rtol=0, atol=tolerance("value", dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("names", [("rx", "rz", "cx"), ("ry", "x", "y", "h", "cz"), ("ry", "crz", "cp", "rzz"), ("h", "t", "swap", "cx")])
def test_any_program_however_deep(names, dtype):
    """A thousand gates: what is left out of each unitary is put back before float32 overflows or loses digits."""
    rng = np.random.default_rng(3)
    program = random_program(rng, 6, 1000, names)
    x = rng.uniform(-2, 2, (2, 3)).astype(dtype)
    np.testing.assert_allclose(run(program, x, dtype), reference.run_program(program, x), rtol=0, atol=tolerance("value", dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_qubits", [3, 7, 12])
def test_any_program_with_polynomials(n_qubits, dtype):
    """Phases on all pairs, twice the same between Hadamards, then others."""
    pairs = list(combinations(range(n_qubits), 2))
    hadamards = tuple(Gate("h", (q,)) for q in range(n_qubits))
    same = tuple(Gate("rzz", pair, (Linear(0.7, 0), Linear(1.0, 1, 0.1 * sum(pair)))) for pair in pairs)
    other = tuple(Gate("cp", pair, (Linear(0.3, 2, 0.2 * pair[0]),)) for pair in pairs) + tuple(Gate("cz", pair) for pair in pairs[::2])
    program = Program(
        n_qubits, 3, hadamards + same + hadamards + same + hadamards + other + (Gate("crz", (1, 0), (Linear(1.0, 2),)),) + hadamards
    )
    x = np.random.default_rng(1).uniform(-2, 2, (2, 3)).astype(dtype)
    np.testing.assert_allclose(run(program, x, dtype), reference.run_program(program, x), rtol=0, atol=tolerance("value", dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_program_larger_than_a_block(dtype):
    """All gates and a polynomial over two to eight blocks."""
    n = BLOCK_QUBITS[dtype] + 2
    rng = np.random.default_rng(11)
    x = rng.uniform(-2, 2, (1, 3)).astype(dtype)
    some = random_program(rng, n, 60).gates
    pairs = [tuple(int(q) for q in rng.permutation(n)[:2]) for _ in range(20)]
    polynomial = tuple(Gate("rzz", pair, (Linear(1.0, 0, 0.1 * i),)) for i, pair in enumerate(pairs))
    more = tuple(Gate("ry", (q,), (Linear(0.3, 1, 0.1 * q),)) for q in range(n))
    program = Program(n, 3, some + polynomial + more + polynomial)
    np.testing.assert_allclose(run(program, x, dtype), reference.run_program(program, x), rtol=0, atol=tolerance("value", dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_qubits", [18, 20])
def test_inverse_returns_to_the_start(n_qubits, dtype):
    rng = np.random.default_rng(n_qubits)
    forward = brickwork(rng, n_qubits, 5).gates + random_program(rng, n_qubits, 40).gates
    x = rng.uniform(-2, 2, (1, 3)).astype(dtype)
    middle = run(Program(n_qubits, 3, forward), x, dtype)
    assert np.linalg.norm(middle.astype(complex)) == pytest.approx(1, abs=tolerance("value", dtype))
    assert np.abs(middle).max() < 0.9
    state = run(Program(n_qubits, 3, forward + inverse(forward)), x, dtype)[0]
    state[0] -= 1
    assert np.abs(state).max() < tolerance("value", dtype)


def test_precisions_agree_on_a_large_state():
    """Blocks, lanes and tiles of float32 and float64 differ, so each checks the other."""
    program = brickwork(np.random.default_rng(5), 19, 10)
    x = np.random.default_rng(6).uniform(-2, 2, (1, 3)).astype(np.float32)
    np.testing.assert_allclose(run(program, x, np.float32), run(program, x, np.float64), rtol=0, atol=tolerance("value", np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_number_of_threads_does_not_matter(dtype):
    """One large state is shared out by blocks, several by rows: the same bits either way."""
    program = random_program(np.random.default_rng(8), 17, 150)
    x = np.random.default_rng(9).uniform(-2, 2, (3, 3)).astype(dtype)
    before = fk.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            fk.set_num_threads(threads)
            results.append(run(program, x, dtype))
            results.append(np.concatenate([run(program, row[None], dtype) for row in x]))
    finally:
        fk.set_num_threads(before)
    for result in results[1:]:
        assert result.tobytes() == results[0].tobytes()


def test_gram_uses_the_same_states():
    """The Gram matrix encodes rows into planes of its own, states() into the result."""
    feature_map = fk.ZZ(16, reps=1, entanglement="linear")
    x = np.random.default_rng(2).uniform(0, 3, (3, 16))
    states = fk.states(x, feature_map=feature_map)
    expected = np.abs(states.conj() @ states.T) ** 2
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(feature_map)), expected, atol=1e-12)


def test_phases_of_large_angles_are_exact():
    """Angles of a million turns: multiples of whole turns are taken away before anything is rounded."""
    x = np.array([[12345678.90625], [-7654321.015625], [3.0e9]])
    program = Program(1, 1, (Gate("h", (0,)), Gate("p", (0,), (Linear(1.0, 0),))))
    got = run(program, x, np.float64)
    np.testing.assert_allclose(got[:, 1] * np.sqrt(2), np.exp(1j * x[:, 0]), rtol=0, atol=1e-15)
    polynomial = tuple(Gate("rzz", pair, (Linear(1.0, 0),)) for pair in combinations(range(6), 2))
    program = Program(6, 1, tuple(Gate("h", (q,)) for q in range(6)) + polynomial)
    np.testing.assert_allclose(run(program, x, np.float64), reference.run_program(program, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [1e14, 1e16, 1e25, 1e70])
def test_phases_of_any_angle_are_those_of_its_double(size):
    """However large, an angle is what double arithmetic makes of its expression, and its turns are taken away exactly."""
    rng = np.random.default_rng(5)
    x = rng.uniform(-size, size, (3, 3))
    pairs = list(combinations(range(6), 2))
    for name in ("rzz", "cp"):
        turned = tuple(Gate(name, pair, (Linear(0.7, 0, 0.3), Linear(0.9, 1, 0.1 * sum(pair)))) for pair in pairs)  # one polynomial
        single = tuple(Gate(gate, (q,), (Linear(1.3, 2, 0.2 * q),)) for q in range(6) for gate in ("ry", "rz", "rx"))
        program = Program(6, 3, (*(Gate("h", (q,)) for q in range(6)), *turned, *single, Gate("crx", (0, 3), (Linear(0.1, 0, 0.7),))))
        np.testing.assert_allclose(run(program, x, np.float64), reference.run_program(program, x), rtol=0, atol=1e-12)
    zz = fk.ZZ(5, bandwidth=0.8)
    rows = x[:, [0, 1, 2, 0, 1]] * (1, 1, 1, 0.5, 0.25)
    np.testing.assert_allclose(fk.states(rows, feature_map=zz), reference.states(rows, zz), rtol=0, atol=1e-12)


def test_programs_that_differ_little_are_told_apart():
    """What was compiled is kept for later calls: more programs in turn than are kept, each beside its like."""
    x = np.array([[0.3, 1.1]])
    programs = [Program(2, 2, (Gate("ry", (q,), (Linear(1.0, f, o),)),)) for q in (0, 1) for f in (0, 1) for o in (0.0, 0.5)]
    for program in programs + programs[::-1] + programs[:2] * 2:
        np.testing.assert_allclose(run(program, x, np.float64), reference.run_program(program, x), rtol=0, atol=1e-15)


def test_basis_states_stay_exact():
    """Permutations of basis states leave no dust behind."""
    gates = (Gate("x", (0,)), Gate("cx", (0, 3)), Gate("swap", (3, 1)), Gate("cx", (1, 5)), Gate("swap", (5, 4)))
    state = run(Program(6, 1, gates), np.zeros((1, 1)), np.float64)[0]
    expected = np.zeros(64)
    expected[0b010011] = 1
    np.testing.assert_allclose(state, expected, rtol=0, atol=1e-15)
    assert np.count_nonzero(state) == 1


def test_memory_beside_the_states_is_small():
    """A worker holds a block, not a state."""
    kernel = fk.Fidelity(fk.ZZ(22, reps=1))
    for dtype in DTYPES:
        working = planner._working_bytes(kernel, "states", 1, 0, np.dtype(dtype), planner.Work())
        assert 0 < working < fk.get_num_threads() * (2 << 20)
    row, _, scratch = planner._encoder_elements(kernel, "gram")
    assert 0 <= row - (2 << 22) < 100 and scratch < row // 8
