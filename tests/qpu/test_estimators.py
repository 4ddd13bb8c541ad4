# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Estimators: exact probabilities give the exact Gram matrix, counts scatter as the standard errors say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import flashket as fk
from contract import feature_maps
from flashket.qpu.estimators import ComputeUncompute, Estimator, Hadamard
from flashket.qpu.estimators._simulate import ideal_probabilities, sample

ROWS = np.random.default_rng(5).uniform(-2, 2, (4, 3))

PAIR_ESTIMATORS: list[tuple[type[Estimator], type[fk.kernels.Kernel]]] = [(ComputeUncompute, fk.Fidelity), (Hadamard, fk.HadamardTest)]


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
