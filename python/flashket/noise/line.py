# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Exact noisy circuits on a line of any width: Pauli components as a matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket.errors import InputError, ResourceLimit, explanation
from flashket.noise.channels import PAULIS
from flashket.noise.program import CHANNEL, GATE, PAIR_CHANNEL, NoisyCircuit, NoisyProgram
from flashket.program import Gate, Program
from flashket.reference import gate_matrix

Tensor = npt.NDArray[np.float64]

_CUT = 1e-13
"""Singular values below this share of the largest are rounding, not entanglement."""

# The first qubit is the more significant bit of a gate's matrix, but the less significant digit.
_PAIR_STRINGS = np.array([np.kron(PAULIS[k % 4], PAULIS[k // 4]) for k in range(16)])

MOST_BOND = 512
"""Beyond this bond dimension a circuit is too entangled for a matrix product."""


def zero_probability(noisy: NoisyCircuit, *rows: Any) -> float:
    """Return the probability that every measured bit of a circuit on a line reads 0, at any width.

    ``p = sum_P e_P c_P``: the state after the first half of the parts and the operator that the rest and the readout measure are each a
    matrix product over the wires with four Pauli components a site. With one repetition of a line-entangled map in each half the bond
    dimension is at most 16, so the cost grows linearly with the width.

    Parameters
    ----------
    noisy : NoisyCircuit
        Two-qubit gates only between neighbours on some line of the wires, or on several lines.
    *rows : array_like, (n_features,)
        One row for each part, radians; empty for parts without features.

    Returns
    -------
    float
        Exact up to rounding: nothing is cut but singular values below 1e-13 of the largest.

    Raises
    ------
    InputError
        For gates that do not lie on lines, and rows that do not fit the parts.
    ResourceLimit
        If the bond dimension exceeds 512.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.noise.lower import lower
    >>> from flashket.qpu import compile_pair, load_profile
    >>> program = fk.IQP(20, entanglement="linear").program()
    >>> noisy = lower(compile_pair(program, load_profile("ibm_torino")))
    >>> x = [0.1 * k for k in range(20)]
    >>> 0.2 < zero_probability(noisy, x, x) < 0.9
    True
    """
    if rows and len(rows) != len(noisy.parts):
        raise InputError(
            explanation("zero_probability", f"rows must be one for each of {len(noisy.parts)} parts", len(rows), "repeat them")
        )
    programs = (
        [part.program.bind(row) for part, row in zip(noisy.parts, rows, strict=True)] if rows else [part.program for part in noisy.parts]
    )
    if any(program.n_features for program in programs):
        raise InputError(explanation("zero_probability", "parts with features need rows", None, "pass one row for each part"))
    line = wires_in_line(_pairs(noisy), len(noisy.start))
    if line is None:
        do = "use flashket.noise.exact or trajectories"
        raise InputError(explanation("zero_probability", "two-qubit gates must lie on lines of wires", f"{len(noisy.start)} wires", do))
    site = [line.index(wire) for wire in range(len(line))]
    middle = (len(programs) + 1) // 2
    state = [component.reshape(1, 4, 1) for component in np.asarray(noisy.start, np.float64)[line]]
    for part, program in zip(noisy.parts[:middle], programs[:middle], strict=True):
        _run(state, site, part, program, adjoint=False)
    operator = [component.reshape(1, 4, 1) for component in _all_zeros(noisy)[line]]
    for part, program in zip(reversed(noisy.parts[middle:]), reversed(programs[middle:]), strict=True):
        _run(operator, site, part, program, adjoint=True)
    overlap = np.ones((1, 1))
    for left, right in zip(state, operator, strict=True):
        overlap = np.tensordot(np.tensordot(overlap, left, (0, 0)), right, ((0, 1), (0, 1)))
    return float(overlap[0, 0])


def _all_zeros(noisy: NoisyCircuit) -> Tensor:
    """Return the Pauli components (n, 4) of "reads 0" on each wire: (1 - p10) |0><0| + p01 |1><1|; the identity where nothing is read."""
    components = np.tile([1.0, 0.0, 0.0, 0.0], (len(noisy.start), 1))
    for wire, (p10, p01) in zip(noisy.measured, noisy.readout, strict=True):
        components[wire] = [(1 - p10 + p01) / 2, 0.0, 0.0, (1 - p10 - p01) / 2]
    return components


def _pairs(noisy: NoisyCircuit) -> list[tuple[int, int]]:
    """Return the pairs of wires that gates or channels join, each once."""
    found = {tuple(sorted(gate.qubits)) for part in noisy.parts for gate in part.program.gates if len(gate.qubits) == 2}
    for part in noisy.parts:
        rows = part.operations[part.operations[:, 0] == PAIR_CHANNEL, 2:]
        found |= {(min(a, b), max(a, b)) for a, b in rows.tolist()}
    return [(a, b) for a, b in sorted(found)]


def _run(sites: list[Tensor], site: list[int], part: NoisyProgram, program: Program, *, adjoint: bool) -> None:
    """Apply a part's operations in place: to a state forward, to an operator backward and transposed. Wire w is site ``site[w]``."""
    factors: dict[tuple[Gate | int, bool], tuple[Tensor, Tensor]] = {}
    rows = part.operations.tolist()
    for kind, index, first, second in reversed(rows) if adjoint else rows:
        if kind == CHANNEL:
            _single(sites, part.channels[index], site[first], adjoint)
        elif kind == GATE and len(program.gates[index].qubits) == 1:
            gate = program.gates[index]
            _single(sites, _ptm(gate), site[gate.qubits[0]], adjoint)
        else:
            if kind == GATE:
                gate = program.gates[index]
                first, second = gate.qubits
            key = (gate if kind == GATE else index, site[first] > site[second])
            if key not in factors:
                factors[key] = _split(_ptm(gate) if kind == GATE else np.diag(part.pair_channels[index]), key[1])
            left, right = factors[key]
            _pair(sites, left, right, min(site[first], site[second]), adjoint)


def _ptm(gate: Gate) -> Tensor:
    """Return the Pauli transfer matrix; of two qubits with digits d_q0 + 4 d_q1, like a pair channel's."""
    angle = 1.0
    for _, _, offset in gate.angle:
        angle *= offset
    matrix = gate_matrix(gate.name, angle)
    strings = PAULIS if len(gate.qubits) == 1 else _PAIR_STRINGS
    turned = matrix @ strings @ matrix.conj().T
    return np.asarray(np.einsum("aij,bji->ab", strings, turned).real / len(matrix))


def _split(ptm: Tensor, is_reversed: bool) -> tuple[Tensor, Tensor]:
    """Return factors (4, 4, r) of the lower and (r, 4, 4) of the higher wire whose product is the map, r as small as it goes."""
    digits = ptm.reshape(4, 4, 4, 4)  # [out_q1, out_q0, in_q1, in_q0]
    order = (0, 2, 1, 3) if is_reversed else (1, 3, 0, 2)
    u, s, v = np.linalg.svd(digits.transpose(order).reshape(16, 16))
    rank = int((s > _CUT * s[0]).sum())
    root = np.sqrt(s[:rank])
    return (u[:, :rank] * root).reshape(4, 4, rank), (root[:, None] * v[:rank]).reshape(rank, 4, 4)


def _single(sites: list[Tensor], ptm: Tensor, wire: int, adjoint: bool) -> None:
    sites[wire] = (ptm.T if adjoint else ptm) @ sites[wire]


def _pair(sites: list[Tensor], lower: Tensor, higher: Tensor, wire: int, adjoint: bool) -> None:
    """Multiply two neighbours by a map and bring their bond back to its rank."""
    if adjoint:
        lower, higher = lower.transpose(1, 0, 2), higher.transpose(0, 2, 1)
    left = np.tensordot(sites[wire], lower, (1, 1)).transpose(0, 2, 1, 3)  # l, a, r, k
    right = np.tensordot(higher, sites[wire + 1], (2, 1)).transpose(2, 0, 1, 3)  # r, k, a, m
    n_left, n_right, bond = left.shape[0], right.shape[3], left.shape[2] * left.shape[3]
    q_left, r_left = np.linalg.qr(left.reshape(4 * n_left, bond))
    q_right, r_right = np.linalg.qr(right.reshape(bond, 4 * n_right).T)
    u, s, v = np.linalg.svd(r_left @ r_right.T)
    rank = max(int((s > _CUT * s[0]).sum()), 1)
    if rank > MOST_BOND:
        do = "use trajectories, or fewer repetitions"
        raise ResourceLimit(explanation("zero_probability", f"the bond dimension must stay below {MOST_BOND}", rank, do))
    root = np.sqrt(s[:rank])
    sites[wire] = (q_left @ (u[:, :rank] * root)).reshape(n_left, 4, rank)
    sites[wire + 1] = ((root[:, None] * v[:rank]) @ q_right.T).reshape(rank, 4, n_right)


def wires_in_line(pairs: Sequence[tuple[int, int]], n: int) -> list[int] | None:
    """Return the wires in the order of a line that has every pair as neighbours, None if there is no such line.

    Examples
    --------
    >>> wires_in_line([(2, 0), (0, 1)], 3)
    [1, 0, 2]
    >>> wires_in_line([(0, 1), (1, 2), (2, 0)], 3) is None
    True
    """
    neighbours: list[set[int]] = [set() for _ in range(n)]
    for a, b in pairs:
        neighbours[a].add(b)
        neighbours[b].add(a)
    order: list[int] = []
    for start in [wire for wire in range(n) if len(neighbours[wire]) < 2]:
        wire: int | None = None if start in order else start
        while wire is not None:
            order.append(wire)
            onward = [other for other in neighbours[wire] if other not in order]
            wire = onward[0] if len(onward) == 1 else None
    places = {wire: place for place, wire in enumerate(order)}
    return order if len(order) == n and all(abs(places[a] - places[b]) == 1 for a, b in pairs) else None
