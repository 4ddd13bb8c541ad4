# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``noise=`` of gram, gram_matvec, attention and explain: what it means, how it meets shots, and what it refuses."""

from __future__ import annotations

import json
import math
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from contract import binomial_p_value, run_python
from flashket import diagnostics
from flashket.backends.cpu import core
from flashket.controls import ScaledDot
from flashket.noise import exact
from flashket.qpu import profile
from flashket.runtime import available_isas

RNG = np.random.default_rng(4)
X3, Y3 = RNG.uniform(-2, 2, (7, 3)), RNG.uniform(-2, 2, (5, 3))
ZZ3 = fk.Fidelity(fk.ZZ(3))
EXACT, EFFECTIVE = (fk.NoiseModel.from_profile("ibm_torino", method) for method in ("exact", "effective"))


def affine(kernel):
    found = EFFECTIVE.effective(kernel)
    return found.scale, found.offset


def noisy_values(kernel, x, y):
    """The definition of the effective model, on exact values."""
    scale, offset = affine(kernel)
    plain = type(kernel)(kernel.feature_map)
    return np.clip(scale * plain(np.asarray(x, float), np.asarray(y, float)) + offset, 0, 1) ** kernel.power


def noisy_attention(q, k, v, *, kernel, normalization="sum", temperature=1.0, visible=None):
    """The definition of attention on noisy values, one head after the other."""
    out = np.zeros((*q.shape[:3], v.shape[3]))
    for b, h in np.ndindex(q.shape[:2]):
        scores = noisy_values(kernel, q[b, h], k[b, h * k.shape[1] // q.shape[1]])
        weights = scores if normalization == "sum" else np.exp(scores / temperature)
        weights = weights * (1.0 if visible is None else visible[b, h])
        total = weights.sum(axis=1, keepdims=True)
        out[b, h] = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0) @ v[b, h * k.shape[1] // q.shape[1]]
    return out


@pytest.mark.parametrize("power", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exact_gram(dtype, power):
    kernel = fk.Fidelity(fk.ZZ(3), power=power)
    want = exact.gram(EXACT.circuit(kernel), X3.astype(dtype), Y3.astype(dtype)) ** power
    for noise in ("ibm_torino", EXACT):
        got = fk.gram(X3.astype(dtype), Y3.astype(dtype), kernel=kernel, noise=noise)
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, atol=1e-12 if dtype == np.float64 else 2e-6)
    out = np.empty((7, 5), dtype)
    assert fk.gram(X3.astype(dtype), Y3.astype(dtype), kernel=kernel, noise=EXACT, out=out) is out
    np.testing.assert_array_equal(out, got)


@pytest.mark.parametrize("noise", [EXACT, EFFECTIVE], ids=["exact", "effective"])
@pytest.mark.parametrize("shots", [None, 200])
def test_without_y_every_pair_is_one_circuit(noise, shots):
    K = fk.gram(X3, kernel=ZZ3, noise=noise, shots=shots, seed=1)
    np.testing.assert_array_equal(K, K.T)
    assert (K.diagonal() < 1).all() and (K.diagonal() > 0.3).all()
    if shots is None:
        upper = np.triu(fk.gram(X3, X3, kernel=ZZ3, noise=noise))
        np.testing.assert_allclose(np.triu(K), upper, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "kernel",
    [
        fk.Fidelity(fk.Angle(3)),
        ZZ3,
        fk.Fidelity(fk.IQP(3, entanglement="linear"), power=2),
        fk.HadamardTest(fk.Amplitude(3), power=4),
        fk.Fidelity(fk.Amplitude(3)),
        fk.HadamardTest(fk.ZZ(3, reps=1)),
    ],
    ids=repr,
)
def test_effective_gram(kernel, dtype):
    x, y = X3.astype(dtype), Y3.astype(dtype)
    tolerance = 1e-12 if dtype == np.float64 else 2e-6
    np.testing.assert_allclose(fk.gram(x, y, kernel=kernel, noise=EFFECTIVE), noisy_values(kernel, x, y), atol=tolerance)
    np.testing.assert_allclose(fk.gram(x, kernel=kernel, noise=EFFECTIVE), noisy_values(kernel, x, x), atol=tolerance)


def test_effective_gram_of_matrix_product_states():
    kernel = fk.Fidelity(fk.ZZ(30, reps=2, entanglement="linear"))
    x = RNG.uniform(-1, 1, (4, 30))
    np.testing.assert_allclose(fk.gram(x, kernel=kernel, noise=EFFECTIVE), noisy_values(kernel, x, x), atol=1e-12)


def test_effective_gram_is_close_to_the_exact_simulation():
    found = EFFECTIVE.effective(ZZ3)
    errors = fk.gram(X3, Y3, kernel=ZZ3, noise=EFFECTIVE) - fk.gram(X3, Y3, kernel=ZZ3, noise=EXACT)
    assert np.abs(errors).max() < 2 * found.error_max


@pytest.mark.parametrize("noise", [EXACT, EFFECTIVE], ids=["exact", "effective"])
@pytest.mark.parametrize("shots", [1, 50, 100_000])
def test_shots_are_binomials_of_the_noisy_value(noise, shots):
    x, y = np.repeat(X3[:1], 100, axis=0), np.repeat(Y3[:1], 150, axis=0)
    p = fk.gram(x[:1], y[:1], kernel=ZZ3, noise=noise)[0, 0]
    counts = np.rint(fk.gram(x, y, kernel=ZZ3, noise=noise, shots=shots, seed=3) * shots)
    assert binomial_p_value(counts.ravel(), shots, p) > 1e-4
    assert binomial_p_value(counts.sum(axis=1), 150 * shots, p) > 1e-4


@pytest.mark.parametrize("y", [None, Y3], ids=["symmetric", "rectangular"])
def test_streams_are_those_of_a_gram_matrix_without_noise(y):
    """The same seed draws the same uniforms: what the sampler makes of given probabilities is what gram makes of its own."""
    power, values = 2, fk.gram(X3, y, kernel=ZZ3)
    core().read_probabilities(values, y is None, power, 500, 9)
    np.testing.assert_array_equal(values, fk.gram(X3, y, kernel=fk.Fidelity(fk.ZZ(3), power=power), shots=500, seed=9))
    noisy = np.ascontiguousarray(fk.gram(X3, y, kernel=ZZ3, noise=EFFECTIVE))
    core().read_probabilities(noisy, y is None, 1, 500, 9)
    np.testing.assert_array_equal(noisy, fk.gram(X3, y, kernel=ZZ3, noise=EFFECTIVE, shots=500, seed=9))


def test_threads_and_repeats_draw_the_same():
    x = RNG.uniform(-2, 2, (300, 3))
    before = fk.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            fk.set_num_threads(threads)
            results += [fk.gram(x, kernel=ZZ3, noise=noise, shots=100, seed=8) for noise in (EXACT, EFFECTIVE)]
    finally:
        fk.set_num_threads(before)
    np.testing.assert_array_equal(results[0], results[2])
    np.testing.assert_array_equal(results[1], results[3])


def test_a_value_of_zero_is_read_as_noise():
    """An orthogonal pair has counts on a noisy device, and they are binomials of the offset."""
    kernel = fk.Fidelity(fk.Angle(1))
    x, y = np.zeros((100, 1)), np.full((200, 1), np.pi)
    _, offset = affine(kernel)
    assert offset > 0.001
    counts = np.rint(fk.gram(x, y, kernel=kernel, noise=EFFECTIVE, shots=1000, seed=2) * 1000)
    assert binomial_p_value(counts.ravel(), 1000, offset) > 1e-4


def test_instruction_sets_read_the_same(tmp_path):
    code = """
import sys, numpy as np, flashket as fk
x, y = np.tile([[1.0, 0.0]], (9, 1)), np.stack([np.arange(600.0), 600 - np.arange(600.0)], 1)
kernel = fk.Fidelity(fk.Amplitude(2))
from flashket.backends.cpu import core
out = {}
for shots in (0, 7, 10**5):
    out[str(shots)] = np.empty((9, 600))
    core().gram(kernel._lower(), x, y, out[str(shots)], False, shots, 5, 0.83, 0.0213)
np.savez(sys.stdout.buffer, exact=fk.gram(x, y, kernel=kernel), **out)
"""
    results = []
    for isa in available_isas():
        path = tmp_path / f"{isa}.npz"
        result = run_python(code.replace("sys.stdout.buffer", repr(str(path))), FLASHKET_ISA=isa)
        assert result.returncode == 0, result.stderr
        results.append(np.load(path))
    for other in results[1:]:
        same = other["exact"] == results[0]["exact"]
        assert same.mean() > 0.8
        for name in ("0", "7", "100000"):
            np.testing.assert_array_equal(other[name][same], results[0][name][same])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize(
    "kernel", [fk.Fidelity(fk.Angle(3), power=2), fk.HadamardTest(fk.Amplitude(3)), ZZ3, fk.Fidelity(fk.Amplitude(3))], ids=repr
)
def test_attention_is_its_definition_on_noisy_values(kernel, normalization, dtype):
    shape = (2, 4, 9, 3)
    q = RNG.uniform(-2, 2, shape).astype(dtype)
    k, v = RNG.uniform(-2, 2, (2, 2, 300, 3)).astype(dtype), RNG.standard_normal((2, 2, 300, 16)).astype(dtype)
    mask = RNG.uniform(size=(2, 4, 9, 300)) < 0.7
    mask[0, 0, 0] = False
    lengths = np.array([300, 211])
    visible = mask & (np.arange(300) < lengths[:, None, None, None])
    visible &= np.arange(300) <= np.arange(9)[:, None] + lengths[:, None, None, None] - 9
    options = {"kernel": kernel, "normalization": normalization, "temperature": 0.05}
    tolerance = 5e-6 if dtype == np.float32 else 1e-10
    got = fk.attention(q, k, v, noise=EFFECTIVE, **options)
    np.testing.assert_allclose(got, noisy_attention(q, k, v, **options), atol=tolerance)
    got = fk.attention(q, k, v, noise=EFFECTIVE, causal=True, mask=mask, kv_lens=lengths, **options)
    np.testing.assert_allclose(got, noisy_attention(q, k, v, visible=visible, **options), atol=tolerance)
    assert not got[0, 0, 0].any()


@pytest.mark.parametrize("shots", [None, 20])
def test_hidden_keys_have_no_weight(shots):
    """Noise gives every score an offset; a hidden one must not get it."""
    q, k = np.zeros((1, 1, 3, 2)), np.zeros((1, 1, 5, 2))
    k[..., 2:, :] = np.pi
    v = np.zeros((1, 1, 5, 1))
    v[0, 0, :2] = 1
    mask = np.array([False, False, True, True, True])
    for options in ({"mask": mask}, {"kv_lens": np.array([5]), "mask": mask, "causal": True}):
        out = fk.attention(q, k, v, kernel=fk.Fidelity(fk.Angle(2)), noise=EFFECTIVE, shots=shots, seed=0, **options)
        assert not out.any()


def test_attention_samples_the_noisy_value():
    """Values one-hot in the key make the output the sampled weights."""
    kernel, shots, n = fk.Fidelity(fk.Angle(2)), 64, 400
    q, k = np.zeros((1, 1, 50, 2)), np.zeros((1, 1, n, 2))
    out = fk.attention(q, k, np.eye(n)[None, None], kernel=kernel, noise=EFFECTIVE, shots=shots, seed=1)[0, 0]
    scale, offset = affine(kernel)
    # Weights are counts over their sum, which sets the unit: the largest count is 64 of 64 in some row or less.
    counts = out * (scale + offset) * n * shots
    deviation = counts.std() / math.sqrt(shots * (scale + offset) * (1 - scale - offset))
    assert abs(deviation - 1) < 0.05


def test_decoding_draws_what_prefill_draws():
    q, k, v = (RNG.uniform(-2, 2, (1, 2, 12, 3)) for _ in range(3))
    options = {"kernel": ZZ3, "noise": EFFECTIVE, "shots": 40, "seed": 6, "causal": True}
    whole = fk.attention(q, k, v, **options)
    steps = [fk.attention(q[:, :, i : i + 1], k[:, :, : i + 1], v[:, :, : i + 1], **options) for i in range(12)]
    np.testing.assert_allclose(np.concatenate(steps, axis=2), whole, atol=1e-12)


@pytest.mark.parametrize("noise", [EXACT, EFFECTIVE], ids=["exact", "effective"])
@pytest.mark.parametrize("shots", [None, 100])
@pytest.mark.parametrize("y", [None, Y3], ids=["symmetric", "rectangular"])
def test_matvec_is_the_noisy_gram_times_a(noise, shots, y):
    a = RNG.standard_normal((7 if y is None else 5, 2))
    options = {"kernel": ZZ3, "noise": noise, "shots": shots, "seed": 5}
    want = fk.gram(X3, y, **options) @ a
    np.testing.assert_allclose(fk.gram_matvec(X3, a, y, **options), want, atol=1e-12)
    np.testing.assert_allclose(fk.gram_matvec(X3, a[:, 0], y, **options), want[:, 0], atol=1e-12)


def test_what_a_name_means():
    model = fk.NoiseModel.from_profile("ibm_torino")
    wide, amplitude = fk.Fidelity(fk.Angle(9)), fk.HadamardTest(fk.Amplitude(4))
    assert model.resolve(ZZ3, "gram", "x") == "exact"
    assert model.resolve(fk.Fidelity(fk.Angle(8)), "gram", "x") == "exact"
    assert model.resolve(wide, "gram", "x") == "trajectories"
    assert all(model.resolve(kernel, "attention", "x") == "effective" for kernel in (ZZ3, wide, amplitude))
    assert model.resolve(amplitude, "gram", "x") == model.resolve(fk.Fidelity(fk.Amplitude(4)), "gram", "x") == "effective"


def test_the_result_says_which():
    q = X3[None, None]
    with diagnostics.record() as counts:
        for _ in range(2):
            fk.gram(X3, kernel=ZZ3, noise="ibm_torino")
            fk.attention(q, q, q, kernel=ZZ3, noise="ibm_torino")
        fk.gram_matvec(X3, np.ones(7), kernel=ZZ3, noise="ibm_torino")
        fk.gram(X3, kernel=ZZ3)
    first, second = counts.noise
    assert (first.method, second.method) == ("exact", "effective")
    assert (second.scale, second.offset) == affine(ZZ3) and second.is_fitted and 0 < second.error_rms <= second.error_max
    assert "ibm_torino" in first.device and "2025-02-26" in first.device
    plan = fk.explain(ZZ3, n=10, op="attention", noise="ibm_torino")
    assert plan.noise == str(second) and f"  noise    {second}" in str(plan)
    assert fk.explain(ZZ3, n=10).noise == "" and "(exact)" in fk.explain(ZZ3, n=10, noise=EXACT).path


@pytest.mark.parametrize("y", [None, 4], ids=["symmetric", "rectangular"])
def test_trajectories_of_wide_circuits_agree_with_the_exact_simulation(y):
    kernel = fk.Fidelity(fk.IQP(9, entanglement="linear"), power=2)
    x = RNG.uniform(-1, 1, (5, 9))
    other = None if y is None else RNG.uniform(-1, 1, (y, 9))
    with diagnostics.record() as counts:
        K = fk.gram(x, other, kernel=kernel, noise="ibm_torino", seed=3)
    (report,) = counts.noise
    assert report.method == "trajectories" and report.trajectories == 256 and 0 < report.standard_error < 0.05
    assert f"standard error at most {report.standard_error:.2g}" in str(report)
    want = fk.gram(x, other, kernel=kernel, noise=EXACT)
    assert np.abs(np.sqrt(K) - np.sqrt(want)).max() < 4.5 * report.standard_error
    np.testing.assert_array_equal(K, fk.gram(x, other, kernel=kernel, noise="ibm_torino", seed=3))
    assert (fk.gram(x, other, kernel=kernel, noise="ibm_torino", seed=4) != K).any()
    sampled = fk.gram(x, other, kernel=kernel, noise="ibm_torino", seed=3, shots=2**31 - 1)
    np.testing.assert_allclose(sampled, K, atol=3e-4)


def test_models_are_values(tmp_path):
    model = fk.NoiseModel.from_profile("ibm_torino", "exact", layout=[3, 4, 5], idle=False)
    again = pickle.loads(pickle.dumps(model))
    assert model == again and hash(model) == hash(again) and model != EXACT and model != "ibm_torino"
    assert repr(model) == "NoiseModel.from_profile('ibm_torino', method='exact', layout=(3, 4, 5), idle=False)"
    with pytest.raises(AttributeError):
        model.method = "effective"
    text = (Path(profile.__file__).parent / "devices" / "ibm_torino.json").read_text()
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**json.loads(text), "name": "mine"}))
    for noise in (str(path), path, fk.NoiseModel.from_profile(path)):
        np.testing.assert_array_equal(fk.gram(X3, kernel=ZZ3, noise=noise), fk.gram(X3, kernel=ZZ3, noise="ibm_torino"))


def test_the_layout_is_used():
    best = fk.gram(X3, kernel=ZZ3, noise=EXACT)
    other = fk.gram(X3, kernel=ZZ3, noise=fk.NoiseModel.from_profile("ibm_torino", layout=(0, 1, 2)))
    assert np.abs(best - other).max() > 1e-3


def gram(kernel=ZZ3, x=X3, **options):
    return fk.gram(x, kernel=kernel, **options)


Q = X3[None, None]
REFUSED = [
    (lambda: gram(noise="ibm_nowhere"), fk.InputError, r"profile's name or file was wanted, got 'ibm_nowhere'"),
    (lambda: gram(noise=3), fk.InputError, r"\[gram\] noise must be a profile's name, its file, or an fk.NoiseModel, got 3"),
    (lambda: gram(noise="ibm_torino", log=True), fk.InputError, r"log needs exact values, got a noise model"),
    (lambda: gram(ScaledDot(3), noise="ibm_torino"), fk.InputError, r"noise needs a quantum kernel"),
    (lambda: gram(fk.Projected(fk.Amplitude(3)), noise="ibm_torino"), fk.InputError, r"use fk.qpu.gram\(..., backend=\"sim:ibm_torino"),
    (lambda: gram(fk.Projected(fk.Angle(3)), noise=EFFECTIVE), fk.InputError, r"no probability, which the effective model maps"),
    (lambda: gram(fk.Projected(fk.Angle(3)), noise="ibm_torino", shots=1), fk.InputError, r"shots of a projected kernel must be 2 or more"),
    (lambda: gram(fk.Projected(fk.Angle(13)), np.zeros((2, 13)), noise=EXACT), fk.InputError, r"exact simulation goes up to 12 qubits"),
    (lambda: gram(fk.Projected(fk.Angle(25)), np.zeros((2, 25)), noise="ibm_torino"), fk.InputError, r"goes up to 24 qubits, got 25"),
    (lambda: gram(fk.Projected(fk.Angle(3)), noise="ibm_torino", log=True), fk.InputError, r"log needs exact values"),
    (
        lambda: fk.attention(Q, Q, Q, kernel=fk.Projected(fk.Angle(3)), noise="ibm_torino"),
        fk.InputError,
        r"fk.gram and fk.gram_matvec take",
    ),
    (lambda: gram(fk.HadamardTest(fk.Angle(3)), noise=EXACT), fk.InputError, r'use method="effective"'),
    (lambda: gram(fk.Fidelity(fk.Amplitude(3)), noise=EXACT), fk.InputError, r'use method="effective"'),
    (lambda: fk.attention(Q, Q, Q, kernel=ZZ3, noise=EXACT), fk.InputError, r"\[attention\] a score of attention takes the effective"),
    (lambda: fk.gram_matvec(X3, np.ones(7), kernel=ZZ3, noise=3), fk.InputError, r"\[gram_matvec\] noise must be"),
    (lambda: fk.explain(ZZ3, n=3, noise=3), fk.InputError, r"\[explain\] noise must be"),
    (lambda: gram(fk.Fidelity(fk.Angle(13)), np.zeros((2, 13)), noise=EXACT), fk.InputError, r"go up to 12 qubits, got 13"),
    (lambda: gram(fk.Fidelity(fk.Angle(200)), np.zeros((2, 200)), noise=EFFECTIVE), fk.InputError, r"ibm_torino has 133 qubits"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", "perfect"), fk.InputError, r"method must be one of exact, trajectories, effective"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", compiler="gcc"), fk.InputError, r"compiler must be one of auto, qiskit"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", layout=[0, 0]), fk.InputError, r"layout must be distinct qubits in 0..132"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", layout=[0, 133]), fk.InputError, r"layout must be distinct qubits"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", layout=[0.5]), fk.InputError, r"layout must be distinct qubits"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", trajectories=0), fk.InputError, r"trajectories must be a positive integer"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", trajectories=1), fk.InputError, r"trajectories must be at least 2"),
    (lambda: fk.NoiseModel.from_profile("ibm_torino", idle="no"), fk.InputError, r"idle must be True or False"),
    (lambda: fk.NoiseModel.from_profile(5), fk.InputError, r"name or file was wanted, got 5"),
]


@pytest.mark.parametrize(("call", "error", "text"), REFUSED, ids=[text[:40] for _, _, text in REFUSED])
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(2)), fk.Fidelity(fk.ZZ(2)), fk.Projected(fk.ZZ(2))], ids=repr)
@pytest.mark.parametrize("method", ["exact", "trajectories"])
def test_angles_that_rounding_would_lose_are_refused(kernel, method):
    model = fk.NoiseModel.from_profile("ibm_torino", method, trajectories=4)
    for size in (1.1e9, 1e17, 1e60):
        rows = np.array([[0.3, 1.0], [0.5, size]])
        for x, y, name in ((rows, None, "X"), (rows[:1], rows, "Y")):
            with pytest.raises(fk.InputError, match=rf"\[gram\] {name} must keep angles within 1.07374e\+09 rad"):
                fk.gram(x, y, kernel=kernel, noise=model)
    # What is not refused is right: turns do nothing.
    kernel, near = type(kernel)(fk.Angle(2)), np.array([[0.3, 1.0], [0.5, 2.0]])
    np.testing.assert_allclose(
        fk.gram(near + 2 * np.pi * 1e8, kernel=kernel, noise=model, seed=1), fk.gram(near, kernel=kernel, noise=model, seed=1), atol=2e-6
    )


def test_importing_flashket_does_not_import_noise():
    result = run_python("import sys, flashket; print([name for name in sys.modules if 'flashket.noise' in name or 'flashket.qpu' in name])")
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("is_symmetric", [True, False])
def test_the_memory_asked_for_is_enough(monkeypatch, is_symmetric):
    kernel, x = fk.Fidelity(fk.ZZ(2, reps=1)), np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    fk.gram(x[:1], kernel=kernel, noise="ibm_torino")
    asked = []
    monkeypatch.setattr("flashket.memory.require", lambda place, what, n_bytes, do: asked.append(n_bytes))
    monkeypatch.setattr("flashket.noise.applied.require", lambda place, what, n_bytes, do: asked.append(n_bytes))
    tracemalloc.start()
    fk.gram(x, None if is_symmetric else x, kernel=kernel, noise="ibm_torino")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.03 * max(asked)
