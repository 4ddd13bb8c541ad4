# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a layout costs: minus the logarithm of the product of fidelities of everything a circuit does on the qubits it is given.

    cost = sum over pairs of count x c2(path) + sum over qubits of (pulses x c1 + readout + idling),   c = -log(1 - error)

Pairs that are not neighbours are routed inside the layout: every edge of the path but the last costs a SWAP, three gates. Idling is the
thermal relaxation during the circuit's duration (ASAP schedule, the device's median gate times) less the time of the qubit's own gates,
whose errors have their decoherence inside. Errors that a profile does not know cost nothing: it has the same gap on every qubit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flashket.qpu.profile import DeviceProfile

_SWAP_GATES = 3
_SURE = 1 - 1e-9
"""Errors above are taken as this, which keeps their logarithm finite."""


@dataclass(frozen=True)
class LayoutCost:
    """The cost of every choice for one circuit on one device; see the module.

    Parameters
    ----------
    counts : dict of (int, int) to int
        Two-qubit gates of each pair of the circuit's qubits, lower qubit first.
    qubit : ndarray, (n, N) float64
        Cost of the circuit's qubit i on the device's qubit q; inf on faulty ones.
    edge : ndarray, (N, N) float64
        Cost of one two-qubit gate; inf where there is none.
    """

    counts: dict[tuple[int, int], int]
    qubit: NDArray[np.float64]
    edge: NDArray[np.float64]

    @property
    def n_qubits(self) -> int:
        """Of the circuit."""
        return int(self.qubit.shape[0])

    def of(self, layout: Sequence[int]) -> float:
        """Return the cost of a layout, inf if a pair cannot meet inside it."""
        chosen = np.asarray(layout)
        pairs = routed(self.edge[np.ix_(chosen, chosen)])
        gates = sum(count * float(pairs[pair]) for pair, count in self.counts.items())
        return gates + float(self.qubit[np.arange(len(chosen)), chosen].sum())


def routed(edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what it costs to let two qubits interact: the gate between neighbours, else SWAPs along the cheapest path and a gate.

    Parameters
    ----------
    edge : ndarray, (N, N) float64
        Cost of one gate, inf where there is none.

    Returns
    -------
    ndarray, (N, N) float64
    """
    swaps = _SWAP_GATES * edge
    np.fill_diagonal(swaps, 0.0)
    for middle in range(len(swaps)):
        np.minimum(swaps, swaps[:, middle, None] + swaps[None, middle], out=swaps)
    best = np.full_like(edge, np.inf)
    for middle in range(len(swaps)):
        np.minimum(best, swaps[:, middle, None] + edge[None, middle], out=best)
    np.fill_diagonal(best, 0.0)
    # Neighbours are not routed, even where a way round would cost less.
    cheapest: NDArray[np.float64] = np.where(np.isfinite(edge), edge, np.minimum(best, best.T))
    return cheapest


def layout_cost(
    profile: DeviceProfile,
    n_qubits: int,
    interactions: Sequence[tuple[int, int]],
    pulses: Sequence[float] | None,
    measured: Sequence[int] | None,
) -> LayoutCost:
    """Return the costs; arguments as of :func:`flashket.qpu.layout.choose_layout`, checked there."""
    n = profile.n_qubits
    per_gate = 2 if profile.one_qubit_gate == "sx" else 1
    degree = Counter(qubit for pair in interactions for qubit in pair)
    if pulses is None:
        pulses = [per_gate * (degree[qubit] + 1) for qubit in range(n_qubits)]
    is_measured = np.ones(n_qubits) if measured is None else np.isin(np.arange(n_qubits), measured).astype(float)
    pulse_time, gate_time = _known(profile.median("duration_1q")), _known(profile.median("duration_2q"))
    step = gate_time + per_gate * pulse_time
    duration, depth = _asap(n_qubits, interactions, step)
    own = np.array([degree[qubit] * gate_time + count * pulse_time for qubit, count in enumerate(pulses)])
    idle = np.maximum(duration - own, 0.0)
    idle_layers = depth - np.array([degree[qubit] for qubit in range(n_qubits)])

    readout = _costs([(p10 + p01) / 2 for p10, p01 in zip(profile.readout_p10, profile.readout_p01, strict=True)])
    qubit = np.outer(pulses, _costs(profile.error_1q)) + np.outer(is_measured, readout) + _idling(profile, idle)
    qubit += idle_layers[:, None] * -math.log1p(-profile.memory_error / 2)
    qubit[:, sorted(profile.faulty_qubits)] = np.inf

    edge = np.full((n, n), np.inf)
    if profile.edges is None:
        edge[:] = _costs(profile.error_2q)[0]
        np.fill_diagonal(edge, np.inf)
    else:
        for (a, b), cost in zip(profile.edges, _costs(profile.error_2q), strict=True):
            if b in profile.neighbours[a]:
                edge[a, b] = edge[b, a] = cost
    return LayoutCost(dict(Counter((min(pair), max(pair)) for pair in interactions)), qubit, edge)


def _known(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _costs(errors: Sequence[float]) -> NDArray[np.float64]:
    costs: NDArray[np.float64] = -np.log1p(-np.minimum(np.nan_to_num(np.asarray(errors, dtype=float), nan=0.0), _SURE))
    return costs


def _asap(n_qubits: int, interactions: Sequence[tuple[int, int]], step: float) -> tuple[float, int]:
    """Return duration and depth in two-qubit gates when each gate starts as soon as both its qubits are free."""
    layer = [0] * n_qubits
    for a, b in interactions:
        layer[a] = layer[b] = max(layer[a], layer[b]) + 1
    depth = max(layer, default=0)
    return depth * step, depth


def _idling(profile: DeviceProfile, idle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cost (n, N) of waiting: average infidelity of relaxation, 1 - (3 + exp(-t/T1) + 2 exp(-t/T2)) / 6."""
    t1 = np.nan_to_num(np.asarray(profile.t1), nan=np.inf)
    t2 = np.minimum(np.nan_to_num(np.asarray(profile.t2), nan=np.inf), 2 * t1)
    infidelity = -(np.expm1(-idle[:, None] / t1) + 2 * np.expm1(-idle[:, None] / t2)) / 6
    costs: NDArray[np.float64] = -np.log1p(-np.minimum(infidelity, _SURE))
    return costs
