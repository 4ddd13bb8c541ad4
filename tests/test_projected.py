# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Projected kernels against reduced density matrices. test_gram.py and test_attention.py run every map through them too."""

from __future__ import annotations

import math

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, rows, tolerance
from flashket import reference
from flashket.feature_maps import FeatureMap
from flashket.program import Gate, Linear, Program


class FromProgram(FeatureMap):
    """A feature map that is one given Program."""

    def __init__(self, program):
        object.__setattr__(self, "n_features", program.n_features)
        object.__setattr__(self, "given", program)

    def program(self):
        return self.given


def bloch(states):
    """Return (n, 3, n_qubits) Bloch components by Pauli expectation values, without density matrices."""
    n_qubits = states.shape[1].bit_length() - 1
    out = np.empty((len(states), 3, n_qubits))
    for axis, name in enumerate("xyz"):
        for qubit in range(n_qubits):
            split = states.reshape(len(states), 2 ** (n_qubits - 1 - qubit), 2, 2**qubit)
            out[:, axis, qubit] = np.einsum("nhal,ab,nhbl->n", split.conj(), reference.gate_matrix(name), split).real
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5, 6, 7, 11, 12, 13])
def test_every_size_of_state(n_qubits, dtype):
    """Smaller than a vector, than a block, larger than one; all components of every qubit count."""
    gates = [Gate("h", (q,)) for q in range(n_qubits)]
    for layer in range(2):
        gates += [Gate("ry", (q,), (Linear(0.7 + 0.1 * q, q % 3, 0.3),)) for q in range(n_qubits)]
        gates += [Gate("p", (q,), (Linear(1.1 - 0.1 * q, (q + layer) % 3),)) for q in range(n_qubits)]
        gates += [Gate("cx", (q, q + 1)) for q in range(n_qubits - 1)]
    feature_map = FromProgram(Program(n_qubits, 3, tuple(gates)))
    x, y = rows(5, 3, dtype), rows(9, 3, dtype, 1)
    states = [reference.run_program(feature_map.given, part) for part in (x, y)]
    vectors = [bloch(part).reshape(len(part), -1) for part in states]
    assert all((np.abs(vectors[0]).max(axis=0) > 1e-3).reshape(3, n_qubits).any(axis=1))
    kernel = fk.Projected(feature_map, gamma=0.4)
    expected = np.exp(-0.2 * ((vectors[0][:, None] - vectors[1][None]) ** 2).sum(-1))
    np.testing.assert_allclose(reference.gram(x, y, kernel), expected, atol=1e-13)
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), expected, atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", "xyz")
@pytest.mark.parametrize("n_qubits", [2, 5, 9])
def test_one_component_at_a_time(n_qubits, axis, dtype):
    """Qubit q alone differs between two rows; a component that were lost, doubled or counted elsewhere would show."""
    prepare = {"z": (), "x": (Gate("h", (0,)),), "y": (Gate("h", (0,)), Gate("s", (0,)))}[axis]
    for qubit in range(n_qubits):
        # RY of the feature turns z towards x; the basis change turns that plane.
        gates = [Gate("ry", (qubit,), (Linear(1.0, 0),))] + [Gate(gate.name, (qubit,)) for gate in prepare]
        kernel = fk.Projected(FromProgram(Program(n_qubits, 1, tuple(gates))), gamma=0.7)
        got = fk.gram(np.array([[0.0]], dtype), np.array([[0.0], [0.9], [math.pi]], dtype), kernel=kernel)
        expected = np.exp(-0.35 * np.array([0, 2 - 2 * math.cos(0.9), 4]))
        np.testing.assert_allclose(got[0], expected, atol=tolerance("value", dtype), rtol=0)


def test_blind_to_global_phase():
    plain = Program(2, 1, (Gate("h", (0,)), Gate("rx", (0,), (Linear(1.0, 0),)), Gate("cx", (0, 1)), Gate("ry", (1,), (Linear(0.5, 0),))))
    phase = (Gate("rz", (0,), (Linear(1.0, 0),)), Gate("p", (0,), (Linear(-1.0, 0),)))
    phased = FromProgram(Program(2, 1, (*plain.gates, *phase)))
    x = np.array([[0.3], [1.9], [-0.7]])
    expected = fk.gram(x, kernel=fk.Projected(FromProgram(plain)))
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Projected(phased)), expected, atol=1e-14)
    assert np.abs(fk.gram(x, kernel=fk.HadamardTest(phased)) - fk.gram(x, kernel=fk.HadamardTest(FromProgram(plain)))).max() > 0.05
    amplitudes = fk.Projected(fk.Amplitude(5))
    y = rows(4, 5, np.float64)
    np.testing.assert_allclose(amplitudes(y, -y), amplitudes(y), atol=1e-14)


@pytest.mark.parametrize("rotation", ["ry", "rx"])
def test_angle_is_closed_form(rotation):
    feature_map = fk.Angle(4, rotation=rotation, bandwidth=0.8)
    x, y = rows(7, 4, np.float64), rows(9, 4, np.float64, 1)
    states = fk.Projected(FromProgram(feature_map.program()), gamma=0.6)
    np.testing.assert_allclose(fk.gram(x, y, kernel=fk.Projected(feature_map, gamma=0.6)), fk.gram(x, y, kernel=states), atol=1e-14)
    distance = 4 * np.sin(0.4 * (x[:, None] - y[None])) ** 2
    np.testing.assert_allclose(fk.gram(x, y, kernel=fk.Projected(feature_map)), np.exp(-0.5 * distance.sum(-1)), atol=1e-14)
    assert "closed form" in fk.explain(fk.Projected(feature_map), n=10).path


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", [1e-3, 16.0, 17.0, 1e4, 1e30])
def test_wide_and_narrow(gamma, dtype):
    kernel = fk.Projected(fk.ZZ(5), gamma=gamma)
    x = rows(6, 5, dtype)
    step = 1 / math.sqrt(gamma) if gamma < 1e6 else 1.0
    y = (x + 0.1 * min(step, 1) * rows(6, 5, dtype, 1)).astype(dtype)
    expected = reference.gram(x, y, kernel)
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), expected, atol=tolerance("value", dtype), rtol=0)
    np.testing.assert_allclose(fk.gram(x, x, kernel=kernel).diagonal(), 1)
    log = fk.gram(x, y, kernel=kernel, log=True)
    np.testing.assert_allclose(log, reference.gram(x, y, kernel, log=True), rtol=tolerance("log", dtype) if gamma < 1e6 else 1e-4)


def test_does_not_vanish_where_the_fidelity_does():
    x, y = rows(3, 200, np.float32), rows(4, 200, np.float32, 1)
    assert fk.gram(x, y, kernel=fk.Fidelity(fk.Angle(200))).max() < 1e-20
    got = fk.gram(x, y, kernel=fk.Projected(fk.Angle(200), gamma=1 / 200))
    assert got.min() > 0.05 and got.max() < 0.95


@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("gamma", [1.0, 40.0])
def test_attention(gamma, normalization):
    kernel = fk.Projected(fk.IQP(3, reps=2), gamma=gamma)
    q, k = (rows(n, 3, np.float32, seed).reshape(1, 1, n, 3) for n, seed in ((70, 2), (300, 3)))
    v = np.random.default_rng(0).normal(size=(1, 1, 300, 5)).astype(np.float32)
    got = fk.attention(q, k, v, kernel=kernel, normalization=normalization, temperature=0.2)
    expected = reference.attention(q, k, v, kernel, normalization=normalization, temperature=0.2)
    np.testing.assert_allclose(got, expected, atol=tolerance("attention", np.float32) * np.abs(expected).max(), rtol=0)


def test_diag_and_dtypes():
    kernel = fk.Projected(fk.ZZ(3))
    x = rows(5, 3, np.float64)
    assert (kernel.diag(x) == 1).all()
    half = x.astype(np.float16)
    got = fk.gram(half, kernel=kernel)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, reference.gram(half, None, kernel), atol=2e-6)


def test_shots_are_refused():
    kernel = fk.Projected(fk.Angle(2))
    x = np.zeros((1, 1, 3, 2))
    message = r"shots need values that are the probability of one outcome, got Projected\(Angle\(2\)\): its rows are measured"
    for call in (lambda: fk.gram(x[0, 0], kernel=kernel, shots=10), lambda: fk.attention(x, x, x, kernel=kernel, shots=10)):
        with pytest.raises(fk.InputError, match=message):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fk.Projected(fk.Angle(2), gamma=0), r"\[Projected\] gamma must be positive, got 0: 1.0 is the plain distance"),
        (lambda: fk.Projected(fk.Angle(2), gamma=-0.5), r"gamma must be positive, got -0.5"),
        (lambda: fk.Projected(fk.Angle(2), gamma=math.nan), r"gamma must be a finite number, got nan"),
        (lambda: fk.Projected(fk.Angle(2), gamma=math.inf), r"gamma must be a finite number, got inf"),
        (lambda: fk.Projected(fk.Angle(2), gamma="wide"), r"gamma must be a finite number, got 'wide'"),
        (lambda: fk.Projected("angle"), r"\[Projected\] feature_map must be a feature map, got 'angle': e.g. Projected\(fk.Angle\(8\)\)"),
        (lambda: fk.Projected(fk.Amplitude(2))(np.zeros((1, 2))), r"X must have no all-zero row for Amplitude\(2\)"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(fk.InputError, match=message):
        call()


def test_explain_and_memory():
    plan = fk.explain(fk.Projected(fk.ZZ(10)), n=1000)
    assert "30 Bloch components" in plan.path and plan.bytes < 3 * 8 * 1000**2
    assert "12 Bloch components" in fk.explain(fk.Projected(fk.Amplitude(64)), n=10).path
    with pytest.raises(fk.ResourceLimit, match=r"one state of IQP\(40\) \(2\^40 complex amplitudes\)"):
        fk.gram(np.zeros((1, 40)), kernel=fk.Projected(fk.IQP(40)))
    # The angle map's qubits are one by one: no state however many.
    assert fk.gram(np.zeros((1, 4000)), kernel=fk.Projected(fk.Angle(4000)))[0, 0] == 1
