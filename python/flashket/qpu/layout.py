# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Which qubits of a device a circuit gets: the ones with the least expected infidelity, by the profile's calibration data."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from flashket.errors import InputError, explanation
from flashket.qpu.layout_cost import LayoutCost, layout_cost, routed
from flashket.qpu.profile import DeviceProfile

_Path: TypeAlias = "tuple[int, _Path] | None"
"""Qubits from a path's end, as nested pairs: paths share what they have in common."""

_LINE_BEAM = 1000
"""States kept for every end qubit, divided by the length: lines of ten qubits are searched almost completely."""
_DRAWN = 30
_BEAM = 200
_BRANCHES = 4
_POLISHED = 3
_EVALUATIONS = 20_000
"""Layouts tried by the local search, divided by the number of qubits."""


def choose_layout(
    profile: DeviceProfile,
    n_qubits: int,
    interactions: Iterable[tuple[int, int]],
    *,
    pulses: Sequence[float] | None = None,
    measured: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Return the device's qubits for a circuit, with about the least expected infidelity.

    Parameters
    ----------
    profile : DeviceProfile
        The device.
    n_qubits : int
        Qubits of the circuit.
    interactions : iterable of (int, int)
        The circuit's two-qubit gates in order, as pairs of its qubits; a pair counts as often as it is there.
    pulses : sequence of float, (n_qubits,), optional
        One-qubit pulses of each qubit; by default one gate before, between and after its two-qubit gates.
    measured : sequence of int, optional
        The circuit's qubits that are measured; all by default.

    Returns
    -------
    tuple of int, (n_qubits,)
        The device's qubit of each of the circuit's.

    Raises
    ------
    InputError
        If the device has not enough good qubits that hang together, or an argument is wrong.

    Notes
    -----
    The cost is in :mod:`flashket.qpu.layout_cost`. Circuits whose interactions form a line are laid on simple paths of the coupling graph:
    a beam search that keeps the best states for every end qubit, which is exact for short lines and small devices; where lines are so long
    that the beam only meets dead ends, the best of many random ones is taken. Other circuits, and lines that the device has not, grow
    connected subgraphs with a beam, then a local search moves and exchanges qubits. Faulty qubits and gates are never used.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> profile = load_profile("ibm_torino")
    >>> line = choose_layout(profile, 4, [(0, 1), (2, 3), (1, 2)])
    >>> all(profile.has_edge(a, b) for a, b in zip(line, line[1:]))
    True
    """
    pairs = _check_interactions(n_qubits, interactions)
    _check_room(profile, n_qubits, pairs)
    if pulses is not None and (len(pulses) != n_qubits or not all(math.isfinite(count) and count >= 0 for count in pulses)):
        raise InputError(explanation("layout", f"pulses must be {n_qubits} counts", pulses))
    if measured is not None and not all(0 <= qubit < n_qubits for qubit in measured):
        raise InputError(explanation("layout", f"measured must be qubits in 0..{n_qubits - 1}", measured))
    cost = layout_cost(profile, n_qubits, pairs, pulses, measured)
    if profile.edges is None or not pairs:
        return _choose_free(cost)
    order = _line_order(n_qubits, set(cost.counts))
    if order is not None:
        lines = [_best_line(profile, cost, way) for way in (order, order[::-1])]
        if lines == [None, None]:
            lines = _drawn_lines(profile, order)
        found = [line for line in lines if line is not None]
        if found:
            return min(found, key=cost.of)
    return _best_embedding(profile, cost)


def expected_infidelity(
    profile: DeviceProfile,
    layout: Sequence[int],
    interactions: Iterable[tuple[int, int]],
    *,
    pulses: Sequence[float] | None = None,
    measured: Sequence[int] | None = None,
) -> float:
    """Return one minus the product of fidelities that :func:`choose_layout` minimises, for a given layout.

    A figure to compare layouts by; the noise models say what a circuit's result will be.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> profile = load_profile("ibm_torino")
    >>> good, bad = (expected_infidelity(profile, layout, [(0, 1)]) for layout in (choose_layout(profile, 2, [(0, 1)]), (0, 1)))
    >>> good < bad
    True
    """
    pairs = _check_interactions(len(layout), interactions)
    checked = check_layout(profile, layout, len(layout), pairs)
    return -math.expm1(-layout_cost(profile, len(checked), pairs, pulses, measured).of(checked))


def check_layout(
    profile: DeviceProfile, layout: Sequence[int], n_qubits: int, interactions: Iterable[tuple[int, int]] | None = None
) -> tuple[int, ...]:
    """Return a user's layout as a tuple, or refuse it.

    Parameters
    ----------
    profile : DeviceProfile
        The device.
    layout : sequence of int
        The device's qubit of each of the circuit's.
    n_qubits : int
        Qubits of the circuit.
    interactions : iterable of (int, int), optional
        The circuit's pairs: those must be able to meet inside the layout. Without them the whole layout must hang together.

    Raises
    ------
    InputError
        If it has the wrong length, qubits twice, outside the device or out of order, or is disconnected.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> check_layout(load_profile("ibm_torino"), [3, 4, 5], 3)
    (3, 4, 5)
    """
    chosen = tuple(layout)
    if len(chosen) != n_qubits:
        raise InputError(explanation("layout", f"a layout of {n_qubits} qubits was wanted", f"{len(chosen)} qubits"))
    for qubit in chosen:
        if isinstance(qubit, bool) or not isinstance(qubit, (int, np.integer)) or not 0 <= qubit < profile.n_qubits:
            raise InputError(explanation("layout", f"qubits of {profile.name} are 0..{profile.n_qubits - 1}", repr(qubit)))
    if len(set(chosen)) != n_qubits:
        twice = [qubit for qubit, count in Counter(chosen).items() if count > 1]
        raise InputError(explanation("layout", "each qubit may be used once", f"{twice} more than once"))
    faulty = sorted(profile.faulty_qubits.intersection(chosen))
    if faulty:
        do = "choose others; profile.good_qubits lists them"
        raise InputError(explanation("layout", f"qubits of {profile.name} that work were wanted", f"{faulty}, out of order", do))
    groups = [list(range(n_qubits))] if interactions is None else _components(n_qubits, _check_interactions(n_qubits, interactions))
    for group in groups:
        if not profile.is_connected([chosen[qubit] for qubit in group]):
            got = f"a disconnected layout {tuple(chosen[qubit] for qubit in group)}"
            do = f"choose neighbours on {profile.name}, or leave layout out"
            raise InputError(explanation("layout", "qubits that interact must hang together", got, do))
    return tuple(int(qubit) for qubit in chosen)


def line_interactions(n_qubits: int) -> list[tuple[int, int]]:
    """Return the pairs of U(x) followed by its inverse, for a one-repetition map on a line: two gates a pair in U, even pairs first.

    Examples
    --------
    >>> line_interactions(3)
    [(0, 1), (0, 1), (1, 2), (1, 2), (1, 2), (1, 2), (0, 1), (0, 1)]
    """
    half = [(q, q + 1) for first in (0, 1) for q in range(first, n_qubits - 1, 2) for _ in range(2)]
    return half + half[::-1]


def line_layout(profile: DeviceProfile, n_qubits: int) -> tuple[int, ...]:
    """Return the best line of qubits for a kernel entry of a one-repetition map on a line; see :func:`choose_layout`.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> len(line_layout(load_profile("ibm_boston"), 10))
    10
    """
    return choose_layout(profile, n_qubits, line_interactions(n_qubits))


def random_line_layouts(profile: DeviceProfile, n_qubits: int, count: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Return simple paths of good qubits, drawn at random: what a run whose layout is not known may have used.

    Each starts at a random qubit and goes to a random free neighbour, back where it is stuck; not uniform over all paths.

    Parameters
    ----------
    profile : DeviceProfile
        The device.
    n_qubits : int
        Length of the lines.
    count : int
        How many; they may repeat.
    seed : int
        The same seed gives the same lines on every machine and version of Python.

    Raises
    ------
    InputError
        If the device has no such line, or none was found.

    Examples
    --------
    >>> from flashket.qpu import load_profile
    >>> lines = random_line_layouts(load_profile("ibm_boston"), 5, 3, seed=0)
    >>> len(lines), len(lines[0])
    (3, 5)
    """
    _check_room(profile, n_qubits, [(q, q + 1) for q in range(n_qubits - 1)])
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError(explanation("layout", "count must be a positive integer", count))
    # random() alone is promised to stay the same between versions of Python, and between platforms.
    draw = random.Random(seed).random
    lines = []
    for _ in range(count):
        line = _random_line(profile, n_qubits, draw, 1000)
        if line is None:
            wanted = f"a line of {n_qubits} good qubits on {profile.name} was wanted"
            raise InputError(explanation("layout", wanted, "none found", "use fewer qubits"))
        lines.append(line)
    return tuple(lines)


def _drawn_lines(profile: DeviceProfile, order: list[int]) -> list[tuple[int, ...] | None]:
    """Return random simple paths as layouts of a line; none if the first attempts find none."""
    draw = random.Random(0).random
    lines: list[tuple[int, ...] | None] = []
    for _ in range(_DRAWN):
        path = _random_line(profile, len(order), draw, 200)
        if path is None:
            break
        layout = dict(zip(order, path, strict=True))
        lines.append(tuple(layout[logical] for logical in range(len(order))))
    return lines


def _random_line(profile: DeviceProfile, n_qubits: int, draw: Callable[[], float], attempts: int) -> tuple[int, ...] | None:
    starts = [q for group in _groups(profile) if len(group) >= n_qubits for q in group]

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


def _check_interactions(n_qubits: int, interactions: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    if isinstance(n_qubits, bool) or not isinstance(n_qubits, int) or n_qubits < 1:
        raise InputError(explanation("layout", "n_qubits must be a positive integer", n_qubits))
    pairs = list(interactions)
    for pair in pairs:
        are_qubits = len(pair) == 2 and all(isinstance(qubit, (int, np.integer)) and 0 <= qubit < n_qubits for qubit in pair)
        if not are_qubits or pair[0] == pair[1]:
            raise InputError(explanation("layout", f"interactions must be pairs of different qubits in 0..{n_qubits - 1}", pair))
    return pairs


def _components(n_qubits: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the circuit's qubits in groups that interact, largest first."""
    others: list[set[int]] = [set() for _ in range(n_qubits)]
    for a, b in pairs:
        others[a].add(b)
        others[b].add(a)
    return _flood(range(n_qubits), others)


def _groups(profile: DeviceProfile) -> list[list[int]]:
    """Return the good qubits in groups that hang together, largest first."""
    return _flood(profile.good_qubits, profile.neighbours)


def _flood(nodes: Iterable[int], others: Sequence[Iterable[int]]) -> list[list[int]]:
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


def _check_room(profile: DeviceProfile, n_qubits: int, pairs: list[tuple[int, int]]) -> None:
    """Refuse circuits that the good qubits of the device have no room for."""
    if isinstance(n_qubits, bool) or not isinstance(n_qubits, int) or n_qubits < 1:
        raise InputError(explanation("layout", "n_qubits must be a positive integer", n_qubits))
    n_good = len(profile.good_qubits)
    if n_qubits > n_good:
        wanted = f"at most {n_good} qubits fit on {profile.name}, which has {profile.n_qubits}, {profile.n_qubits - n_good} out of order"
        raise InputError(explanation("layout", wanted, n_qubits, "use fewer qubits or another device"))
    if profile.edges is None:
        return
    largest = len(_groups(profile)[0])
    needed = len(_components(n_qubits, pairs)[0])
    if needed > largest:
        wanted = f"{needed} qubits that interact must hang together, and at most {largest} good qubits of {profile.name} do"
        raise InputError(explanation("layout", wanted, "a disconnected layout", "use fewer qubits or another device"))


def _choose_free(cost: LayoutCost) -> tuple[int, ...]:
    """Give each qubit of the circuit the best that is left: all pairs are alike, or there are none."""
    table = cost.qubit.copy()
    layout = []
    for row in table:
        best = int(np.argmin(row))
        layout.append(best)
        table[:, best] = np.inf
    return tuple(layout)


def _line_order(n_qubits: int, pairs: set[tuple[int, int]]) -> list[int] | None:
    """Return the circuit's qubits along the line that their interactions form, None if they form something else."""
    others: list[list[int]] = [[] for _ in range(n_qubits)]
    for a, b in pairs:
        others[a].append(b)
        others[b].append(a)
    ends = [qubit for qubit in range(n_qubits) if len(others[qubit]) == 1]
    if len(ends) != 2 or len(pairs) != n_qubits - 1 or max(map(len, others)) > 2:
        return None
    order = [ends[0]]
    while len(order) < n_qubits:
        following = [qubit for qubit in others[order[-1]] if len(order) < 2 or qubit != order[-2]]
        if not following:
            return None
        order.append(following[0])
    return order


def _best_line(profile: DeviceProfile, cost: LayoutCost, order: list[int]) -> tuple[int, ...] | None:
    """Return the best simple path, as a layout; None if the beam lost every path of this length."""
    keep = max(8, _LINE_BEAM // len(order))
    qubit, edge = cost.qubit.tolist(), cost.edge.tolist()
    # For each end qubit its best states: (cost, visited qubits as bits, path).
    beams: dict[int, list[tuple[float, int, _Path]]] = {q: [(qubit[order[0]][q], 1 << q, (q, None))] for q in profile.good_qubits}
    for before, logical in pairwise(order):
        count = cost.counts[min(before, logical), max(before, logical)]
        found: dict[int, dict[int, tuple[float, int, _Path]]] = {}
        for end, states in beams.items():
            for step in profile.neighbours[end]:
                extra, bit = count * edge[end][step] + qubit[logical][step], 1 << step
                at_step = found.setdefault(step, {})
                for total, visited, path in states:
                    if not visited & bit:
                        known = at_step.get(visited | bit)
                        if known is None or total + extra < known[0]:
                            at_step[visited | bit] = (total + extra, visited | bit, (step, path))
        beams = {end: sorted(states.values(), key=lambda state: state[0])[:keep] for end, states in found.items() if states}
    if not beams:
        return None
    _, _, path = min((states[0] for states in beams.values()), key=lambda state: state[0])
    layout = [0] * len(order)
    for logical in reversed(order):
        if path is not None:
            layout[logical], path = path
    return tuple(layout)


def _best_embedding(profile: DeviceProfile, cost: LayoutCost) -> tuple[int, ...]:
    """Return a layout for any interactions: connected subgraphs grown with a beam, the best of them polished."""
    distance = routed(cost.edge)
    components = _components(cost.n_qubits, cost.counts)
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
    return {q for group in _flood(free, profile.neighbours) if len(group) >= size for q in group}


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
