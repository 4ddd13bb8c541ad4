# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The linear form of sum-normalised attention against the unfused oracle, the quadratic form and itself."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, peak_bytes, tolerance
from flashket import _core, planner, reference
from flashket.controls import ScaledDot

# Every way features are made: tensors with and without a second table, powers, pairs, vectors, complex states.
KERNELS = [
    fk.Fidelity(fk.Angle(1)),
    fk.Fidelity(fk.Angle(4, bandwidth=0.7)),
    fk.Fidelity(fk.Angle(6)),
    fk.Fidelity(fk.Angle(3), power=2),
    fk.Fidelity(fk.Angle(1), power=70),
    fk.Fidelity(fk.Amplitude(1, bias=2.0)),
    fk.Fidelity(fk.Amplitude(20)),
    fk.Fidelity(fk.Amplitude(6, bias=0.5)),
    fk.HadamardTest(fk.Amplitude(200)),
    fk.HadamardTest(fk.Amplitude(7), power=2),
    fk.HadamardTest(fk.Angle(3)),
    fk.HadamardTest(fk.Angle(3), power=2),
    fk.Fidelity(fk.ZZ(3)),
    fk.Fidelity(fk.IQP(4)),
    fk.HadamardTest(fk.ZZ(2)),
    fk.HadamardTest(fk.IQP(3), power=2),
]


def arrays(kernel, shape, dtype, seed=0):
    """Return q, k, v for (B, Hq, Hkv, Lq, Lk, Dv)."""
    n_batch, n_heads, n_kv, n_queries, n_keys, v_dim = shape
    rng = np.random.default_rng((seed, *shape))
    q = rng.uniform(-2, 2, (n_batch, n_heads, n_queries, kernel.n_features)).astype(dtype)
    k = rng.uniform(-2, 2, (n_batch, n_kv, n_keys, kernel.n_features)).astype(dtype)
    return q, k, rng.normal(size=(n_batch, n_kv, n_keys, v_dim)).astype(dtype)


def run(kernel, q, k, v, form="linear", causal=False, kv_lens=None):
    """Return attention in one form, whatever the planner would take."""
    out = np.full((*q.shape[:3], v.shape[3]), np.nan, q.dtype)
    lengths = None if kv_lens is None else list(kv_lens)
    _core.attention(kernel._lower(), q, k, v, out, "sum", 1.0, causal, None, lengths, 0, 0, form)
    return out


def assert_close(got, expected, dtype):
    assert np.isfinite(got).all()
    assert np.abs(got - expected).max() <= tolerance("attention", dtype) * np.abs(expected).max()


def exact(kernel, q, k, v, causal=False):
    """The quadratic form in float64, itself held against the oracle in test_attention.py."""
    return run(kernel, *(x.astype(np.float64) for x in (q, k, v)), form="quadratic", causal=causal)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_oracle(kernel, dtype, causal):
    """With grouped heads and several chunks."""
    q, k, v = arrays(kernel, (1, 2, 1, 150, 200, 5), dtype)
    assert_close(run(kernel, q, k, v, causal=causal), reference.attention(q, k, v, kernel, causal=causal), dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_keys", [1, 7, 63, 64, 65, 111, 989])
@pytest.mark.parametrize("n_queries", [1, 64, 111, 513])
def test_awkward_lengths(n_queries, n_keys, dtype):
    kernel = KERNELS[1]
    for v_dim in (1, 16, 70):
        q, k, v = arrays(kernel, (2, 4, 2, n_queries, n_keys, v_dim), dtype)
        for causal in (False, True):
            assert_close(run(kernel, q, k, v, causal=causal), exact(kernel, q, k, v, causal), dtype)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", [KERNELS[1], KERNELS[6]], ids=repr)
def test_lengths_per_batch_entry(kernel, causal):
    """What lies beyond kv_lens is never read; an entry without keys gives zeros."""
    lengths = [0, 1, 70, 300]
    q, k, v = arrays(kernel, (4, 2, 2, 130, 300, 9), np.float32)
    for batch, length in enumerate(lengths):
        k[batch, :, length:], v[batch, :, length:] = np.nan, np.inf
    got = run(kernel, q, k, v, causal=causal, kv_lens=lengths)
    assert not got[0].any()
    if causal:
        assert not got[1, :, :-1].any() and not got[2, :, :60].any()
    for batch, length in enumerate(lengths[1:], 1):
        cut = k[batch : batch + 1, :, :length], v[batch : batch + 1, :, :length]
        assert_close(got[batch], exact(kernel, q[batch : batch + 1], *cut, causal)[0], np.float32)


@pytest.mark.parametrize("causal", [False, True])
def test_strides(causal):
    kernel = KERNELS[1]
    q, k, v = arrays(kernel, (2, 4, 2, 200, 200, 12), np.float32)
    strided = [np.asfortranarray(q), k[:, :, ::-1][:, :, ::-1], np.repeat(v, 2, axis=3)[..., ::2]]
    out = np.zeros((2, 4, 200, 24), np.float32)[..., ::2]
    _core.attention(kernel._lower(), *strided, out, "sum", 1.0, causal, None, None, 0, 0, "linear")
    np.testing.assert_array_equal(out, run(kernel, q, k, v, causal=causal))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1, 9000, 9000, 3), (1, 2, 1, 300, 9000, 3), (3, 2, 2, 500, 4200, 3)])
def test_threads(shape, causal, restore_threads):
    """Few heads are divided by keys, many are not: the bits are the same."""
    kernel = fk.Fidelity(fk.Angle(2))
    q, k, v = arrays(kernel, shape, np.float32)
    results = []
    for n in (1, 2, 3, 8):
        fk.set_num_threads(n)
        results.append(run(kernel, q, k, v, causal=causal))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    assert_close(results[0], run(kernel, *(x.astype(np.float64) for x in (q, k, v)), causal=causal), np.float32)


def concentrated(name, kernel, rng):
    """Return (q, k): data for which sums of features cancel."""
    shape = (1, 1, 700, kernel.n_features)
    centre = rng.uniform(-2, 2, (1, 1, 1, kernel.n_features))
    if name == "equal keys":
        return rng.uniform(-2, 2, shape), np.broadcast_to(centre, shape).copy()
    if name == "nearly equal":
        return rng.uniform(-2, 2, shape), centre + 1e-4 * rng.normal(size=shape)
    if name == "clusters":
        centres = rng.uniform(-3, 3, (5, kernel.n_features))
        return (centres[rng.integers(0, 5, shape[:3])] + scale * rng.normal(size=shape) for scale in (1e-2, 1e-3))
    # Queries orthogonal to all keys, up to a little: angles half a turn away, vectors along another axis.
    q, k = 0.01 * rng.normal(size=(2, *shape))
    if isinstance(kernel.feature_map, fk.Angle):
        return q + np.pi, k
    q[..., 0] += 1
    k[..., -1] += 1
    return q, k


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("kernel", [KERNELS[1], KERNELS[3], KERNELS[12]], ids=repr)
def test_few_uncertain_rows(kernel, spread):
    """Among ordinary queries: read again in double and, where that is not enough, computed in the quadratic form."""
    rng = np.random.default_rng(7)
    n = kernel.n_features
    k = (0.3 + spread * rng.normal(size=(1, 2, 1024, n))).astype(np.float32)
    q = (0.3 + rng.normal(size=(1, 2, 1024, n)) * 0.3).astype(np.float32)
    q[:, :, ::16] += (rng.uniform(1.5, 3, (1, 2, 64, 1)) * rng.choice([-1, 1], (1, 2, 64, n))).astype(np.float32)
    for v in (rng.normal(size=(1, 2, 1024, 16)), rng.uniform(0, 1, (1, 2, 1024, 16))):
        data = q, k, v.astype(np.float32)
        assert_close(run(kernel, *data), exact(kernel, *data), np.float32)


@pytest.mark.parametrize("values", ["random", "offset", "one column"])
@pytest.mark.parametrize("name", ["equal keys", "nearly equal", "clusters", "orthogonal"])
@pytest.mark.parametrize("kernel", [KERNELS[1], KERNELS[6], KERNELS[9], KERNELS[12]], ids=repr)
def test_concentrated(kernel, name, values):
    """Rows whose sums cancel are found and computed again."""
    rng = np.random.default_rng(1)
    q, k = concentrated(name, kernel, rng)
    v = rng.normal(size=(1, 1, 700, 1 if values == "one column" else 16)) * (0.01 if values == "offset" else 1) + (values == "offset")
    for dtype in DTYPES:
        data = [x.astype(dtype) for x in (q, k, v)]
        for causal in (False, True):
            assert_close(run(kernel, *data, causal=causal), exact(kernel, *data, causal), dtype)


@pytest.mark.parametrize("scale", [2.0**-90, 2.0**90])
@pytest.mark.parametrize("name", ["nearly equal", "clusters"])
def test_scale_of_values(name, scale):
    """The bound neither vanishes nor overflows where squares of values do."""
    kernel, rng = KERNELS[1], np.random.default_rng(3)
    q, k = (x.astype(np.float32) for x in concentrated(name, kernel, rng))
    v = (rng.normal(size=(1, 1, 700, 4)) * scale).astype(np.float32)
    for causal in (False, True):
        assert_close(run(kernel, q, k, v, causal=causal), exact(kernel, q, k, v, causal), np.float32)


def test_first_rows_are_exact():
    """The first query sees one key whatever its kernel value is, the second two."""
    kernel = KERNELS[1]
    q, k, v = arrays(kernel, (1, 2, 2, 400, 400, 8), np.float32)
    q[:, :, :40] = k[:, :, :40] + np.float32(3.14)  # K of the own key about 1e-24
    got = run(kernel, q, k, v, causal=True)
    np.testing.assert_allclose(got[:, :, 0], v[:, :, 0], rtol=2e-7)
    expected = exact(kernel, q, k, v, True)
    assert np.abs(got - expected)[:, :, :64].max() <= 5e-6 * np.abs(expected[:, :, :64]).max()


@pytest.mark.parametrize("values", ["random", "equal"])
def test_million_keys(values):
    """Sums neither drift nor saturate; equal keys and values round in one direction."""
    n, rng = 10**6, np.random.default_rng(2)
    kernel = fk.Fidelity(fk.Angle(2))
    k = rng.uniform(-1, 1, (1, 1, n, 2)) if values == "random" else np.full((1, 1, n, 2), 0.7)
    v = rng.normal(size=(1, 1, n, 1)) + 0.1 if values == "random" else np.full((1, 1, n, 1), 1 / 3)
    q, k, v = (x.astype(np.float32) for x in (rng.uniform(-1, 1, (1, 1, 500, 2)), k, v))
    for causal in (False, True):
        expected = exact(kernel, q[:, :, -2:], k, v, causal)
        assert_close(run(kernel, q, k, v, causal=causal)[:, :, -2:], expected, np.float32)
        assert_close(run(kernel, *(x.astype(np.float64) for x in (q, k, v)), causal=causal)[:, :, -2:], expected, np.float64)


def test_planner_takes_it_where_it_pays():
    kernel = fk.Fidelity(fk.Angle(4))
    q, k, v = arrays(kernel, (1, 2, 2, 2048, 2048, 16), np.float32)
    np.testing.assert_array_equal(fk.attention(q, k, v, kernel=kernel), run(kernel, q, k, v))
    np.testing.assert_array_equal(fk.attention(q, k, v, kernel=kernel, causal=True), run(kernel, q, k, v, causal=True))
    short = [x[:, :, :100] for x in (q, k, v)]
    np.testing.assert_array_equal(fk.attention(*short, kernel=kernel), run(kernel, *short, form="quadratic"))
    step = q[:, :, -1:]
    np.testing.assert_array_equal(fk.attention(step, k, v, kernel=kernel, causal=True), run(kernel, step, k, v, "quadratic", True))
    mask = np.ones((2048, 2048), np.bool_)
    assert_close(fk.attention(q, k, v, kernel=kernel, mask=mask), run(kernel, q, k, v, "quadratic"), np.float32)


def test_explain():
    plan = fk.explain(fk.Fidelity(fk.Angle(4)), n=4096, op="attention")
    assert plan.path.startswith("linear form, 81 features")
    assert plan.flops < fk.explain(fk.Fidelity(fk.Angle(4)), n=4096).flops
    assert fk.explain(fk.Fidelity(fk.Angle(4)), n=64, op="attention").path.startswith("quadratic")
    for kernel, reason in (
        (fk.Fidelity(fk.Amplitude(8), power=2), "power 2"),
        (fk.Fidelity(fk.Angle(30)), "3^30 is more than 16384"),
        (fk.Fidelity(fk.ZZ(60)), "2^60 amplitudes"),
        (fk.Fidelity(fk.Amplitude(1000)), "1000 x 1001 / 2"),
        (ScaledDot(4), "values may be negative"),
    ):
        plan = fk.explain(kernel, n=4096, op="attention")
        assert plan.path.startswith("quadratic") and reason in plan.why


def test_feature_counts():
    """The dimensions of the design."""
    for kernel, count in (
        (fk.Fidelity(fk.Angle(4)), 81),
        (fk.Fidelity(fk.Angle(3), power=2), 125),
        (fk.Fidelity(fk.Amplitude(64)), 2080),
        (fk.Fidelity(fk.Amplitude(64, bias=1.0)), 65 * 66 // 2),
        (fk.Fidelity(fk.ZZ(4)), 256),
        (fk.HadamardTest(fk.Amplitude(64)), 65),
        (fk.HadamardTest(fk.Amplitude(64), power=2), 65 * 66 // 2),
        (fk.HadamardTest(fk.ZZ(3)), 17),
    ):
        assert planner.linear_form(kernel)[0] == count


@pytest.mark.measured
def test_memory_is_linear():
    """Beside the caller's arrays 8 bytes a query, nothing of size L^2 and no packed keys."""
    n = 2**18
    setup = f"q, k, v = np.random.default_rng(0).uniform(-1, 1, (3, 1, 1, {n}, 4)).astype(np.float32); out = np.zeros_like(v)"
    call = "fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(4)), causal=True, out=out)"
    (used,) = peak_bytes(setup, call, FLASHKET_NUM_THREADS="2")
    assert used <= 24 * n + 8 * 2**20
