# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Randomised measurements: the formula against density matrices, unbiasedness for pairs and purities, seeds."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import flashket as fk
from contract import feature_maps
from flashket.qpu import shadows
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators import RandomisedMeasurement
from flashket.qpu.estimators.encoding import encode
from flashket.qpu.estimators.randomised import best_shots, pair_variance
from flashket.qpu.shadows import correlations, overlaps
from sampling import ideal_probabilities, sample

ROWS = np.random.default_rng(5).uniform(-2, 2, (4, 3))


def every_axis(feature_map: Any, row: np.ndarray) -> list[dict[int, float]]:
    """Exact counts of all 3^n choices of axes, which together are the mean over the ensemble."""
    program, n = encode(feature_map, row), feature_map.n_qubits
    counts = []
    for axes in product(((), ("h",), ("sdg", "h")), repeat=n):
        turn = tuple(fk.Gate(name, (qubit,)) for qubit in range(n) for name in axes[qubit])
        circuit = MeasuredCircuit((fk.Program(n, 0, program.gates + turn),), tuple(range(n)))
        counts.append({z: float(p) * 1e12 for z, p in enumerate(ideal_probabilities(circuit))})
    return counts


@pytest.mark.parametrize("feature_map", feature_maps(2), ids=repr)
def test_the_ensembles_mean_is_the_fidelity(feature_map: Any) -> None:
    rows = np.random.default_rng(1).uniform(-2, 2, (3, 2))
    values, _ = overlaps([every_axis(feature_map, row) for row in rows], feature_map.n_qubits)
    np.testing.assert_allclose(values, fk.gram(rows, kernel=fk.Fidelity(feature_map)), atol=1e-8)


@pytest.mark.parametrize("ensemble", ["clifford", "haar"])
def test_estimates_are_unbiased_on_and_off_the_diagonal(ensemble: str) -> None:
    rng, kernel = np.random.default_rng(8), fk.Fidelity(fk.ZZ(3, reps=1, bandwidth=0.4))
    exact = fk.gram(ROWS, kernel=kernel)
    work = RandomisedMeasurement(kernel, n_unitaries=700, ensemble=ensemble, seed=3).measurements(ROWS, diagonal=True)
    estimate = work.estimate([sample(ideal_probabilities(circuit), 6, rng) for circuit in work.circuits])
    assert estimate.n_circuits == 2800
    deviation = (estimate.values - exact) / estimate.standard_errors
    assert np.abs(deviation).max() < 4
    # Tight enough to see the bias of a naive purity, 2^n / S.
    assert estimate.standard_errors.max() < 0.15


def test_errors_are_the_scatter_over_seeds() -> None:
    rng, kernel = np.random.default_rng(8), fk.Fidelity(fk.ZZ(3, reps=1, bandwidth=0.4))
    estimates = []
    for seed in range(150):
        work = RandomisedMeasurement(kernel, n_unitaries=20, seed=seed).measurements(ROWS[:2])
        estimates.append(work.estimate([sample(ideal_probabilities(circuit), 50, rng) for circuit in work.circuits]))
    scatter = np.std([estimate.values[0, 1] for estimate in estimates])
    claimed = np.sqrt(np.mean([estimate.standard_errors[0, 1] ** 2 for estimate in estimates]))
    assert abs(scatter / claimed - 1) < 0.2
    assert (estimates[0].values[[0, 1], [0, 1]] == 1).all()


@pytest.mark.parametrize("n_qubits", [1, 4, 7])
def test_sparse_and_dense_sums_agree(n_qubits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(n_qubits)
    counts = [sample(rng.dirichlet(np.ones(2**n_qubits)), 40, rng) for _ in range(5)]
    dense = correlations(counts, n_qubits)
    slow = np.zeros((5, 5))
    for (i, left), (j, right) in product(enumerate(counts), repeat=2):
        for (s, a), (t, b) in product(left.items(), right.items()):
            slow[i, j] += 2**n_qubits * (-2.0) ** -(s ^ t).bit_count() * a * b / 1600
    monkeypatch.setattr(shadows, "_DENSE_QUBITS", 0)
    np.testing.assert_allclose(dense, slow, atol=1e-10)
    np.testing.assert_allclose(correlations(counts, n_qubits), slow, atol=1e-10)


def test_wide_states_use_only_what_came() -> None:
    # 70 qubits: outcomes beyond 64 bits.
    values = correlations([{0: 10}, {1 << 69: 10}, {3 << 68: 10}], 70)
    np.testing.assert_allclose(values / 2.0**70, [[1, -0.5, 0.25], [-0.5, 1, -0.5], [0.25, -0.5, 1]])


def test_other_rows_and_powers() -> None:
    kernel = fk.Fidelity(fk.Angle(2), power=2)
    estimator = RandomisedMeasurement(kernel, n_unitaries=1200, seed=1)
    x, y = np.array([[0.1, 0.2]]), np.array([[0.3, 0.1], [1.0, 2.0]])
    work = estimator.measurements(x, y)
    assert len(work.circuits) == 3600 == estimator.demand(1, 2).n_circuits
    rng = np.random.default_rng(0)
    estimate = work.estimate([sample(ideal_probabilities(circuit), 20, rng) for circuit in work.circuits])
    deviation = (estimate.values - fk.gram(x, y, kernel=kernel)) / estimate.standard_errors
    assert np.abs(deviation).max() < 4


def test_seeds() -> None:
    kernel = fk.Fidelity(fk.Angle(2))
    for ensemble in ("clifford", "haar"):
        first, again, other = (RandomisedMeasurement(kernel, ensemble=ensemble, seed=seed).turns for seed in (1, 1, 2))
        assert first == again != other
    # Z costs no gate, X one, Y two: 2 qubits have 2 gates in the mean.
    assert abs(np.mean([len(turn) for turn in RandomisedMeasurement(kernel, n_unitaries=3000).turns]) - 2) < 0.1


@pytest.mark.parametrize("options", [{"n_unitaries": 1}, {"n_unitaries": 0}, {"ensemble": "pauli"}, {"seed": -1}, {"seed": 0.5}])
def test_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(fk.InputError, match=r"\[randomised_measurement\]"):
        RandomisedMeasurement(fk.Fidelity(fk.Angle(2)), **options)


def test_bad_counts() -> None:
    with pytest.raises(fk.InputError, match="two shots or more for purities"):
        overlaps([[{0: 1}, {0: 1}]], 1)
    for counts in ([], [[{0: 5}]], [[{0: 5}, {0: 5}], [{0: 5}]]):
        with pytest.raises(fk.InputError, match="two or more unitaries"):
            overlaps(counts, 1)
    values, errors = overlaps([[{0: 1}, {0: 1}]] * 2, 1, purities=False)
    assert np.isnan(values[0, 0])
    assert values[0, 1] == 2
    assert errors[0, 1] == 0


@pytest.mark.parametrize(("angle", "shots"), [(0.3, 3), (0.3, 40), (1.4, 5), (2.8, 4)])
def test_variance_of_product_states_is_the_model(angle: float, shots: int) -> None:
    # The mean over directions, which random rotations of both states give: U(x) of one RY on each qubit has one direction.
    n, rng = 3, np.random.default_rng(int(10 * angle) + shots)
    kernel = fk.Fidelity(fk.Angle(n))
    work = RandomisedMeasurement(kernel, n_unitaries=3000, ensemble="haar", seed=4).measurements(np.zeros((1, n)), np.full((1, n), angle))
    counts = [sample(ideal_probabilities(circuit), shots, rng) for circuit in work.circuits]
    exact = float(np.cos(angle / 2) ** (2 * n))
    found = work.estimate(counts).standard_errors[0, 0] ** 2 * 3000
    assert abs(found / pair_variance(exact, n, shots) - 1) < 0.12
    best = best_shots(exact, n)
    total = [pair_variance(exact, n, s) * s for s in (best, best + 1, best - 1)]
    assert total[0] <= min(total) * 1.02
