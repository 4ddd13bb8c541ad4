# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits of one batch on the same qubits of a device, so that what one of them finds out holds for the others."""

from __future__ import annotations

from collections.abc import Sequence

from flashket.program import TWO_QUBIT
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit
from flashket.qpu.native import NativeCircuit
from flashket.qpu.profile import DeviceProfile


def compile_together(
    circuits: Sequence[MeasuredCircuit], profile: DeviceProfile, *, layout: Sequence[int] | None = None, compiler: str = "auto"
) -> list[NativeCircuit]:
    """Return circuits in a device's gates, those of equal width on the same qubits.

    The circuit with the most two-qubit gates chooses the layout. Circuits without any (readout calibration) are laid so that each of
    their bits is read where that circuit's bit is read, wherever routing has taken it.

    Parameters
    ----------
    circuits : sequence of MeasuredCircuit
        Parts without features.
    profile, layout, compiler
        As for :func:`flashket.qpu.compile_circuit`.

    Returns
    -------
    list of NativeCircuit
        In the order of the circuits.

    Raises
    ------
    InputError, BackendUnavailable
        As :func:`flashket.qpu.compile_circuit`.

    Examples
    --------
    >>> from flashket import Gate, Program
    >>> from flashket.qpu import load_profile
    >>> bell = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    >>> ones = Program(2, 0, (Gate("x", (0,)), Gate("x", (1,))))
    >>> pair, calibration = compile_together([MeasuredCircuit((p,), (0, 1)) for p in (bell, ones)], load_profile("ibm_torino"))
    >>> pair.qubits == calibration.qubits
    True
    """
    sizes = [two_qubit_gates(circuit) for circuit in circuits]
    largest: dict[int, int] = {}
    for index, circuit in enumerate(circuits):
        best = largest.setdefault(circuit.n_qubits, index)
        if sizes[index] > sizes[best]:
            largest[circuit.n_qubits] = index
    leaders = {width: compile_circuit(circuits[index], profile, layout=layout, compiler=compiler) for width, index in largest.items()}

    def placed(index: int) -> NativeCircuit:
        circuit = circuits[index]
        n = circuit.n_qubits
        leader = leaders[n]
        if index == largest[n]:
            return leader
        place = leader.qubits[:n]
        if not sizes[index]:
            place = layout_of_bits(circuit.measured, [leader.qubits[wire] for wire in leader.measured], place)
        return compile_circuit(circuit, profile, layout=place, compiler=compiler)

    return [placed(index) for index in range(len(circuits))]


def two_qubit_gates(circuit: MeasuredCircuit) -> int:
    """Return the number of a circuit's two-qubit gates, as it is written."""
    return sum(gate.name in TWO_QUBIT for part in circuit.parts for gate in part.gates)


def layout_of_bits(measured: Sequence[int], read_at: Sequence[int], qubits: Sequence[int]) -> tuple[int, ...]:
    """Return a layout that reads bit j, of qubit ``measured[j]``, at physical qubit ``read_at[j]``; the other qubits take what is left.

    Bits that ``read_at`` does not have stay where ``qubits``, the layout of another circuit, would put them.

    Examples
    --------
    >>> layout_of_bits((1, 0), (7, 8), (7, 8, 9))
    (8, 7, 9)
    """
    if len(measured) != len(read_at):
        return tuple(qubits)
    place = dict(zip(measured, read_at, strict=True))
    free = [qubit for qubit in qubits if qubit not in read_at]
    return tuple(place[qubit] if qubit in place else free.pop(0) for qubit in range(len(qubits)))
