# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One contract for Gram matrices: every discovered map, similarity and dtype against the oracle. test_isa.py runs this file
once more under every instruction set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flashket as fk
from contract import DTYPES, expected_gram, feature_maps, kernels, peak_bytes, rows, tolerance
from flashket import reference
from flashket.backends.cpu import core
from flashket.controls import ScaledDot, Uniform
from flashket.feature_maps import FeatureMap
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 111), (33, 257)])
@pytest.mark.parametrize("kernel", [*kernels(1), *kernels(3)], ids=repr)
def test_rectangular(kernel, n, m, dtype):
    got = fk.gram(rows(n, kernel.n_features, dtype), rows(m, kernel.n_features, dtype, 1), kernel=kernel)
    assert got.dtype == dtype and got.shape == (n, m)
    np.testing.assert_allclose(got, expected_gram(kernel, n, m, dtype), atol=kernel.power * tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [*kernels(8), *kernels(72)], ids=repr)
def test_wide(kernel, dtype):
    got = fk.gram(rows(7, kernel.n_features, dtype), rows(20, kernel.n_features, dtype, 1), kernel=kernel)
    np.testing.assert_allclose(got, expected_gram(kernel, 7, 20, dtype), atol=kernel.power * tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 111])
@pytest.mark.parametrize("kernel", kernels(3), ids=repr)
def test_symmetric(kernel, n, dtype):
    got = fk.gram(rows(n, 3, dtype), kernel=kernel)
    np.testing.assert_allclose(got, expected_gram(kernel, n, None, dtype), atol=kernel.power * tolerance("value", dtype), rtol=0)
    assert (got == got.T).all()
    assert (np.diag(got) == 1).all()
    assert np.linalg.eigvalsh(got.astype(np.float64)).min() >= -tolerance("eigenvalue", dtype) * n


@pytest.mark.parametrize("kernel", [fk.Fidelity(feature_map) for feature_map in feature_maps(3)], ids=repr)
def test_many_rows(kernel):
    x = rows(989, 3, np.float32)
    got = fk.gram(x, kernel=kernel)
    assert (got == got.T).all()
    some, others = np.array([0, 31, 32, 988]), np.array([0, 1, 30, 31, 32, 33, 63, 255, 256, 257, 511, 512, 767, 768, 987, 988])
    expected = reference.gram(x[some], x[others], kernel)
    np.testing.assert_allclose(got[np.ix_(some, others)], expected, atol=tolerance("value", np.float32), rtol=0)


@pytest.mark.parametrize(("n", "m"), [(1040, None), (1072, 1152), (1125, 1072)])
@pytest.mark.parametrize("kernel", [fk.Fidelity(fk.Angle(3)), fk.Fidelity(fk.Angle(19), power=2), fk.HadamardTest(fk.Angle(5))], ids=repr)
def test_what_is_written_past_the_caches(kernel, n, m):
    """Results beyond 4 MiB whose rows begin on a line of memory, and others, which are written another way: the same bits."""
    x, y = rows(n, kernel.n_features, np.float32), None if m is None else rows(m, kernel.n_features, np.float32, 1)
    width = n if m is None else m
    memory = np.full(n * width + 32, 7, np.float32)
    begin = -memory.ctypes.data % 64 // 4
    outs = [memory[at : at + n * width].reshape(n, width) for at in (begin, begin + 1)]
    aligned = fk.gram(x, y, kernel=kernel, out=outs[0]).copy()
    assert (memory[:begin] == 7).all() and (memory[begin + n * width :] == 7).all()
    assert (fk.gram(x, y, kernel=kernel, out=outs[1]) == aligned).all()
    some, others = (np.r_[0, 1, 30:34, 62:66, 127:129, 255:258, 511:513, count - 17 : count] for count in (n, width))
    expected = reference.gram(x[some], (x if y is None else y)[others], kernel)
    np.testing.assert_allclose(aligned[np.ix_(some, others)], expected, atol=kernel.power * tolerance("value", np.float32), rtol=0)
    if y is None:
        assert (aligned == aligned.T).all() and (np.diag(aligned) == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "kernel", [kernel for kernel in kernels(3) if isinstance(kernel.feature_map, fk.Angle) and kernel.similarity != "projected"], ids=repr
)
def test_rows_that_are_no_numbers_stay_so_in_the_core(kernel, dtype):
    """Python refuses them; who calls the C++ library gets no number that looks right."""
    x = rows(40, 3, dtype).copy()
    x[5, 1], x[33, 0] = np.nan, np.inf
    out = np.zeros((40, 40), dtype)
    core().gram(kernel._lower(), x, x.copy(), out, False, 0, 0)
    is_bad = np.isin(np.arange(40), (5, 33))
    np.testing.assert_array_equal(np.isnan(out), is_bad[:, None] | is_bad)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", [*kernels(3), *kernels(72)], ids=repr)
def test_log(kernel, dtype):
    x, y = rows(7, kernel.n_features, dtype), rows(40, kernel.n_features, dtype, 1)
    got = fk.gram(x, y, kernel=kernel, log=True)
    expected = expected_gram(kernel, 7, 40, dtype, log=True)
    # A dot's absolute error of one rounding grows in the logarithm where the dot cancels.
    cancellation = kernel.power * 1e-14 / np.exp(np.maximum(expected / kernel.power, -60))
    bound = tolerance("log", dtype) * np.maximum(1, np.abs(expected)) + cancellation
    assert (np.abs(got - expected) <= bound).all()
    symmetric = fk.gram(x, kernel=kernel, log=True)
    assert (np.diag(symmetric) == 0).all() and (symmetric == symmetric.T).all()


def test_log_of_zero_is_minus_infinity():
    got = fk.gram([[1.0, 0.0]], [[0.0, 1.0]], kernel=fk.Fidelity(fk.Amplitude(2)), log=True)
    assert np.isneginf(got).all()


def views(x):
    """Return name -> an equal array with other strides."""
    doubled = np.empty((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    doubled[::2, ::3] = x
    backwards = np.ascontiguousarray(x[::-1, ::-1])
    bytes_between = np.zeros(x.shape, np.dtype([("gap", "u1"), ("value", x.dtype)]))
    bytes_between["value"] = x
    return {
        "column-major": np.asfortranarray(x),
        "steps": doubled[::2, ::3],
        "negative": backwards[::-1, ::-1],
        "unaligned": bytes_between["value"],
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
        "annotated": x.astype(np.dtype(x.dtype, metadata={"unit": "radian"})),
        "list": x.tolist() if x.dtype == np.float64 else memoryview(x),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["column-major", "steps", "negative", "unaligned", "big-endian", "annotated", "list"])
@pytest.mark.parametrize("kernel", [fk.Fidelity(feature_map) for feature_map in feature_maps(3)], ids=repr)
def test_strides(kernel, name, dtype):
    x, y = rows(7, 3, dtype), rows(40, 3, dtype, 1)
    expected = fk.gram(x, y, kernel=kernel)
    assert (fk.gram(views(x)[name], views(y)[name], kernel=kernel) == expected).all()


def test_zero_strides():
    kernel = fk.Fidelity(fk.Angle(3))
    row = rows(1, 3, np.float32)
    got = fk.gram(np.broadcast_to(row, (50, 3)), np.broadcast_to(np.float32(0.5), (9, 3)), kernel=kernel)
    np.testing.assert_allclose(got, np.full((50, 9), reference.gram(row, np.full((1, 3), 0.5), kernel)[0, 0]), atol=2e-6)


@pytest.mark.parametrize("layout", ["C", "F", "steps", "negative"])
@pytest.mark.parametrize("symmetric", [True, False])
def test_out(layout, symmetric):
    kernel = fk.HadamardTest(fk.IQP(3))
    x, y = rows(111, 3, np.float32), None if symmetric else rows(40, 3, np.float32, 1)
    expected = fk.gram(x, y, kernel=kernel)
    buffer = np.full((2 * expected.shape[0], 2 * expected.shape[1]), np.nan, np.float32, order="F" if layout == "F" else "C")
    out = {"C": buffer[: len(x), : expected.shape[1]], "F": buffer[: len(x), : expected.shape[1]], "steps": buffer[::2, ::2]}
    target = buffer[::-2, ::-2] if layout == "negative" else out[layout]
    assert fk.gram(x, y, kernel=kernel, out=target) is target
    assert (target == expected).all()
    assert np.isnan(buffer).sum() == buffer.size - expected.size


def test_empty():
    kernel = fk.Fidelity(fk.ZZ(3))
    empty = np.empty((0, 3), np.float32)
    assert fk.gram(empty, kernel=kernel).shape == (0, 0)
    assert fk.gram(empty, rows(5, 3, np.float32), kernel=kernel).shape == (0, 5)
    assert fk.gram(rows(5, 3, np.float32), empty, kernel=kernel).shape == (5, 0)
    assert fk.states(empty, feature_map=fk.ZZ(3)).shape == (0, 8)
    assert kernel.diag(empty).shape == (0,)


def test_dtypes():
    kernel = fk.Fidelity(fk.Angle(2))
    x = np.array([[0, 1], [2, 3]])
    expected = fk.gram(x.astype(np.float64), kernel=kernel)
    for dtype in (np.int8, np.uint16, np.int64):
        assert fk.gram(x.astype(dtype), kernel=kernel).dtype == np.float64
        assert (fk.gram(x.astype(dtype), kernel=kernel) == expected).all()
    assert fk.gram(x.astype(np.float16), kernel=kernel).dtype == np.float32
    assert fk.gram(x.astype(np.float32), x.astype(np.float64), kernel=kernel).dtype == np.float64
    assert fk.gram(x, kernel=kernel, dtype=np.float32).dtype == np.float32
    assert fk.gram(x.astype(np.float32), kernel=kernel, dtype="float64").dtype == np.float64
    assert fk.gram(x > 0, kernel=kernel).dtype == np.float64


def test_callable_and_diag():
    kernel = fk.Fidelity(fk.Angle(3))
    x = rows(7, 3, np.float32)
    assert (kernel(x) == fk.gram(x, kernel=kernel)).all()
    assert (kernel.diag(x) == np.ones(7, np.float32)).all()
    np.testing.assert_allclose(ScaledDot(3).diag(x), (x**2).sum(1), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_controls(dtype):
    x, y = rows(33, 5, dtype), rows(7, 5, dtype, 1)
    np.testing.assert_allclose(fk.gram(x, y, kernel=ScaledDot(5)), x @ y.T, atol=10 * tolerance("value", dtype))
    assert (fk.gram(x, y, kernel=Uniform(5)) == 1).all()
    np.testing.assert_allclose(np.diag(fk.gram(x, kernel=ScaledDot(5))), (x**2).sum(1), rtol=1e-5)


@st.composite
def programs(draw):
    """Draw any circuit: all gates, angles of one and two factors, constants."""
    n_qubits, n_features = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    names = [name for name in OPCODES if n_qubits > 1 or name not in TWO_QUBIT]
    number = st.floats(-3, 3, allow_nan=False)
    gates = []
    for _ in range(draw(st.integers(0, 12))):
        name = draw(st.sampled_from(names))
        qubits = draw(st.permutations(range(n_qubits)))[: 2 if name in TWO_QUBIT else 1]
        factor = st.builds(Linear, number, st.integers(-1, n_features - 1), number)
        angle = tuple(draw(st.lists(factor, min_size=1, max_size=2))) if name in WITH_ANGLE else ()
        gates.append(Gate(name, tuple(qubits), angle))
    return Program(n_qubits, n_features, tuple(gates))


@given(program=programs(), seed=st.integers(0, 100))
def test_any_program(program, seed):
    """Every gate, conjugation and qubit order, through the states, which are complex."""
    x = np.random.default_rng(seed).uniform(-2, 2, (3, program.n_features))
    expected = reference.run_program(program, x)
    feature_map = FromProgram(program)
    np.testing.assert_allclose(fk.states(x, feature_map=feature_map), expected, atol=1e-12)
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(feature_map)), np.abs(expected.conj() @ expected.T) ** 2, atol=1e-12)
    overlap = (expected[:1].conj() @ expected.T).real
    np.testing.assert_allclose(fk.gram(x[:1], x, kernel=fk.HadamardTest(feature_map)), (1 + overlap) / 2, atol=1e-12)


class FromProgram(FeatureMap):
    """A feature map that is one given Program."""

    def __init__(self, program):
        object.__setattr__(self, "n_features", program.n_features)
        object.__setattr__(self, "given", program)

    def program(self):
        return self.given


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeated_diagonals_of_small_states_keep_their_tables_apart(n_qubits, dtype):
    """Two different runs, each twice: their cosine tables lie side by side, also where a state is smaller than a vector."""
    first = tuple(Gate("p", (j,), (Linear(1.0, j),)) for j in range(n_qubits))
    second = tuple(Gate("rz", (j,), (Linear(-0.7, j, 0.4),)) for j in range(n_qubits))
    layer = tuple(Gate("ry", (j,), (Linear(0.5, j, 1.0),)) for j in range(n_qubits))
    program = Program(n_qubits, n_qubits, (*layer, *second, *layer, *first, *layer, *second, *layer, *first, *layer))
    x = np.random.default_rng(0).uniform(-2, 2, (5, n_qubits)).astype(dtype)
    expected = reference.run_program(program, x.astype(np.float64))
    got = fk.states(x, feature_map=FromProgram(program))
    np.testing.assert_allclose(got, expected, atol=2e-6 if dtype == np.float32 else 1e-12)


def test_global_phase_matters_to_hadamard_test_only():
    plain = Program(2, 1, (Gate("h", (0,)), Gate("rx", (0,), (Linear(1.0, 0),)), Gate("cx", (0, 1))))
    # diag(e^-it/2, e^it/2) then diag(1, e^-it) is the phase e^-it/2.
    phase = (Gate("rz", (0,), (Linear(1.0, 0),)), Gate("p", (0,), (Linear(-1.0, 0),)))
    phased = Program(2, 1, (*plain.gates, *phase))
    x = np.array([[0.3], [1.9], [-0.7]])
    without, with_phase = FromProgram(plain), FromProgram(phased)
    np.testing.assert_allclose(fk.gram(x, kernel=fk.Fidelity(with_phase)), fk.gram(x, kernel=fk.Fidelity(without)), atol=1e-12)
    difference = fk.gram(x, kernel=fk.HadamardTest(with_phase)) - fk.gram(x, kernel=fk.HadamardTest(without))
    assert np.abs(difference).max() > 0.05


def test_overlap_conjugates_the_left_state():
    """Re<x|y> of y = i x is 0 and of P-phases Re(conj(a) b); a missing conjugate gives another number."""
    program = Program(1, 1, (Gate("h", (0,)), Gate("p", (0,), (Linear(1.0, 0),))))
    x, y = np.array([[0.9]]), np.array([[0.4]])
    expected = (1 + (1 + np.cos(0.9 - 0.4)) / 2) / 2
    assert fk.gram(x, y, kernel=fk.HadamardTest(FromProgram(program)))[0, 0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.measured
def test_large_matrices_take_no_memory_but_their_own():
    """20,000 x 20,000 float32 are 1.6 GB; the call may take 5 % more."""
    x = "x = np.random.default_rng(0).uniform(0, 3, (20_000, 8)).astype(np.float32)"
    (used,) = peak_bytes(x, "fk.gram(x, kernel=fk.Fidelity(fk.Angle(8)))")
    assert 0.99 * 1.6e9 < used <= 1.05 * 1.6e9


@given(
    n=st.integers(1, 70),
    m=st.integers(1, 300),
    d=st.integers(1, 6),
    which=st.integers(0, 10**6),
    wide=st.booleans(),
    seed=st.integers(0, 99),
)
def test_random_shapes(n, m, d, which, wide, seed):
    candidates = kernels(d)
    kernel = candidates[which % len(candidates)]
    dtype = np.float64 if wide else np.float32
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)).astype(dtype), rng.normal(size=(m, d)).astype(dtype)
    some = rng.integers(0, n, 2)
    got = fk.gram(x, y, kernel=kernel)
    np.testing.assert_allclose(got[some], reference.gram(x[some], y, kernel), atol=kernel.power * tolerance("value", dtype), rtol=0)
