# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""SWAPs that bring two-qubit gates onto a device's edges.

Gates that follow each other on a qubit and are diagonal (CZ, RZZ, RZ ...) commute, so whichever is on an edge first runs first. Two ways
to choose SWAPs: the one that brings the waiting gates and those behind them nearest, step by step (the idea of SABRE: G. Li, Y. Ding,
Y. Xie, arXiv:1809.02573); or, where most pairs of qubits wait for each other along a path, alternating SWAPs of all neighbours, which
bring every pair together once with n (n - 1) / 2 SWAPs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from flashket.errors import InputError, explanation
from flashket.qpu.interactions import Item
from flashket.qpu.runs import DIAGONAL

_BEHIND = 20
"""Gates behind the waiting ones that a SWAP's choice looks at, and their weight against the waiting ones'."""
_BEHIND_WEIGHT = 0.5

_MOST_SEARCHED = 12
"""Qubits up to which both ways are tried where many pairs wait for each other: the search costs their product, and loses."""

_COMMUTING = DIAGONAL | {"cz", "rzz"}


def route(items: Sequence[Item], positions: Sequence[int], neighbours: Sequence[frozenset[int]] | None) -> tuple[list[Item], list[int]]:
    """Return items on wires with SWAPs between, and where each qubit ends.

    Parameters
    ----------
    items : sequence of Item
        On qubits; no "swap", see :func:`flashket.qpu.interactions.without_swaps`.
    positions : sequence of int
        Qubit q starts on wire ``positions[q]``.
    neighbours : sequence of frozenset of int, or None
        The wires that have an edge with each wire; None if all have.

    Raises
    ------
    InputError
        If two qubits of a gate are not connected by edges.

    Notes
    -----
    Looks at gates' names and qubits only, never at angles: circuits that differ in angles are routed alike.
    """
    plain = _without_swaps(items, positions, neighbours)
    if plain is not None:
        return plain
    assert neighbours is not None  # with every edge there the plain way works
    line = _line(neighbours)
    joined = len({frozenset(item.qubits) for item in items if len(item.qubits) == 2})
    ways = []
    if line is not None and joined > len(positions):
        ways.append(_Router(items, positions, neighbours, lazy=True).alternate(line))
    if not ways or len(positions) <= _MOST_SEARCHED:
        ways.append(_Router(items, positions, neighbours).search())
    best = min(ways, key=lambda way: _cost(way[0]))
    return _merged(best[0]), best[1]


def _without_swaps(
    items: Sequence[Item], positions: Sequence[int], neighbours: Sequence[frozenset[int]] | None
) -> tuple[list[Item], list[int]] | None:
    """Return the items in their order if each two-qubit gate is on an edge."""
    at, routed = list(positions), []
    for item in items:
        wires = tuple(at[q] for q in item.qubits)
        if neighbours is None or len(wires) == 1 or wires[1] in neighbours[wires[0]]:
            routed.append(Item(item.name, wires, item.angle))
        else:
            return None
    return routed, at


def _cost(items: Sequence[Item]) -> int:
    """Return about how many two-qubit gates of a device the routed items take."""
    return sum({"cz": 1, "rzz": 2, "swap": 3, "cz_swap": 2, "rzz_swap": 3}.get(item.name, 0) for item in _merged(items))


class _Router:
    def __init__(
        self, items: Sequence[Item], positions: Sequence[int], neighbours: Sequence[frozenset[int]], *, lazy: bool = False
    ) -> None:
        self.items, self.neighbours = items, neighbours
        # A lazy router lets even near gates wait: with the SWAP that crosses their wires they cost one gate less.
        self.lazy = lazy
        self.at = list(positions)
        self.on = {wire: q for q, wire in enumerate(positions)}
        self.routed: list[Item] = []
        self.distances = _distances(neighbours)
        for item in items:
            if len(item.qubits) == 2 and self._distance_of(item) == len(neighbours):
                do = "choose qubits that edges connect, or layout=None"
                raise InputError(explanation("layout", "qubits that interact must hang together", f"{item.qubits} apart", do))
        self.followers: list[list[int]] = [[] for _ in items]
        self.missing = [0] * len(items)
        self._find_order()
        # Two-qubit gates that may run but are not on an edge, by qubit.
        self.waiting: list[dict[int, None]] = [{} for _ in positions]
        self.n_waiting = 0
        self._run([index for index, count in enumerate(self.missing) if not count])

    def _find_order(self) -> None:
        wall: dict[int, int] = {}
        open_group: dict[int, list[int]] = {}
        for index, item in enumerate(self.items):
            before: set[int] = set()
            for q in item.qubits:
                group = open_group.setdefault(q, [])
                if item.name in _COMMUTING:
                    before |= {wall[q]} if q in wall else set()
                    group.append(index)
                else:
                    before |= set(group) or ({wall[q]} if q in wall else set())
                    wall[q], open_group[q] = index, []
            for other in before:
                self.followers[other].append(index)
            self.missing[index] = len(before)

    def _is_near(self, index: int) -> bool:
        a, b = self.items[index].qubits
        return self.at[b] in self.neighbours[self.at[a]]

    def _run(self, ready: list[int]) -> None:
        """Run gates that may run, and all that become free by them; the rest waits."""
        queue = deque(sorted(ready))
        while queue:
            index = queue.popleft()
            name, qubits, angle = self.items[index]
            if len(qubits) == 2 and (self.lazy or not self._is_near(index)):
                for q in qubits:
                    self.waiting[q][index] = None
                self.n_waiting += 1
                continue
            self.routed.append(Item(name, tuple(self.at[q] for q in qubits), angle))
            queue.extend(self._freed(index))

    def _freed(self, index: int) -> list[int]:
        """Return the gates that only waited for one that has run."""
        for follower in self.followers[index]:
            self.missing[follower] -= 1
        return [follower for follower in self.followers[index] if not self.missing[follower]]

    def _exchange(self, u: int, v: int) -> None:
        a, b = self.on[u], self.on[v]
        self.at[a], self.at[b], self.on[u], self.on[v] = v, u, b, a

    def _now_near(self, qubits: tuple[int, ...]) -> list[int]:
        """Take the qubits' gates that have come onto an edge out of the waiting ones."""
        return self._taken({index for q in qubits for index in self.waiting[q] if self._is_near(index)} if not self.lazy else set())

    def _taken(self, indices: set[int]) -> list[int]:
        """Take gates out of the waiting ones."""
        for index in indices:
            for q in self.items[index].qubits:
                del self.waiting[q][index]
        self.n_waiting -= len(indices)
        return sorted(indices)

    def _swap(self, u: int, v: int) -> None:
        self.routed.append(Item("swap", (u, v)))
        self._exchange(u, v)
        self._run(self._now_near((self.on[u], self.on[v])))

    def alternate(self, line: list[int]) -> tuple[list[Item], list[int]]:
        """Swap all neighbours along a line, in turns the even and the odd ones, until nothing waits."""
        parity = 0
        while self.n_waiting:
            if all(map(self._is_near, front := self._front())):
                self._run_waiting(set(front))
                continue
            for u, v in zip(line[parity::2], line[parity + 1 :: 2], strict=False):
                if crossing := set(self.waiting[self.on[u]].keys() & self.waiting[self.on[v]].keys()):
                    self._run_waiting(crossing)
                self._swap(u, v)
            parity = 1 - parity
        return self.routed, self.at

    def _run_waiting(self, indices: set[int]) -> None:
        """Run waiting gates that are near."""
        for index in self._taken(indices):
            name, qubits, angle = self.items[index]
            self.routed.append(Item(name, tuple(self.at[q] for q in qubits), angle))
            self._run(self._freed(index))

    def search(self) -> tuple[list[Item], list[int]]:
        """Take the best SWAP, until nothing waits."""
        recent, since_progress = deque[tuple[int, int]](maxlen=len(self.at)), 0
        while self.n_waiting:
            if since_progress > 2 * len(self.at):
                # Going in circles: take the nearest waiting gate by the shortest way.
                a, b = self._nearest()
                u, v = self.at[a], self.at[b]
                while v not in self.neighbours[u]:
                    step = min(self.neighbours[u], key=lambda wire: (self.distances[wire][v], wire))
                    self._swap(u, step)
                    u = step
                recent.clear()
                since_progress = 0
                continue
            u, v = self._best_swap(recent)
            before = self.n_waiting, len(self.routed)
            self._swap(u, v)
            moved_only = self.n_waiting == before[0] and len(self.routed) == before[1] + 1
            since_progress = since_progress + 1 if moved_only else 0
            recent.append((min(u, v), max(u, v)))
            if not moved_only:
                recent.clear()
        return self.routed, self.at

    def _front(self) -> list[int]:
        return sorted({index for gates in self.waiting for index in gates})

    def _distance_of(self, item: Item) -> int:
        a, b = item.qubits
        return self.distances[self.at[a]][self.at[b]]

    def _nearest(self) -> tuple[int, ...]:
        return self.items[min(self._front(), key=lambda index: (self._distance_of(self.items[index]), index))].qubits

    def _behind(self, front: list[int]) -> list[int]:
        """Return the next two-qubit gates that follow the waiting ones."""
        found: list[int] = []
        seen, queue = set(front), deque(front)
        while queue and len(found) < _BEHIND:
            for follower in self.followers[queue.popleft()]:
                if follower not in seen:
                    seen.add(follower)
                    queue.append(follower)
                    if len(self.items[follower].qubits) == 2:
                        found.append(follower)
        return found

    def _best_swap(self, recent: deque[tuple[int, int]]) -> tuple[int, int]:
        front = self._front()
        behind = self._behind(front)
        wires = {self.at[q] for index in front for q in self.items[index].qubits}
        pairs = sorted({(min(u, v), max(u, v)) for u in wires for v in self.neighbours[u]})
        weighted = [(index, 1.0 / len(front)) for index in front] + [(index, _BEHIND_WEIGHT / len(behind)) for index in behind]
        touching: dict[int, list[tuple[int, float]]] = {}
        for index, weight in weighted:
            for q in self.items[index].qubits:
                touching.setdefault(self.at[q], []).append((index, weight))

        def change(pair: tuple[int, int]) -> tuple[float, int, tuple[int, int]]:
            u, v = pair
            moved, total = {u: v, v: u}, 0.0
            for wire, other in ((u, v), (v, u)):
                for index, weight in touching.get(wire, ()):
                    a, b = (self.at[q] for q in self.items[index].qubits)
                    if other in (a, b):
                        continue
                    total += weight * (self.distances[moved.get(a, a)][moved.get(b, b)] - self.distances[a][b])
            # Recently used edges wait their turn, so that the search does not go back and forth.
            return (total + 0.05 * recent.count(pair), recent.count(pair), pair)

        return min(pairs, key=change)


def _distances(neighbours: Sequence[frozenset[int]]) -> list[list[int]]:
    """Return the number of edges between wires; more than there can be where no way leads."""
    n = len(neighbours)
    table = []
    for start in range(n):
        row, queue = {start: 0}, deque([start])
        while queue:
            wire = queue.popleft()
            for other in neighbours[wire]:
                if other not in row:
                    row[other] = row[wire] + 1
                    queue.append(other)
        table.append([row.get(wire, n) for wire in range(n)])
    return table


def _line(neighbours: Sequence[frozenset[int]]) -> list[int] | None:
    """Return the wires along a path of edges: in their order, or the only path there is; None otherwise."""
    n = len(neighbours)
    if all(wire + 1 in neighbours[wire] for wire in range(n - 1)):
        return list(range(n))
    ends = [wire for wire in range(n) if len(neighbours[wire]) == 1]
    if len(ends) != 2 or any(len(others) > 2 for others in neighbours):
        return None
    line = [ends[0]]
    while len(line) < n:
        onward = [wire for wire in neighbours[line[-1]] if wire not in line[-2:]]
        if not onward:
            return None
        line.append(onward[0])
    return line


def _merged(items: Sequence[Item]) -> list[Item]:
    """Return the items with each SWAP and the CZ or RZZ before it on the same wires as one: together they cost less."""
    out: list[Item | None] = []
    last: dict[int, int] = {}
    for item in items:
        if item.name == "swap":
            a, b = item.qubits
            index = last.get(a, -1)
            previous = out[index] if index >= 0 and index == last.get(b) else None
            if previous is not None and previous.name in ("cz", "rzz"):
                # What stands between is diagonal and commutes with it.
                out[index] = None
                item = Item(f"{previous.name}_swap", item.qubits, previous.angle)
        if len(item.qubits) == 2:
            last.update(dict.fromkeys(item.qubits, len(out)))
        elif item.name not in DIAGONAL:
            last.pop(item.qubits[0], None)
        out.append(item)
    return [item for item in out if item is not None]
