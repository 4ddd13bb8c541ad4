# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Trajectories: exact without noise, unbiased with it, their standard errors right, and streams that depend on nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from flashket import reference
from flashket.noise import exact, trajectories
from flashket.noise.channels import amplitude_damping, depolarizing, pair_depolarizing, thermal_relaxation
from flashket.noise.program import CHANNEL, GATE, PAIR_CHANNEL, NoisyCircuit, NoisyProgram
from flashket.program import OPCODES, Program
from flashket.runtime import available_isas
from noisy import random_circuit, random_gates, random_noisy, random_start, with_noise

OTHERS = [isa for isa in available_isas() if isa != fk.isa()]
TOLERANCE = {np.float32: 3e-5, np.float64: 1e-12}


def silent(program):
    """Return the program with no noise."""
    operations = np.array([[GATE, i, -1, -1] for i in range(len(program.gates))], np.int32).reshape(-1, 4)
    return NoisyProgram(program, operations, np.ones((0, 4, 4)), np.ones((0, 16)))


def rows(n, n_features, seed=0):
    return np.random.default_rng(seed).uniform(-3, 3, (n, n_features))


def as_complex(states):
    half = states.shape[1] // 2
    return states[:, :half] + 1j * states[:, half:]


def device_like(n_qubits, reps=1):
    """Return a ZZ kernel with relaxation and depolarisation of the strength of real devices."""
    decay = thermal_relaxation(150e-6, 120e-6, 5e-6)
    channels = np.array([depolarizing(1e-3), decay, amplitude_damping(0.05)])
    pairs = pair_depolarizing(0.02)[None]

    def part(program):
        operations = []
        for index, gate in enumerate(program.gates):
            operations.append([GATE, index, -1, -1])
            if len(gate.qubits) == 2:
                operations += [[PAIR_CHANNEL, 0, *gate.qubits], [CHANNEL, 1, gate.qubits[0], -1], [CHANNEL, 2, gate.qubits[1], -1]]
            else:
                operations.append([CHANNEL, 0, gate.qubits[0], -1])
        return NoisyProgram(program, np.array(operations, np.int32), channels, pairs)

    program = fk.ZZ(n_qubits, reps=reps, entanglement="linear").program()
    start = np.tile([1.0, 0.0, 0.0, 0.98], (n_qubits, 1))
    return NoisyCircuit((part(program), part(program.inverse())), start, np.full((n_qubits, 2), [0.01, 0.03]), tuple(range(n_qubits)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_qubits", [1, 2, 5, 9])
def test_states_without_noise(n_qubits, dtype):
    rng = np.random.default_rng(n_qubits)
    program = Program(n_qubits, 3, random_gates(rng, n_qubits, 3, list(OPCODES) * 2))
    x = rows(7, 3)
    found = trajectories.trajectory_states(silent(program), np.tile([1.0, 0, 0, 1], (n_qubits, 1)), x, trajectories=5, seed=0, dtype=dtype)
    wanted = np.repeat(reference.run_program(program, x), 5, axis=0)
    overlap = np.einsum("ij,ij->i", wanted.conj(), as_complex(found))
    np.testing.assert_allclose(abs(overlap), 1, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(as_complex(found), wanted * overlap[:, None], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("n_qubits", [1, 2, 3])
@pytest.mark.parametrize("adjoint", [False, True])
def test_mean_projector_is_the_density_matrix(n_qubits, adjoint):
    """Of every gate and random channels; each component within five standard errors."""
    noisy = random_noisy(n_qubits, n_qubits, repeats=1)
    rng = np.random.default_rng(1)
    start = random_start(rng, n_qubits)
    x, count = rows(2, 3), 20_000
    exactly = exact.pauli_vectors(noisy, start, x, adjoint=adjoint)
    states = as_complex(
        trajectories.trajectory_states(noisy, start, x, trajectories=count, seed=5, adjoint=adjoint, dtype=np.float64)
    ).reshape(2, count, -1)
    for index in range(4**n_qubits):
        string = reference.pauli_product(np.eye(4)[[index >> 2 * k & 3 for k in range(n_qubits)]])
        samples = np.einsum("irz,zy,iry->ir", states.conj(), string, states).real
        if adjoint:
            samples /= 2**n_qubits  # E = sum_P e_P P
        errors = samples.std(axis=1) / np.sqrt(count)
        assert (abs(samples.mean(axis=1) - exactly[:, index]) < 5 * errors + 1e-12).all()


@pytest.mark.parametrize("n_qubits", [3, 6])
def test_gram_is_unbiased_and_knows_its_error(n_qubits):
    """Deviations from the exact simulation, in standard errors, have mean 0 and variance 1."""
    noisy = device_like(n_qubits)
    x, y = rows(6, n_qubits), rows(5, n_qubits, 1)
    wanted = exact.gram(noisy, x, y)
    scores = []
    for seed in range(30):
        values, errors = trajectories.gram(noisy, x, y, trajectories=64, seed=seed)
        scores.append((values - wanted) / errors)
    scores = np.array(scores)
    assert 0.8 < (scores**2).mean() < 1.35
    # Entries of one seed share trajectories: about n + m of them are independent.
    assert abs(scores.mean()) < 4 / np.sqrt(30 * 5)
    assert errors.max() < 0.1


def test_gram_with_strong_noise():
    noisy = random_circuit(3, 3)
    x = rows(3, 3)
    wanted = reference.noisy_gram(noisy, x)
    values, errors = trajectories.gram(noisy, x, trajectories=4000, seed=1)
    assert (abs(values - wanted) < 5 * errors).all() and (values == values.T).all() and (errors == errors.T).all()
    assert errors.max() < 0.05


def test_error_falls_with_trajectories():
    noisy = device_like(4)
    x = rows(4, 4)
    few = trajectories.gram(noisy, x, trajectories=64, seed=0)[1]
    many = trajectories.gram(noisy, x, trajectories=64 * 16, seed=0)[1]
    assert 0.15 < np.median(many) / np.median(few) < 0.4


def test_gram_without_noise_has_no_error():
    program = fk.ZZ(10, reps=1).program()
    parts = (silent(program), silent(program.inverse()))
    noisy = NoisyCircuit(parts, np.tile([1.0, 0, 0, 1], (10, 1)), np.zeros((10, 2)), tuple(range(10)))
    x = rows(6, 10)
    for dtype in (np.float32, np.float64):
        values, errors = trajectories.gram(noisy, x, trajectories=2, seed=0, dtype=dtype)
        np.testing.assert_allclose(values, fk.gram(x, kernel=fk.Fidelity(fk.ZZ(10, reps=1))), atol=TOLERANCE[dtype])
        assert errors.max() < TOLERANCE[dtype]


def test_probabilities():
    circuit = random_circuit(11, 3, measured=(2, 0))
    x = rows(2, 3)
    bound = replace(circuit, parts=tuple(replace(p, program=p.program.bind(row)) for p, row in zip(circuit.parts, x, strict=True)))
    found = trajectories.probabilities(bound, trajectories=50_000, seed=3)
    assert abs(found.sum() - 1) < 1e-12
    np.testing.assert_allclose(found, exact.probabilities(bound), atol=0.03)


@pytest.mark.usefixtures("restore_threads")
def test_results_do_not_depend_on_threads():
    noisy = device_like(5)
    x = rows(9, 5)
    results = []
    for n_threads in (1, 2, 5):
        fk.set_num_threads(n_threads)
        results.append(
            (*trajectories.gram(noisy, x, trajectories=20, seed=2**64 - 1), trajectories.gram(noisy, x, x, trajectories=3, seed=0)[0])
        )
    for other in results[1:]:
        assert all((a == b).all() for a, b in zip(other, results[0], strict=True))


def test_streams_are_of_row_and_trajectory(monkeypatch):
    """Parts of the rows or of the trajectories are what they are in the whole, so blocks do not matter."""
    noisy, x = device_like(4), rows(7, 4)
    start = noisy.start
    whole = trajectories.trajectory_states(noisy.parts[0], start, x, trajectories=6, seed=9).reshape(7, 6, -1)
    part = trajectories.trajectory_states(noisy.parts[0], start, x[3:5], trajectories=2, seed=9, first_row=3, first_trajectory=4)
    np.testing.assert_allclose(part.reshape(2, 2, -1), whole[3:5, 4:], atol=1e-7)
    other = trajectories.trajectory_states(noisy.parts[0], start, x, trajectories=6, seed=10).reshape(7, 6, -1)
    assert (abs(other - whole).max(axis=2) > 1e-3).any()
    values = trajectories.gram(noisy, x, trajectories=40, seed=1)
    monkeypatch.setattr(trajectories, "_BLOCK_BYTES", 1)
    for found, wanted in zip(trajectories.gram(noisy, x, trajectories=40, seed=1), values, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_same_draws_in_both_precisions():
    noisy, x = device_like(5), rows(3, 5)
    single, double = (
        trajectories.trajectory_states(noisy.parts[0], noisy.start, x, trajectories=50, seed=4, dtype=dtype)
        for dtype in (np.float32, np.float64)
    )
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_channels_that_only_relabel_are_no_noise():
    """A unitary as a channel has one Kraus operator."""
    flip = NoisyProgram(Program(1, 0, ()), np.array([[CHANNEL, 0, 0, -1]], np.int32), np.diag([1.0, 1, -1, -1])[None], np.ones((0, 16)))
    states = trajectories.trajectory_states(flip, [[1, 0, 0, 1]], np.zeros((1, 0)), trajectories=9, seed=0)
    np.testing.assert_allclose(abs(as_complex(states)), np.tile([0, 1], (9, 1)), atol=1e-6)


def test_bad_input():
    noisy, x = device_like(2), rows(2, 2)
    with pytest.raises(fk.InputError, match="trajectories must be an integer, at least 2, got 1"):
        trajectories.gram(noisy, x, trajectories=1, seed=0)
    with pytest.raises(fk.InputError, match="seed must be"):
        trajectories.gram(noisy, x, trajectories=2, seed=-1)
    with pytest.raises(fk.InputError, match="completely positive"):
        transposed = replace(noisy.parts[0], channels=np.array([np.diag([1.0, 1, -1, 1])] * 3))
        trajectories.gram(replace(noisy, parts=(transposed, noisy.parts[1])), x, trajectories=2, seed=0)
    with pytest.raises(fk.InputError, match="mixtures of Pauli strings"):
        wrong = replace(noisy.parts[0], pair_channels=np.array([[1.0] * 15 + [-1.0]]))
        trajectories.gram(replace(noisy, parts=(wrong, noisy.parts[1])), x, trajectories=2, seed=0)
    with pytest.raises(fk.InputError, match="start must be positive"):
        trajectories.gram(replace(noisy, start=np.tile([1.0, 0, 0, 1.1], (2, 1))), x, trajectories=2, seed=0)
    with pytest.raises(fk.ResourceLimit, match=r"up to 24 qubits, got 25: use method=\"effective\""):
        trajectories.trajectory_states(silent(Program(25, 0, ())), np.ones((25, 4)), np.empty((1, 0)), trajectories=1, seed=0)
    with pytest.raises(fk.InputError, match="dtype must be float32 or float64"):
        trajectories.trajectory_states(noisy.parts[0], noisy.start, x, trajectories=1, seed=0, dtype=np.float16)
    with pytest.raises(fk.InputError, match="the circuit must have no features"):
        trajectories.probabilities(noisy, trajectories=1, seed=0)


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(trajectories.memory, "available_bytes", lambda: 10**8)
    with pytest.raises(fk.ResourceLimit, match="states of 20 qubits needs"):
        trajectories.trajectory_states(
            silent(Program(20, 0, ())), np.tile([1.0, 0, 0, 1], (20, 1)), np.empty((1, 0)), trajectories=1, seed=0
        )


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_pairs_of_trajectories_are_compared_within_the_memory_asked_for(monkeypatch, is_symmetric):
    noisy, x = device_like(3), rows(150, 3)
    others = {} if is_symmetric else {"Y": rows(149, 3)}
    asked = []
    monkeypatch.setattr(trajectories.memory, "require", lambda place, what, n_bytes, do: asked.append(n_bytes))
    whole = trajectories.gram(noisy, x, **others, trajectories=24, seed=1)
    monkeypatch.setattr(trajectories, "_PAIRS", 10_000)
    monkeypatch.setattr(trajectories, "_BLOCK_BYTES", 100_000)
    asked.clear()
    tracemalloc.start()
    parts = trajectories.gram(noisy, x, **others, trajectories=24, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < max(asked)
    assert max(asked) < 48 * (150 * 13) ** 2 / 50  # of all pairs at once
    for found, wanted in zip(parts, whole, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_random_pair_channels_backward():
    """Not only depolarisation: the two sides of a pair keep their order."""
    rng = np.random.default_rng(8)
    noisy = with_noise(rng, Program(2, 3, random_gates(rng, 2, 3, ["cx", "rx", "ry", "rxx", "swap"])), n_channels=0)
    operator = np.array([[1.0, 0.3, -0.2, 0.5], [1.0, -0.6, 0.1, 0.2]])
    x = rows(1, 3)
    wanted = exact.pauli_vectors(noisy, operator, x, adjoint=True)[0]
    states = as_complex(trajectories.trajectory_states(noisy, operator, x, trajectories=40_000, seed=2, adjoint=True, dtype=np.float64))
    mean = np.einsum("ra,rb->ab", states, states.conj()) / len(states)
    found = [np.trace(reference.pauli_product(np.eye(4)[[index & 3, index >> 2]]) @ mean).real / 4 for index in range(16)]
    np.testing.assert_allclose(found, wanted, atol=0.02)


@pytest.mark.parametrize("isa", OTHERS)
def test_other_instruction_sets(isa):
    """The tests again, in a fresh process under another instruction set."""
    expression = "not other_instruction_sets and not fit and not strong and not probabilities"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", expression]
    environment = {**os.environ, "FLASHKET_ISA": isa}
    root = Path(__file__).parents[2]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=root, check=False)
    assert result.returncode == 0, result.stdout[-3000:]
