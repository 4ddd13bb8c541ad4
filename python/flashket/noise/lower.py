# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""From a native circuit to its gates and noise channels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from flashket.noise.channels import (
    Matrix,
    depolarizing,
    pair_depolarizing,
    remaining_depolarizing,
    thermal_relaxation,
)
from flashket.noise.program import CHANNEL, GATE, PAIR_CHANNEL, NoisyCircuit, NoisyProgram
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.schedule import Idle, schedule


def lower(native: NativeCircuit, *, idle: bool = True) -> NoisyCircuit:
    r"""Return the circuit with the noise that its device's calibration data implies.

    Every physical gate is followed by a depolarising channel and then by thermal relaxation of its qubits for the gate's duration; the
    depolarising probability is what relaxation leaves to explain of the gate's reported error
    (:func:`flashket.noise.channels.remaining_depolarizing`). Virtual RZ are free. Each measured bit flips with its (p10, p01).

    Parameters
    ----------
    native : NativeCircuit
        From :func:`flashket.qpu.compile_circuit` or :func:`flashket.qpu.compile_pair`.
    idle : bool
        Whether waiting relaxes: a wire that waits for others, at the barrier or before its measurement, relaxes for that time, and a wire
        without a two-qubit gate in a layer takes the profile's ``memory_error``. On by default because a real qubit does not stop decaying
        while its neighbours work; the calibration data's gate errors know nothing of it. Off is Qiskit Aer's
        ``NoiseModel.from_backend`` on a circuit without delays.

    Returns
    -------
    NoisyCircuit
        With the native parts' features.

    Notes
    -----
    Values that the profile does not know (NaN) bring no noise; see :func:`flashket.noise.channels.thermal_relaxation` for T2 > 2 T1.
    The definition of gate noise is that of Qiskit Aer's device model, with which tests compare.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import compile_pair, load_profile
    >>> noisy = lower(compile_pair(fk.ZZ(2, reps=1).program(), load_profile("ibm_torino")))
    >>> len(noisy.parts), noisy.start.shape, noisy.readout.shape
    (2, (2, 4), (2, 2))
    """
    profile, n = native.profile, len(native.qubits)
    waits: tuple[tuple[Idle, ...], ...] = schedule(native).idles if idle else ((),) * len(native.parts)
    seen = [False] * n
    parts = tuple(_lowered(native, part, wait, seen, idle) for part, wait in zip(native.parts, waits, strict=True))
    start = np.tile([1.0, 0.0, 0.0, 1.0], (n, 1))
    measured = [native.qubits[wire] for wire in native.measured]
    readout = np.array([(profile.readout_p10[q], profile.readout_p01[q]) for q in measured], np.float64).reshape(-1, 2)
    return NoisyCircuit(parts, start, np.nan_to_num(readout, nan=0.0), native.measured)


class _Table:
    """Channels, each held once; -1 stands for those that do nothing."""

    def __init__(self, identity: Matrix) -> None:
        self.identity = identity
        self.rows: list[Matrix] = []
        self.indices: dict[object, int] = {}

    def index(self, key: object, make: Callable[[], Matrix]) -> int:
        if key not in self.indices:
            row = make()
            does_nothing = np.array_equal(row, self.identity)
            self.indices[key] = -1 if does_nothing else len(self.rows)
            self.rows += [] if does_nothing else [row]
        return self.indices[key]


def _lowered(native: NativeCircuit, part: NativePart, waits: tuple[Idle, ...], seen: list[bool], idle: bool) -> NoisyProgram:
    """Return one part with noise. ``seen[w]`` tells whether a gate has touched wire w, over all parts."""
    profile = native.profile
    singles, pairs = _Table(np.eye(4)), _Table(np.ones(16))
    operations: list[tuple[int, int, int, int]] = []
    known: dict[tuple[int, ...], list[tuple[int, int, int, int]]] = {}
    waiting: dict[int, list[Idle]] = {}
    for wait in waits:
        waiting.setdefault(wait.gate, []).append(wait)
    memory = _layers(part, len(native.qubits), seen) if idle and profile.memory_error > 0 else {}

    def rest(gate: int) -> None:
        """Add what the wires suffer that wait before a gate."""
        for _, wire, seconds in waiting.get(gate, ()):
            index = singles.index(("idle", native.qubits[wire], seconds), _relaxation(native, wire, seconds))
            operations.extend([(CHANNEL, index, wire, -1)] if index >= 0 else [])
        for wire, layers in memory.get(gate, ()):
            index = singles.index(("memory", layers), partial(depolarizing, 1 - (1 - profile.memory_error) ** layers))
            operations.append((CHANNEL, index, wire, -1))

    def noise(wires: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
        """Return the operations after a physical gate."""
        if wires not in known:
            known[wires] = _gate_noise(native, wires, singles, pairs)
        return known[wires]

    for index, (gate, pulses) in enumerate(zip(part.program.gates, part.pulses, strict=True)):
        rest(index)
        operations.append((GATE, index, -1, -1))
        if pulses:
            operations += noise(gate.qubits) * pulses
    rest(len(part.pulses))
    return NoisyProgram(
        part.program,
        np.array(operations, np.int32).reshape(-1, 4),
        np.array(singles.rows, np.float64).reshape(-1, 4, 4),
        np.array(pairs.rows, np.float64).reshape(-1, 16),
    )


def _gate_noise(native: NativeCircuit, wires: tuple[int, ...], singles: _Table, pairs: _Table) -> list[tuple[int, int, int, int]]:
    """Return the operations after a physical gate: depolarising, then relaxation of each wire."""
    profile, qubits = native.profile, [native.qubits[wire] for wire in wires]
    if len(wires) == 1:
        error, duration = profile.error_1q[qubits[0]], profile.duration_1q[qubits[0]]
    else:
        edge = native.edge(*wires)
        error, duration = profile.error_2q[edge], profile.duration_2q[edge]
    relaxations = [_relaxation(native, wire, duration)() for wire in wires]
    share = remaining_depolarizing(error, relaxations)
    if len(wires) == 1:
        index = singles.index(("pulse", qubits[0]), lambda: relaxations[0] @ depolarizing(share))
        return [(CHANNEL, index, wires[0], -1)] if index >= 0 else []
    pair = pairs.index(share, lambda: pair_depolarizing(share))
    out = [(PAIR_CHANNEL, pair, wires[0], wires[1])] if pair >= 0 else []
    for wire, qubit in zip(wires, qubits, strict=True):
        index = singles.index(("idle", qubit, duration), _relaxation(native, wire, duration))
        out += [(CHANNEL, index, wire, -1)] if index >= 0 else []
    return out


def _relaxation(native: NativeCircuit, wire: int, seconds: float) -> Callable[[], Matrix]:
    """Return what makes a wire's relaxation, so that it is made only once."""
    qubit = native.qubits[wire]
    return partial(thermal_relaxation, native.profile.t1[qubit], native.profile.t2[qubit], seconds)


def _layers(part: NativePart, n: int, seen: list[bool]) -> dict[int, list[tuple[int, int]]]:
    """Return, for each gate index, the wires that sat out whole layers before it, and how many.

    Layers are those of the physical two-qubit gates, each as early as possible.
    """
    depth, found = [0] * n, dict[int, list[tuple[int, int]]]()
    for index, gate in enumerate(part.program.gates):
        if len(gate.qubits) == 2 and part.pulses[index]:
            level = max(depth[wire] for wire in gate.qubits)
            found[index] = [(wire, level - depth[wire]) for wire in gate.qubits if seen[wire] and level > depth[wire]]
            for wire in gate.qubits:
                depth[wire] = level + part.pulses[index]
        for wire in gate.qubits if part.pulses[index] else ():
            seen[wire] = True
    last = max(depth)
    found[len(part.pulses)] = [(wire, last - depth[wire]) for wire in range(n) if seen[wire] and last > depth[wire]]
    return found
