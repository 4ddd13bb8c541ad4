# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What circuits amount to on a device, which is all that time and money depend on: gates, depth, duration, qubits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from flashket.program import TWO_QUBIT, Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.native import NativeCircuit
from flashket.qpu.profile import DeviceProfile

_VIRTUAL = frozenset({"z", "s", "sdg", "t", "tdg", "rz", "p"})
"""Turns about z, which devices do by changing the phase of later pulses."""

_ONE_PULSE = frozenset({"h", "x", "y"})


@dataclass(frozen=True)
class CircuitCounts:
    """One circuit, in the device's own gates.

    Parameters
    ----------
    n_qubits, n_measured : int
        Qubits that are prepared, and measured.
    n_1q : int
        One-qubit pulses; turns about z are virtual.
    n_2q, depth_2q : int
        Two-qubit gates, and how many of them follow each other.
    duration : float
        Seconds from the first gate to the start of the measurement; nan where the device's durations are not known.
    """

    n_qubits: int
    n_measured: int
    n_1q: int
    n_2q: int
    depth_2q: int
    duration: float


@dataclass(frozen=True)
class Work:
    """``circuits`` circuits that amount to the same, each run ``shots`` times."""

    counts: CircuitCounts
    circuits: int
    shots: int

    @property
    def executions(self) -> int:
        """Circuits times shots."""
        return self.circuits * self.shots


class _Schedule:
    """Counts gates as they come and starts each as soon as its qubits are free."""

    def __init__(self, n_qubits: int, one: str, two: str, duration_1q: float, duration_2q: float, gates_at_once: int | None = None) -> None:
        self.one, self.two = one, two
        # When each of the places for a gate is free again; None where there is one for every qubit.
        self.places = [0.0] * gates_at_once if gates_at_once is not None and gates_at_once < n_qubits else None
        self.knows_durations = not math.isnan(duration_1q + duration_2q)
        self.duration_1q, self.duration_2q = (duration_1q, duration_2q) if self.knows_durations else (0.0, 0.0)
        self.free = [0.0] * n_qubits
        self.layers = [0] * n_qubits
        self.pending = [0] * n_qubits
        self.n_1q = self.n_2q = 0

    def turn(self, qubit: int, pulses: int) -> None:
        """Merge a one-qubit gate with its neighbours: 0 pulses about z, 1 for a quarter or half turn, 2 for any other."""
        self.pending[qubit] = min(self.pending[qubit] + pulses, 2)

    def flush(self, qubit: int) -> None:
        pulses = min(self.pending[qubit], 1 if self.one == "u" else 2)
        self.n_1q += pulses
        if pulses:
            self.free[qubit] = self._run(self.free[qubit], pulses * self.duration_1q)
        self.pending[qubit] = 0

    def _run(self, ready: float, duration: float) -> float:
        """Return when a gate ends that can begin at ``ready``."""
        if self.places is None:
            return ready + duration
        # Of the places that are free by then the last to become so: gates further on may be ready earlier, and want the others.
        free = max((time for time in self.places if time <= ready), default=min(self.places))
        self.places.remove(free)
        self.places.append(max(ready, free) + duration)
        return self.places[-1]

    def entangle(self, a: int, b: int, times: int = 1) -> None:
        for _ in range(times):
            self.flush(a)
            self.flush(b)
            self.n_2q += 1
            self.free[a] = self.free[b] = self._run(max(self.free[a], self.free[b]), self.duration_2q)
            self.layers[a] = self.layers[b] = max(self.layers[a], self.layers[b]) + 1

    def cx(self, control: int, target: int) -> None:
        if self.two == "sqrt_iswap":
            for _ in range(2):
                self.turn(control, 2)
                self.turn(target, 2)
                self.entangle(control, target)
            self.turn(control, 2)
            self.turn(target, 2)
            return
        # A cz, an ecr and an rzz are each a cx between quarter turns of the target.
        turns = 0 if self.two == "cx" else 1
        self.turn(target, turns)
        self.entangle(control, target)
        self.turn(target, turns)

    def phase(self, a: int, b: int) -> None:
        """exp(i t Z Z) for any t."""
        if self.two == "rzz":
            self.entangle(a, b)
            return
        self.cx(a, b)
        self.cx(a, b)

    def gate(self, name: str, qubits: tuple[int, ...]) -> None:
        if name not in TWO_QUBIT:
            self.turn(qubits[0], 0 if name in _VIRTUAL else 1 if name in _ONE_PULSE else 2)
            return
        a, b = qubits
        if name == "cx":
            self.cx(a, b)
        elif name == "cz":
            if self.two == "cz":
                self.entangle(a, b)
            elif self.two == "rzz":
                self.phase(a, b)
            else:
                self.turn(b, 1)
                self.cx(a, b)
                self.turn(b, 1)
        elif name == "swap":
            for control, target in ((a, b), (b, a), (a, b)):
                self.cx(control, target)
        else:
            # rxx, ryy: quarter turns on both sides of both qubits; crx, cry: of the target.
            turned = {"rxx": (a, b), "ryy": (a, b), "crx": (b,), "cry": (b,)}.get(name, ())
            for qubit in turned:
                self.turn(qubit, 1)
            self.phase(a, b)
            for qubit in turned:
                self.turn(qubit, 1)

    def barrier(self) -> None:
        for qubit in range(len(self.free)):
            self.flush(qubit)
        self.free = [max(self.free)] * len(self.free)
        self.layers = [max(self.layers)] * len(self.layers)

    def counts(self, n_measured: int) -> CircuitCounts:
        """Return what was counted; all measurements start together."""
        self.barrier()
        duration = self.free[0] if self.knows_durations else math.nan
        return CircuitCounts(len(self.free), n_measured, self.n_1q, self.n_2q, self.layers[0], duration)


def count(
    parts: Sequence[Program],
    n_measured: int,
    *,
    one: str,
    two: str,
    duration_1q: float,
    duration_2q: float,
    gates_at_once: int | None = None,
) -> CircuitCounts:
    """Count programs as if every pair of qubits were connected, which is an upper bound there: neighbours on one qubit are merged,
    two-qubit gates are not cancelled.

    Parameters
    ----------
    parts : sequence of Program
        With barriers between them. They may have features: every angle counts as one that is not special.
    n_measured : int
        Qubits that are measured.
    one, two : str
        The device's gates: see ``flashket.qpu.profile``.
    duration_1q, duration_2q : float
        Of a pulse and of a two-qubit gate, seconds.
    gates_at_once : int, optional
        How many gates the device runs at the same time; by default as many as there are free qubits.

    Examples
    --------
    >>> from flashket import ZZ
    >>> half = ZZ(6, reps=1, entanglement="linear").program()
    >>> counts = count((half, half.inverse()), 6, one="u", two="rzz", duration_1q=0.0, duration_2q=0.0)
    >>> counts.n_2q, counts.depth_2q
    (10, 10)
    """
    schedule = _Schedule(parts[0].n_qubits, one, two, duration_1q, duration_2q, gates_at_once)
    for number, part in enumerate(parts):
        if number:
            schedule.barrier()
        gates, index = part.gates, 0
        while index < len(gates):
            if _is_phase(gates[index : index + 3]):
                schedule.phase(*gates[index].qubits)
                index += 3
            else:
                schedule.gate(gates[index].name, gates[index].qubits)
                index += 1
    return schedule.counts(n_measured)


def _is_phase(gates: Sequence[Gate]) -> bool:
    """Whether these are cx, a turn of its target about z, and the same cx: a phase on the pair, as feature maps write it."""
    if len(gates) < 3 or gates[0].name != "cx" or gates[2].name != "cx" or gates[0].qubits != gates[2].qubits:
        return False
    return gates[1].name in _VIRTUAL and gates[1].qubits[0] == gates[0].qubits[1]


def count_circuit(
    circuit: MeasuredCircuit | NativeCircuit, one: str, two: str, duration_1q: float, duration_2q: float, gates_at_once: int | None = None
) -> CircuitCounts:
    """Count one circuit: a native one as it stands, another as :func:`count` says."""
    if isinstance(circuit, MeasuredCircuit):
        times = {"duration_1q": duration_1q, "duration_2q": duration_2q}
        return count(circuit.parts, len(circuit.measured), one=one, two=two, gates_at_once=gates_at_once, **times)
    schedule = _Schedule(len(circuit.qubits), one, two, duration_1q, duration_2q, gates_at_once)
    for number, part in enumerate(circuit.parts):
        if number:
            schedule.barrier()
        for gate, pulses in zip(part.program.gates, part.pulses, strict=True):
            if gate.name in TWO_QUBIT:
                schedule.entangle(gate.qubits[0], gate.qubits[1], pulses)
            else:
                schedule.pending[gate.qubits[0]] = pulses
                schedule.flush(gate.qubits[0])
    return schedule.counts(len(circuit.measured))


def durations(profile: DeviceProfile) -> tuple[float, float, float]:
    """Return the median durations of a pulse, a two-qubit gate and a measurement, seconds; nan where the profile says none."""
    return _median(profile.duration_1q), _median(profile.duration_2q), _median(profile.duration_readout)


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan
