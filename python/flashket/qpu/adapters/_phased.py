# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits in pulses about axes of the equator, with rotations about Z kept as phases: what IQM and IonQ run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from flashket.program import Gate, Program
from flashket.qpu.adapters._shared import angle_of, rewritten

ONE_QUBIT = frozenset({"h", "x", "y", "z", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "p"})


class Pulse(NamedTuple):
    """``prx(angle, phase) = RZ(phase) RX(angle) RZ(-phase)`` on one wire."""

    wire: int
    angle: float
    phase: float


class Entangling(NamedTuple):
    """``cz``, or ``rzz(angle)``, on two wires."""

    name: str
    wires: tuple[int, int]
    angle: float = math.pi / 2


class Barrier(NamedTuple):
    """A barrier over all wires."""


Step: TypeAlias = "Pulse | Entangling | Barrier"
_Matrix: TypeAlias = npt.NDArray[np.complex128]


def phased(parts: Sequence[Program], two_qubit: str, *, quarters: bool = False) -> list[Step]:
    """Return the parts of a measured circuit as pulses, with a barrier between them. What Z rotations remain at the end is not measured.

    Parameters
    ----------
    parts : sequence of Program
        Bound.
    two_qubit : str
        "cz" or "rzz"; angles of rzz come out in (0, pi/2].
    quarters : bool
        Only pulses of pi/2 and pi.

    Notes
    -----
    Each run of one-qubit gates is U = RZ(c) PRX(angle, phase); RZ(c) moves on through the diagonal two-qubit gates.
    """
    n = parts[0].n_qubits
    pending: list[_Matrix] = [np.eye(2, dtype=np.complex128) for _ in range(n)]
    steps: list[Step] = []

    def flush(wire: int) -> None:
        turn, angle, phase = _axis_angle(pending[wire])
        if angle > 1e-12:
            if not quarters or min(abs(angle - math.pi), abs(angle - math.pi / 2)) < 1e-12:
                steps.append(Pulse(wire, angle, phase))
            else:
                # PRX(t, f) = RZ(t) PRX(pi/2, f - t - 3 pi/2) PRX(pi/2, f - pi/2)
                steps.append(Pulse(wire, math.pi / 2, phase - math.pi / 2))
                steps.append(Pulse(wire, math.pi / 2, phase - angle - 1.5 * math.pi))
                turn += angle
        pending[wire] = _rz(turn)

    for index, part in enumerate(parts):
        if index:
            for wire in range(n):
                flush(wire)
            steps.append(Barrier())
        for gate in rewritten(part.gates, ONE_QUBIT | {two_qubit}):
            if len(gate.qubits) == 1:
                pending[gate.qubits[0]] = _matrix(gate) @ pending[gate.qubits[0]]
                continue
            a, b = gate.qubits
            angle = math.pi / 2
            if two_qubit == "rzz":
                # RZZ(t + pi) is RZZ(t) and a Z on both, RZZ(-t) is RZZ(t) between two X on one of them.
                halves, angle = _halves(angle_of(gate) or 0.0)
                if abs(angle) < 1e-12:
                    angle = 0.0
                if angle < 0:
                    pending[a] = _X @ pending[a]
                if angle:
                    flush(a)
                    flush(b)
                    steps.append(Entangling("rzz", (a, b), abs(angle)))
                if angle < 0:
                    pending[a] = _X @ pending[a]
                if halves % 2:
                    pending[a], pending[b] = _Z @ pending[a], _Z @ pending[b]
                continue
            flush(a)
            flush(b)
            steps.append(Entangling("cz", (a, b)))
    for wire in range(n):
        flush(wire)
    return steps


_X = np.array([[0, 1], [1, 0]], np.complex128)
_Z = np.diag([1.0, -1.0]).astype(np.complex128)


def _halves(angle: float) -> tuple[int, float]:
    """Return (k, t) with angle = k pi + t and -pi/2 < t <= pi/2."""
    k = math.ceil(angle / math.pi - 0.5)
    return k, angle - k * math.pi


def _rz(angle: float) -> _Matrix:
    return np.diag([np.exp(-0.5j * angle), np.exp(0.5j * angle)])


def _matrix(gate: Gate) -> _Matrix:
    angle = angle_of(gate) or 0.0
    c, s = math.cos(angle / 2), math.sin(angle / 2)
    if gate.name == "rx":
        return np.array([[c, -1j * s], [-1j * s, c]])
    if gate.name == "ry":
        return np.array([[c, -s], [s, c]], np.complex128)
    if gate.name == "rz":
        return _rz(angle)
    if gate.name == "h":
        return np.array([[1, 1], [1, -1]], np.complex128) / math.sqrt(2)
    if gate.name == "x":
        return _X
    if gate.name == "y":
        return np.array([[0, -1j], [1j, 0]])
    turns = {"z": math.pi, "s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4, "tdg": -math.pi / 4, "p": angle}
    return np.diag([1.0, np.exp(1j * turns[gate.name])])


def _axis_angle(matrix: _Matrix) -> tuple[float, float, float]:
    """Return (c, angle, phase) of U = RZ(c) PRX(angle, phase) up to a global phase, angle in [0, pi]."""
    u00, u01, u10, u11 = (complex(matrix[index]) for index in ((0, 0), (0, 1), (1, 0), (1, 1)))
    angle = 2 * math.atan2(abs(u10), abs(u00))
    # U = RZ(a) RY(angle) RZ(b), and RZ(-b) RY(angle) RZ(b) = PRX(angle, pi/2 - b). Phases relative to one entry keep the signs together.
    if abs(u10) < 1e-12:
        return float(np.angle(u11 * u00.conjugate())), 0.0, 0.0
    if abs(u00) < 1e-12:
        return 0.0, math.pi, math.pi / 2 + float(np.angle(u10 * (-u01).conjugate())) / 2
    a, b = float(np.angle(u10 * u00.conjugate())), float(np.angle(-u01 * u00.conjugate()))
    return a + b, angle, math.pi / 2 - b
