# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The device's state kernels, compiled for the CPU with the emulator and called without the module: states in shared memory and in
passes over global memory, Bloch vectors, rows of line maps, overlaps of matrix product states, all against the oracle or the host core.
"""

from __future__ import annotations

import ctypes
import math
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from flashket import reference
from flashket.backends.cpu import core
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Linear, Program
from flashket.structure import line_parameters

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "cuda/states/program.cu",
    "cuda/states/bloch.cu",
    "cuda/feature_maps/line.cu",
    "cuda/gram/mps.cu",
    "cuda/gram/mps_large.cu",
    "cpp/core/program.cpp",
    "cpp/core/plan.cpp",
    "tests/cuda/states_entry.cpp",
)
DTYPES = (np.float32, np.float64)
VALUE = {np.float32: 2e-6, np.float64: 1e-12}


class _Program(ctypes.Structure):
    _fields_ = [("n_qubits", ctypes.c_int32), ("n_features", ctypes.c_int32), ("n_gates", ctypes.c_int64)] + [
        (name, ctypes.c_void_p) for name in ("opcodes", "qubits", "features", "coefficients")
    ]


class _Rows(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int32)] + [
        (name, ctypes.c_int64) for name in ("count", "length", "stride", "bytes")
    ]


def _address(array):
    return array.ctypes.data_as(ctypes.c_void_p)


class Kernels:
    """The shared library of states_entry.cpp."""

    def __init__(self, path):
        self.library = ctypes.CDLL(str(path))
        self.library.flashket_test_encode.restype = ctypes.c_char_p
        self.library.flashket_test_mps.restype = ctypes.c_char_p
        self.library.flashket_test_depth.restype = ctypes.c_int64

    def encode(self, name, x, dtype, *, program=None, params=(), block_bits=0, gap=3):
        """Return encoded rows, or "states", after checking that the elements between rows are left alone."""
        code = {"float16": 0, "float32": 2, "float64": 3}[x.dtype.name]
        numbers = np.array(params, np.float64)
        structure, arrays = None, None
        if program is not None:
            arrays = [np.ascontiguousarray(a) for a in program._arrays[2:]]
            structure = ctypes.byref(_Program(program.n_qubits, program.n_features, len(arrays[0]), *[a.ctypes.data for a in arrays]))
        shared = (_address(numbers), ctypes.c_int64(numbers.size), structure)
        depth = self.library.flashket_test_depth((b"program" if name == "states" else name.encode()), *shared)
        width = depth * {"program": 2, "states": 2, "bloch": 1, "line": 10}[name]
        pitch = width + (0 if name == "states" else gap)
        rows = _Rows(x.ctypes.data, code, x.shape[0], x.shape[1], x.strides[0] // x.itemsize, x.strides[0] * x.shape[0])
        out = np.full((len(x), pitch), -7, dtype)
        error = self.library.flashket_test_encode(
            name.encode(), *shared, ctypes.byref(rows), _address(out), int(dtype == np.float64), ctypes.c_int64(out.size),
            ctypes.c_int64(pitch), block_bits,
        )  # fmt: skip
        if error:
            raise ValueError(error.decode())
        assert (out[:, width:] == -7).all()
        return out[:, :width].astype(np.float64)

    def states(self, program, x, dtype, **options):
        """Return the states from both layouts, which hold the same numbers."""
        turns = self.encode("states", x, dtype, program=program, **options)
        planes = self.encode("program", x, dtype, program=program, **options)
        half = planes.shape[1] // 2
        np.testing.assert_array_equal(turns[:, 0::2], planes[:, :half])
        np.testing.assert_array_equal(turns[:, 1::2], planes[:, half:])
        return turns[:, 0::2] + 1j * turns[:, 1::2]

    def mps_gram(self, x, y, dtype, *, compute=0, hadamard=False, power=1, log=False, shots=0, seed=0):
        other = x if y is None else y
        out = np.full((len(x[0]), len(other[0])), np.nan, dtype)
        error = self.library.flashket_test_mps(
            ctypes.c_int64(x[0].shape[1] - 1), ctypes.c_int64(len(x[0])), *map(_address, x),
            ctypes.c_int64(-1 if y is None else len(y[0])), *map(_address, other), _address(out), int(dtype == np.float64),
            compute, int(hadamard), power, int(log), ctypes.c_int64(shots), ctypes.c_uint64(seed),
        )  # fmt: skip
        if error:
            raise ValueError(error.decode())
        return out


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        pytest.skip("no C++ compiler")
    folder = tmp_path_factory.mktemp("kernels")
    flags = ["-std=c++20", "-O2", "-fPIC", "-fno-strict-aliasing", "-DFLASHKET_EMULATE", "-I", "cuda", "-I", "cpp", "-x", "c++", "-c"]
    sources = [*SOURCES, *(str(path.relative_to(ROOT)) for path in (ROOT / "cuda/emulator").glob("*.cpp"))]

    def build(source):
        target = folder / (source.replace("/", "_") + ".o")
        subprocess.run([compiler, *flags, source, "-o", str(target)], check=True, cwd=ROOT)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(build, sources))
    library = folder / "kernels.so"
    subprocess.run([compiler, "-shared", "-o", str(library), *objects], check=True)
    return Kernels(library)


def random_program(rng, n_qubits, n_gates, n_features=3):
    """Every gate, with angles of one or two factors, each of a feature or a constant."""
    names = [name for name in OPCODES if n_qubits > 1 or name not in TWO_QUBIT]
    gates = []
    for _ in range(n_gates):
        name = names[rng.integers(len(names))]
        qubits = tuple(int(q) for q in rng.permutation(n_qubits)[: 2 if name in TWO_QUBIT else 1])
        features = rng.integers(-1, n_features, rng.integers(1, 3)) if name in WITH_ANGLE else ()
        angle = tuple(Linear(float(rng.normal()) if f >= 0 else 0.0, int(f), float(rng.normal())) for f in features)
        gates.append(Gate(name, qubits, angle))
    return Program(n_qubits, n_features, tuple(gates))


def bloch_vectors(states):
    n = int(math.log2(states.shape[1]))
    out = np.empty((len(states), 3 * n))
    for k in range(n):
        split = states.reshape(len(states), -1, 2, 2**k)
        zero, one = split[:, :, 0], split[:, :, 1]
        product = 2 * (zero.conj() * one).sum((1, 2))
        out[:, k], out[:, n + k] = product.real, product.imag
        out[:, 2 * n + k] = (abs(zero) ** 2 - abs(one) ** 2).sum((1, 2))
    return out


def check(kernels, program, x, dtype, **options):
    want = reference.run_program(program, x)
    np.testing.assert_allclose(kernels.states(program, x, dtype, **options), want, atol=VALUE[dtype], rtol=0)
    got = kernels.encode("bloch", x, dtype, program=program, **options)
    np.testing.assert_allclose(got, bloch_vectors(want), atol=VALUE[dtype], rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_qubits", range(1, 13))
def test_random_circuits(kernels, n_qubits, dtype):
    rng = np.random.default_rng(n_qubits)
    for rows, n_gates, scale in ((1, 0, 1), (3, 4 * n_qubits, 1), (40 if n_qubits < 8 else 5, 8 * n_qubits, 1e6)):
        x = (scale * rng.normal(size=(rows, 3))).astype(dtype)
        check(kernels, random_program(rng, n_qubits, n_gates), x, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_qubits", [7, 8, 9, 10])
def test_states_larger_than_a_block(kernels, n_qubits, dtype):
    rng = np.random.default_rng(n_qubits)
    x = rng.normal(size=(19, 3)).astype(dtype)
    check(kernels, random_program(rng, n_qubits, 60), x, dtype, block_bits=7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block_bits", [0, 8])
@pytest.mark.parametrize(
    "feature_map",
    [fk.IQP(9), fk.IQP(10, reps=3), fk.ZZ(9), fk.ZZ(10, reps=3, entanglement="circular"), fk.HardwareEfficient(10, layers=4)],
    ids=repr,
)
def test_maps(kernels, feature_map, block_bits, dtype):
    rng = np.random.default_rng(0)
    for scale in (1, 1e6):
        x = (scale * rng.normal(size=(5, feature_map.n_features))).astype(dtype)
        check(kernels, feature_map.program(), x, dtype, block_bits=block_bits)


@pytest.mark.parametrize(
    ("feature_map", "dtype"),
    [
        (fk.IQP(14), np.float32),
        (fk.HardwareEfficient(13), np.float64),
        (fk.HardwareEfficient(15), np.float32),
        (fk.HardwareEfficient(14), np.float64),
    ],
    ids=repr,
)
def test_largest_blocks_and_beyond(kernels, feature_map, dtype):
    x = np.random.default_rng(0).normal(size=(2, feature_map.n_features)).astype(dtype)
    check(kernels, feature_map.program(), x, dtype)


def test_many_operations(kernels):
    """Scales between the operations, and more rows than are prepared at a time."""
    rng = np.random.default_rng(0)
    program, x = random_program(rng, 3, 30_000), rng.normal(size=(150, 3)).astype(np.float32)
    states = kernels.states(program, x, np.float32)
    np.testing.assert_allclose(np.linalg.norm(states, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(states[[0, 149]], reference.run_program(program, x[[0, 149]]), atol=1e-4)
    program = random_program(rng, 5, 800)
    for dtype in DTYPES:
        np.testing.assert_allclose(kernels.states(program, x[:9], dtype), reference.run_program(program, x[:9]), atol=2 * VALUE[dtype])


def test_rows_of_other_types(kernels):
    program = fk.ZZ(3).program()
    x = np.random.default_rng(0).normal(size=(6, 3))
    half = x.astype(np.float16)
    np.testing.assert_allclose(kernels.states(program, half, np.float32), reference.run_program(program, half), atol=2e-6)
    strided = np.full((6, 5), np.nan)
    strided[:, :3] = x
    np.testing.assert_allclose(kernels.states(program, strided[:, :3], np.float64), reference.run_program(program, x), atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_in_its_row(kernels, dtype):
    x = np.random.default_rng(0).normal(size=(5, 9)).astype(dtype)
    x[1, 3], x[4, 0] = np.nan, np.inf
    feature_map = fk.IQP(9, entanglement="linear")
    for name, options in (("program", {"program": feature_map.program()}), ("bloch", {"program": feature_map.program()})):
        out = kernels.encode(name, x, dtype, **options)
        np.testing.assert_array_equal(np.isnan(out), np.isin(np.arange(5), (1, 4))[:, None] | np.zeros(out.shape, bool))
    rows = kernels.encode("line", x, dtype, params=feature_map._lower()[1])
    np.testing.assert_array_equal(np.isnan(rows[:, 0]), np.isin(np.arange(5), (1, 4)))


def test_wrong_rows_are_refused(kernels):
    with pytest.raises(ValueError, match="as long as"):
        kernels.encode("program", np.zeros((2, 2)), np.float64, program=fk.ZZ(3).program())


def line_overlaps(x, y):
    """The transfer pair: gram/transfer.hpp of the host core, written plainly."""
    x, y = x.reshape(len(x), 1, -1, 5, 2), y.reshape(1, len(y), -1, 5, 2)
    cosine = (x * y).sum(-1)
    sine = x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]
    a = b = cosine[:, :, 0, 0] + 1j * sine[:, :, 0, 0]
    for d in range(1, cosine.shape[2]):
        turned = b * (cosine[:, :, d, 0] + 1j * sine[:, :, d, 0])
        f = cosine[:, :, d]
        a, b = (f[..., 1] * a + f[..., 3] * turned) / 2, (f[..., 2] * a + f[..., 4] * turned) / 2
    return a


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "feature_map",
    [
        *[fk.IQP(n, entanglement="linear") for n in (2, 3, 4, 5, 8, 9, 17, 60)],
        *[fk.ZZ(n, reps=1, entanglement="linear") for n in (2, 3, 8, 31, 60)],
        fk.IQP(12, entanglement=[(3, 1), (1, 0), (5, 4)]),
    ],
    ids=repr,
)
def test_line(kernels, feature_map, dtype):
    params = line_parameters(feature_map.program())
    rng = np.random.default_rng(feature_map.n_features)
    for scale in (0.3, 1e3):
        x = (scale * rng.normal(size=(7, feature_map.n_features))).astype(dtype)
        y = (x[:5] + min(0.02, scale) * rng.normal(size=(5, feature_map.n_features))).astype(dtype)
        got = line_overlaps(*(kernels.encode("line", rows, dtype, params=params) for rows in (x, y)))
        x, y = x.astype(np.float64), y.astype(np.float64)
        np.testing.assert_allclose(abs(got) ** 2, reference.gram(x, y, fk.Fidelity(feature_map)), atol=VALUE[dtype], rtol=0)
        np.testing.assert_allclose(0.5 + 0.5 * got.real, reference.gram(x, y, fk.HadamardTest(feature_map)), atol=VALUE[dtype], rtol=0)


def mps_states(program, x, max_bond):
    """Return (bonds, offsets, tensors) from the host core."""
    return tuple(np.ascontiguousarray(a) for a in core().mps_states(program._arrays, x, max_bond, 0.0)[1:4])


def neighbours(rng, n_qubits, n_gates):
    """Rotations and couplings of random neighbours."""
    gates = []
    for _ in range(n_gates):
        q = int(rng.integers(n_qubits - 1))
        angles = [(Linear(0.5, int(rng.integers(3)), float(rng.normal())),) for _ in range(3)]
        gates += [Gate("ry", (q,), angles[0]), Gate("crx", (q, q + 1), angles[1]), Gate("rzz", (q + 1, q), angles[2])]
    return Program(n_qubits, 3, tuple(gates))


@pytest.mark.parametrize(
    ("n_qubits", "n_gates", "max_bond"), [(2, 3, 2), (6, 60, 8), (8, 80, 16), (10, 120, 32), (12, 150, 19), (30, 150, 8), (200, 300, 4)]
)
def test_mps_overlaps(kernels, n_qubits, n_gates, max_bond):
    rng = np.random.default_rng(n_qubits)
    program = neighbours(rng, n_qubits, n_gates)
    near = rng.normal(size=3)
    x = mps_states(program, near + 0.2 * rng.normal(size=(11 if max_bond < 16 else 4, 3)), max_bond)
    y = mps_states(program, near + 0.05 * rng.normal(size=(6 if max_bond < 16 else 3, 3)), max_bond)
    for other in (None, y):
        for similarity, power, log in (("fidelity", 1, False), ("fidelity", 3, True), ("hadamard", 2, False), ("hadamard", 1, True)):
            want = np.empty((len(x[0]), len((other or x)[0])))
            core().mps_gram(x, other, want, similarity, power, log, 0, 0)
            options = {"hadamard": similarity == "hadamard", "power": power, "log": log}
            got = kernels.mps_gram(x, other, np.float64, **options)
            np.testing.assert_allclose(got, want, atol=1e-12, rtol=1e-12 if log else 0)
            np.testing.assert_allclose(kernels.mps_gram(x, other, np.float32, **options), want, atol=2e-7, rtol=2e-7 if log else 0)
            if other is None:
                np.testing.assert_array_equal(got, got.T)
                np.testing.assert_array_equal(np.diag(got), 0 if log else 1)
            single = kernels.mps_gram(x, other, np.float32, compute=4, **options)
            np.testing.assert_allclose(single, want, atol=1e-5, rtol=1e-5 if log else 0)


def test_mps_shots_are_the_hosts(kernels):
    rng = np.random.default_rng(0)
    x = mps_states(neighbours(rng, 20, 100), 0.3 * rng.normal(size=(30, 3)), 4)
    for power in (1, 2):
        want = np.empty((30, 30))
        core().mps_gram(x, None, want, "fidelity", power, False, 1000, 7)
        assert np.mean(kernels.mps_gram(x, None, np.float64, power=power, shots=1000, seed=7) == want) > 0.9999


def test_large_bonds(kernels):
    """States that do not fit into shared memory, and those that no device path takes."""
    rng = np.random.default_rng(0)
    x, y = (mps_states(random_program(np.random.default_rng(1), 14, 300), rng.normal(size=(rows, 3)), 40) for rows in (4, 3))
    assert x[0].max() > 32
    for other in (None, y):
        want = np.empty((4, len((other or x)[0])))
        core().mps_gram(x, other, want, "fidelity", 1, False, 0, 0)
        np.testing.assert_allclose(kernels.mps_gram(x, other, np.float64), want, atol=1e-12, rtol=0)
        np.testing.assert_allclose(kernels.mps_gram(x, other, np.float32), want, atol=2e-7, rtol=0)
        np.testing.assert_allclose(kernels.mps_gram(x, other, np.float32, compute=4), want, atol=1e-5, rtol=0)
    bonds = np.array([[1, 1025, 1]], np.int32)
    with pytest.raises(ValueError, match="at most 1024, got 1025"):
        kernels.mps_gram((bonds, np.zeros(1, np.int64), np.zeros(4100, np.complex128)), None, np.float64)
