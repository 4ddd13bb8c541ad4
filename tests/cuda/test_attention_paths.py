# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The paths that attention takes on the device: matrix units for 16-bit inputs, keys in several parts for few queries, rows taken up
again in the log domain or as plain means. Sizes are chosen so that tiles are not full and boundaries fall inside them."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES
from device_contract import host
from flashket import diagnostics, reference
from flashket.backends.cuda import CUDA
from test_attention import assert_close, inputs

HALVES = ["float16", "bfloat16"]

HALF_BOUND = 1e-2
"""Of max|out|: weights and values are bf16 numbers, 2^-9 of each is rounded away, overlaps come from fp16 numbers."""


def reduced(device, arrays, dtype):
    """Return torch tensors of a 16-bit dtype, and what they hold as float64."""
    tensors = [device.torch(array, dtype) for array in arrays]
    return tensors, [host(tensor).astype(np.float64) for tensor in tensors]


def assert_close_to_half(got, expected):
    np.testing.assert_allclose(host(got), expected, atol=HALF_BOUND * np.abs(expected).max(initial=0), rtol=0)


MATRIX_CASES = [
    # kernel, (B, Hq, Hkv, Lq, Lk, Dv): every form of overlap and width of a packed row
    (fk.Fidelity(fk.Amplitude(16)), (1, 2, 1, 20, 70, 33)),
    (fk.Fidelity(fk.Amplitude(64, bias=8.0)), (2, 4, 2, 7, 111, 64)),
    (fk.HadamardTest(fk.Amplitude(128), power=8), (1, 1, 1, 130, 200, 128)),
    (fk.Fidelity(fk.Amplitude(128, bias=8.0)), (1, 2, 2, 150, 7, 96)),
    (fk.Fidelity(fk.Angle(3)), (1, 1, 1, 1, 1, 1)),
    (fk.Fidelity(fk.Angle(16, bandwidth=0.3), power=2), (2, 3, 3, 1, 300, 64)),
    (fk.HadamardTest(fk.Angle(20, bandwidth=0.3)), (1, 2, 1, 33, 257, 70)),
    (fk.Fidelity(fk.ZZ(4, reps=1, bandwidth=0.3)), (1, 2, 1, 40, 70, 64)),
    (fk.HadamardTest(fk.ZZ(6, reps=1, bandwidth=0.3)), (1, 1, 1, 20, 70, 80)),
]


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("kernel", "shape"), MATRIX_CASES, ids=repr)
def test_matrix_units(device, kernel, shape, causal, normalization, dtype):
    arrays = inputs((*shape[:5], kernel.n_features, shape[5]))
    options = {"normalization": normalization, "temperature": 0.1, "causal": causal}
    tensors, values = reduced(device, arrays, dtype)
    got = fk.attention(*tensors, kernel=kernel, backend="cuda", **options)
    assert got.dtype == tensors[0].dtype
    assert_close_to_half(got, reference.attention(*values, kernel, **options))


FLOAT_CASES = [
    # kernel, Dv: every kernel that the matrix units have for float32 rows, and rows and values that they pad
    (fk.Fidelity(fk.Amplitude(64)), 64),
    (fk.Fidelity(fk.Amplitude(64, bias=8.0)), 50),
    (fk.Fidelity(fk.Amplitude(128)), 128),
    (fk.Fidelity(fk.Amplitude(128, bias=8.0)), 100),
    (fk.HadamardTest(fk.Amplitude(33), power=8), 17),
    (fk.Fidelity(fk.Angle(16)), 64),
    (fk.Fidelity(fk.Angle(13), power=2), 128),
    (fk.HadamardTest(fk.Angle(6)), 64),
]


@pytest.mark.parametrize(("kernel", "n_values"), FLOAT_CASES, ids=repr)
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"normalization": "softmax", "temperature": 0.2}], ids=repr)
@pytest.mark.parametrize(("n_queries", "n_keys"), [(70, 150), (8, 300)], ids=str)
def test_float32_on_matrix_units(device, kernel, n_values, options, n_queries, n_keys):
    """Products of split operands keep float32's accuracy; values of any size do, as weights and values have float's range."""
    q, k, v = inputs((1, 2, 1, n_queries, n_keys, kernel.n_features, n_values))
    for scale in (1, 1e-30):
        scaled = v * np.float32(scale)
        got = fk.attention(q, k, scaled, kernel=kernel, backend="cuda", **options)
        assert_close(got, reference.attention(q, k, scaled, kernel, **options), np.float32, factor=0.5)


def test_float32_takes_the_matrix_units(device):
    """Forced off, the same call rounds in another order; both are right."""
    q, k, v = inputs((1, 1, 1, 64, 100, 64, 64))
    kernel = fk.Fidelity(fk.Amplitude(64))
    results = []
    for arithmetic in ("auto", "split", "simt"):
        out = np.empty_like(v[:, :, :64])
        options = ("sum", 1.0, False, 0, 0, arithmetic, "pairs")
        CUDA._run("attention", "attention", kernel._lower(), q, k, v, out, None, None, options, False, (0, 0, None, True))
        results.append(out)
        assert_close(out, reference.attention(q, k, v, kernel), np.float32)
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()


def test_one_large_value_among_small_ones(device):
    """A value of 1e30 that most rows may not see must not cost the others their digits."""
    q, k, v = inputs((1, 1, 1, 64, 200, 64, 64))
    v[0, 0, 150] = 1e30
    kernel = fk.Fidelity(fk.Amplitude(64))
    mask = np.ones((64, 200), bool)
    mask[:63, 150] = False
    got = fk.attention(q, k, v, kernel=kernel, mask=mask, backend="cuda")
    expected = reference.attention(q, k, v, kernel, mask=mask)
    assert_close(got[:, :, :63], expected[:, :, :63], np.float32)
    np.testing.assert_allclose(got[:, :, 63], expected[:, :, 63], rtol=1e-5)


@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kv_lens", [None, [130, 0], [3, 129]], ids=str)
def test_matrix_units_with_masks(device, kv_lens, causal, normalization):
    arrays = inputs((2, 4, 2, 5, 130, 8, 64))
    mask = np.random.default_rng(1).random((2, 4, 5, 130)) < 0.4
    mask[0, 0, 2] = False
    kernel = fk.Fidelity(fk.Angle(8, bandwidth=0.5))
    tensors, values = reduced(device, arrays, "bfloat16")
    options = {"normalization": normalization, "causal": causal}
    for seen in (mask, mask[:, :1, :1], mask[0, 0]):
        lengths = kv_lens if kv_lens is None else device.array("torch", np.array(kv_lens))
        got = fk.attention(*tensors, kernel=kernel, backend="cuda", mask=device.array("torch", seen), kv_lens=lengths, **options)
        assert_close_to_half(got, reference.attention(*values, kernel, mask=seen, kv_lens=kv_lens, **options))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
def test_matrix_units_do_not_see_what_is_hidden(device, normalization, poison):
    """A value of 0 x NaN must not reach rows that may not see it, though they share a tile with rows that may."""
    q, k, v = inputs((2, 4, 2, 6, 70, 8, 64))
    mask = np.random.default_rng(0).random((2, 4, 6, 70)) < 0.5
    mask[:, 0:2, :, 5] = False
    mask[0, 3, 2] = False
    options = {"kernel": fk.Fidelity(fk.Angle(8, bandwidth=0.5)), "backend": "cuda", "normalization": normalization}
    options |= {"mask": device.array("torch", mask), "kv_lens": device.array("torch", np.array([66, 3]))}
    expected = host(fk.attention(*reduced(device, (q, k, v), "float16")[0], **options))
    for array in (k, v):
        array[:, 0, 5], array[0, :, 66:], array[1, :, 3:] = poison, poison, poison
    q[0, 3, 2] = poison
    got = host(fk.attention(*reduced(device, (q, k, v), "float16")[0], **options))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("name", ["q", "k", "v"])
def test_nan_reaches_the_rows_that_see_it(device, name, dtype):
    arrays = dict(zip("qkv", inputs((1, 2, 1, 80, 80, 8, 64)), strict=True))
    options = {"kernel": fk.Fidelity(fk.Angle(8, bandwidth=0.5)), "backend": "cuda", "causal": True}
    expected = host(fk.attention(*(device.torch(array, dtype) for array in arrays.values()), **options))
    arrays[name][0, 0, 50] = np.nan
    got = host(fk.attention(*(device.torch(array, dtype) for array in arrays.values()), **options))
    is_nan = np.zeros((1, 2, 80), bool)
    is_nan[(0, 0, 50) if name == "q" else (0, slice(None), slice(50, None))] = True
    assert np.isnan(got[is_nan]).all()
    np.testing.assert_array_equal(got[~is_nan], expected[~is_nan])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("n_values", [64, 70])
def test_few_queries_of_many_keys(device, normalization, n_values, dtype):
    """Keys are summed in parts; grouped heads share a tile."""
    arrays = inputs((1, 8, 2, 1, 2000, 8, n_values))
    kernel = fk.Fidelity(fk.Angle(8, bandwidth=0.5))
    tensors, values = reduced(device, arrays, dtype)
    for extra in ({}, {"kv_lens": [700]}, {"mask": np.random.default_rng(0).random((1, 1, 1, 2000)) < 0.3}):
        options = {"normalization": normalization, "temperature": 0.3, "causal": True, **extra}
        expected = reference.attention(*values, kernel, **options)
        on_device = {key: device.array("torch", np.array(value)) for key, value in extra.items()}
        got = fk.attention(*tensors, kernel=kernel, backend="cuda", **{**options, **on_device})
        if dtype == "float16":
            assert_close_to_half(got, expected)
        else:
            assert_close(got, expected, np.dtype(dtype).type)


@pytest.mark.parametrize("dtype", HALVES)
def test_some_rows_of_a_tile_underflow(device, dtype):
    """Queries far from every key beside queries that equal one."""
    q, k, v = inputs((1, 2, 1, 40, 70, 20, 5))
    k *= np.float32(0.1)
    q[:, :, ::3] = k[:, :, :14]
    q[:, :, 1::3] = k[:, :, :13] + np.float32(3.0)
    kernel = fk.Fidelity(fk.Angle(20), power=2)
    tensors, values = reduced(device, (q, k, v), dtype)
    assert reference.gram(values[0][0, 0, 1::3], values[1][0, 0], kernel).max() < 1e-20
    assert_close_to_half(fk.attention(*tensors, kernel=kernel, backend="cuda"), reference.attention(*values, kernel))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_values", [3, 200])
def test_small_sums_with_many_columns(device, n_values, dtype):
    """Every block of columns takes the rows up again."""
    for n_features in (9, 60):
        q, k, v = inputs((1, 2, 1, 3, 40, n_features, n_values), dtype)
        if n_features == 9:  # a product of cosines that are all small, where float32 still has a value
            q, k = q * 0 + dtype(3.14), k * dtype(1e-3)
        kernel = fk.Fidelity(fk.Angle(n_features))
        assert_close(fk.attention(q, k, v, kernel=kernel, backend="cuda"), reference.attention(q, k, v, kernel), dtype)


@pytest.mark.parametrize("similarity", [fk.Fidelity, fk.HadamardTest])
@pytest.mark.parametrize("power", [1, 4])
@pytest.mark.parametrize("size", [0.3, 5e-3, 1e-4, 1e-6])
def test_sum_of_small_float32_values(device, similarity, power, size):
    """Every key is almost orthogonal (fidelity) or opposite (Hadamard test) to the query: rounding must not show."""
    rng = np.random.default_rng(0)
    n_keys, width = 400, 8
    k = np.zeros((1, 1, n_keys, width))
    k[..., 0] = size * rng.uniform(0.5, 1.5, n_keys)
    k[..., 1:] = rng.normal(size=(n_keys, width - 1))
    k[..., 1:] /= np.linalg.norm(k[..., 1:], axis=-1, keepdims=True)
    q = np.zeros((1, 1, 2, width))
    q[..., 0] = 1
    if similarity is fk.HadamardTest:
        k = -q[:, :, :1] + np.sqrt(2 * size) * k
    v = rng.normal(size=(1, 1, n_keys, 6))
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    q, k, v = (array.astype(np.float32) for array in (q @ turn, k @ turn, v))
    kernel = similarity(fk.Amplitude(width), power=power)
    assert_close(fk.attention(q, k, v, kernel=kernel, backend="cuda"), reference.attention(q, k, v, kernel), np.float32)


def test_products_of_few_keys_in_float32(device):
    """Where a query sees two or three keys, the one that counts may have a factor near 0, whose rounding would show."""
    q, k, v = inputs((1, 2, 2, 150, 7, 20, 128))
    mask = np.random.default_rng(0).random((1, 2, 150, 7)) < 0.5
    kernel, options = fk.Fidelity(fk.Angle(20)), {"mask": mask, "kv_lens": [4]}
    got = fk.attention(q, k, v, kernel=kernel, backend="cuda", **options)
    assert_close(got, reference.attention(q, k, v, kernel, **options), np.float32)


@pytest.mark.parametrize("power", [1, 4])
@pytest.mark.parametrize("size", [0.3, 0.03, 1e-3])
def test_hadamard_tests_of_opposite_states_in_float32(device, size, power):
    """One angle a whole turn away: overlaps are near -1."""
    rng = np.random.default_rng(0)
    q, k, v = np.zeros((1, 1, 2, 8)), size * rng.normal(size=(1, 1, 300, 8)), rng.normal(size=(1, 1, 300, 6))
    q[..., 0] = 2 * np.pi
    q, k, v = (array.astype(np.float32) for array in (q, k, v))
    kernel = fk.HadamardTest(fk.Angle(8), power=power)
    assert_close(fk.attention(q, k, v, kernel=kernel, backend="cuda"), reference.attention(q, k, v, kernel), np.float32)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n_keys", [3, 600])
def test_rows_of_zeros_become_means(device, n_keys, dtype):
    q, k = np.zeros((1, 1, 2, 2)), np.zeros((1, 1, n_keys, 2))
    q[..., 0] = k[..., 1] = 1
    v = np.random.default_rng(0).normal(size=(1, 1, n_keys, 70))
    tensors, values = reduced(device, (q, k, v), dtype)
    with diagnostics.record() as counts:
        got = fk.attention(*tensors, kernel=fk.Fidelity(fk.Amplitude(2)), backend="cuda")
    assert counts.zero_rows == 2
    mean = np.broadcast_to(values[2].mean(axis=2, keepdims=True), got.shape)
    np.testing.assert_allclose(host(got), mean, atol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.HadamardTest(fk.Amplitude(3), power=2)], ids=repr)
def test_float32_samples_are_the_hosts(device, kernel):
    """A probability may differ in its last bit, which changes one sample in ten thousand at most."""
    q, k, v = inputs((2, 4, 2, 30, 70, 3, 4))
    n_scores = n_different = 0
    for shots in (1, 7, 1000, 100_000):
        options = {"kernel": kernel, "shots": shots, "seed": 11, "causal": True, "kv_lens": [70, 33]}
        expected = fk.attention(q, k, v, backend="cpu", **options)
        got = fk.attention(q, k, v, backend="cuda", **options)
        n_different += np.count_nonzero(np.abs(got - expected).max(axis=-1) > 1e-5 * np.abs(expected).max())
        n_scores += 4 * sum(min(i + 1 + length - 30, length) for length in (70, 33) for i in range(30))
    assert n_different <= 1e-4 * n_scores
