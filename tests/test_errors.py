# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Every refusal: its class and its text, ``[place] what was wanted, got what came: what to do``."""

from __future__ import annotations

import array

import numpy as np
import pytest

import flashket as fk
from flashket.controls import ScaledDot, Uniform
from flashket.program import Gate, Linear, Program

A8 = fk.Fidelity(fk.Angle(8))
A2 = fk.Fidelity(fk.Angle(2))
X8, X2 = np.zeros((3, 8)), np.zeros((3, 2))
Q = np.zeros((2, 4, 3, 2))
KV = np.zeros((2, 2, 5, 2))


class OnDevice:
    """What a tensor on a GPU looks like to DLPack."""

    def __dlpack__(self, **_):
        raise AssertionError("must not be exported")

    def __dlpack_device__(self):
        return (2, 0)


class Negated(OnDevice):
    def __dlpack_device__(self):
        return (1, 0)

    def is_neg(self):
        return True


class Unexportable(Negated):
    def __dlpack__(self, **_):
        raise BufferError("can't export tensors that require gradient")

    def is_neg(self):
        return False


def gram(x=X2, y=None, kernel=A2, **options):
    return fk.gram(x, y, kernel=kernel, **options)


def attention(q=Q, k=KV, v=KV, kernel=A2, **options):
    return fk.attention(q, k, v, kernel=kernel, **options)


def with_nan(x, *index):
    x = x.copy()
    x[index] = np.nan
    return x


def read_only(x):
    x.flags.writeable = False
    return x


GRAM = [
    # shapes
    (lambda: gram(np.zeros(5), kernel=A8), r"\[gram\] X must be \(n_samples, 8\) for Angle\(8\), got \(5,\): one row per sample"),
    (lambda: gram(X8), r"X must be \(n_samples, 2\) for Angle\(2\), got \(3, 8\)"),
    (lambda: gram(np.zeros((1, 3, 2))), r"got \(1, 3, 2\)"),
    (lambda: gram(3.0), r"got \(\)"),
    (lambda: gram(X2, X8), r"Y must be \(n_samples, 2\)"),
    (lambda: gram([[1.0, 2.0], [3.0]]), r"\[gram\] X must convert to an array, got list"),
    # values
    (lambda: gram(with_nan(X2, 1, 0)), r"\[gram\] X must be finite, got NaN or infinity in row 1: remove or replace it"),
    (lambda: gram(X2, with_nan(X2, 2, 1)), r"Y must be finite, got NaN or infinity in row 2"),
    (lambda: gram([[0.0, np.inf]]), r"NaN or infinity in row 0"),
    (lambda: gram(np.array([[0, -np.inf]], np.float16)), r"NaN or infinity in row 0"),
    (
        lambda: gram(X2, kernel=fk.Fidelity(fk.Amplitude(2))),
        r"no all-zero row for Amplitude\(2\).*zeros in row 0: drop the row or use bias > 0",
    ),
    (lambda: fk.Fidelity(fk.Amplitude(2)).diag(X2), r"\[diag\] X must have no all-zero row"),
    (lambda: gram(X2 - 1e76), r"\[gram\] X must be at most 1e\+75 in magnitude for Angle\(2\).*, got 1e\+76: scale the data"),
    (lambda: gram(X2, X2 + 1e160, kernel=fk.Fidelity(fk.ZZ(2))), r"\[gram\] Y must be at most 1e\+75 .*for ZZ\(2\).*got 1e\+160"),
    (lambda: gram(X2 + 1e71, kernel=fk.Fidelity(fk.IQP(2, bandwidth=-1e5))), r"X must be at most 1e\+70 in magnitude"),
    (lambda: A2.diag(X2 + 1e76), r"\[diag\] X must be at most 1e\+75"),
    (lambda: fk.states(X2 + 1e76, feature_map=fk.Angle(2)), r"\[states\] X must be at most 1e\+75"),
    # dtypes
    (lambda: gram(X2 + 0j), r"X must hold real numbers .*got complex128: pass real features"),
    (lambda: gram(X2.astype(object)), r"got object"),
    (lambda: gram([[10**30, 1]]), r"got object: numbers too large"),
    (lambda: gram([["a", "b"]]), r"X must hold real numbers .*got <U1"),
    (lambda: gram(np.zeros((1, 2), "M8[s]")), r"got datetime64"),
    (lambda: gram(None), r"X must hold real numbers|X must be \(n_samples, 2\)"),
    (lambda: gram([[2**53 + 1, 0]]), r"X must be exact in float64 \(\|integer\| <= 2\*\*53\), got larger integers"),
    (lambda: gram(np.array([[-(2**63), 0]])), r"exact in float64"),
    (lambda: gram(np.array([[2**64 - 1, 0]], np.uint64)), r"exact in float64"),
    (lambda: gram(dtype=np.float16), r"\[gram\] dtype must be float32 or float64, got <class 'numpy.float16'>"),
    (lambda: gram(dtype="complex128"), r"dtype must be float32 or float64"),
    (lambda: gram(dtype="nonsense"), r"dtype must be float32 or float64, got 'nonsense'"),
    (lambda: gram([[1e39, 0.0]], dtype=np.float32), r"X must fit float32 .*got 1e\+39"),
    (lambda: gram(np.ma.masked_array(X2, mask=X2 == 0)), r"X must be a plain array, got a masked array"),
    # memory that cannot be read
    (
        lambda: gram(OnDevice()),
        r"X must be in host memory, or an array of CuPy, torch or JAX, got device memory \(DLPack device type 2\): copy it to the host",
    ),
    (lambda: gram(Negated()), r"a lazily negated tensor: call .resolve_neg\(\) first"),
    (lambda: gram(Unexportable()), r"X must be exportable by DLPack, got Unexportable \(can't export tensors that require gradient\)"),
    # options
    (lambda: gram(kernel=fk.Angle(2)), r"kernel must be a kernel, got Angle\(2\): write fk.Fidelity\(Angle\(2\)\)"),
    (lambda: gram(kernel="angle:2"), r"kernel must be a kernel, got 'angle:2'"),
    (lambda: gram(shots=0), r"shots must be an integer in 1..\d+, got 0: shots=None is exact"),
    (lambda: gram(shots=-5), r"shots must be .*got -5"),
    (lambda: gram(shots=10.0), r"shots must be .*got 10.0"),
    (lambda: gram(shots=True), r"shots must be .*got True"),
    (lambda: gram(shots="many"), r"shots must be"),
    (lambda: gram(shots=2**40), r"shots must be"),
    (lambda: gram(shots=1, seed=-1), r"seed must be an integer in 0..2\*\*64-1, got -1"),
    (lambda: gram(shots=1, seed=2**64), r"seed must be"),
    (lambda: gram(shots=1, seed=0.5), r"seed must be"),
    (lambda: gram(shots=1, log=True), r"log needs exact values, got shots=1: an estimate of 0 has no logarithm"),
    (lambda: gram(log="yes"), r"log must be True or False, got 'yes'"),
    (lambda: gram(log=True, kernel=ScaledDot(2)), r"log needs values in 0..1, got ScaledDot\(2\)"),
    (lambda: gram(shots=5, kernel=ScaledDot(2)), r"shots need a quantum kernel, got ScaledDot\(2\)"),
    (lambda: gram(shots=5, kernel=Uniform(2)), r"shots need a quantum kernel, got Uniform\(2\)"),
    (lambda: gram(noise="ibm_nowhere"), r"profile's name or file was wanted, got 'ibm_nowhere'"),
    (lambda: gram(workers=object()), r"workers must be None in this version"),
    # out
    (lambda: gram(out=np.empty((3, 2))), r"out must have shape \(3, 3\), got \(3, 2\): pass numpy.empty\(\(3, 3\), numpy.float64\)"),
    (lambda: gram(out=np.empty((3, 3), np.float32)), r"out must be float64 like the result, got float32"),
    (lambda: gram(out=np.empty((3, 3), ">f8")), r"out must be float64"),
    (lambda: gram(out=read_only(np.empty((3, 3)))), r"out must be writable, got a read-only array"),
    (lambda: gram(out=[[0.0] * 3] * 3), r"out must be a NumPy array, got list"),
    (lambda: gram(out=np.lib.stride_tricks.as_strided(np.empty(3), (3, 3), (0, 8))), r"give every element its own memory"),
    (lambda: gram(out=np.lib.stride_tricks.as_strided(np.empty(9), (3, 3), (8, 8))), r"give every element its own memory"),
]


@pytest.mark.parametrize("case", GRAM, ids=lambda case: case[1][:40])
def test_gram(case):
    call, message = case
    with pytest.raises(fk.InputError, match=message) as caught:
        call()
    assert str(caught.value).startswith("[")


def test_gram_out_overlaps_an_input():
    buffer = np.zeros(30)
    with pytest.raises(fk.InputError, match="out must not overlap an input, got shared memory"):
        gram(buffer[:6].reshape(3, 2), out=buffer[5:14].reshape(3, 3))
    # Interleaved in one buffer but apart is fine.
    table = np.zeros((3, 5))
    gram(table[:, :2], out=table[:, 2:])
    np.testing.assert_allclose(table[:, 2:], 1, atol=1e-15)


ATTENTION = [
    (lambda: attention(q=Q[0]), r"\[attention\] q must be \(B, Hq, Lq, 2\) for Angle\(2\), got \(4, 3, 2\)"),
    (lambda: attention(k=KV[..., :1]), r"k must be \(B, Hkv, Lk, 2\) for Angle\(2\), got \(2, 2, 5, 1\)"),
    (lambda: attention(v=KV[:, :, :4]), r"v must be \(2, 2, 5, Dv\) like k, got \(2, 2, 4, 2\)"),
    (lambda: attention(v=KV[0]), r"v must be"),
    (lambda: attention(k=KV[:1], v=KV[:1]), r"k must have q's batch size 2, got 1"),
    (lambda: attention(q=Q[:, :3]), r"number of query heads must be a multiple of the number of key heads, got 3 and 2"),
    (lambda: attention(k=KV[:, :0], v=KV[:, :0]), r"multiple of the number of key heads, got 4 and 0"),
    (lambda: attention(q=Q.astype(complex)), r"q must hold real numbers"),
    (lambda: attention(v=with_nan(KV, 1, 0, 4, 1)), r"v must be finite, got NaN or infinity in row \(1, 0, 4\)"),
    (lambda: attention(normalization="max"), r'normalization must be "sum" or "softmax", got \'max\''),
    (lambda: attention(normalization=None), r"normalization must be"),
    (lambda: attention(kernel=ScaledDot(2)), r'normalization="sum" needs values that are never negative, got ScaledDot\(2\)'),
    (lambda: attention(temperature=0), r"temperature must be positive, got 0"),
    (lambda: attention(temperature=1e-39), r"\[attention\] temperature must be at least 1e-30, got 1e-39: "),
    (lambda: attention(q=Q - 1e76), r"\[attention\] q must be at most 1e\+75 in magnitude for Angle\(2\).*got 1e\+76: scale the data"),
    (lambda: attention(k=KV + 1e76), r"k must be at most 1e\+75 in magnitude"),
    (lambda: attention(temperature=-1.0), r"temperature must be positive, got -1.0"),
    (lambda: attention(temperature=np.nan), r"temperature must be a finite number, got nan"),
    (lambda: attention(temperature=np.inf), r"temperature must be a finite number"),
    (lambda: attention(temperature="hot"), r"temperature must be a finite number, got 'hot'"),
    (lambda: attention(causal=1), r"causal must be True or False, got 1"),
    (lambda: attention(mask=np.zeros((3, 5))), r"mask must be boolean, True = attend, got float64: additive masks are not supported"),
    (lambda: attention(mask=np.ones((3, 5), np.int64)), r"mask must be boolean"),
    (lambda: attention(mask=np.ones((3, 4), bool)), r"mask must broadcast to \(B, Hq, Lq, Lk\) = \(2, 4, 3, 5\), got \(3, 4\)"),
    (lambda: attention(mask=np.ones((2, 2, 4, 3, 5), bool)), r"mask must broadcast"),
    (lambda: attention(kv_lens=[6, 1]), r"kv_lens must be in 0..5, got 1..6"),
    (lambda: attention(kv_lens=[-1, 1]), r"kv_lens must be in 0..5, got -1..1"),
    (lambda: attention(kv_lens=[1]), r"kv_lens must be integers \(2,\), one per batch entry, got int64 \(1,\)"),
    (lambda: attention(kv_lens=3), r"kv_lens must be integers \(2,\)"),
    (lambda: attention(kv_lens=[1.0, 2.0]), r"kv_lens must be integers .*got float64"),
    (lambda: attention(kv_lens=[True, False]), r"kv_lens must be integers .*got bool"),
    (lambda: attention(shots=0), r"\[attention\] shots must be"),
    (lambda: attention(shots=3, seed=-1), r"\[attention\] seed must be"),
    (lambda: attention(shots=3, kernel=Uniform(2)), r"shots need a quantum kernel"),
    (lambda: attention(noise=1), r"noise must be a profile's name, its file, or an fk.NoiseModel, got 1"),
    (lambda: attention(backend="tpu"), r"backend must name a backend, got 'tpu'"),
    (lambda: attention(out=np.empty((2, 4, 3, 3))), r"out must have shape \(2, 4, 3, 2\)"),
    (lambda: attention(out=np.empty((2, 4, 3, 2), np.float32)), r"out must be float64"),
    (lambda: attention(kernel=fk.Angle(2)), r"\[attention\] kernel must be a kernel"),
    (lambda: attention(q=OnDevice()), r"q must be in host memory"),
]


@pytest.mark.parametrize("case", ATTENTION, ids=lambda case: case[1][:40])
def test_attention(case):
    call, message = case
    with pytest.raises(fk.InputError, match=message):
        call()


def test_attention_out_overlaps_an_input():
    x = np.zeros((1, 1, 4, 2))
    with pytest.raises(fk.InputError, match="out must not overlap an input"):
        fk.attention(x, x, x, kernel=A2, out=x)


OBJECTS = [
    (lambda: fk.Angle(0), r"\[Angle\] n_features must be a positive integer, got 0"),
    (lambda: fk.Angle(2.0), r"n_features must be a positive integer, got 2.0"),
    (lambda: fk.Angle(True), r"n_features must be"),
    (lambda: fk.Angle(2**40), r"n_features must be"),
    (lambda: fk.Angle(2, rotation="rz"), r'\[Angle\] rotation must be "ry" or "rx", got \'rz\''),
    (lambda: fk.Angle(2, bandwidth=np.nan), r"bandwidth must be a finite number, got nan"),
    (lambda: fk.Angle(2, bandwidth="1"), r"bandwidth must be a finite number, got '1'"),
    (lambda: fk.Amplitude(2, bias=-1), r"\[Amplitude\] bias must be a finite number >= 0, got -1"),
    (lambda: fk.IQP(2, reps=0), r"\[IQP\] reps must be a positive integer, got 0"),
    (lambda: fk.ZZ(3, entanglement="star"), r'\[ZZ\] entanglement must be "full", "linear", "circular" or a list of pairs, got \'star\''),
    (lambda: fk.ZZ(3, entanglement=[(0, 3)]), r"got \(0, 3\): pairs are two different qubits in 0..2"),
    (lambda: fk.ZZ(3, entanglement=[(1, 1)]), r"got \(1, 1\)"),
    (lambda: fk.ZZ(3, entanglement=[(0, 1, 2)]), r"list of pairs"),
    (lambda: fk.ZZ(3, entanglement=5), r"list of pairs, got 5"),
    (lambda: fk.Fidelity("angle"), r"\[Fidelity\] feature_map must be a feature map, got 'angle'"),
    (lambda: fk.Fidelity(fk.Angle(2), power=0), r"\[Fidelity\] power must be a positive integer, got 0"),
    (lambda: fk.HadamardTest(fk.Angle(2), power=1.5), r"\[HadamardTest\] power must be a positive integer, got 1.5"),
    (lambda: ScaledDot(0), r"\[ScaledDot\] n_features must be"),
    (lambda: Gate("ccx", (0, 1)), r"\[Gate\] name must be one of h x y"),
    (lambda: Gate("cx", (0,)), r"cx acts on 2 distinct qubit"),
    (lambda: Gate("cx", (1, 1)), r"cx acts on 2 distinct qubit"),
    (lambda: Gate("rx", (0,)), r"rx needs an angle"),
    (lambda: Gate("h", (0,), (Linear(1.0, 0),)), r"h takes no angle"),
    (lambda: Program(0, 1, ()), r"\[Program\] n_qubits must be positive"),
    (lambda: Program(1, 1, (Gate("h", (1,)),)), r"qubits must be in 0..0"),
    (lambda: Program(1, 1, (Gate("rx", (0,), (Linear(1.0, 1),)),)), r"features must be in 0..0"),
    (lambda: Program(1, 1, (Gate("rx", (0,), (Linear(np.inf, 0),)),)), r"angles must be finite"),
    (lambda: fk.states(X2, feature_map=A2), r"\[states\] feature_map must be a feature map"),
    (lambda: fk.states(X8, feature_map=fk.Angle(2)), r"\[states\] X must be \(n_samples, 2\)"),
    (lambda: fk.states(X2, feature_map=fk.Angle(2), dtype="int32"), r"\[states\] dtype must be float32 or float64"),
    (lambda: fk.states(X2, feature_map=fk.Angle(2), dtype="nonsense"), r"\[states\] dtype must be"),
    (lambda: fk.explain(fk.Angle(2), n=3), r"\[explain\] kernel must be a kernel"),
    (lambda: fk.explain(A2, n=0), r"\[explain\] n must be a positive integer, got 0"),
    (lambda: fk.explain(A2, n=3, op="train"), r'\[explain\] op must be "gram" or "attention", got \'train\''),
]


@pytest.mark.parametrize("case", OBJECTS, ids=lambda case: case[1][:40])
def test_objects(case):
    call, message = case
    with pytest.raises(fk.InputError, match=message):
        call()


TOO_LARGE = [
    (
        lambda: fk.gram(np.broadcast_to(0.0, (10**7, 2)), kernel=A2),
        r"\[gram\] a 10000000 x 10000000 matrix of float64 .*needs 80\d TB, got .* free",
    ),
    (
        lambda: fk.gram(np.zeros((1, 40)), kernel=fk.Fidelity(fk.IQP(40))),
        r"one state of IQP\(40\) \(2\^40 complex amplitudes\) needs 17.6 TB",
    ),
    (lambda: fk.gram(np.zeros((1, 5000)), kernel=fk.Fidelity(fk.ZZ(5000))), r"one state of ZZ\(5000\).* needs 10\^1506 B"),
    (
        lambda: fk.gram(np.broadcast_to(np.float32(0), (10**6, 20)), np.zeros((1, 20), np.float32), kernel=fk.Fidelity(fk.IQP(20))),
        r"encoded rows needs",
    ),
    (lambda: fk.states(np.zeros((1, 300)), feature_map=fk.Angle(300)), r"\[states\] one state of Angle\(300\)"),
    (lambda: fk.states(np.broadcast_to(0.0, (10**6, 20)), feature_map=fk.Angle(20)), r"1000000 states of 20 qubits needs"),
    (
        lambda: attention(q=np.broadcast_to(0.0, (2, 4, 10**8, 2)), v=np.broadcast_to(0.0, (2, 2, 5, 1000))),
        r"\[attention\] attention of 800000000 queries",
    ),
]


ONE_ROW = np.broadcast_to(np.float32(1), (10**9, 8))
TOO_LARGE += [
    # The copies that a cast would make are refused before they are made.
    (lambda: fk.gram(ONE_ROW, X8, kernel=A8, dtype="float64"), r"\[gram\] a 1000000000 x 3 matrix of float64"),
    (lambda: fk.gram(X8, ONE_ROW, kernel=A8, dtype="float64", out=np.broadcast_to(0.0, (3, 10**9))), r"\[gram\] a 3 x 1000000000 matrix"),
    (lambda: fk.states(ONE_ROW, feature_map=fk.Amplitude(8), dtype="float64"), r"\[states\] 1000000000 states of 3 qubits"),
    (
        lambda: fk.attention(ONE_ROW[None, None], X8[None, None], X8[None, None], kernel=A8),
        r"\[attention\] attention of 1000000000 queries",
    ),
]


@pytest.mark.parametrize("case", TOO_LARGE, ids=lambda case: case[1][:40])
def test_larger_than_memory(case):
    call, message = case
    with pytest.raises(fk.ResourceLimit, match=message):
        call()


def test_large_numbers_are_refused_only_where_they_count():
    # Amplitude and the controls have no angles, float32 does not reach the bound, and hidden rows may hold anything.
    assert gram([[1e200, 0.0]], kernel=fk.Fidelity(fk.Amplitude(2)))[0, 0] == 1
    assert gram([[1e200, 0.0]], kernel=Uniform(2))[0, 0] == 1
    assert np.isfinite(gram(np.array([[3e38, -3e38]], np.float32), X2.astype(np.float32), kernel=fk.Fidelity(fk.ZZ(2)))).all()
    rng = np.random.default_rng(0)
    k, v = rng.normal(size=(2, 2, 2, 5, 2))
    mask = np.ones((2, 1, 1, 5), bool)
    mask[0, ..., 1] = False
    expected = attention(k=k, v=v, mask=mask, kv_lens=[5, 3])
    k[0, :, 1], k[1, :, 3:] = 1e300, -1e300
    np.testing.assert_array_equal(attention(k=k, v=v, mask=mask, kv_lens=[5, 3]), expected)
    assert np.isfinite(attention(q=Q[:, :2], k=k, v=v + 1e100, mask=mask, kv_lens=[5, 3])).all()


def test_other_containers_are_read():
    expected = gram(np.array([[1.0, 2.0]]), X2)
    for x in ([[1, 2]], ((1.0, 2.0),), memoryview(np.array([[1.0, 2.0]])), [array.array("d", [1.0, 2.0])], Exporter()):
        assert (gram(x, X2) == expected).all()


class Exporter:
    """A tensor of another library, in host memory."""

    data = np.array([[1.0, 2.0]])

    def __dlpack__(self, **options):
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.data.__dlpack_device__()


CIRCUITS = [
    (fk.IQP(3, reps=2**31 - 1), r"\[IQP\] a list of \S+ gates needs \S+ TB"),
    (fk.ZZ(3, reps=2**31 - 1, entanglement=[(0, 2)]), r"\[ZZ\] a list of \S+ gates needs"),
    (fk.HardwareEfficient(3, layers=2**31 - 1), r"\[HardwareEfficient\] a list of 17,179,869,176 gates needs"),
]


@pytest.mark.parametrize("case", CIRCUITS, ids=lambda case: repr(case[0]))
@pytest.mark.parametrize("op", [fk.states, fk.mps_states, lambda x, feature_map: fk.gram(x, kernel=fk.Fidelity(feature_map))])
def test_circuits_too_long_to_write_down(op, case):
    with pytest.raises(fk.ResourceLimit, match=case[1]):
        op(np.zeros((2, 3)), feature_map=case[0])


def test_circuits_too_wide_to_count():
    """A state of 20,000 qubits has more bytes than Python writes down."""
    kernel = fk.Fidelity(fk.IQP(20_000))
    with pytest.raises(fk.ResourceLimit, match=r"2\^20000 complex amplitudes\) needs 10\^6021 B"):
        fk.gram(np.zeros((1, 20_000)), kernel=kernel)
    assert "10^6021 B" in str(fk.explain(kernel, n=1))
    with pytest.raises(fk.ResourceLimit, match=r"a list of 15,000,050,000 gates"):
        fk.mps_states(np.zeros((1, 100_000)), feature_map=fk.IQP(100_000), max_bond=2)
