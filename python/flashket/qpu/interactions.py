# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A Program as one-qubit gates, CZ, RZZ and SWAP: what routing and the basis change work on. Global phases are left out."""

from __future__ import annotations

import math
from typing import NamedTuple

from flashket.program import TWO_QUBIT, Program
from flashket.qpu.runs import DIAGONAL, Angle, constant, fixed_angle, times


class Item(NamedTuple):
    """A one-qubit gate of Program, or "cz", "rzz", "swap", or "cz_swap" and "rzz_swap": the gate, then a swap."""

    name: str
    qubits: tuple[int, ...]
    angle: Angle = ()


def inverted(items: list[Item]) -> list[Item]:
    """Return the inverse of a list of items."""
    adjoint = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t"}
    return [Item(adjoint.get(name, name), qubits, times(angle, -1.0) if angle else ()) for name, qubits, angle in reversed(items)]


def without_swaps(items: list[Item], names: list[int]) -> tuple[list[Item], list[int]]:
    """Return items in which qubits that SWAPs exchange exchange their names instead, and the names at the end.

    Parameters
    ----------
    items : list of Item
        On qubits 0..n-1.
    names : list of int, (n,)
        What each qubit is called at the start.

    Examples
    --------
    >>> without_swaps([Item("swap", (0, 1)), Item("h", (0,))], [0, 1])
    ([Item(name='h', qubits=(1,), angle=())], [1, 0])
    """
    named, out = list(names), []
    for item in items:
        if item.name == "swap":
            a, b = item.qubits
            named[a], named[b] = named[b], named[a]
        else:
            out.append(Item(item.name, tuple(named[q] for q in item.qubits), item.angle))
    return out, named


def interactions(program: Program) -> list[Item]:
    """Return the program's gates as items.

    A diagonal gate between two equal cx on their target is one RZZ, which is how feature maps write it.
    """
    items: list[Item | None] = []
    # Of each qubit: the cx that it was last the target of, as (index, control), and the diagonal gates since.
    last: dict[int, tuple[int, int]] = {}
    since: dict[int, list[int]] = {}

    def disturb(qubit: int) -> None:
        last.pop(qubit, None)
        for target in [t for t, (_, control) in last.items() if control == qubit]:
            del last[target]

    for gate in program.gates:
        name, qubits, angle = gate.name, gate.qubits, gate.angle
        if name in DIAGONAL:
            since.setdefault(qubits[0], []).append(len(items))
            items.append(Item(name, qubits, angle))
        elif name == "cx":
            control, target = qubits
            if target in last and last[target][1] == control:
                opened = last.pop(target)[0]
                for index in since[target]:
                    item = items[index]
                    assert item is not None  # indices since the cx are of gates that stand
                    items[index] = Item("rzz", qubits, item.angle or constant(fixed_angle(item.name)))
                items[opened] = None
            else:
                disturb(target)
                last.pop(control, None)
                last[target], since[target] = (len(items), control), []
                items.append(Item("cx", qubits))
        else:
            for qubit in qubits:
                # As a control a qubit commutes with diagonal gates, as a target it does not with two-qubit ones.
                if name in _DIAGONAL_PAIRS:
                    last.pop(qubit, None)
                else:
                    disturb(qubit)
            items += _written(name, qubits, angle) if name in TWO_QUBIT else [Item(name, qubits, angle)]
    return [part for item in items if item is not None for part in (_written(*item) if item.name == "cx" else (item,))]


_DIAGONAL_PAIRS = frozenset({"cz", "cp", "rzz", "crz"})


def _written(name: str, qubits: tuple[int, ...], angle: Angle) -> list[Item]:
    """Return a two-qubit gate as items."""
    a, b = qubits
    if name in ("cz", "rzz", "swap"):
        return [Item(name, qubits, angle)]
    if name == "cx":
        return [Item("h", (b,)), Item("cz", qubits), Item("h", (b,))]
    if name == "cp":
        half = times(angle, 0.5)
        return [Item("rz", (a,), half), Item("rz", (b,), half), Item("rzz", qubits, times(angle, -0.5))]
    if name == "crz":
        return [Item("rz", (b,), times(angle, 0.5)), Item("rzz", qubits, times(angle, -0.5))]
    if name == "crx":
        return _between("h", None, (b,), _written("crz", qubits, angle))
    if name == "cry":
        # RY = RX(-pi/2) RZ RX(pi/2), in time from the right.
        return _between("rx", math.pi / 2, (b,), _written("crz", qubits, angle))
    if name == "rxx":
        return _between("h", None, qubits, [Item("rzz", qubits, angle)])
    return _between("rx", math.pi / 2, qubits, [Item("rzz", qubits, angle)])


def _between(name: str, angle: float | None, qubits: tuple[int, ...], items: list[Item]) -> list[Item]:
    """Return items after a one-qubit gate on each qubit, and before its inverse."""
    before = [Item(name, (q,), () if angle is None else constant(angle)) for q in qubits]
    after = [Item(name, (q,), () if angle is None else constant(-angle)) for q in qubits]
    return [*before, *items, *after]
