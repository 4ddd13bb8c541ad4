# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Mitigation steps one after the other: readout, zero-noise extrapolation, depolarisation, positive semidefiniteness."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation
from flashket.qpu.allocate import Allocation
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.estimators._base import (
    Counts,
    Estimate,
    Estimator,
    Measurements,
    PairEstimator,
    Step,
    check_counts,
    n_shots,
    pairs_of,
    powered,
)
from flashket.qpu.estimators.encoding import checked
from flashket.qpu.mitigation.psd import PSD_METHODS, repair_psd
from flashket.qpu.mitigation.readout import ReadoutMitigation
from flashket.qpu.mitigation.rescale import RESCALE_MODES, Estimated, rescale
from flashket.qpu.mitigation.zne import ZeroNoise, fold


@dataclass(frozen=True)
class Mitigation:
    """What is done to counts and to the Gram matrix that they give, in this order; None leaves a step out.

    Parameters
    ----------
    readout : ReadoutMitigation, optional
        Corrects counts; two more circuits.
    zero_noise : ZeroNoise, optional
        Runs every circuit at several noise scales.
    rescale : str, optional
        "average" or "split": takes out depolarisation, read off the diagonal; one more circuit a row where pairs are measured.
    psd : str, optional
        "clip", "shift" or "nearest": removes negative eigenvalues from a square Gram matrix, after the kernel's power; no circuits.

    Raises
    ------
    InputError
        For names that are not as above.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu.estimators import ComputeUncompute
    >>> estimator = ComputeUncompute(fk.Fidelity(fk.Angle(2)))
    >>> work = Mitigation(readout=ReadoutMitigation(), rescale="split").measurements(estimator, [[0.0, 0.1], [0.2, 0.3]])
    >>> len(work.circuits)  # one pair, two of a row with itself, two calibrations
    5
    """

    readout: ReadoutMitigation | None = None
    zero_noise: ZeroNoise | None = None
    rescale: str | None = None
    psd: str | None = None

    def __post_init__(self) -> None:
        for name, value, kind in (("readout", self.readout, ReadoutMitigation), ("zero_noise", self.zero_noise, ZeroNoise)):
            if value is not None and not isinstance(value, kind):
                raise InputError(explanation("Mitigation", f"{name} must be {kind.__name__} or None", repr(value), f"{kind.__name__}()"))
        for name, word, known in (("rescale", self.rescale, RESCALE_MODES), ("psd", self.psd, PSD_METHODS)):
            if word is not None and word not in known:
                raise InputError(explanation("Mitigation", f"{name} must be one of {', '.join(known)}", repr(word), "None leaves it out"))

    def measurements(self, estimator: Estimator, X: Any, Y: Any = None, *, allocation: Allocation | None = None) -> MitigatedMeasurements:
        """Return the circuits of an estimator and of the mitigation.

        With an allocation (of the pairs without diagonal) pairs without shots are left out, and every circuit that serves many
        entries, of the diagonal and of the calibration, has as many shots as the entry with most. Each noise scale has them all.

        Raises
        ------
        InputError
            As :meth:`flashket.qpu.estimators.Estimator.measurements`; for ``psd`` with Y; for ``rescale`` of an estimator whose circuits
            give no single number without information (Bloch vectors).
        """
        if self.psd is not None and Y is not None:
            raise InputError(explanation("Mitigation", "psd needs a square Gram matrix", "X and Y", "leave Y or psd out"))
        if self.rescale is not None and estimator.floor is None:
            do = "leave rescale out"
            raise InputError(explanation("Mitigation", "rescale needs similarities that are 1 on the diagonal", estimator.name, do))
        entries = estimator.measurements(X, Y, diagonal=self.rescale is not None)
        if allocation is not None:
            allocation.check(estimator.measurements(X, Y))
            shots = iter(allocation.keep)
            on_diagonal = entries.is_symmetric
            entries = entries.only([(on_diagonal and i == j) or next(shots) for i, j in entries.pairs])
        diagonals: tuple[Measurements, ...] = ()
        if self.rescale is not None and Y is not None:
            if isinstance(estimator, PairEstimator):
                rows = [checked(estimator.feature_map, rows, estimator.name, name) for rows, name in ((X, "X"), (Y, "Y"))]
                diagonals = tuple(estimator.measurements(row[None], row[None]) for side in rows for row in side)
            else:
                # The rows' own measurements tell their purities: all rows as one square.
                both = [checked(estimator.feature_map, rows, estimator.name, name) for rows, name in ((X, "X"), (Y, "Y"))]
                square = estimator.measurements(np.concatenate(both), diagonal=True)
                return MitigatedMeasurements(self, square, (), entries.shape)
        return MitigatedMeasurements(self, entries, diagonals, entries.shape, allocation)


@dataclass(frozen=True)
class MitigatedMeasurements:
    """The circuits of one Gram matrix with those that its mitigation needs. Made by :meth:`Mitigation.measurements`.

    Parameters
    ----------
    mitigation : Mitigation
        The steps.
    entries : Measurements
        Of the Gram matrix itself.
    diagonals : tuple of Measurements
        Of every row of X, then of Y, with itself, where ``entries`` does not hold them.
    shape : tuple of int
        (n, m) of the Gram matrix.
    allocation : Allocation, optional
        Shots of the pairs, where they are not all alike.
    """

    mitigation: Mitigation
    entries: Measurements
    diagonals: tuple[Measurements, ...]
    shape: tuple[int, int]
    allocation: Allocation | None = None

    @cached_property
    def circuits(self) -> tuple[MeasuredCircuit, ...]:
        """All circuits: for each noise scale the entries and then diagonals, at the end the calibration."""
        plain = [circuit for work in (self.entries, *self.diagonals) for circuit in work.circuits]
        return (*(circuit if scale == 1 else fold(circuit, scale) for scale in self._scales for circuit in plain), *self._calibration)

    def shots(self, of_entries: int, of_calibration: int | None = None) -> tuple[int, ...]:
        """Return shots for each circuit: as many for calibration as for an entry unless told."""
        of_calibration = of_entries if of_calibration is None else of_calibration
        for name, value in (("of_entries", of_entries), ("of_calibration", of_calibration)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(explanation("shots", f"{name} must be a positive integer", repr(value), "1 is the least"))
        n_calibration = len(self._calibration)
        return (of_entries,) * (len(self.circuits) - n_calibration) + (of_calibration,) * n_calibration

    @property
    def allocated_shots(self) -> tuple[int, ...]:
        """Shots of each circuit as the allocation wants them."""
        assert self.allocation is not None
        shots = dict(zip(self._pairs, self.allocation.shots, strict=True))
        most = max(self.allocation.shots, default=0) or 1
        plain = [int(shots.get(pair, most)) for pair in self.entries.pairs] + [most] * len(self.diagonals)
        return (*(plain * len(self._scales)), *([most] * len(self._calibration)))

    @property
    def _pairs(self) -> tuple[tuple[int, int], ...]:
        """The pairs of the allocation."""
        return pairs_of(*self.shape, self.entries.is_symmetric, False)

    def estimate(self, counts: Sequence[Counts], shots: Sequence[int] | None = None) -> Estimate:
        """Return the mitigated Gram matrix; ``steps`` tells what each step cost and changed.

        Raises
        ------
        InputError
            As :meth:`flashket.qpu.estimators.Measurements.estimate` and the steps.
        """
        check_counts(self.circuits, counts, shots)
        mitigation, steps = self.mitigation, list[Step]()
        n_calibration = len(self._calibration)
        runs, calibration = list(counts[: len(counts) - n_calibration]), counts[len(counts) - n_calibration :]
        n_scale = len(runs) // len(self._scales)
        if mitigation.readout is not None and self.entries.circuits:
            readout = mitigation.readout.calibrated(self.entries.circuits[0], calibration)
            before, _, _ = self._read(runs[:n_scale])
            runs = [readout.correct(found) for found in runs]
            after, _, _ = self._read(runs[:n_scale])
            used = f"mean of p(1|0) and p(0|1) {_mean_error(readout):.4f}"
            steps.append(self._step("readout", n_calibration, n_shots(calibration), before.values, after.values, used))
        points = (
            [self._read(runs[first : first + n_scale]) for first in range(0, len(runs), n_scale)]
            if runs
            else [self._read([])] * len(self._scales)
        )
        result, left, right = points[0]
        if mitigation.zero_noise is not None:
            extra = runs[n_scale:]
            before_zero = result
            floor = self.entries.estimator.floor
            result = mitigation.zero_noise.extrapolate([point[0] for point in points], floor=floor)
            if mitigation.rescale is not None:
                same = left is right
                left = mitigation.zero_noise.extrapolate([point[1] for point in points], floor=floor)
                right = left if same else mitigation.zero_noise.extrapolate([point[2] for point in points], floor=floor)
            note = f"{mitigation.zero_noise.factory} over scales {', '.join(f'{scale:g}' for scale in self._scales)}"
            steps.append(self._step("zero_noise", len(extra), n_shots(extra), before_zero.values, result.values, note))
        if mitigation.rescale is not None and result.values.size:
            floor = self.entries.estimator.floor
            assert floor is not None
            before = result
            result, strength = rescale(result, left, right, floor=floor, mode=mitigation.rescale)
            diagonal = list(self._diagonal_runs(runs[:n_scale]))
            note = f"{mitigation.rescale} channel, mean depolarisation {strength:.4f}"
            steps.append(self._step("rescale", len(diagonal), n_shots(diagonal), before.values, result.values, note))
        values, errors = (part.copy() for part in result)
        if self._is_symmetric:
            # What is known to be 1 is not left to its noise.
            np.fill_diagonal(values, 1.0)
            np.fill_diagonal(errors, 0.0)
        values, errors = powered(values, errors, self.entries.estimator.kernel.power)
        if self.allocation is not None:
            whole = replace(self.entries, circuits=(), chosen=self._pairs)
            done = self.allocation.complete(whole, Estimate(values, errors, 0, 0))
            values, errors = done.values, done.standard_errors
        if mitigation.psd is not None and values.size:
            smallest = float(np.linalg.eigvalsh(values)[0])
            repaired = repair_psd(values, mitigation.psd)
            steps.append(self._step("psd", 0, 0, values, repaired, f"{mitigation.psd}, smallest eigenvalue was {smallest:.4g}"))
            values = repaired
        return Estimate(values, errors, len(self.circuits), n_shots(counts), tuple(steps))

    @property
    def _scales(self) -> tuple[float, ...]:
        return self.mitigation.zero_noise.scales if self.mitigation.zero_noise is not None else (1.0,)

    @cached_property
    def _calibration(self) -> tuple[MeasuredCircuit, ...]:
        readout = self.mitigation.readout
        return () if readout is None or not self.entries.circuits else readout.calibration(self.entries.circuits[0])

    @cached_property
    def _skipped(self) -> Array:
        """Which entries are not measured."""
        skipped = np.zeros(self.shape, bool)
        if self.allocation is not None:
            for (i, j), kept in zip(self._pairs, self.allocation.keep, strict=True):
                skipped[i, j] |= not kept
                if self.entries.is_symmetric:
                    skipped[j, i] = skipped[i, j]
        return skipped

    @property
    def _is_symmetric(self) -> bool:
        return self.entries.is_symmetric and self.entries.shape == self.shape

    def _read(self, counts: Sequence[Counts]) -> tuple[Estimated, Estimated, Estimated]:
        """Return entries and the diagonals of X and of Y from the counts of one scale."""
        n = self.shape[0]
        n_entries = len(self.entries.circuits)
        square = Estimated(*self.entries.similarities(counts[:n_entries]))
        if self.allocation is not None:
            # What is skipped is put in at the end; until then it must only do no harm.
            square = Estimated(*(np.where(self._skipped, 0.0, part) for part in square))
        own = Estimated(*(np.diag(part) if part.shape[0] == part.shape[1] else np.empty(0) for part in square))
        if self.entries.shape != self.shape:
            # Rows of X and of Y were measured as one square.
            block = Estimated(*(part[:n, n:] for part in square))
            return block, Estimated(*(part[:n] for part in own)), Estimated(*(part[n:] for part in own))
        if not self.diagonals:
            return square, own, own
        rows = [work.similarities(counts[n_entries + k : n_entries + k + 1]) for k, work in enumerate(self.diagonals)]
        numbers, errors = (np.array([float(row[part][0, 0]) for row in rows]) for part in (0, 1))
        return square, Estimated(numbers[:n], errors[:n]), Estimated(numbers[n:], errors[n:])

    def _diagonal_runs(self, counts: Sequence[Counts]) -> Iterator[Counts]:
        """Give the counts that only the diagonal needed."""
        if self.diagonals:
            yield from counts[len(self.entries.circuits) :]
        elif isinstance(self.entries.estimator, PairEstimator):
            yield from (found for (i, j), found in zip(self.entries.pairs, counts, strict=True) if i == j)

    def _step(self, name: str, n_circuits: int, shots: int, before: Array, after: Array, note: str) -> Step:
        change = np.abs(after - before)
        left_out = np.eye(len(change), dtype=bool) if self._is_symmetric and name != "psd" else np.zeros(change.shape, bool)
        change = change[~(left_out | self._skipped)] if change.shape == self.shape else change[~left_out]
        return Step(name, n_circuits, shots, float(change.mean()) if change.size else 0.0, float(change.max(initial=0)), note)


def _mean_error(readout: ReadoutMitigation) -> float:
    return float(np.mean([(matrix[1][0] + matrix[0][1]) / 2 for matrix in readout.confusion]))
