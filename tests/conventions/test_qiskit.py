# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""ZZ, HadamardTest and every gate of a Program against the real Qiskit, amplitudes and phases alike."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import zz_feature_map
from qiskit.quantum_info import Statevector

import flashket as fk
from flashket.feature_maps import FeatureMap
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program

ATOL = 1e-12  # kernel values and amplitudes in float64: the numbers contract
PAIRS = {n: [(0, n - 1), (n // 2, 0)] if n > 2 else list(itertools.combinations(range(n), 2)) for n in range(1, 6)}


def qiskit_zz(n: int, reps: int, entanglement: str | list[tuple[int, int]]) -> QuantumCircuit:
    """Return Qiskit's own circuit; it refuses one feature, whose circuit is H and P(2x) repeated."""
    if n == 1:
        from qiskit.circuit import Parameter

        circuit, x = QuantumCircuit(1), Parameter("x")
        for _ in range(reps):
            circuit.h(0)
            circuit.p(2.0 * x, 0)
        return circuit
    if isinstance(entanglement, str):
        return zz_feature_map(n, reps=reps, entanglement=entanglement)
    return zz_feature_map(n, reps=reps, entanglement={1: [(i,) for i in range(n)], 2: entanglement})


def qiskit_states(circuit: QuantumCircuit, x: np.ndarray) -> np.ndarray:
    """Return (rows, 2**n) amplitudes; both sides count qubit 0 as the lowest bit."""
    return np.array([Statevector(circuit.assign_parameters(row)).data for row in x])


@pytest.mark.parametrize("entanglement", ["full", "linear", "circular", "pairs"])
@pytest.mark.parametrize("reps", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_zz_states_match_qiskit(n: int, reps: int, entanglement: str) -> None:
    chosen: Any = PAIRS[n] if entanglement == "pairs" else entanglement
    x = np.random.default_rng(10 * n + reps).uniform(-2 * np.pi, 2 * np.pi, (4, n))
    wanted = qiskit_states(qiskit_zz(n, reps, chosen), x)
    got = fk.states(x, feature_map=fk.ZZ(n, reps=reps, entanglement=chosen))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=ATOL)  # equal with its global phase, so also up to it


def test_zz_bandwidth_scales_the_features_first() -> None:
    x = np.random.default_rng(3).uniform(-np.pi, np.pi, (5, 4))
    wanted = qiskit_states(qiskit_zz(4, 2, "full"), 0.37 * x)
    got = fk.states(x, feature_map=fk.ZZ(4, bandwidth=0.37))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=ATOL)


@pytest.mark.parametrize("reps", [1, 2])
def test_zz_kernels_match_overlaps_of_qiskit_states(reps: int) -> None:
    rng = np.random.default_rng(reps)
    x, y = rng.uniform(0, 2 * np.pi, (7, 4)), rng.uniform(0, 2 * np.pi, (5, 4))
    circuit = qiskit_zz(4, reps, "linear")
    overlaps = qiskit_states(circuit, x).conj() @ qiskit_states(circuit, y).T
    feature_map = fk.ZZ(4, reps=reps, entanglement="linear")
    fidelity = fk.gram(x, y, kernel=fk.Fidelity(feature_map))
    hadamard = fk.gram(x, y, kernel=fk.HadamardTest(feature_map, power=3))
    np.testing.assert_allclose(fidelity, np.abs(overlaps) ** 2, rtol=0, atol=ATOL)
    np.testing.assert_allclose(hadamard, ((1 + overlaps.real) / 2) ** 3, rtol=0, atol=ATOL)


def test_hadamard_test_is_the_probability_an_ancilla_measures() -> None:
    """The circuit a QPU would run: H, controlled U(y) U(x)^dagger on |x>, H; P(0) = (1 + Re<x|y>)/2."""
    rng = np.random.default_rng(7)
    x, y = rng.uniform(0, 2 * np.pi, (2, 3))
    circuit = qiskit_zz(3, 2, "full")
    prepare_x, prepare_y = circuit.assign_parameters(x), circuit.assign_parameters(y)
    test = QuantumCircuit(4)
    test.h(3)
    test.append(prepare_x.to_gate().control(1, ctrl_state=0), [3, 0, 1, 2])
    test.append(prepare_y.to_gate().control(1, ctrl_state=1), [3, 0, 1, 2])
    test.h(3)
    wanted = Statevector(test).probabilities([3])[0]
    got = fk.gram(x[None], y[None], kernel=fk.HadamardTest(fk.ZZ(3)))[0, 0]
    assert got == pytest.approx(wanted, abs=1e-10)  # Qiskit synthesises the controlled gates to about 1e-11


@dataclass(frozen=True, repr=False)
class Shuffled(FeatureMap):
    """Every gate several times, in an order and on qubits that the seed draws; the angles are products of features."""

    seed: int = 0

    def gates(self) -> list[tuple[str, tuple[int, ...]]]:
        rng = np.random.default_rng(self.seed)
        names = rng.permutation(list(OPCODES) * 3)
        return [(str(name), tuple(int(q) for q in rng.permutation(self.n_features)[: 2 if name in TWO_QUBIT else 1])) for name in names]

    def program(self) -> Program:
        gates = []
        for i, (name, qubits) in enumerate(self.gates()):
            j = i % self.n_features
            factors = (Linear(0.7, j, 0.1), Linear(-1.3, (j + 1) % self.n_features, 0.4))
            gates.append(Gate(name, qubits, factors[: 1 + i % 2] if name in WITH_ANGLE else ()))
        return Program(self.n_features, self.n_features, tuple(gates))

    def circuit(self, row: np.ndarray) -> QuantumCircuit:
        circuit = QuantumCircuit(self.n_features)
        for i, (name, qubits) in enumerate(self.gates()):
            j = i % self.n_features
            first, second = 0.7 * row[j] + 0.1, -1.3 * row[(j + 1) % self.n_features] + 0.4
            angle = [first * second if i % 2 else first] if name in WITH_ANGLE else []
            getattr(circuit, name)(*angle, *qubits)
        return circuit


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n", [2, 3, 5])
def test_every_gate_matches_qiskit(n: int, seed: int) -> None:
    x = np.random.default_rng(seed).uniform(-np.pi, np.pi, (3, n))
    feature_map = Shuffled(n, seed=seed)
    wanted = np.array([Statevector(feature_map.circuit(row)).data for row in x])
    np.testing.assert_allclose(fk.states(x, feature_map=feature_map), wanted, rtol=0, atol=ATOL)
