# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Lines of commuting couplings: products of 2x2 transfer matrices instead of states, any number of qubits."""

from __future__ import annotations

import numpy as np
import pytest

import flashket as fk
from contract import DTYPES, rows, tolerance
from flashket import reference
from flashket.feature_maps import FeatureMap
from flashket.program import Gate, Linear, Program
from flashket.structure import line_parameters


class Written(FeatureMap):
    """A map of given gates."""

    def __new__(cls, program):
        return object.__new__(cls)

    def __init__(self, program):
        object.__setattr__(self, "_gates", program)
        super().__init__(program.n_features)

    def program(self):
        return self._gates

    @property
    def n_qubits(self):
        return self._gates.n_qubits


def line_maps(n):
    return [fk.IQP(n, entanglement="linear"), fk.ZZ(n, reps=1, entanglement="linear", bandwidth=0.7)]


def kernels(feature_map):
    return [
        fk.Fidelity(feature_map),
        fk.HadamardTest(feature_map),
        fk.Fidelity(feature_map, power=3),
        fk.HadamardTest(feature_map, power=2),
    ]


def every_diagonal_gate():
    """Each diagonal gate on a line whose qubits are not in order: 3 - 0 - 4 - 1, and 2 - 5."""
    x = [Linear(0.8, j, 0.1 * j) for j in range(6)]
    gates = [Gate("h", (j,)) for j in (5, 0, 3)] + [Gate("rz", (3,), (x[3],))] + [Gate("h", (j,)) for j in (1, 2, 4)]
    gates += [Gate(name, (j,)) for j, name in enumerate(("z", "s", "sdg", "t", "tdg"))]
    gates += [Gate("p", (5,), (x[0], x[1])), Gate("p", (2,), (Linear(0.0, -1, 1.3),))]
    gates += [Gate("cz", (3, 0)), Gate("cp", (0, 3), (x[4],)), Gate("rzz", (4, 0), (x[1], x[2])), Gate("crz", (1, 4), (x[5],))]
    gates += [Gate("crz", (4, 1), (x[2],)), Gate("cx", (5, 2)), Gate("rz", (2,), (x[0],)), Gate("cx", (5, 2))]
    gates += [Gate("cx", (2, 5)), Gate("p", (5,), (x[3],)), Gate("cx", (2, 5)), Gate("crz", (5, 2), (x[1],))]
    return Program(6, 6, tuple(gates))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [5, 6, 9, 13])
def test_against_states(n, dtype):
    x, y = rows(9, n, dtype), rows(37, n, dtype, 1)
    for feature_map in line_maps(n):
        for kernel in kernels(feature_map):
            assert kernel._lower()[0] == "line"
            np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), reference.gram(x, y, kernel), atol=tolerance("value", dtype))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_short_lines_in_the_compiled_module(n):
    """Also those that the planner leaves to states."""
    from flashket import _core

    x, y = rows(5, n, np.float64), rows(6, n, np.float64, 1)
    for feature_map in line_maps(n):
        for kernel in kernels(feature_map):
            out = np.empty((5, 6))
            spec = ("line", line_parameters(feature_map.program()), None, kernel.similarity, kernel.power)
            _core.gram(spec, x, y, out, False, 0, 0)
            np.testing.assert_allclose(out, reference.gram(x, y, kernel), atol=1e-12)


def test_every_diagonal_gate_and_any_order_of_the_qubits():
    feature_map = Written(every_diagonal_gate())
    x, y = rows(7, 6, np.float64), rows(8, 6, np.float64, 1)
    for kernel in kernels(feature_map):
        assert kernel._lower()[0] == "line"
        np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), reference.gram(x, y, kernel), atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [100, 784])
def test_many_qubits(n, dtype):
    """Near and far rows, in values and logarithms, against the oracle along the line."""
    x = rows(5, n, dtype)
    near = x + (1e-3 * np.random.default_rng(n).standard_normal(x.shape)).astype(dtype)
    y = np.concatenate([x[:1], near, rows(4, n, dtype, 1)])
    for feature_map in line_maps(n):
        for kernel in kernels(feature_map):
            np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), reference.gram(x, y, kernel), atol=tolerance("value", dtype))
            got, expected = fk.gram(x, y, kernel=kernel, log=True), reference.gram(x, y, kernel, log=True)
            assert (np.abs(got - expected) <= tolerance("log", dtype) * np.maximum(1, np.abs(expected))).all()
    assert fk.gram(x, y, kernel=fk.Fidelity(line_maps(n)[0]), log=True).min() < -60 * n / 100


@pytest.mark.parametrize("n", [8, 16, 17, 60])
def test_float32_of_equal_constant_rows(n):
    """Rounding errors of one sign in every site: they must not add up."""
    for value in (0.123, 1.599, -2.091):
        x = np.full((1, n), value, np.float32)
        for feature_map in line_maps(n):
            for power in (1, 3):
                kernel = fk.Fidelity(feature_map, power=power)
                y = x + np.float32(1e-3)
                assert abs(fk.gram(x, x.copy(), kernel=kernel)[0, 0] - 1) <= 2e-6
                np.testing.assert_allclose(fk.gram(x, y, kernel=kernel), reference.gram(x, y, kernel), atol=2e-6)


def test_the_oracle_along_a_line_is_the_dense_one(monkeypatch):
    x, y = rows(4, 6, np.float64), rows(5, 6, np.float64, 1)
    for feature_map in line_maps(6):
        kernel = fk.HadamardTest(feature_map)
        dense = reference.gram(x, y, kernel)
        with monkeypatch.context() as patch:
            patch.setattr(reference, "_DENSE_QUBITS", 2)
            np.testing.assert_allclose(reference.gram(x, y, kernel), dense, atol=1e-14)


def test_the_oracle_along_a_line_refuses_other_circuits(monkeypatch):
    monkeypatch.setattr(reference, "_DENSE_QUBITS", 1)
    h = tuple(Gate("h", (j,)) for j in range(3))
    for gates in ((*h[:2], Gate("cz", (0, 1))), (*h, Gate("cz", (0, 2))), (*h, Gate("cx", (0, 1)), Gate("cz", (1, 2)))):
        with pytest.raises((ValueError, IndexError)):
            reference.gram(np.zeros((1, 1)), None, fk.Fidelity(Written(Program(3, 1, (*gates, Gate("cz", (1, 2)))))))


def test_what_is_not_a_line():
    h = tuple(Gate("h", (j,)) for j in range(4))
    pairs = [(0, 1), (1, 2), (2, 3)]
    line = tuple(Gate("cz", pair) for pair in pairs)
    assert line_parameters(Program(4, 1, h + line)) is not None
    others = [
        (*h, *line, Gate("cz", (0, 3))),  # a ring
        (*h, Gate("cz", (0, 1)), Gate("cz", (0, 2)), Gate("cz", (0, 3))),  # a star
        (*h[:3], *line),  # H is missing
        h[:3] + line + h[3:],  # H after a gate
        h + line + h[:1],  # H twice
        (*h, *line, Gate("rx", (0,), (Linear(1.0, 0),))),
        (*h, Gate("cx", (0, 1)), Gate("p", (0,), (Linear(1.0, 0),)), Gate("cx", (0, 1))),  # on the control
        (*h, Gate("cx", (0, 1)), Gate("p", (1,), (Linear(1.0, 0),)), Gate("cx", (1, 0))),
        (*h, Gate("swap", (0, 1))),
    ]
    for gates in others:
        assert line_parameters(Program(4, 1, gates)) is None
    assert fk.Fidelity(fk.IQP(6, reps=2, entanglement="linear"))._lower()[0] == "program"
    assert fk.Fidelity(fk.IQP(6))._lower()[0] == "program"


def test_states_that_never_overlap():
    """All at once or at one site only: zero is zero, also in the log."""
    gates = [Gate("h", (j,)) for j in range(40)] + [Gate("cz", (j, j + 1)) for j in range(39)]
    gates += [Gate("rz", (20,), (Linear(1.0, 0),)), Gate("p", (7,), (Linear(1.0, 1),))]
    kernel = fk.Fidelity(Written(Program(40, 2, tuple(gates))))
    x, y = np.zeros((1, 2)), np.array([[np.pi, 0.0], [0.0, 0.5]])
    got = fk.gram(x, y, kernel=kernel)
    np.testing.assert_allclose(got, [[0, np.cos(0.25) ** 2]], atol=1e-12)
    assert fk.gram(x, y, kernel=kernel, log=True)[0, 0] < -60
    assert np.isfinite(fk.gram(np.full((3, 784), 1e70), kernel=fk.Fidelity(fk.IQP(784, entanglement="linear")))).all()


@pytest.mark.parametrize("feature_map", [fk.IQP(50, entanglement="linear"), fk.ZZ(8, reps=1, entanglement="linear")], ids=repr)
def test_symmetric_gram_and_shots(feature_map, restore_threads):
    n = feature_map.n_features
    x = 0.05 * rows(70, n, np.float64)
    kernel = fk.Fidelity(feature_map)
    results = []
    for threads in (1, 3):
        fk.set_num_threads(threads)
        results.append((fk.gram(x, kernel=kernel), fk.gram(x, kernel=kernel, log=True), fk.gram(x, kernel=kernel, shots=100, seed=3)))
    for one, three in zip(*results, strict=True):
        np.testing.assert_array_equal(one, three)
        np.testing.assert_array_equal(one, one.T)
    exact, log, sampled = results[0]
    assert (np.diagonal(exact) == 1).all() and (np.diagonal(log) == 0).all()
    np.testing.assert_allclose(exact, np.exp(log), atol=1e-12)
    assert np.linalg.eigvalsh(exact).min() > -1e-11
    assert np.abs(sampled - exact).max() < 0.3 and set(np.unique(np.round(sampled * 100, 9) % 1)) == {0.0}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("normalization", ["sum", "softmax"])
@pytest.mark.parametrize("n", [6, 30, 200])
def test_attention(n, normalization, dtype):
    q, k = rows(9, n, dtype).reshape(1, 1, 9, n), rows(14, n, dtype, 1).reshape(1, 1, 14, n)
    v = rows(14, 5, dtype, 2).reshape(1, 1, 14, 5)
    for kernel in (fk.Fidelity(line_maps(n)[0]), fk.HadamardTest(line_maps(n)[1])):
        got = fk.attention(q, k, v, kernel=kernel, normalization=normalization, causal=True)
        expected = reference.attention(q, k, v, kernel, normalization=normalization, causal=True)
        assert np.abs(got - expected).max() <= tolerance("attention", dtype) * np.abs(expected).max()


def test_memory_and_explanation():
    kernel = fk.Fidelity(fk.IQP(784, entanglement="linear"))
    plan = fk.explain(kernel, n=100)
    assert "transfer matrices" in plan.path and "line" in plan.why and plan.limit == ""
    # 128 rows of 10 numbers for two qubits and the result; every thread holds a tile and 16 rows.
    own = fk.get_num_threads() * (16 * 3946 + 2**19 + 2**17) * 8
    assert 100 * 100 * 8 + 128 * 3930 * 8 <= plan.bytes < 100 * 100 * 8 + 128 * 3930 * 8 + own
    assert "2^12" in fk.explain(fk.Fidelity(fk.IQP(12, reps=2, entanglement="linear")), n=100).path
