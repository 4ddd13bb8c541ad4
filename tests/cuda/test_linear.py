# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The linear form on the device: attention in it, forced by the module's option, and AttentionState."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, tolerance
from device_contract import LIBRARIES, host
from flashket import reference
from flashket.backends.cuda import CUDA

KERNELS = [
    fk.Fidelity(fk.Angle(1)),
    fk.Fidelity(fk.Angle(4)),
    fk.Fidelity(fk.Angle(2), power=3),
    fk.Fidelity(fk.Angle(5, rotation="rx", bandwidth=0.7)),
    fk.Fidelity(fk.Amplitude(12)),
    fk.Fidelity(fk.Amplitude(5, bias=1.0)),
    fk.HadamardTest(fk.Amplitude(6)),
    fk.HadamardTest(fk.Amplitude(6), power=2),
    fk.HadamardTest(fk.Angle(3), power=2),
    fk.Fidelity(fk.ZZ(3)),
    fk.HadamardTest(fk.IQP(2), power=2),
]

HOST = (0, 0, None, True)


def inputs(shape, dtype=np.float64, seed=0, spread=1.5):
    """Return q, k, v for (B, Hq, Hkv, Lq, Lk, D, Dv)."""
    n_batch, n_heads, n_key_heads, n_queries, n_keys, n_features, n_values = shape
    rng = np.random.default_rng((seed, *shape))
    q = rng.uniform(-spread, spread, (n_batch, n_heads, n_queries, n_features))
    k = rng.uniform(-spread, spread, (n_batch, n_key_heads, n_keys, n_features))
    return q.astype(dtype), k.astype(dtype), rng.normal(size=(n_batch, n_key_heads, n_keys, n_values)).astype(dtype)


def attend(q, k, v, kernel, causal=False, kv_lens=None, form="linear"):
    """Return attention in a form that is asked for by name, and the rows of zeros."""
    out = np.full((*q.shape[:3], v.shape[3]), np.nan, q.dtype)
    lengths = None if kv_lens is None else np.array(kv_lens, np.int64)
    options = ("sum", 1.0, causal, 0, 0, "auto", form)
    zero_rows = CUDA._run("attention", "attention", kernel._lower(), q, k, v, out, None, lengths, options, True, HOST)
    return out, zero_rows


def assert_close(got, expected, dtype, factor=1.0):
    """Compare with the contract's bound, relative to the largest output."""
    np.testing.assert_allclose(host(got), expected, atol=factor * tolerance("attention", dtype) * np.abs(expected).max(initial=0), rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_kernels(device, kernel, causal, dtype):
    q, k, v = inputs((1, 2, 1, 131, 150, kernel.n_features, 5), dtype)
    got, _ = attend(q, k, v, kernel, causal)
    if dtype == np.float64:
        # Rounding tells that nearly all rows are the linear form's own, not taken up again by pairs.
        pairs, _ = attend(q, k, v, kernel, causal, form="pairs")
        assert (got != pairs).any(axis=-1).mean() > (0.1 if causal else 0.9)
    assert_close(got, reference.attention(q, k, v, kernel, causal=causal), dtype)


SHAPES = [
    # (B, Hq, Hkv, Lq, Lk, D, Dv): one row; grouped heads; several tiles of values; more queries than keys; decoding; long
    (1, 1, 1, 1, 1, 1, 1),
    (2, 6, 2, 70, 130, 3, 1),
    (1, 3, 1, 65, 65, 2, 130),
    (2, 2, 2, 200, 70, 3, 64),
    (1, 2, 1, 1, 300, 4, 17),
    (1, 3, 1, 700, 700, 1, 3),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(device, shape, causal, dtype):
    q, k, v = inputs(shape, dtype)
    kernel = fk.Fidelity(fk.Angle(shape[5]))
    got, _ = attend(q, k, v, kernel, causal)
    assert_close(got, reference.attention(q, k, v, kernel, causal=causal), dtype)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [[200, 0], [64, 129], [1, 199]], ids=str)
def test_lengths(device, lengths, causal):
    q, k, v = inputs((2, 2, 1, 150, 200, 3, 4))
    kernel = fk.Fidelity(fk.Angle(3))
    for batch, length in enumerate(lengths):
        k[batch, :, length:], v[batch, :, length:] = np.nan, np.inf
    got, _ = attend(q, k, v, kernel, causal, lengths)
    clean = np.nan_to_num(k), np.where(np.isfinite(v), v, 0)
    assert_close(got, reference.attention(q, *clean, kernel, causal=causal, kv_lens=lengths), np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("spread", [1e-3, 0.02])
def test_concentrated_data(device, spread, causal, dtype):
    """Keys in one spot, queries half a turn away, where features cancel, between others near them."""
    kernel = fk.Fidelity(fk.Angle(4))
    q, k, v = inputs((1, 2, 1, 150, 150, 4, 3), dtype, spread=spread)
    q[:, :, ::7] += dtype(np.pi)
    got, _ = attend(q, k, v, kernel, causal)
    expected, _ = attend(q, k, v, kernel, causal, form="pairs")
    exact = reference.attention(q, k, v, kernel, causal=causal)
    allowed = max(tolerance("attention", dtype) * np.abs(exact).max(), 1.01 * np.abs(expected - exact).max())
    assert np.abs(got - exact).max() <= allowed


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("causal", [False, True])
def test_what_is_certified_is_right(device, causal, dtype):
    """Queries at every distance from one spot of keys, from no cancellation to all of it."""
    kernel = fk.Fidelity(fk.Angle(4))
    q, k, v = inputs((1, 1, 1, 300, 300, 4, 3), dtype, spread=1e-3)
    q += np.random.default_rng(3).permutation(np.linspace(0, np.pi, 300))[:, None].astype(dtype)
    got, _ = attend(q, k, v, kernel, causal)
    assert_close(got, reference.attention(q, k, v, kernel, causal=causal), dtype)


def test_first_keys_are_exact(device):
    """The rows that see few keys, right behind a boundary between chunks too."""
    kernel = fk.Fidelity(fk.Angle(5))
    q, k, v = inputs((1, 1, 1, 140, 140, 5, 4), np.float32)
    got, _ = attend(q, k, v, kernel, True)
    expected = reference.attention(q, k, v, kernel, causal=True)
    for row in (0, 1, 2, 62, 63, 64, 65, 127, 128, 129):
        assert_close(got[:, :, row], expected[:, :, row], np.float32)


def test_what_is_not_finite_reaches_its_own_rows(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v = inputs((1, 2, 2, 150, 150, 3, 4))
    q[0, 1, 7] = np.nan
    v[0, 0, 130] = np.nan
    v[0, 1, 100, 2] = np.inf
    got, _ = attend(q, k, v, kernel, True)
    assert np.isnan(got[0, 1, 7]).all() and np.isnan(got[0, 0, 130:]).all() and (got[0, 1, 100:, 2] == np.inf).all()
    expected = reference.attention(np.nan_to_num(q), k, np.where(np.isfinite(v), v, 0), kernel, causal=True)
    np.testing.assert_allclose(got[0, 0, :130], expected[0, 0, :130], atol=1e-10)
    np.testing.assert_allclose(np.delete(got[0, 1, :100], 7, axis=0), np.delete(expected[0, 1, :100], 7, axis=0), atol=1e-10)
    np.testing.assert_allclose(got[0, 1, 100:, [0, 1, 3]], expected[0, 1, 100:, [0, 1, 3]], atol=1e-10)


def test_rows_of_zeros_are_means(device):
    """Orthogonal vectors: the linear form cannot certify a sum of 0, and pairs make the mean of it."""
    kernel = fk.Fidelity(fk.Amplitude(4))
    q, k, v = inputs((1, 1, 1, 20, 70, 4, 2))
    q[..., :2], k[..., 2:] = 0, 0
    got, zero_rows = attend(q, k, v, kernel)
    assert zero_rows == 20
    np.testing.assert_allclose(got, np.broadcast_to(v.mean(axis=2, keepdims=True), got.shape), atol=1e-12)


def test_what_the_form_is_chosen_by(device):
    module = CUDA.module()
    spec = fk.Fidelity(fk.Angle(2))._lower()
    assert module.linear_form(spec) == (9, "") and module.linear_form(fk.Fidelity(fk.Amplitude(8))._lower())[0] == 36
    assert module.linear_form(fk.Projected(fk.Angle(2))._lower())[0] == 0
    assert module.linear_form_pays(spec, 1, 1, 1, 4096, 4096, 64, True, True)
    # Pairs of float32 rows are cheaper: matrix units take them.
    assert not module.linear_form_pays(spec, 1, 1, 1, 4096, 4096, 64, True, False)
    assert module.linear_form_pays(spec, 1, 1, 1, 8192, 8192, 64, True, False)
    assert not module.linear_form_pays(spec, 1, 1, 1, 1, 4096, 64, True, False)
    assert not module.linear_form_pays(spec, 1, 1, 1, 255, 255, 64, False, True)
    for refused in (
        lambda: attend(*(x.astype(np.float16) for x in inputs((1, 1, 1, 2, 2, 2, 2))), fk.Fidelity(fk.Angle(2))),
        lambda: attend(*inputs((1, 1, 1, 2, 2, 2, 2)), fk.Projected(fk.Angle(2))),
    ):
        with pytest.raises(fk.InputError, match="linear form"):
            refused()


def test_explain_names_it(device):
    kernel = fk.Fidelity(fk.Angle(2))
    plan = fk.explain(kernel, n=4096, op="attention", backend="cuda")
    assert plan.path.startswith("linear form, 9 features") and "on a device" in plan.why
    plan = fk.explain(kernel, n=100, op="attention", backend="cuda")
    assert plan.path.startswith("quadratic: ") and "the linear form, 9 features, costs more" in plan.why and "on a device" in plan.why
    plan = fk.explain(fk.Projected(fk.Angle(2)), n=4096, op="attention", backend="cuda")
    assert "no linear form" in plan.why


def test_attention_takes_it(device):
    kernel = fk.Fidelity(fk.Angle(1))
    q, k, v = inputs((1, 1, 1, 600, 600, 1, 2))
    assert CUDA.module().linear_form_pays(kernel._lower(), 1, 1, 1, 600, 600, 2, False, True)
    got = fk.attention(q, k, v, kernel=kernel, backend="cuda")
    np.testing.assert_array_equal(got, attend(q, k, v, kernel)[0])
    assert_close(got, reference.attention(q, k, v, kernel), np.float64)


def state_of(kernel, k, v, **options):
    """Return a state in device memory that holds these keys."""
    state = fk.AttentionState(kernel, batch=k.shape[0], heads=k.shape[1], v_dim=v.shape[3], backend="cuda", **options)
    state.update(k, v)
    return state


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_state(device, kernel, dtype):
    """Steps of a text before and behind the 64 keys that are kept, in pieces, against the oracle and the host."""
    q, k, v = inputs((2, 4, 2, 130, 130, kernel.n_features, 5), dtype)
    expected = reference.attention(q, k, v, kernel, causal=True)
    on_host = fk.AttentionState(kernel, batch=2, heads=2, v_dim=5)
    state = fk.AttentionState(kernel, batch=2, heads=2, v_dim=5, backend="cuda")
    arrays = [device.array("torch", x) for x in (q, k, v)]
    assert not host(state.read(arrays[0][:, :, :1])).any()
    start = 0
    for end in (1, 3, 63, 64, 65, 66, 130):
        state.update(arrays[1][:, :, start:end], arrays[2][:, :, start:end])
        on_host.update(k[:, :, start:end], v[:, :, start:end])
        got = state.read(arrays[0][:, :, end - 1 : end])
        assert got.dtype == arrays[0].dtype and state.n_keys == end
        assert_close(got, expected[:, :, end - 1 : end], dtype)
        assert_close(got, on_host.read(q[:, :, end - 1 : end]), dtype)
        start = end
    assert_close(state.read(arrays[0]), reference.attention(q, k, v, kernel), dtype)


@pytest.mark.parametrize("library", [library for library in LIBRARIES if library != "numpy"])
def test_state_libraries(device, library):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v = inputs((1, 2, 1, 9, 90, 3, 4), np.float32)
    state = state_of(kernel, device.array(library, k), device.array(library, v))
    queries = device.array(library, q)
    got = state.read(queries)
    assert type(got) is type(queries) and tuple(got.shape) == (1, 2, 9, 4)
    assert_close(got, reference.attention(q, k, v, kernel), np.float32)


def test_state_strides_and_dtypes(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v = inputs((1, 2, 2, 9, 90, 3, 4))
    arrays = [device.torch(x.transpose(0, 2, 1, 3), "float64").transpose(1, 2) for x in (q, k, v)]
    expected = reference.attention(q, k, v, kernel)
    assert_close(state_of(kernel, *arrays[1:]).read(arrays[0]), expected, np.float64)
    rounded = state_of(kernel, *arrays[1:], dtype=np.float32).read(arrays[0])
    assert str(rounded.dtype) == "torch.float32"
    assert_close(rounded, expected, np.float32)
    half = [x.to(x.new_zeros(0).half().dtype) for x in arrays]
    for n in (40, 90):
        got = state_of(kernel, half[1][:, :, :n], half[2][:, :, :n]).read(half[0])
        exact = reference.attention(*(host(x).astype(np.float64) for x in (half[0], half[1][:, :, :n], half[2][:, :, :n])), kernel)
        assert got.dtype == half[0].dtype
        np.testing.assert_allclose(host(got), exact, atol=1e-3 * np.abs(exact).max())


def test_state_copy_reset_pickle(device):
    kernel = fk.Fidelity(fk.Angle(4))
    q, k, v = inputs((1, 2, 1, 5, 100, 4, 3))
    torch_q, torch_k, torch_v = (device.array("torch", x) for x in (q, k, v))
    state = state_of(kernel, torch_k[:, :, :70], torch_v[:, :, :70])
    before, size = host(state.read(torch_q)), state.nbytes
    assert size == 8 * (81 * 4 + 64 * 7)
    branch = state.copy()
    branch.update(torch_k[:, :, 70:], torch_v[:, :, 70:])
    np.testing.assert_array_equal(host(state.read(torch_q)), before)
    assert_close(branch.read(torch_q), reference.attention(q, k, v, kernel), np.float64)
    with pytest.raises(fk.InputError, match="only states in host memory can be pickled"):
        pickle.dumps(state)
    state.reset()
    assert state.n_keys == 0 and not host(state.read(torch_q)).any() and state.nbytes == size
    state.update(torch_k[:, :, :70], torch_v[:, :, :70])
    np.testing.assert_array_equal(host(state.read(torch_q)), before)


def test_state_refuses_uncertain_rows(device):
    """A query half a turn from every key: few keys are answered from the keys themselves, many are refused."""
    kernel = fk.Fidelity(fk.Angle(4))
    rng = np.random.default_rng(0)
    k, v = 0.001 * rng.normal(size=(1, 1, 200, 4)), rng.normal(size=(1, 1, 200, 2))
    far, near = np.full((1, 1, 3, 4), np.pi), np.full((1, 1, 1, 4), np.pi - 0.6)
    torch_k, torch_v, torch_far, torch_near = (device.array("torch", x) for x in (k, v, far, near))
    few = state_of(kernel, torch_k[:, :, :64], torch_v[:, :, :64])
    expected = reference.attention(far, k[:, :, :64], v[:, :, :64], kernel)
    np.testing.assert_allclose(host(few.read(torch_far)), expected, atol=1e-10)
    many = state_of(kernel, torch_k, torch_v)
    with pytest.raises(fk.InputError, match=r"\[AttentionState.read\] a query must overlap the keys.*less in 3 of 3 rows"):
        many.read(torch_far)
    np.testing.assert_allclose(host(many.read(torch_near)), reference.attention(near, k, v, kernel), atol=1e-10)
    with pytest.raises(fk.InputError, match="a query must overlap the keys"):
        many.read(torch_near * float("nan"))


def test_state_bad_input(device):
    kernel = fk.Fidelity(fk.Angle(3))
    q, k, v = inputs((1, 2, 1, 5, 70, 3, 4))
    torch_q, torch_k, torch_v = (device.array("torch", x) for x in (q, k, v))
    state = state_of(kernel, torch_k, torch_v)
    for call, text in (
        (lambda: state.update(k, v), "k must be in device memory"),
        (lambda: state.read(q), "q must be in device memory"),
        (lambda: state.update(torch_k, v), "must be in the same memory"),
        (lambda: state.update(torch_k[..., :2], torch_v), r"k must be \(1, 1, L, 3\)"),
        (lambda: state.update(torch_k, torch_v[..., :2]), r"v must be"),
        (lambda: state.update(torch_k.long(), torch_v), "real numbers"),
        (lambda: state.read(torch_q[0]), "q must be"),
        (lambda: fk.AttentionState(kernel, batch=1, heads=1, v_dim=4, backend="gpu"), "backend must be"),
    ):
        with pytest.raises(fk.InputError, match=text):
            call()
    assert state.n_keys == 70
    state.update(torch_k[:, :, :0], torch_v[:, :, :0])
    assert state.n_keys == 70 and tuple(state.read(torch_q[:, :, :0]).shape) == (1, 2, 0, 4)
