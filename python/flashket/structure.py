# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a circuit's gate list says about the cheapest way to its kernel: lines of diagonal couplings have a closed form."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from flashket.program import Gate, Linear, Program

if TYPE_CHECKING:
    from flashket.feature_maps import FeatureMap
    from flashket.kernels import Kernel

Pair = tuple[int, int]

_ONE = Linear(0.0, -1, 1.0)
_FIXED_PHASES = {"z": math.pi, "s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4, "tdg": -math.pi / 4, "cz": math.pi}


_SHORTEST_LINE = 5
"""Qubits from which a line of transfer matrices is cheaper than a dot of states: 12 n + 4 multiplications and a few against 3 * 2^n."""


_FEWEST_MPS_QUBITS = 17
"""States of fewer qubits are small enough whatever the circuit."""

_LARGEST_MPS_BOND = 64
"""Circuits that may need larger bonds are not run as matrix product states unless :func:`flashket.mps_states` is called."""


_OVERLAPS = ("fidelity", "hadamard")
"""Similarities that are functions of <x|y>."""


class _Term(NamedTuple):
    """A diagonal gate's phase: its angle / 4 times whole numbers, for a constant, z_a, z_b and z_a z_b."""

    qubits: tuple[int, ...]
    angle: tuple[Linear, ...]
    multiples: tuple[int, int, int, int]


def line_parameters(program: Program) -> tuple[float, ...] | None:
    """Return the parameters of the compiled module's encoder "line", or None where the circuit has not that form.

    The form: H first on every qubit, then only diagonal gates (also CX, P or RZ, CX), and the pairs of qubits that gates join
    are neighbours of a line, in whatever order the qubits have along it; several lines, and qubits on their own, are joined
    end to end.

    Parameters
    ----------
    program : Program
        The circuit.

    Returns
    -------
    tuple of float, or None
        n_features, n_qubits, then 11 numbers for every gate; cpp/feature_maps/line.simd.cpp says which.

    Examples
    --------
    >>> from flashket import ZZ
    >>> line_parameters(ZZ(3, reps=1, entanglement="linear").program()) is None
    False
    >>> line_parameters(ZZ(3, reps=1, entanglement="circular").program()) is None
    True
    """
    terms = []
    for term in _diagonal_terms(program):
        if term is None:
            return None
        terms.append(term)
    order = _line(program.n_qubits, {(min(term.qubits), max(term.qubits)) for term in terms if len(term.qubits) == 2})
    if order is None:
        return None
    site = [0] * program.n_qubits
    for position, qubit in enumerate(order):
        site[qubit] = position
    parameters = [float(program.n_features), float(program.n_qubits)]
    for qubits, angle, (constant, first, second, both) in terms:
        sites = [site[qubit] for qubit in qubits]
        if len(sites) == 2 and sites[1] < sites[0]:
            first, second = second, first
        parameters += [min(sites), constant, first, second, both]
        for factor in (*angle, _ONE)[:2]:
            parameters += [factor.scale, factor.feature, factor.offset]
    return tuple(float(number) for number in parameters)


def line_of(feature_map: FeatureMap) -> tuple[float, ...] | None:
    """Return :func:`line_parameters` of a map's circuit where that form exists and is the cheaper one.

    Examples
    --------
    >>> from flashket import IQP
    >>> [line_of(IQP(n, entanglement="linear")) is None for n in (4, 5)]
    [True, False]
    """
    n_qubits = feature_map.n_qubits
    if n_qubits < _SHORTEST_LINE:
        return None
    # Known without the gates, of which there may be too many to write down.
    if getattr(feature_map, "entanglement", "") in ("full", "circular") or getattr(feature_map, "reps", 1) > 1:
        return None
    return line_parameters(feature_map._program)


def mps_bond_of(feature_map: FeatureMap) -> int | None:
    """Return a bond dimension that holds a map's states exactly, where that is small and cheaper than the states.

    A gate on two qubits multiplies the rank across every cut between them by at most 2, a swap by 4.

    Examples
    --------
    >>> from flashket import ZZ
    >>> mps_bond_of(ZZ(100, reps=2, entanglement="linear"))
    4
    >>> mps_bond_of(ZZ(100)) is None
    True
    """
    n_qubits = feature_map.n_qubits
    if n_qubits < _FEWEST_MPS_QUBITS or getattr(feature_map, "entanglement", "") == "full":
        return None
    gates = feature_map._program.gates
    change = [0] * (n_qubits + 1)  # of log2 of the rank, from one cut to the next; cut k lies left of qubit k
    index = 0
    while index < len(gates):
        gate = gates[index]
        is_parity = gate.name == "cx" and index + 2 < len(gates) and _is_parity_phase(gate, gates[index + 1], gates[index + 2])
        if len(gate.qubits) == 2:
            change[min(gate.qubits) + 1] += 2 if gate.name == "swap" else 1
            change[max(gate.qubits) + 1] -= 2 if gate.name == "swap" else 1
        index += 3 if is_parity else 1
    rank = largest = 0
    for cut in range(1, n_qubits):
        rank += change[cut]
        largest = max(largest, min(rank, cut, n_qubits - cut))
    if 2**largest > _LARGEST_MPS_BOND or 16 * n_qubits * 8**largest > 4 * 2**n_qubits:
        return None
    return int(2**largest)


def has_line(kernel: Kernel) -> bool:
    """Return whether a kernel's overlaps are products of transfer matrices; circuits too long to write down are not asked."""
    feature_map = getattr(kernel, "feature_map", None)
    return feature_map is not None and kernel.similarity in _OVERLAPS and feature_map._line is not None


def mps_bond(kernel: Kernel) -> int | None:
    """Return the bond of matrix product states for a kernel's Gram matrix, None where it takes another path."""
    feature_map = getattr(kernel, "feature_map", None)
    if feature_map is None or kernel.similarity not in _OVERLAPS:
        return None
    bond: int | None = feature_map._mps_bond
    return bond


def mps_elements(n_qubits: int, max_bond: int) -> int:
    """Return the complex numbers of a matrix product state whose bonds are as large as they can be.

    Examples
    --------
    >>> mps_elements(4, 2)
    24
    """
    bonds = [min(max_bond, 2 ** min(cut, n_qubits - cut, 40)) for cut in range(n_qubits + 1)]
    return sum(2 * left * right for left, right in pairwise(bonds))


def _diagonal_terms(program: Program) -> Iterator[_Term | None]:
    """Yield the diagonal gates after H on every qubit; None where there is any other gate."""
    gates, n_gates, index = program.gates, len(program.gates), 0
    ready = [False] * program.n_qubits
    while index < n_gates:
        gate = gates[index]
        index += 1
        if gate.name == "h" and not ready[gate.qubits[0]]:
            ready[gate.qubits[0]] = True
            continue
        is_parity = gate.name == "cx" and index + 1 < n_gates and _is_parity_phase(gate, gates[index], gates[index + 1])
        term = _parity_term(gate, gates[index]) if is_parity else _term(gate)
        index += 2 if is_parity else 0
        yield term if term is not None and all(ready[qubit] for qubit in gate.qubits) else None
    if not all(ready):
        yield None


def _is_parity_phase(first: Gate, phase: Gate, last: Gate) -> bool:
    return last == first and phase.name in ("p", "rz") and phase.qubits[0] == first.qubits[1]


def _parity_term(first: Gate, phase: Gate) -> _Term:
    """Return the term of CX, phase, CX: an angle where two bits differ, z_a + z_b - 2 z_a z_b."""
    return _Term(first.qubits, phase.angle, (-1 if phase.name == "rz" else 0, 2, 2, -4))


def _term(gate: Gate) -> _Term | None:
    """Return the term of a diagonal gate; half of an angle is 2 quarters of it, and encoded phases are halves."""
    if gate.name in _FIXED_PHASES:
        multiples = (0, 0, 0, 2) if gate.name == "cz" else (0, 2, 0, 0)
        return _Term(gate.qubits, (Linear(0.0, -1, _FIXED_PHASES[gate.name]),), multiples)
    multiples_of = {"p": (0, 2, 0, 0), "rz": (-1, 2, 0, 0), "cp": (0, 0, 0, 2), "rzz": (-1, 2, 2, -4), "crz": (0, -1, 0, 2)}
    return _Term(gate.qubits, gate.angle, multiples_of[gate.name]) if gate.name in multiples_of else None


def _line(n_qubits: int, pairs: set[Pair]) -> list[int] | None:
    """Return the qubits in an order in which every pair is one of neighbours, or None where there is none.

    Examples
    --------
    >>> _line(4, {(1, 3), (0, 3)})
    [0, 3, 1, 2]
    >>> _line(3, {(0, 1), (1, 2), (0, 2)}) is None
    True
    """
    neighbours: list[list[int]] = [[] for _ in range(n_qubits)]
    for a, b in pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    if any(len(of) > 2 for of in neighbours):
        return None
    order: list[int] = []
    seen = [False] * n_qubits
    for start in range(n_qubits):
        qubit: int | None = start if len(neighbours[start]) < 2 and not seen[start] else None
        while qubit is not None:
            seen[qubit] = True
            order.append(qubit)
            qubit = next((other for other in neighbours[qubit] if not seen[other]), None)
    return order if len(order) == n_qubits else None  # rings have no end to start from
