# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits as Qiskit's, for every adapter that speaks through it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flashket.program import Gate
from flashket.qpu.adapters._shared import angle_of
from flashket.qpu.circuit import MeasuredCircuit


def quantum_circuit(circuit: MeasuredCircuit) -> Any:
    """Return a ``qiskit.QuantumCircuit`` with a barrier between the parts; classical register ``c``, bit j is ``measured[j]``.

    Built gate by gate: a Program's gates are Qiskit's, with the same names, order of qubits and phases, and no parser is needed.
    """
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

    qubits, bits = QuantumRegister(circuit.n_qubits, "q"), ClassicalRegister(len(circuit.measured), "c")
    made = QuantumCircuit(qubits, bits)
    for index, part in enumerate(circuit.parts):
        if index:
            made.barrier()
        add_gates(made, part.gates)
    # Compilers must not move gates behind the measurement of other qubits.
    made.barrier()
    for bit, qubit in enumerate(circuit.measured):
        made.measure(qubit, bit)
    return made


def add_gates(made: Any, gates: Iterable[Gate]) -> None:
    """Append bound gates to a ``qiskit.QuantumCircuit``."""
    for gate in gates:
        angle = angle_of(gate)
        getattr(made, gate.name)(*(() if angle is None else (angle,)), *gate.qubits)


def counts_of_keys(counts: dict[str, int]) -> dict[int, int]:
    """Return counts by outcome from Qiskit's strings, whose last character is classical bit 0.

    Examples
    --------
    >>> counts_of_keys({"01": 3, "10": 4})
    {1: 3, 2: 4}
    """
    return {int(key.replace(" ", ""), 2): int(times) for key, times in counts.items()}
