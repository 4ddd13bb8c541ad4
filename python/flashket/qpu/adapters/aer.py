# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``aer:<profile>`` and ``aer:ideal``: Qiskit Aer, an independent second opinion on our own noise simulation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket.noise.program import CHANNEL, GATE, NoisyCircuit
from flashket.qpu.adapters._base import Batch
from flashket.qpu.adapters._qiskit import add_gates, counts_of_keys, quantum_circuit
from flashket.qpu.adapters._shared import LocalAdapter, circuit_seeds, sdk
from flashket.qpu.adapters.sim import profile_limits
from flashket.qpu.profile import load_profile

MAX_DENSITY_QUBITS = 9
"""Up to here a density matrix is simulated once for all shots; above, one noisy state vector for each shot."""


def opened(target: str, **options: Any) -> AerAdapter:
    """Return the adapter of ``aer:<target>``."""
    return AerAdapter(target, **options)


class AerAdapter(LocalAdapter):
    """Aer on the used qubits only, with the channels of the profile written into the circuit.

    Aer builds a noise model of all qubits for each run (seconds for a 133-qubit device); channels as instructions avoid that and are
    exactly those of ``sim:<profile>``.

    Parameters
    ----------
    target : str
        A profile's name or file, or ``"ideal"``.
    layout, compiler
        As for ``sim:<profile>``.
    """

    def __init__(self, target: str, *, layout: Any = None, compiler: str = "auto") -> None:
        self._profile = None if target == "ideal" else load_profile(target)
        self._options = {"layout": layout, "compiler": compiler}
        super().__init__(f"aer:{target}", profile_limits(self._profile))
        self._aer = sdk("qiskit_aer", "qiskit-aer", "ibm", self.name)

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        if self._profile is None:
            method, circuits = "automatic", [quantum_circuit(circuit) for circuit in batch.circuits]
        else:
            from flashket.noise.lower import lower
            from flashket.qpu.together import compile_together

            profile = self._profile
            noisy = list(map(lower, compile_together(batch.circuits, profile, **self._options)))
            exact = max(len(one.start) for one in noisy) <= MAX_DENSITY_QUBITS
            method, circuits = ("density_matrix", [noisy_quantum_circuit(one) for one in noisy]) if exact else ("statevector", [])
            circuits = circuits or [noisy_quantum_circuit(one, kraus=True) for one in noisy]
        simulator = self._aer.AerSimulator(method=method)
        counts = []
        for circuit, shots, seed in zip(circuits, batch.shots, circuit_seeds(batch), strict=True):
            # Not the names of the circuit's gates: Aer knows them all, and a transpiler might merge what noise stands between.
            result = simulator.run(circuit, shots=shots, **({} if seed is None else {"seed_simulator": seed})).result()
            if not result.success:
                raise RuntimeError(result.status)
            counts.append(counts_of_keys(result.get_counts(0)))
        return counts, {"package": f"qiskit-aer {self._aer.__version__}", "method": method}


def noisy_quantum_circuit(noisy: NoisyCircuit, *, kraus: bool = False) -> Any:
    """Return a ``qiskit.QuantumCircuit`` with a noisy circuit's channels, preparation and readout errors as instructions.

    A readout error is the channel that it is before the measurement: dephasing, then flips with the two probabilities.

    Parameters
    ----------
    noisy : NoisyCircuit
        Of no features.
    kraus : bool
        Write Kraus operators, which Aer can sample on state vectors, instead of superoperators.
    """
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import Kraus, SuperOp

    def instruction(matrix: npt.NDArray[np.complex128]) -> Any:
        operator = SuperOp(matrix)
        return (Kraus(operator) if kraus else operator).to_instruction()

    made = QuantumCircuit(len(noisy.start), len(noisy.measured))
    for wire, start in enumerate(noisy.start):
        if not np.array_equal(start, (1, 0, 0, 1)):
            made.append(instruction(superoperator(np.outer(start, (1, 0, 0, 0)))), [wire])
    for part in noisy.parts:
        singles = [instruction(superoperator(transfer)) for transfer in part.channels]
        pairs = [instruction(superoperator(np.diag(diagonal))) for diagonal in part.pair_channels]
        for kind, index, q0, q1 in part.operations.tolist():
            if kind == GATE:
                add_gates(made, [part.program.gates[index]])
            elif kind == CHANNEL:
                made.append(singles[index], [q0])
            else:
                made.append(pairs[index], [q0, q1])
    for bit, (wire, (p10, p01)) in enumerate(zip(noisy.measured, noisy.readout.tolist(), strict=True)):
        if p10 or p01:
            transfer = np.diag([1.0, 0.0, 0.0, 1.0 - p10 - p01])
            transfer[3, 0] = p01 - p10
            made.append(instruction(superoperator(transfer)), [wire])
        made.measure(wire, bit)
    return made


def superoperator(transfer: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
    """Return Qiskit's superoperator (acting on density matrices stacked by columns) of a Pauli transfer matrix.

    Examples
    --------
    >>> superoperator(np.diag([1.0, 0.0, 0.0, 1.0])).real.diagonal()  # dephasing keeps |0><0| and |1><1|
    array([1., 0., 0., 1.])
    """
    paulis = _stacked_paulis(1 if len(transfer) == 4 else 2)
    found: npt.NDArray[np.complex128] = paulis.T @ transfer @ paulis.conj() / (2 if len(transfer) == 4 else 4)
    return found


@cache
def _stacked_paulis(n_qubits: int) -> npt.NDArray[np.complex128]:
    """Return the Pauli strings, digit d_0 + 4 d_1, each stacked by columns: (4^n, 4^n)."""
    single = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], np.complex128)
    strings = single if n_qubits == 1 else np.array([np.kron(single[index // 4], single[index % 4]) for index in range(16)])
    stacked: npt.NDArray[np.complex128] = strings.transpose(0, 2, 1).reshape(len(strings), -1)
    return stacked
