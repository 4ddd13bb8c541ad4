# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Every family of kernels once, on small shapes that fill no tile: what compute-sanitizer runs, which slows kernels down a hundredfold.

NumPy's arrays wherever they will do, as other libraries run kernels of their own. The other files hold the device to its whole contract.
"""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, any_circuit, rows, tolerance
from flashket import reference
from flashket.backends.cuda import CUDA
from flashket.controls import ScaledDot, Uniform
from test_attention import assert_close, inputs
from test_attention_backward import assert_close_to_exact, backward, half_gradients, half_inputs
from test_attention_backward import inputs as with_gradient

HOST = (0, 0, None, True)
LINE = fk.ZZ(20, reps=2, entanglement="linear")


@pytest.mark.parametrize("arithmetic", ["simt", "split", "half"])
@pytest.mark.parametrize(
    "kernel",
    [fk.Fidelity(fk.Angle(7)), fk.HadamardTest(fk.Amplitude(33), power=2), fk.Fidelity(fk.IQP(4)), fk.Fidelity(fk.IQP(5))],
    ids=repr,
)
@pytest.mark.parametrize("m", [None, 65])
def test_gram_engines(device, kernel, arithmetic, m):
    x, y = rows(70, kernel.n_features, np.float32), None if m is None else rows(m, kernel.n_features, np.float32, 1)
    out = np.full((70, m or 70), np.nan, np.float32)
    CUDA._run("gram", "gram", kernel._lower(), x, y, out, False, 0, 0, arithmetic, HOST)
    np.testing.assert_allclose(out, reference.gram(x, y, kernel), atol=2e-3 if arithmetic == "half" else 2e-6, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "kernel",
    [
        fk.Fidelity(fk.Angle(5)),
        fk.Projected(fk.Angle(5)),
        fk.Projected(fk.Amplitude(6)),
        fk.Projected(fk.ZZ(4)),
        fk.Fidelity(any_circuit(3)),
        fk.Fidelity(fk.ZZ(6, reps=1, entanglement="linear")),
        ScaledDot(5),
        Uniform(5),
    ],
    ids=repr,
)
def test_gram(device, kernel, dtype):
    x, y = rows(9, kernel.n_features, dtype), rows(35, kernel.n_features, dtype, 1)
    expected = reference.gram(x, y, kernel)
    bound = tolerance("value", dtype) * max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel, backend="cuda"), expected, atol=bound, rtol=0)
    vectors = rows(35, 3, dtype, 2)
    got = fk.gram_matvec(x, vectors, y, kernel=kernel, backend="cuda")
    np.testing.assert_allclose(got, expected @ vectors, atol=100 * bound, rtol=0)


@pytest.mark.parametrize("options", [{"log": True}, {"shots": 100, "seed": 1}], ids=str)
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(5)), fk.Fidelity(LINE)], ids=["pairs", "matrix product states"])
def test_logarithms_and_samples(device, kernel, options):
    x, y = rows(9, kernel.n_features, np.float64), rows(35, kernel.n_features, np.float64, 1)
    got, expected = (fk.gram(x, y, kernel=kernel, backend=backend, **options) for backend in ("cuda", "cpu"))
    assert np.count_nonzero(np.abs(got - expected) > 1e-10) <= 1, "a sample may turn on the last digit"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feature_map", [fk.ZZ(3), any_circuit(3), fk.IQP(11), fk.HardwareEfficient(14, layers=1)], ids=repr)
def test_states(device, feature_map, dtype):
    """Many in a block, one in a block, one in global memory."""
    x = rows(3, feature_map.n_features, dtype)
    got = fk.states(x, feature_map=feature_map, backend="cuda")
    np.testing.assert_allclose(got, reference.states(x, feature_map), atol=tolerance("value", dtype), rtol=0)


ATTENTION = [
    # (B, Hq, Hkv, Lq, Lk, D, Dv): grouped heads and odd sizes; few queries of many keys; several tiles of both
    (2, 4, 2, 7, 111, 4, 5),
    (1, 2, 2, 1, 300, 4, 64),
    (1, 1, 1, 70, 140, 4, 64),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("shape", ATTENTION, ids=str)
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(4)), fk.Fidelity(fk.ZZ(4)), fk.Projected(fk.Angle(4))], ids=repr)
def test_attention(device, kernel, shape, normalization, dtype):
    q, k, v = inputs(shape, dtype)
    mask = np.random.default_rng(1).random((1, 1, shape[3], shape[4])) < 0.8
    options = {"normalization": normalization, "causal": True, "mask": mask, "kv_lens": [shape[4] - 1] * shape[0]}
    got = fk.attention(q, k, v, kernel=kernel, backend="cuda", **options)
    assert_close(got, reference.attention(q, k, v, kernel, **options), dtype)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("shape", ATTENTION, ids=str)
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Amplitude(64)), fk.HadamardTest(fk.Angle(16, bandwidth=0.3))], ids=repr)
def test_attention_on_matrix_units(device, kernel, shape, normalization, causal):
    q, k, v = inputs((*shape[:5], kernel.n_features, shape[6]))
    out = np.full((*q.shape[:3], v.shape[3]), np.nan, np.float32)
    options = (normalization, 0.3, causal, 0, 0, "half")
    CUDA._run("attention", "attention", kernel._lower(), q, k, v, out, None, None, options, True, HOST)
    expected = reference.attention(q, k, v, kernel, normalization=normalization, temperature=0.3, causal=causal)
    np.testing.assert_allclose(out, expected, atol=1e-2 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Amplitude(70)), fk.HadamardTest(fk.Amplitude(150)), fk.Fidelity(fk.Angle(9))], ids=repr)
def test_float_attention_on_matrix_units(device, kernel):
    q, k, v = inputs((1, 2, 1, 40, 140, kernel.n_features, 5))
    assert_close(
        fk.attention(q, k, v, kernel=kernel, causal=True, backend="cuda"), reference.attention(q, k, v, kernel, causal=True), np.float32
    )


def test_attention_whose_weights_underflow(device):
    q, k, v = inputs((1, 1, 1, 40, 70, 200, 8))
    kernel = fk.Fidelity(fk.Angle(200), power=2)
    assert_close(fk.attention(q, k, v, kernel=kernel, backend="cuda"), reference.attention(q, k, v, kernel), np.float32)


def test_sampled_attention(device):
    q, k, v = inputs((1, 2, 1, 9, 40, 3, 5), np.float64)
    options = {"kernel": fk.Fidelity(fk.Angle(3)), "shots": 100, "seed": 3}
    got, expected = (fk.attention(q, k, v, backend=backend, **options) for backend in ("cuda", "cpu"))
    np.testing.assert_allclose(got, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.Amplitude(6)), fk.Fidelity(fk.ZZ(3))], ids=repr)
def test_linear_form(device, kernel, causal):
    q, k, v = inputs((1, 2, 1, 70, 130, kernel.n_features, 5), np.float64)
    out = np.full((*q.shape[:3], v.shape[3]), np.nan)
    CUDA._run("attention", "attention", kernel._lower(), q, k, v, out, None, None, ("sum", 1.0, causal, 0, 0, "auto", "linear"), True, HOST)
    assert_close(out, reference.attention(q, k, v, kernel, causal=causal), np.float64)


def test_attention_state(device):
    q, k, v = inputs((1, 2, 1, 9, 90, 3, 4))
    kernel = fk.Fidelity(fk.Angle(3))
    state = fk.AttentionState(kernel, batch=1, heads=1, v_dim=4, backend="cuda")
    for start, end in ((0, 40), (40, 90)):
        state.update(*(device.array("torch", x[:, :, start:end]) for x in (k, v)))
    assert_close(state.read(device.array("torch", q)), reference.attention(q, k, v, kernel), np.float32)


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.Amplitude(4)), fk.Fidelity(fk.ZZ(3))], ids=repr)
def test_gradients(device, kernel):
    q, k, v, d_out = with_gradient(kernel)
    gradients = backward(kernel, q, k, v, d_out)
    for which, gradient in enumerate(gradients):
        index, sides = gradient.size // 2, []
        for sign in (1, -1):
            moved = [q.copy(), k.copy(), v.copy()]
            moved[which].reshape(-1)[index] += sign * 1e-6
            sides.append((d_out * reference.attention(*moved, kernel)).sum())
        assert abs(gradient.reshape(-1)[index] - (sides[0] - sides[1]) / 2e-6) <= 1e-6


@pytest.mark.parametrize("features", [6, 70])
def test_gradients_on_the_matrix_units(device, features):
    kernel = fk.Fidelity(fk.Amplitude(features))
    tensors, arrays = half_inputs(device, kernel, (1, 2, 1, 70, 140, 5), "bfloat16")
    exact = backward(kernel, *arrays, causal=True)
    assert_close_to_exact(half_gradients(device, kernel, tensors, causal=True), exact)
