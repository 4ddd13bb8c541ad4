# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Mitigation: exact where the noise is what a step assumes, honest standard errors, and what is refused."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

import flashket as fk
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators import ComputeUncompute, DestructiveSwapTest, Hadamard, LocalBloch, RandomisedMeasurement, SwapTest
from flashket.qpu.mitigation import Estimated, Mitigation, ReadoutMitigation, ZeroNoise, fold, readout, repair_psd, rescale, zne
from sampling import ideal_probabilities, sample

ROWS = np.random.default_rng(5).uniform(-1, 1, (4, 3))
KERNEL = fk.Fidelity(fk.IQP(3, bandwidth=0.6))


@pytest.fixture(autouse=True)
def _own_code(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The same results wherever the optional packages are installed."""
    for name in ("mthree", "mitiq", "mitiq.zne.inference"):
        monkeypatch.setitem(sys.modules, name, None)
    for cached in (readout._mthree, zne._mitiq):
        cached.cache_clear()
    yield
    for cached in (readout._mthree, zne._mitiq):
        cached.cache_clear()


def confusion(n: int, rng: np.random.Generator) -> np.ndarray:
    p10, p01 = rng.uniform(0, 0.1, (2, n))
    return np.moveaxis(np.array([[1 - p10, p01], [p10, 1 - p01]]), 2, 0)


def misread(probabilities: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    whole = np.ones((1, 1))
    for matrix in matrices:
        whole = np.kron(matrix, whole)
    return whole @ probabilities


def as_counts(probabilities: np.ndarray, shots: float = 1e6) -> dict[int, float]:
    return {z: float(p) * shots for z, p in enumerate(probabilities)}


def noisy(circuit: MeasuredCircuit, depolarised: float = 0.0, matrices: np.ndarray | None = None) -> np.ndarray:
    p = ideal_probabilities(circuit)
    p = (1 - depolarised) * p + depolarised / len(p)
    return p if matrices is None else misread(p, matrices)


def test_readout_of_all_outcomes_is_inverted_exactly() -> None:
    rng = np.random.default_rng(1)
    matrices, true = confusion(4, rng), rng.dirichlet(np.ones(16))
    corrected = ReadoutMitigation(matrices).correct(as_counts(misread(true, matrices)))
    np.testing.assert_allclose([corrected[z] / 1e6 for z in range(16)], true, atol=1e-12)
    assert abs(sum(corrected.values()) - 1e6) < 1e-4


def test_calibration_finds_the_confusion_of_each_bit() -> None:
    rng = np.random.default_rng(2)
    matrices = confusion(3, rng)
    circuit = MeasuredCircuit((fk.Program(5, 0, (fk.Gate("h", (0,)),)),), (4, 0, 2))
    zeros, ones = ReadoutMitigation().calibration(circuit)
    assert ideal_probabilities(zeros)[0] == ideal_probabilities(ones)[7] == 1
    found = ReadoutMitigation().calibrated(circuit, [as_counts(misread(ideal_probabilities(c), matrices)) for c in (zeros, ones)])
    np.testing.assert_allclose(np.array(found.confusion), matrices, atol=1e-12)
    assert not found.needs_calibration
    assert found.calibration(circuit) == ()


@pytest.mark.parametrize("n_bits", [3, 6])
def test_the_outcomes_that_came_are_enough_if_all_came(n_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(n_bits)
    matrices, counts = confusion(n_bits, rng), as_counts(rng.dirichlet(np.ones(2**n_bits)))
    dense = ReadoutMitigation(matrices).correct(counts)
    monkeypatch.setattr(readout, "_DENSE_BITS", 0)
    sparse = ReadoutMitigation(matrices).correct(counts)
    np.testing.assert_allclose([sparse[z] for z in range(2**n_bits)], [dense[z] for z in range(2**n_bits)], atol=1e-6)
    one, other = (corrected.pull_back(lambda outcome: float(outcome == 0)) for corrected in (dense, sparse))
    np.testing.assert_allclose([one[z] for z in counts], [other[z] for z in counts], atol=1e-9)


def test_forty_bits() -> None:
    # 40 qubits in 0 but for a share of 0.3 in one other outcome; every bit is misread at times.
    rng = np.random.default_rng(0)
    matrices, shots = confusion(40, rng) * np.array([[1, 0], [0, 1]]), 6000
    matrices[:, 1, 0], matrices[:, 0, 1] = rng.uniform(0.001, 0.01, (2, 40))
    matrices[:, 0, 0], matrices[:, 1, 1] = 1 - matrices[:, 1, 0], 1 - matrices[:, 0, 1]
    other = int("10" * 20, 2)
    counts: dict[int, int] = {}
    for true in rng.choice([0, other], shots, p=[0.7, 0.3]):
        bits = np.array([int(true) >> k & 1 for k in range(40)])
        read = rng.random(40) < matrices[range(40), 1, bits]
        outcome = sum(1 << k for k in range(40) if read[k])
        counts[outcome] = counts.get(outcome, 0) + 1
    assert counts[0] / shots < 0.62
    corrected = ReadoutMitigation(matrices).correct(counts)
    assert abs(corrected[0] / shots - 0.7) < 0.02
    assert abs(sum(corrected.values()) - shots) < 1e-6


@pytest.mark.parametrize("kind", [ComputeUncompute, DestructiveSwapTest, SwapTest])
def test_errors_after_readout_mitigation_are_the_scatter(kind: Any) -> None:
    rng = np.random.default_rng(4)
    work = kind(KERNEL).measurements(ROWS[:2], diagonal=True)
    matrices = confusion(len(work.circuits[0].measured), rng)
    exact = fk.gram(ROWS[:2], kernel=KERNEL)
    setting = ReadoutMitigation(matrices)
    probabilities = [noisy(circuit, matrices=matrices) for circuit in work.circuits]
    draws = [work.estimate([setting.correct(sample(p, 500, rng)) for p in probabilities]) for _ in range(250)]
    values, errors = (np.array([getattr(draw, name) for draw in draws]) for name in ("values", "standard_errors"))
    np.testing.assert_array_less(np.abs(values.mean(0) - exact), 5 * values.std(0) / np.sqrt(250) + 1e-12)
    np.testing.assert_allclose(values.std(0) / np.sqrt((errors**2).mean(0)), 1, atol=0.15)


def test_purities_stay_unbiased_after_readout_mitigation() -> None:
    rng = np.random.default_rng(6)
    matrices = confusion(3, rng)
    work = RandomisedMeasurement(KERNEL, n_unitaries=600, seed=1).measurements(ROWS[:2], diagonal=True)
    setting = ReadoutMitigation(matrices)
    estimate = work.estimate([setting.correct(sample(noisy(circuit, matrices=matrices), 8, rng)) for circuit in work.circuits])
    deviation = (estimate.values - fk.gram(ROWS[:2], kernel=KERNEL)) / estimate.standard_errors
    assert np.abs(deviation).max() < 4


def test_bloch_vectors_after_readout_mitigation() -> None:
    rng = np.random.default_rng(7)
    matrices, kernel = confusion(3, rng), fk.Projected(fk.ZZ(3, reps=1), gamma=0.5)
    work = LocalBloch(kernel).measurements(ROWS)
    raw = [as_counts(noisy(circuit, matrices=matrices)) for circuit in work.circuits]
    exact = fk.gram(ROWS, kernel=kernel)
    setting = ReadoutMitigation(matrices)
    assert np.abs(work.estimate(raw).values - exact).max() > 0.01
    np.testing.assert_allclose(work.estimate([setting.correct(found) for found in raw]).values, exact, atol=1e-4)


@pytest.mark.parametrize("mode", ["average", "split"])
@pytest.mark.parametrize("kind", [ComputeUncompute, DestructiveSwapTest])
def test_global_depolarisation_is_taken_out(kind: Any, mode: str) -> None:
    for rows, others in ((ROWS, None), (ROWS[:1], ROWS[1:])):
        work = Mitigation(rescale=mode).measurements(kind(KERNEL), rows, others)
        estimate = work.estimate([as_counts(noisy(circuit, 0.4)) for circuit in work.circuits])
        np.testing.assert_allclose(estimate.values, fk.gram(rows, others, kernel=KERNEL), atol=1e-9)
        (step,) = estimate.steps
        assert step.name == "rescale"
        assert step.n_circuits == 4
        assert "0.4000" in step.note
        assert step.mean_change > 0.05


@pytest.mark.parametrize("mode", ["average", "split"])
def test_rescale_of_purities(mode: str) -> None:
    rng = np.random.default_rng(3)
    estimator = RandomisedMeasurement(KERNEL, n_unitaries=800, seed=5)
    for rows, others in ((ROWS[:2], None), (ROWS[:1], ROWS[1:2])):
        work = Mitigation(rescale=mode).measurements(estimator, rows, others)
        assert len(work.circuits) == 1600
        estimate = work.estimate([sample(noisy(circuit, 0.3), 30, rng) for circuit in work.circuits])
        exact = fk.gram(rows, others, kernel=KERNEL)
        assert estimate.values.shape == exact.shape
        assert estimate.steps[0].n_circuits == 0
        assert np.abs(estimate.values - exact)[0, -1] < 4 * estimate.standard_errors[0, -1]
        assert estimate.steps[0].mean_change > 0.1


def test_split_takes_out_a_different_channel_for_each_row() -> None:
    exact, strengths = fk.gram(ROWS, kernel=KERNEL), np.array([0.1, 0.2, 0.4, 0.6])
    share = np.sqrt(np.outer(1 - strengths, 1 - strengths))
    found = share * exact + (1 - share) / 8
    diagonal = Estimated(np.diag(found), np.zeros(4))
    split, strength = rescale(Estimated(found, np.zeros((4, 4))), diagonal, diagonal, floor=1 / 8)
    np.testing.assert_allclose(split.values, exact, atol=1e-12)
    assert abs(strength - (1 - share.mean())) < 1e-12
    average, _ = rescale(Estimated(found, np.zeros((4, 4))), diagonal, diagonal, floor=1 / 8, mode="average")
    assert np.abs(average.values - exact).max() > 0.05


@pytest.mark.parametrize("mode", ["average", "split"])
def test_errors_after_rescale_are_the_scatter(mode: str) -> None:
    rng = np.random.default_rng(9)
    work = Mitigation(rescale=mode).measurements(ComputeUncompute(KERNEL), ROWS)
    probabilities = [noisy(circuit, 0.5) for circuit in work.circuits]
    draws = [work.estimate([sample(p, 800, rng) for p in probabilities]) for _ in range(250)]
    values, errors = (np.array([getattr(draw, name) for draw in draws]) for name in ("values", "standard_errors"))
    upper = np.triu_indices(4, 1)
    np.testing.assert_allclose(values.std(0)[upper] / np.sqrt((errors**2).mean(0))[upper], 1, atol=0.2)


def test_hadamard_test_is_rescaled_about_one_half() -> None:
    kernel = fk.HadamardTest(fk.Amplitude(3, bias=0.5), power=2)
    work = Mitigation(rescale="split").measurements(Hadamard(kernel), ROWS)
    estimate = work.estimate([as_counts(noisy(circuit, 0.3)) for circuit in work.circuits])
    np.testing.assert_allclose(estimate.values, fk.gram(ROWS, kernel=kernel), atol=1e-9)


def test_folded_circuits_do_the_same_with_more_gates() -> None:
    circuit = ComputeUncompute(KERNEL).measurements(ROWS[:2]).circuits[0]
    size = sum(len(part.gates) for part in circuit.parts)
    for scale in (1, 1.5, 2, 3, 4.2, 5):
        folded = fold(circuit, scale)
        np.testing.assert_allclose(ideal_probabilities(folded), ideal_probabilities(circuit), atol=1e-12)
        assert abs(sum(len(part.gates) for part in folded.parts) / size - scale) <= 2 / size + 1e-9
        assert folded.measured == circuit.measured
    with pytest.raises(fk.InputError, match="scale must be 1 or more"):
        fold(circuit, 0.5)


@pytest.mark.parametrize("factory", ["richardson", "linear", "exponential"])
def test_extrapolation_is_exact_on_its_own_curve(factory: str) -> None:
    setting = ZeroNoise((1, 2, 4), factory)
    curves = {
        "richardson": lambda s: np.array([0.9 - 0.2 * s + 0.01 * s**2, 0.5 + 0.02 * s**2]),
        "linear": lambda s: np.array([0.9 - 0.1 * s, 0.2 + 0.05 * s]),
        "exponential": lambda s: 0.25 + np.array([0.7, 0.3]) * np.exp(-0.3 * s),
    }
    points = [Estimated(curves[factory](s), np.full(2, 1e-9)) for s in setting.scales]
    np.testing.assert_allclose(setting.extrapolate(points, floor=0.25).values, curves[factory](0.0), atol=1e-8)


@pytest.mark.parametrize("factory", ["richardson", "linear", "exponential"])
def test_errors_after_extrapolation_are_the_scatter(factory: str) -> None:
    setting, rng = ZeroNoise((1, 3, 5), factory), np.random.default_rng(0)
    means, sigma = 0.25 + 0.6 * np.exp(-0.2 * np.array(setting.scales)), np.array([0.004, 0.006, 0.008])
    draws = means[:, None] + sigma[:, None] * rng.normal(size=(3, 4000))
    found = setting.extrapolate([Estimated(draw, np.full(4000, s)) for draw, s in zip(draws, sigma, strict=True)], floor=0.25)
    assert abs(found.values.std() / found.errors.mean() - 1) < 0.05


def test_exponential_falls_back_to_a_line_at_the_floor() -> None:
    setting = ZeroNoise((1, 3), "exponential")
    points = [Estimated(np.array([value]), np.array([0.01])) for value in (0.26, 0.24)]
    found = setting.extrapolate(points, floor=0.25)
    np.testing.assert_allclose(found.values, [0.27])
    with pytest.raises(fk.InputError, match="what noise alone gives"):
        setting.extrapolate(points, floor=None)


def test_pipeline_of_everything() -> None:
    rng = np.random.default_rng(12)
    matrices = confusion(3, rng)
    mitigation = Mitigation(ReadoutMitigation(), ZeroNoise((1, 2, 3), "exponential"), "average", "nearest")
    work = mitigation.measurements(ComputeUncompute(KERNEL), ROWS)
    assert len(work.circuits) == 3 * 10 + 2
    shots = work.shots(4000, 20000)
    assert shots[-3:] == (4000, 20000, 20000)
    strengths = [1 - 0.8**scale for scale in (1, 2, 3) for _ in range(10)] + [0.0, 0.0]
    counts = [
        sample(noisy(circuit, strength, matrices), count, rng)
        for circuit, strength, count in zip(work.circuits, strengths, shots, strict=True)
    ]
    estimate = work.estimate(counts, shots)
    exact = fk.gram(ROWS, kernel=KERNEL)
    assert [step.name for step in estimate.steps] == ["readout", "zero_noise", "rescale", "psd"]
    assert [step.n_circuits for step in estimate.steps] == [2, 20, 4, 0]
    assert [step.n_shots for step in estimate.steps] == [40000, 80000, 16000, 0]
    assert estimate.n_circuits == 32
    assert estimate.n_shots == 160000
    raw = ComputeUncompute(KERNEL).measurements(ROWS, diagonal=True).estimate(counts[:10]).values
    upper = np.triu_indices(4, 1)
    assert np.abs(estimate.values - exact)[upper].mean() < 0.3 * np.abs(raw - exact)[upper].mean()
    assert np.linalg.eigvalsh(estimate.values)[0] > -1e-7
    np.testing.assert_allclose(np.diag(estimate.values), 1, atol=1e-12)


def test_nothing_to_do_changes_nothing() -> None:
    work = Mitigation().measurements(ComputeUncompute(KERNEL), ROWS)
    plain = ComputeUncompute(KERNEL).measurements(ROWS)
    assert work.circuits == plain.circuits
    counts = [as_counts(ideal_probabilities(circuit)) for circuit in plain.circuits]
    estimate = work.estimate(counts)
    np.testing.assert_array_equal(estimate.values, plain.estimate(counts).values)
    assert estimate.steps == ()


def test_one_row_needs_no_circuit() -> None:
    work = Mitigation(readout=ReadoutMitigation(), psd="clip").measurements(ComputeUncompute(KERNEL), ROWS[:1])
    assert work.circuits == ()
    assert work.estimate([]).values.tolist() == [[1.0]]


# Higham 2002, section 5: the nearest correlation matrix of a tridiagonal matrix of ones.
HIGHAM = (np.array([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]]), np.array([[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]]))


def test_nearest_correlation_matrix_is_the_published_one() -> None:
    np.testing.assert_allclose(repair_psd(HIGHAM[0], "nearest"), HIGHAM[1], atol=5e-5)


@pytest.mark.parametrize("method", ["clip", "shift", "nearest"])
def test_repaired_matrices_are_positive_semidefinite(method: str) -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.4, (12, 12))
    given = fk.gram(rng.uniform(-1, 1, (12, 3)), kernel=KERNEL) + (noise + noise.T) / 2
    np.fill_diagonal(given, 1.0)
    assert np.linalg.eigvalsh(given)[0] < -0.1
    repaired = repair_psd(given, method)
    np.testing.assert_array_equal(repaired, repaired.T)
    assert np.linalg.eigvalsh(repaired)[0] > -1e-7
    distances = {name: np.linalg.norm(repair_psd(given, name) - given) for name in ("clip", "shift", "nearest")}
    assert distances["clip"] <= min(distances.values()) + 1e-9
    if method == "shift":
        np.testing.assert_allclose((repaired - given)[~np.eye(12, dtype=bool)], 0, atol=1e-12)
    if method == "nearest":
        np.testing.assert_allclose(np.diag(repaired), 1, atol=1e-12)
        assert distances["nearest"] < np.linalg.norm(_scaled(repair_psd(given, "clip")) - given)
    good = fk.gram(ROWS, kernel=KERNEL)
    np.testing.assert_array_equal(repair_psd(good, method), good)


def _scaled(matrix: np.ndarray) -> np.ndarray:
    root = np.sqrt(np.diag(matrix))
    return matrix / np.outer(root, root)


def test_bad_input() -> None:
    for value, text in [
        ([[0.9, 0.1]], r"\(n_measured, 2, 2\)"),
        ([[[0.9, 0.2], [0.2, 0.8]]], "must be probabilities"),
        ([[[1.1, 0.2], [-0.1, 0.8]]], "must be probabilities"),
        ([[[0.5, 0.5], [0.5, 0.5]]], "cannot be inverted"),
        ([[[0.1, 0.9], [0.9, 0.1]]], "cannot be inverted"),
    ]:
        with pytest.raises(fk.InputError, match=text):
            ReadoutMitigation(value)
    with pytest.raises(fk.InputError, match="method must be one of"):
        ReadoutMitigation(method="guess")
    with pytest.raises(fk.InputError, match="confusion of each bit was wanted"):
        ReadoutMitigation().correct({0: 1})
    with pytest.raises(fk.InputError, match="counts of 1 bits"):
        ReadoutMitigation([[[0.9, 0.2], [0.1, 0.8]]]).correct({2: 5})
    circuit = ComputeUncompute(KERNEL).measurements(ROWS[:2]).circuits[0]
    with pytest.raises(fk.InputError, match="cannot be inverted"):
        ReadoutMitigation().calibrated(circuit, [{0: 10}, {3: 10}])
    with pytest.raises(fk.InputError, match="counts of 2 circuits"):
        ReadoutMitigation().calibrated(circuit, [{0: 10}])
    with pytest.raises(fk.BackendUnavailable, match="mthree"):
        ReadoutMitigation([[[0.9, 0.2], [0.1, 0.8]]], method="mthree").correct({0: 5})
    points = [Estimated(np.ones(1), np.ones(1))] * 3
    with pytest.raises(fk.BackendUnavailable, match="mitiq"):
        ZeroNoise(engine="mitiq").extrapolate(points, floor=0.0)
    with pytest.raises(fk.InputError, match="3 points were wanted"):
        ZeroNoise().extrapolate(points[:2], floor=0.0)
    for options in ({"scales": (1,)}, {"scales": (3, 1)}, {"scales": (2, 3)}, {"scales": ("a",)}, {"factory": "cubic"}, {"engine": "aer"}):
        with pytest.raises(fk.InputError, match=r"\[zero_noise\]"):
            ZeroNoise(**options)  # type: ignore[arg-type]
    for bad in ({"rescale": "global"}, {"psd": "drop"}, {"readout": "yes"}, {"zero_noise": 3}):
        with pytest.raises(fk.InputError, match=r"\[Mitigation\]"):
            Mitigation(**bad)  # type: ignore[arg-type]
    with pytest.raises(fk.InputError, match="square Gram matrix"):
        Mitigation(psd="clip").measurements(ComputeUncompute(KERNEL), ROWS, ROWS)
    with pytest.raises(fk.InputError, match="1 on the diagonal"):
        Mitigation(rescale="split").measurements(LocalBloch(fk.Projected(fk.ZZ(3))), ROWS)
    with pytest.raises(fk.InputError, match="which is noise"):
        half = Estimated(np.array([0.5, 0.1]), np.zeros(2))
        rescale(Estimated(np.zeros((2, 2)), np.zeros((2, 2))), half, half, floor=0.125)
    for matrix, method in [(np.ones((2, 3)), "clip"), ([[np.nan]], "clip"), ([[1.0, 0.2], [0.9, 1.0]], "shift"), (np.eye(2), "sqrt")]:
        with pytest.raises(fk.InputError, match=r"\[repair_psd\]"):
            repair_psd(matrix, method)
    work = Mitigation().measurements(ComputeUncompute(KERNEL), ROWS)
    for shots in (0, -5, 2.5, True):
        with pytest.raises(fk.InputError, match="of_entries must be a positive integer"):
            work.shots(shots)  # type: ignore[arg-type]
    with pytest.raises(fk.InputError, match="add up to 10 shots"):
        work.estimate([{0: 9}] * 6, work.shots(10))


@pytest.mark.parametrize("n_rows", [0, 1])
@pytest.mark.parametrize("estimator", [ComputeUncompute, RandomisedMeasurement])
def test_matrices_without_pairs(estimator: Any, n_rows: int) -> None:
    """Nothing to be measured is no error in any step, with or without other rows."""
    made, rows = estimator(fk.Fidelity(fk.ZZ(3))), ROWS[:n_rows]
    steps = ({"psd": "nearest"}, {"psd": "clip"}, {"zero_noise": ZeroNoise(engine="own")}, {"rescale": "split"}, {"rescale": "average"})
    for options in steps:
        work = Mitigation(**options).measurements(made, rows)
        found = work.estimate([{0: 7}] * len(work.circuits))
        assert found.values.shape == (n_rows, n_rows) and (found.values == 1).all()
        if "psd" not in options:
            work = Mitigation(**options).measurements(made, ROWS[:2], ROWS[:0])
            assert work.estimate([{0: 7}] * len(work.circuits)).values.shape == (2, 0)


@pytest.mark.parametrize("outcome", ["01", 0.5, 8, -1])
def test_outcomes_are_integers_of_the_measured_bits(outcome: Any) -> None:
    work = ComputeUncompute(fk.Fidelity(fk.ZZ(3))).measurements(ROWS[:2])
    with pytest.raises(fk.InputError, match="must be integers of 3 bits"):
        work.estimate([{outcome: 5}])


def test_scales_that_whole_gates_cannot_make_are_refused() -> None:
    half = Program(1, 0, (Gate("h", (0,)), Gate("t", (0,)), Gate("h", (0,))))
    circuit = MeasuredCircuit((half, half.inverse()), (0,))
    for scale in (1.0, 3.0, 5.0, 1 + 2 / 3, 1 + 4 / 3):
        assert sum(len(part.gates) for part in fold(circuit, scale).parts) == round(6 * scale)
    for scale in (1.2, 2.0):
        with pytest.raises(fk.InputError, match="use odd scales"):
            fold(circuit, scale)
    assert fold(MeasuredCircuit((Program(1, 0, ()),), (0,)), 2.0).parts[0].gates == ()
