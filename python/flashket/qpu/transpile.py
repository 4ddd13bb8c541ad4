# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Compilation by Qiskit's preset pass manager, level 3, instead of FlashKet's own; the only file here that imports Qiskit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flashket.errors import BackendUnavailable, InputError, explanation
from flashket.program import Program
from flashket.qpu.layout import choose_layout
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.profile import DeviceProfile


def transpile_parts(
    place: str, parts: Sequence[Program], measured: Sequence[int], profile: DeviceProfile, layout: Sequence[int] | None
) -> NativeCircuit:
    """Return programs with barriers between in the device's gates, by Qiskit.

    Parameters
    ----------
    place : str
        The function to name in errors.
    parts : sequence of Program
        On the same qubits; features of each part are its own.
    measured : sequence of int
        Qubits that are measured at the end.
    profile : DeviceProfile
        The device; its faulty qubits and edges are not used.
    layout : sequence of int, optional
        Where the qubits start; Qiskit's noise-aware choice by default.

    Returns
    -------
    NativeCircuit
        Wires are the physical qubits that the circuit uses, which may be more than it has where Qiskit routes over others.

    Raises
    ------
    BackendUnavailable
        If Qiskit is not installed, or has no basis change to the device's gate.

    Notes
    -----
    The seed is fixed. Qiskit merges no one-qubit gates whose angles are symbols, so symbolic circuits may take more pulses than bound ones.
    """
    try:
        from qiskit import QuantumCircuit
        from qiskit.circuit import Parameter
        from qiskit.transpiler import generate_preset_pass_manager
    except ImportError as error:
        do = "pip install 'flashket[ibm]', or leave compiler out"
        raise BackendUnavailable(explanation(place, f'compiler="qiskit" needs Qiskit ({error})', None, do)) from error
    if profile.two_qubit_gate == "sqrt_iswap":
        raise BackendUnavailable(explanation(place, "Qiskit has no basis change to the square root of iSWAP", None, "leave compiler out"))

    symbols = [[Parameter(f"x{k}_{j:06d}") for j in range(part.n_features)] for k, part in enumerate(parts)]
    circuit = QuantumCircuit(parts[0].n_qubits)
    for k, part in enumerate(parts):
        if k:
            circuit.barrier()
        _append(circuit, part, symbols[k])
    if layout is None and profile.edges is None:
        # All pairs are alike: there is nothing to search for, which Qiskit would do for long.
        layout = choose_layout(profile, parts[0].n_qubits, [])
    start = None if layout is None else list(layout)
    manager = generate_preset_pass_manager(optimization_level=3, target=_target(profile), initial_layout=start, seed_transpiler=0)
    done = manager.run(circuit)
    end = done.layout.final_index_layout() if done.layout is not None else list(range(circuit.num_qubits))
    first = done.layout.initial_index_layout(filter_ancillas=True) if done.layout is not None else end
    used = {done.find_bit(bit).index for instruction in done.data if instruction.operation.name != "barrier" for bit in instruction.qubits}
    # The circuit's qubits come first, in its order.
    qubits = (*first, *sorted(used.union(end) - set(first)))
    wires = {qubit: wire for wire, qubit in enumerate(qubits)}
    halves = [QuantumCircuit(len(qubits)) for _ in parts]
    k = 0
    for instruction in done.data:
        if instruction.operation.name == "barrier":
            k += 1
            continue
        _convert(halves[k], instruction.operation, [wires[done.find_bit(bit).index] for bit in instruction.qubits])
    if k != len(parts) - 1:
        raise InputError(explanation(place, f"Qiskit was to keep {len(parts) - 1} barriers", k, "leave compiler out"))
    programs = [Program.from_qiskit(half, symbols[index]) for index, half in enumerate(halves)]
    native = tuple(NativePart(program, _pulses(program, profile)) for program in programs)
    return NativeCircuit(profile, qubits, native, tuple(wires[end[q]] for q in measured))


def _append(circuit: Any, program: Program, symbols: Sequence[Any]) -> None:
    """Append a program's gates, which have the same names there."""
    for gate in program.gates:
        angle: Any = 1.0
        for scale, feature, offset in gate.angle:
            angle = angle * (offset if feature < 0 else scale * symbols[feature] + offset)
        getattr(circuit, gate.name)(*([angle] if gate.angle else []), *gate.qubits)


def _target(profile: DeviceProfile) -> Any:
    """Return the device for Qiskit's transpiler."""
    from qiskit.circuit import Delay, Measure, Parameter
    from qiskit.circuit.library import CXGate, CZGate, ECRGate, RZGate, RZZGate, SXGate, UGate, XGate
    from qiskit.transpiler import InstructionProperties, Target

    def known(value: float) -> float | None:
        return None if math.isnan(value) else value

    good = profile.good_qubits
    target = Target(num_qubits=profile.n_qubits)
    if profile.one_qubit_gate == "sx":
        target.add_instruction(RZGate(Parameter("a")), {(q,): InstructionProperties(duration=0.0, error=0.0) for q in good})
    any_turn = UGate(Parameter("a"), Parameter("b"), Parameter("c"))
    for gate in (SXGate(), XGate()) if profile.one_qubit_gate == "sx" else (any_turn,):
        numbers = {(q,): InstructionProperties(duration=known(profile.duration_1q[q]), error=known(profile.error_1q[q])) for q in good}
        target.add_instruction(gate, numbers)
    two = {"cz": CZGate(), "cx": CXGate(), "ecr": ECRGate(), "rzz": RZZGate(Parameter("a"))}[profile.two_qubit_gate]
    if profile.edges is None:
        edges = [(a, b) for a in good for b in good if a < b]
    else:
        edges = [(a, b) for a, b in profile.edges if b in profile.neighbours[a]]
    pairs = {}
    for a, b in edges:
        index = profile.edge_index(a, b)
        numbers_2q = InstructionProperties(duration=known(profile.duration_2q[index]), error=known(profile.error_2q[index]))
        pairs[a, b] = numbers_2q
        if profile.two_qubit_gate in ("cz", "rzz"):
            pairs[b, a] = numbers_2q
    target.add_instruction(two, pairs)
    readout = {q: known((profile.readout_p10[q] + profile.readout_p01[q]) / 2) for q in good}
    target.add_instruction(Measure(), {(q,): InstructionProperties(error=readout[q]) for q in good})
    target.add_instruction(Delay(Parameter("t")), {(q,): None for q in good})
    return target


def _convert(circuit: Any, operation: Any, wires: list[int]) -> None:
    """Append one of the device's gates as a native circuit writes it."""
    quarter = math.pi / 2
    if operation.name == "sx":
        circuit.rx(quarter, wires[0])
    elif operation.name == "x":
        circuit.rx(math.pi, wires[0])
    elif operation.name == "ecr":
        circuit.rz(quarter, wires[0])
        circuit.rx(math.pi, wires[0])
        circuit.rx(-quarter, wires[1])
        circuit.cx(*wires)
    elif operation.name == "u":
        theta, phi, lam = operation.params
        circuit.rz(lam, wires[0])
        # A turn about z alone is virtual.
        if not isinstance(theta, (int, float)) or abs(math.remainder(theta, 4 * math.pi)) > 1e-12:
            circuit.ry(theta, wires[0])
        circuit.rz(phi, wires[0])
    else:
        getattr(circuit, operation.name)(*operation.params, *wires)


def _pulses(program: Program, profile: DeviceProfile) -> tuple[int, ...]:
    pulses = [int(gate.name != "rz") for gate in program.gates]
    for index, gate in enumerate(program.gates):
        if gate.name == "cx" and profile.two_qubit_gate == "ecr":
            pulses[index - 3 : index] = 0, 0, 0
    return tuple(pulses)
