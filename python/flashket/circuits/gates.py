# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What circuits of other origins call gates, written with a Program's gates. Every identity holds with its global phase.

The phases are Qiskit's: ``U(t, p, l) = P(p) RY(t) P(l)``, also for u2 and u3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from flashket.circuits.expression import Expression
from flashket.errors import ResourceLimit, explanation
from flashket.program import OPCODES, TWO_QUBIT, WITH_ANGLE, Gate, Program

MAX_GATES = 1_000_000
"""More than this are refused: a loop or a definition went wrong."""


class Op(NamedTuple):
    """One of a Program's gates with its angle as an expression, or "gphase": the factor e^(i angle) on no qubit."""

    name: str
    qubits: tuple[int, ...]
    angle: Expression | None = None


Word: TypeAlias = "tuple[str | Expression | int, ...]"


class Rule(NamedTuple):
    """A gate: how many angles and qubits it takes, and what it is. ``words`` maps them to (name, *angles, *qubits) each."""

    n_angles: int
    n_qubits: int
    words: Callable[..., list[Word]]


_HALF, _QUARTER, _EIGHTH = (Expression(math.pi / part) for part in (2, 4, 8))

ALIASES = {
    "U": "u",
    "u3": "u",
    "u1": "p",
    "phase": "p",
    "CX": "cx",
    "cnot": "cx",
    "cphase": "cp",
    "cu1": "cp",
    "toffoli": "ccx",
    "fredkin": "cswap",
}

# a, b, c ...: qubits, controls first; t, p, l, g: angles in the order of the call. Words act from left to right.
RULES: dict[str, Rule] = {
    "id": Rule(0, 1, lambda a: []),
    "u0": Rule(1, 1, lambda t, a: []),
    "sx": Rule(0, 1, lambda a: [("h", a), ("s", a), ("h", a)]),
    "sxdg": Rule(0, 1, lambda a: [("h", a), ("sdg", a), ("h", a)]),
    "u": Rule(3, 1, lambda t, p, l, a: [("p", l, a), ("ry", t, a), ("p", p, a)]),  # noqa: E741  # lambda is a keyword
    "u2": Rule(2, 1, lambda p, l, a: [("p", l, a), ("ry", _HALF, a), ("p", p, a)]),  # noqa: E741
    "r": Rule(2, 1, lambda t, p, a: [("rz", -p, a), ("rx", t, a), ("rz", p, a)]),
    "cy": Rule(0, 2, lambda a, b: [("sdg", b), ("cx", a, b), ("s", b)]),
    "ch": Rule(0, 2, lambda a, b: [("ry", -_QUARTER, b), ("cz", a, b), ("ry", _QUARTER, b)]),
    "cs": Rule(0, 2, lambda a, b: [("cp", _HALF, a, b)]),
    "csdg": Rule(0, 2, lambda a, b: [("cp", -_HALF, a, b)]),
    "csx": Rule(0, 2, lambda a, b: [("h", b), ("cp", _HALF, a, b), ("h", b)]),
    "cu3": Rule(3, 2, lambda t, p, l, a, b: [("cp", l, a, b), ("cry", t, a, b), ("cp", p, a, b)]),  # noqa: E741
    "cu": Rule(4, 2, lambda t, p, l, g, a, b: [("p", g, a), ("cu3", t, p, l, a, b)]),  # noqa: E741
    "dcx": Rule(0, 2, lambda a, b: [("cx", a, b), ("cx", b, a)]),
    "iswap": Rule(0, 2, lambda a, b: [("s", a), ("s", b), ("cz", a, b), ("swap", a, b)]),
    "rzx": Rule(1, 2, lambda t, a, b: [("h", b), ("rzz", t, a, b), ("h", b)]),
    "ecr": Rule(0, 2, lambda a, b: [("rzx", _QUARTER, a, b), ("x", a), ("rzx", -_QUARTER, a, b)]),
    "ccp": Rule(1, 3, lambda t, a, b, c: _doubly_controlled("cp", t, a, b, c)),
    "ccz": Rule(0, 3, lambda a, b, c: _doubly_controlled("cp", Expression(math.pi), a, b, c)),
    "ccx": Rule(0, 3, lambda a, b, c: [("h", c), ("ccz", a, b, c), ("h", c)]),
    "cswap": Rule(0, 3, lambda a, b, c: [("cx", c, b), ("ccx", a, b, c), ("cx", c, b)]),
    "rccx": Rule(
        0,
        3,
        lambda a, b, c: [
            *(("h", c), ("t", c), ("cx", b, c), ("tdg", c), ("cx", a, c)),
            *(("t", c), ("cx", b, c), ("tdg", c), ("h", c)),
        ],
    ),
    "rc3x": Rule(
        0,
        4,
        lambda a, b, c, d: [
            *(("h", d), ("t", d), ("cx", c, d), ("tdg", d), ("h", d)),
            *(("cx", a, d), ("t", d), ("cx", b, d), ("tdg", d), ("cx", a, d), ("t", d), ("cx", b, d), ("tdg", d)),
            *(("h", d), ("t", d), ("cx", c, d), ("tdg", d), ("h", d)),
        ],
    ),
    "c3z": Rule(0, 4, lambda a, b, c, d: _phase_on_all(Expression(math.pi), a, b, c, d)),
    "c3x": Rule(0, 4, lambda a, b, c, d: [("h", d), ("c3z", a, b, c, d), ("h", d)]),
    "c3sqrtx": Rule(0, 4, lambda a, b, c, d: [("h", d), *_phase_on_all(_HALF, a, b, c, d), ("h", d)]),
    "c4x": Rule(0, 5, lambda a, b, c, d, e: [("h", e), *_phase_on_all(Expression(math.pi), a, b, c, d, e), ("h", e)]),
}

WRITTEN: dict[str, Rule] = {
    "rzz": Rule(1, 2, lambda t, a, b: [("cx", a, b), ("rz", t, b), ("cx", a, b)]),
    "rxx": Rule(1, 2, lambda t, a, b: [("h", a), ("h", b), ("cx", a, b), ("rz", t, b), ("cx", a, b), ("h", a), ("h", b)]),
    "ryy": Rule(
        1,
        2,
        lambda t, a, b: [
            *(("rx", _HALF, a), ("rx", _HALF, b), ("cx", a, b), ("rz", t, b)),
            *(("cx", a, b), ("rx", -_HALF, a), ("rx", -_HALF, b)),
        ],
    ),
}
"""A Program's gates that OpenQASM 3's standard library lacks, as the definitions that an exported text carries."""

_CONTROLLED: dict[str, Callable[..., list[Word]]] = {
    **{name: lambda c, a, name=name: [(f"c{name}", c, a)] for name in ("h", "x", "y", "z", "s", "sdg")},
    "t": lambda c, a: [("cp", _QUARTER, c, a)],
    "tdg": lambda c, a: [("cp", -_QUARTER, c, a)],
    **{name: lambda t, c, a, name=name: [(f"c{name}", t, c, a)] for name in ("rx", "ry", "rz", "p")},
    **{name: lambda c, a, b, name=name: [(f"c{name}", c, a, b)] for name in ("cx", "cz", "swap")},
    **{name: lambda t, c, a, b, name=name: _doubly_controlled(name, t, c, a, b) for name in ("cp", "crx", "cry", "crz")},
    # Between basis changes that cancel, only the rotation needs the control.
    "rzz": lambda t, c, a, b: [("cx", a, b), ("crz", t, c, b), ("cx", a, b)],
    "rxx": lambda t, c, a, b: [("h", a), ("h", b), ("cx", a, b), ("crz", t, c, b), ("cx", a, b), ("h", a), ("h", b)],
    "ryy": lambda t, c, a, b: [
        *(("rx", _HALF, a), ("rx", _HALF, b), ("cx", a, b), ("crz", t, c, b)),
        *(("cx", a, b), ("rx", -_HALF, a), ("rx", -_HALF, b)),
    ],
    "gphase": lambda t, c: [("p", t, c)],
}

_INVERSE = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t"}


def _doubly_controlled(name: str, t: Expression, a: int, b: int, c: int) -> list[Word]:
    """Return a controlled rotation with a second control: half the angle for b and for a, taken back where they differ."""
    half = t * 0.5
    return [(name, half, b, c), ("cx", a, b), (name, -half, b, c), ("cx", a, b), (name, half, a, c)]


def _phase_on_all(t: Expression, *qubits: int) -> list[Word]:
    """Return e^(it) where every qubit is 1."""
    ops = [Op("p", qubits[-1:], t)]
    for qubit in qubits[:-1]:
        ops = control(ops, qubit)
    return [(op.name, *(() if op.angle is None else (op.angle,)), *op.qubits) for op in ops]


def known_gate(name: str) -> tuple[int, int] | None:
    """Return how many angles and qubits a gate takes, None for one that is not known.

    Examples
    --------
    >>> known_gate("cu"), known_gate("rzz"), known_gate("warp")
    ((4, 2), (1, 2), None)
    """
    name = ALIASES.get(name, name)
    if name in RULES:
        return RULES[name].n_angles, RULES[name].n_qubits
    if name in OPCODES:
        return int(name in WITH_ANGLE), 2 if name in TWO_QUBIT else 1
    return None


def expand(name: str, angles: Iterable[Expression], qubits: Iterable[int]) -> list[Op]:
    """Return a known gate as a Program's gates.

    Examples
    --------
    >>> [op.name for op in expand("cy", [], [0, 1])]
    ['sdg', 'cx', 's']
    """
    name = ALIASES.get(name, name)
    if name in OPCODES:
        return [Op(name, tuple(qubits), *angles)]
    return _ops(RULES[name].words(*angles, *qubits))


def written(name: str, angles: Iterable[Expression], qubits: Iterable[int]) -> list[Op]:
    """Return a gate of :data:`WRITTEN` as the gates of its definition in an exported text."""
    return _ops(WRITTEN[name].words(*angles, *qubits))


def _ops(words: Iterable[Word]) -> list[Op]:
    ops: list[Op] = []
    for name, *operands in words:
        angles = [operand for operand in operands if isinstance(operand, Expression)]
        ops += expand(str(name), angles, [operand for operand in operands if isinstance(operand, int)])
    return ops


def control(ops: Iterable[Op], qubit: int) -> list[Op]:
    """Return the gates under one more control: each of them, for the phases are exact.

    Examples
    --------
    >>> [op.name for op in control(expand("x", [], [0]), 1)]
    ['cx']
    """
    out: list[Op] = []
    for op in ops:
        out += _ops(_CONTROLLED[op.name](*([] if op.angle is None else [op.angle]), qubit, *op.qubits))
        check_length(len(out))
    return out


def inverse(ops: Iterable[Op]) -> list[Op]:
    """Return the gates' inverses in reverse order."""
    return [Op(_INVERSE.get(op.name, op.name), op.qubits, None if op.angle is None else -op.angle) for op in reversed(list(ops))]


def power(ops: list[Op], exponent: int) -> list[Op]:
    """Return the gates repeated, or their inverses for a negative exponent."""
    base = ops if exponent >= 0 else inverse(ops)
    if len(base) == 1 and base[0].angle is not None:
        return [Op(base[0].name, base[0].qubits, base[0].angle * float(abs(exponent)))]
    check_length(len(base) * abs(exponent))
    return base * abs(exponent)


def check_length(n_gates: int) -> None:
    """Raise ResourceLimit for more than MAX_GATES."""
    if n_gates > MAX_GATES:
        do = "check loops, powers and definitions that multiply"
        raise ResourceLimit(explanation("Program", f"a circuit must have at most {MAX_GATES:,} gates", f"{n_gates:,} or more", do))


def assemble(ops: Iterable[Op], n_qubits: int, n_features: int) -> Program:
    """Return the Program of these gates, their global phases collected at the end on qubit 0."""
    gates, phase = [], Expression()
    for op in ops:
        if op.name == "gphase" and op.angle is not None:
            phase += op.angle
            continue
        gates += [Gate(op.name, op.qubits, angle) for angle in (op.angle.gate_angles() if op.angle is not None else [()])]
    if phase != Expression():
        # RZ(-2g) P(2g) = e^(ig), and two diagonal gates cost nothing beside their neighbours.
        for name, angle in (("rz", phase * -2.0), ("p", phase * 2.0)):
            gates += [Gate(name, (0,), factors) for factors in angle.gate_angles()]
    return Program(n_qubits, n_features, tuple(gates))
