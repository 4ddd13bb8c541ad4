# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Random noisy circuits that the tests share."""

from __future__ import annotations

import numpy as np

from flashket.noise.program import CHANNEL, GATE, PAIR_CHANNEL, NoisyCircuit, NoisyProgram
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program
from flashket.reference import PAULIS


def random_channel(rng, strength=0.3):
    """Return the Pauli transfer matrix of a random one-qubit channel, trace preserving and completely positive, not unital."""
    n_kraus = 3
    operators = np.sqrt(strength) * (rng.normal(size=(n_kraus, 2, 2)) + 1j * rng.normal(size=(n_kraus, 2, 2)))
    operators[0] += np.eye(2)
    # sum K^dagger K = 1
    values, vectors = np.linalg.eigh(np.einsum("kab,kac->bc", operators.conj(), operators))
    operators = operators @ (vectors / np.sqrt(values) @ vectors.conj().T)
    transfer = np.array([[sum(np.trace(p @ k @ q @ k.conj().T) for k in operators).real / 2 for q in PAULIS] for p in PAULIS])
    transfer[0] = [1, 0, 0, 0]
    return transfer


def random_pair_channel(rng, strength=0.2):
    """Return the 16 scales of a random two-qubit Pauli channel."""
    errors = rng.dirichlet(np.ones(15)) * strength
    probabilities = np.concatenate([[1 - strength], errors])
    anticommute = np.array([[a != b and a * b > 0 for b in range(4)] for a in range(4)])
    signs = np.array([[(-1.0) ** (anticommute[p % 4, q % 4] ^ anticommute[p // 4, q // 4]) for q in range(16)] for p in range(16)])
    scales = signs @ probabilities
    scales[0] = 1
    return scales


def random_gates(rng, n_qubits, n_features, names, swaps=True):
    """Return gates of these names in random order on random qubits, their angles constant or of one or two factors."""
    gates = []
    for i, name in enumerate(rng.permutation(names)):
        if name in TWO_QUBIT and (n_qubits < 2 or (name == "swap" and not swaps)):
            continue
        qubits = tuple(int(q) for q in rng.permutation(n_qubits)[: 2 if name in TWO_QUBIT else 1])
        factors = (Linear(rng.normal(), int(rng.integers(n_features)), rng.normal()), Linear(rng.normal(), i % n_features, rng.normal()))
        constant = (Linear(0.0, -1, float(rng.choice([rng.normal(), np.pi / 2, -np.pi / 2, np.pi]))),)
        angle = constant if i % 3 == 0 else factors[: i % 3]
        gates.append(Gate(str(name), qubits, angle if name in WITH_ANGLE else ()))
    return tuple(gates)


def with_noise(rng, program, n_channels=4, n_pair_channels=3, every=1):
    """Return the program with channels at random places."""
    channels = np.array([random_channel(rng) for _ in range(n_channels)]).reshape(-1, 4, 4)
    pairs = np.array([random_pair_channel(rng) for _ in range(n_pair_channels)]).reshape(-1, 16)
    operations = []

    def add_some():
        for _ in range(int(rng.integers(0, 3))):
            q0, q1 = (int(q) for q in rng.permutation(max(program.n_qubits, 2))[:2])
            if program.n_qubits > 1 and n_pair_channels and rng.random() < 0.4:
                operations.append([PAIR_CHANNEL, int(rng.integers(n_pair_channels)), q0, q1])
            elif n_channels:
                operations.append([CHANNEL, int(rng.integers(n_channels)), q0 % program.n_qubits, -1])

    add_some()
    for index in range(len(program.gates)):
        operations.append([GATE, index, -1, -1])
        if index % every == 0:
            add_some()
    return NoisyProgram(program, np.array(operations, np.int32).reshape(-1, 4), channels, pairs)


def random_noisy(seed, n_qubits, n_features=3, repeats=2):
    """Return a noisy program of every gate."""
    rng = np.random.default_rng(seed)
    gates = random_gates(rng, n_qubits, n_features, list(OPCODES) * repeats)
    return with_noise(rng, Program(n_qubits, n_features, gates))


def random_start(rng, n_qubits):
    """Return mixed product states."""
    vectors = rng.normal(size=(n_qubits, 3))
    return np.column_stack([np.ones(n_qubits), 0.9 * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)])


def random_circuit(seed, n_qubits, n_features=3, repeats=1, measured=None):
    """Return a noisy kernel circuit: a program, noise, its inverse, other noise."""
    rng = np.random.default_rng(seed)
    program = Program(n_qubits, n_features, random_gates(rng, n_qubits, n_features, list(OPCODES) * repeats))
    measured = tuple(range(n_qubits)) if measured is None else measured
    parts = (with_noise(rng, program, every=3), with_noise(rng, program.inverse(), every=3))
    return NoisyCircuit(parts, random_start(rng, n_qubits), rng.uniform(0, 0.2, (len(measured), 2)), measured)
