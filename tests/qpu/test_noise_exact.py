# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Density matrices in Pauli components against dense ones."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from flashket import reference
from flashket.noise import exact
from flashket.noise.program import CHANNEL, GATE, PAIR_CHANNEL, NoisyCircuit, NoisyProgram
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program
from flashket.runtime import available_isas
from noisy import random_channel, random_circuit, random_gates, random_noisy, random_start, with_noise

OTHERS = [isa for isa in available_isas() if isa != fk.isa()]
NO_CHANNELS = np.ones((0, 4, 4)), np.ones((0, 16))


def silent(program):
    """Return the program with no noise."""
    operations = np.array([[GATE, i, -1, -1] for i in range(len(program.gates))], np.int32).reshape(-1, 4)
    return NoisyProgram(program, operations, *NO_CHANNELS)


def components(rho):
    """Return Tr(P rho) of every string."""
    n = len(rho).bit_length() - 1
    out = []
    for digits in product(range(4), repeat=n):  # the last wire's digit is the most significant
        one_hot = np.eye(4)[list(digits[::-1])]
        out.append(np.trace(reference.pauli_product(one_hot) @ rho).real)
    return np.array(out)


def rows(n, n_features, seed=0):
    return np.random.default_rng(seed).uniform(-3, 3, (n, n_features))


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(6))
def test_components_of_random_noisy_programs(seed, n_qubits):
    """Every gate, constant angles and products of features, channels of one and two qubits, in random order."""
    noisy = random_noisy(seed, n_qubits, repeats=2 if n_qubits < 4 else 1)
    start, x = random_start(np.random.default_rng(seed), n_qubits), rows(3, 3, seed)
    found = exact.pauli_vectors(noisy, start, x)
    rho = reference.pauli_product(start / 2)
    for row, result in zip(x, found, strict=True):
        np.testing.assert_allclose(result, components(reference.run_noisy(noisy, rho, row)), atol=1e-12)


@pytest.mark.parametrize("name", OPCODES)
def test_every_gate_alone(name):
    """On both orders of its qubits, with an angle from a feature and a constant one."""
    start, x = random_start(np.random.default_rng(1), 2), np.array([[0.7], [-2.1]])
    for qubits in ((0, 1), (1, 0)):
        for angle in ((Linear(1.0, 0),), (Linear(0.0, -1, 0.4),), (Linear(0.0, -1, np.pi / 2),), (Linear(0.0, -1, -np.pi / 2),)):
            gate = Gate(name, qubits if name in TWO_QUBIT else qubits[:1], angle if name in WITH_ANGLE else ())
            noisy = silent(Program(2, 1, (gate,)))
            for row, result in zip(x, exact.pauli_vectors(noisy, start, x), strict=True):
                wanted = reference.run_noisy(noisy, reference.pauli_product(start / 2), row)
                np.testing.assert_allclose(result, components(wanted), atol=1e-14)


def test_without_noise_these_are_the_states():
    program = fk.ZZ(5).program()
    x = rows(4, 5)
    found = exact.pauli_vectors(silent(program), np.tile([1.0, 0, 0, 1], (5, 1)), x)
    for state, result in zip(reference.run_program(program, x), found, strict=True):
        np.testing.assert_allclose(result, components(np.outer(state, state.conj())), atol=1e-12)
    np.testing.assert_allclose((found**2).sum(axis=1), 2**5, rtol=1e-12)  # pure


@pytest.mark.parametrize("n_qubits", [1, 2, 5, 7])
@pytest.mark.parametrize("seed", range(3))
def test_heisenberg_is_schroedinger(seed, n_qubits):
    """Tr(E U rho U^dagger) from both sides, for operators that are no readout's."""
    noisy = random_noisy(seed, n_qubits)
    rng = np.random.default_rng(seed)
    start, operator, x = random_start(rng, n_qubits), rng.normal(size=(n_qubits, 4)), rows(19, 3, seed)
    forward = exact.pauli_vectors(noisy, start, x)
    backward = exact.pauli_vectors(noisy, operator, x, adjoint=True)

    def whole(factors):
        out = np.ones(1)
        for row in factors:
            out = np.kron(row, out)
        return out

    np.testing.assert_allclose(backward @ whole(start), forward @ whole(operator), atol=1e-12 * 4**n_qubits)


def test_channels_keep_trace_and_positivity():
    noisy = random_noisy(3, 4)
    for result in exact.pauli_vectors(noisy, np.tile([1.0, 0, 0, 1], (4, 1)), rows(5, 3)):
        assert result[0] == 1
        rho = np.zeros((16, 16), complex)
        for index, component in enumerate(result):
            rho += component * reference.pauli_product(np.eye(4)[[index >> 2 * k & 3 for k in range(4)]]) / 16
        assert np.linalg.eigvalsh(rho).min() > -1e-12


@pytest.mark.parametrize("n_qubits", [2, 3])
def test_gram_is_every_circuit(n_qubits):
    noisy = random_circuit(n_qubits, n_qubits)
    x, y = rows(5, 3), rows(4, 3, 1)
    np.testing.assert_allclose(exact.gram(noisy, x, y), reference.noisy_gram(noisy, x, y), atol=1e-12)
    symmetric = exact.gram(noisy, x)
    np.testing.assert_allclose(symmetric, reference.noisy_gram(noisy, x), atol=1e-12)
    assert (symmetric == symmetric.T).all() and (np.diag(symmetric) < 0.99).all()


def test_gram_of_some_measured_wires():
    noisy = random_circuit(5, 3, measured=(2, 0))
    x = rows(4, 3)
    np.testing.assert_allclose(exact.gram(noisy, x), reference.noisy_gram(noisy, x), atol=1e-12)


def test_gram_without_noise_is_the_kernel():
    program = fk.ZZ(4, reps=1).program()
    parts = (silent(program), silent(program.inverse()))
    noisy = NoisyCircuit(parts, np.tile([1.0, 0, 0, 1], (4, 1)), np.zeros((4, 2)), (0, 1, 2, 3))
    x = rows(30, 4)
    found = exact.gram(noisy, x)
    np.testing.assert_allclose(found, fk.gram(x, kernel=fk.Fidelity(fk.ZZ(4, reps=1))), atol=1e-12)
    assert found.max() <= 1 and found.min() >= 0


def test_gram_in_blocks(monkeypatch):
    """Blocks of both sides, whose ends fall anywhere."""
    noisy = random_circuit(2, 3)
    x, y = rows(45, 3), rows(51, 3, 1)
    whole, mirrored = exact.gram(noisy, x, y), exact.gram(noisy, x)
    for n_bytes in (1, 40 * 8 * 4**3):
        monkeypatch.setattr(exact, "_BLOCK_BYTES", n_bytes)
        np.testing.assert_allclose(exact.gram(noisy, x, y), whole, atol=1e-14)
        np.testing.assert_allclose(exact.gram(noisy, x), mirrored, atol=1e-14)
    assert exact.gram(noisy, x[:0], y).shape == (0, 51)
    assert exact.gram(noisy, x, y[:0]).shape == (45, 0)


@pytest.mark.parametrize("measured", [(0, 1, 2), (2, 0, 1), (1,), (2, 1)])
def test_probabilities(measured):
    circuit = random_circuit(11, 3, measured=measured)
    x = rows(2, 3)
    parts = tuple(replace(part, program=part.program.bind(row)) for part, row in zip(circuit.parts, x, strict=True))
    found = exact.probabilities(replace(circuit, parts=parts))
    np.testing.assert_allclose(found, reference.noisy_probabilities(circuit, tuple(x)), atol=1e-12)
    assert abs(found.sum() - 1) < 1e-14 and found.min() >= 0


def test_many_circuits_run_side_by_side():
    """Circuits of two structures, mixed; equal angles stay constants."""
    rng = np.random.default_rng(0)
    first = with_noise(rng, Program(3, 2, random_gates(rng, 3, 2, list(OPCODES))))
    second = with_noise(rng, Program(2, 2, random_gates(rng, 2, 2, list(OPCODES))))
    circuits = []
    for i, row in enumerate(rows(21, 2)):
        part = (first, second)[i % 2]
        n = part.program.n_qubits
        readout = rng.uniform(0, 0.1, (n, 2))
        circuits.append(
            NoisyCircuit((replace(part, program=part.program.bind(row)),), np.tile([1.0, 0, 0, 1], (n, 1)), readout, tuple(range(n)))
        )
    for circuit, found in zip(circuits, exact.many_probabilities(circuits), strict=True):
        np.testing.assert_allclose(found, reference.noisy_probabilities(circuit), atol=1e-12)
        np.testing.assert_allclose(found, exact.probabilities(circuit), atol=1e-14)
    assert exact.many_probabilities([]) == []


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("block_bytes", [1, 2**28])
def test_results_do_not_depend_on_threads(monkeypatch, block_bytes):
    monkeypatch.setattr(exact, "_BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(exact, "_PIECE", 100)
    noisy = random_circuit(4, 4)
    x = rows(53, 3)
    results = []
    for n_threads in (1, 2, 5):
        fk.set_num_threads(n_threads)
        results.append((exact.gram(noisy, x), exact.pauli_vectors(noisy.parts[0], noisy.start, x)))
    for gram, vectors in results[1:]:
        assert (gram == results[0][0]).all() and (vectors == results[0][1]).all()


def test_strided_and_empty_rows():
    noisy = random_noisy(0, 2)
    start, x = np.tile([1.0, 0, 0, 1], (2, 1)), rows(12, 6)
    np.testing.assert_array_equal(
        exact.pauli_vectors(noisy, start, x[::2, ::2]), exact.pauli_vectors(noisy, start, np.ascontiguousarray(x[::2, ::2]))
    )
    assert exact.pauli_vectors(noisy, start, np.empty((0, 3))).shape == (0, 16)
    nothing = NoisyProgram(Program(2, 0, ()), np.zeros((0, 4), np.int32), *NO_CHANNELS)
    np.testing.assert_array_equal(exact.pauli_vectors(nothing, start, np.empty((3, 0))), np.tile(np.kron(start[1], start[0]), (3, 1)))


def test_bad_input():
    noisy = random_noisy(0, 2)
    start, x = np.tile([1.0, 0, 0, 1], (2, 1)), rows(2, 3)
    with pytest.raises(fk.InputError, match=r"\[pauli_vectors\] X must be \(n_rows, 3\)"):
        exact.pauli_vectors(noisy, start, x[:, :2])
    with pytest.raises(fk.InputError, match="X must be finite"):
        exact.pauli_vectors(noisy, start, x * np.nan)
    with pytest.raises(fk.InputError, match=r"start must be \(2, 4\)"):
        exact.pauli_vectors(noisy, start[:1], x)
    with pytest.raises(fk.InputError, match="every gate once"):
        exact.pauli_vectors(replace(noisy, operations=noisy.operations[noisy.operations[:, 0] != GATE]), start, x)
    for bad in ([CHANNEL, 99, 0, -1], [CHANNEL, 0, 2, -1], [PAIR_CHANNEL, 0, 1, 1], [PAIR_CHANNEL, -1, 0, 1], [7, 0, 0, 0]):
        operations = np.append(noisy.operations, [bad], axis=0).astype(np.int32)
        with pytest.raises(fk.InputError, match=r"out of range|unknown kind"):
            exact.pauli_vectors(replace(noisy, operations=operations), start, x)
    with pytest.raises(fk.InputError, match="keep the trace"):
        exact.pauli_vectors(replace(noisy, channels=noisy.channels * 1.1), start, x)
    with pytest.raises(fk.ResourceLimit, match=r"up to 12 qubits, got 13: use method=\"trajectories\""):
        exact.pauli_vectors(silent(Program(13, 0, ())), np.ones((13, 4)), np.empty((1, 0)))
    circuit = random_circuit(0, 2)
    with pytest.raises(fk.InputError, match="two parts"):
        exact.gram(replace(circuit, parts=circuit.parts[:1]), x)
    with pytest.raises(fk.InputError, match=r"\[probabilities\] the circuit must have no features"):
        exact.probabilities(circuit)
    with pytest.raises(fk.InputError, match="readout must be"):
        exact.gram(replace(circuit, readout=circuit.readout + 1), x)


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(exact.memory, "available_bytes", lambda: 10**8)
    with pytest.raises(fk.ResourceLimit, match="density matrices of 1 rows and 12 qubits needs"):
        exact.pauli_vectors(silent(Program(12, 0, ())), np.ones((12, 4)), np.empty((1, 0)))


def test_channels_are_channels():
    """The tests' own random channels keep the trace and are completely positive."""
    for seed in range(3):
        transfer = random_channel(np.random.default_rng(seed))
        choi = sum(transfer[a, b] * np.kron(reference.PAULIS[a], reference.PAULIS[b].T) / 2 for a in range(4) for b in range(4))
        assert np.linalg.eigvalsh(choi).min() > -1e-12 and transfer[0].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("isa", OTHERS)
def test_other_instruction_sets(isa):
    """The tests again, in a fresh process under another instruction set."""
    expression = "not other_instruction_sets and not fit"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", expression]
    environment = {**os.environ, "FLASHKET_ISA": isa}
    root = Path(__file__).parents[2]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=root, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
