# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits on more qubits than a statevector holds: 2 x 2 transfer matrices on a line, and matrix product states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import flashket as fk
from cases import expert
from cases.gram import uniform
from cases.harness import Array, Case, Side, costs, faster, need

Makers = dict[str, Callable[[], Side]]

BOND = 4
MANY = 64
LINE_ROWS = 500


def line_gram(dtype: Any, goal: float) -> Case:
    """784 qubits, IQP, 1 repetition, in the log domain; bandwidth 0.05, as pixels of an image would be scaled."""
    kind = np.dtype(dtype).name.replace("float", "f")

    def make(quick: bool) -> Makers:
        n_rows, qubits = (20, 12) if quick else (LINE_ROWS, 784)
        x = uniform(n_rows, qubits, 1.0, dtype)
        feature_map = fk.IQP(qubits, entanglement="linear", bandwidth=0.05)
        scaled = (x.astype(np.float64) * 0.05)[: min(8, n_rows)]
        wanted = expert.line_log_gram(scaled, (x * 0.05).astype(np.float64) if dtype == np.float64 else x.astype(np.float64) * 0.05)
        tolerance = 1e-5 if dtype == np.float32 else 1e-10

        def check(result: Array) -> float:  # the contract of log kernels
            return float((np.abs(result[: len(wanted)] - wanted) / np.maximum(1, np.abs(wanted))).max())

        def ours() -> Side:
            return Side(lambda: fk.gram(x, kernel=fk.Fidelity(feature_map), log=True), check, tolerance, ("flashket", "numpy"))

        def numpy_side() -> Side:
            few = x[: max(4, n_rows // 10)] * dtype(0.05)
            times = n_rows * (n_rows + 1) / 2 / (len(few) * n_rows)
            everything = x * dtype(0.05)

            def check_few(result: Array) -> float:
                rows = min(len(result), len(wanted))
                return float((np.abs(result[:rows] - wanted[:rows]) / np.maximum(1, np.abs(wanted[:rows]))).max())

            note = f"{len(few)} x {n_rows} pairs, times {times:.2f}, the ratio of the pairs"
            return Side(lambda: expert.line_log_gram(few, everything), check_few, 50 * tolerance, times=times, note=note)

        return {"ours": ours, "expert NumPy (transfer matrices)": numpy_side}

    pairs = LINE_ROWS * (LINE_ROWS + 1) / 2
    about = f"IQP, 1 repetition, line, 784 qubits, N = {LINE_ROWS}, {np.dtype(dtype).name}, Y=None, log=True"
    rows = (costs("us per pair", 1e-6 * pairs, goal), faster("expert NumPy (transfer matrices)"))
    # 12 vector instructions a site and pair; logarithms are computed in float64 whatever the dtype.
    work = {"instructions_f64": pairs * 784 * 12}
    return Case(f"gram_line_iqp_784q_{LINE_ROWS}_{kind}_log", about, make, rows, work=work)


def quimb_circuit(quimb: Any, angles: Array) -> Any:
    """Return quimb's matrix product state of the circuit."""
    n = len(angles)
    circuit = quimb.CircuitMPS(n, max_bond=BOND, cutoff=1e-12)
    for _ in range(2):
        for qubit in range(n):
            circuit.apply_gate("H", qubit)
        for qubit in range(n):
            circuit.apply_gate("RZ", float(angles[qubit]), qubit)
        for qubit in range(n - 1):
            circuit.apply_gate("RZZ", float(angles[qubit] * angles[qubit + 1]), qubit, qubit + 1)
    return circuit.psi


def aer_circuit(qiskit: Any, angles: Array) -> Any:
    """Return the circuit for Aer's matrix_product_state method."""
    n = len(angles)
    circuit = qiskit.QuantumCircuit(n)
    for _ in range(2):
        circuit.h(range(n))
        for qubit in range(n):
            circuit.rz(float(angles[qubit]), qubit)
        for qubit in range(n - 1):
            circuit.rzz(float(angles[qubit] * angles[qubit + 1]), qubit, qubit + 1)
    return circuit


def mps() -> Case:
    """IQP, 2 repetitions on a line: bond 4, exactly."""

    def make(quick: bool) -> Makers:
        qubits = 10 if quick else 100
        x = uniform(2, qubits, 1.0)
        x[1] = x[0] + 0.1 * x[1]  # near each other, so that the overlap is not lost in rounding
        feature_map = fk.IQP(qubits, reps=2, entanglement="linear")
        wanted = expert.line_overlap(x[0].astype(np.float64), x[1].astype(np.float64), repetitions=2)

        def close(overlap: complex) -> float:
            return float(abs(abs(overlap) ** 2 - abs(wanted) ** 2))

        def states(rows: Array) -> Any:
            return fk.mps_states(rows, feature_map=feature_map, max_bond=BOND)

        def our_state() -> Side:
            other = states(x[1:])
            return Side(lambda: states(x[:1]), lambda state: close(state.gram(other)[0, 0] ** 0.5), 1e-5, ("flashket",))

        def our_overlap() -> Side:
            left, right = states(x[:1]), states(x[1:])
            return Side(lambda: left.gram(right), lambda value: close(value[0, 0] ** 0.5), 1e-5, ("flashket",))

        def our_overlaps() -> Side:
            left, right = states(np.repeat(x[:1], MANY, axis=0)), states(np.repeat(x[1:], MANY, axis=0))
            note = f"one of {MANY} x {MANY} overlaps"
            return Side(lambda: left.gram(right), lambda values: close(values[-1, -1] ** 0.5), 1e-5, ("flashket",), MANY**-2, note)

        def quimb_state() -> Side:
            quimb = need("quimb.tensor", "quimb")
            other = quimb_circuit(quimb, x[1])
            return Side(lambda: quimb_circuit(quimb, x[0]), lambda state: close(state.H @ other), 1e-5, ("quimb",))

        def quimb_overlap() -> Side:
            quimb = need("quimb.tensor", "quimb")
            left, right = (quimb_circuit(quimb, row) for row in x)
            return Side(lambda: left.H @ right, close, 1e-5, ("quimb",))

        def aer_state() -> Side:
            qiskit, module = need("qiskit"), need("qiskit_aer", "qiskit-aer")
            simulator = module.AerSimulator(
                method="matrix_product_state", matrix_product_state_max_bond_dimension=BOND, max_parallel_threads=1
            )
            circuit = aer_circuit(qiskit, x[0])
            circuit.save_matrix_product_state()
            other = expert.line_tensors(x[1].astype(np.float64), repetitions=2)

            def run() -> Any:
                return simulator.run(circuit).result().data(0)["matrix_product_state"]

            return Side(
                run, lambda result: close(expert.tensors_overlap(expert.from_vidal(*result), other)), 1e-5, ("qiskit-aer", "qiskit")
            )

        return {
            "our state": our_state,
            "our overlap": our_overlap,
            "our overlap in a Gram matrix": our_overlaps,
            "quimb, state": quimb_state,
            "quimb, overlap": quimb_overlap,
            "Qiskit Aer, state": aer_state,
        }

    rows = (
        costs("us per overlap", 1e-6, 20.0, ours="our overlap in a Gram matrix"),
        costs("us per overlap", 1e-6, 20.0, ours="our overlap"),
        faster("quimb, overlap", ours="our overlap"),
        faster("quimb, state", 50.0, ours="our state"),
        faster("Qiskit Aer, state", 10.0, ours="our state"),
    )
    about = f"matrix product states, IQP, 2 repetitions, line, 100 qubits, bond {BOND} (exact)"
    return Case(f"mps_iqp_100q_bond{BOND}", about, make, rows, frozenset({"quimb, state", "quimb, overlap"}))


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    yield line_gram(np.float32, 0.8)
    yield line_gram(np.float64, 1.6)
    yield mps()
