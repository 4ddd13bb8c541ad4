# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Matrix product states against dense states, and against the closed form along a line at hundreds of qubits."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, binomial_p_value, rows, tolerance
from flashket import mps, reference
from flashket.backends.cpu import core
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program
from flashket.structure import mps_bond, mps_bond_of
from test_line import Written


def random_program(n, n_gates, seed):
    """Gates of every kind on any qubits."""
    rng = np.random.default_rng(seed)
    gates = []
    for index in range(n_gates):
        names = [name for name in OPCODES if (name in TWO_QUBIT) == (index % 2 == 0 and n > 1)]
        name = names[int(rng.integers(len(names)))]
        qubits = tuple(int(q) for q in rng.choice(n, 2 if name in TWO_QUBIT else 1, replace=False))
        factors = [Linear(1.1, int(rng.integers(3)), 0.2), Linear(0.7, int(rng.integers(-1, 3)), 0.4)]
        gates.append(Gate(name, qubits, tuple(factors[: 1 + index % 3 // 2]) if name in WITH_ANGLE else ()))
    return Program(n, 3, tuple(gates))


def dense(states):
    """Contract every row to amplitudes; qubit 0 is the least significant bit."""
    n = states.bonds.shape[1] - 1
    out = np.empty((len(states), 2**n), np.complex128)
    for i in range(len(states)):
        numbers, bonds = states.tensors[states.offsets[i] : states.offsets[i + 1]], states.bonds[i]
        amplitudes = np.ones((1, 1), np.complex128)
        for j in range(n):
            size = 2 * bonds[j] * bonds[j + 1]
            tensor, numbers = numbers[:size].reshape(bonds[j], 2, bonds[j + 1]), numbers[size:]
            amplitudes = np.tensordot(amplitudes, tensor, axes=(-1, 0)).reshape(-1, bonds[j + 1])
        assert numbers.size == 0
        # Axis k counts the states of qubit order[k]; the most significant bit comes first.
        axes = [int(np.flatnonzero(states.order == qubit)[0]) for qubit in reversed(range(n))]
        out[i] = amplitudes.reshape((2,) * n).transpose(axes).reshape(-1)
    return out


@pytest.mark.parametrize(("n", "n_gates"), [(1, 6), (2, 30), (3, 60), (5, 120), (8, 200), (12, 200)])
def test_states_of_any_program(n, n_gates):
    program = random_program(n, n_gates, n)
    x = rows(4, 3, np.float64)
    states = fk.mps_states(x, feature_map=Written(program), max_bond=64, cutoff=0)
    assert states.truncation_error.max() < 1e-25
    np.testing.assert_allclose(dense(states), reference.run_program(program, x), atol=1e-12)
    assert states.bond_dimensions.shape == (4, n - 1) and states.nbytes == 16 * states.offsets[-1]


def test_every_gate_alone():
    """Also with its qubits in falling order, and after gates that make every amplitude count."""
    x = rows(3, 3, np.float64)
    for name in OPCODES:
        for qubits in ((1, 2), (2, 1), (0, 3), (3, 1)):
            start = [Gate(kind, (q,), (Linear(1.0, q % 3, 0.3 * q),)) for q in range(4) for kind in ("ry", "rz", "rx")]
            angle = (Linear(0.9, 1, 0.1),) if name in WITH_ANGLE else ()
            program = Program(4, 3, (*start, Gate(name, qubits if name in TWO_QUBIT else qubits[:1], angle)))
            states = fk.mps_states(x, feature_map=Written(program), cutoff=0)
            np.testing.assert_allclose(dense(states), reference.run_program(program, x), atol=1e-13, err_msg=f"{name} {qubits}")


@pytest.mark.parametrize("max_bond", [1, 2, 3])
def test_truncation_is_optimal_and_its_error_is_right(max_bond):
    """At one cut the loss is the sum of the squares of the dropped Schmidt coefficients; of many the product is an estimate."""
    pairs = [(q, q + 1) for layer in range(4) for q in range(layer % 2, 7, 2)]
    turn = [Gate(kind, (q,), (Linear(1.0, q % 3, 0.4 * q),)) for q in range(8) for kind in ("ry", "rz")]
    program = Program(8, 3, (*turn, *(Gate(("rxx", "rzz")[k % 2], pair, (Linear(0.3, k % 3, 0.5),)) for k, pair in enumerate(pairs))))
    x = rows(3, 3, np.float64)
    states, exact = fk.mps_states(x, feature_map=Written(program), max_bond=max_bond, cutoff=0), reference.run_program(program, x)
    assert states.bond_dimensions.max() <= max_bond
    kept = dense(states)
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1), 1, atol=1e-12)
    loss = 1 - np.abs((exact.conj() * kept).sum(axis=1)) ** 2
    assert (states.truncation_error > 0).all()
    assert (np.abs(loss - states.truncation_error) < 0.5 * states.truncation_error + 1e-12).all()

    two = Program(4, 3, tuple(turn[:8]) + tuple(Gate("cz", pair) for pair in ((1, 2),)) + (Gate("rxx", (1, 2), (Linear(1.0, 0, 0.7),)),))
    kept, exact = dense(fk.mps_states(x, feature_map=Written(two), max_bond=1, cutoff=0)), reference.run_program(two, x)
    for row, true, error in zip(kept, exact, fk.mps_states(x, feature_map=Written(two), max_bond=1).truncation_error, strict=True):
        schmidt = np.linalg.svd(true.reshape(4, 4), compute_uv=False)
        assert abs(error - (schmidt[1:] ** 2).sum()) < 1e-12
        assert abs(abs(np.vdot(true, row)) ** 2 - schmidt[0] ** 2) < 1e-12


def test_cutoff_bounds_what_each_gate_loses():
    x = 0.02 * rows(3, 12, np.float64)
    feature_map = fk.IQP(12, reps=3, entanglement="linear")
    exact = reference.states(x, feature_map)
    bonds = []
    for cutoff in (0, 1e-12, 1e-6):
        states = fk.mps_states(x, feature_map=feature_map, max_bond=64, cutoff=cutoff)
        assert (states.truncation_error <= 33 * cutoff + 1e-25).all()
        loss = 1 - np.abs((exact.conj() * dense(states)).sum(axis=1)) ** 2
        assert (loss <= 4 * 33 * cutoff + 1e-12).all()
        bonds.append(states.bond_dimensions.sum())
    assert bonds[0] >= bonds[1] > bonds[2]


def test_gram_against_dense_states():
    program = random_program(9, 150, 5)
    x, y = rows(13, 3, np.float64), rows(21, 3, np.float64, 1)
    left, right = (fk.mps_states(data, feature_map=Written(program), max_bond=64, cutoff=0) for data in (x, y))
    overlap = reference.run_program(program, x).conj() @ reference.run_program(program, y).T
    for kernel, expected in (
        (fk.Fidelity(fk.Angle(3), power=2), np.abs(overlap) ** 4),
        (fk.HadamardTest(fk.Angle(3), power=3), ((1 + overlap.real) / 2) ** 3),
    ):
        for log in (False, True):
            out = np.empty((13, 21))
            core().mps_gram(left._arrays, right._arrays, out, kernel.similarity, kernel.power, log, 0, 0)
            np.testing.assert_allclose(out, np.log(expected) if log else expected, atol=1e-10 if log else 1e-12)
    other = fk.mps_states(x, feature_map=left.feature_map, max_bond=64, cutoff=0)
    np.testing.assert_allclose(
        left.gram(other), np.abs(reference.run_program(program, x).conj() @ reference.run_program(program, x).T) ** 2, atol=1e-12
    )


@pytest.mark.parametrize("n", [100, 784])
def test_lines_of_many_qubits(n):
    x, y = rows(3, n, np.float64), rows(10, n, np.float64, 1)
    y = np.concatenate([y, x + 1e-3 * rows(3, n, np.float64, 2)])
    for feature_map in (fk.IQP(n, entanglement="linear"), fk.ZZ(n, reps=1, entanglement="linear")):
        states = [fk.mps_states(data, feature_map=feature_map, max_bond=2, cutoff=0) for data in (x, y)]
        assert states[0].bond_dimensions.max() == 2 and max(s.truncation_error.max() for s in states) < 1e-25
        expected = reference.gram(x, y, fk.Fidelity(feature_map), log=True)
        assert (np.abs(states[0].gram(states[1], log=True) - expected) <= 1e-11 * np.maximum(1, np.abs(expected))).all()
        np.testing.assert_allclose(states[0].gram(states[1]), np.exp(expected), atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "feature_map",
    [fk.IQP(17, reps=2, entanglement="linear"), fk.IQP(18, entanglement="circular"), fk.ZZ(17, entanglement=((0, 1), (3, 1), (9, 8)))],
    ids=repr,
)
def test_gram_takes_them_by_itself(feature_map, dtype):
    """Against states, which still fit."""
    n = feature_map.n_features
    x, y = 0.1 * rows(3, n, dtype), 0.1 * rows(4, n, dtype, 1)
    for kernel in (fk.Fidelity(feature_map, power=2), fk.HadamardTest(feature_map)):
        assert mps_bond(kernel) == 4 or n == 17
        overlap = fk.states(x.astype(float), feature_map=feature_map).conj() @ fk.states(y.astype(float), feature_map=feature_map).T
        expected = np.abs(overlap) ** 4 if kernel.similarity == "fidelity" else (1 + overlap.real) / 2
        got = fk.gram(x, y, kernel=kernel)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, atol=tolerance("value", dtype))
        np.testing.assert_allclose(fk.gram(x, y, kernel=kernel, log=True), np.log(expected), atol=1e-5 if dtype == np.float32 else 1e-10)
    assert "matrix product states of bond" in fk.explain(fk.Fidelity(feature_map), n=10).path
    assert "Schmidt" in fk.explain(fk.Fidelity(feature_map), n=10).why


def test_symmetric_threads_shots_and_empty(restore_threads):
    feature_map = fk.ZZ(100, entanglement="linear", bandwidth=0.05)
    kernel, x = fk.Fidelity(feature_map), 0.1 * rows(37, 100, np.float64)
    results = []
    for threads in (1, 3):
        fk.set_num_threads(threads)
        states = fk.mps_states(x, feature_map=feature_map)
        results.append(
            (fk.gram(x, kernel=kernel), fk.gram(x, kernel=kernel, log=True), states.gram(), states.tensors, states.truncation_error)
        )
    for one, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, three)
    exact, log, _, _, _ = results[0]
    np.testing.assert_array_equal(exact, exact.T)
    assert (np.diagonal(exact) == 1).all() and (np.diagonal(log) == 0).all() and np.linalg.eigvalsh(exact).min() > -1e-11
    np.testing.assert_allclose(np.exp(log), exact, atol=1e-12)
    whole = fk.gram(x, x.copy(), kernel=kernel)
    for columns in (1, 2, 3):  # fewer rows are computed with narrower vectors
        np.testing.assert_array_equal(fk.gram(x, x[:columns], kernel=kernel), whole[:, :columns])
    same = np.repeat(x[:1], 100, axis=0), np.repeat(x[1:2], 100, axis=0)
    sampled = fk.gram(*same, kernel=kernel, shots=50, seed=1)
    assert binomial_p_value(np.round(sampled * 50).ravel(), 50, exact[0, 1]) > 1e-4
    assert fk.gram(x[:0], kernel=kernel).shape == (0, 0) and len(fk.mps_states(x[:0], feature_map=feature_map)) == 0
    assert fk.gram(x[:0], x, kernel=kernel).shape == (0, 37)


def test_which_circuits_take_them():
    assert mps_bond_of(fk.IQP(40, reps=3, entanglement="linear")) == 8
    assert mps_bond_of(fk.IQP(16, reps=2, entanglement="linear")) is None
    assert mps_bond_of(fk.IQP(17, reps=4, entanglement="linear")) is None  # the state is cheaper
    assert mps_bond_of(fk.IQP(400, reps=7, entanglement="linear")) is None
    assert mps_bond_of(fk.IQP(10**6)) is None
    assert mps_bond(fk.Fidelity(fk.IQP(100, entanglement="linear"))) is None  # the closed form is cheaper
    assert mps_bond(fk.Fidelity(fk.Angle(100))) is None and mps_bond(fk.Fidelity(fk.Amplitude(2**20))) is None
    swaps = Program(40, 1, tuple(Gate("swap", (q, q + 1)) for q in range(39)) * 4)
    assert mps_bond_of(Written(swaps)) is None


def test_truncation_that_would_show_is_refused():
    feature_map = fk.IQP(30, reps=2, entanglement="linear")
    x = rows(3, 30, np.float64)
    out = np.empty((3, 3))
    with pytest.raises(fk.ResourceLimit, match=r"\[gram\] matrix product states of bond 2 must give values right to 1e-12"):
        mps.write_gram(fk.Fidelity(feature_map), 2, x, None, out, log=False, shots=0, seed=0, run=core().mps_gram)
    mps.write_gram(fk.Fidelity(feature_map), 4, x, None, out, log=False, shots=0, seed=0, run=core().mps_gram)
    np.testing.assert_allclose(out, fk.gram(x, kernel=fk.Fidelity(feature_map)))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: fk.mps_states([[0.0] * 3], feature_map=fk.Fidelity(fk.IQP(3))), r"\[mps_states\] feature_map must be a feature map"),
        (
            lambda: fk.mps_states([[0.0] * 3], feature_map=fk.IQP(4)),
            r"\[mps_states\] X must be \(n_samples, 4\) for IQP\(4\), got \(1, 3\)",
        ),
        (lambda: fk.mps_states([[0.0] * 3], feature_map=fk.IQP(3), max_bond=0), r"max_bond must be a positive integer, got 0"),
        (lambda: fk.mps_states([[0.0] * 3], feature_map=fk.IQP(3), cutoff=-1), r"cutoff must be a finite number >= 0, got -1"),
        (lambda: fk.mps_states([[np.nan] * 3], feature_map=fk.IQP(3)), r"\[mps_states\] X must be finite"),
        (lambda: fk.mps_states([[1.0] * 3], feature_map=fk.Amplitude(3)), r"\[Amplitude\] program\(\) needs angles"),
        (
            lambda: fk.mps_states([[0.0]], feature_map=fk.IQP(1)).gram(fk.mps_states([[0.0]], feature_map=fk.ZZ(1))),
            r"\[MPSStates.gram\] other must be states of IQP\(1\), got MPSStates\(1 rows of ZZ\(1\)",
        ),
    ],
)
def test_errors(call, match):
    with pytest.raises(fk.InputError, match=match):
        call()


def test_too_large_is_refused():
    with pytest.raises(fk.ResourceLimit, match=r"\[mps_states\] 1 matrix product states of bond 1000000"):
        fk.mps_states(np.zeros((1, 200)), feature_map=fk.IQP(200, entanglement="linear"), max_bond=10**6)
    with pytest.raises(fk.ResourceLimit, match=r"\[gram\] one state of IQP\(60\).*fk.mps_states"):
        fk.gram(np.zeros((1, 60)), kernel=fk.Fidelity(fk.IQP(60)))
    q = np.zeros((1, 1, 2, 60))
    with pytest.raises(fk.ResourceLimit, match=r"\[attention\] one state of IQP\(60"):
        fk.attention(q, q, q, kernel=fk.Fidelity(fk.IQP(60, reps=2, entanglement="linear")))


def test_log_is_a_truth_value():
    with pytest.raises(fk.InputError, match=r"\[MPSStates.gram\] log must be True or False, got 'yes'"):
        fk.mps_states(np.zeros((1, 5)), feature_map=fk.IQP(5)).gram(log="yes")


def test_attention_says_that_it_takes_states():
    """Matrix product states are Gram matrices' alone."""
    kernel = fk.Fidelity(fk.ZZ(18, entanglement="linear"))
    assert "matrix product states of bond 4" in fk.explain(kernel, n=10).path
    plan = fk.explain(kernel, n=10, op="attention")
    assert "states of 2^18 amplitudes" in plan.path and "product states" not in plan.path and plan.bytes > 10 * 8 * 2**18
    wide = fk.Fidelity(fk.ZZ(60, entanglement="linear"))
    assert not fk.explain(wide, n=10).limit and "2^60" in fk.explain(wide, n=10, op="attention").limit
    rows = np.zeros((1, 1, 2, 60))
    with pytest.raises(fk.ResourceLimit, match=r"one state of ZZ\(60"):
        fk.attention(rows, rows, rows, kernel=wide)
