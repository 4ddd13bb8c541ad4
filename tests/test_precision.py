# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Sums whose terms all have one sign: rounding errors that add up instead of cancelling."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from flashket import reference


@pytest.mark.parametrize("width", [300, 3000, 5000, 70000])
def test_long_float32_dots_of_constant_rows(width):
    x = np.full((1, width), 0.7, np.float32)
    y = np.full((1, width), 1.3, np.float32)
    y[:, : width // 8] *= -1
    expected = (1 - 2 * (width // 8) / width) ** 2
    assert abs(fk.gram(x, y, kernel=fk.Fidelity(fk.Amplitude(width)))[0, 0] - expected) < 2e-6


@pytest.mark.parametrize("n_qubits", [12, 13])
def test_float32_overlap_of_equal_large_states(n_qubits):
    x = np.full((1, n_qubits), 0.4, np.float32)
    assert abs(fk.gram(x, x.copy(), kernel=fk.Fidelity(fk.IQP(n_qubits)))[0, 0] - 1) < 2e-6


@pytest.mark.parametrize("n_features", [16, 63, 256])
def test_float32_products_of_equal_wide_rows(n_features):
    # Odd multiples of pi around 0 have infinite tangents; every pair of features has the same factor, and so the same rounding.
    x = np.full((3, n_features), np.pi, np.float32) * np.array([[1], [3], [-3]], np.float32)
    np.testing.assert_allclose(fk.gram(x, x.copy(), kernel=fk.Fidelity(fk.Angle(n_features)))[:, :1], 1, atol=2e-6)


@pytest.mark.parametrize("width", [300, 4096, 20000])
def test_decoding_over_long_constant_keys_in_float32(width):
    k = np.full((1, 1, 8, width), 0.7, np.float32)
    k[:, :, ::2, : width // 3] *= -1
    kernel = fk.Fidelity(fk.Amplitude(width))
    out = fk.attention(np.full((1, 1, 1, width), 1.3, np.float32), k, np.eye(8, 16, dtype=np.float32)[None, None], kernel=kernel)
    values = np.where(np.arange(8) % 2 == 0, (1 - 2 * (width // 3) / width) ** 2, 1)
    np.testing.assert_allclose(out[0, 0, 0, :8], values / values.sum(), rtol=1e-6)


@pytest.mark.parametrize("normalization", ["sum", "softmax"])
def test_float32_attention_of_equal_values(normalization):
    # Among so many values some make every addition round the same way; blocks of queries add more terms in float than one.
    v = np.tile(np.linspace(0.1, 0.22, 4096).astype(np.float32), (512, 1))[None, None]
    k = np.ones((1, 1, 512, 1), np.float32)
    out = fk.attention(k[:, :, :9] + np.float32(0.4), k, v, kernel=fk.Fidelity(fk.Angle(1)), normalization=normalization)
    np.testing.assert_allclose(out, np.broadcast_to(v[:, :, :1], out.shape), rtol=3e-6)


@pytest.mark.parametrize("normalization", ["sum", "softmax"])
def test_float32_attention_over_many_equal_keys(normalization):
    n_keys = 2**18
    k = np.full((1, 1, n_keys, 1), 0.3, np.float32)
    for value in (0.123, 0.1599, 0.2091):
        v = np.full((1, 1, n_keys, 1), value, np.float32)
        out = fk.attention(k[:, :, :1] + np.float32(0.4), k, v, kernel=fk.Fidelity(fk.Angle(1)), normalization=normalization)
        np.testing.assert_allclose(out, v[:, :, :1], rtol=5e-6)


def test_scores_that_overflow_become_nan_not_a_mean():
    from flashket.controls import ScaledDot

    q = np.full((1, 1, 1, 1), 1e20, np.float32)
    k = np.array([1e20, -1e20], np.float32).reshape(1, 1, 2, 1)
    out = fk.attention(q, k, np.ones((1, 1, 2, 1), np.float32), kernel=ScaledDot(1), normalization="softmax")
    assert np.isnan(out).all()


@pytest.mark.parametrize("n_features", [33, 64, 256, 300])
@pytest.mark.parametrize("size", [0.0043, 0.05, 0.2])
def test_many_equal_factors_near_one(n_features, size):
    """Every multiplication by the same number near 1 rounds the same way."""
    x = np.full((3, n_features), size, np.float32) * np.float32([[1], [-1], [0.5]])
    kernel = fk.Fidelity(fk.Angle(n_features))
    expected = reference.gram(x, None, kernel)
    np.testing.assert_allclose(fk.gram(x, kernel=kernel), expected, atol=2e-6, rtol=0)
    factor = np.ones((3, 1), np.float32)
    np.testing.assert_allclose(fk.gram_matvec(x, factor, kernel=kernel), expected @ factor, atol=6e-6, rtol=0)


@pytest.mark.parametrize("power", [3, 8, 20])
@pytest.mark.parametrize("feature_map", [fk.Amplitude(64), fk.ZZ(6), fk.Angle(8)], ids=repr)
def test_powers_keep_the_contract(feature_map, power):
    x = np.random.default_rng(3).uniform(0.5, 0.6, (40, feature_map.n_features)).astype(np.float32)
    for similarity in (fk.Fidelity, fk.HadamardTest):
        kernel = similarity(feature_map, power=power)
        np.testing.assert_allclose(fk.gram(x, x.copy(), kernel=kernel), reference.gram(x, x, kernel), atol=2e-6, rtol=0)


@pytest.mark.parametrize("mean_turn", [3 * np.pi / 16, np.pi / 4], ids=["as they are", "centred"])
@pytest.mark.parametrize("n_features", [1, 4, 8, 19])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_angles_whose_tangents_have_poles(n_features, dtype, mean_turn):
    """Rows of infinite tangents or cotangents for the turn that the loops use for a feature; one step to either side, and ordinary
    rows. Gram matrices turn centred angles, so that every feature's middle is made 0."""
    part = np.arange(n_features) * 0.6180339887498949
    pole = (-2 * (mean_turn + 0.2 * (part - np.round(part)))).astype(dtype)
    other = pole + dtype(np.pi)
    ends = [np.full_like(pole, end) for end in (-8, 8)]
    x = np.stack(
        [*(np.nextafter(at, at + side) for at in (pole, other) for side in (0, 1, -1)), pole + dtype(0.3), np.zeros_like(pole), *ends]
    )
    kernel = fk.Fidelity(fk.Angle(n_features))
    gram = reference.gram(x, None, kernel)
    weights = gram / gram.sum(1, keepdims=True)
    out = fk.attention(x[None, None], x[None, None], np.eye(10, 16, dtype=dtype)[None, None], kernel=kernel)
    tolerance = 3e-6 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(out[0, 0, :, :10], weights, atol=tolerance, rtol=0)
    np.testing.assert_allclose(fk.gram(x, x.copy(), kernel=kernel), gram, atol=tolerance, rtol=0)


@pytest.mark.parametrize("n_features", [16, 128])
def test_products_of_equal_factors_round_in_all_directions(n_features):
    x = np.repeat(np.linspace(-3, 3, 150, dtype=np.float32)[:, None], n_features, 1)
    np.testing.assert_allclose(np.diag(fk.gram(x, x.copy(), kernel=fk.Fidelity(fk.Angle(n_features)))), 1, atol=4e-6)


@pytest.mark.parametrize("n_qubits", [3, 8, 13])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hadamard_test_of_complex_states(n_qubits, dtype):
    """Only the real part of the overlap is summed; 13 qubits are more terms than one sum takes."""
    x, y = np.random.default_rng(n_qubits).uniform(0, 1, (2, 9, n_qubits)).astype(dtype)
    for kernel in (fk.HadamardTest(fk.IQP(n_qubits)), fk.HadamardTest(fk.ZZ(n_qubits), power=2)):
        tolerance = 2e-6 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), reference.gram(x, y, kernel), atol=tolerance, rtol=0)


def relative_error(q, k, v, kernel, **options):
    """Return attention's largest error, of the largest output."""
    expected = reference.attention(q, k, v, kernel, **options)
    return np.abs(fk.attention(q, k, v, kernel=kernel, **options) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("seed", range(4))
def test_attention_to_few_keys_by_products_in_float32(seed):
    """Where a query sees two or three keys, the one that counts may have a factor near 0, whose rounding would show."""
    rng = np.random.default_rng(seed)
    q, k = (rng.uniform(-np.pi, np.pi, (1, 2, length, 20)).astype(np.float32) for length in (150, 7))
    v = rng.normal(size=(1, 2, 7, 16)).astype(np.float32)
    mask = rng.random((1, 2, 150, 7)) < 0.5
    assert relative_error(q, k, v, fk.Fidelity(fk.Angle(20)), mask=mask, kv_lens=np.array([4])) < 5e-6


@pytest.mark.parametrize("power", [1, 4])
@pytest.mark.parametrize("size", [0.3, 0.03, 1e-3])
def test_attention_by_hadamard_tests_of_opposite_states_in_float32(size, power):
    """One angle a whole turn away: overlaps are near -1."""
    rng = np.random.default_rng(0)
    q, k, v = np.zeros((1, 1, 2, 8)), size * rng.normal(size=(1, 1, 300, 8)), rng.normal(size=(1, 1, 300, 6))
    q[..., 0] = 2 * np.pi
    q, k, v = (array.astype(np.float32) for array in (q, k, v))
    assert relative_error(q, k, v, fk.HadamardTest(fk.Angle(8), power=power)) < 5e-6
