# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One or two queries: keys and values are read where they are, and only an output that is not finite has them checked."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, tolerance
from flashket import reference
from flashket.backends.cpu import core
from flashket.controls import ScaledDot

IN_PLACE = [fk.Amplitude(64), fk.Amplitude(13), fk.Amplitude(64, bias=2.0), fk.Angle(8), fk.Angle(3, bandwidth=0.7), fk.Angle(19)]


def inputs(feature_map, n_queries, n_keys, dtype, n_values=32, seed=0):
    rng = np.random.default_rng((seed, n_queries, n_keys))
    q = rng.uniform(-2, 2, (2, 2, n_queries, feature_map.n_features)).astype(dtype)
    k = rng.uniform(-2, 2, (2, 1, n_keys, feature_map.n_features)).astype(dtype)
    return q, k, rng.normal(size=(2, 1, n_keys, n_values)).astype(dtype)


def in_place(kernel, q, k, v, out, **options):
    given = {"causal": False, "kv_lens": None, "normalization": "sum"} | options
    arguments = (given["normalization"], 1.0, given["causal"], None, given["kv_lens"], 0, 0, "in_place")
    return core().attention(kernel._lower(), q, k, v, out, *arguments)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("similarity", [fk.Fidelity, fk.HadamardTest])
@pytest.mark.parametrize("feature_map", IN_PLACE, ids=repr)
@pytest.mark.parametrize(("n_queries", "n_keys"), [(1, 1), (1, 7), (2, 257)])
def test_against_the_oracle(feature_map, similarity, n_queries, n_keys, dtype):
    q, k, v = inputs(feature_map, n_queries, n_keys, dtype)
    kernel = similarity(feature_map)
    for causal, kv_lens in ((False, None), (True, np.array([n_keys, n_keys // 2]))):
        expected = reference.attention(q, k, v, kernel, causal=causal, kv_lens=kv_lens)
        bound = tolerance("attention", dtype) * np.abs(expected).max()
        got = fk.attention(q, k, v, kernel=kernel, causal=causal, kv_lens=kv_lens)
        np.testing.assert_allclose(got, expected, atol=bound, rtol=0)
        out = np.full(got.shape, np.nan, dtype)
        assert in_place(kernel, q, k, v, out, causal=causal, kv_lens=kv_lens) >= 0
        np.testing.assert_allclose(out, expected, atol=bound, rtol=0)
    softmax = fk.attention(q, k, v, kernel=kernel, normalization="softmax", temperature=0.3)
    expected = reference.attention(q, k, v, kernel, normalization="softmax", temperature=0.3)
    np.testing.assert_allclose(softmax, expected, atol=tolerance("attention", dtype) * np.abs(expected).max(), rtol=0)


def test_softmax_control():
    q, k, v = inputs(fk.Amplitude(24), 1, 300, np.float64)
    scores = np.einsum("bhqd,bhkd->bhqk", q, np.broadcast_to(k, (2, 2, *k.shape[2:]))) / np.sqrt(24)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = weights / weights.sum(axis=-1, keepdims=True) @ v
    got = fk.attention(q, k, v, kernel=ScaledDot(24), normalization="softmax", temperature=np.sqrt(24))
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("size", [1e-30, 1e-18, 1e18, 1e30])
def test_rows_of_any_length(size):
    """Squares of such float32 numbers leave float32."""
    q, k, v = inputs(fk.Amplitude(16), 1, 50, np.float32)
    k[:, :, ::3] *= np.float32(size)
    kernel = fk.Fidelity(fk.Amplitude(16))
    expected = reference.attention(q, k, v, kernel)
    np.testing.assert_allclose(fk.attention(q, k, v, kernel=kernel), expected, atol=5e-6 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("feature_map", [fk.Amplitude(64), fk.Angle(8)], ids=repr)
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["q", "k", "v"])
def test_a_bad_row_is_still_refused(name, poison, feature_map):
    q, k, v = inputs(feature_map, 1, 300, np.float32)
    {"q": q, "k": k, "v": v}[name][1, 0, 0, 2] = poison
    out = np.full((2, 2, 1, 32), 7.0, np.float32)
    with pytest.raises(fk.InputError, match=rf"\[attention\] {name}"):
        fk.attention(q, k, v, kernel=fk.Fidelity(feature_map), out=out)
    assert (out == 7).all()
    assert in_place(fk.Fidelity(feature_map), q, k, v, np.empty_like(out)) == -1


def test_a_zero_row_is_still_refused():
    q, k, v = inputs(fk.Amplitude(64), 1, 300, np.float32)
    k[0, 0, 17] = 0
    with pytest.raises(fk.InputError, match="zero"):
        fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(64)))
    fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(64, bias=1.0)))


def test_rows_behind_the_end_may_hold_anything():
    q, k, v = inputs(fk.Amplitude(64), 1, 300, np.float32)
    kernel = fk.Fidelity(fk.Amplitude(64))
    expected = fk.attention(q, k, v, kernel=kernel, kv_lens=[100, 200])
    k[0, :, 100:], v[0, :, 100:] = np.nan, np.inf
    np.testing.assert_array_equal(fk.attention(q, k, v, kernel=kernel, kv_lens=[100, 200]), expected)


def test_what_cannot_be_read_in_place():
    """Softmax would lose a score that is not a number; strided columns, circuits and more queries are packed."""
    q, k, v = inputs(fk.Amplitude(64), 1, 300, np.float32)
    out = np.empty((2, 2, 1, 32), np.float32)
    kernel = fk.Fidelity(fk.Amplitude(64))
    assert in_place(kernel, q, k, v, out) >= 0
    assert in_place(kernel, q, k, v, out, normalization="softmax") == -1
    assert in_place(kernel, q, np.asfortranarray(k), v, out) == -1
    assert in_place(kernel, q, k, v[..., :5], out[..., :5]) == -1
    many = inputs(fk.Amplitude(64), 3, 300, np.float32)
    assert in_place(kernel, *many, np.empty((2, 2, 3, 32), np.float32)) == -1
    circuit = inputs(fk.ZZ(4), 1, 300, np.float32)
    assert in_place(fk.Fidelity(fk.ZZ(4)), *circuit, out) == -1


def test_values_that_overflow_are_no_error():
    q, k, v = inputs(fk.Amplitude(64), 1, 300, np.float32)
    v[:] = np.float32(3e38)
    got = fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(64)))
    assert np.isinf(got).any() or np.allclose(got, 3e38, rtol=1e-5)


@pytest.mark.parametrize("n_keys", [1, 16, 255, 256, 257, 300, 512, 523, 769])
@pytest.mark.parametrize("n_features", [3, 8, 13])
def test_values_are_weighed_beside_the_scores_of_the_next_keys(n_features, n_keys):
    rng = np.random.default_rng((n_features, n_keys))
    kernel = fk.Fidelity(fk.Angle(n_features))
    q, k = (rng.uniform(-2, 2, (2, 3, length, n_features)).astype(np.float32) for length in (1, n_keys))
    v = rng.normal(size=(2, 3, n_keys, 64)).astype(np.float32)
    expected = fk.attention(*(x.astype(np.float64) for x in (q, k, v)), kernel=kernel)
    for _ in range(2):  # the second call is like the one before
        np.testing.assert_allclose(fk.attention(q, k, v, kernel=kernel), expected, atol=1e-6 * np.abs(expected).max(), rtol=0)


def test_a_step_like_the_last_one_is_checked_as_well(monkeypatch):
    rng = np.random.default_rng(0)
    kernel = fk.Fidelity(fk.Angle(8))
    q, k = (rng.uniform(-2, 2, (1, 2, length, 8)).astype(np.float32) for length in (1, 40))
    v = rng.normal(size=(1, 2, 40, 64)).astype(np.float32)
    first = fk.attention(q, k[:, :, :39], v[:, :, :39], kernel=kernel)
    assert np.array_equal(fk.attention(q, k[:, :, :39], v[:, :, :39], kernel=kernel), first)
    assert not np.array_equal(fk.attention(q, k, v, kernel=kernel), first)
    with pytest.raises(fk.InputError, match="k"):
        fk.attention(q, k, v[:, :, :39], kernel=kernel)
    with pytest.raises(fk.InputError, match="NaN"):
        fk.attention(q, np.where(np.arange(40)[:, None] == 7, np.float32(np.nan), k), v, kernel=kernel)
    monkeypatch.setenv("FLASHKET_BACKEND", "nothing")
    with pytest.raises(fk.InputError, match="FLASHKET_BACKEND"):
        fk.attention(q, k, v, kernel=kernel)
