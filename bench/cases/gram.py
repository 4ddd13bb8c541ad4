# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gram matrices from closed forms and from states, projected kernels, and sampling."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import flashket as fk
from cases import expert
from cases.harness import SAMPLED_ROWS, Array, Case, Side, costs, faster, need, within
from flashket import reference
from flashket.backends.cpu import core

Makers = dict[str, Callable[[], Side]]


def uniform(rows: int, width: int, high: float, dtype: Any = np.float32) -> Array:
    """Return the data of a case, the same in every run."""
    return np.random.default_rng(width).uniform(0, high, (rows, width)).astype(dtype)


def against_oracle(x: Array, kernel: Any) -> Callable[[Array], float]:
    """Return a check of some rows of a Gram matrix against the complex128 oracle; of circuits also some columns, as it is slow."""
    rng = np.random.default_rng(1)
    rows = rng.choice(len(x), min(SAMPLED_ROWS, len(x)), replace=False)
    closed = isinstance(kernel.feature_map, (fk.Angle, fk.Amplitude))
    columns = np.arange(len(x)) if closed else np.concatenate([rows[:4], rng.choice(len(x), 4)])

    def check(result: Array) -> float:
        wanted = reference.gram(x[rows].astype(np.float64), x[columns].astype(np.float64), kernel)
        return float(np.abs(result[np.ix_(rows, columns)] - wanted).max())

    return check


def gram_side(x: Array, kernel: Any, out: Array | None = None, **options: Any) -> Side:
    """Return FlashKet's side."""
    return Side(lambda: fk.gram(x, kernel=kernel, out=out, **options), against_oracle(x, kernel), packages=("flashket", "numpy"))


def filled(value: float, out: Array) -> Callable[[Any], float]:
    """Return a check that a fill wrote every element."""
    return lambda _: float(np.abs(out - np.float32(value)).max())


def angle_gram(d: int, goal: float) -> Case:
    """The Gram matrix beside writing the same array once."""

    def make(quick: bool) -> Makers:
        n = 256 if quick else 4096
        x = uniform(n, d, np.pi)
        out = fk.gram(x, kernel=fk.Fidelity(fk.Angle(d)))  # begins a cache line, as every result does

        def memset() -> None:
            ctypes.memset(out.ctypes.data, 63, out.nbytes)  # not 0: some processors clear memory faster than they write it

        return {
            "ours": lambda: gram_side(x, fk.Fidelity(fk.Angle(d)), out),
            "memset": lambda: Side(memset, filled(np.frombuffer(b"????", np.float32)[0], out), 0),
            "ndarray.fill": lambda: Side(lambda: out.fill(1.5), filled(1.5, out), 0),
        }

    about = f"angle, {d} features, N = 4,096, float32, Y=None, the array given; angles within half a turn"
    rows = (within("memset", goal), within("ndarray.fill", goal))
    pairs = 4096 * 4097 / 2
    return Case(f"gram_angle_{d}f_4096_f32", about, make, rows, work={"fill": 4096**2 * 4, "instructions_f32": pairs * 2 * d})


def angle_port_bound(name: str, high: float, instructions: float) -> Case:
    """64 features: vector instructions a feature and pair against the rate at which the ports take them."""

    def make(quick: bool) -> Makers:
        n = 256 if quick else 4096
        x = uniform(n, 64, high)
        out = fk.gram(x, kernel=fk.Fidelity(fk.Angle(64)))
        return {"ours": lambda: gram_side(x, fk.Fidelity(fk.Angle(64)), out)}

    about = f"angle, 64 features, N = 4,096, float32, Y=None; angles {'within half a turn' if high < 4 else 'all around'}: "
    about += f"{instructions} vector instructions a feature, N^2/2 pairs"
    work = {"instructions_f32": 4096**2 / 2 * 64 * instructions}
    rows = (within("limit", 1 / 0.8), costs("ps per feature and pair", 1e-12 * 4096**2 / 2 * 64))
    return Case(name, about, make, rows, work=work)


def angle_expert(d: int) -> Case:
    """The closed form in NumPy."""

    def make(quick: bool) -> Makers:
        x = uniform(250 if quick else 1000, d, np.pi)
        kernel = fk.Fidelity(fk.Angle(d))
        return {
            "ours": lambda: gram_side(x, kernel),
            "expert NumPy": lambda: Side(lambda: expert.angle_gram(x), against_oracle(x, kernel)),
        }

    return Case(f"gram_angle_{d}f_1000_f32", f"angle, {d} features, N = 1,000, float32, Y=None", make, (faster("expert NumPy", 4.0),))


def amplitude_gram() -> Case:
    """1,024 components beside one GEMM of both orders."""

    def make(quick: bool) -> Makers:
        n, d = (256, 64) if quick else (4096, 1024)
        x = np.random.default_rng(d).normal(size=(n, d)).astype(np.float32)
        other = x.copy()  # another array: NumPy takes syrk for x @ x.T
        out = fk.gram(x, kernel=fk.Fidelity(fk.Amplitude(d)))
        rows = np.arange(0, n, max(1, n // SAMPLED_ROWS))
        exact = x[rows].astype(np.float64) @ x.T.astype(np.float64)
        columns = np.asfortranarray(x.T)

        def check(product: Array) -> float:
            return float(np.abs(product[rows] - exact).max() / np.abs(exact).max())

        def check_half(product: Array) -> float:  # syrk writes one triangle
            upper = np.triu(product)
            upper += np.triu(product, 1).T
            return float(np.abs(upper[rows] - exact).max() / np.abs(exact).max())

        def scipy_sgemm() -> Side:
            blas = need("scipy.linalg.blas", "scipy")
            return Side(lambda: blas.sgemm(1.0, columns, columns, c=out.T, trans_a=True, overwrite_c=True), check, 1e-5, ("scipy",))

        def scipy_ssyrk() -> Side:
            blas = need("scipy.linalg.blas", "scipy")
            return Side(lambda: blas.ssyrk(1.0, columns, c=out.T, trans=True, overwrite_c=True), check_half, 1e-5, ("scipy",))

        return {
            "ours": lambda: gram_side(x, fk.Fidelity(fk.Amplitude(d)), out),
            "sgemm (NumPy)": lambda: Side(lambda: np.matmul(x, other.T, out=out), check, 1e-5),
            "sgemm (SciPy)": scipy_sgemm,
            "ssyrk (SciPy)": scipy_ssyrk,
            "expert NumPy": lambda: Side(lambda: expert.amplitude_gram(x), against_oracle(x, fk.Fidelity(fk.Amplitude(d)))),
        }

    about = "amplitude, d = 1,024, N = 4,096, float32, Y=None; sgemm is the full N x N x d product, ssyrk half of it"
    rows = (within("sgemm (NumPy) | sgemm (SciPy)", 0.62), within("ssyrk (SciPy)", 1.1), faster("expert NumPy"))
    work = {"fma_f32": 4096 * 4097 * 1024, "fill": 4096**2 * 4}
    return Case("gram_amplitude_1024d_4096_f32", about, make, rows, work=work)


STATES_GIVEN = "our states, array given"
BUTTERFLIES = "expert NumPy (fast Walsh-Hadamard)"
WHOLE = "NumPy, whole arrays (fast Walsh-Hadamard)"
HADAMARD_GEMM = "expert NumPy (Walsh-Hadamard as GEMM)"


def zz_gram(n: int) -> Case:
    """ZZ beside forty lines of NumPy: whole, states alone, pairs alone (whole less states)."""
    full_rows = 1000

    def make(quick: bool) -> Makers:
        n_rows, qubits = (100, min(n, 6)) if quick else (full_rows, n)
        x = uniform(n_rows, qubits, 2 * np.pi)
        feature_map = fk.ZZ(qubits)
        kernel, plan = fk.Fidelity(feature_map), expert.zz_plan(qubits)
        sampled = np.arange(0, n_rows, max(1, n_rows // 8))
        exact = expert.zz_states_exact(x[sampled])
        oracle_error = float(np.abs(exact[:1] - reference.states(x[:1].astype(np.float64), feature_map)).max())

        def check_states(states: Array) -> float:
            return max(oracle_error, float(np.abs(states[sampled] - exact).max()))

        def check_gram(gram: Array) -> float:
            return max(oracle_error, float(np.abs(gram[np.ix_(sampled, sampled)] - np.abs(exact.conj() @ exact.T) ** 2).max()))

        def cgemm() -> Side:
            left = expert.zz_states_gemm(x, plan)
            right = left.conj().T.copy()

            def check(overlap: Array) -> float:
                wanted = left[sampled].astype(np.complex128) @ right[:, sampled]
                return float(np.abs(overlap[np.ix_(sampled, sampled)] - wanted).max())

            return Side(lambda: left @ right, check)

        def states_given() -> Side:
            spec, out = kernel._lower(), np.empty((n_rows, 2**qubits), np.complex64)

            def run() -> Array:
                core().states(spec, x, out)
                return out

            return Side(run, check_states, packages=("flashket",))

        def whole(states: Callable[[Array, Any], Array]) -> Side:
            return Side(lambda: expert.fidelity(states(x, plan)), check_gram, 2e-5)

        def alone(states: Callable[[Array, Any], Array]) -> Side:
            return Side(lambda: states(x, plan), check_states, 2e-5)

        return {
            "ours": lambda: Side(lambda: fk.gram(x, kernel=kernel), check_gram, packages=("flashket", "numpy")),
            "our states": lambda: Side(lambda: fk.states(x, feature_map=feature_map), check_states, packages=("flashket", "numpy")),
            STATES_GIVEN: states_given,
            WHOLE: lambda: whole(expert.zz_states_whole),
            BUTTERFLIES: lambda: whole(expert.zz_states_butterflies),
            HADAMARD_GEMM: lambda: whole(expert.zz_states_gemm),
            f"states, {WHOLE}": lambda: alone(expert.zz_states_whole),
            f"states, {BUTTERFLIES}": lambda: alone(expert.zz_states_butterflies),
            f"states, {HADAMARD_GEMM}": lambda: alone(expert.zz_states_gemm),
            "cgemm (NumPy)": cgemm,
        }

    whole_goal = 5.0 if n == 12 else None
    rows = (
        faster(f"states, {WHOLE}", 25.0, ours="our states"),
        faster(f"states, {BUTTERFLIES}", 25.0, ours="our states"),
        faster(f"states, {HADAMARD_GEMM}", ours="our states"),
        within("cgemm (NumPy)", 0.58, ours=f"ours - {STATES_GIVEN}"),
        faster(WHOLE, whole_goal),
        faster(BUTTERFLIES, whole_goal),
        faster(HADAMARD_GEMM),
    )
    about = f"ZZ, 2 repetitions, all pairs, n = {n}, N = 1,000, float32, Y=None; "
    about += "pairs alone are the whole less the states, written into an array that exists"
    peers = {"cgemm (NumPy)", *(f"{prefix}{name}" for prefix in ("", "states, ") for name in (WHOLE, BUTTERFLIES, HADAMARD_GEMM))}
    work = {"fma_f32": full_rows * (full_rows + 1) / 2 * 6 * 2**n}  # three multiplications a complex product
    return Case(f"gram_zz_{n}q_1000_f32", about, make, rows, frozenset(peers if n == 16 else ()), work)


def qiskit_gram() -> Case:
    """Qiskit Machine Learning computes every state by itself and every pair in a Python loop."""

    def make(quick: bool) -> Makers:
        n_rows, qubits = (10, 4) if quick else (500, 8)
        x = uniform(n_rows, qubits, 2 * np.pi)
        kernel = fk.Fidelity(fk.ZZ(qubits))

        def qiskit() -> Side:
            kernels = need("qiskit_machine_learning.kernels", "qiskit-machine-learning")
            library = need("qiskit.circuit.library", "qiskit")
            circuit = library.zz_feature_map(qubits, reps=2, entanglement="full")

            def run() -> Array:  # a new kernel each time: it caches states
                return kernels.FidelityStatevectorKernel(feature_map=circuit).evaluate(x)

            return Side(run, against_oracle(x, kernel), packages=("qiskit-machine-learning", "qiskit"))

        return {"ours": lambda: gram_side(x, kernel), "qiskit-machine-learning": qiskit}

    about = "ZZ, 2 repetitions, all pairs, n = 8, N = 500, Y=None; FidelityStatevectorKernel (complex128) beside float32"
    work = {"fma_f32": 500 * 501 / 2 * 6 * 2**8}
    peer = "qiskit-machine-learning"
    return Case("gram_zz_8q_500_f32", about, make, (faster(peer, 3000.0),), frozenset({peer}), work)


def pennylane_gram() -> Case:
    """PennyLane runs one circuit a pair."""

    def make(quick: bool) -> Makers:
        n_rows, few, qubits = (10, 4, 4) if quick else (100, 12, 10)
        x = uniform(n_rows, qubits, 2 * np.pi)
        kernel = fk.Fidelity(fk.IQP(qubits))

        def lightning() -> Side:
            qml = need("pennylane", "pennylane pennylane-lightning")
            device = qml.device("lightning.qubit", wires=qubits)

            @qml.qnode(device)
            def circuit(a: Array, b: Array) -> Any:
                qml.IQPEmbedding(a, wires=range(qubits))
                qml.adjoint(qml.IQPEmbedding)(b, wires=range(qubits))
                return qml.probs(wires=range(qubits))

            def run() -> Array:
                return np.asarray(qml.kernels.square_kernel_matrix(x[:few], lambda a, b: circuit(a, b)[0], assume_normalized_kernel=True))

            pairs = n_rows * (n_rows - 1) / (few * (few - 1))
            note = f"{few} rows, times {pairs:.1f}, the ratio of the pairs"
            return Side(run, against_oracle(x[:few], kernel), 5e-6, ("pennylane", "pennylane-lightning"), pairs, note)

        return {"ours": lambda: gram_side(x, kernel), "PennyLane lightning": lightning}

    about = "IQP, 1 repetition, all pairs, n = 10, N = 100, Y=None; square_kernel_matrix on lightning.qubit (complex128) beside float32"
    work = {"fma_f32": 100 * 101 / 2 * 6 * 2**10}
    peer = "PennyLane lightning"
    return Case("gram_iqp_10q_100_f32", about, make, (faster(peer, 20000.0),), frozenset({peer}), work)


def projected_gram(n_rows: int, peer: str) -> Case:
    """Bloch components and RBF."""
    gamma = 1.0

    def make(quick: bool) -> Makers:
        rows, qubits = (min(n_rows, 40) // 4, 4) if quick else (n_rows, 10)
        x = uniform(rows, qubits, 2 * np.pi)
        plan = expert.zz_plan(qubits)

        some = np.arange(0, rows, max(1, rows // 16))
        vectors = expert.bloch(reference.states(x[some].astype(np.float64), fk.ZZ(qubits)))
        wanted = expert.bloch_rbf(vectors, vectors, gamma)

        def check(result: Array) -> float:
            return float(np.abs(np.asarray(result)[np.ix_(some, some)] - wanted).max())

        def ours() -> Side:
            kernel = fk.Projected(fk.ZZ(qubits), gamma=gamma)
            return Side(lambda: fk.gram(x, kernel=kernel), check, packages=("flashket", "numpy"))

        def numpy_side() -> Side:
            def run() -> Array:
                vectors = expert.bloch(expert.zz_states_gemm(x, plan))
                return expert.bloch_rbf(vectors, vectors, gamma)

            return Side(run, check, 5e-5)

        def squlearn() -> Side:
            kernel_module = need("squlearn.kernel", "squlearn")
            maps, util = need("squlearn.encoding_circuit"), need("squlearn.util")
            library = need("qiskit.circuit.library", "qiskit")
            circuit = maps.QiskitEncodingCircuit(library.zz_feature_map(qubits, reps=2, entanglement="full"))

            def run() -> Array:  # a new kernel and executor each time: both keep results
                executor = util.Executor("pennylane")
                # Its RBF is exp(-g |P - P'|^2) with the same expectation values, so g is gamma / 2.
                options = {"measurement": "XYZ", "outer_kernel": "gaussian", "gamma": gamma / 2}
                return kernel_module.ProjectedQuantumKernel(circuit, executor, **options).evaluate(x)

            return Side(run, check, 1e-5, ("squlearn", "pennylane"))

        return {"ours": ours, "expert NumPy": numpy_side, "sQUlearn": squlearn}

    about = f"projected ZZ, 2 repetitions, all pairs, n = 10, N = {n_rows}, float32, Y=None, gamma = 1"
    rows = (faster(peer, 15.0 if peer == "expert NumPy" else None),)
    return Case(f"gram_projected_zz_10q_{n_rows}_f32", about, make, rows, frozenset({"sQUlearn"}))


def sampling(shots: int) -> Case:
    """Exact binomials beside NumPy's; the cost is that of a sampled Gram matrix less the exact one."""

    def make(quick: bool) -> Makers:
        n = 128 if quick else 1024
        x, y = uniform(2 * n, 8, np.pi).reshape(2, n, 8)
        kernel = fk.Fidelity(fk.Angle(8))
        exact = reference.gram(x.astype(np.float64), y.astype(np.float64), kernel)
        out, sampled = (fk.gram(x, y, kernel=kernel) for _ in range(2))
        generator = np.random.Generator(np.random.Philox(0))

        def off(estimate: Array) -> float:  # standard deviations by which the sum of all counts misses its mean
            return float(abs((estimate - exact).sum(dtype=np.float64)) / math.sqrt((exact * (1 - exact)).sum() / shots))

        def check_exact(result: Array) -> float:
            return float(np.abs(result - exact).max())

        def run() -> Array:
            return fk.gram(x, y, kernel=kernel, out=sampled, shots=shots, seed=1)

        return {
            "ours": lambda: Side(run, off, 5.0, ("flashket", "numpy")),
            "our exact Gram": lambda: Side(lambda: fk.gram(x, y, kernel=kernel, out=out), check_exact, packages=("flashket", "numpy")),
            "NumPy binomial": lambda: Side(lambda: generator.binomial(shots, exact) / shots, off, 5.0),
        }

    drawn = "ours - our exact Gram"
    rows = (costs("ns per entry", 1e-9 * 1024**2, 30.0, ours=drawn), faster("NumPy binomial", ours=drawn))
    about = f"angle, 8 features, 1,024 x 1,024 entries with {shots:,} shots, less the exact Gram; error in standard deviations of the sum"
    return Case(f"sampling_{shots}shots_1024x1024_f32", about, make, rows)


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    yield angle_gram(8, 1.5)
    yield angle_gram(16, 1.5)
    yield angle_port_bound("gram_angle_64f_4096_f32", np.pi, 2)
    yield angle_port_bound("gram_angle_64f_wide_4096_f32", 2 * np.pi, 2)
    yield angle_expert(8)
    yield angle_expert(16)
    yield amplitude_gram()
    for n in (8, 12, 16):
        yield zz_gram(n)
    yield qiskit_gram()
    yield pennylane_gram()
    yield projected_gram(500, "expert NumPy")
    yield projected_gram(20, "sQUlearn")
    for shots in (1, 100, 1000, 1_000_000):
        yield sampling(shots)
