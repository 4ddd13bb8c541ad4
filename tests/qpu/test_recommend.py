# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Recommendations: the shots really bring the error, rankings follow the costs, what cannot run says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import flashket as fk
from flashket.qpu.estimators import ESTIMATORS, LocalBloch, RandomisedMeasurement
from flashket.qpu.profile import load_profile
from flashket.qpu.recommend import recommend
from sampling import ideal_probabilities, sample

LINE = fk.Fidelity(fk.ZZ(4, reps=1, entanglement="linear"))


def perfect(n_qubits: int = 20) -> Any:
    """A device without errors, every pair of qubits connected."""
    ion = load_profile("quantinuum_h1-1")
    none = (0.0,) * ion.n_qubits
    return replace(ion, error_1q=none, readout_p10=none, readout_p01=none, error_2q=(0.0,), memory_error=0.0)


def test_pairs_for_few_rows_and_unitaries_for_many() -> None:
    few, many = (recommend("ibm_boston", LINE, n) for n in (20, 5000))
    assert few.best is not None
    assert many.best is not None
    assert few.best.name == "compute_uncompute"
    assert many.best.name == "randomised_measurement"
    for ranking in (few, many):
        assert {row.name for row in ranking.rows} == {"compute_uncompute", "swap_test", "destructive_swap_test", "randomised_measurement"}
        assert ranking.measure == "USD"
        dollars = [row.cost.usd for row in ranking.rows if row.cost is not None and row.cost.usd is not None]
        assert dollars == sorted(dollars)
        assert len(dollars) == 4
        assert ranking.rows[0].reason == "fewest USD"
        assert f"{dollars[1] / dollars[0]:.3g} x the USD" in ranking.rows[1].reason
    text = str(few)
    assert "modelled" in text
    assert all(row.name in text and row.reason in text for row in few.rows)


@pytest.mark.parametrize(("similarity", "power"), [(0.2, 1), (0.7, 1), (0.7, 2)])
def test_the_shots_of_pairs_bring_the_error(similarity: float, power: int) -> None:
    kernel, rng = fk.Fidelity(fk.Angle(3), power=power), np.random.default_rng(1)
    rows, others = np.zeros((1, 3)), np.full((1, 3), 2 * np.arccos(similarity ** (1 / 6)))
    for row in recommend(perfect(), kernel, 1, 1, target_error=0.05, similarity=similarity).rows:
        if row.name != "randomised_measurement":
            work = ESTIMATORS[row.name](kernel).measurements(rows, others)
            p = ideal_probabilities(work.circuits[0])
            values = [work.estimate([sample(p, row.shots, rng)]).values[0, 0] for _ in range(500)]
            assert abs(np.std(values) / 0.05 - 1) < 0.15, row.name
            assert row.n_circuits == row.signal == 1


def test_the_unitaries_bring_the_error() -> None:
    # Angle maps are product states, which the model is for; Haar unitaries take them out of their axes.
    kernel, rng = fk.Fidelity(fk.Angle(2)), np.random.default_rng(1)
    rows, others = np.zeros((1, 2)), np.full((1, 2), 2 * np.arccos(0.7**0.25))
    by_name = {row.name: row for row in recommend(perfect(), kernel, 1, 1, target_error=0.1, similarity=0.7).rows}
    row, values = by_name["randomised_measurement"], []
    for seed in range(100):
        estimator = RandomisedMeasurement(kernel, n_unitaries=row.n_circuits // 2, ensemble="haar", seed=seed)
        work = estimator.measurements(rows, others)
        values.append(work.estimate([sample(ideal_probabilities(circuit), row.shots, rng) for circuit in work.circuits]).values[0, 0])
    assert abs(np.std(values) / 0.1 - 1) < 0.25


def test_the_worst_entry_decides_without_a_similarity() -> None:
    by_name = {row.name: row for row in recommend(perfect(), LINE, 20, target_error=0.05).rows}
    assert by_name["compute_uncompute"].shots == 100
    assert by_name["swap_test"].shots == by_name["destructive_swap_test"].shots == 400
    assert by_name["compute_uncompute"].n_circuits == 190
    (hadamard,) = recommend(perfect(), fk.HadamardTest(fk.Amplitude(4)), 20, target_error=0.05).rows
    assert hadamard.shots == 100


@pytest.mark.parametrize("similarity", [None, 0.0, 1.0])
def test_projected_kernels_of_any_gamma_have_a_number_of_shots(similarity: float | None) -> None:
    for gamma in (1e-6, 1e6):
        (row,) = recommend(perfect(), fk.Projected(fk.ZZ(2), gamma=gamma), 8, similarity=similarity).rows
        assert row.shots >= 2 or not row.is_feasible
    # A kernel of 0 does not care where the states are.
    (row,) = recommend(perfect(), fk.Projected(fk.ZZ(2), gamma=1e6), 8, similarity=0.0).rows
    assert row.shots == 2


def test_projected_kernels_reach_the_error() -> None:
    kernel = fk.Projected(fk.HardwareEfficient(3), gamma=0.6)
    (row,) = recommend(perfect(), kernel, 8, target_error=0.03).rows
    assert row.n_circuits == 24
    work = LocalBloch(kernel).measurements(np.random.default_rng(3).uniform(-2, 2, (8, 3)))
    probabilities, rng = [ideal_probabilities(circuit) for circuit in work.circuits], np.random.default_rng(4)
    values = [work.estimate([sample(p, row.shots, rng) for p in probabilities]).values for _ in range(100)]
    scatter = np.std(values, axis=0)[np.triu_indices(8, 1)]
    # A bound, and not a loose one.
    assert scatter.max() < 0.03 * 1.2
    assert scatter.max() > 0.01


def test_what_cannot_run_comes_last_and_says_why() -> None:
    ranking = recommend("quantinuum_h1-1", fk.Fidelity(fk.ZZ(10, reps=1, entanglement="linear")), 20)
    assert ranking.rows[-1].name == "swap_test"
    assert not ranking.rows[-1].is_feasible
    assert ranking.rows[-1].reason == "needs 21 qubits, the device has 20"
    assert "needs 21 qubits" in str(ranking)
    noisy = recommend("ibm_torino", fk.Fidelity(fk.ZZ(12, reps=2)), 20)
    assert all("of the signal" in row.reason for row in noisy.rows if not row.is_feasible)
    assert any(not row.is_feasible for row in noisy.rows)
    nothing = recommend("iqm_garnet", fk.Fidelity(fk.ZZ(21, reps=1, entanglement="linear")), 20)
    assert nothing.best is None
    assert all(row.reason.startswith("needs ") for row in nothing.rows)


def test_noise_costs_shots() -> None:
    good, bad = (
        {row.name: row for row in recommend(profile, LINE, 20).rows}["compute_uncompute"] for profile in ("ibm_boston", "ibm_torino")
    )
    assert good.signal > bad.signal
    assert good.shots < bad.shots
    noisy = bad.signal * 0.5 + (1 - bad.signal) / 16
    assert bad.shots >= noisy * (1 - noisy) / (0.02 * bad.signal) ** 2


def test_many_shots_for_each_unitary_where_circuits_cost() -> None:
    # Braket charges 0.30 USD a circuit, IBM time alone.
    by_circuit, by_time = (
        {row.name: row for row in recommend(profile, LINE, 20).rows}["randomised_measurement"] for profile in ("iqm_garnet", "ibm_torino")
    )
    assert by_circuit.shots > 4 * by_time.shots
    assert by_circuit.n_circuits < by_time.n_circuits


def test_bad_input() -> None:
    bad: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        (("ibm_atlantis", LINE, 5), {}, "profile"),
        ((3, LINE, 5), {}, "profile must be"),
        (("ibm_torino", LINE.feature_map, 5), {}, "a QPU measures"),
        (("ibm_torino", LINE, 0), {}, "n must be a positive integer"),
        (("ibm_torino", LINE, 5, -1), {}, "m must be a positive integer"),
        (("ibm_torino", LINE, 1), {}, "leave a pair"),
        (("ibm_torino", LINE, 5), {"target_error": 0}, "target_error must be a positive number"),
        (("ibm_torino", LINE, 5), {"target_error": -0.1}, "target_error must be a positive number"),
        (("ibm_torino", LINE, 5), {"similarity": 2}, "similarity must be"),
        (("ibm_torino", LINE, 5), {"similarity": "0.5"}, "similarity must be"),
    ]
    for arguments, options, text in bad:
        with pytest.raises(fk.InputError, match=text):
            recommend(*arguments, **options)
