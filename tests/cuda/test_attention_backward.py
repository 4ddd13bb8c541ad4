# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gradients of device attention: central differences of the oracle, every kernel that has them, masks, causality and lengths."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from flashket import reference
from flashket.backends.cuda import CUDA
from flashket.controls import ScaledDot

KERNELS = [
    fk.Fidelity(fk.Angle(3)),
    fk.Fidelity(fk.Angle(3, bandwidth=0.7), power=2),
    fk.HadamardTest(fk.Angle(3), power=2),
    fk.Fidelity(fk.Amplitude(4)),
    fk.Fidelity(fk.Amplitude(4, bias=0.5), power=2),
    fk.HadamardTest(fk.Amplitude(4), power=3),
    fk.Fidelity(fk.ZZ(3)),
    fk.Fidelity(fk.ZZ(2), power=2),
    fk.HadamardTest(fk.IQP(3, reps=2)),
    fk.Fidelity(fk.HardwareEfficient(3)),
    ScaledDot(4),
]

HOST = (0, 0, None, True)


def backward(kernel, q, k, v, d_out, *, normalization="sum", temperature=1.0, causal=False, mask=None, kv_lens=None):
    """Return the gradients with respect to q, k and v; poisoned first."""
    out = np.zeros((*q.shape[:3], v.shape[3]), q.dtype)
    gradients = [np.full_like(array, np.nan) for array in (q, k, v)]
    options = (normalization, temperature, causal, 0, 0, "auto")
    CUDA.module().attention_backward(kernel._lower(), q, k, v, out, mask, kv_lens, options, d_out, *gradients, HOST)
    return gradients


def inputs(kernel, seed=0, *, heads=(4, 2), lengths=(5, 7), v_dim=3, dtype=np.float64):
    """Return q, k, v and d_out, two batches."""
    rng = np.random.default_rng(seed)
    shapes = [(2, heads[0], lengths[0]), (2, heads[1], lengths[1])]
    q, k = (rng.normal(size=(*shape, kernel.n_features)).astype(dtype) for shape in shapes)
    return q, k, rng.normal(size=(*shapes[1], v_dim)).astype(dtype), rng.normal(size=(*shapes[0], v_dim)).astype(dtype)


@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_small_differences(device, kernel, normalization, restricted):
    if normalization == "sum" and isinstance(kernel, ScaledDot):
        normalization = "softmax"
    q, k, v, d_out = inputs(kernel)
    options = {"normalization": normalization, "temperature": 1.0 if normalization == "sum" else 0.3}
    if restricted:
        rng = np.random.default_rng(1)
        options |= {"causal": True, "mask": rng.random((2, 1, 5, 7)) < 0.7, "kv_lens": np.array([5, 7])}
    gradients = backward(kernel, q, k, v, d_out, **options)
    rng, step = np.random.default_rng(2), 1e-6
    for which, gradient in enumerate(gradients):
        for index in rng.choice(gradient.size, 10, replace=False):
            sides = []
            for sign in (1, -1):
                moved = [q.copy(), k.copy(), v.copy()]
                moved[which].reshape(-1)[index] += sign * step
                sides.append((d_out * reference.attention(*moved, kernel, **options)).sum())
            expected = (sides[0] - sides[1]) / (2 * step)
            assert abs(gradient.reshape(-1)[index] - expected) <= 1e-6 * max(1.0, abs(expected))


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.Amplitude(4)), fk.Fidelity(fk.ZZ(3))], ids=repr)
def test_float32_is_the_rounded_float64(device, kernel):
    arrays = inputs(kernel)
    rounded = [array.astype(np.float32) for array in arrays]
    exact = backward(kernel, *(array.astype(np.float64) for array in rounded))
    for got, expected in zip(backward(kernel, *rounded), exact, strict=True):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_rows_that_underflow_have_gradients(device):
    """300 angles: every kernel value of a row is below float32, the weights are not."""
    kernel = fk.Fidelity(fk.Angle(300))
    q, k, v, d_out = inputs(kernel, heads=(1, 1), lengths=(2, 4))
    d_q, d_k, d_v = backward(kernel, q, k, v, d_out)
    assert all(np.isfinite(each).all() and np.abs(each).max() > 1e-3 for each in (d_q, d_k, d_v))
    # Moving queries and keys together changes no difference of angles.
    moved = d_q.sum(axis=2) + d_k.sum(axis=2)
    np.testing.assert_allclose(moved, 0, atol=1e-12 * np.abs(d_q).max())


def test_hidden_positions_count_for_nothing(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v, d_out = inputs(kernel)
    options = {"kv_lens": np.array([4, 0])}
    clean = backward(kernel, q, k, v, d_out, **options)
    k[0, :, 4:], v[0, :, 4:], k[1], v[1] = np.nan, np.nan, np.nan, np.nan
    for got, expected in zip(backward(kernel, q, k, v, d_out, **options), clean, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert not clean[1][0, :, 4:].any()
    assert not clean[2][1].any()
    assert not clean[0][1].any()


def test_orthogonal_rows_are_plain_means(device):
    kernel = fk.Fidelity(fk.Amplitude(2))
    q, k = np.zeros((1, 1, 1, 2)), np.zeros((1, 1, 3, 2))
    q[..., 0], k[..., 1] = 1, 1
    v, d_out = np.arange(3.0).reshape(1, 1, 3, 1), np.ones((1, 1, 1, 1))
    d_q, d_k, d_v = backward(kernel, q, k, v, d_out)
    assert not d_q.any()
    assert not d_k.any()
    np.testing.assert_allclose(d_v, 1 / 3)


def test_sampled_attention_has_none(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v, d_out = inputs(kernel)
    with pytest.raises(ValueError, match="sampled attention has no gradient"):
        CUDA.module().attention_backward(
            kernel._lower(), q, k, v, d_out, None, None, ("sum", 1.0, False, 10, 0, "auto"), d_out, q, k, v, HOST
        )


def test_kernels_without_gradient_say_so(device):
    kernel = fk.Projected(fk.ZZ(3))
    q, k, v, d_out = inputs(kernel)
    with pytest.raises(ValueError, match="has no gradient on the device"):
        backward(kernel, q, k, v, d_out)
