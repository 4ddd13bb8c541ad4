# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Angle: formula, circuit and product accuracy."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, rows, run_python, tolerance
from flashket import reference


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rotation", ["ry", "rx"])
def test_fidelity_is_product_of_squared_cosines(rotation, dtype):
    x, y = rows(7, 3, dtype), rows(5, 3, dtype, 1)
    kernel = fk.Fidelity(fk.Angle(3, rotation=rotation, bandwidth=0.5))
    expected = np.prod(np.cos(0.25 * (x[:, None].astype(float) - y[None])) ** 2, axis=2)
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), expected, atol=tolerance("value", dtype), rtol=0)


def test_one_qubit_states():
    half = 0.35
    x = np.array([[2 * half]])
    np.testing.assert_allclose(fk.states(x, feature_map=fk.Angle(1)), [[np.cos(half), np.sin(half)]], atol=1e-15)
    np.testing.assert_allclose(fk.states(x, feature_map=fk.Angle(1, rotation="rx")), [[np.cos(half), -1j * np.sin(half)]], atol=1e-15)


def test_feature_zero_is_least_significant_bit():
    state = fk.states([[np.pi, 0.0, 0.0]], feature_map=fk.Angle(3))
    assert np.argmax(np.abs(state)) == 1
    state = fk.states([[0.0, 0.0, np.pi]], feature_map=fk.Angle(3))
    assert np.argmax(np.abs(state)) == 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [3, 72, 256, 900])
def test_relative_error_of_products(n_features, dtype):
    """Narrow angles keep values representable, so the error is measured relative to the value."""
    kernel = fk.Fidelity(fk.Angle(n_features, bandwidth=0.05))
    x, y = rows(9, n_features, dtype), rows(33, n_features, dtype, 1)
    expected = np.exp(2 * np.log(np.abs(np.cos(0.025 * (x[:, None].astype(float) - y[None])))).sum(axis=2))
    bound = tolerance("product", dtype) if n_features <= 256 or dtype == np.float64 else 1e-6 * np.sqrt(n_features)
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), expected, rtol=bound, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_below_the_smallest_number(dtype):
    kernel = fk.Fidelity(fk.Angle(2000), power=4)
    x, y = rows(5, 2000, dtype), rows(6, 2000, dtype, 1)
    expected = 8 * np.log(np.abs(np.cos(0.5 * (x[:, None].astype(float) - y[None])))).sum(axis=2)
    assert expected.max() < -1000
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel, log=True), expected, rtol=tolerance("log", dtype))
    assert not fk.gram(x, y, kernel=kernel).any()


def test_large_angles_are_reduced_exactly():
    x = np.array([[1e6 * np.pi + 0.3], [12345.678]])
    expected = np.cos((x - x.T) / 2) ** 2
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(fk.Angle(1))), expected, atol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [100.0, 1e5, 1e10, 1e20])
def test_wide_ranges_keep_the_digits_of_small_angles(size, dtype):
    # Differences of such angles, or of them and a middle, would lose what the angles themselves hold.
    x = np.array([[size, size / 3], [size / 7, 0.3], [-0.2, 0.7]], dtype)
    kernel = fk.Fidelity(fk.Angle(2))
    half = x.astype(np.float64) / 2
    overlaps = np.cos(half[:, None]) * np.cos(half) + np.sin(half[:, None]) * np.sin(half)
    expected = np.prod(overlaps, axis=-1) ** 2
    np.testing.assert_allclose(fk.gram(x, kernel=kernel), expected, rtol=0, atol=tolerance("value", dtype))
    v = np.eye(3, 16, dtype=dtype)[None, None]
    decoded = [fk.attention(x[None, None, i : i + 1], x[None, None], v, kernel=kernel)[0, 0, 0, :3] for i in range(3)]
    np.testing.assert_allclose(decoded, expected / expected.sum(axis=1, keepdims=True), rtol=0, atol=tolerance("attention", dtype))


def test_concentration_of_uniform_angles():
    """The mean is 2^-n and the variance (3/8)^n - (1/4)^n."""
    x = np.random.default_rng(0).uniform(-np.pi, np.pi, (1500, 4))
    values = fk.gram(x[:750], x[750:], kernel=fk.Fidelity(fk.Angle(4)))
    assert abs(values.mean() / 2**-4 - 1) < 0.05
    assert abs(values.var() / ((3 / 8) ** 4 - (1 / 4) ** 4) - 1) < 0.1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [1, 2, 3, 4, 5, 7, 8, 9, 16, 19])
@pytest.mark.parametrize("largest", [2.0, 2e4, 4e5])
def test_one_query_reads_keys_in_place(largest, n_features, dtype):
    """Widths below, at and beyond a vector; angles up to where the C library takes over, and beyond."""
    rng = np.random.default_rng(n_features)
    q, k = (rng.uniform(-largest, largest, (1, 1, rows, n_features)).astype(dtype) for rows in (1, 37))
    k[0, 0, :20] = q[0, 0, 0] + rng.uniform(-1, 1, (20, n_features)).astype(dtype)
    v = rng.normal(size=(1, 1, 37, 5)).astype(dtype)
    kernel = fk.Fidelity(fk.Angle(n_features))
    wanted = reference.attention(q.astype(np.float64), k.astype(np.float64), v.astype(np.float64), kernel)
    np.testing.assert_allclose(fk.attention(q, k, v, kernel=kernel), wanted, rtol=0, atol=tolerance("attention", dtype) * np.abs(v).max())


def test_oracle_follows_hundreds_of_features():
    kernel = fk.Fidelity(fk.Angle(300))
    x = rows(2, 300, np.float64)
    expected = 2 * np.log(np.abs(np.cos(0.5 * (x[0] - x[1])))).sum()
    assert reference.gram(x, None, kernel, log=True)[0, 1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.measured
def test_denormals_do_not_slow_products_down():
    """Features of which every third makes the product smaller must cost what harmless ones cost, within noise."""
    code = """
import time, numpy as np, flashket as fk
fk.set_num_threads(1)
kernel = fk.Fidelity(fk.Angle(256))
rng = np.random.default_rng(0)
def best(scale):
    x = (rng.uniform(-1, 1, (512, 256)) * scale).astype(np.float32)
    times = []
    for _ in range(7):
        start = time.process_time(); fk.gram(x, x, kernel=kernel); times.append(time.process_time() - start)
    return min(times)
print(best(3.0) / best(0.01))
"""
    assert float(run_python(code).stdout) < 2
