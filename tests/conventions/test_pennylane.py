# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""IQP, Angle and Amplitude against the real PennyLane templates.

PennyLane's first wire is the highest bit of the basis index and FlashKet's qubit 0 the lowest, so the device lists its wires in
falling order; the templates still see wire j for feature j.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pennylane as qml
import pytest

import flashket as fk

ATOL = 1e-12  # kernel values and amplitudes in float64: the numbers contract


def pennylane_states(n_qubits: int, embed: Callable[[np.ndarray, list[int]], object], x: np.ndarray) -> np.ndarray:
    """Return (rows, 2**n_qubits) amplitudes, wire 0 the lowest bit."""
    device = qml.device("default.qubit", wires=range(n_qubits)[::-1])

    @qml.qnode(device)
    def state(row: np.ndarray) -> object:
        embed(row, list(range(n_qubits)))
        return qml.state()

    return np.array([state(row) for row in x])


def pairs_of(n: int, entanglement: str) -> list[tuple[int, int]]:
    """Return the pairs that an entanglement name stands for."""
    if entanglement == "full":
        return list(itertools.combinations(range(n), 2))
    line = [(i, i + 1) for i in range(n - 1)]
    return [*line, (n - 1, 0)] if entanglement == "circular" and n > 2 else line


@pytest.mark.parametrize("entanglement", ["full", "linear", "circular"])
@pytest.mark.parametrize("reps", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_iqp_states_match_pennylane(n: int, reps: int, entanglement: str) -> None:
    x = np.random.default_rng(10 * n + reps).uniform(-2 * np.pi, 2 * np.pi, (3, n))

    def embed(row: np.ndarray, wires: list[int]) -> None:
        if n == 1:  # the template refuses an empty pattern; one wire has no pair
            for _ in range(reps):
                qml.Hadamard(0)
                qml.RZ(row[0], 0)
        elif entanglement == "full":
            qml.IQPEmbedding(row, wires=wires, n_repeats=reps)
        else:
            qml.IQPEmbedding(row, wires=wires, n_repeats=reps, pattern=[list(pair) for pair in pairs_of(n, entanglement)])

    got = fk.states(x, feature_map=fk.IQP(n, reps=reps, entanglement=entanglement))
    np.testing.assert_allclose(got, pennylane_states(n, embed, x), rtol=0, atol=ATOL)


def test_iqp_accepts_any_pattern() -> None:
    x = np.random.default_rng(5).uniform(-np.pi, np.pi, (3, 4))
    pairs = [(0, 3), (2, 1)]
    wanted = pennylane_states(4, lambda row, wires: qml.IQPEmbedding(row, wires=wires, pattern=[list(p) for p in pairs]), x)
    np.testing.assert_allclose(fk.states(x, feature_map=fk.IQP(4, entanglement=pairs)), wanted, rtol=0, atol=ATOL)


def test_iqp_kernel_matches_the_pennylane_circuit() -> None:
    """PennyLane's kernel is the probability of all zeros after U(x), then U(y)^dagger."""
    n = 3
    rng = np.random.default_rng(11)
    x, y = rng.uniform(0, 2 * np.pi, (5, n)), rng.uniform(0, 2 * np.pi, (4, n))
    device = qml.device("default.qubit", wires=n)

    @qml.qnode(device)
    def circuit(a: np.ndarray, b: np.ndarray) -> object:
        qml.IQPEmbedding(a, wires=range(n), n_repeats=2)
        qml.adjoint(qml.IQPEmbedding)(b, wires=range(n), n_repeats=2)
        return qml.probs(wires=range(n))

    kernel = fk.Fidelity(fk.IQP(n, reps=2))
    wanted = qml.kernels.kernel_matrix(x, y, lambda a, b: circuit(a, b)[0])
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), wanted, rtol=0, atol=ATOL)
    square = qml.kernels.square_kernel_matrix(x, lambda a, b: circuit(a, b)[0], assume_normalized_kernel=True)
    np.testing.assert_allclose(fk.gram(x, kernel=kernel), square, rtol=0, atol=ATOL)


@pytest.mark.parametrize("rotation", ["rx", "ry"])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_angle_matches_pennylane(n: int, rotation: str) -> None:
    x = np.random.default_rng(n).uniform(-2 * np.pi, 2 * np.pi, (6, n))
    letter = rotation[1].upper()
    wanted = pennylane_states(n, lambda row, wires: qml.AngleEmbedding(row, wires=wires, rotation=letter), x)
    feature_map = fk.Angle(n, rotation=rotation)
    np.testing.assert_allclose(fk.states(x, feature_map=feature_map), wanted, rtol=0, atol=ATOL)
    overlaps = np.abs(wanted.conj() @ wanted.T) ** 2
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(feature_map)), overlaps, rtol=0, atol=ATOL)


@pytest.mark.parametrize("d", [2, 3, 4, 7, 16])
def test_amplitude_matches_pennylane(d: int) -> None:
    x = np.random.default_rng(d).normal(size=(4, d))
    feature_map = fk.Amplitude(d)

    def embed(row: np.ndarray, wires: list[int]) -> None:
        # the template counts its first wire as the highest bit, like the device
        qml.AmplitudeEmbedding(row, wires=wires[::-1], normalize=True, pad_with=0.0)

    wanted = pennylane_states(feature_map.n_qubits, embed, x)
    np.testing.assert_allclose(fk.states(x, feature_map=feature_map), wanted, rtol=0, atol=ATOL)
    overlaps = np.abs(wanted.conj() @ wanted.T) ** 2
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(feature_map)), overlaps, rtol=0, atol=ATOL)


def test_amplitude_bias_is_one_more_feature() -> None:
    x = np.random.default_rng(1).normal(size=(3, 3))
    feature_map = fk.Amplitude(3, bias=4.0)
    longer = np.concatenate([x, np.full((3, 1), 2.0)], axis=1)
    wanted = pennylane_states(2, lambda row, wires: qml.AmplitudeEmbedding(row, wires=wires[::-1], normalize=True), longer)
    np.testing.assert_allclose(fk.states(x, feature_map=feature_map), wanted, rtol=0, atol=ATOL)


@pytest.mark.parametrize("seed", range(4))
def test_circuits_written_by_pennylane_are_read(seed: int) -> None:
    """Its OpenQASM 2 keeps global phases, so the states are equal and not only up to one."""
    n, rng = 4, np.random.default_rng(seed)
    makers = [
        lambda a, w: qml.U3(*a, wires=w[0]),
        lambda a, w: qml.Rot(*a, wires=w[0]),
        lambda a, w: qml.CRY(a[0], wires=w[:2]),
        lambda a, w: qml.ControlledPhaseShift(a[0], wires=w[:2]),
        lambda a, w: qml.IsingXX(a[0], wires=w[:2]),
        lambda a, w: qml.IsingZZ(a[0], wires=w[:2]),
        lambda a, w: qml.ISWAP(wires=w[:2]),
        lambda a, w: qml.SX(wires=w[0]),
        lambda a, w: qml.CY(wires=w[:2]),
        lambda a, w: qml.Toffoli(wires=w[:3]),
        lambda a, w: qml.CSWAP(wires=w[:3]),
        lambda a, w: qml.adjoint(qml.T(wires=w[0])),
    ]
    drawn = [(makers[k], rng.uniform(-3, 3, 3), [int(w) for w in rng.permutation(n)]) for k in rng.permutation(len(makers))]

    @qml.qnode(qml.device("default.qubit", wires=range(n)[::-1]))
    def circuit() -> object:
        for wire in range(n):
            qml.Hadamard(wire)
        for maker, angles, wires in drawn:
            maker(angles, wires)
        return qml.state()

    text = qml.to_openqasm(circuit, measure_all=False, wires=qml.wires.Wires(range(n)))()
    program = fk.Program.from_qasm(text)
    got = fk.states(np.zeros((1, 0)), feature_map=fk.Circuit(program))[0]
    np.testing.assert_allclose(got, circuit(), rtol=0, atol=1e-10)
