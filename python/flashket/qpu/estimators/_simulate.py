# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Outcomes of a measured circuit without noise."""

from __future__ import annotations

import numpy as np

from flashket.arrays import Array
from flashket.feature_maps.circuit import Circuit
from flashket.program import Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.states import states


def ideal_probabilities(circuit: MeasuredCircuit) -> Array:
    """Return the probability of every outcome without noise, (2**n_measured,) float64.

    Examples
    --------
    >>> from flashket.program import Gate
    >>> bell = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    >>> ideal_probabilities(MeasuredCircuit((bell,), (1, 0))).round(6)
    array([0.5, 0. , 0. , 0.5])
    """
    n = circuit.n_qubits
    program = Program(n, 0, tuple(gate for part in circuit.parts for gate in part.gates))
    state = states(np.zeros((1, 0)), feature_map=Circuit(program))[0]
    # Axis a is qubit n - 1 - a; the measured ones to the front, the last classical bit first.
    tensor = (np.abs(state) ** 2).reshape((2,) * n)
    axes = [n - 1 - qubit for qubit in reversed(circuit.measured)]
    moved = np.moveaxis(tensor, axes, range(len(axes)))
    return np.asarray(moved.reshape(2 ** len(axes), -1).sum(axis=1))


def sample(probabilities: Array, shots: int, rng: np.random.Generator) -> dict[int, int]:
    """Return counts of ``shots`` outcomes.

    Examples
    --------
    >>> sample(np.array([0.0, 1.0]), 10, np.random.default_rng(0))
    {1: 10}
    """
    found = rng.multinomial(shots, probabilities / probabilities.sum())
    return {int(outcome): int(found[outcome]) for outcome in np.flatnonzero(found)}
