# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One contract for attention: every discovered map, similarity and dtype, both normalisations, against the oracle and the
unfused definition. test_isa.py runs this file once more under every instruction set."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, binomial_p_value, feature_maps, kernels, peak_bytes, tolerance
from flashket import diagnostics, reference
from flashket.attention import _unfused
from flashket.controls import ScaledDot, Uniform


def inputs(shape, dtype=np.float64, seed=0):
    """Return q, k, v for (B, Hq, Hkv, Lq, Lk, D, Dv)."""
    n_batch, n_heads, n_key_heads, n_queries, n_keys, n_features, n_values = shape
    rng = np.random.default_rng((seed, *shape))
    q = rng.uniform(-2, 2, (n_batch, n_heads, n_queries, n_features))
    k = rng.uniform(-2, 2, (n_batch, n_key_heads, n_keys, n_features))
    v = rng.normal(size=(n_batch, n_key_heads, n_keys, n_values))
    return q.astype(dtype), k.astype(dtype), v.astype(dtype)


def assert_close(got, expected, dtype, factor=1):
    """Compare with the contract's bound, relative to the largest output."""
    scale = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(got, expected, atol=factor * tolerance("attention", dtype) * scale, rtol=0)


SHAPES = [
    # (B, Hq, Hkv, Lq, Lk, D, Dv): one row; grouped heads and odd sizes; tiles not full; decode; more queries than keys
    (1, 1, 1, 1, 1, 1, 1),
    (2, 4, 2, 7, 111, 3, 5),
    (1, 2, 1, 33, 257, 3, 17),
    (2, 3, 3, 1, 300, 3, 64),
    (1, 2, 2, 40, 7, 3, 3),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes(shape, causal, normalization, dtype):
    q, k, v = inputs(shape, dtype)
    options = {"normalization": normalization, "temperature": 0.2, "causal": causal}
    kernel = fk.Fidelity(fk.Angle(shape[5]))
    got = fk.attention(q, k, v, kernel=kernel, **options)
    assert got.dtype == dtype and got.shape == (*q.shape[:3], v.shape[3])
    assert_close(got, reference.attention(q, k, v, kernel, **options), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("kernel", [*kernels(1), *kernels(3), *kernels(72)], ids=repr)
def test_kernels(kernel, normalization, dtype):
    q, k, v = inputs((1, 2, 1, 7, 40, kernel.n_features, 5), dtype)
    options = {"normalization": normalization, "temperature": 0.3, "causal": True}
    got = fk.attention(q, k, v, kernel=kernel, **options)
    assert_close(got, reference.attention(q, k, v, kernel, **options), dtype)
    assert_close(got, _unfused(q, k, v, kernel=kernel, **options), dtype, factor=10)


@pytest.mark.parametrize("kernel", [fk.Fidelity(feature_map) for feature_map in feature_maps(3)], ids=repr)
def test_many_keys(kernel):
    q, k, v = inputs((1, 1, 1, 3, 989, 3, 9), np.float32)
    assert_close(fk.attention(q, k, v, kernel=kernel), reference.attention(q, k, v, kernel), np.float32)


def masks(shape):
    """Return name -> mask broadcastable to (B, Hq, Lq, Lk)."""
    rng = np.random.default_rng(1)
    full = rng.random(shape) < 0.4
    full[0, 0, 2] = False
    full[:, :, :, 3] = False
    return {
        "full": full,
        "queries x keys": full[0, 0],
        "keys": full[:, :1, :1, :],
        "reversed": np.ascontiguousarray(full[..., ::-1])[..., ::-1],
        "nothing": np.zeros(shape, bool),
        "everything": np.ones((1, 1), bool),
    }


@pytest.mark.parametrize("name", ["full", "queries x keys", "keys", "reversed", "nothing", "everything"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("kv_lens", [None, [300, 0], [3, 299]])
def test_masks_and_lengths(name, causal, normalization, kv_lens):
    q, k, v = inputs((2, 2, 1, 5, 300, 3, 4))
    mask = masks((2, 2, 5, 300))[name]
    options = {"normalization": normalization, "causal": causal, "mask": mask, "kv_lens": kv_lens}
    kernel = fk.Fidelity(fk.Angle(3))
    got = fk.attention(q, k, v, kernel=kernel, **options)
    assert_close(got, reference.attention(q, k, v, kernel, **options), np.float64)
    assert_close(got, _unfused(q, k, v, kernel=kernel, **options), np.float64)
    if name == "nothing":
        assert (got == 0).all()


def test_causal_is_bottom_right():
    """The last query sees every key; with more queries than keys the first see none and give 0."""
    q, k, v = inputs((1, 1, 1, 5, 3, 2, 2))
    got = fk.attention(q, k, v, kernel=Uniform(2), causal=True)
    assert (got[0, 0, :2] == 0).all()
    np.testing.assert_allclose(got[0, 0, 2:], [v[0, 0, :1].mean(0), v[0, 0, :2].mean(0), v[0, 0].mean(0)], atol=1e-15)


def test_softmax_control_is_softmax_attention():
    q, k, v = inputs((2, 4, 2, 9, 33, 16, 8))
    got = fk.attention(q, k, v, kernel=ScaledDot(16), normalization="softmax", temperature=4.0, causal=True)
    scores = np.einsum("bhid,bhjd->bhij", q, np.repeat(k, 2, 1)) / 4
    scores[..., np.arange(33)[None] > np.arange(9)[:, None] + 24] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(got, weights / weights.sum(-1, keepdims=True) @ np.repeat(v, 2, 1), atol=1e-12)


@pytest.mark.parametrize("scale", [1e3, 1e-3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_extreme_scores(scale, dtype):
    q, k, v = inputs((1, 1, 1, 7, 40, 4, 3), dtype)
    options = {"normalization": "softmax", "temperature": scale}
    got = fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(4)), **options)
    assert_close(got, reference.attention(q, k, v, fk.Fidelity(fk.Angle(4)), **options), dtype, factor=4)
    expected = reference.attention(30 * q, 30 * k, v, ScaledDot(4), normalization="softmax")
    assert_close(fk.attention(30 * q, 30 * k, v, kernel=ScaledDot(4), normalization="softmax"), expected, dtype, factor=200)


@pytest.mark.parametrize("temperature", [0.005, 0.019, 0.021, 0.05, 0.2])
@pytest.mark.parametrize(
    "kernel", [fk.Fidelity(fk.Angle(3), power=3), fk.Fidelity(fk.ZZ(3)), fk.HadamardTest(fk.Amplitude(3), power=8)], ids=repr
)
def test_softmax_of_small_temperatures_in_float32(kernel, temperature):
    """A temperature of 0.02 magnifies a score's rounding fifty times."""
    q, k, v = inputs((1, 1, 1, 12, 300, 3, 16), np.float32)
    options = {"normalization": "softmax", "temperature": temperature}
    assert_close(fk.attention(q, k, v, kernel=kernel, **options), reference.attention(q, k, v, kernel, **options), np.float32)


@pytest.mark.parametrize("kernel", [fk.Fidelity(feature_map) for feature_map in feature_maps(3)], ids=repr)
@pytest.mark.parametrize("dtype", DTYPES)
def test_strides_and_out(kernel, dtype):
    """Heads interleaved in one packed array, reversed sequences, broadcast values, and an output with gaps."""
    rng = np.random.default_rng(0)
    packed = rng.uniform(-2, 2, (2, 41, 3, 2, 3)).astype(dtype)
    q, k, v = (packed[:, ::-1, i].transpose(0, 2, 1, 3) for i in range(3))
    expected = fk.attention(*(np.ascontiguousarray(array) for array in (q, k, v)), kernel=kernel, causal=True)
    assert (fk.attention(q, k, v, kernel=kernel, causal=True) == expected).all()
    buffer = np.full((2, 2, 41, 7), np.nan, dtype)
    out = buffer[:, :, ::-1, 1:7:2]
    assert fk.attention(q, k, v, kernel=kernel, causal=True, out=out) is out
    assert (out == expected).all() and np.isnan(buffer).sum() == buffer.size - out.size
    same_key = np.broadcast_to(k[:, :, :1], k.shape)
    got = fk.attention(q, same_key, v, kernel=kernel)
    np.testing.assert_allclose(got, np.broadcast_to(v.mean(2, keepdims=True), v.shape), atol=3 * tolerance("attention", dtype))


def test_empty():
    kernel = fk.Fidelity(fk.Angle(3))
    for shape in [(0, 1, 1, 2, 2, 3, 2), (1, 0, 0, 2, 2, 3, 2), (1, 1, 1, 0, 2, 3, 2), (1, 1, 1, 2, 2, 3, 0)]:
        q, k, v = inputs(shape)
        assert fk.attention(q, k, v, kernel=kernel).shape == (*q.shape[:3], v.shape[3])
    q, k, v = inputs((1, 2, 1, 4, 0, 3, 2))
    got = fk.attention(q, k, v, kernel=kernel, causal=True, mask=np.zeros((4, 0), bool), out=np.full((1, 2, 4, 2), np.nan))
    assert (got == 0).all() and got.shape == (1, 2, 4, 2)


# Small values


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_features", "power"), [(60, 1), (300, 1), (300, 3)])
def test_sum_where_every_value_underflows(n_features, power, dtype):
    kernel = fk.Fidelity(fk.Angle(n_features), power=power)
    q, k, v = inputs((1, 2, 1, 3, 40, n_features, 3), dtype)
    got = fk.attention(q, k, v, kernel=kernel)
    # A log of hundreds is exact to 1e-14 of itself; that is the weight's relative error.
    assert_close(got, reference.attention(q, k, v, kernel), dtype, factor=1)
    with diagnostics.record() as counts:
        fk.attention(q, k, v, kernel=kernel)
    assert counts.zero_rows == 0


@pytest.mark.parametrize("similarity", [fk.Fidelity, fk.HadamardTest])
@pytest.mark.parametrize("power", [1, 4])
@pytest.mark.parametrize("size", [0.3, 0.05, 5e-3, 1e-3, 1e-4, 1e-6])
def test_sum_of_small_float32_values(similarity, power, size):
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
        # -q plus a little: 1 + cosine is of the order of size.
        k = -q[:, :, :1] + np.sqrt(2 * size) * k
    v = rng.normal(size=(1, 1, n_keys, 6))
    # Turned into general position, so that every product is rounded.
    turn = np.linalg.qr(rng.normal(size=(width, width)))[0]
    q, k, v = (array.astype(np.float32) for array in (q @ turn, k @ turn, v))
    kernel = similarity(fk.Amplitude(width), power=power)
    expected = reference.attention(q, k, v, kernel)
    np.testing.assert_allclose(fk.attention(q, k, v, kernel=kernel), expected, atol=5e-6 * np.abs(expected).max(), rtol=0)


def test_all_kernel_values_zero_becomes_uniform_and_is_counted():
    q = np.array([[[[1.0, 0.0], [1.0, 1.0]]]])
    k = np.array([[[[0.0, 1.0], [0.0, -2.0], [0.0, 0.5]]]])
    v = np.array([[[[1.0], [2.0], [6.0]]]])
    with diagnostics.record() as counts:
        got = fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(2)), mask=[[[[True, True, False], [True, True, True]]]])
    np.testing.assert_allclose(got[0, 0, :, 0], [1.5, 3.0], atol=1e-12)
    assert (counts.calls, counts.zero_rows, counts.sampled_scores) == (1, 1, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_samples_zero_becomes_uniform_and_is_counted(dtype):
    """One shot at a probability of 1e-14."""
    q, k, v = (np.full((1, 2, 40, 1), value, dtype) for value in (0, np.pi - 2e-7, 0))
    v = v + np.arange(40, dtype=dtype)[:, None]
    with diagnostics.record() as counts:
        got = fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(1)), shots=1, seed=0, causal=True)
    np.testing.assert_allclose(got[0, 1, :, 0], np.arange(40) / 2, rtol=1e-5)
    assert (counts.zero_rows, counts.sampled_scores, counts.shots) == (80, 2 * 820, 2 * 820)


# Hidden positions


@pytest.mark.parametrize("poison", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("feature_map", [fk.Amplitude(3), fk.Angle(3), fk.IQP(3)], ids=repr)
@pytest.mark.parametrize("how", ["kv_lens", "mask", "causal"])
def test_hidden_positions_do_not_matter(how, feature_map, normalization, poison):
    q, k, v = inputs((2, 4, 2, 6, 70, 3, 4))
    options = {"normalization": normalization, "kernel": fk.Fidelity(feature_map)}
    if how == "kv_lens":
        options |= {"kv_lens": [66, 3], "causal": True}
        # Entry 1 has 3 keys for 6 queries: the first three see none.
        hidden = [(k, (0, slice(None), slice(66, None))), (v, (1, slice(None), slice(3, None))), (q, (1, slice(None), slice(0, 3)))]
    elif how == "mask":
        mask = np.random.default_rng(0).random((2, 4, 6, 70)) < 0.5
        mask[:, 0:2, :, 5] = False
        mask[0, 3, 2] = False
        options["mask"] = mask
        hidden = [(k, (slice(None), 0, 5)), (v, (slice(None), 0, 5)), (q, (0, 3, 2))]
    else:
        k, v = k[:, :, :4].copy(), v[:, :, :4].copy()
        options["causal"] = True
        hidden = [(q, (slice(None), slice(None), slice(0, 2)))]
    expected = fk.attention(q, k, v, **options)
    for array, where in hidden:
        array[where] = poison
    before = [array.copy() for array in (q, k, v)]
    got = fk.attention(q, k, v, **options)
    assert (got == expected).all()
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip((q, k, v), before, strict=True))


@pytest.mark.parametrize("name", ["q", "k", "v"])
@pytest.mark.parametrize("masked", [False, True])
def test_visible_nan_is_refused(name, masked):
    q, k, v = inputs((2, 2, 1, 6, 70, 3, 4))
    mask = np.ones((6, 70), bool) if masked else None
    if masked:
        mask[:5] = False
    {"q": q, "k": k, "v": v}[name][1, 0, 5, 1] = np.nan
    with pytest.raises(fk.InputError, match=rf"\[attention\] {name} must be finite, got NaN or infinity in row \(1, 0, 5\)"):
        fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(3)), mask=mask)


def test_visible_zero_row_of_amplitude_is_refused():
    q, k, v = inputs((1, 2, 1, 6, 7, 3, 4))
    k[0, 0, 4] = 0
    with pytest.raises(fk.InputError, match=r"\[attention\] k must have no all-zero row for Amplitude\(3\).*\(0, 0, 4\)"):
        fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(3)))
    v[:] = 0
    assert (fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(3, bias=1.0))) == 0).all()


# Sampling


@pytest.mark.parametrize(("p", "shots"), [(0.3, 1), (0.02, 7), (0.5, 100), (0.999, 10_000)])
def test_samples_are_binomial(p, shots):
    """Key 0 equals the query, so its estimate is 1 and the identity as values shows every other estimate."""
    n_keys = 257
    q = np.zeros((2, 3, 60, 1))
    k = np.full((2, 1, n_keys, 1), 2 * np.arccos(np.sqrt(p)))
    k[:, :, 0] = 0
    v = np.broadcast_to(np.eye(n_keys), (2, 1, n_keys, n_keys))
    weights = fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(1)), shots=shots, seed=9)
    estimates = weights[..., 1:] / weights[..., :1]
    counts = np.rint(estimates * shots)
    np.testing.assert_allclose(estimates, counts / shots, atol=1e-9)
    assert binomial_p_value(counts.ravel(), shots, p) > 1e-4
    assert binomial_p_value(counts.sum(axis=-1).ravel(), (n_keys - 1) * shots, p) > 1e-4
    assert (counts[0] != counts[1]).any() and (counts[:, 0] != counts[:, 1]).any() and (counts[:, 1] != counts[:, 2]).any()


@pytest.mark.usefixtures("restore_threads")
@pytest.mark.parametrize("shots", [None, 50])
def test_results_do_not_depend_on_threads(shots):
    q, k, v = inputs((2, 4, 2, 70, 300, 3, 8), np.float32)
    results = []
    for n_threads in (1, 2, 3):
        fk.set_num_threads(n_threads)
        results.append(fk.attention(q, k, v, kernel=fk.Fidelity(fk.IQP(3)), causal=True, shots=shots, seed=4))
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


@pytest.mark.parametrize("shots", [None, 1, 50])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.HadamardTest(fk.ZZ(3), power=2)], ids=repr)
def test_decoding_repeats_prefill(kernel, normalization, shots):
    """One query at a time against a cache whose rest is not even initialised."""
    q, k, v = inputs((1, 4, 2, 40, 40, 3, 8))
    options = {"kernel": kernel, "normalization": normalization, "causal": True, "shots": shots, "seed": 11}
    whole = fk.attention(q, k, v, **options)
    cache_k, cache_v = np.full((1, 2, 64, 3), np.nan), np.full((1, 2, 64, 8), np.nan)
    for position in range(40):
        cache_k[:, :, position], cache_v[:, :, position] = k[:, :, position], v[:, :, position]
        step = fk.attention(q[:, :, position : position + 1], cache_k, cache_v, kv_lens=[position + 1], **options)
        np.testing.assert_allclose(step, whole[:, :, position : position + 1], atol=1e-12)
    chunk = fk.attention(q[:, :, 10:29], k[:, :, :29], v[:, :, :29], **options)
    np.testing.assert_allclose(chunk, whole[:, :, 10:29], atol=1e-12)


def test_power_acts_on_the_estimate():
    q, k, v = np.zeros((1, 1, 5, 1)), np.full((1, 1, 9, 1), 1.5), np.broadcast_to(np.eye(9), (1, 1, 9, 9))
    k[0, 0, 0] = 0
    plain, cubed = (fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(1), power=power), shots=50, seed=1) for power in (1, 3))
    np.testing.assert_allclose(cubed / cubed[..., :1], (plain / plain[..., :1]) ** 3, atol=1e-12)


# Memory


@pytest.mark.measured
def test_never_allocates_queries_times_keys():
    """At L = 32,768 one float32 score matrix would take 4.3 GB; the peak must stay within 30 MB of the inputs."""
    setup = "q, k, v = np.random.default_rng(0).normal(size=(3, 1, 1, 32768, 4)).astype(np.float32)"
    (used,) = peak_bytes(setup, "fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(4)), causal=True)")
    assert used < 30e6


@pytest.mark.measured
def test_bad_row_in_a_long_sequence_does_not_allocate_either():
    setup = """
q = np.ones((1, 1, 32768, 4), np.float32)
k = q.copy(); k[0, 0, 7] = np.nan
mask = np.ones(32768, bool); mask[7] = False
"""
    (used,) = peak_bytes(setup, "fk.attention(q[:, :, :2000], k, q, kernel=fk.Fidelity(fk.Angle(4)), mask=mask)")
    assert used < 80e6
