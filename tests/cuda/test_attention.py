# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One contract for attention on the device: every kernel, dtype and option, against the oracle."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, kernels, tolerance
from device_contract import LIBRARIES, host
from flashket import diagnostics, reference
from flashket.controls import ScaledDot, Uniform


def inputs(shape, dtype=np.float32, seed=0):
    """Return q, k, v for (B, Hq, Hkv, Lq, Lk, D, Dv)."""
    n_batch, n_heads, n_key_heads, n_queries, n_keys, n_features, n_values = shape
    rng = np.random.default_rng((seed, *shape))
    q = rng.uniform(-2, 2, (n_batch, n_heads, n_queries, n_features))
    k = rng.uniform(-2, 2, (n_batch, n_key_heads, n_keys, n_features))
    v = rng.normal(size=(n_batch, n_key_heads, n_keys, n_values))
    return q.astype(dtype), k.astype(dtype), v.astype(dtype)


def assert_close(got, expected, dtype, factor=1.0):
    """Compare with the contract's bound, relative to the largest output."""
    scale = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(host(got), expected, atol=factor * tolerance("attention", dtype) * scale, rtol=0)


SHAPES = [
    # (B, Hq, Hkv, Lq, Lk, D, Dv): one row; grouped heads and odd sizes; tiles not full; decode; more queries than keys
    (1, 1, 1, 1, 1, 1, 1),
    (2, 4, 2, 7, 111, 3, 5),
    (1, 2, 1, 33, 130, 3, 17),
    (2, 3, 3, 1, 300, 3, 64),
    (1, 2, 2, 40, 7, 3, 3),
    (1, 1, 1, 70, 70, 4, 64),
]

HALF = [fk.Fidelity(fk.Amplitude(64)), fk.Fidelity(fk.Angle(8)), fk.HadamardTest(fk.Amplitude(32), power=2)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(device, shape, causal, normalization, dtype):
    q, k, v = inputs(shape, dtype)
    options = {"normalization": normalization, "temperature": 0.2, "causal": causal}
    kernel = fk.Fidelity(fk.Angle(shape[5]))
    got = fk.attention(q, k, v, kernel=kernel, backend="cuda", **options)
    assert got.dtype == dtype and got.shape == (*q.shape[:3], v.shape[3])
    assert_close(got, reference.attention(q, k, v, kernel, **options), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("kernel", [*kernels(1), *kernels(3), *kernels(72)], ids=repr)
def test_kernels(device, kernel, normalization, dtype):
    q, k, v = inputs((1, 2, 1, 7, 40, kernel.n_features, 5), dtype)
    options = {"normalization": normalization, "temperature": 0.3, "causal": True}
    got = fk.attention(q, k, v, kernel=kernel, backend="cuda", **options)
    assert_close(got, reference.attention(q, k, v, kernel, **options), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_controls(device, dtype):
    q, k, v = inputs((2, 4, 2, 9, 33, 16, 8), dtype)
    options = {"normalization": "softmax", "temperature": 4.0, "causal": True}
    got = fk.attention(q, k, v, kernel=ScaledDot(16), backend="cuda", **options)
    assert_close(got, reference.attention(q, k, v, ScaledDot(16), **options), dtype)
    got = fk.attention(q, k, v, kernel=Uniform(16), backend="cuda", causal=True)
    assert_close(got, reference.attention(q, k, v, Uniform(16), causal=True), dtype)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["full", "queries x keys", "keys", "one head", "nothing", "everything"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("kv_lens", [None, [70, 0], [3, 69]], ids=str)
def test_masks_and_lengths(device, name, causal, normalization, kv_lens, library):
    q, k, v = inputs((2, 2, 1, 5, 70, 3, 4))
    full = np.random.default_rng(1).random((2, 2, 5, 70)) < 0.4
    full[0, 0, 2] = False
    full[:, :, :, 3] = False
    masks = {
        "full": full,
        "queries x keys": full[0, 0],
        "keys": full[:, :1, :1, :],
        "one head": full[:, :1],
        "nothing": np.zeros((2, 2, 5, 70), bool),
        "everything": np.ones((1, 1), bool),
    }
    options = {"normalization": normalization, "causal": causal}
    kernel = fk.Fidelity(fk.Angle(3))
    expected = reference.attention(q, k, v, kernel, **options, mask=masks[name], kv_lens=kv_lens)
    arrays = [device.array(library, array) for array in (q, k, v)]
    lengths = kv_lens if kv_lens is None else device.array(library, np.array(kv_lens))
    mask = device.array(library, masks[name])
    got = fk.attention(*arrays, kernel=kernel, backend="cuda", mask=mask, kv_lens=lengths, **options)
    assert_close(got, expected, np.float32)
    if name == "nothing":
        assert (host(got) == 0).all()


def test_what_is_hidden_never_shows(device):
    q, k, v = inputs((2, 2, 1, 5, 40, 3, 4))
    mask = np.random.default_rng(1).random((2, 1, 1, 40)) < 0.5
    mask[:, :, :, 0] = True
    options = {"kernel": fk.Fidelity(fk.Angle(3)), "mask": mask, "kv_lens": [33, 40], "backend": "cuda"}
    expected = fk.attention(q, k, v, **options)
    dirty_k, dirty_v = k.copy(), v.copy()
    for batch, length in ((0, 33), (1, 40)):
        hidden = ~mask[batch, 0, 0] | (np.arange(40) >= length)
        dirty_k[batch, :, hidden], dirty_v[batch, :, hidden] = np.nan, np.inf
    arrays = [device.array("torch", array) for array in (q, dirty_k, dirty_v)]
    got = fk.attention(*arrays, **{**options, "mask": device.array("torch", mask)})
    np.testing.assert_array_equal(host(got), expected)


def test_nan_reaches_its_own_rows_only(device):
    q, k, v = inputs((1, 2, 2, 40, 40, 3, 4))
    q[0, 1, 7] = np.nan
    v[0, 0, 30] = np.nan
    got = host(
        fk.attention(*(device.array("torch", each) for each in (q, k, v)), kernel=fk.Fidelity(fk.Angle(3)), causal=True, backend="cuda")
    )
    assert np.isnan(got[0, 1, 7]).all() and np.isnan(got[0, 0, 30:]).all()
    assert np.isfinite(np.delete(got[0, 1], 7, axis=0)).all() and np.isfinite(got[0, 0, :30]).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_that_underflow(device, dtype):
    kernel = fk.Fidelity(fk.Angle(300))
    q, k, v = inputs((1, 1, 1, 5, 20, 300, 4), dtype)
    assert reference.gram(q[0, 0], k[0, 0], kernel).max() < 1e-60
    got = fk.attention(q, k, v, kernel=kernel, backend="cuda")
    assert_close(got, reference.attention(q, k, v, kernel), dtype, factor=10)


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries(device, library):
    q, k, v = inputs((2, 4, 2, 9, 20, 3, 8))
    arrays = [device.array(library, each) for each in (q, k, v)]
    got = fk.attention(*arrays, kernel=fk.HadamardTest(fk.Angle(3)), causal=True, backend="cuda")
    assert type(got) is type(arrays[0]) and tuple(got.shape) == (2, 4, 9, 8)
    assert_close(got, reference.attention(q, k, v, fk.HadamardTest(fk.Angle(3)), causal=True), np.float32)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "kernel", [fk.Fidelity(fk.Amplitude(64)), fk.Fidelity(fk.Angle(8)), fk.HadamardTest(fk.Amplitude(32), power=2)], ids=repr
)
@pytest.mark.parametrize("causal", [False, True])
def test_16_bit_inputs(device, kernel, causal, dtype):
    arrays = [device.torch(each, dtype) for each in inputs((1, 2, 1, 40, 70, kernel.n_features, 64))]
    got = fk.attention(*arrays, kernel=kernel, causal=causal, backend="cuda")
    assert got.dtype == arrays[2].dtype
    expected = reference.attention(*(host(each).astype(np.float64) for each in arrays), kernel, causal=causal)
    # Overlaps are of fp16 numbers, weights are rounded to bfloat16's 8 bits, and the result to its dtype.
    bound = (2e-2 if dtype == "bfloat16" else 1e-2) * np.abs(expected).max()
    np.testing.assert_allclose(host(got), expected, atol=bound, rtol=0)


def test_samples_are_the_hosts(device):
    q, k, v = inputs((1, 2, 1, 9, 40, 3, 4), np.float64)
    options = {"kernel": fk.Fidelity(fk.Angle(3)), "shots": 100, "seed": 3, "causal": True, "kv_lens": [35]}
    with diagnostics.record() as counts:
        got = fk.attention(q, k, v, backend="cuda", **options)
    with diagnostics.record() as expected_counts:
        expected = fk.attention(q, k, v, backend="cpu", **options)
    np.testing.assert_allclose(got, expected, atol=1e-10)
    assert counts == expected_counts


def test_zero_rows_are_counted(device):
    q, k, v = np.zeros((1, 1, 2, 1)), np.full((1, 1, 3, 1), 3.0), np.arange(3.0).reshape(1, 1, 3, 1)
    kernel, options = fk.Fidelity(fk.Angle(1), power=1), {"shots": 1, "seed": 1}
    for library in ("numpy", "torch"):
        with diagnostics.record() as counts:
            got = fk.attention(*(device.array(library, each) for each in (q, k, v)), kernel=kernel, backend="cuda", **options)
        assert counts.calls == 1 and counts.zero_rows == 2 and counts.sampled_scores == 6
        np.testing.assert_allclose(host(got), 1.0)


def test_decoding_is_the_last_row_of_prefill(device):
    q, k, v = inputs((1, 4, 2, 37, 37, 8, 16))
    kernel = fk.Fidelity(fk.Angle(8))
    whole = fk.attention(q, k, v, kernel=kernel, causal=True, backend="cuda")
    for step in (0, 20, 36):
        got = fk.attention(q[:, :, step : step + 1], k[:, :, : step + 1], v[:, :, : step + 1], kernel=kernel, causal=True, backend="cuda")
        assert_close(got[:, :, 0], whole[:, :, step], np.float32)
    got = fk.attention(q[:, :, 36:], k, v, kernel=kernel, kv_lens=[30], causal=True, backend="cuda")
    expected = reference.attention(q[:, :, 36:], k, v, kernel, kv_lens=[30], causal=True)
    assert_close(got, expected, np.float32)


def test_views_and_out(device):
    """A cache's slice, broadcast keys, and a strided result."""
    q, k, v = inputs((2, 4, 2, 5, 30, 3, 8))
    kernel = fk.Fidelity(fk.Angle(3))
    cache_k, cache_v = (device.array("torch", np.pad(each, ((0, 0), (0, 0), (0, 20), (0, 0)))) for each in (k, v))
    big = device.array("torch", np.zeros((2, 5, 4, 8), np.float32))
    out = big.transpose(1, 2)
    got = fk.attention(device.array("torch", q), cache_k[:, :, :30], cache_v[:, :, :30], kernel=kernel, backend="cuda", out=out)
    assert got is out
    assert_close(out, reference.attention(q, k, v, kernel), np.float32)
    one = device.array("torch", k[:1, :1])
    got = fk.attention(device.array("torch", q), one.expand(2, 2, 30, 3), cache_v[:, :, :30], kernel=kernel, backend="cuda")
    assert_close(got, reference.attention(q, np.broadcast_to(k[:1, :1], k.shape), v, kernel), np.float32)


def test_no_keys_and_no_queries(device):
    for library in ("numpy", "torch"):
        q, k, v = (device.array(library, np.ones(shape, np.float32)) for shape in ((1, 2, 3, 4), (1, 1, 0, 4), (1, 1, 0, 5)))
        got = fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(4)), backend="cuda")
        assert got.shape == (1, 2, 3, 5) and (host(got) == 0).all()
        assert fk.attention(q[:, :, :0], q, q, kernel=fk.Fidelity(fk.Angle(4)), backend="cuda").shape == (1, 2, 0, 4)
