# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Estimators: exact probabilities give the exact Gram matrix, counts scatter as the standard errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flashket as fk
from contract import feature_maps
from flashket.program import Gate, Linear, Program
from flashket.qpu.estimators import (
    ESTIMATORS,
    ComputeUncompute,
    DestructiveSwapTest,
    Estimator,
    Hadamard,
    LocalBloch,
    SwapTest,
    make_estimator,
)
from flashket.qpu.mitigation import ReadoutMitigation
from sampling import ideal_probabilities, sample

ROWS = np.random.default_rng(5).uniform(-2, 2, (4, 3))

PAIR_ESTIMATORS: list[tuple[type[Estimator], type[fk.kernels.Kernel]]] = [
    (ComputeUncompute, fk.Fidelity),
    (SwapTest, fk.Fidelity),
    (DestructiveSwapTest, fk.Fidelity),
    (Hadamard, fk.HadamardTest),
]


def exact_counts(work: Any) -> list[dict[int, float]]:
    """What infinitely many shots would give, scaled to one million."""
    return [{z: float(p) * 1e6 for z, p in enumerate(ideal_probabilities(circuit))} for circuit in work.circuits]


@pytest.mark.parametrize(("estimator", "kernel"), PAIR_ESTIMATORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("feature_map", feature_maps(3), ids=repr)
@pytest.mark.parametrize("power", [1, 3])
def test_exact_probabilities_give_the_gram_matrix(estimator: Any, kernel: Any, feature_map: Any, power: int) -> None:
    wanted_kernel = kernel(feature_map, power=power)
    symmetric = estimator(wanted_kernel).measurements(ROWS)
    assert len(symmetric.circuits) == 6
    np.testing.assert_allclose(symmetric.estimate(exact_counts(symmetric)).values, fk.gram(ROWS, kernel=wanted_kernel), atol=1e-11)
    other = estimator(wanted_kernel).measurements(ROWS[:1], ROWS[1:3])
    wanted = fk.gram(ROWS[:1], ROWS[1:3], kernel=wanted_kernel)
    np.testing.assert_allclose(other.estimate(exact_counts(other)).values, wanted, atol=1e-11)


@pytest.mark.parametrize(("estimator", "kernel"), PAIR_ESTIMATORS, ids=lambda kind: kind.__name__)
def test_counts_scatter_as_the_errors_say(estimator: Any, kernel: Any) -> None:
    rng = np.random.default_rng(11)
    wanted = kernel(fk.ZZ(3, reps=1, bandwidth=0.5))
    work = estimator(wanted).measurements(ROWS, diagonal=True)
    exact = fk.gram(ROWS, kernel=wanted)
    probabilities = [ideal_probabilities(circuit) for circuit in work.circuits]
    draws = [work.estimate([sample(p, 400, rng) for p in probabilities], [400] * 10) for _ in range(300)]
    values, errors = (np.array([getattr(draw, name) for draw in draws]) for name in ("values", "standard_errors"))
    assert draws[0].n_circuits == 10
    assert draws[0].n_shots == 4000
    # Unbiased: the mean of 300 draws is within five of its standard errors.
    np.testing.assert_array_less(np.abs(values.mean(0) - exact), 5 * errors.mean(0) / np.sqrt(300) + 1e-12)
    upper = np.triu_indices(4, 1)
    ratio = values.std(0)[upper] / errors.mean(0)[upper]
    np.testing.assert_allclose(ratio, 1, atol=0.25)
    # A measured diagonal that came out as 1 every time is not claimed to be exact.
    assert (errors[:, range(4), range(4)] > 0).all()


@pytest.mark.parametrize("feature_map", [fk.ZZ(3, reps=1), fk.HardwareEfficient(3), fk.Amplitude(5, bias=0.3), fk.Angle(3)], ids=repr)
def test_demand_is_what_the_circuits_need(feature_map: Any) -> None:
    rows = np.random.default_rng(2).uniform(0.2, 1.4, (3, feature_map.n_features))
    for estimator, kernel in PAIR_ESTIMATORS:
        chosen = estimator(kernel(feature_map))
        demand, work = chosen.demand(3), chosen.measurements(rows)
        assert demand.n_circuits == len(work.circuits) == 3
        assert {circuit.n_qubits for circuit in work.circuits} == {demand.n_qubits}
        assert {len(circuit.measured) for circuit in work.circuits} == {demand.n_measured}
        assert chosen.demand(3, 4).n_circuits == 12
        assert chosen.demand(3, diagonal=True).n_circuits == 6


def test_hadamard_shares_the_circuit() -> None:
    # Fixed gates act once and every rotation that differs costs one RZZ: 3 features and 2 couplings of ZZ, whose CX stay as they are.
    work = Hadamard(fk.HadamardTest(fk.ZZ(3, reps=1, entanglement="linear"))).measurements(ROWS[:1], ROWS[1:2])
    names = [gate.name for gate in work.circuits[0].parts[0].gates]
    plain = [gate.name for gate in fk.ZZ(3, reps=1, entanglement="linear").program().gates]
    assert names.count("h") == plain.count("h") + 2
    assert names.count("rzz") == sum(name in ("p", "rz") for name in plain) + 2 * plain.count("cp") + plain.count("rzz")


def test_refusals() -> None:
    with pytest.raises(fk.InputError, match=r"\[compute_uncompute\] the kernel must be fk.Fidelity"):
        ComputeUncompute(fk.HadamardTest(fk.Angle(2)))
    work = ComputeUncompute(fk.Fidelity(fk.Angle(3))).measurements(ROWS[:2])
    for counts, shots, text in [
        ([], None, "counts of 1 circuits"),
        ([{8: 5}], None, "3 bits"),
        ([{-1: 5}], None, "3 bits"),
        ([{}], None, "must have counts"),
        ([{0: 5}], [6], "add up to 6"),
        ([{0: 5}], [5, 5], "shots of 1 circuits"),
    ]:
        with pytest.raises(fk.InputError, match=text):
            work.estimate(counts, shots)
    with pytest.raises(fk.InputError, match="n must be a positive integer"):
        work.estimator.demand(0)
    with pytest.raises(fk.InputError, match="NaN"):
        ComputeUncompute(fk.Fidelity(fk.Angle(1))).measurements([[np.nan]])


@pytest.mark.parametrize("feature_map", feature_maps(3), ids=repr)
def test_exact_bloch_vectors_give_the_projected_kernel(feature_map: Any) -> None:
    kernel = fk.Projected(feature_map, gamma=0.7)
    work = LocalBloch(kernel).measurements(ROWS)
    assert len(work.circuits) == 12 == LocalBloch(kernel).demand(4).n_circuits
    # The correction of a million shots is about 1e-6 a component.
    np.testing.assert_allclose(work.estimate(exact_counts(work)).values, fk.gram(ROWS, kernel=kernel), atol=1e-4)
    other = LocalBloch(kernel).measurements(ROWS[:1], ROWS[1:])
    wanted = fk.gram(ROWS[:1], ROWS[1:], kernel=kernel)
    estimate = other.estimate(exact_counts(other))
    assert len(other.circuits) == 12
    np.testing.assert_allclose(estimate.values, wanted, atol=1e-4)
    assert estimate.values.shape == estimate.standard_errors.shape == (1, 3)


def test_bloch_distances_are_unbiased() -> None:
    rng = np.random.default_rng(0)
    kernel = fk.Projected(fk.ZZ(3, reps=1), gamma=0.2)
    work = LocalBloch(kernel).measurements(ROWS[:2])
    exact = fk.gram(ROWS[:2], kernel=kernel)[0, 1]
    probabilities = [ideal_probabilities(circuit) for circuit in work.circuits]
    draws = [work.estimate([sample(p, 50, rng) for p in probabilities]) for _ in range(1500)]
    values = np.array([draw.values[0, 1] for draw in draws])
    errors = np.array([draw.standard_errors[0, 1] for draw in draws])
    distances = -10 * np.log(values)
    assert abs(distances.mean() + 10 * np.log(exact)) < 4 * distances.std() / np.sqrt(1500)
    # Without the correction the mean would be off by more than the test resolves.
    assert 8 * distances.std() / np.sqrt(1500) < 18 * 0.5 / 50
    assert abs(values.std() / errors.mean() - 1) < 0.1
    with pytest.raises(fk.InputError, match="two shots or more"):
        work.estimate([{0: 1}] * 6)


@pytest.mark.parametrize("confusion", [None, [[0.95, 0.08], [0.05, 0.92]]])
def test_errors_of_distances_know_that_qubits_are_correlated(confusion: Any) -> None:
    # Of a GHZ state, whose qubits all read alike, against a product state.
    angle = (Linear(1.0, 0),)
    gates = (Gate("ry", (0,), angle), *(Gate("cx", (0, k)) for k in (1, 2, 3)))
    kernel, rows = fk.Projected(fk.Circuit(Program(4, 1, gates)), gamma=0.1), [[1.2], [2.6]]
    work = LocalBloch(kernel).measurements(rows)
    probabilities = [ideal_probabilities(circuit) for circuit in work.circuits]
    readout = None if confusion is None else ReadoutMitigation([confusion] * 4, "tensored")
    if confusion is not None:
        every = np.array([[1.0]])
        for _ in range(4):
            every = np.kron(confusion, every)
        probabilities = [every @ p for p in probabilities]
    rng, values, errors = np.random.default_rng(3), [], []
    for _ in range(500):
        counts = [sample(p, 100, rng) for p in probabilities]
        found = work.estimate(counts if readout is None else [readout.correct(each) for each in counts])
        values.append(found.values[0, 1])
        errors.append(found.standard_errors[0, 1])
    assert abs(np.std(values) / np.sqrt(np.mean(np.square(errors))) - 1) < 0.1


def test_names_find_estimators() -> None:
    for kernel, name in [
        (fk.Fidelity(fk.ZZ(2)), "compute_uncompute"),
        (fk.HadamardTest(fk.ZZ(2)), "hadamard_test"),
        (fk.Projected(fk.ZZ(2)), "local_bloch"),
    ]:
        assert make_estimator(kernel).name == name
    assert make_estimator(fk.Fidelity(fk.ZZ(2)), "randomised_measurement", n_unitaries=7).demand(3).n_circuits == 21
    assert set(ESTIMATORS) == {kind.name for kind in ESTIMATORS.values()}
    with pytest.raises(fk.InputError, match="name must be one of auto, compute_uncompute"):
        make_estimator(fk.Fidelity(fk.ZZ(2)), "tomography")
    with pytest.raises(fk.InputError, match="a QPU measures"):
        make_estimator(fk.ZZ(2))  # type: ignore[arg-type]
