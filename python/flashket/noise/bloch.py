# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Projected kernels under noise: Bloch components as three noisy circuits a row would measure them, and the kernel of these."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.noise import exact, trajectories
from flashket.noise.exact import Floats, basis_probabilities, checked_readout, diagonals, product, read_out
from flashket.noise.program import NoisyCircuit

AXES = ("x", "y", "z")
"""What the circuits of a row measure, in this order."""

_BLOCK = 64
"""Rows whose errors are computed at a time."""


def gram(
    circuits: tuple[NoisyCircuit, ...],
    gamma: float,
    X: Array,
    Y: Array | None = None,
    *,
    shots: int = 0,
    runs: int = 0,
    seed: int = 0,
) -> tuple[Floats, float]:
    """Return ``exp(-gamma/2 sum_k |r_k - r'_k|^2)`` of the Bloch vectors that noisy circuits show.

    Parameters
    ----------
    circuits : tuple of NoisyCircuit
        One for each of AXES, of one part: U(x) and what turns the axis to Z; all qubits are measured.
    gamma : float
        Of the kernel.
    X : array_like, (n, n_features), float64
        Radians.
    Y : array_like, (m, n_features), optional
        By default X.
    shots : int
        Of each circuit, at least 2: counts are drawn for every row, and their noise is taken off the distances as
        :class:`flashket.qpu.estimators.LocalBloch` does. 0 gives expected components.
    runs : int
        Trajectories of each circuit; 0 simulates density matrices.
    seed : int
        0 to 2**64 - 1, of counts and trajectories; those of a row depend on it, on X or Y, on the row's number and the axis alone.

    Returns
    -------
    values : numpy.ndarray, (n, m), float64
        With Y=None exactly symmetric, the diagonal 1: a row is measured once. Above 1 where shots make a distance negative.
    standard_error : float
        Largest one that trajectories leave in a value; 0 without.

    Raises
    ------
    InputError
        For rows that do not fit and for a single shot.
    ResourceLimit
        If the simulation does not fit into memory.

    Notes
    -----
    ``<Z>`` reads as ``p01 - p10 + (1 - p10 - p01) <Z>``. 3 (n + m) simulations, of which only strings of I and Z are kept, and one real
    product of (n, 3 n_qubits) components.
    """
    if shots == 1:
        raise InputError(explanation("gram", "shots of a projected kernel must be 2 or more", 1, "one shot has no spread"))
    for name, rows in (("X", X), ("Y", X if Y is None else Y)):
        n_features = circuits[0].parts[0].program.n_features
        exact.check_angles(circuits[0].parts[0].program, exact.rows_of(rows, n_features, "gram", name), "gram", name)
    x, variances = _rows(circuits, X, shots, runs, seed, 0)
    y, others = (x, variances) if Y is None else _rows(circuits, Y, shots, runs, seed, 1)
    # In place: beside the result nothing of its size exists.
    values = product(x, y)
    values *= -2
    values += (x**2 - (variances if shots or runs else 0)).sum(axis=1)[:, None]
    values += (y**2 - (others if shots or runs else 0)).sum(axis=1)  # E[(r - r')^2] = (true)^2 + Var r + Var r'
    if not (shots or runs):
        np.maximum(values, 0.0, out=values)  # below 0 by rounding alone
    values *= -gamma / 2
    np.exp(values, out=values)
    error = 0.0
    if runs:
        # Var D = 4 sum d^2 (v + v') + 2 sum (v + v')^2, both of measured d.
        for begin in range(0, len(x), _BLOCK):
            left, v = x[begin : begin + _BLOCK], variances[begin : begin + _BLOCK]
            spread = 4 * (_squares(left, y, v, np.ones_like(y)) + _squares(y, left, others, np.ones_like(left)).T)
            spread += 2 * _sums_of_squares(v, others)
            errors = gamma / 2 * values[begin : begin + _BLOCK] * np.sqrt(np.maximum(spread, 0.0))
            error = max(error, float(np.max(errors, initial=0.0)))
    if Y is None:
        exact.mirror(values)
        np.fill_diagonal(values, 1.0)
    return values, error


def _squares(x: Floats, y: Floats, weights: Floats, ones: Floats) -> Floats:
    """Return sum_k w_ik (x_ik - y_jk)^2."""
    return np.asarray(product(weights * x**2, ones) - 2 * product(weights * x, y) + product(weights, y**2))


def _sums_of_squares(v: Floats, w: Floats) -> Floats:
    """Return sum_k (v_ik + w_jk)^2."""
    return np.asarray((v**2).sum(axis=1)[:, None] + (w**2).sum(axis=1) + 2 * product(v, w))


def _rows(circuits: tuple[NoisyCircuit, ...], X: Array, shots: int, runs: int, seed: int, side: int) -> tuple[Floats, Floats]:
    """Return the components (rows, 3 n_qubits) of every row and unbiased estimates of their variances."""
    n_qubits = len(circuits[0].measured)
    means, variances = np.zeros((2, len(X), 3, n_qubits))
    for axis, circuit in enumerate(circuits):
        for row, (chances, spread) in enumerate(_chances(circuit, X, runs, seed, 3 * side + axis)):
            if shots:
                counts = np.random.default_rng((seed, side, row, axis)).multinomial(shots, chances)
                chances = counts / shots
            found = trajectories.signs(chances, n_qubits)
            means[row, axis], variances[row, axis] = found, spread
            if shots:
                variances[row, axis] += (1 - found**2) / (shots - 1)
    return means.reshape(len(X), -1), variances.reshape(len(X), -1)


def _chances(circuit: NoisyCircuit, X: Array, runs: int, seed: int, stream: int) -> Iterator[tuple[Floats, Floats]]:
    """Yield the probabilities of what is read of each row, (2**m,), and the variances that trajectories leave in its signs, (m,)."""
    (part,) = circuit.parts
    flips = checked_readout(circuit)
    scale = 1 - flips.sum(axis=1)
    if not runs:
        for components in diagonals(part, circuit.start, X):
            yield read_out(basis_probabilities(components), circuit), np.zeros(len(flips))
        return
    for weights, variances in trajectories.row_probabilities(part, circuit.start, X, trajectories=runs, seed=seed, stream=stream):
        yield read_out(weights, circuit), scale**2 * variances[list(circuit.measured)]
