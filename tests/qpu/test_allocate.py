# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Shots for an error and errors for shots: as the formula says, optimal, and as counts scatter."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import flashket as fk
from flashket.qpu.allocate import allocate, shared_shots, shots_for
from flashket.qpu.estimators import ComputeUncompute, DestructiveSwapTest, Hadamard, RandomisedMeasurement, SwapTest
from sampling import ideal_probabilities, sample

ROWS = np.random.default_rng(5).uniform(-2, 2, (6, 3))
KERNEL = fk.Fidelity(fk.Angle(3))
WORK = ComputeUncompute(KERNEL).measurements(ROWS)
UPPER = np.triu_indices(6, 1)


def test_known_values_get_the_shots_of_the_formula() -> None:
    exact = fk.gram(ROWS, kernel=KERNEL)
    plan = allocate(WORK, exact, target_error=0.02)
    wanted = np.ceil((exact * (1 - exact))[UPPER] / 0.02**2 - 1e-9)
    assert plan.shots == tuple(np.maximum(wanted, 1).astype(int))
    assert plan.total == sum(plan.shots)
    assert (plan.standard_errors <= 0.02).all()
    assert plan.notes == ()
    assert all(plan.keep)


@pytest.mark.parametrize(("kind", "kernel", "worst"), [
    (ComputeUncompute, fk.Fidelity, 0.25), (Hadamard, fk.HadamardTest, 0.25), (SwapTest, fk.Fidelity, 1.0),
    (DestructiveSwapTest, fk.Fidelity, 1.0),
])  # fmt: skip
def test_unknown_values_get_the_shots_of_the_worst(kind: Any, kernel: Any, worst: float) -> None:
    plan = allocate(kind(kernel(fk.Angle(3))).measurements(ROWS), target_error=0.05)
    assert set(plan.shots) == {round(worst / 0.05**2)}
    assert "no pilot" in plan.notes[0]


def test_a_pilot_leads_to_the_wanted_error() -> None:
    rng = np.random.default_rng(1)
    probabilities = [ideal_probabilities(circuit) for circuit in WORK.circuits]
    pilot = WORK.estimate([sample(p, 50, rng) for p in probabilities])
    plan = allocate(WORK, pilot, target_error=0.02)
    assert plan.total < 15 * 625
    values = [WORK.estimate([sample(p, n, rng) for p, n in zip(probabilities, plan.shots, strict=True)]).values for _ in range(300)]
    scatter = np.std(values, axis=0)[UPPER]
    assert scatter.max() < 0.02 * 1.1
    assert scatter.max() > 0.012


@pytest.mark.parametrize("power", [1, 2, 5])
def test_the_error_is_that_of_the_power(power: int) -> None:
    rng, kernel = np.random.default_rng(2), fk.Fidelity(fk.Angle(3), power=power)
    work = ComputeUncompute(kernel).measurements(ROWS[:3])
    plan = allocate(work, fk.gram(ROWS[:3], kernel=kernel), target_error=0.01)
    probabilities = [ideal_probabilities(circuit) for circuit in work.circuits]
    values = [work.estimate([sample(p, n, rng) for p, n in zip(probabilities, plan.shots, strict=True)]).values for _ in range(400)]
    scatter = np.std(values, axis=0)[np.triu_indices(3, 1)]
    several = np.array(plan.shots) > 20
    assert several.any()
    np.testing.assert_allclose(scatter[several], 0.01, rtol=0.15)


def test_entries_below_the_floor_are_skipped_and_said_to_be() -> None:
    exact = fk.gram(ROWS, kernel=KERNEL)
    plan = allocate(WORK, exact, target_error=0.02, noise_floor=0.1)
    below = exact[UPPER] <= 0.1
    assert 0 < below.sum() < 15
    assert [count == 0 for count in plan.shots] == below.tolist() == [not kept for kept in plan.keep]
    assert plan.notes == (f"{below.sum()} of 15 pairs are below the noise floor 0.1: skipped and taken as 0",)
    work = WORK.only(plan.keep)
    assert len(work.circuits) == len(work.pairs) == 15 - below.sum()
    rng = np.random.default_rng(0)
    counts = [sample(ideal_probabilities(c), n, rng) for c, n in zip(work.circuits, filter(None, plan.shots), strict=True)]
    part = work.estimate(counts)
    np.testing.assert_array_equal(np.isnan(part.values[UPPER]), below)
    whole = plan.complete(WORK, part)
    np.testing.assert_array_equal(whole.values, whole.values.T)
    assert (whole.values[UPPER][below] == 0).all()
    assert (np.abs(whole.values - exact)[UPPER][below] <= whole.standard_errors[UPPER][below] + 1e-12).all()
    assert (np.diag(whole.values) == 1).all()
    # A pilot that cannot tell skips nothing.
    pilot = WORK.estimate([{0: 1, 1: 9}] * 15)
    assert all(allocate(WORK, pilot, target_error=0.02, noise_floor=0.1).keep)


def test_lost_signal_costs_shots() -> None:
    exact = fk.gram(ROWS, kernel=KERNEL)
    plan = allocate(WORK, exact, target_error=0.02, signal=0.5)
    noisy = 0.5 * exact + 0.5 / 8
    wanted = np.ceil((noisy * (1 - noisy))[UPPER] / 0.01**2 - 1e-9)
    assert plan.shots == tuple(wanted.astype(int))
    assert "4 times the shots" in plan.notes[0]


@given(st.lists(st.sampled_from([0.0, 1e-4, 0.01, 0.09, 0.2, 0.25]), min_size=1, max_size=4), st.integers(0, 8))
def test_a_total_is_shared_out_optimally(variances: list[float], beyond: int) -> None:
    total, v = len(variances) + beyond, np.array(variances)
    every = [s for s in product(range(1, total + 1), repeat=len(variances)) if sum(s) == total]
    for objective, measure in (("sum", np.sum), ("max", np.max)):
        shots = shared_shots(variances, total, objective)
        assert shots.sum() == total
        assert shots.min() >= 1
        assert measure(v / shots) <= min(measure(v / np.array(s)) for s in every) + 1e-12


@example([5e-324], 0, "max")
@given(st.lists(st.floats(0, 0.25), min_size=1, max_size=200), st.integers(0, 100_000), st.sampled_from(["sum", "max"]))
def test_a_large_total_is_shared_out_whole(variances: list[float], beyond: int, objective: str) -> None:
    shots = shared_shots(variances, len(variances) + beyond, objective)
    assert shots.sum() == len(variances) + beyond
    assert shots.min() >= 1


def test_total_budget() -> None:
    exact = fk.gram(ROWS, kernel=KERNEL)
    least_sum, least_max = (allocate(WORK, exact, total=5000, objective=objective) for objective in ("sum", "max"))
    assert least_sum.total == least_max.total == 5000
    assert (least_sum.standard_errors**2).sum() < (least_max.standard_errors**2).sum()
    assert least_max.standard_errors.max() < least_sum.standard_errors.max()
    # Shots for an error and the error of shots are each other's inverse.
    same = allocate(WORK, exact, target_error=float(least_max.standard_errors.max()))
    assert abs(same.total - 5000) <= 15


def test_bad_input() -> None:
    exact = fk.gram(ROWS, kernel=KERNEL)
    for error in (0, -0.1, float("nan"), float("inf"), "small", True):
        with pytest.raises(fk.InputError, match="target_error must be a positive number"):
            allocate(WORK, target_error=error)  # type: ignore[arg-type]
    with pytest.raises(fk.InputError, match="below 2"):
        shots_for([0.25], 1e-12)
    for total in (14, -3, 0, 20.5, True):
        with pytest.raises(fk.InputError, match="total must be an integer of at least 15"):
            allocate(WORK, total=total)  # type: ignore[arg-type]
    for options in ({}, {"target_error": 0.1, "total": 100}):
        with pytest.raises(fk.InputError, match="one of target_error and total"):
            allocate(WORK, **options)  # type: ignore[arg-type]
    bad: list[tuple[dict[str, Any], str]] = [
        ({"objective": "mean"}, "objective must be one of"),
        ({"noise_floor": -1}, "noise_floor must be"),
        ({"noise_floor": 1.0}, "noise_floor must be"),
        ({"noise_floor": "0.1"}, "noise_floor must be"),
        ({"signal": 0}, "signal must be"),
        ({"signal": 1.5}, "signal must be"),
        ({"prior": exact[:2]}, r"prior must be \(6, 6\)"),
        ({"prior": np.full((6, 6), np.nan)}, "NaN or infinity"),
        ({"prior": "high"}, r"prior must be \(6, 6\)"),
    ]
    for options, text in bad:
        with pytest.raises(fk.InputError, match=text):
            allocate(WORK, target_error=0.1, **options)
    with pytest.raises(fk.InputError, match="work must be Measurements, got randomised_measurement"):
        allocate(RandomisedMeasurement(KERNEL, n_unitaries=2).measurements(ROWS), target_error=0.1)
    with pytest.raises(fk.InputError, match="work must be Measurements"):
        allocate(190, target_error=0.1)  # type: ignore[arg-type]
    with pytest.raises(fk.InputError, match="keep must name 15 pairs"):
        WORK.only([True])
