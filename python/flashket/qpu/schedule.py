# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""When the gates of a native circuit run, and how long each wire waits for others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from flashket.qpu.native import NativeCircuit


class Idle(NamedTuple):
    """A wire waits before gate ``gate`` of its part, or at the part's end where ``gate`` is the number of its gates."""

    gate: int
    wire: int
    seconds: float


@dataclass(frozen=True)
class Schedule:
    """Each gate as soon as its wires are free; parts start together, when the part before has ended on every wire.

    Parameters
    ----------
    starts : tuple of tuple of float
        Start of each gate of each part in seconds.
    idles : tuple of tuple of Idle
        Waiting times of each part. A wire that no gate has touched yet is still in \\|0> and does not wait.
    duration : float
        Seconds from the first gate to the start of the measurement; NaN if the profile does not know the duration of a gate in use.
    """

    starts: tuple[tuple[float, ...], ...]
    idles: tuple[tuple[Idle, ...], ...]
    duration: float


def schedule(native: NativeCircuit) -> Schedule:
    """Return when the gates run, as soon as possible.

    Parameters
    ----------
    native : NativeCircuit
        Compiled gates. Unknown durations count as 0 in the starts.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import compile_pair, load_profile
    >>> plan = schedule(compile_pair(fk.ZZ(2, reps=1).program(), load_profile("ibm_torino")))
    >>> plan.starts[0][0], len(plan.starts)
    (0.0, 2)
    """
    n = len(native.qubits)
    free, touched = [0.0] * n, [False] * n
    starts: list[tuple[float, ...]] = []
    idles: list[tuple[Idle, ...]] = []
    known = True
    for part in native.parts:
        gate_starts, waits = [], []
        # Of each wire: the first gate of the operation that is being written, whose cost a later gate carries.
        opened: dict[int, int] = {}
        for index, (gate, pulses) in enumerate(zip(part.program.gates, part.pulses, strict=True)):
            wires = gate.qubits
            start = max(free[wire] for wire in wires)
            gate_starts.append(start)
            if not pulses:
                # RZ is virtual: it takes no time, belongs to no operation and commutes with waiting.
                for wire in wires if gate.name != "rz" else ():
                    opened.setdefault(wire, index)
                continue
            length = pulses * _duration(native, wires)
            known &= not math.isnan(length)
            for wire in wires:
                if touched[wire] and start > free[wire]:
                    waits.append(Idle(opened.get(wire, index), wire, start - free[wire]))
                opened.pop(wire, None)
                touched[wire] = True
                free[wire] = start + (0.0 if math.isnan(length) else length)
        end = max(free)
        waits += [Idle(len(part.pulses), wire, end - free[wire]) for wire in range(n) if touched[wire] and end > free[wire]]
        free = [end] * n
        starts.append(tuple(gate_starts))
        idles.append(tuple(waits))
    return Schedule(tuple(starts), tuple(idles), max(free) if known else math.nan)


def _duration(native: NativeCircuit, wires: tuple[int, ...]) -> float:
    if len(wires) == 1:
        return native.profile.duration_1q[native.qubits[wires[0]]]
    return native.profile.duration_2q[native.edge(*wires)]
