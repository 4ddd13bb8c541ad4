# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Searches for layouts of little cost: lines and rings along paths of the coupling graph, other circuits on connected subgraphs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flashket.errors import InputError, explanation
from flashket.qpu.layout_cost import LayoutCost, routed
from flashket.qpu.profile import DeviceProfile

_Path: TypeAlias = "tuple[int, _Path] | None"
"""Qubits from a path's end, as nested pairs: paths share what they have in common."""

_State: TypeAlias = tuple[float, int, _Path]
"""Cost so far, visited qubits as bits, path."""

_Beams: TypeAlias = dict[int, list[_State]]
"""States by the qubit where their path ends, the best first."""

_LINE_BEAM = 1000
"""States kept for every end qubit, divided by the length: lines of ten qubits are searched almost completely."""
_RING_BEAM = 200
_DRAWN = 30
_BEAM = 200
_BRANCHES = 4
_POLISHED = 3
_EVALUATIONS = 20_000
"""Layouts tried by the local search, divided by the number of qubits."""


def interaction_groups(n_qubits: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the circuit's qubits in groups that interact, largest first."""
    others: list[set[int]] = [set() for _ in range(n_qubits)]
    for a, b in pairs:
        others[a].add(b)
        others[b].add(a)
    return flood(range(n_qubits), others)


def qubit_groups(profile: DeviceProfile) -> list[list[int]]:
    """Return the good qubits in groups that hang together, largest first."""
    return flood(profile.good_qubits, profile.neighbours)


def flood(nodes: Iterable[int], others: Sequence[Iterable[int]]) -> list[list[int]]:
    left, groups = set(nodes), []
    while left:
        border = [min(left)]
        left.remove(border[0])
        group = []
        while border:
            node = border.pop()
            group.append(node)
            reached = left.intersection(others[node])
            left -= reached
            border.extend(sorted(reached))
        groups.append(sorted(group))
    return sorted(groups, key=len, reverse=True)


def _drawn_lines(profile: DeviceProfile, order: list[int]) -> list[tuple[int, ...] | None]:
    """Return random simple paths as layouts of a line; none if the first attempts find none."""
    draw = random.Random(0).random
    lines: list[tuple[int, ...] | None] = []
    for _ in range(_DRAWN):
        path = random_line(profile, len(order), draw, 200)
        if path is None:
            break
        layout = dict(zip(order, path, strict=True))
        lines.append(tuple(layout[logical] for logical in range(len(order))))
    return lines


def random_line(profile: DeviceProfile, n_qubits: int, draw: Callable[[], float], attempts: int) -> tuple[int, ...] | None:
    starts = [q for group in qubit_groups(profile) if len(group) >= n_qubits for q in group]

    def shuffled(qubits: Sequence[int]) -> Iterator[int]:
        return iter(sorted(qubits, key=lambda _: draw()))

    for _ in range(attempts):
        path = [starts[int(draw() * len(starts))]]
        ways = [shuffled(profile.neighbours[path[0]])]
        for _ in range(20 * n_qubits):
            if len(path) == n_qubits:
                return tuple(path)
            step = next((q for q in ways[-1] if q not in path), None)
            if step is not None:
                path.append(step)
                ways.append(shuffled(profile.neighbours[step]))
            elif len(path) > 1:
                path.pop()
                ways.pop()
            else:
                break
    return None


def best_layout(profile: DeviceProfile, cost: LayoutCost) -> tuple[int, ...]:
    """Return the layout of about the least cost, by the search that fits the circuit."""
    if profile.edges is None or not cost.counts:
        return _best_free(cost)
    walk = _walk(cost.n_qubits, set(cost.counts))
    found: list[tuple[int, ...] | None] = []
    if walk is not None and len(cost.counts) == cost.n_qubits:
        # With a bad gate on every ring of the right length, a path and SWAPs may do better.
        found = [_best_ring(profile, cost, walk), _best_embedding(profile, cost)]
    elif walk is not None:
        found = [_best_line(profile, cost, walk), _best_line(profile, cost, walk[::-1])]
        if found == [None, None]:
            found = _drawn_lines(profile, walk)
    layouts = [layout for layout in found if layout is not None]
    return min(layouts, key=cost.of) if layouts else _best_embedding(profile, cost)


def _best_free(cost: LayoutCost) -> tuple[int, ...]:
    """Give each qubit of the circuit the best that is left: all pairs are alike, or there are none."""
    table = cost.qubit.copy()
    layout = []
    for row in table:
        best = int(np.argmin(row))
        layout.append(best)
        table[:, best] = np.inf
    return tuple(layout)


def _walk(n_qubits: int, pairs: set[tuple[int, int]]) -> list[int] | None:
    """Return the circuit's qubits along the line or ring that their interactions form, None if they form something else."""
    others: list[list[int]] = [[] for _ in range(n_qubits)]
    for a, b in pairs:
        others[a].append(b)
        others[b].append(a)
    ends = [qubit for qubit in range(n_qubits) if len(others[qubit]) == 1]
    is_line, is_ring = len(ends) == 2 and len(pairs) == n_qubits - 1, not ends and len(pairs) == n_qubits
    if not (is_line or is_ring) or any(len(near) not in (1, 2) for near in others):
        return None
    order = [ends[0] if is_line else 0]
    while len(order) < n_qubits:
        following = [qubit for qubit in others[order[-1]] if qubit not in order[-2:]]
        if not following or following[0] == order[0]:
            return None
        order.append(following[0])
    return order


def _best_line(profile: DeviceProfile, cost: LayoutCost, order: list[int]) -> tuple[int, ...] | None:
    """Return the best simple path, as a layout; None if the beam lost every path of this length."""
    qubit = cost.qubit[order[0]].tolist()
    # For each end qubit its best states.
    beams: _Beams = {q: [(qubit[q], 1 << q, (q, None))] for q in profile.good_qubits}
    for before, logical in pairwise(order):
        beams = _extended(profile, cost, beams, before, logical, max(8, _LINE_BEAM // len(order)))
    if not beams:
        return None
    return _as_layout(order, min((states[0] for states in beams.values()), key=_cost_of)[2])


def _best_ring(profile: DeviceProfile, cost: LayoutCost, order: list[int]) -> tuple[int, ...] | None:
    """Return the best simple cycle, as a layout; None if the beam found none of this length."""
    best: tuple[float, _Path] = (np.inf, None)
    closing = cost.counts[min(order[0], order[-1]), max(order[0], order[-1])]
    for start in profile.good_qubits:
        beams: _Beams = {start: [(float(cost.qubit[order[0], start]), 1 << start, (start, None))]}
        hops = _hops(profile, start)
        for place, (before, logical) in enumerate(pairwise(order), 1):
            beams = _extended(profile, cost, beams, before, logical, max(2, _RING_BEAM // len(order)))
            # What cannot be back in time, or already costs more than another ring, is left out.
            beams = {
                end: states for end, states in beams.items() if hops.get(end, len(order)) <= len(order) - place and states[0][0] < best[0]
            }
        for end, states in beams.items():
            total, _, path = states[0]
            best = min(best, (total + closing * float(cost.edge[end, start]), path), key=lambda found: found[0])
    return _as_layout(order, best[1])


def _extended(profile: DeviceProfile, cost: LayoutCost, beams: _Beams, before: int, logical: int, keep: int) -> _Beams:
    """Put one more qubit of the circuit at the end of every path, and keep the best paths to each new end."""
    count, qubit = cost.counts[min(before, logical), max(before, logical)], cost.qubit[logical]
    found: dict[int, dict[int, _State]] = {}
    for end, states in beams.items():
        for step in profile.neighbours[end]:
            extra, bit = count * float(cost.edge[end, step]) + float(qubit[step]), 1 << step
            at_step = found.setdefault(step, {})
            for total, visited, path in states:
                if not visited & bit:
                    known = at_step.get(visited | bit)
                    if known is None or total + extra < known[0]:
                        at_step[visited | bit] = (total + extra, visited | bit, (step, path))
    return {end: sorted(states.values(), key=_cost_of)[:keep] for end, states in found.items() if states}


def _cost_of(state: _State) -> float:
    return state[0]


def _as_layout(order: list[int], path: _Path) -> tuple[int, ...] | None:
    """Return the layout that puts the circuit's qubits on a path, whose end is the last of the order."""
    if path is None:
        return None
    layout = [0] * len(order)
    for logical in reversed(order):
        if path is not None:
            layout[logical], path = path
    return tuple(layout)


def _hops(profile: DeviceProfile, start: int) -> dict[int, int]:
    """Return the distance to every qubit that can be reached."""
    hops, border = {start: 0}, [start]
    for node in border:
        for other in profile.neighbours[node]:
            if other not in hops:
                hops[other] = hops[node] + 1
                border.append(other)
    return hops


def _best_embedding(profile: DeviceProfile, cost: LayoutCost) -> tuple[int, ...]:
    """Return a layout for any interactions: connected subgraphs grown with a beam, the best of them polished."""
    distance = routed(cost.edge)
    components = interaction_groups(cost.n_qubits, cost.counts)
    states: list[tuple[float, dict[int, int]]] = [(0.0, {})]
    for component in components:
        for logical in _growth_order(component, cost.counts):
            states = _grow(profile, cost, distance, states, logical, component)
    layouts = [tuple(chosen[logical] for logical in range(cost.n_qubits)) for _, chosen in states]
    best = sorted((cost.of(layout), layout) for layout in layouts)[:_POLISHED]
    return min(_polish(profile, cost, layout) for _, layout in best)[1]


def _growth_order(component: list[int], counts: dict[tuple[int, int], int]) -> list[int]:
    """Start with the busiest qubit; next comes the one that has most to do with those before it."""
    weight: Counter[tuple[int, int]] = Counter()
    for (a, b), count in counts.items():
        weight[a, b] = weight[b, a] = count
    busy = {a: sum(weight[a, b] for b in component) for a in component}
    order: list[int] = []
    while len(order) < len(component):
        left = [a for a in component if a not in order]
        order.append(max(left, key=lambda a: (sum(weight[a, b] for b in order), busy[a], -a)))
    return order


def _grow(
    profile: DeviceProfile,
    cost: LayoutCost,
    distance: NDArray[np.float64],
    states: list[tuple[float, dict[int, int]]],
    logical: int,
    component: list[int],
) -> list[tuple[float, dict[int, int]]]:
    """Place one more qubit in every state and keep the best."""
    found: dict[tuple[int, ...], tuple[float, dict[int, int]]] = {}
    for total, chosen in states:
        used = set(chosen.values())
        placed = {qubit: chosen[qubit] for qubit in component if qubit in chosen}
        if placed:
            border = {q for physical in placed.values() for q in profile.neighbours[physical]} - used
        else:
            border = _room_for(profile, used, len(component))
        if not border:
            continue
        candidates = np.array(sorted(border))
        added = cost.qubit[logical, candidates].copy()
        for other, physical in placed.items():
            count = cost.counts.get((min(logical, other), max(logical, other)), 0)
            if count:
                added += count * distance[physical, candidates]
        branches = len(candidates) if not placed else _BRANCHES
        for index in np.argsort(added, kind="stable")[:branches]:
            following = chosen | {logical: int(candidates[index])}
            key = tuple(following[qubit] for qubit in sorted(following))
            found[key] = (total + float(added[index]), following)
    if not found:
        wanted = "groups of qubits that interact must each hang together"
        raise InputError(explanation("layout", wanted, f"no room for all of them on {profile.name}", "use fewer qubits or another device"))
    return sorted(found.values(), key=lambda state: state[0])[:_BEAM]


def _room_for(profile: DeviceProfile, used: set[int], size: int) -> set[int]:
    """Return the free good qubits that hang together with at least size - 1 others."""
    free = [q for q in profile.good_qubits if q not in used]
    return {q for group in flood(free, profile.neighbours) if len(group) >= size for q in group}


def _polish(profile: DeviceProfile, cost: LayoutCost, layout: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
    """Exchange qubits of a layout, and move them to free neighbours, as long as that helps."""
    best, left = (cost.of(layout), layout), max(100, _EVALUATIONS // cost.n_qubits)
    improved = True
    while improved and left > 0:
        improved = False
        for candidate in _moves(profile, best[1]):
            left -= 1
            total = cost.of(candidate)
            if total < best[0] - 1e-12:
                best, improved = (total, candidate), True
                break
            if left <= 0:
                break
    return best


def _moves(profile: DeviceProfile, layout: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    free = sorted({q for physical in layout for q in profile.neighbours[physical]} - set(layout))
    for index in range(len(layout)):
        for q in free:
            yield (*layout[:index], q, *layout[index + 1 :])
    for first in range(len(layout)):
        for second in range(first):
            moved = list(layout)
            moved[first], moved[second] = moved[second], moved[first]
            yield tuple(moved)
