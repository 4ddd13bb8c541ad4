# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The backends on cuStateVec and cuTensorNet.

On a GPU they run NVIDIA's libraries. On the emulated device two stand-ins, written from the documentation of those functions, take their
place: they show that our calls, their order and every layout make the right numbers, not that NVIDIA's code does.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from contract import expected_gram, rows, tolerance
from flashket import reference
from flashket.backends import _cuquantum
from flashket.backends.custatevec import CUSTATEVEC, sample
from flashket.backends.custatevec import expectations as state_expectations
from flashket.backends.cutensornet import CUTENSORNET
from flashket.backends.cutensornet import expectations as network_expectations
from flashket.errors import BackendUnavailable, InputError

STAND_INS = {"custatevec_stand_in.cpp": "libcustatevec.so.1", "cutensornet_stand_in.cpp": "libcutensornet.so.2"}

MAPS = [fk.ZZ(4), fk.IQP(3, reps=2), fk.HardwareEfficient(5), fk.Angle(3), fk.ZZ(4, reps=1, entanglement="linear")]

PAULI = {"X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}


@pytest.fixture(scope="module")
def libraries(device, tmp_path_factory):
    """Make both backends available, or skip."""
    if not device.is_emulated:
        if not (CUSTATEVEC.available and CUTENSORNET.available):
            pytest.skip("cuQuantum is not installed")
        yield device
        return
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert compiler, "the emulated device was built with a compiler"
    folder = tmp_path_factory.mktemp("cuquantum")
    for source, library in STAND_INS.items():
        path = Path(__file__).with_name(source)
        subprocess.run([compiler, "-std=c++20", "-O1", "-shared", "-fPIC", str(path), "-o", str(folder / library)], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLASHKET_CUQUANTUM", str(folder))
        for cached in (_cuquantum.folders, _cuquantum._open, _cuquantum._absence):
            cached.cache_clear()
        yield device
    for cached in (_cuquantum.folders, _cuquantum._open, _cuquantum._absence):
        cached.cache_clear()


def matrix(text, n_qubits):
    """Return a Pauli string as a matrix."""
    factors = {int(word[1:]): PAULI[word[0]] for word in text.split()}
    full = np.eye(1)
    for qubit in reversed(range(n_qubits)):
        full = np.kron(full, factors.get(qubit, np.eye(2)))
    return full


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("feature_map", MAPS, ids=repr)
def test_states(libraries, feature_map, n, dtype):
    x = rows(n, feature_map.n_features, dtype)
    got = fk.states(x, feature_map=feature_map, backend="custatevec")
    np.testing.assert_allclose(got, reference.states(x, feature_map), atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("kernel", [*(fk.Fidelity(each) for each in MAPS), fk.HadamardTest(fk.ZZ(3), power=2)], ids=repr)
def test_gram(libraries, kernel, symmetric, dtype):
    x, y = rows(5, kernel.n_features, dtype), None if symmetric else rows(9, kernel.n_features, dtype, 1)
    expected = expected_gram(kernel, 5, None if symmetric else 9, dtype)
    got = fk.gram(x, y, kernel=kernel, backend="custatevec")
    np.testing.assert_allclose(got, expected, atol=tolerance("value", dtype), rtol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("feature_map", [fk.ZZ(5), fk.IQP(2), fk.ZZ(6, reps=2, entanglement="linear")], ids=repr)
def test_gram_of_matrix_product_states(libraries, feature_map, symmetric, dtype):
    kernel = fk.Fidelity(feature_map)
    x, y = rows(4, feature_map.n_features, dtype), None if symmetric else rows(3, feature_map.n_features, dtype, 1)
    got = fk.gram(x, y, kernel=kernel, backend="cutensornet")
    np.testing.assert_allclose(got, expected_gram(kernel, 4, None if symmetric else 3, dtype), atol=tolerance("value", dtype), rtol=0)


def test_attention(libraries):
    rng = np.random.default_rng(0)
    q, k, v = (rng.normal(size=(1, 2, length, 3)) for length in (5, 7, 7))
    kernel = fk.Fidelity(fk.ZZ(3))
    got = fk.attention(q, k, v, kernel=kernel, causal=True, backend="custatevec")
    np.testing.assert_allclose(got, reference.attention(q, k, v, kernel, causal=True), atol=1e-10, rtol=0)


@pytest.mark.parametrize("feature_map", MAPS, ids=repr)
def test_expectations(libraries, feature_map):
    x, n = rows(3, feature_map.n_features, np.float64), feature_map.n_qubits
    paulis = ["Z0", "X1", "Y0 Z2", "X0 Y1 Z2"]
    states = reference.states(x, feature_map)
    expected = np.array([[np.vdot(state, matrix(text, n) @ state).real for text in paulis] for state in states])
    np.testing.assert_allclose(state_expectations(x, feature_map=feature_map, paulis=paulis), expected, atol=1e-12)
    np.testing.assert_allclose(network_expectations(x, feature_map=feature_map, paulis=paulis), expected, atol=1e-12)
    single = network_expectations(x, feature_map=feature_map, paulis=paulis, dtype=np.float32)
    np.testing.assert_allclose(single, expected, atol=2e-6)


@pytest.mark.parametrize("feature_map", MAPS, ids=repr)
def test_gradients_of_expectations(libraries, feature_map):
    x, n, paulis, step = rows(2, feature_map.n_features, np.float64), feature_map.n_qubits, ["Z0", "X0 Y1"], 1e-6
    _, slopes = network_expectations(x, feature_map=feature_map, paulis=paulis, gradients=True)

    def values(rows_):
        return np.array([[np.vdot(s, matrix(text, n) @ s).real for text in paulis] for s in reference.states(rows_, feature_map)])

    for f in range(feature_map.n_features):
        shift = step * np.eye(feature_map.n_features)[f]
        numeric = (values(x + shift) - values(x - shift)) / (2 * step)
        np.testing.assert_allclose(slopes[:, :, f], numeric, atol=1e-7)


def test_samples_follow_the_state(libraries):
    feature_map, shots = fk.ZZ(3), 20_000
    x = rows(2, 3, np.float64)
    got = sample(x, feature_map=feature_map, shots=shots, seed=1)
    assert got.shape == (2, shots)
    np.testing.assert_array_equal(got, sample(x, feature_map=feature_map, shots=shots, seed=1))
    for counts, state in zip(got, reference.states(x, feature_map), strict=True):
        expected = shots * np.abs(state) ** 2
        chi_square = ((np.bincount(counts, minlength=8) - expected) ** 2 / expected).sum()
        assert chi_square < 29.9  # 7 degrees of freedom: exceeded once in 10,000


@pytest.mark.parametrize("paulis", [[], "Z0", ["Z9"], ["Q0"], ["Z0 X0"], [""], [3], ["Z0,Z1"]], ids=repr)
def test_wrong_paulis(libraries, paulis):
    for call in (state_expectations, network_expectations):
        with pytest.raises(InputError, match=r"^\[expectations\] paulis must be a list of Pauli strings on qubits 0..2, got"):
            call(np.zeros((1, 3)), feature_map=fk.ZZ(3), paulis=paulis)


@pytest.mark.parametrize(
    ("backend", "kernel", "reason"),
    [
        ("custatevec", fk.Projected(fk.ZZ(3)), "Fidelity and HadamardTest of a circuit"),
        ("custatevec", fk.Fidelity(fk.Amplitude(3)), "custatevec runs circuits"),
        ("cutensornet", fk.Fidelity(fk.ZZ(22)), "the states need bonds of 2048, the device sweeps matrix product states of up to 1024"),
        ("cutensornet", fk.Fidelity(fk.ZZ(1)), "two qubits and more"),
    ],
)
def test_what_they_cannot_run(libraries, backend, kernel, reason):
    with pytest.raises(BackendUnavailable, match=reason):
        fk.gram(np.zeros((2, kernel.n_features)) + 0.1, kernel=kernel, backend=backend)


def test_shots_are_checked(libraries):
    for shots in (0, -1, 2.5, 2**31):
        with pytest.raises(InputError, match=r"^\[sample\] shots must be"):
            sample(np.zeros((1, 3)), feature_map=fk.ZZ(3), shots=shots)


def test_an_absent_library_says_where_it_was_looked_for(device, tmp_path):
    """In a process of its own: a library stays open."""
    if not device.is_emulated:
        pytest.skip("cuQuantum may be installed here")
    program = """
import sys
import numpy as np, flashket as fk
sys.path.insert(0, "")
for name in ("custatevec", "cutensornet"):
    try:
        fk.gram(np.zeros((2, 3)), kernel=fk.Fidelity(fk.ZZ(3)), backend=name)
    except fk.errors.BackendUnavailable as error:
        print(error)
"""
    environment = {**os.environ, "FLASHKET_CUQUANTUM": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    for library, text in zip(("libcustatevec.so.1", "libcutensornet.so.2"), done.stdout.strip().splitlines(), strict=True):
        assert library in text
        assert str(tmp_path) in text
        assert "pip install 'flashket[cuquantum]'" in text
