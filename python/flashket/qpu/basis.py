# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Two-qubit gates in a device's own one, with runs of one-qubit gates between. Global phases are left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flashket.program import Gate, Program
from flashket.qpu.interactions import Item
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.runs import Angle, Run, Turn, constant, multiply, value_of


class Writer:
    """Writes items on wires in a device's gates."""

    def __init__(self, native: NativeCircuit, n_features: int) -> None:
        self.native, self.n_features = native, n_features
        self.one, self.two = native.profile.one_qubit_gate, native.profile.two_qubit_gate
        self.directed = set(native.profile.edges or ())
        self.runs = [Run() for _ in native.qubits]
        # Wires whose last gate stands for one that ends with a turn of theirs.
        self.turned: set[int] = set()
        self.gates: list[Gate] = []
        self.pulses: list[int] = []

    def write(self, items: Sequence[Item]) -> NativePart:
        """Return the part."""
        for name, (wire, *others), angle in items:
            if not others:
                self.runs[wire].push(name, angle)
            elif name == "cz":
                self._cz(wire, others[0])
            elif name == "rzz":
                self._rzz(wire, others[0], angle)
            else:
                self._swap(name, wire, others[0], angle)
        for wire in range(len(self.runs)):
            self._flush(wire, False)
        return NativePart(Program(len(self.runs), self.n_features, tuple(self.gates)), tuple(self.pulses))

    def _push(self, wire: int, *names: str) -> None:
        for name in names:
            self.runs[wire].push(name)

    def _phase(self, angle: float, *wires: int) -> None:
        for wire in wires:
            self.runs[wire].push("rz", constant(angle))

    def _flush(self, wire: int, keep: bool, turns: bool = False) -> None:
        """Write a wire's run; ``turns`` tells that what follows begins with a turn, which costs a pulse where the run has none."""
        out, self.runs[wire] = self.runs[wire].write(wire, self.one, keep)
        for gate, pulses in out:
            self._gate(gate, pulses)
        if (turns or wire in self.turned) and not any(pulses for _, pulses in out):
            self._gate(Gate("rz", (wire,), constant(0.0)), 1)
        self.turned.discard(wire)

    def _gate(self, gate: Gate, pulses: int) -> None:
        self.gates.append(gate)
        self.pulses.append(pulses)

    def _cz(self, a: int, b: int) -> None:
        """CZ in the device's gate."""
        if self.two == "cz":
            self._flush(a, True)
            self._flush(b, True)
            self._gate(Gate("cz", (a, b)), 1)
        elif self.two == "rzz":
            # cz = rz(pi/2) rz(pi/2) rzz(-pi/2)
            self._phase(math.pi / 2, a, b)
            self._rzz(a, b, constant(-math.pi / 2))
        elif self.two == "sqrt_iswap":
            self._cz_of_iswaps(a, b)
        else:
            a, b = self._directed(a, b)
            self._push(b, "h")
            self._cx(a, b)
            self._push(b, "h")

    def _directed(self, a: int, b: int) -> tuple[int, int]:
        """Return two wires as the edge of a directed gate has them."""
        is_free = self.two not in ("cx", "ecr") or self.native.profile.edges is None
        return (a, b) if is_free or (self.native.qubits[a], self.native.qubits[b]) in self.directed else (b, a)

    def _cx(self, control: int, target: int) -> None:
        """CX where cx or ECR is the device's gate, in the edge's direction."""
        if self.two == "cx":
            self._flush(control, True)
            self._flush(target, False)
        else:
            # ECR = CX (X RZ(pi/2) on the control, RX(-pi/2) on the target, first), so CX = ECR after the inverse of those.
            self.runs[control].push("x")
            self._phase(-math.pi / 2, control)
            self.runs[target].push("rx", constant(math.pi / 2))
            self._flush(control, False)
            self._flush(target, False)
            self._gate(Gate("rz", (control,), constant(math.pi / 2)), 0)
            self._gate(Gate("rx", (control,), constant(math.pi)), 0)
            self._gate(Gate("rx", (target,), constant(-math.pi / 2)), 0)
        self._gate(Gate("cx", (control, target)), 1)

    def _rzz(self, a: int, b: int, angle: Angle) -> None:
        """RZZ in the device's gate: none, one or two of it (four square roots of iSWAP are never needed)."""
        value = value_of(angle)
        quarters = 0.5 if value is None else value / (math.pi / 2)
        turns = round(quarters) % 4
        if abs(quarters - round(quarters)) < 1e-12 and (turns % 2 == 0 or self.two != "rzz"):
            if turns == 2:
                self._push(a, "z")
                self._push(b, "z")
            elif turns:
                # rzz(pi/2) = cz rz(pi/2) rz(pi/2), rzz(-pi/2) = cz rz(-pi/2) rz(-pi/2)
                self._phase(math.pi / 2 if turns == 1 else -math.pi / 2, a, b)
                self._cz(a, b)
        elif self.two == "rzz":
            self._flush(a, True)
            self._flush(b, True)
            self._gate(Gate("rzz", (a, b), angle), 1)
        elif self.two == "sqrt_iswap":
            self._rzz_of_iswaps(a, b, angle, value)
        else:
            # cx rz cx, in the edge's direction
            a, b = self._directed(a, b)
            for step in range(2):
                self._push(b, "h")
                self._cz(a, b)
                self._push(b, "h")
                if step == 0:
                    self.runs[b].push("rz", angle)

    def _swap(self, name: str, a: int, b: int, angle: Angle) -> None:
        """SWAP, alone or after a CZ or RZZ."""
        if name == "cz_swap":
            # In time: h a, h b, cz, h a, h b, cz, h a, h b.
            for _ in range(2):
                self._both(a, b, "h")
                self._cz(a, b)
            self._both(a, b, "h")
        elif self.two == "sqrt_iswap":
            if angle:
                self._rzz(a, b, angle)
            self._swap_of_iswaps(a, b)
        else:
            a, b = self._directed(a, b)
            # cx(a, b), cx(b, a), cx(a, b); an RZZ before makes an RZ after the first.
            for step, target in enumerate((b, a, b)):
                self._push(target, "h")
                self._cz(a, b)
                self._push(target, "h")
                if step == 0 and angle:
                    self.runs[b].push("rz", angle)

    def _both(self, a: int, b: int, *names: str) -> None:
        self._push(a, *names)
        self._push(b, *names)

    def _root(self, a: int, b: int) -> None:
        """The square root of iSWAP, exp(i pi/8 (XX + YY))."""
        self._flush(a, False)
        self._flush(b, False)
        self._gate(Gate("rxx", (a, b), constant(-math.pi / 4)), 0)
        self._gate(Gate("ryy", (a, b), constant(-math.pi / 4)), 1)

    def _cz_of_iswaps(self, a: int, b: int) -> None:
        # Two roots with X on one qubit between: exp(i pi/4 XX), which is rxx(-pi/2).
        self._phase(math.pi / 2, a, b)
        self._both(a, b, "h")
        self._root(a, b)
        self._push(a, "x")
        self._root(a, b)
        self._push(a, "x")
        self._both(a, b, "h")

    def _swap_of_iswaps(self, a: int, b: int) -> None:
        # SWAP = exp(i pi/4 (XX + YY + ZZ)): roots about XX + YY, YY + ZZ and ZZ + XX.
        self._root(a, b)
        for axis in ("rx", "ry"):
            for sign in (1, -1):
                for wire in (a, b):
                    self.runs[wire].push("ry" if axis == "rx" else "rx", constant(sign * math.pi / 2))
                if sign == 1:
                    self._root(a, b)

    def _rzz_of_iswaps(self, a: int, b: int, angle: Angle, value: float | None) -> None:
        """Two roots with one turn between; angles that depend on features have no such form and keep their gate, at the same cost."""
        if value is None:
            # Turns on both sides become one with the runs there.
            self._flush(a, False, True)
            self._flush(b, False, True)
            self._gate(Gate("rzz", (a, b), angle), 2)
            self._gate(Gate("rz", (a,), constant(0.0)), 1)
            self.turned |= {a, b}
            return
        theta = math.remainder(value, 2 * math.pi)
        if abs(theta) > math.pi / 2:
            self._both(a, b, "z")
            theta -= math.copysign(math.pi, theta)
        if theta < 0:
            self._push(a, "x")
        middle, rest, axis = _between_roots(abs(theta))
        self.runs[a].push("rx", constant(-axis))
        self.runs[b].push("rx", constant(-math.pi / 2))
        self.runs[a].push_turn(rest)
        self._root(a, b)
        self.runs[a].push("rx", constant(middle))
        self._push(a, "z")
        self._root(a, b)
        self._push(a, "z")
        self.runs[a].push("rx", constant(axis - middle))
        self.runs[b].push("rx", constant(math.pi / 2))
        if theta < 0:
            self._push(a, "x")


def _between_roots(theta: float) -> tuple[float, Turn, float]:
    """Return what makes an RZZ of 0 < theta <= pi/2 from two square roots of iSWAP.

    With ``Z RX(middle)`` on qubit a between the roots, and Y' = RX(-middle) Y RX(middle), the product is

        Z RX(middle) exp(-i pi/8 Y' Y) exp(i pi/8 Y Y) = Z RX(middle) exp(-i theta/2 n Y) C,   cos theta = cos^2(middle/2)

    as Y of qubit b is a number for both factors. n is in the plane of Y and Z: RX(axis) makes Z of it. Returned: middle, the inverse
    of C, axis.
    """
    middle = 2 * math.acos(math.sqrt(math.cos(theta)))
    y, z = math.cos(middle), -math.sin(middle)
    eighth, quarter = (math.cos(math.pi / 8), math.sin(math.pi / 8)), math.sqrt(0.5)
    turned: Turn = (eighth[0], 0.0, eighth[1] * y, eighth[1] * z)
    back: Turn = (eighth[0], 0.0, -eighth[1], 0.0)
    plus = multiply(turned, back)
    _, _, ny, nz = multiply(multiply(turned, (quarter, 0.0, -quarter, 0.0)), turned)
    length = math.hypot(ny, nz)
    half = (math.cos(theta / 2), math.sin(theta / 2))
    w, *rest = multiply((half[0], 0.0, -half[1] * ny / length, -half[1] * nz / length), plus)
    return middle, (w, -rest[0], -rest[1], -rest[2]), math.atan2(ny, nz)
