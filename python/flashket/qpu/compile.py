# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""From circuits to a device's own gates, on chosen qubits.

Steps: a layout (which physical qubit each qubit gets), SWAPs where two-qubit gates are not on edges (``routing``), each two-qubit gate
written in the device's one, each run of one-qubit gates between them in as few pulses as its angles allow (``runs``). Nothing crosses a
barrier.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from flashket.errors import InputError, explanation
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.interactions import Item, interactions, inverted
from flashket.qpu.native import NativeCircuit, NativePart
from flashket.qpu.profile import DeviceProfile
from flashket.qpu.routing import route
from flashket.qpu.runs import Angle, Run, Turn, constant, multiply, value_of


def compile_circuit(
    circuit: MeasuredCircuit, profile: DeviceProfile, *, layout: Sequence[int] | None = None, compiler: str = "auto"
) -> NativeCircuit:
    """Return a circuit in a device's gates.

    Parameters
    ----------
    circuit : MeasuredCircuit
        Parts without features.
    profile : DeviceProfile
        The device.
    layout : sequence of int, (n_qubits,), optional
        The physical qubit of each qubit. By default qubits of small error for the circuit's two-qubit gates.
    compiler : str
        "auto" (FlashKet's own) or "qiskit" (its preset pass manager, level 3; needs ``pip install 'flashket[ibm]'``).

    Returns
    -------
    NativeCircuit
        Its parts do the same as the circuit's, up to global phase and to where qubits end, which ``measured`` follows.

    Raises
    ------
    InputError
        If the circuit does not fit the device, or for a layout that is none.
    BackendUnavailable
        For "qiskit" where it is not installed.

    Notes
    -----
    A part that is the inverse of the one before it, but for angles, takes that one's way back, so that a compute-uncompute circuit ends
    where it starts.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> bell = Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1))))
    >>> native = compile_circuit(MeasuredCircuit((bell,), (0, 1)), load_profile("ibm_torino"))
    >>> native.n_two_qubit, native.n_pulses
    (1, 3)
    """
    place = "compile_circuit"
    _check_compiler(place, compiler)
    parts = [interactions(part) for part in circuit.parts]
    qubits = _layout(place, [item for part in parts for item in part], circuit.n_qubits, profile, layout)
    neighbours = _neighbours(qubits, profile)
    starts = [list(range(circuit.n_qubits))]
    routed: list[list[Item]] = []
    for index, part in enumerate(parts):
        if index and _shape(inverted(part)) == _shape(parts[index - 1]):
            way, end = route(inverted(part), starts[-2], neighbours)
            assert end == starts[-1]  # equal shapes are routed alike
            routed.append(inverted(way))
            starts.append(starts[-2])
        else:
            way, end = route(part, starts[-1], neighbours)
            routed.append(way)
            starts.append(end)
    native = NativeCircuit(profile, qubits, (), ())
    written = tuple(_Writer(native, 0).write(items) for items in routed)
    return NativeCircuit(profile, qubits, written, tuple(starts[-1][q] for q in circuit.measured))


def compile_pair(program: Program, profile: DeviceProfile, *, layout: Sequence[int] | None = None, compiler: str = "auto") -> NativeCircuit:
    """Return U(x) and U(y)^dagger of a feature map in a device's gates, with features for angles, all qubits measured.

    Parameters
    ----------
    program : Program
        U, which may have features.
    profile : DeviceProfile
        The device.
    layout : sequence of int, (n_qubits,), optional
        The physical qubit of each qubit. By default qubits of small error for the circuit's two-qubit gates.
    compiler : str
        "auto" (FlashKet's own) or "qiskit" (its preset pass manager, level 3; needs ``pip install 'flashket[ibm]'``).

    Returns
    -------
    NativeCircuit
        Of two parts. The second takes the first's way back, so bit j is qubit j, on ``layout[j]``.

    Raises
    ------
    InputError
        If the circuit does not fit the device, or for a layout that is none.
    BackendUnavailable
        For "qiskit" where it is not installed.

    Notes
    -----
    One compilation serves every row: pulses are counted for generic angles. Where merged angles would be no product of two linear
    factors (a run with more than one symbolic rotation between turns that do not commute with them), the gates stay as they are and two of
    them, the first and the last, carry the cost of the two pulses that a compiler of numbers would need.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import load_profile
    >>> native = compile_pair(fk.IQP(4).program(), load_profile("ibm_torino"))
    >>> [part.program.n_features for part in native.parts], native.n_two_qubit
    ([4, 4], 36)
    """
    place = "compile_pair"
    _check_compiler(place, compiler)
    items = interactions(program)
    qubits = _layout(place, items, program.n_qubits, profile, layout)
    way, _ = route(items, range(program.n_qubits), _neighbours(qubits, profile))
    native = NativeCircuit(profile, qubits, (), ())
    parts = tuple(_Writer(native, program.n_features).write(half) for half in (way, inverted(way)))
    return NativeCircuit(profile, qubits, parts, tuple(range(program.n_qubits)))


def _check_compiler(place: str, compiler: str) -> None:
    if compiler not in ("auto", "qiskit"):
        raise InputError(explanation(place, 'compiler must be "auto" or "qiskit"', repr(compiler), "leave it out"))


def _shape(items: Sequence[Item]) -> list[tuple[str, tuple[int, ...]]]:
    """Return what routing looks at."""
    same = {"sdg": "s", "tdg": "t"}
    return [(same.get(item.name, item.name), item.qubits) for item in items]


def _pairs(items: Sequence[Item]) -> list[tuple[int, int]]:
    """Return the pairs of qubits that two-qubit gates join, each once."""
    found = {(min(item.qubits), max(item.qubits)) for item in items if item.name in ("cz", "rzz")}
    return sorted(found)


def _layout(place: str, items: Sequence[Item], n: int, profile: DeviceProfile, layout: Sequence[int] | None) -> tuple[int, ...]:
    if n > profile.n_qubits:
        do = "choose a larger device or fewer features"
        raise InputError(explanation(place, f"{profile.name} has {profile.n_qubits} qubits", f"a circuit of {n}", do))
    if layout is None:
        return choose(profile, n, _pairs(items))
    try:
        qubits = tuple(map(operator.index, layout))
    except TypeError:
        qubits = ()
    if len(qubits) != n or len(set(qubits)) != n or not all(0 <= q < profile.n_qubits for q in qubits):
        wanted = f"layout must be {n} different qubits in 0..{profile.n_qubits - 1}"
        raise InputError(explanation(place, wanted, layout, "give each qubit of the circuit its physical one"))
    return qubits


def choose(profile: DeviceProfile, n: int, pairs: list[tuple[int, int]]) -> tuple[int, ...]:
    """Return a line of qubits of small error, the first found from each start."""
    if profile.edges is None or n == 1 or not pairs:
        return tuple(range(n))
    errors = {pair: error for (a, b), error in zip(profile.edges, profile.error_2q, strict=True) for pair in ((a, b), (b, a))}
    near: dict[int, list[int]] = {}
    for a, b in errors:
        near.setdefault(a, []).append(b)

    def cost(line: list[int]) -> float:
        gates = sum(errors[pair] for pair in zip(line, line[1:], strict=False))
        return gates + sum(profile.readout_p10[q] + profile.readout_p01[q] for q in line) / 2

    best: list[int] | None = None
    for start in near:
        line, budget = [start], 2000
        choices = [sorted(near[start], key=lambda q: errors[start, q])]
        while len(line) < n and choices and budget:
            budget -= 1
            if not choices[-1]:
                choices.pop()
                line.pop()
                continue
            q = choices[-1].pop(0)
            if q not in line:
                line.append(q)
                choices.append(sorted(near[q], key=lambda other, q=q: errors[q, other]))  # type: ignore[misc]
        if len(line) == n and (best is None or cost(line) < cost(best)):
            best = line
    if best is None:
        raise InputError(explanation("layout", f"{profile.name} has no line of {n} qubits", None, "name the qubits: layout=(...)"))
    order = _line_order(n, pairs)
    qubits = [0] * n
    for place, q in enumerate(order):
        qubits[q] = best[place]
    return tuple(qubits)


def _line_order(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Return the qubits along the lines that the pairs make, or in their order if the pairs make no lines."""
    near: dict[int, list[int]] = {q: [] for q in range(n)}
    for a, b in pairs:
        near[a].append(b)
        near[b].append(a)
    order: list[int] = []
    for q in sorted(range(n), key=lambda q: len(near[q]) > 1):
        if q in order:
            continue
        last, here = -1, q
        while here >= 0 and here not in order:
            order.append(here)
            onward = [other for other in near[here] if other != last and other not in order]
            last, here = here, onward[0] if onward else -1
    return order if all(len(others) <= 2 for others in near.values()) else list(range(n))


def _neighbours(qubits: tuple[int, ...], profile: DeviceProfile) -> list[frozenset[int]] | None:
    if profile.edges is None:
        return None
    wires = {qubit: wire for wire, qubit in enumerate(qubits)}
    near: list[set[int]] = [set() for _ in qubits]
    for a, b in profile.edges:
        if a in wires and b in wires:
            near[wires[a]].add(wires[b])
            near[wires[b]].add(wires[a])
    return list(map(frozenset, near))


class _Writer:
    """Writes items on wires in a device's gates."""

    def __init__(self, native: NativeCircuit, n_features: int) -> None:
        self.native, self.n_features = native, n_features
        self.one, self.two = native.profile.one_qubit_gate, native.profile.two_qubit_gate
        self.directed = set(native.profile.edges or ())
        self.runs = [Run() for _ in native.qubits]
        self.gates: list[Gate] = []
        self.pulses: list[int] = []

    def write(self, items: Sequence[Item]) -> NativePart:
        """Return the part."""
        for name, wires, angle in items:
            if len(wires) == 1:
                self.runs[wires[0]].push(name, angle)
            elif name == "cz":
                self._cz(*wires)
            elif name == "rzz":
                self._rzz(*wires, angle)
            else:
                self._swap(name, *wires, angle)
        for wire in range(len(self.runs)):
            self._flush(wire, False)
        return NativePart(Program(len(self.runs), self.n_features, tuple(self.gates)), tuple(self.pulses))

    def _push(self, wire: int, *names: str) -> None:
        for name in names:
            self.runs[wire].push(name)

    def _phase(self, angle: float, *wires: int) -> None:
        for wire in wires:
            self.runs[wire].push("rz", constant(angle))

    def _flush(self, wire: int, keep: bool) -> None:
        out, self.runs[wire] = self.runs[wire].write(wire, self.one, keep)
        for gate, pulses in out:
            self._gate(gate, pulses)

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
            if (self.native.qubits[a], self.native.qubits[b]) not in self.directed and self.native.profile.edges is not None:
                a, b = b, a
            self._push(b, "h")
            self._cx(a, b)
            self._push(b, "h")

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
            # cx rz cx
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
            self._flush(a, False)
            self._flush(b, False)
            self._gate(Gate("rzz", (a, b), angle), 2)
            self._gate(Gate("rz", (a,), constant(0.0)), 1)
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

    as Y of qubit b is a number for both factors. n is in the plane of Y and Z: RX(axis) makes Z of it. Returned: middle, the inverse of C, axis.
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
