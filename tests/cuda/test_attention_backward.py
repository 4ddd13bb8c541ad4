# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gradients of device attention: central differences of the oracle, every kernel that has them, masks, causality and lengths."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from device_contract import host
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


# 16-bit inputs: real dots go over the matrix units.

HALF_CASES = [
    # kernel, (B, Hq, Hkv, Lq, Lk, Dv): every width of an encoded row and of a value; tiles of 64 and 128 rows that are not full
    (fk.Fidelity(fk.Amplitude(16)), (1, 2, 1, 20, 70, 33)),
    (fk.Fidelity(fk.Amplitude(64)), (1, 4, 2, 75, 131, 64)),
    (fk.Fidelity(fk.Amplitude(64, bias=8.0), power=2), (2, 2, 2, 7, 111, 64)),
    (fk.HadamardTest(fk.Amplitude(128), power=3), (1, 1, 1, 130, 200, 128)),
    (fk.Fidelity(fk.Amplitude(128, bias=8.0)), (1, 2, 2, 150, 7, 96)),
    (fk.HadamardTest(fk.Amplitude(30)), (1, 3, 1, 1, 300, 1)),
    (fk.Fidelity(fk.Amplitude(5)), (1, 1, 1, 1, 1, 1)),
]

HALF_GRADIENT = 1e-2
"""Of the largest gradient; twice that where softmax magnifies scores by 1 / T = 10."""


def half_inputs(device, kernel, shape, dtype, seed=0):
    """Return q, k, v and d_out as tensors of a 16-bit dtype, and what they hold as float64."""
    rng = np.random.default_rng(seed)
    n_batch, n_heads, n_key_heads, n_queries, n_keys, width = shape
    shapes = [(n_batch, n_heads, n_queries), (n_batch, n_key_heads, n_keys)]
    arrays = [rng.normal(size=(*shapes[0], kernel.n_features)), rng.normal(size=(*shapes[1], kernel.n_features))]
    arrays += [rng.normal(size=(*shapes[1], width)), rng.normal(size=(*shapes[0], width))]
    tensors = [device.torch(array, dtype) for array in arrays]
    return tensors, [host(tensor).astype(np.float64) for tensor in tensors]


def half_gradients(device, kernel, tensors, **options):
    """Return what the public functions give for the tensors."""
    q, k, v, d_out = tensors
    given = {name: device.array("torch", value) if isinstance(value, np.ndarray) else value for name, value in options.items()}
    out = fk.attention(q, k, v, kernel=kernel, backend="cuda", **given)
    gradients = fk.attention_backward(q, k, v, out, d_out, kernel=kernel, backend="cuda", **given)
    assert [each.dtype for each in gradients] == [q.dtype, k.dtype, v.dtype]
    return [host(each).astype(np.float64) for each in gradients]


def assert_close_to_exact(gradients, exact, bound=HALF_GRADIENT):
    for got, expected in zip(gradients, exact, strict=True):
        # A gradient that is 0 everywhere, of one key alone, is the rest of two equal numbers of about 1.
        np.testing.assert_allclose(got, expected, rtol=0, atol=bound * max(np.abs(expected).max(), 0.1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("kernel", "shape"), HALF_CASES, ids=repr)
def test_matrix_units(device, kernel, shape, causal, normalization, dtype):
    tensors, (q, k, v, d_out) = half_inputs(device, kernel, shape, dtype)
    options = {"normalization": normalization, "temperature": 0.1, "causal": causal}
    exact = backward(kernel, q, k, v, d_out, **options)
    assert_close_to_exact(half_gradients(device, kernel, tensors, **options), exact, HALF_GRADIENT * (1 if normalization == "sum" else 2))


@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kv_lens", [None, [130, 0], [3, 129]], ids=str)
def test_matrix_units_with_masks(device, kv_lens, causal, normalization):
    kernel = fk.Fidelity(fk.Amplitude(24))
    tensors, (q, k, v, d_out) = half_inputs(device, kernel, (2, 4, 2, 35, 130, 40), "bfloat16")
    mask = np.random.default_rng(1).random((2, 4, 35, 130)) < 0.4
    mask[0, 0, 2] = False
    options = {"normalization": normalization, "causal": causal, "kv_lens": None if kv_lens is None else np.array(kv_lens)}
    for seen in (mask, np.ascontiguousarray(mask[:, :1, :1]), mask[0, 0]):
        exact = backward(kernel, q, k, v, d_out, mask=seen, **options)
        assert_close_to_exact(half_gradients(device, kernel, tensors, mask=seen, **options), exact)


def test_matrix_units_leave_small_sums_to_the_general_path(device):
    """Half of the queries are nearly orthogonal to all keys: bf16 overlaps would be noise, their gradients are as good as the others'."""
    kernel = fk.Fidelity(fk.Amplitude(16))
    tensors, _ = half_inputs(device, kernel, (1, 2, 1, 70, 140, 16), "bfloat16")
    tensors[0][:, :, ::2, :8] = 2**-10 * tensors[0][:, :, ::2, :8]
    tensors[1][..., 8:] = 0
    q, k, v, d_out = (host(each).astype(np.float64) for each in tensors)
    for causal in (False, True):
        exact = backward(kernel, q, k, v, d_out, causal=causal)
        d_q, d_k, d_v = half_gradients(device, kernel, tensors, causal=causal)
        assert_close_to_exact((d_q[:, :, ::2], d_k, d_v), (exact[0][:, :, ::2], *exact[1:]))
        assert_close_to_exact((d_q[:, :, 1::2],), (exact[0][:, :, 1::2],))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_matrix_units_do_not_see_what_is_hidden(device, poison):
    kernel = fk.Fidelity(fk.Amplitude(8))
    tensors, _ = half_inputs(device, kernel, (2, 4, 2, 35, 70, 16), "bfloat16")
    options = {"kv_lens": np.array([40, 0]), "causal": True}
    clean = half_gradients(device, kernel, tensors, **options)
    for which in (1, 2):
        tensors[which][0, :, 40:] = poison
        tensors[which][1] = poison
    for got, expected in zip(half_gradients(device, kernel, tensors, **options), clean, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert not clean[1][0, :, 40:].any()
    assert not clean[0][1].any()


@pytest.mark.parametrize("which", range(4))
def test_nan_reaches_its_own_rows_on_the_matrix_units(device, which):
    """As in double: a bad query or slope spoils its own gradient and those of the keys it sees; a bad key its later queries'."""
    kernel = fk.Fidelity(fk.Amplitude(8))
    tensors, _ = half_inputs(device, kernel, (1, 1, 1, 70, 70, 8), "bfloat16")
    tensors[which][0, 0, 50, 3] = np.nan
    exact = backward(kernel, *(host(each).astype(np.float64) for each in tensors), causal=True)
    for got, expected in zip(half_gradients(device, kernel, tensors, causal=True), exact, strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
        finite = np.isfinite(expected)
        np.testing.assert_allclose(got[finite], expected[finite], rtol=0, atol=HALF_GRADIENT * np.abs(expected[finite]).max(initial=0))


# The public function.


def test_public_function_agrees_on_the_host(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v, d_out = inputs(kernel)
    out = fk.attention(q, k, v, kernel=kernel, causal=True)
    gradients = fk.attention_backward(q[..., ::-1][..., ::-1], k, v, out, d_out, kernel=kernel, causal=True, backend="cuda")
    for got, expected in zip(gradients, backward(kernel, q, k, v, d_out, causal=True), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_empty_gradients(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v, d_out = inputs(kernel)
    d_q, d_k, d_v = fk.attention_backward(q, k[:, :, :0], v[:, :, :0], d_out, d_out, kernel=kernel, backend="cuda")
    assert not d_q.any()
    assert d_k.shape == (2, 2, 0, 3)
    assert d_v.shape == (2, 2, 0, 3)


def test_wrong_gradient_arguments(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v, d_out = inputs(kernel)
    with pytest.raises(fk.InputError, match=r"\[attention_backward\] out must be"):
        fk.attention_backward(q, k, v, d_out[:, :, :1], d_out, kernel=kernel, backend="cuda")
    with pytest.raises(fk.InputError, match=r"\[attention_backward\] k must be"):
        fk.attention_backward(q, k[..., :2], v, d_out, d_out, kernel=kernel, backend="cuda")
    with pytest.raises(fk.InputError, match=r"\[attention_backward\] mask must broadcast"):
        fk.attention_backward(q, k, v, d_out, d_out, kernel=kernel, mask=np.ones((3, 3), bool), backend="cuda")
    with pytest.raises(fk.BackendUnavailable, match="on a device only"):
        fk.attention_backward(q, k, v, d_out, d_out, kernel=kernel, backend="cpu")
