# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The effective model: its formulas, its fit to the exact simulation, and the error that it reports."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

import flashket as fk
from flashket.noise import effective, exact
from flashket.noise.channels import depolarizing, pair_depolarizing, thermal_relaxation
from flashket.noise.program import NoisyCircuit, NoisyProgram
from flashket.program import Program
from flashket.qpu import load_profile

TORINO = load_profile("ibm_torino")


def quiet_profile(profile=TORINO, **changes):
    """A device without any error, but for the changes."""
    n = profile.n_qubits
    still = {"t1": (math.nan,) * n, "t2": (math.nan,) * n, "error_1q": (0.0,) * n, "readout_p10": (0.0,) * n, "readout_p01": (0.0,) * n}
    return dataclasses.replace(profile, **{**still, "error_2q": (0.0,) * len(profile.error_2q), "name": "quiet", **changes})


def channels_only(ptms=(), pairs=(), readout=((0.0, 0.0),), start=((1, 0, 0, 1),)):
    operations = [(1, i, 0, -1) for i in range(len(ptms))] + [(2, i, 0, 1) for i in range(len(pairs))]
    part = NoisyProgram(
        Program(len(start), 0, ()),
        np.array(operations, np.int32).reshape(-1, 4),
        np.array(ptms, float).reshape(-1, 4, 4),
        np.array(pairs, float).reshape(-1, 16),
    )
    return NoisyCircuit((part,), np.array(start, float), np.array(readout, float), tuple(range(len(readout))))


def test_process_fidelity_of_known_channels():
    p, t1, t2, t = 0.03, 80e-6, 50e-6, 2e-6
    assert effective.process_fidelity(channels_only([depolarizing(p)])) == pytest.approx(1 - 3 / 4 * p)
    decay = (1 + math.exp(-t / t1) + 2 * math.exp(-t / t2)) / 4
    assert effective.process_fidelity(channels_only([thermal_relaxation(t1, t2, t)])) == pytest.approx(decay)
    two = channels_only(pairs=[pair_depolarizing(p)], start=[(1, 0, 0, 1)] * 2)
    assert effective.process_fidelity(two) == pytest.approx(1 - 15 / 16 * p)
    both = channels_only([depolarizing(p)] * 2, start=[(1, 0, 0, 1 - 2 * 0.01)])
    assert effective.process_fidelity(both) == pytest.approx((1 - 3 / 4 * p) ** 2 * 0.99)


def test_readout_of_the_model_is_the_sum_over_outcomes():
    """With the rest spread evenly over the other outcomes the map is exact: every outcome read as zeros, added up."""
    readout, fidelity = np.array([[0.02, 0.07], [0.01, 0.04], [0.05, 0.09]]), 1 - 3 / 4 * 0.1
    noisy = channels_only([depolarizing(0.1)], readout=readout, start=[(1, 0, 0, 1)] * 3)
    scale, offset = effective.from_fidelities(noisy)
    for p in (0.0, 0.3, 1.0):
        seen = 0.0
        for bits in itertools.product((0, 1), repeat=3):
            true = p if not any(bits) else (1 - p) / 7
            outcome = fidelity * true + (1 - fidelity) / 8
            seen += outcome * math.prod(readout[k, 1] if bit else 1 - readout[k, 0] for k, bit in enumerate(bits))
        assert scale * p + offset == pytest.approx(seen)


def test_fit_is_the_least_squares_line_within_bounds():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=200)
    y = 0.7 * x + 0.1 + 0.01 * rng.standard_normal(200)
    assert effective.fit(x, y) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    assert effective.fit(x, x**2)[1] == 0  # the free line would begin below 0
    assert effective.fit(x, 2 * x)[0] == 1
    assert effective.fit(np.full(5, 0.5), np.full(5, 0.25))[0] > 0


@pytest.mark.parametrize(
    "kernel",
    [
        fk.Fidelity(fk.Angle(3)),
        fk.Fidelity(fk.ZZ(3)),
        fk.Fidelity(fk.IQP(4, bandwidth=0.5)),
        fk.HadamardTest(fk.Amplitude(4)),
        fk.HadamardTest(fk.Angle(2)),
        fk.Fidelity(fk.Amplitude(4)),
    ],
    ids=repr,
)
def test_fitted_model_predicts_other_pairs(kernel):
    """The reported error must hold on pairs that neither the fit nor the report has seen."""
    model = fk.NoiseModel.from_profile("ibm_torino")
    found = model.effective(kernel)
    assert found.is_fitted and 0 < found.scale < 1 and 0 < found.offset < 1 and 0 < found.fidelity < 1
    x, y = effective.random_pairs(kernel, 24, seed=77)
    ideal = np.array([kernel(x[i : i + 1], y[i : i + 1])[0, 0] for i in range(24)])
    circuits = effective.example_circuits(kernel, 24, seed=77)
    seen = np.array([each[0] for each in exact.many_probabilities([model.bound_circuit(circuit) for circuit in circuits])])
    errors = found.scale * ideal + found.offset - seen
    assert np.sqrt(np.mean(errors**2)) < 2 * found.error_rms + 1e-3
    assert np.abs(errors).max() < 3 * found.error_max + 1e-3
    assert found.error_rms < 0.03 and found.error_rms <= 1.2 * found.unfitted_error_rms + 1e-3
    assert f"RMS {found.error_rms:.4f}" in str(found)


def test_hadamard_tests_are_fitted_up_to_ten_qubits():
    model = fk.NoiseModel.from_profile("ibm_torino")
    found = model.effective(fk.HadamardTest(fk.Angle(9)))
    assert found.n_qubits == 10 and found.is_fitted and found.error_rms < 0.002
    assert found.unfitted_error_rms > 10 * found.error_rms  # fidelities alone are pessimistic
    assert not model.effective(fk.HadamardTest(fk.Angle(10))).is_fitted


def test_power_does_not_matter():
    model = fk.NoiseModel.from_profile("ibm_torino")
    assert model.effective(fk.Fidelity(fk.ZZ(2), power=3)) == model.effective(fk.Fidelity(fk.ZZ(2)))


def test_wide_circuits_are_not_fitted_and_say_so():
    model = fk.NoiseModel.from_profile("ibm_torino")
    kernel = fk.Fidelity(fk.IQP(9))
    found = model.effective(kernel)
    assert not found.is_fitted and math.isnan(found.error_max) and math.isnan(found.error_rms)
    assert (found.scale, found.offset) == effective.from_fidelities(model.circuit(kernel))
    assert "not fitted" in str(found) and "not fitted" in str(model.report(kernel, "attention"))


def test_long_lines_are_fitted_too():
    """Their exact simulation is another one: where both exist they must agree."""
    model = fk.NoiseModel.from_profile("ibm_torino")
    for kernel in (fk.Fidelity(fk.Angle(20)), fk.Fidelity(fk.IQP(10, entanglement="linear"))):
        found = model.effective(kernel)
        assert found.is_fitted and found.error_rms < 0.02 and found.error_rms <= found.unfitted_error_rms + 1e-3
    short = fk.Fidelity(fk.IQP(5, entanglement="linear"))
    x, y = effective.random_pairs(short, 4, seed=3)
    seen = [effective.zero_probability(model.circuit(short), left, right) for left, right in zip(x, y, strict=True)]
    np.testing.assert_allclose(seen, np.diagonal(exact.gram(model.circuit(short), x, y)), atol=1e-10)


def test_a_quiet_device_changes_nothing():
    model = fk.NoiseModel.from_profile(quiet_profile(), method="effective")
    for kernel in (fk.Fidelity(fk.ZZ(3)), fk.HadamardTest(fk.Amplitude(4))):
        found = model.effective(kernel)
        assert found.fidelity == pytest.approx(1, abs=1e-12)
        assert (found.scale, found.offset) == pytest.approx((1, 0), abs=1e-9)
        assert found.error_max < 1e-9


def test_readout_alone_is_right_without_a_fit():
    """Equal flips both ways on one qubit: the affine map is exact then."""
    n = TORINO.n_qubits
    model = fk.NoiseModel.from_profile(quiet_profile(readout_p10=(0.03,) * n, readout_p01=(0.03,) * n))
    found = model.effective(fk.Fidelity(fk.Angle(1)))
    assert (found.scale, found.offset) == pytest.approx((0.94, 0.03), abs=1e-9)
    assert found.unfitted_error_rms < 1e-9 and found.error_max < 1e-9


def test_idle_time_costs_fidelity():
    kernel = fk.Fidelity(fk.ZZ(4, entanglement="linear"))
    idle, busy = (fk.NoiseModel.from_profile("ibm_torino", idle=flag).effective(kernel) for flag in (True, False))
    assert idle.fidelity < busy.fidelity and idle.scale < busy.scale


@pytest.mark.parametrize("bandwidth", [0.0, -0.7, 1e-300])
def test_any_bandwidth_is_fitted(bandwidth):
    model, rows = fk.NoiseModel.from_profile("ibm_torino", "effective"), [[0.3, -0.2], [0.1, 0.9]]
    for feature_map in (fk.Angle(2, bandwidth=bandwidth), fk.ZZ(2, reps=1, bandwidth=bandwidth)):
        kernel = fk.Fidelity(feature_map)
        found = fk.gram(rows, kernel=kernel, noise=model)
        wanted = fk.gram(rows, kernel=kernel, noise=fk.NoiseModel.from_profile("ibm_torino", "exact"))
        assert abs(found - wanted).max() <= model.effective(kernel).error_max + 1e-12 < 0.02
