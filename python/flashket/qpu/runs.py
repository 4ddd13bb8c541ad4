# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Runs of one-qubit gates as the fewest pulses of a device, with angles that may depend on features."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

from flashket.program import Gate, Linear

Angle: TypeAlias = tuple[Linear, ...]
Turn: TypeAlias = tuple[float, float, float, float]
"""(w, x, y, z) of the unitary w - i (x X + y Y + z Z), which has determinant 1: global phases are left out."""

_TINY = 1e-12
_HALF = math.sqrt(0.5)
_EIGHTH = math.cos(math.pi / 8), math.sin(math.pi / 8)
_IDENTITY: Turn = (1.0, 0.0, 0.0, 0.0)
_FIXED: dict[str, Turn] = {
    "h": (0.0, _HALF, 0.0, _HALF),
    "x": (0.0, 1.0, 0.0, 0.0),
    "y": (0.0, 0.0, 1.0, 0.0),
    "z": (0.0, 0.0, 0.0, 1.0),
    "s": (_HALF, 0.0, 0.0, _HALF),
    "sdg": (_HALF, 0.0, 0.0, -_HALF),
    "t": (_EIGHTH[0], 0.0, 0.0, _EIGHTH[1]),
    "tdg": (_EIGHTH[0], 0.0, 0.0, -_EIGHTH[1]),
}
_ROTATIONS = {"rx": 1, "ry": 2, "rz": 3, "p": 3}

DIAGONAL = frozenset({"z", "s", "sdg", "t", "tdg", "rz", "p"})


def constant(value: float) -> Angle:
    """Return a number as an angle."""
    return (Linear(0.0, -1, value),)


def value_of(angle: Angle) -> float | None:
    """Return the angle's number, or None if it depends on a feature."""
    value = 1.0
    for scale, feature, offset in angle:
        if feature >= 0 and scale != 0:
            return None
        value *= offset
    return value


def times(angle: Angle, factor: float) -> Angle:
    """Return a multiple of an angle."""
    (scale, feature, offset), *rest = angle
    return (Linear(factor * scale, feature, factor * offset), *rest)


def fixed_angle(name: str) -> float:
    """Return the RZ angle of a diagonal gate without one."""
    return {"z": math.pi, "s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4, "tdg": -math.pi / 4}[name]


def multiply(a: Turn, b: Turn) -> Turn:
    """Return the turn "first b, then a"."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return (
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + bw * ax + ay * bz - az * by,
        aw * by + bw * ay + az * bx - ax * bz,
        aw * bz + bw * az + ax * by - ay * bx,
    )


def turn(name: str, angle: float = 0.0) -> Turn:
    """Return a gate as a turn."""
    if name in _FIXED:
        return _FIXED[name]
    parts = [math.cos(angle / 2), 0.0, 0.0, 0.0]
    parts[_ROTATIONS[name]] = math.sin(angle / 2)
    return (parts[0], parts[1], parts[2], parts[3])


class Euler(NamedTuple):
    """RZ(after) RY(theta) RZ(before), theta in [0, pi]; ``pulses`` as on a device with "sx": 0, 1 or 2."""

    before: float
    theta: float
    after: float
    pulses: int


def euler(q: Turn) -> Euler:
    """Return a turn's angles."""
    w, x, y, z = q
    diagonal, other = math.hypot(w, z), math.hypot(x, y)
    if other < _TINY:
        return Euler(2 * math.atan2(z, w), 0.0, 0.0, 0)
    if diagonal < _TINY:
        return Euler(-2 * math.atan2(-x, y), math.pi, 0.0, 1)
    theta = 2 * math.atan2(other, diagonal)
    total, difference = 2 * math.atan2(z, w), 2 * math.atan2(-x, y)
    return Euler((total - difference) / 2, theta, (total + difference) / 2, 1 if abs(diagonal - other) < _TINY else 2)


class Phase:
    """A virtual RZ that has not been written yet: a number and angles that depend on features."""

    def __init__(self) -> None:
        self.number = 0.0
        self.angles: list[Angle] = []

    def gates(self, wire: int) -> list[Gate]:
        """Return it as RZ gates."""
        number, angles = math.remainder(self.number, 2 * math.pi), list(self.angles)
        if abs(number) < _TINY:
            number = 0.0
        for index, angle in enumerate(angles):
            # An angle that is a single factor can hold the number.
            if number and len(angle) == 1:
                angles[index] = (angle[0]._replace(offset=angle[0].offset + number),)
                number = 0.0
        return [Gate("rz", (wire,), angle) for angle in (*angles, *([constant(number)] if number else []))]


class Run:
    """One-qubit gates on one wire since its last two-qubit gate.

    Kept as turns and RZ of symbolic angles in alternation: ``turns[0]``, ``phases[0]``, ``turns[1]``, ... in time.
    """

    def __init__(self) -> None:
        self.turns: list[Turn] = [_IDENTITY]
        self.phases: list[list[Angle]] = []

    def push(self, name: str, angle: Angle = ()) -> None:
        """Append a gate."""
        value = value_of(angle) if angle else 0.0
        if value is not None:
            self.push_turn(turn(name, value))
        elif name in ("rz", "p"):
            self._push_phase(angle)
        else:
            # RX = H RZ H, RY = S RX S^dagger.
            before, after = (_FIXED["h"], _FIXED["h"]) if name == "rx" else (_TO_Y, _FROM_Y)
            self.push_turn(before)
            self._push_phase(angle)
            self.push_turn(after)

    def push_turn(self, q: Turn) -> None:
        """Append a turn."""
        self.turns[-1] = multiply(q, self.turns[-1])

    def _push_phase(self, angle: Angle) -> None:
        if self.phases and (kind := euler(self.turns[-1]).theta) in (0.0, math.pi):
            # RZ commutes with diagonal turns, and changes its sign when it passes those that swap |0> and |1>.
            self.phases[-1].append(times(angle, -1.0) if kind else angle)
        else:
            self.phases.append([angle])
            self.turns.append(_IDENTITY)

    def write(self, wire: int, one_qubit_gate: str, keep: bool) -> tuple[list[tuple[Gate, int]], Run]:
        """Return the gates with their pulses, and the run that goes on: empty, or with ``keep`` the RZ at the end."""
        self._move_flips()
        found = [euler(q) for q in self.turns]
        pulses = [min(e.pulses, 1) if one_qubit_gate == "u" else e.pulses for e in found]
        out: list[tuple[Gate, int]] = []
        phase = Phase()
        busy = [index for index, count in enumerate(pulses) if count]
        quarter = all(found[index].pulses == 1 and found[index].theta < math.pi for index in busy)
        if one_qubit_gate == "u" and len(busy) == 2 and busy[1] == busy[0] + 1 and quarter:
            self._write_symbolic_turn(wire, found, busy[0], phase, out)
        else:
            for index, e in enumerate(found):
                _write_turn(wire, e, one_qubit_gate, phase, out)
                if index < len(self.phases):
                    phase.angles += self.phases[index]
            _share_pulses(out, 1 if one_qubit_gate == "u" else 2)
        rest = Run()
        if keep:
            rest.push("rz", constant(phase.number))
            for angle in phase.angles:
                rest.push("rz", angle)
        else:
            out += [(gate, 0) for gate in phase.gates(wire)]
        return out, rest

    def _move_flips(self) -> None:
        """Move turns by pi at either end next to their neighbours, where they cost nothing."""
        if self.phases and euler(self.turns[0]).theta == math.pi:
            self.turns[1] = multiply(self.turns[1], self.turns[0])
            self.turns[0] = _IDENTITY
            self.phases[0] = [times(angle, -1.0) for angle in self.phases[0]]
        if len(self.phases) > 0 and euler(self.turns[-1]).theta == math.pi and euler(self.turns[-2]).theta != 0.0:
            self.turns[-2] = multiply(self.turns[-1], self.turns[-2])
            self.turns[-1] = _IDENTITY
            self.phases[-1] = [times(angle, -1.0) for angle in self.phases[-1]]

    def _write_symbolic_turn(self, wire: int, found: list[Euler], index: int, phase: Phase, out: list[tuple[Gate, int]]) -> None:
        """Write two quarter turns with a phase between them as one turn by that phase's angle."""
        # RZ(f1) RY(pi/2) RZ(l1 + g + f0) RY(pi/2) RZ(l0) = RZ(f1 - pi/2) RY(g + l1 + f0 - pi) RZ(l0 - pi/2)
        for e, angles in zip(found[:index], self.phases[:index], strict=True):
            phase.number += e.before + e.after
            phase.angles += angles
        first, second = found[index], found[index + 1]
        phase.number += first.before - math.pi / 2
        out += [(gate, 0) for gate in phase.gates(wire)]
        middle = Phase()
        middle.number, middle.angles = second.before + first.after + math.pi, self.phases[index]
        turns = [Gate("ry", (wire,), gate.angle) for gate in middle.gates(wire)]
        out += [(gate, int(gate is turns[-1])) for gate in turns]
        phase.number, phase.angles = second.after - math.pi / 2, []
        for e, angles in zip(found[index + 2 :], self.phases[index + 1 :], strict=True):
            phase.number += e.before + e.after
            phase.angles += angles


# Turns about Y as turns about Z: RY = _FROM_Y RZ _TO_Y.
_TO_Y = multiply(_FIXED["h"], _FIXED["sdg"])
_FROM_Y = multiply(_FIXED["s"], _FIXED["h"])


def _write_turn(wire: int, e: Euler, one_qubit_gate: str, phase: Phase, out: list[tuple[Gate, int]]) -> None:
    """Write a turn's pulses; what is left at the end goes to ``phase``."""
    if not e.pulses:
        phase.number += e.before + e.after
        return

    def pulse(before: float, name: str, angle: float, after: float) -> None:
        phase.number += before
        out.extend((gate, 0) for gate in phase.gates(wire))
        out.append((Gate(name, (wire,), constant(angle)), 1))
        phase.number, phase.angles = after, []

    quarter = math.pi / 2
    if one_qubit_gate == "u":
        pulse(e.before, "ry", e.theta, e.after)
    elif e.pulses == 1:
        # RY(t) = RZ(pi/2) RX(t) RZ(-pi/2)
        pulse(e.before - quarter, "rx", math.pi if e.theta == math.pi else quarter, e.after + quarter)
    else:
        # RZ(f) RY(t) RZ(l) = RZ(f + pi) SX RZ(t + pi) SX RZ(l)
        pulse(e.before, "rx", quarter, e.theta + math.pi)
        pulse(0.0, "rx", quarter, e.after + math.pi)


def _share_pulses(out: list[tuple[Gate, int]], most: int) -> None:
    """Let the first and last of too many pulses carry the cost of what a device's compiler merges them to."""
    physical = [index for index, (_, pulses) in enumerate(out) if pulses]
    if len(physical) > most:
        carrying = {physical[-1]} if most == 1 else {physical[0], physical[-1]}
        for index in physical:
            out[index] = (out[index][0], int(index in carrying))
