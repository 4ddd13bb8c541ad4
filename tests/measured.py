# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Measured circuits that show mistakes of adapters, and how their counts are judged."""

from __future__ import annotations

import math

import numpy as np

from flashket import reference
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program
from flashket.qpu import MeasuredCircuit

FLIP = MeasuredCircuit((Program(3, 0, (Gate("x", (0,)),)),), (2, 0, 1))
"""X on qubit 0 of 3, measured as classical bit 1: only outcome 2, and every mistake in the order of qubits or bits is another."""


def random_circuit(seed: int, n_qubits: int = 3, measured: tuple[int, ...] | None = None) -> MeasuredCircuit:
    """Return two parts, each with all 22 gates in random order on random qubits, measured in random order unless given."""
    rng = np.random.default_rng(seed)

    def part() -> Program:
        gates = []
        for name in map(str, rng.permutation(list(OPCODES))):
            qubits = tuple(int(qubit) for qubit in rng.permutation(n_qubits)[: 2 if name in TWO_QUBIT else 1])
            angle = (Linear(0.0, -1, float(rng.uniform(-4.0, 4.0))),) if name in WITH_ANGLE else ()
            gates.append(Gate(name, qubits, angle))
        return Program(n_qubits, 0, tuple(gates))

    order = tuple(int(qubit) for qubit in rng.permutation(n_qubits))
    return MeasuredCircuit((part(), part()), order if measured is None else measured)


def probabilities(circuit: MeasuredCircuit) -> np.ndarray:
    """Return the exact probabilities (2^m,) of a circuit's outcomes, from the oracle."""
    program = Program(circuit.n_qubits, 0, tuple(gate for part in circuit.parts for gate in part.gates))
    state = reference.run_program(program, np.zeros((1, 0)))[0]
    out = np.zeros(1 << len(circuit.measured))
    for index, weight in enumerate(np.abs(state) ** 2):
        out[sum((index >> qubit & 1) << bit for bit, qubit in enumerate(circuit.measured))] += weight
    return out


def chi_square_is_fine(counts: dict[int, int], expected: np.ndarray) -> bool:
    """Return whether counts fit probabilities: impossible outcomes never come, and chi-square is below six sigma (one in 10^9)."""
    shots = sum(counts.values())
    found = np.array([counts.get(outcome, 0) for outcome in range(len(expected))])
    if found[expected < 1e-12].any():
        return False
    often = expected * shots >= 5
    rest = np.array([found[often].sum(), shots - found[often].sum()]), np.array([expected[often].sum(), 1 - expected[often].sum()]) * shots
    values, means = np.append(found[often], rest[0][1]), np.append(expected[often] * shots, rest[1][1])
    kept = means >= 5
    freedom = max(int(kept.sum()) - 1, 1)
    square = float(((values[kept] - means[kept]) ** 2 / means[kept]).sum())
    # Wilson and Hilferty: the cube root of chi-square is nearly normal, also for one degree of freedom.
    width = 2 / (9 * freedom)
    return ((square / freedom) ** (1 / 3) - (1 - width)) / math.sqrt(width) < 6
