# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""From a native circuit to its gates and noise channels."""

from __future__ import annotations

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
    """Channels, each held once."""

    def __init__(self) -> None:
        self.rows: list[Matrix] = []
        self.indices: dict[object, int] = {}

    def index(self, key: object, make: Matrix) -> int:
        if key not in self.indices:
            self.indices[key] = len(self.rows)
            self.rows.append(make)
        return self.indices[key]


def _lowered(native: NativeCircuit, part: NativePart, waits: tuple[Idle, ...], seen: list[bool], idle: bool) -> NoisyProgram:
    """Return one part with noise. ``seen[w]`` tells whether a gate has touched wire w, over all parts."""
    profile = native.profile
    singles, pairs = _Table(), _Table()
    operations: list[tuple[int, int, int, int]] = []
    gates = {index: _gate_noise(native, wires) for index, wires in _physical(part)}
    waiting: dict[int, list[Idle]] = {}
    for wait in waits:
        waiting.setdefault(wait.gate, []).append(wait)
    memory = _layers(part, len(native.qubits), seen) if idle and profile.memory_error > 0 else {}

    def single(key: object, ptm: Matrix, wire: int) -> None:
        if not np.array_equal(ptm, np.eye(4)):
            operations.append((CHANNEL, singles.index(key, ptm), wire, -1))

    def rest(index: int) -> None:
        for _, wire, seconds in waiting.get(index, ()):
            qubit = native.qubits[wire]
            single(("idle", qubit, seconds), thermal_relaxation(profile.t1[qubit], profile.t2[qubit], seconds), wire)
        for wire, layers in memory.get(index, ()):
            single(("memory", layers), depolarizing(1 - (1 - profile.memory_error) ** layers), wire)

    for index, (gate, pulses) in enumerate(zip(part.program.gates, part.pulses, strict=True)):
        rest(index)
        operations.append((GATE, index, -1, -1))
        for _ in range(pulses):
            depolarizing_share, relaxations = gates[index]
            if len(gate.qubits) == 2:
                if depolarizing_share > 0:
                    row = pairs.index(depolarizing_share, pair_depolarizing(depolarizing_share))
                    operations.append((PAIR_CHANNEL, row, *gate.qubits))
                for wire, ptm in zip(gate.qubits, relaxations, strict=True):
                    single(("pair", native.edge(*gate.qubits), native.qubits[wire]), ptm, wire)
            else:
                (wire,) = gate.qubits
                single(native.qubits[wire], relaxations[0] @ depolarizing(depolarizing_share), wire)
    rest(len(part.pulses))
    return NoisyProgram(
        part.program,
        np.array(operations, np.int32).reshape(-1, 4),
        np.array(singles.rows, np.float64).reshape(-1, 4, 4),
        np.array(pairs.rows, np.float64).reshape(-1, 16),
    )


def _physical(part: NativePart) -> list[tuple[int, tuple[int, ...]]]:
    return [(index, gate.qubits) for index, gate in enumerate(part.program.gates) if part.pulses[index]]


def _gate_noise(native: NativeCircuit, wires: tuple[int, ...]) -> tuple[float, list[Matrix]]:
    """Return the depolarising probability and each wire's relaxation after a physical gate."""
    profile, qubits = native.profile, [native.qubits[wire] for wire in wires]
    if len(wires) == 1:
        error, duration = profile.error_1q[qubits[0]], profile.duration_1q[qubits[0]]
    else:
        edge = native.edge(*wires)
        error, duration = profile.error_2q[edge], profile.duration_2q[edge]
    relaxations = [thermal_relaxation(profile.t1[q], profile.t2[q], duration) for q in qubits]
    return remaining_depolarizing(error, relaxations), relaxations


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
