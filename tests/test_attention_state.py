# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Attention from a state of constant size against the oracle that holds all keys."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, tolerance
from flashket import reference

KERNELS = [
    fk.Fidelity(fk.Angle(4)),
    fk.Fidelity(fk.Angle(5)),
    fk.Fidelity(fk.Angle(2), power=3),
    fk.Fidelity(fk.Amplitude(12)),
    fk.Fidelity(fk.Amplitude(5, bias=1.0)),
    fk.HadamardTest(fk.Amplitude(6)),
    fk.HadamardTest(fk.Amplitude(6), power=2),
    fk.Fidelity(fk.ZZ(3)),
    fk.HadamardTest(fk.IQP(2), power=2),
]


def data(kernel, n, dtype=np.float64, n_batch=2, n_heads=4, n_kv=2, v_dim=5):
    rng = np.random.default_rng((n, v_dim))
    q = rng.uniform(-1.5, 1.5, (n_batch, n_heads, n, kernel.n_features)).astype(dtype)
    k = rng.uniform(-1.5, 1.5, (n_batch, n_kv, n, kernel.n_features)).astype(dtype)
    return q, k, rng.normal(size=(n_batch, n_kv, n, v_dim)).astype(dtype)


def state_of(kernel, k, v, **options):
    state = fk.AttentionState(kernel, batch=k.shape[0], heads=k.shape[1], v_dim=v.shape[3], **options)
    state.update(k, v)
    return state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_decoding(kernel, dtype):
    """Every step of a text, the first keys and those beyond the 64 that are kept included."""
    n = 130
    q, k, v = data(kernel, n, dtype)
    expected = reference.attention(q, k, v, kernel, causal=True)
    state = fk.AttentionState(kernel, batch=2, heads=2, v_dim=5)
    assert not state.read(q[:, :, :1]).any()
    size = state.nbytes
    for i in range(n):
        state.update(k[:, :, i : i + 1], v[:, :, i : i + 1])
        got = state.read(q[:, :, i : i + 1])
        assert got.dtype == dtype
        error = np.abs(got - expected[:, :, i : i + 1]).max() / np.abs(expected[:, :, i : i + 1]).max()
        assert error <= tolerance("attention", dtype), i
    assert state.n_keys == n and state.nbytes == size


@pytest.mark.parametrize("lengths", [(1, 7, 63, 64, 65, 111), (989,), (64, 1), (0, 70)])
def test_pieces(lengths):
    """Keys may come in any pieces, queries in any number, strides do not matter."""
    kernel = KERNELS[0]
    q, k, v = data(kernel, sum(lengths))
    state = fk.AttentionState(kernel, batch=2, heads=2, v_dim=5)
    start = 0
    for length in lengths:
        state.update(np.asfortranarray(k[:, :, start : start + length]), np.repeat(v, 2, axis=3)[:, :, start : start + length, ::2])
        start += length
    expected = reference.attention(q[:, :, :99], k, v, kernel)
    np.testing.assert_allclose(state.read(q[:, :, :99]), expected, atol=1e-10 * np.abs(expected).max())


def test_dtype_rounds_inputs():
    kernel = KERNELS[0]
    q, k, v = data(kernel, 90)
    state = state_of(kernel, k, v, dtype=np.float32)
    got = state.read(q)
    assert got.dtype == np.float32
    rounded = state_of(kernel, k.astype(np.float32), v.astype(np.float32))
    np.testing.assert_array_equal(got, rounded.read(q.astype(np.float32)))


def test_threads(restore_threads):
    kernel = KERNELS[3]
    q, k, v = data(kernel, 300)
    results = []
    for n in (1, 2, 5):
        fk.set_num_threads(n)
        results.append(state_of(kernel, k, v).read(q))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_many_keys_in_pieces():
    kernel = fk.Fidelity(fk.Angle(2))
    q, k, v = data(kernel, 200_000, np.float32, n_batch=1, n_heads=1, n_kv=1, v_dim=1)
    state = fk.AttentionState(kernel, batch=1, heads=1, v_dim=1)
    for start in range(0, k.shape[2], 50_000):
        state.update(k[:, :, start : start + 50_000], v[:, :, start : start + 50_000])
    wide = [x.astype(np.float64) for x in (q[:, :, :3], k, v)]
    expected = fk.attention(*wide, kernel=kernel)
    assert np.abs(state.read(q[:, :, :3]) - expected).max() <= 5e-6 * np.abs(expected).max()


def test_copy_reset_pickle():
    kernel = KERNELS[0]
    q, k, v = data(kernel, 100)
    state = state_of(kernel, k[:, :, :70], v[:, :, :70])
    before = state.read(q)
    branch, stored = state.copy(), pickle.loads(pickle.dumps(state))
    branch.update(k[:, :, 70:], v[:, :, 70:])
    np.testing.assert_array_equal(state.read(q), before)
    np.testing.assert_array_equal(stored.read(q), before)
    np.testing.assert_allclose(branch.read(q), state_of(kernel, k, v).read(q), atol=1e-13)
    state.reset()
    assert state.n_keys == 0 and not state.read(q).any()
    state.update(k[:, :, :70], v[:, :, :70])
    np.testing.assert_array_equal(state.read(q), before)


def test_uncertain_rows_are_refused():
    """A query half a turn from every key: few keys are answered from the keys themselves, many are refused."""
    kernel = KERNELS[0]
    rng = np.random.default_rng(0)
    k, v = 0.001 * rng.normal(size=(1, 1, 200, 4)), rng.normal(size=(1, 1, 200, 2))
    q = np.full((1, 1, 1, 4), np.pi)
    few = state_of(kernel, k[:, :, :64], v[:, :, :64])
    expected = reference.attention(q, k[:, :, :64], v[:, :, :64], kernel)
    np.testing.assert_allclose(few.read(q), expected, atol=1e-10)
    many = state_of(kernel, k, v)
    with pytest.raises(fk.InputError, match=r"\[AttentionState.read\] a query must overlap the keys.*row \(0, 0, 0\)"):
        many.read(q)
    # Just inside the bound: right.
    near = np.full((1, 1, 1, 4), np.pi - 0.6)
    expected = reference.attention(near, k, v, kernel)
    np.testing.assert_allclose(many.read(near), expected, atol=1e-10)


def test_bad_input_changes_nothing():
    kernel = fk.Fidelity(fk.Amplitude(3))
    q, k, v = data(kernel, 80)
    state = state_of(kernel, k, v)
    before, n_keys = state.read(q), state.n_keys
    bad_key, zero_key, bad_value, huge_value = k.copy(), k.copy(), v.copy(), v.copy()
    bad_key[1, 1, 79, 2], zero_key[0, 1, 5], bad_value[0, 0, 3, 1], huge_value[1, 0, 2, 0] = np.nan, 0, np.inf, 1e300
    for keys, values, text in (
        (bad_key, v, r"k must be finite.*row \(1, 1, 79\)"),
        (zero_key, v, r"k must have no all-zero row.*row \(0, 1, 5\)"),
        (k, bad_value, r"v must be finite"),
        (k, huge_value, r"v must be at most 1e\+280"),
        (k[:, :1], v[:, :1], r"k must be \(2, 2, L, 3\)"),
        (k[:1], v[:1], r"k must be \(2, 2, L, 3\)"),
        (k[..., :2], v, r"k must be \(2, 2, L, 3\)"),
        (k, v[..., :4], r"v must be \(2, 2, 80, 5\)"),
        (k, v[:, :, :79], r"v must be \(2, 2, 80, 5\)"),
        (k.astype(complex), v, "k must hold real numbers"),
    ):
        with pytest.raises(fk.InputError, match=r"\[AttentionState.update\] " + text):
            state.update(keys, values)
        assert state.n_keys == n_keys
        np.testing.assert_array_equal(state.read(q), before)
    bad_query = q.copy()
    bad_query[0, 3, 2, 1] = np.inf
    for queries, text in (
        (bad_query, r"q must be finite.*row \(0, 3, 2\)"),
        (np.zeros_like(q), "q must have no all-zero row"),
        (q[:1], r"q must be \(2, Hq, L, 3\)"),
        (q[:, :3], "the number of query heads must be a multiple of the 2 key heads"),
        (q[0], r"q must be \(2, Hq, L, 3\)"),
    ):
        with pytest.raises(fk.InputError, match=r"\[AttentionState.read\] " + text):
            state.read(queries)


def test_bad_arguments():
    kernel = KERNELS[0]
    for options, text in (
        ({"batch": 0}, "batch"),
        ({"heads": -1}, "heads"),
        ({"v_dim": 1.5}, "v_dim"),
        ({"dtype": np.float16}, "dtype must be float32 or float64"),
    ):
        with pytest.raises(fk.InputError, match=r"\[AttentionState\] .*" + text):
            fk.AttentionState(kernel, **{"batch": 1, "heads": 1, "v_dim": 1, **options})
    with pytest.raises(fk.InputError, match="kernel must be a kernel"):
        fk.AttentionState(fk.Angle(4), batch=1, heads=1, v_dim=1)
    with pytest.raises(fk.InputError, match=r"must have a linear form.*3\^40 is more than"):
        fk.AttentionState(fk.Fidelity(fk.Angle(40)), batch=1, heads=1, v_dim=1)
    with pytest.raises(fk.ResourceLimit, match="a state of 2080 features"):
        fk.AttentionState(fk.Fidelity(fk.Amplitude(64)), batch=10**6, heads=10**3, v_dim=64)


def test_queries_without_rows():
    kernel = KERNELS[0]
    q, k, v = data(kernel, 70)
    assert state_of(kernel, k, v).read(q[:, :, :0]).shape == (2, 4, 0, 5)
    assert state_of(kernel, k, v).read(q[:, :0]).shape == (2, 0, 70, 5)
