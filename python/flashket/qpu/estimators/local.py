# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Projected kernels: rows are measured, not pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.kernels import Projected
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import Counts, Demand, Estimator, Measurements, MitigatedCounts, check_size_of
from flashket.qpu.estimators.encoding import checked, encode_row

_TO_Z = {"x": ("h",), "y": ("sdg", "h"), "z": ()}
"""What turns a Pauli axis to Z before a measurement."""


def turned(program: Program) -> tuple[Program, ...]:
    """Return a program followed by what turns X, Y and Z of every qubit to Z, one for each.

    Examples
    --------
    >>> [len(each.gates) for each in turned(Program(2, 0, ()))]
    [2, 4, 0]
    """
    n = program.n_qubits
    turns = ([Gate(name, (qubit,)) for qubit in range(n) for name in names] for names in _TO_Z.values())
    return tuple(Program(n, program.n_features, (*program.gates, *turn)) for turn in turns)


@dataclass(frozen=True)
class LocalBloch(Estimator):
    """Bloch vectors of all qubits from three circuits a row; the kernel is computed from them.

    ::

        |0>^n ─ U(x) ─ H | S^dagger H | nothing ─ measure:  r_k = <X_k>, <Y_k>, <Z_k>

    ``K(x, y) = exp(-gamma/2 D)`` with ``D = sum_k |r_k - r'_k|^2``. Shot noise lengthens distances: measured components have
    ``E[(r - r')^2] = (true)^2 + (1 - r^2)/S + (1 - r'^2)/S``, so ``(1 - r^2)/(S - 1)``, an unbiased estimate of that, is taken off each.

    Parameters
    ----------
    kernel : Projected
        Whose entries are wanted.

    Notes
    -----
    n qubits, 3 N circuits for N^2 entries. D is unbiased; exp(-gamma/2 D) keeps a bias of order ``(gamma/2)^2 Var[D] K / 2``, far
    below the standard error while that is small; values above 1 are possible. Standard errors take in that qubits read together are
    correlated. Errors of one row's circuits are shared by its entries.

    Reference: H.-Y. Huang et al., "Power of data in quantum machine learning", Nature Communications 12, 2631 (2021), arXiv:2011.01938.

    Examples
    --------
    >>> import flashket as fk
    >>> LocalBloch(fk.Projected(fk.ZZ(4))).demand(20).n_circuits
    60
    """

    name = "local_bloch"
    kernels = (Projected,)

    def measurements(self, X: Any, Y: Any = None, *, diagonal: bool = False) -> Measurements:
        """Return three circuits for each row of X, then of Y; the diagonal costs nothing and is 1."""
        x = checked(self.feature_map, X, self.name, "X")
        y = x if Y is None else checked(self.feature_map, Y, self.name, "Y")
        rows = x if Y is None else np.concatenate([x, y])
        circuits = tuple(circuit for row in rows for circuit in self._circuits(row))
        return Measurements(self, circuits, (len(x), len(y)), Y is None, False)

    def _circuits(self, row: Array) -> list[MeasuredCircuit]:
        program = encode_row(self.feature_map, row)
        return [MeasuredCircuit((whole,), tuple(range(program.n_qubits))) for whole in turned(program)]

    def demand(self, n: int, m: int | None = None, *, diagonal: bool = False) -> Demand:
        """Say what the Gram matrix asks of a device: 3 (n + m) circuits."""
        check_size_of(self.name, n, m)
        return self._demand(3 * (n + (m or 0)))

    def similarities(self, measurements: Measurements, counts: Sequence[Counts]) -> tuple[Array, Array]:
        """Return values and standard errors."""
        vectors, covariances = self._moments(counts)
        n, m = measurements.shape
        last = len(vectors) - m
        difference = vectors[:n, None] - vectors[last:]  # (n, m, axes, qubits)
        distance, spread = np.empty((2, n, m))
        for i in range(n):
            both = covariances[i] + covariances[last:]  # (m, axes, qubits, qubits)
            distance[i] = (difference[i] ** 2).sum(axis=(1, 2)) - np.trace(both, axis1=2, axis2=3).sum(axis=1)
            # The qubits of one circuit are read together, so their errors are correlated.
            along = np.einsum("mak,makl,mal->m", difference[i], both, difference[i])
            # Var[D] = 4 d.V.d + 2 tr V^2 of the true d; the measured one makes the first term 4 tr V^2 too large.
            least = 2 * (both**2).sum(axis=(1, 2, 3))
            spread[i] = np.maximum(4 * along - least, least)
        half_gamma = self._gamma / 2
        values = np.exp(-half_gamma * distance)
        errors = half_gamma * values * np.sqrt(spread)
        if measurements.is_symmetric:
            np.fill_diagonal(values, 1.0)
            np.fill_diagonal(errors, 0.0)
        return values, errors

    def bloch(self, counts: Sequence[Counts]) -> tuple[Array, Array]:
        """Return the rows' Bloch vectors and unbiased estimates of their variances, (rows, 3 n_qubits) each: X, Y, Z of all qubits."""
        vectors, covariances = self._moments(counts)
        variances = np.diagonal(covariances, axis1=2, axis2=3)
        return vectors.reshape(len(vectors), -1), variances.reshape(len(vectors), -1)

    def _moments(self, counts: Sequence[Counts]) -> tuple[Array, Array]:
        """Return the rows' Bloch vectors (rows, 3, n) and unbiased estimates of their covariances (rows, 3, n, n)."""
        n = self.feature_map.n_qubits
        means, covariances = np.empty((len(counts), n)), np.empty((len(counts), n, n))
        for index, found in enumerate(counts):
            total = math.fsum(found.values())
            if total < 2:
                do = "one shot has no spread"
                raise InputError(explanation(self.name, "every circuit needs two shots or more", f"{total:g}", do))
            raw = found.raw if isinstance(found, MitigatedCounts) else found
            weights = np.array(list(raw.values()), np.float64) / total
            signs = np.empty((len(raw), n))
            for qubit in range(n):

                def sign(outcome: int, qubit: int = qubit) -> float:
                    return 1.0 - 2.0 * (outcome >> qubit & 1)

                seen = found.pull_back(sign) if isinstance(found, MitigatedCounts) else {outcome: sign(outcome) for outcome in raw}
                signs[:, qubit] = [seen[outcome] for outcome in raw]
            means[index] = weights @ signs
            apart = signs - means[index]
            covariances[index] = (weights * apart.T) @ apart / (total - 1)
        return means.reshape(-1, 3, n), covariances.reshape(-1, 3, n, n)

    @property
    def _gamma(self) -> float:
        assert isinstance(self.kernel, Projected)
        return self.kernel.gamma
