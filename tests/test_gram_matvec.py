# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""K @ A against the oracle's K, for every kernel, and the promises of a streaming product: threads, memory, strides, refusals."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, expected_gram, kernels, peak_bytes, rows, tolerance
from flashket import reference
from flashket.controls import ScaledDot, Uniform

A2 = fk.Fidelity(fk.Angle(2))
X2 = np.zeros((3, 2))


def factor(m, p, dtype, seed=0):
    shape = (m,) if p is None else (m, p)
    return np.random.default_rng((seed, m, p or 0)).normal(size=shape).astype(dtype)


def assert_product(got, gram, a, dtype, power=1):
    """Every value of K may be wrong by the tolerance of a value; the sum adds its own rounding of the same size."""
    a = np.asarray(a, np.float64)
    bound = (power + 1) * tolerance("value", dtype) * np.abs(a).sum(axis=0)
    assert got.dtype == dtype and got.shape == (gram.shape[0], *a.shape[1:])
    assert (np.abs(got - gram @ a) <= bound).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 111), (33, 257)])
@pytest.mark.parametrize("kernel", kernels(3), ids=repr)
def test_rectangular(kernel, n, m, dtype):
    x, y, a = rows(n, 3, dtype), rows(m, 3, dtype, 1), factor(m, 3, dtype)
    assert_product(fk.gram_matvec(x, a, y, kernel=kernel), expected_gram(kernel, n, m, dtype), a, dtype, kernel.power)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [None, 1, 2, 5, 8, 9, 16, 17, 64, 70, 0])
@pytest.mark.parametrize("symmetric", [True, False])
def test_widths(p, symmetric, dtype):
    """Few columns, many, and in both cases with and without the symmetric half; see run_symmetric()."""
    kernel = fk.Fidelity(fk.IQP(6))
    n, m = (333, 333) if symmetric else (77, 300)
    x, y = rows(n, 6, dtype), None if symmetric else rows(m, 6, dtype, 1)
    a = factor(m, p, dtype)
    got = fk.gram_matvec(x, a, y, kernel=kernel)
    assert_product(got, expected_gram(kernel, n, None if symmetric else m, dtype), a, dtype)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 255, 256, 257, 520])
@pytest.mark.parametrize("kernel", [fk.HadamardTest(fk.Angle(3), power=2), fk.Projected(fk.ZZ(3)), ScaledDot(3), Uniform(3)], ids=repr)
def test_symmetric_is_gram_times_a(kernel, n):
    for dtype in DTYPES:
        x, a = rows(n, 3, dtype), factor(n, 4, dtype)
        gram = fk.gram(x, kernel=kernel).astype(np.float64)
        scale = np.abs(gram).max()
        bound = 2 * tolerance("value", dtype) * scale * np.abs(a).sum(axis=0)
        assert (np.abs(fk.gram_matvec(x, a, kernel=kernel) - gram @ a) <= bound).all()


def test_diagonal_is_exactly_one():
    """Far apart angles: K is the identity, so the product is A to the last bit."""
    x = (np.pi * (np.arange(40)[:, None] >> np.arange(6)) % (2 * np.pi)).astype(np.float32)
    assert (fk.gram(x, kernel=fk.Fidelity(fk.Angle(6), power=8)).sum(axis=1) == 1).all()
    a = factor(40, 3, np.float32)
    assert (fk.gram_matvec(x, a, kernel=fk.Fidelity(fk.Angle(6), power=8)) == a).all()


def test_long_sums_keep_float64s_digits():
    """Half a million equal float32 terms: summed in float32 throughout, the error would be far above the bound."""
    x, y = np.zeros((2, 1), np.float32), np.zeros((500_000, 1), np.float32)
    a = np.full(500_000, 0.1, np.float32)
    got = fk.gram_matvec(x, a, y, kernel=fk.Fidelity(fk.Angle(1)))
    np.testing.assert_allclose(got, a.astype(np.float64).sum(), rtol=1e-6)


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("p", [1, 3])
@pytest.mark.parametrize("n", [5, 300, 2500])
def test_threads_change_no_bit(n, p, symmetric):
    kernel = fk.Fidelity(fk.ZZ(2))
    x, y = rows(n, 2, np.float32), None if symmetric else rows(1500, 2, np.float32, 1)
    a = factor(n if symmetric else 1500, p, np.float32)
    results = []
    for n_threads in (1, 2, 5):
        fk.set_num_threads(n_threads)
        results.append(fk.gram_matvec(x, a, y, kernel=kernel))
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


def test_shots_are_those_of_gram():
    kernel = fk.Fidelity(fk.Angle(3), power=2)
    x, y = rows(400, 3, np.float64), rows(300, 3, np.float64, 1)
    for other, m, p in ((None, 400, 1), (None, 400, 2), (None, 400, 20), (y, 300, 2)):
        a = factor(m, p, np.float64)
        gram = fk.gram(x, other, kernel=kernel, shots=50, seed=9)
        np.testing.assert_allclose(fk.gram_matvec(x, a, other, kernel=kernel, shots=50, seed=9), gram @ a, atol=1e-11)
    fresh = [fk.gram_matvec(x, factor(400, None, np.float64), kernel=kernel, shots=50) for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()


def test_strides_dtypes_and_out():
    kernel = fk.HadamardTest(fk.IQP(3))
    x, y, a = rows(40, 3, np.float32), rows(50, 3, np.float32, 1), factor(50, 6, np.float32)
    expected = fk.gram_matvec(x, a, y, kernel=kernel)
    big = np.empty((100, 12), np.float32)
    big[::2, ::-2] = a
    for same in (np.asfortranarray(a), big[::2, ::-2], a.astype(">f4")):
        assert (fk.gram_matvec(x, same, y, kernel=kernel) == expected).all()
    buffer = np.full((80, 12), np.nan, np.float32)
    out = buffer[::-2, ::2]
    assert fk.gram_matvec(x, a, y, kernel=kernel, out=out) is out
    assert (out == expected).all() and np.isnan(buffer).sum() == buffer.size - expected.size
    vector = np.empty(80, np.float32)[::2]
    assert fk.gram_matvec(x, a[:, 0], y, kernel=kernel, out=vector) is vector
    np.testing.assert_allclose(vector, expected[:, 0], atol=1e-4)
    assert fk.gram_matvec(x, a.astype(np.float64), y, kernel=kernel).dtype == np.float64
    assert fk.gram_matvec(x, a.astype(np.float64), y, kernel=kernel, dtype=np.float32).dtype == np.float32
    assert fk.gram_matvec(x, np.ones(50, np.int64), y, kernel=kernel).dtype == np.float64
    assert fk.gram_matvec(x.astype(np.float16), np.ones(50, np.float16), y, kernel=kernel).dtype == np.float32
    assert fk.gram_matvec(x.tolist(), [1.0] * 40, kernel=kernel).dtype == np.float64


def test_empty():
    none = np.empty((0, 2))
    assert fk.gram_matvec(none, np.empty((5, 3)), np.zeros((5, 2)), kernel=A2).shape == (0, 3)
    assert (fk.gram_matvec(X2, np.empty((0, 3)), none, kernel=A2) == np.zeros((3, 3))).all()
    assert fk.gram_matvec(none, np.empty(0), kernel=A2).shape == (0,)


def test_kernel_ridge_by_conjugate_gradients():
    """The use it is made for: (K + I) w = y solved with products alone, and the prediction of new rows."""
    kernel = fk.Fidelity(fk.ZZ(3))
    x, new = rows(120, 3, np.float64), rows(20, 3, np.float64, 1)
    y = np.sin(x).sum(axis=1)
    w, residual = np.zeros(120), y.copy()
    direction, norm = residual.copy(), residual @ residual
    for _ in range(200):
        step = fk.gram_matvec(x, direction, kernel=kernel) + direction
        length = norm / (direction @ step)
        w, residual = w + length * direction, residual - length * step
        before, norm = norm, residual @ residual
        if norm < 1e-26:
            break
        direction = residual + norm / before * direction
    expected = np.linalg.solve(reference.gram(x, None, kernel) + np.eye(120), y)
    np.testing.assert_allclose(w, expected, atol=1e-10)
    np.testing.assert_allclose(fk.gram_matvec(new, w, x, kernel=kernel), reference.gram(new, x, kernel) @ expected, atol=1e-9)


@pytest.mark.measured
def test_the_gram_matrix_is_never_stored():
    """30,000 x 30,000 float32 kernel values would be 3.6 GB."""
    x = "x = np.random.default_rng(0).uniform(0, 3, (30_000, 2)).astype(np.float32)"
    (used,) = peak_bytes(x, "fk.gram_matvec(x, x, kernel=fk.Fidelity(fk.Angle(2)))")
    assert used < 30e6


REFUSED = [
    (lambda: fk.gram_matvec(X2, np.ones(4), kernel=A2), r"\[gram_matvec\] A must be \(3,\) or \(3, p\), one row for each of X, got \(4,\)"),
    (lambda: fk.gram_matvec(X2, np.ones(3), np.zeros((5, 2)), kernel=A2), r"A must be \(5,\) or \(5, p\), one row for each of Y"),
    (lambda: fk.gram_matvec(X2, np.ones((3, 1, 1)), kernel=A2), r"got \(3, 1, 1\)"),
    (lambda: fk.gram_matvec(X2, 1.0, kernel=A2), r"got \(\)"),
    (lambda: fk.gram_matvec(X2, [1.0, np.nan, 0.0], kernel=A2), r"A must be finite, got NaN or infinity in row 1"),
    (lambda: fk.gram_matvec(X2, np.ones(3) * 1j, kernel=A2), r"A must hold real numbers"),
    (lambda: fk.gram_matvec(X2, [1e39, 0, 0], kernel=A2, dtype=np.float32), r"A must fit float32"),
    (lambda: fk.gram_matvec(X2[:, :1], np.ones(3), kernel=A2), r"\[gram_matvec\] X must be \(n_samples, 2\)"),
    (lambda: fk.gram_matvec(X2 + np.inf, np.ones(3), kernel=A2), r"X must be finite"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=fk.Fidelity(fk.Amplitude(2))), r"X must have no all-zero row"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=fk.Angle(2)), r"\[gram_matvec\] kernel must be a kernel"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=A2, shots=0), r"\[gram_matvec\] shots must be"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=ScaledDot(2), shots=5), r"shots need a quantum kernel"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=fk.Projected(fk.Angle(2)), shots=5), r"shots need values that are the probability"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=A2, noise="x"), r"a device profile's name or file was wanted, got 'x'"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=A2, dtype="int8"), r"dtype must be float32 or float64"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=A2, out=np.empty((3, 1))), r"out must have shape \(3,\), got \(3, 1\)"),
    (lambda: fk.gram_matvec(X2, np.ones(3), kernel=A2, backend="tpu"), r"backend must name a backend"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[1][:40])
def test_refusals(case):
    call, message = case
    with pytest.raises(fk.InputError, match=message):
        call()


def test_out_must_not_overlap():
    a = np.ones(3)
    with pytest.raises(fk.InputError, match="out must not overlap an input"):
        fk.gram_matvec(X2, a, kernel=A2, out=a)


def test_memory_is_asked_for_first():
    wide = np.broadcast_to(1.0, (10**6, 10**6))
    with pytest.raises(fk.ResourceLimit, match=r"\[gram_matvec\] a product of 3 x 1000000 kernel values with 1000000 columns"):
        fk.gram_matvec(X2, wide, np.broadcast_to(0.0, (10**6, 2)), kernel=A2)
    with pytest.raises(fk.BackendUnavailable):
        fk.gram_matvec(X2, np.ones(3), kernel=A2, backend="cuda")


def test_instruction_sets_agree():
    """To rounding; the process runs another set of loops."""
    code = """
import sys, numpy as np, flashket as fk
rng = np.random.default_rng(0)
x, a, b = rng.uniform(-2, 2, (300, 4)).astype(np.float32), rng.normal(size=(300, 3)), rng.normal(size=(300, 20))
kernels = (fk.Fidelity(fk.Angle(4)), fk.Projected(fk.ZZ(4)), fk.Projected(fk.Amplitude(4)), fk.Projected(fk.IQP(4)))
parts = [fk.gram_matvec(x, c.astype(t), kernel=k, dtype=t) for k in kernels for c in (a, b) for t in (np.float32, np.float64)]
np.save(sys.stdout.buffer, np.concatenate([part.ravel().astype(np.float64) for part in parts]))
"""
    results = []
    for isa in fk.runtime.available_isas():
        run = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "FLASHKET_ISA": isa}, capture_output=True, check=True, timeout=120
        )
        results.append(np.frombuffer(run.stdout[-8 * 300 * 23 * 8 :], np.float64))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], atol=1e-3)
