# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Readout errors: two calibration circuits tell how each bit is misread, and counts are corrected for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.errors import BackendUnavailable, InputError, ResourceLimit, explanation
from flashket.program import Gate, Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import Counts, MitigatedCounts, Observable, check_counts
from flashket.qpu.native import NativeCircuit

_METHODS = ("auto", "mthree", "tensored")

_DENSE_BITS = 10
"""Up to here all outcomes are corrected together; beyond only those that came."""

_MOST_OUTCOMES = 8192
"""Different outcomes of one circuit beyond 10 bits: a dense system of this size takes 0.5 GiB."""

_SMALLEST_DETERMINANT = 0.01
"""1 - p(1|0) - p(0|1) of a bit below this says nothing about what it was."""


@dataclass(frozen=True)
class ReadoutMitigation:
    """Correct counts by the inverse of each bit's confusion matrix.

    ``counts = (C_m-1 (x) ... (x) C_0) true``, ``C_k[i, j] = p(read i | was j)``.

    Parameters
    ----------
    confusion : array_like, (n_measured, 2, 2), optional
        What is known of each bit, from a device's profile for instance; by default two circuits measure it: all qubits in 0, and all in
        1. Adapters that choose qubits read them where the circuits of the same batch are read
        (:func:`flashket.qpu.together.compile_together`); where a batch is split or the provider chooses, pass a fixed ``layout``.
    method : str
        "tensored": own; the whole inverse up to 10 bits, beyond that only between the outcomes that came, the columns scaled to sum to
        1 (the idea of M3). "mthree": the package, the same idea for any number of bits. "auto": mthree where it is installed.

    Raises
    ------
    InputError
        For an unknown method, matrices whose columns are no probabilities, or that cannot be inverted.

    Notes
    -----
    Errors of neighbouring bits are taken as independent. Corrected counts add up to the shots, are not whole and may be negative;
    standard errors follow them exactly, but for the calibration's own statistics, which all circuits share: about
    1 / sqrt(calibration shots) of each bit's error rates.

    Reference: P. D. Nation, H. Kang, N. Sundaresan, J. M. Gambetta, "Scalable mitigation of measurement errors on quantum computers",
    PRX Quantum 2, 040326 (2021), arXiv:2108.12518.

    Examples
    --------
    >>> known = ReadoutMitigation([[[0.9, 0.2], [0.1, 0.8]]], method="tensored")
    >>> {outcome: round(count) for outcome, count in known.correct({0: 550, 1: 450}).items()}
    {0: 500, 1: 500}
    """

    confusion: Any = None
    method: str = "auto"

    def __post_init__(self) -> None:
        if self.method not in _METHODS:
            raise InputError(
                explanation("readout", f"method must be one of {', '.join(_METHODS)}", repr(self.method), "choose one of these")
            )
        if self.confusion is not None:
            # Tuples, so that settings compare and hash.
            matrices = checked_confusion(self.confusion)
            object.__setattr__(self, "confusion", tuple(tuple(map(tuple, matrix)) for matrix in matrices.tolist()))

    @classmethod
    def from_native(cls, native: NativeCircuit, method: str = "auto") -> ReadoutMitigation:
        """Return the setting with what a device's calibration data say of the qubits that a compiled circuit reads.

        No circuits of its own, but as old as the data.

        Raises
        ------
        InputError
            If the profile lacks a readout error.

        Examples
        --------
        >>> from flashket.qpu import compile_circuit, load_profile
        >>> circuit = MeasuredCircuit((Program(1, 0, (Gate("h", (0,)),)),), (0,))
        >>> ReadoutMitigation.from_native(compile_circuit(circuit, load_profile("ibm_torino"))).needs_calibration
        False
        """
        profile, qubits = native.profile, [native.qubits[wire] for wire in native.measured]
        errors = [(profile.readout_p10[qubit], profile.readout_p01[qubit]) for qubit in qubits]
        for qubit, found in zip(qubits, errors, strict=True):
            if any(math.isnan(error) for error in found):
                do = "measure them: ReadoutMitigation()"
                raise InputError(explanation("readout", f"the readout errors of qubit {qubit} of {profile.name} were wanted", "none", do))
        return cls([[[1 - p10, p01], [p10, 1 - p01]] for p10, p01 in errors], method)

    @property
    def needs_calibration(self) -> bool:
        """Whether the confusion is to be measured."""
        return self.confusion is None

    def calibration(self, circuit: MeasuredCircuit) -> tuple[MeasuredCircuit, ...]:
        """Return the two circuits that calibrate the measurement of ``circuit``, none where the confusion is known."""
        if not self.needs_calibration:
            return ()
        n = circuit.n_qubits
        ones = tuple(Gate("x", (qubit,)) for qubit in sorted(circuit.measured))
        return tuple(MeasuredCircuit((Program(n, 0, gates),), circuit.measured) for gates in ((), ones))

    def calibrated(self, circuit: MeasuredCircuit, counts: Sequence[Counts]) -> ReadoutMitigation:
        """Return the setting with the confusion that the calibration circuits of ``circuit`` found.

        Raises
        ------
        InputError
            If counts are missing or wrong, or a bit reads the same whatever it was.
        """
        if not self.needs_calibration:
            return self
        check_counts(self.calibration(circuit), counts)
        zeros, ones = (_ones_of(found, len(circuit.measured)) for found in counts)
        matrices = np.array([[[1 - p10, 1 - p11], [p10, p11]] for p10, p11 in zip(zeros, ones, strict=True)])
        return ReadoutMitigation(matrices, self.method)

    def correct(self, counts: Counts) -> MitigatedCounts:
        """Return corrected counts of one circuit.

        Raises
        ------
        InputError
            If the confusion has not been calibrated, or outcomes have more bits.
        BackendUnavailable
            For method "mthree" without the package.
        ResourceLimit
            For more than 8192 different outcomes of more than 10 bits.
        """
        if self.confusion is None:
            do = "pass confusion, or call calibrated() with the counts of calibration()"
            raise InputError(explanation("readout", "the confusion of each bit was wanted", do=do))
        confusion = np.array(self.confusion)
        n_bits = len(confusion)
        if not counts or any(not 0 <= outcome < 1 << n_bits for outcome in counts):
            raise InputError(explanation("readout", f"counts of {n_bits} bits were wanted", len(counts), "calibrate the same measurement"))
        package = _mthree(self.method)
        if package is None and n_bits <= _DENSE_BITS:
            return _corrected_all(counts, confusion)
        return _corrected_subspace(counts, confusion, package)


def checked_confusion(value: Any) -> Array:
    """Return matrices (n_measured, 2, 2) of p(read i | was j), or raise InputError.

    Examples
    --------
    >>> checked_confusion([[[0.9, 0.2], [0.1, 0.8]]]).shape
    (1, 2, 2)
    """
    do = "confusion[k][i][j] is the probability to read i on bit k where it was j"
    try:
        matrices = np.array(value, np.float64)
    except (TypeError, ValueError):
        matrices = np.empty(0)
    if matrices.ndim != 3 or matrices.shape[1:] != (2, 2) or not len(matrices):
        raise InputError(explanation("readout", "confusion must be (n_measured, 2, 2)", matrices.shape, do))
    if not (matrices >= 0).all() or not np.allclose(matrices.sum(axis=1), 1, atol=1e-6):
        raise InputError(explanation("readout", "columns of a confusion matrix must be probabilities", matrices.tolist(), do))
    determinants = matrices[:, 0, 0] - matrices[:, 0, 1]
    worst = int(np.argmin(determinants))
    if determinants[worst] < _SMALLEST_DETERMINANT:
        wanted = f"bit {worst} must read 1 more often where it was 1 than where it was 0"
        got = f"p(1|0) = {matrices[worst, 1, 0]:.3g} and p(1|1) = {matrices[worst, 1, 1]:.3g}"
        raise InputError(explanation("readout", wanted, got, "its matrix cannot be inverted; choose other qubits"))
    return matrices


def _ones_of(counts: Counts, n_bits: int) -> list[float]:
    total = math.fsum(counts.values())
    return [math.fsum(weight for outcome, weight in counts.items() if outcome >> bit & 1) / total for bit in range(n_bits)]


@functools.cache
def _mthree(method: str) -> Any:
    """Return the package, or None where own code is to be used."""
    if method == "tensored":
        return None
    try:
        return import_module("mthree")
    except (ImportError, OSError) as error:
        if method == "auto":
            return None
        do = "pip install 'flashket[mitigation]', or method=\"tensored\""
        raise BackendUnavailable(explanation("readout", "mthree could not be imported", error, do)) from error


def _corrected_all(counts: Counts, confusion: Array) -> MitigatedCounts:
    n_bits = len(confusion)
    inverses = np.linalg.inv(confusion)

    def apply(vector: Array, matrices: Array) -> Array:
        for bit in range(n_bits):
            vector = np.einsum("ij,ajb->aib", matrices[bit], vector.reshape(-1, 2, 2**bit))
        return vector.reshape(-1)

    raw = np.zeros(2**n_bits)
    raw[list(counts)] = list(counts.values())
    values = dict(enumerate(apply(raw, inverses).tolist()))

    def pull_back(observable: Observable) -> Mapping[int, float]:
        seen = apply(np.array([observable(outcome) for outcome in range(2**n_bits)], np.float64), inverses.transpose(0, 2, 1))
        return {outcome: float(seen[outcome]) for outcome in counts}

    return MitigatedCounts(values, counts, pull_back, confusion)


def _corrected_subspace(counts: Counts, confusion: Array, package: Any) -> MitigatedCounts:
    outcomes = sorted(counts)
    if len(outcomes) > _MOST_OUTCOMES:
        do = "take fewer shots a circuit"
        raise ResourceLimit(explanation("readout", f"at most {_MOST_OUTCOMES} different outcomes can be corrected", len(outcomes), do))
    n_bits = len(confusion)
    matrix = np.ones((len(outcomes), len(outcomes)))
    for bit in range(n_bits):
        of_bit = np.array([outcome >> bit & 1 for outcome in outcomes])
        matrix *= confusion[bit][of_bit[:, None], of_bit]
    matrix /= matrix.sum(axis=0)
    total = math.fsum(counts.values())
    if package is None:
        solved = np.linalg.solve(matrix, np.array([counts[outcome] for outcome in outcomes], np.float64))
        values = dict(zip(outcomes, solved.tolist(), strict=True))
    else:
        mitigation = package.M3Mitigation()
        mitigation.cals_from_matrices(list(confusion))
        named = {format(outcome, f"0{n_bits}b"): counts[outcome] for outcome in outcomes}
        quasi = mitigation.apply_correction(named, list(range(n_bits)), method="direct")
        values = {int(bits, 2): float(weight) * total for bits, weight in quasi.items()}

    def pull_back(observable: Observable) -> Mapping[int, float]:
        seen = np.linalg.solve(matrix.T, np.array([observable(outcome) for outcome in outcomes], np.float64))
        return dict(zip(outcomes, seen.tolist(), strict=True))

    return MitigatedCounts(values, counts, pull_back, confusion)
