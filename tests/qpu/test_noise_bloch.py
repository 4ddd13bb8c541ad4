# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Projected kernels under noise: against dense density matrices, against the estimator's own circuits, and as counts scatter."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import flashket as fk
from flashket import diagnostics, reference
from flashket.noise import bloch, exact
from flashket.noise.program import NoisyCircuit
from flashket.program import Gate, Program
from flashket.qpu.estimators import LocalBloch
from flashket.qpu.estimators.local import turned
from noisy import random_gates, random_noisy, random_start, with_noise

RNG = np.random.default_rng(8)
X3, Y3 = RNG.uniform(-2, 2, (6, 3)), RNG.uniform(-2, 2, (4, 3))
KERNEL = fk.Projected(fk.ZZ(3), gamma=0.8)
EXACT, RUNS = (fk.NoiseModel.from_profile("ibm_torino", method, trajectories=512) for method in ("exact", "trajectories"))
MAPS = [fk.Angle(3), fk.Angle(3, rotation="rx"), fk.IQP(3), fk.ZZ(3, reps=1), fk.HardwareEfficient(3), fk.Circuit(fk.ZZ(3).program())]


def random_circuits(seed, n_qubits):
    """Three circuits of one random program, each with other noise, wires measured in another order."""
    rng = np.random.default_rng(seed)
    program = Program(n_qubits, 3, random_gates(rng, n_qubits, 3, ["h", "rx", "ry", "rz", "cx", "cz", "rzz", "p"] * 2))
    start, order = random_start(rng, n_qubits), tuple(int(q) for q in rng.permutation(n_qubits))
    readout = rng.uniform(0, 0.2, (n_qubits, 2))
    return tuple(NoisyCircuit((with_noise(rng, each),), start, readout, order) for each in turned(program))


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_random_channels_against_dense_density_matrices(n_qubits, seed):
    circuits = random_circuits(seed, n_qubits)
    for y in (None, Y3):
        found, error = bloch.gram(circuits, 0.7, X3, y)
        np.testing.assert_allclose(found, reference.noisy_projected_gram(circuits, 0.7, X3, y), rtol=0, atol=1e-12)
        assert error == 0.0


@pytest.mark.parametrize("feature_map", MAPS, ids=repr)
def test_a_device_against_dense_density_matrices(feature_map):
    kernel = fk.Projected(feature_map, gamma=0.6)
    circuits = EXACT.row_circuits(kernel)
    assert len(circuits) == len(bloch.AXES)
    for dtype, error in ((np.float64, 1e-12), (np.float32, 2e-6)):
        for y in (None, Y3):
            found = fk.gram(X3.astype(dtype), None if y is None else y.astype(dtype), kernel=kernel, noise="ibm_torino")
            assert found.dtype == dtype
            wanted = reference.noisy_projected_gram(circuits, 0.6, X3.astype(dtype), None if y is None else y.astype(dtype))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=error)
    same = fk.gram(X3, kernel=kernel, noise="ibm_torino")
    np.testing.assert_array_equal(same, same.T)
    np.testing.assert_array_equal(np.diag(same), 1.0)
    # Noise draws rows together.
    assert (same >= kernel(X3) - 1e-12).mean() > 0.6


def test_it_is_what_the_circuits_of_the_estimator_read():
    """The same circuits, each compiled for its own angles: only gates that numbers merge differ."""
    found = fk.gram(X3, kernel=KERNEL, noise=EXACT)
    circuits = LocalBloch(KERNEL).measurements(X3).circuits
    read = exact.many_probabilities([EXACT.bound_circuit(circuit) for circuit in circuits])
    signs = 1.0 - 2.0 * (np.arange(8)[:, None] >> np.arange(3) & 1)
    vectors = (np.array(read) @ signs).reshape(6, 9)
    distances = ((vectors[:, None] - vectors) ** 2).sum(axis=2)
    np.testing.assert_allclose(found, np.exp(-0.4 * distances), rtol=0, atol=2e-3)


def test_without_noise_it_is_the_kernel():
    quiet = Program(2, 1, (Gate("rx", (0,), ((0.0, -1, 0.5),)), Gate("cx", (0, 1))))  # type: ignore[arg-type]
    programs = turned(quiet)
    silence = (np.ones((0, 4, 4)), np.ones((0, 16)))
    from flashket.noise.program import NoisyProgram

    def circuit(program):
        operations = np.array([[0, k, -1, -1] for k in range(len(program.gates))], np.int32)
        return NoisyCircuit((NoisyProgram(program, operations, *silence),), np.tile([1.0, 0, 0, 1], (2, 1)), np.zeros((2, 2)), (0, 1))

    found, _ = bloch.gram(tuple(map(circuit, programs)), 1.0, [[0.0], [1.0]])
    np.testing.assert_allclose(found, 1.0, atol=1e-12)


def test_trajectories_agree_within_their_errors():
    wanted = fk.gram(X3, Y3, kernel=KERNEL, noise=EXACT)
    deviations = []
    for seed in range(12):
        with diagnostics.record() as counts:
            found = fk.gram(X3, Y3, kernel=KERNEL, noise=RUNS, seed=seed)
        (report,) = counts.noise
        assert report.method == "trajectories"
        assert 0 < report.standard_error < 0.01
        deviations.append((found - wanted) / report.standard_error)
    assert np.abs(deviations).max() < 6
    assert np.abs(np.mean(deviations, axis=0)).max() < 2.5 / np.sqrt(12) * 2
    # The report is of the largest error: nowhere is it far too large.
    assert np.std(deviations, axis=0).max() > 0.4
    np.testing.assert_array_equal(found, fk.gram(X3, Y3, kernel=KERNEL, noise=RUNS, seed=11))


def test_nine_qubits_take_trajectories():
    kernel = fk.Projected(fk.ZZ(9, reps=1, entanglement="linear"), gamma=0.2)
    rows = RNG.uniform(-1, 1, (2, 9))
    with diagnostics.record() as counts:
        found = fk.gram(rows, kernel=kernel, noise="ibm_torino", seed=1)
    (report,) = counts.noise
    assert (report.method, report.n_qubits) == ("trajectories", 9)
    wanted = fk.gram(rows, kernel=kernel, noise=EXACT)
    assert abs(found - wanted).max() < 6 * report.standard_error


@pytest.mark.parametrize(("method", "shots"), [("exact", 2), ("exact", 30), ("exact", 500), ("trajectories", 30)])
def test_counts_scatter_about_the_noisy_value(method, shots):
    """Distances are unbiased; their exponential is where it is close to linear."""
    kernel, x, y = fk.Projected(fk.ZZ(2), gamma=1e-3), X3[:3, :2], Y3[:3, :2]
    noise = fk.NoiseModel.from_profile("ibm_torino", method, trajectories=32)
    wanted = -np.log(fk.gram(x, y, kernel=kernel, noise=fk.NoiseModel.from_profile("ibm_torino", "exact")))
    found = np.array([-np.log(fk.gram(x, y, kernel=kernel, noise=noise, shots=shots, seed=seed)) for seed in range(100)])
    deviation = (found.mean(axis=0) - wanted) / (found.std(axis=0) / np.sqrt(len(found)))
    assert np.abs(deviation).max() < 5
    assert 0.5 < np.sqrt((deviation**2).mean()) < 2


def test_counts_scatter_as_the_estimator_says():
    device = fk.qpu.gram(X3, kernel=KERNEL, backend="sim:ibm_torino", shots=400, seed=3)
    spread = np.std([fk.gram(X3, kernel=KERNEL, noise=EXACT, shots=400, seed=seed) for seed in range(100)], axis=0)
    upper = np.triu_indices(6, 1)
    np.testing.assert_allclose(spread[upper], device.standard_errors[upper], rtol=0.4)
    assert (np.diag(spread) == 0).all()


def test_samples_of_a_row_depend_on_its_number_alone():
    whole = fk.gram(X3, Y3, kernel=KERNEL, noise=EXACT, shots=50, seed=5)
    np.testing.assert_array_equal(whole[:2], fk.gram(X3[:2], Y3, kernel=KERNEL, noise=EXACT, shots=50, seed=5))
    np.testing.assert_array_equal(whole, fk.gram(X3, Y3, kernel=KERNEL, noise=EXACT, shots=50, seed=5))
    assert (whole != fk.gram(X3, Y3, kernel=KERNEL, noise=EXACT, shots=50, seed=6)).any()


def test_products_with_it():
    weights = RNG.normal(size=(4, 2))
    wanted = fk.gram(X3, Y3, kernel=KERNEL, noise=EXACT) @ weights
    np.testing.assert_allclose(fk.gram_matvec(X3, weights, Y3, kernel=KERNEL, noise=EXACT), wanted, atol=1e-12)


def test_empty_sides():
    for x, y in ((np.empty((0, 3)), None), (np.empty((0, 3)), Y3), (X3, np.empty((0, 3)))):
        for options in ({}, {"shots": 10}):
            shape = (len(x), len(x if y is None else y))
            assert fk.gram(x, y, kernel=KERNEL, noise=RUNS, **options).shape == shape


@pytest.mark.parametrize("noise", [EXACT, fk.NoiseModel.from_profile("ibm_torino", "trajectories", trajectories=2)], ids=["exact", "runs"])
def test_the_memory_asked_for_is_enough(monkeypatch, noise):
    kernel, x = fk.Projected(fk.Angle(1)), np.random.default_rng(0).uniform(-1, 1, (900, 1))
    fk.gram(x[:1], kernel=kernel, noise=noise)
    asked = []
    monkeypatch.setattr("flashket.memory.require", lambda place, what, n_bytes, do: asked.append(n_bytes))
    monkeypatch.setattr("flashket.noise.applied.require", lambda place, what, n_bytes, do: asked.append(n_bytes))
    tracemalloc.start()
    fk.gram(x, kernel=kernel, noise=noise)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.05 * max(asked)


def test_wide_rows_of_a_random_program():
    """The strings of I and Z alone are those of the whole vector."""
    noisy = random_noisy(3, 4)
    start = random_start(np.random.default_rng(1), 4)
    whole = exact.pauli_vectors(noisy, start, X3)
    index = [sum(3 * 4**k for k in range(4) if bits >> k & 1) for bits in range(16)]
    np.testing.assert_array_equal(np.array(list(exact.diagonals(noisy, start, X3))), whole[:, index])
