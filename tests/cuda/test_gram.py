# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One contract for Gram matrices and products on the device: every kernel, both dtypes, against the oracle and the host."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, expected_gram, kernels, rows, tolerance
from device_contract import HALF_TOLERANCE, LIBRARIES, host
from flashket import reference
from flashket.controls import ScaledDot, Uniform

KERNELS = [*kernels(1), *kernels(3), *kernels(6), *kernels(72), ScaledDot(5), Uniform(5)]

SIZED = [fk.Fidelity(fk.Angle(5)), fk.Fidelity(fk.Amplitude(17)), fk.HadamardTest(fk.Angle(4), power=2)]

HALF = [fk.Fidelity(fk.Angle(8)), fk.Fidelity(fk.Amplitude(16)), fk.Projected(fk.Angle(4)), fk.Fidelity(fk.IQP(3))]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_kernels(device, kernel, symmetric, dtype):
    n, m = 9, None if symmetric else 35
    x, y = rows(n, kernel.n_features, dtype), None if symmetric else rows(m, kernel.n_features, dtype, 1)
    got = fk.gram(x, y, kernel=kernel, backend="cuda")
    expected = expected_gram(kernel, n, m, dtype)
    assert got.dtype == dtype
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(got, expected, atol=tolerance("value", dtype) * scale, rtol=0)
    if symmetric:
        np.testing.assert_array_equal(got, got.T)
        if kernel.is_probability:
            assert (np.diagonal(got) == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", [3, 72, 256])
def test_relative_error_of_products(device, n_features, dtype):
    """Narrow angles keep values representable and factors away from zero, so the error is measured relative to the value."""
    kernel = fk.Fidelity(fk.Angle(n_features, bandwidth=0.05))
    x, y = rows(9, n_features, dtype), rows(33, n_features, dtype, 1)
    expected = np.exp(2 * np.log(np.abs(np.cos(0.025 * (x[:, None].astype(float) - y[None])))).sum(axis=2))
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel, backend="cuda"), expected, rtol=tolerance("product", dtype), atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(1, 1), (1, 111), (7, 64), (33, 65), (130, 1), (67, 129)], ids=str)
@pytest.mark.parametrize(
    "kernel", [fk.Fidelity(fk.Angle(5)), fk.Fidelity(fk.Amplitude(17)), fk.HadamardTest(fk.Angle(4), power=2)], ids=repr
)
def test_sizes(device, kernel, sizes, dtype):
    n, m = sizes
    x, y = rows(n, kernel.n_features, dtype), rows(m, kernel.n_features, dtype, 1)
    got = fk.gram(x, y, kernel=kernel, backend="cuda")
    np.testing.assert_allclose(got, expected_gram(kernel, n, m, dtype), atol=tolerance("value", dtype), rtol=0)
    square = fk.gram(x, kernel=kernel, backend="cuda")
    np.testing.assert_array_equal(square, square.T)
    np.testing.assert_allclose(square, expected_gram(kernel, n, None, dtype), atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.IQP(3)), fk.Projected(fk.ZZ(3))], ids=repr)
def test_no_rows(device, kernel):
    assert fk.gram(np.zeros((0, 3)), np.zeros((2, 3)), kernel=kernel, backend="cuda").shape == (0, 2)
    assert fk.gram_matvec(np.zeros((2, 3)), np.zeros((2, 0)), kernel=kernel, backend="cuda").shape == (2, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [*kernels(3), *kernels(72)], ids=repr)
def test_log(device, kernel, dtype):
    got = fk.gram(rows(9, kernel.n_features, dtype), kernel=kernel, backend="cuda", log=True)
    exact = expected_gram(kernel, 9, None, dtype, log=True)
    bound = tolerance("log", dtype) * np.maximum(1, np.abs(exact))
    if not getattr(getattr(kernel, "feature_map", None), "is_product", False) or kernel.similarity != "fidelity":
        # The log of a value that is right to its absolute error.
        value = np.maximum(np.exp(exact), 1e-300)
        bound = bound + tolerance("value", dtype) / value
    assert (np.abs(got - exact) <= bound).all() or np.isneginf(got[np.abs(got - exact) > bound]).all()


def test_log_where_values_underflow(device):
    kernel = fk.Fidelity(fk.Angle(400))
    x, y = rows(3, 400, np.float32), rows(4, 400, np.float32, 1) + 1
    got, expected = fk.gram(x, y, kernel=kernel, backend="cuda", log=True), reference.gram(x, y, kernel, log=True)
    assert expected.max() < -104, "float32 holds no such value"
    np.testing.assert_allclose(got, expected, rtol=tolerance("log", np.float32))
    assert fk.gram([[0.0]], [[np.pi]], kernel=fk.Fidelity(fk.Angle(1)), backend="cuda", log=True)[0, 0] < -70


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_libraries(device, library, dtype):
    kernel = fk.Fidelity(fk.Angle(3))
    x, y = (device.array(library, rows(n, 3, dtype, seed)) for n, seed in ((9, 0), (5, 1)))
    got = fk.gram(x, y, kernel=kernel, backend="cuda")
    assert type(got) is type(x) and str(got.dtype) == str(x.dtype) and tuple(got.shape) == (9, 5)
    np.testing.assert_allclose(host(got), expected_gram(kernel, 9, 5, dtype), atol=tolerance("value", dtype))
    product = fk.gram_matvec(x, x[:, :2], kernel=kernel, backend="cuda")
    assert type(product) is type(x)
    np.testing.assert_allclose(host(product), expected_gram(kernel, 9, None, dtype) @ host(x)[:, :2], atol=20 * tolerance("value", dtype))
    vector = fk.gram_matvec(x, x[:, 1], kernel=kernel, backend="cuda")
    assert tuple(vector.shape) == (9,)
    np.testing.assert_allclose(host(vector), host(product)[:, 1], atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("columns", [None, 1, 3, 40])
@pytest.mark.parametrize("kernel", [*kernels(3), ScaledDot(3)], ids=repr)
def test_matvec(device, kernel, columns, dtype):
    x, y = rows(37, 3, dtype), rows(70, 3, dtype, 1)
    a = np.random.default_rng(2).normal(size=(70,) if columns is None else (70, columns)).astype(dtype)
    for left, right, factor in ((x, y, a), (y, None, a)):
        exact = expected_gram(kernel, len(left), None if right is None else len(right), dtype)
        if right is None:
            exact = reference.gram(left, None, kernel)
        got = fk.gram_matvec(left, factor, right, kernel=kernel, backend="cuda")
        assert got.dtype == dtype and got.shape == (len(left), *factor.shape[1:])
        bound = tolerance("value", dtype) * np.abs(factor).sum(axis=0).max() * max(1, np.abs(exact).max())
        np.testing.assert_allclose(got, exact @ factor, atol=bound, rtol=0)


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.Amplitude(3), power=2), fk.HadamardTest(fk.IQP(3))], ids=repr)
@pytest.mark.parametrize("shots", [1, 19, 1000, 10**6])
@pytest.mark.parametrize("symmetric", [False, True])
def test_samples_are_the_hosts(device, kernel, shots, symmetric):
    x, y = rows(50, 3, np.float64), None if symmetric else rows(60, 3, np.float64, 1)
    options = {"kernel": kernel, "shots": shots, "seed": 7}
    got, expected = fk.gram(x, y, backend="cuda", **options), fk.gram(x, y, backend="cpu", **options)
    assert np.mean(got == expected) >= 0.9999 or np.count_nonzero(got != expected) <= 1
    assert np.abs(got - expected).max() < 0.2
    if symmetric:
        np.testing.assert_array_equal(got, got.T)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "kernel", [fk.Fidelity(fk.Angle(8)), fk.Fidelity(fk.Amplitude(16)), fk.Projected(fk.Angle(4)), fk.Fidelity(fk.IQP(3))], ids=repr
)
def test_16_bit_inputs_give_float32(device, kernel, dtype):
    x, y = (device.torch(rows(n, kernel.n_features, np.float32, seed), dtype) for n, seed in ((33, 0), (20, 1)))
    got = fk.gram(x, y, kernel=kernel, backend="cuda")
    assert str(got.dtype) == "torch.float32"
    np.testing.assert_allclose(host(got), reference.gram(host(x), host(y), kernel), atol=HALF_TOLERANCE)
    double = fk.gram(x, y, kernel=kernel, backend="cuda", dtype=np.float64)
    np.testing.assert_allclose(host(double), reference.gram(host(x), host(y), kernel), atol=1e-12)


@pytest.mark.parametrize("library", LIBRARIES[:3])
def test_out_and_strides(device, library):
    kernel = fk.Fidelity(fk.Angle(3))
    data = rows(20, 8, np.float32)
    x = device.array(library, data)[::2, 1:7:2]
    wide = device.array(library, np.zeros((10, 12), np.float32))
    got = fk.gram(x, kernel=kernel, backend="cuda", out=wide[:, 1:11])
    expected = reference.gram(data[::2, 1:7:2], None, kernel)
    np.testing.assert_allclose(host(got), expected, atol=2e-6)
    np.testing.assert_allclose(host(wide)[:, 1:11], expected, atol=2e-6)
    assert (host(wide)[:, [0, 11]] == 0).all()


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.Amplitude(3)), fk.Fidelity(fk.ZZ(3))], ids=repr)
def test_nan_stays_in_its_rows(device, kernel):
    data = np.array(rows(70, 3, np.float32))
    data[[3, 66]] = [[np.nan, 0, 0], [0, np.inf, 0]]
    got = host(fk.gram(device.array("torch", data), kernel=kernel, backend="cuda"))
    bad = np.zeros(70, bool)
    bad[[3, 66]] = True
    good = got[~bad][:, ~bad]
    np.testing.assert_allclose(good, reference.gram(data[~bad], None, kernel), atol=2e-6)
    off_diagonal = ~np.eye(70, dtype=bool)
    assert np.isnan(got[bad][off_diagonal[bad]]).all() and np.isnan(got[:, bad][off_diagonal[:, bad]]).all()
