# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Randomised measurements: random local unitaries, and the overlaps of states in what they give.

The estimator that uses them is :class:`flashket.qpu.estimators.RandomisedMeasurement`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.program import Gate, Linear

ENSEMBLES = ("clifford", "haar")

_DENSE_QUBITS = 10
"""Up to here all 2^n outcomes are kept; beyond only those that came."""

_TO_Z = ((), ("h",), ("sdg", "h"))


def random_turns(n_qubits: int, n_unitaries: int, ensemble: str, seed: int) -> tuple[tuple[Gate, ...], ...]:
    """Return random local unitaries as gates before a measurement in the computational basis.

    Parameters
    ----------
    n_qubits, n_unitaries : int
        Of the states, and how many choices.
    ensemble : str
        "clifford": each qubit is measured along X, Y or Z; "haar": along a uniformly random axis.
    seed : int
        Of NumPy's PCG64.

    Examples
    --------
    >>> [len(turn) for turn in random_turns(2, 3, "haar", 0)]
    [4, 4, 4]
    """
    rng = np.random.default_rng(seed)
    if ensemble == "clifford":
        axes = rng.integers(0, 3, (n_unitaries, n_qubits))
        return tuple(tuple(Gate(name, (qubit,)) for qubit in range(n_qubits) for name in _TO_Z[row[qubit]]) for row in axes)
    around = rng.uniform(0, 2 * math.pi, (n_unitaries, n_qubits))
    down = np.arccos(rng.uniform(-1, 1, (n_unitaries, n_qubits)))

    def turn(index: int) -> tuple[Gate, ...]:
        # The last RZ of a random unitary changes no outcome.
        return tuple(
            Gate(name, (qubit,), (Linear(0.0, -1, float(angles[index, qubit])),))
            for qubit in range(n_qubits)
            for name, angles in (("rz", around), ("ry", down))
        )

    return tuple(map(turn, range(n_unitaries)))


def overlaps(counts: Sequence[Sequence[Mapping[int, float]]], n_qubits: int, *, purities: bool = True) -> tuple[Array, Array]:
    """Return unbiased estimates of ``tr(rho_i rho_j)`` for all pairs of rows.

    ``2^n sum_{s, s'} (-2)^(-D[s, s']) mean_u[P_u,i(s) P_u,j(s')]``, D the Hamming distance.

    Parameters
    ----------
    counts : sequence over rows of sequence over unitaries of dict
        The same unitaries, in the same order, for every row.
    n_qubits : int
        Of the states.
    purities : bool
        Estimate tr(rho_i^2) from pairs of different shots; else the diagonal is NaN.

    Returns
    -------
    values, standard_errors : numpy.ndarray, (rows, rows)
        The errors are from the spread over the unitaries, shot noise included.

    Raises
    ------
    InputError
        For fewer than two unitaries, rows of different length, and single shots where purities are wanted.

    Notes
    -----
    Reference: A. Elben, B. Vermersch, C. F. Roos, P. Zoller, "Statistical correlations between locally randomized measurements", PRA 99,
    052323 (2019), arXiv:1812.02624.

    Examples
    --------
    >>> values, errors = overlaps([[{0: 10}, {0: 5, 1: 5}, {0: 5, 1: 5}]] * 2, 1)
    >>> round(float(values[0, 1]), 3)
    1.0
    """
    n_unitaries = len(counts[0]) if counts else 0
    if n_unitaries < 2 or any(len(row) != n_unitaries for row in counts):
        do = "measure every row under the same unitaries"
        raise InputError(explanation("overlaps", "counts of two or more unitaries were wanted for each row", n_unitaries, do))
    shots = np.array([[math.fsum(found.values()) for found in row] for row in counts])
    if purities and (shots < 2).any():
        do = "a purity comes from pairs of shots"
        raise InputError(explanation("overlaps", "every circuit needs two shots or more for purities", f"{shots.min():g}", do))
    total, squares = np.zeros((2, len(counts), len(counts)))
    for unitary in range(n_unitaries):
        one = correlations([row[unitary] for row in counts], n_qubits)
        if purities:
            # Of S^2 pairs of shots the S of a shot with itself are no sample of two copies.
            here, own = shots[:, unitary], np.array([_own(row[unitary], n_qubits) for row in counts])
            np.fill_diagonal(one, (here * np.diag(one) - own) / (here - 1))
        else:
            np.fill_diagonal(one, np.nan)
        total += one
        squares += one**2
    mean = total / n_unitaries
    return mean, np.sqrt(np.maximum(squares / n_unitaries - mean**2, 0) / (n_unitaries - 1))


def _own(counts: Mapping[int, float], n_qubits: int) -> float:
    """Return the mean of what a shot paired with itself adds: 2^n, or for corrected counts what the correction makes of it."""
    confusion = getattr(counts, "confusion", None)
    if confusion is None:
        return 2.0**n_qubits
    inverse = np.linalg.inv(confusion)
    factors = np.einsum("kji,jl,kli->ki", inverse, np.array([[2.0, -1.0], [-1.0, 2.0]]), inverse)
    raw: Mapping[int, float] = counts.raw  # type: ignore[attr-defined]
    terms = (weight * math.prod(factors[qubit, outcome >> qubit & 1] for qubit in range(n_qubits)) for outcome, weight in raw.items())
    return math.fsum(terms) / math.fsum(raw.values())


def correlations(counts: Sequence[Mapping[int, float]], n_qubits: int) -> Array:
    """Return ``2^n sum_{s, s'} (-2)^(-D[s, s']) P_i(s) P_j(s')`` for all pairs of rows measured under one unitary, (rows, rows).

    Notes
    -----
    Up to 10 qubits the sum over s is a transform of each row, n 2^n; beyond, Hamming distances of the outcomes that came.

    Examples
    --------
    >>> correlations([{0: 5, 1: 5}, {0: 10}], 1)
    array([[0.5, 0.5],
           [0.5, 2. ]])
    """
    if n_qubits <= _DENSE_QUBITS:
        dense = np.zeros((len(counts), 2**n_qubits))
        for row, found in enumerate(counts):
            dense[row, list(found)] = list(found.values())
        dense /= dense.sum(axis=1, keepdims=True)
        moved = dense
        for qubit in range(n_qubits):
            halves = moved.reshape(len(counts), -1, 2, 2**qubit)
            # [[1, -1/2], [-1/2, 1]] on each bit, times the 2 of this qubit.
            moved = np.stack([2 * halves[:, :, 0] - halves[:, :, 1], 2 * halves[:, :, 1] - halves[:, :, 0]], axis=2)
        return np.asarray(moved.reshape(len(counts), -1) @ dense.T)
    outcomes = sorted(set().union(*counts))
    place = {outcome: index for index, outcome in enumerate(outcomes)}
    weights = np.zeros((len(counts), len(outcomes)))
    for row, found in enumerate(counts):
        weights[row, [place[outcome] for outcome in found]] = list(found.values())
    weights /= weights.sum(axis=1, keepdims=True)
    bits = np.array([[outcome >> qubit & 1 for qubit in range(n_qubits)] for outcome in outcomes], np.float64)
    out = np.zeros((len(counts), len(counts)))
    step = max(1, 2**24 // len(outcomes))
    for first in range(0, len(outcomes), step):
        here = bits[first : first + step]
        distance = here.sum(axis=1)[:, None] + bits.sum(axis=1) - 2 * here @ bits.T
        factor = np.where(distance % 2, -1.0, 1.0) * np.exp2(n_qubits - distance)
        out += weights[:, first : first + step] @ factor @ weights.T
    return out
