# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One statevector of a random circuit beside circuit simulators, each in its fastest set-up for complex64 and one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import flashket as fk
from cases import expert
from cases.harness import Array, Case, Side, faster, need, relative
from flashket.program import Gate, Linear, Program

Makers = dict[str, Callable[[], Side]]

DEPTH = 10


def brickwork_program(n: int) -> Program:
    """Return the circuit: in each layer RZ, RY, RZ on every qubit with features as angles, then CZ on even or odd pairs."""
    gates = []
    for layer in range(DEPTH):
        for qubit in range(n):
            first = 3 * (layer * n + qubit)
            gates += [Gate(name, (qubit,), (Linear(1.0, first + place),)) for place, name in enumerate(("rz", "ry", "rz"))]
        gates += [Gate("cz", pair) for pair in expert.brickwork_pairs(n, layer)]
    return Program(n, 3 * DEPTH * n, tuple(gates))


def brickwork(n: int) -> Case:
    """The peers get each qubit's three rotations as one matrix, and their best fusion."""

    def make(quick: bool) -> Makers:
        qubits = 8 if quick else n
        angles = np.random.default_rng(n).uniform(0, 2 * np.pi, (DEPTH, qubits, 3))
        rounded = angles.astype(np.float32).astype(np.float64)
        wanted: list[Array] = []  # computed once, when the first side needs it

        def check(state: Array) -> float:
            if not wanted:
                wanted.append(expert.brickwork_state(qubits, rounded))
            return relative(np.asarray(state).reshape(-1), wanted[0])

        def ours() -> Side:
            feature_map = fk.Circuit(brickwork_program(qubits))
            x = angles.astype(np.float32).reshape(1, -1)
            return Side(lambda: fk.states(x, feature_map=feature_map), check, 2e-5, ("flashket", "numpy"))

        def matrices() -> Iterator[tuple[int, int, Array]]:
            for layer in range(DEPTH):
                for qubit in range(qubits):
                    yield layer, qubit, expert.single_qubit(*rounded[layer, qubit])

        def qsim() -> Side:
            cirq, qsimcirq = need("cirq", "qsimcirq"), need("qsimcirq")
            wires = cirq.LineQubit.range(qubits)
            circuit = cirq.Circuit()
            for layer, qubit, matrix in matrices():
                circuit.append(cirq.MatrixGate(matrix)(wires[qubit]))
                if qubit == qubits - 1:
                    circuit.append(cirq.CZ(wires[a], wires[b]) for a, b in expert.brickwork_pairs(qubits, layer))
            best: list[tuple[float, int, Callable[[], Array]]] = []
            for fused in (2, 3, 4, 5):
                options = qsimcirq.QSimOptions(max_fused_gate_size=fused, cpu_threads=1)
                simulator = qsimcirq.QSimSimulator(options)

                def run(simulator: Any = simulator) -> Array:  # its first qubit is the highest bit
                    return simulator.simulate_into_1d_array(circuit, qubit_order=wires[::-1])[1]

                run()
                begin = time.process_time()
                run()
                best.append((time.process_time() - begin, fused, run))
            _, fused, run = min(best, key=lambda entry: entry[:2])
            note = f"fusion to {fused} qubits, the best of 2 to 5; the circuit translated beforehand"
            return Side(run, check, 2e-5, ("qsimcirq", "cirq-core"), note=note)

        def lightning() -> Side:
            qml = need("pennylane", "pennylane pennylane-lightning")
            device = qml.device("lightning.qubit", wires=qubits, c_dtype=np.complex64)
            operations = []
            for layer, qubit, matrix in matrices():
                operations.append(qml.QubitUnitary(matrix, wires=qubits - 1 - qubit))
                if qubit == qubits - 1:
                    operations += [qml.CZ(wires=(qubits - 1 - a, qubits - 1 - b)) for a, b in expert.brickwork_pairs(qubits, layer)]
            tape = qml.tape.QuantumScript(operations, [qml.state()])
            return Side(lambda: device.execute(tape), check, 2e-5, ("pennylane-lightning",))

        def qulacs() -> Side:
            module = need("qulacs")
            circuit = module.QuantumCircuit(qubits)
            for layer, qubit, matrix in matrices():
                circuit.add_dense_matrix_gate(qubit, matrix)
                if qubit == qubits - 1:
                    for a, b in expert.brickwork_pairs(qubits, layer):
                        circuit.add_CZ_gate(a, b)
            need("qulacs.circuit").QuantumCircuitOptimizer().optimize(circuit, 3)

            def run() -> Array:
                state = module.QuantumState(qubits)
                circuit.update_quantum_state(state)
                return state.get_vector()

            return Side(run, check, 2e-5, ("qulacs",), note="complex128, optimised to blocks of 3 qubits beforehand")

        def aer() -> Side:
            qiskit, module = need("qiskit"), need("qiskit_aer", "qiskit-aer")
            circuit = qiskit.QuantumCircuit(qubits)
            for layer, qubit, matrix in matrices():
                circuit.unitary(matrix, [qubit])
                if qubit == qubits - 1:
                    for a, b in expert.brickwork_pairs(qubits, layer):
                        circuit.cz(a, b)
            circuit.save_statevector()
            simulator = module.AerSimulator(method="statevector", precision="single", max_parallel_threads=1)
            return Side(lambda: np.asarray(simulator.run(circuit).result().get_statevector()), check, 2e-5, ("qiskit-aer", "qiskit"))

        return {"ours": ours, "qsim": qsim, "PennyLane lightning": lightning, "qulacs": qulacs, "Qiskit Aer": aer}

    about = f"one state of a random brickwork circuit, n = {n}, depth {DEPTH}, complex64: a random matrix a qubit, CZ on pairs in turn"
    rows = (faster("qsim", 1.5), faster("PennyLane lightning"), faster("qulacs"), faster("Qiskit Aer"))
    # A real rotation multiplies every amplitude and its partner; diagonal gates beside it are not counted.
    work = {"instructions_f32": 2.0**n * DEPTH * n * 4, "fill": 2.0**n * 8}
    slow = {"qulacs", "Qiskit Aer"} | ({"PennyLane lightning"} if n > 20 else set()) | ({"qsim"} if n > 22 else set())
    return Case(f"state_brickwork_{n}q_depth{DEPTH}_c64", about, make, rows, frozenset(slow), work)


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    for n in (20, 22, 24):
        yield brickwork(n)
