# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Routing and runs of one-qubit gates on their own, at sizes that no state vector reaches."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flashket as fk
from flashket.program import Gate, Linear, Program
from flashket.qpu import compile_pair, load_profile
from flashket.qpu.interactions import Item, interactions, inverted
from flashket.qpu.routing import route
from flashket.qpu.runs import Run, euler, multiply, turn


def neighbours(edges: list[tuple[int, int]], n: int) -> list[frozenset[int]]:
    return [frozenset(b if a == wire else a for a, b in edges if wire in (a, b)) for wire in range(n)]


def replayed(routed: list[Item], start: list[int], near: list[frozenset[int]]) -> tuple[list[Item], list[int]]:
    """Undo the routing: items on qubits, and where the qubits end."""
    at = dict(enumerate(start))
    out = []
    for name, wires, angle in routed:
        on = {wire: q for q, wire in at.items()}
        assert len(wires) == 1 or wires[1] in near[wires[0]]
        if name in ("cz_swap", "rzz_swap", "swap"):
            a, b = (on[wire] for wire in wires)
            if name != "swap":
                out.append(Item(name.removesuffix("_swap"), (a, b), angle))
            at[a], at[b] = at[b], at[a]
        else:
            out.append(Item(name, tuple(on[wire] for wire in wires), angle))
    return out, [at[q] for q in range(len(start))]


def normal(items: list[Item]) -> Counter[Any]:
    return Counter((name, frozenset(qubits), angle) for name, qubits, angle in items)


@given(st.integers(2, 12), st.integers(0, 2**32))
def test_every_gate_runs_once_on_an_edge_in_a_valid_order(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # A random tree and some more edges.
    edges = [(int(rng.integers(k)), k) for k in range(1, n)]
    edges += [(int(a), int(b)) for a, b in rng.integers(n, size=(n // 3, 2)) if a != b]
    near = neighbours(edges, n)
    items = []
    for k in range(int(rng.integers(60))):
        a, b = (int(q) for q in rng.permutation(n)[:2])
        angle = (Linear(0.0, -1, float(k)),)  # tells the gates apart
        items.append([Item("rx", (a,), angle), Item("rz", (a,), angle), Item("rzz", (a, b), angle), Item("rzz", (a, b), angle)][k % 4])
    start = [int(wire) for wire in rng.permutation(n)]
    routed, end = route(items, start, near)
    found, expected_end = replayed(routed, start, near)
    assert end == expected_end
    assert normal(found) == normal(items)
    # Gates that do not commute keep their order on each qubit: rx against the others.
    for q in range(n):
        for other in ("rz", "rzz"):
            wanted = [item for item in items if q in item.qubits and item.name in ("rx", other)]
            got = [item for item in found if q in item.qubits and item.name in ("rx", other)]
            blocks = [_blocks(part) for part in (wanted, got)]
            assert blocks[0] == blocks[1]


def _blocks(items: list[Item]) -> list[Any]:
    """Sequences with commuting neighbours as sets."""
    out: list[Any] = []
    for item in items:
        if item.name == "rx":
            out.append(item.angle)
        elif out and isinstance(out[-1], set):
            out[-1].add(item.angle)
        else:
            out.append({item.angle})
    return out


@pytest.mark.parametrize("reps", [1, 2])
@pytest.mark.parametrize("n", [13, 30])
def test_full_entanglement_of_many_qubits(n: int, reps: int) -> None:
    items = interactions(fk.IQP(n, reps=reps).program())
    near = neighbours([(k, k + 1) for k in range(n - 1)], n)
    routed, end = route(items, range(n), near)
    found, expected_end = replayed(routed, list(range(n)), near)
    assert end == expected_end
    assert normal(found) == normal(items)
    swaps = sum(item.name in ("swap", "rzz_swap") for item in routed)
    assert swaps <= reps * n * (n - 1) // 2 + n * reps


def test_equal_shapes_are_routed_alike() -> None:
    rng = np.random.default_rng(2)
    program = fk.IQP(6, reps=2).program()
    near = neighbours([(k, k + 1) for k in range(5)] + [(1, 4)], 6)
    ways = [route(interactions(program.bind(rng.normal(size=6))), range(6), near) for _ in range(3)]
    assert len({tuple((item.name, item.qubits) for item in way) for way, _ in ways}) == 1
    assert len({tuple(end) for _, end in ways}) == 1


def test_device_circuits_of_fifty_qubits_are_quick() -> None:
    profile = load_profile("ibm_torino")
    program = fk.ZZ(50, entanglement="linear").program()
    compile_pair(program, profile)
    start = time.process_time()
    native = compile_pair(program, profile)
    # About 0.03 s; the bound is for slow machines.
    assert time.process_time() - start < 2
    assert native.n_two_qubit == 2 * 2 * 2 * 49


def test_blocks_of_feature_maps_are_one_interaction() -> None:
    names = [item.name for item in interactions(fk.ZZ(3, reps=1).program())]
    assert Counter(names) == {"h": 3, "p": 3, "rzz": 3}
    # A gate on the target that is not diagonal, or on the control in between, breaks the block.
    for broken in ((Gate("h", (1,)),), (Gate("h", (0,)),), (Gate("cx", (2, 0)),), (Gate("cz", (1, 2)),), (Gate("cx", (1, 0)),)):
        gates = (Gate("cx", (0, 1)), Gate("t", (1,)), *broken, Gate("cx", (0, 1)))
        assert all(item.name != "rzz" for item in interactions(Program(3, 0, gates)))
    # Diagonal gates on the control, and gates that only control from it, do not.
    gates = (Gate("cx", (0, 1)), Gate("t", (1,)), Gate("s", (0,)), Gate("cx", (0, 2)), Gate("cx", (0, 1)))
    assert [item.name for item in interactions(Program(3, 0, gates))] == ["rzz", "s", "h", "cz", "h"]


def test_inverse_of_items() -> None:
    items = [Item("s", (0,)), Item("rz", (1,), (Linear(2.0, 0, 1.0),)), Item("rzz_swap", (0, 1), (Linear(1.0, 0), Linear(1.0, 1)))]
    assert inverted(inverted(items)) == items
    assert inverted(items)[2] == Item("sdg", (0,))


@given(st.tuples(*[st.floats(-10, 10)] * 3))
def test_euler_angles(angles: tuple[float, float, float]) -> None:
    q = multiply(turn("rz", angles[2]), multiply(turn("ry", angles[1]), turn("rz", angles[0])))
    e = euler(q)
    again = multiply(turn("rz", e.after), multiply(turn("ry", e.theta), turn("rz", e.before)))
    assert abs(sum(a * b for a, b in zip(q, again, strict=True))) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("names", "sx", "u"),
    [
        ("", 0, 0),
        ("h h", 0, 0),
        ("s t z", 0, 0),
        ("x", 1, 1),
        ("h", 1, 1),
        ("h t h", 2, 1),
        ("h s h", 1, 1),
        ("rx", 2, 1),
        ("ry", 2, 1),
        ("rz", 0, 0),
        ("h rz", 1, 1),
        ("h rz h", 2, 1),
        ("x rz x", 0, 0),
        ("x rz h", 1, 1),
        ("h rz x", 1, 1),
        ("h rz h rz h", 2, 1),
        ("ry rz ry", 2, 1),
        ("rx x", 2, 1),
    ],
)
def test_pulses_of_runs(names: str, sx: int, u: int) -> None:
    for one, wanted in (("sx", sx), ("u", u)):
        run = Run()
        for feature, name in enumerate(names.split()):
            run.push(name, (Linear(1.0, feature),) if name.startswith("r") else ())
        out, rest = run.write(0, one, False)
        assert sum(pulses for _, pulses in out) == wanted
        assert rest.write(0, one, False)[0] == []


def test_small_angles_are_not_lost() -> None:
    run = Run()
    run.push("rx", (Linear(0.0, -1, 1e-9),))
    out, _ = run.write(0, "u", False)
    (turned,) = [gate for gate, pulses in out if pulses]
    assert turned.angle[0].offset == pytest.approx(1e-9, rel=1e-6)
    assert math.isfinite(turned.angle[0].offset)
