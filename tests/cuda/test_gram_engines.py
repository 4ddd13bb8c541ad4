# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The engines of the device's Gram matrices by name, where they are weakest: cut sums, equal factors, edges of tiles and panels."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, tolerance
from flashket import reference
from flashket.backends.cuda import CUDA

HOST = (0, 0, None, True)
BOUNDS = {"simt": 2e-6, "split": 2e-6, "half": 2e-3}


def gram(kernel, x, y=None, *, arithmetic="auto", log=False, shots=0, seed=0):
    """Return the Gram matrix by one engine."""
    out = np.full((len(x), len(x if y is None else y)), 77, np.float64 if x.dtype == np.float64 else np.float32)
    CUDA.module().gram(CUDA._spec(kernel, "gram"), x, y, out, log, shots, seed, arithmetic, HOST)
    return out


def random_rows(n, d, dtype=np.float32, seed=0, size=2.0):
    return np.random.default_rng((seed, n, d)).uniform(-size, size, (n, d)).astype(dtype)


def assert_symmetric(matrix):
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (np.diagonal(matrix) == 1).all()


@pytest.mark.parametrize("arithmetic", BOUNDS)
@pytest.mark.parametrize(
    "kernel",
    [
        fk.Fidelity(fk.Angle(1)),
        fk.Fidelity(fk.Angle(16)),
        fk.HadamardTest(fk.Angle(7), power=2),
        fk.Fidelity(fk.Amplitude(33)),
        fk.HadamardTest(fk.Amplitude(64, bias=0.5)),
        fk.Fidelity(fk.IQP(4)),
        fk.Fidelity(fk.ZZ(6), power=2),
        fk.HadamardTest(fk.ZZ(3)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sizes", [(1, 130), (129, 65), (150, None)], ids=str)
def test_engines_at_the_edges_of_tiles(device, kernel, sizes, arithmetic):
    n, m = sizes
    x = random_rows(n, kernel.n_features, size=1.0)
    y = None if m is None else random_rows(m, kernel.n_features, seed=1, size=1.0)
    got = gram(kernel, x, y, arithmetic=arithmetic)
    np.testing.assert_allclose(got, reference.gram(x, y, kernel), atol=BOUNDS[arithmetic], rtol=0)
    if m is None:
        assert_symmetric(got)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [65, None])
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(5)), fk.Projected(fk.Angle(5))], ids=repr)
def test_rows_of_any_distance(device, kernel, m, dtype):
    """What lies between the rows of the result stays as it was."""
    if not device.is_emulated:
        pytest.skip("host memory stands for device memory in the emulator only")
    n = 66
    x, y = random_rows(n, 7, dtype)[:, :5], random_rows(65, 6, dtype, seed=1)[:, :5]
    memory = np.full((n, (m or n) + 3), 77, dtype)
    place = (0, 0, None, False)
    CUDA.module().gram(CUDA._spec(kernel, "gram"), x, None if m is None else y, memory[:, :-3], False, 0, 0, "auto", place)
    assert (memory[:, -3:] == 77).all()
    expected = reference.gram(x, None if m is None else y, kernel)
    np.testing.assert_allclose(memory[:, :-3], expected, atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(2)), fk.Projected(fk.Angle(2)), fk.Fidelity(fk.Amplitude(3))], ids=repr)
def test_more_rows_than_blocks_share(device, kernel, dtype):
    """Squares of 1,024 rows are computed one after another; those of a triangle are numbered in folded columns."""
    x = random_rows(2100 if kernel.similarity == "projected" else 1100, kernel.n_features, dtype)
    got, some = gram(kernel, x), [0, 3, 1023, 1024, 1090]
    assert_symmetric(got)
    np.testing.assert_allclose(got[some], reference.gram(x[some], x, kernel), atol=tolerance("value", dtype), rtol=0)
    across = gram(kernel, x[:40], x)
    np.testing.assert_allclose(across, got[:40], atol=2 * tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("n_features", [16, 17, 33, 63, 256, 300])
@pytest.mark.parametrize("size", [0.0043, 0.05, 0.2, 1.1, np.pi])
def test_equal_factors_in_float32(device, n_features, size):
    """Every factor rounds, or is cut, the same way."""
    x = np.full((3, n_features), size, np.float32) * np.float32([[1], [-1], [0.5]])
    kernel = fk.Fidelity(fk.Angle(n_features))
    np.testing.assert_allclose(gram(kernel, x, x.copy()), reference.gram(x, None, kernel), atol=2e-6, rtol=0)


@pytest.mark.parametrize("n_features", [3, 16, 72, 256, 300])
def test_relative_error_of_narrow_products(device, n_features):
    kernel = fk.Fidelity(fk.Angle(n_features, bandwidth=0.05))
    x, y = random_rows(9, n_features), random_rows(33, n_features, seed=1)
    bound = tolerance("product", np.float32) if n_features <= 256 else 1e-6 * np.sqrt(n_features)
    np.testing.assert_allclose(gram(kernel, x, y), reference.gram(x, y, kernel), rtol=bound, atol=0)


@pytest.mark.parametrize("arithmetic", ["split", "simt"])
@pytest.mark.parametrize("width", [300, 3000, 5000, 70000])
def test_long_float32_dots_of_constant_rows(device, width, arithmetic):
    x, y = np.full((2, width), 0.7, np.float32), np.full((1, width), 1.3, np.float32)
    x[0, : width // 8] *= -1
    expected = [[(1 - 2 * (width // 8) / width) ** 2], [1]]
    np.testing.assert_allclose(gram(fk.Fidelity(fk.Amplitude(width)), x, y, arithmetic=arithmetic), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("arithmetic", ["split", "simt"])
def test_overlap_of_equal_large_states(device, arithmetic):
    x = np.full((1, 12), 0.4, np.float32)
    assert abs(gram(fk.Fidelity(fk.IQP(12)), x, x.copy(), arithmetic=arithmetic)[0, 0] - 1) < 2e-6


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [5, None])
@pytest.mark.parametrize(
    "kernel",
    [
        fk.Fidelity(fk.Amplitude(3000)),
        fk.HadamardTest(fk.IQP(10), power=2),
        fk.Fidelity(fk.ZZ(11)),
        fk.Projected(fk.Angle(1200), gamma=1e-3),
    ],
    ids=repr,
)
def test_few_rows_of_a_long_depth(device, kernel, m, dtype):
    """The depth is cut into parts whose sums are added up afterwards."""
    x, y = random_rows(70, kernel.n_features, dtype), None if m is None else random_rows(m, kernel.n_features, dtype, seed=1)
    some = [0, 3, 69]
    for arithmetic in ("auto", "simt"):
        got = gram(kernel, x, y, arithmetic=arithmetic)
        if m is None:
            assert_symmetric(got)
        expected = reference.gram(x[some], x if y is None else y, kernel)
        np.testing.assert_allclose(got[some], expected, atol=kernel.power * tolerance("value", dtype), rtol=0)
    logs = gram(kernel, x, y, log=True)
    np.testing.assert_allclose(np.exp(logs[some]), expected, atol=tolerance("value", dtype), rtol=0)
    if kernel.can_sample and dtype == np.float64:
        sampled = fk.gram(x, y, kernel=kernel, shots=100, seed=3, backend="cpu")
        np.testing.assert_array_equal(gram(kernel, x, y, shots=100, seed=3), sampled)


@pytest.mark.parametrize("arithmetic", ["split", "simt"])
@pytest.mark.parametrize("size", [1e-44, 1e-30, 1.0, 1e30])
def test_amplitudes_of_any_size(device, size, arithmetic):
    x = (random_rows(20, 65) * np.float32(size)).astype(np.float32)
    assert x.any(axis=1).all()
    kernel = fk.Fidelity(fk.Amplitude(65))
    np.testing.assert_allclose(gram(kernel, x, x.copy(), arithmetic=arithmetic), reference.gram(x, x, kernel), atol=2e-6, rtol=0)


def test_float64_amplitudes_of_extreme_sizes(device):
    x, kernel = np.array([[1e300, 2e300], [1e-310, 3e-310], [1e-160, 1e-160], [0.0, 1.0]]), fk.Fidelity(fk.Amplitude(2))
    np.testing.assert_allclose(gram(kernel, x), reference.gram(x, None, kernel), atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [100.0, 1e5, 1e10, 1e20])
def test_wide_ranges_keep_the_digits_of_small_angles(device, size, dtype):
    x = np.array([[size, size / 3], [size / 7, 0.3], [-0.2, 0.7]], dtype)
    half = x.astype(np.float64) / 2
    expected = np.prod(np.cos(half[:, None]) * np.cos(half) + np.sin(half[:, None]) * np.sin(half), axis=-1) ** 2
    np.testing.assert_allclose(gram(fk.Fidelity(fk.Angle(2)), x), expected, rtol=0, atol=tolerance("value", dtype))


@pytest.mark.parametrize("arithmetic", ["auto", *BOUNDS])
@pytest.mark.parametrize(
    "kernel",
    [fk.Fidelity(fk.Angle(6)), fk.Fidelity(fk.Amplitude(6)), fk.Projected(fk.Angle(6)), fk.HadamardTest(fk.Amplitude(6))],
    ids=repr,
)
def test_nan_stays_in_its_rows(device, kernel, arithmetic):
    x = random_rows(150, 6)
    x[7, 2], x[130, 0] = np.nan, np.inf
    is_bad = ~np.isfinite(x).all(axis=1)
    for y in (None, x.copy()):
        np.testing.assert_array_equal(np.isnan(gram(kernel, x, y, arithmetic=arithmetic)), is_bad[:, None] | is_bad)


def test_row_of_zeros_has_no_state(device):
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert np.isnan(gram(fk.Fidelity(fk.Amplitude(2)), x)).tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.Amplitude(6)), fk.Fidelity(fk.Angle(3), power=2)], ids=repr)
@pytest.mark.parametrize("shots", [1, 100, 1000])
def test_float32_samples_are_the_hosts(device, kernel, shots):
    x = random_rows(120, kernel.n_features)
    got, expected = gram(kernel, x, shots=shots, seed=11), fk.gram(x, kernel=kernel, shots=shots, seed=11, backend="cpu")
    assert_symmetric(got)
    assert np.count_nonzero(got != expected) <= 2, "float32 probabilities differ in their last bit"


@pytest.mark.parametrize("sizes", [(2, 66000, 2), (8300, 70, 9)], ids=str)
def test_matvec_in_several_panels(device, sizes):
    n, m, columns = sizes
    x, y, a = random_rows(n, 2), random_rows(m, 2, seed=1), random_rows(m, columns, seed=2)
    out = np.empty((n, columns), np.float32)
    CUDA.module().gram_matvec(CUDA._spec(fk.Fidelity(fk.Angle(2)), "gram_matvec"), x, a, y, out, 0, 0, "auto", HOST)
    half = (x[:, None].astype(np.float64) - y) / 2
    np.testing.assert_allclose(out, np.prod(np.cos(half), axis=2) ** 2 @ a, atol=2e-6 * np.abs(a).sum(axis=0).max(), rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_matvec_draws_the_samples_of_gram(device, dtype):
    x, a = random_rows(70, 3, dtype), random_rows(70, 5, dtype, seed=1)
    kernel, out = fk.Fidelity(fk.Angle(3)), np.empty((70, 5), dtype)
    CUDA.module().gram_matvec(CUDA._spec(kernel, "gram_matvec"), x, a, None, out, 50, 9, "auto", HOST)
    sampled = gram(kernel, x, shots=50, seed=9).astype(np.float64)
    np.testing.assert_allclose(out, sampled @ a, atol=70 * tolerance("value", dtype))


@pytest.mark.parametrize("dtype", [np.float16, *DTYPES])
def test_encoded_rows(device, dtype):
    """What an encoder writes, from its definition."""
    x = random_rows(5, 6, dtype)
    angles, amplitudes = x.astype(np.float64), x / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    states = np.pad(amplitudes, ((0, 0), (0, 2)))
    x_values = [2 * sum(states[:, z] * states[:, z + 2**k] for z in range(8) if not z >> k & 1) for k in range(3)]
    z_values = [sum(states[:, z] ** 2 * (1 - 2 * (z >> k & 1)) for z in range(8)) for k in range(3)]
    cases = [
        (fk.Fidelity(fk.Angle(6, bandwidth=0.7)), "gram", np.stack([np.cos(0.35 * angles), np.sin(0.35 * angles)], 2).reshape(5, 12)),
        (fk.Fidelity(fk.Amplitude(6)), "gram", amplitudes),
        (fk.Projected(fk.Angle(6, bandwidth=0.7)), "gram", np.concatenate([np.sin(0.7 * angles), np.cos(0.7 * angles)], 1)),
        (fk.Projected(fk.Amplitude(6)), "gram", np.stack([*x_values, *z_values], 1)),
    ]
    for kernel, op, expected in cases:
        for result, bound in ((np.float32, 2e-7), (np.float64, 1e-14)):
            out = np.empty(expected.shape, result)
            CUDA.module().encode(CUDA._spec(kernel, op), x, out, HOST)
            np.testing.assert_allclose(out, expected, atol=bound, rtol=0, err_msg=repr(kernel))
