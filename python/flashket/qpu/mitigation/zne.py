# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Zero-noise extrapolation: the same circuit with its noise made larger on purpose, and a curve through the results to no noise."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.errors import BackendUnavailable, InputError, explanation
from flashket.program import Program
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.mitigation.rescale import Estimated

_FACTORIES = ("richardson", "linear", "exponential")
_ALLOWED_MISS = 0.2
"""Of the noise that folding adds; the extrapolation takes the scale for what was asked."""

_ENGINES = ("auto", "mitiq", "own")


@dataclass(frozen=True)
class ZeroNoise:
    """Fold circuits, measure them at several noise scales, and extrapolate to none.

    Parameters
    ----------
    scales : tuple of float
        Increasing from 1: how many times the gates of the circuit. Odd ones fold whole parts, others the last gates of each.
    factory : str
        "richardson": the polynomial through all points; "linear": a line fitted to them; "exponential": ``f + a e^(-b scale)`` fitted in
        logarithms, f what a circuit gives that is all noise.
    engine : str
        What fits: "mitiq", "own" (least squares, the same numbers), or "auto": mitiq where it is installed.

    Raises
    ------
    InputError
        For scales that are not as above, and unknown names.

    Notes
    -----
    Circuits and shots are multiplied by the number of scales; the standard error grows besides: with scales 1, 3, 5, Richardson's
    coefficients 15/8, -5/4, 3/8 make it 2.3 times that of one scale. Parts are folded between barriers, ``P P^dagger P``, so that
    compilers undo nothing. Readout errors are not scaled: mitigate them first.

    Reference: K. Temme, S. Bravyi, J. M. Gambetta, PRL 119, 180509 (2017), arXiv:1612.02058; T. Giurgica-Tiron et al., "Digital zero noise
    extrapolation for quantum error mitigation", arXiv:2005.10921; R. LaRose et al., "Mitiq", Quantum 6, 774 (2022), arXiv:2009.04417.

    Examples
    --------
    >>> points = [Estimated(np.array([value]), np.array([0.01])) for value in (0.8, 0.6, 0.4)]
    >>> ZeroNoise(engine="own").extrapolate(points, floor=0.0).values.round(6)
    array([0.9])
    """

    scales: tuple[float, ...] = (1.0, 3.0, 5.0)
    factory: str = "richardson"
    engine: str = "auto"

    def __post_init__(self) -> None:
        place = "zero_noise"
        try:
            scales = tuple(float(scale) for scale in self.scales)
        except (TypeError, ValueError):
            scales = ()
        if len(scales) < 2 or scales[0] != 1 or not all(a < b < math.inf for a, b in pairwise(scales)):
            raise InputError(explanation(place, "scales must be 1 and larger ones, increasing", repr(self.scales), "e.g. (1, 3, 5)"))
        object.__setattr__(self, "scales", scales)
        for name, value, known in (("factory", self.factory, _FACTORIES), ("engine", self.engine, _ENGINES)):
            if value not in known:
                raise InputError(explanation(place, f"{name} must be one of {', '.join(known)}", repr(value), "choose one of these"))

    def extrapolate(self, points: list[Estimated], *, floor: float | None) -> Estimated:
        """Return values and standard errors at no noise; one point for each scale.

        Raises
        ------
        InputError
            For another number of points, or "exponential" where all noise gives no single number.
        BackendUnavailable
            For engine "mitiq" without the package.
        """
        if len(points) != len(self.scales):
            raise InputError(explanation("zero_noise", f"{len(self.scales)} points were wanted", len(points), "one for each scale"))
        values, errors = (np.stack([point[part] for point in points]) for part in (0, 1))
        degree = 1 if self.factory == "linear" else len(points) - 1
        fit = self._fit
        if self.factory != "exponential":
            weights = _intercept_weights(self.scales, degree)
            return Estimated(fit(values, degree), np.sqrt(np.tensordot(weights**2, errors**2, 1)))
        if floor is None:
            raise InputError(explanation("zero_noise", "an exponential needs what noise alone gives", self.factory, 'use "linear"'))
        weights = _intercept_weights(self.scales, 1)
        above = values - floor
        # A logarithm needs points above the floor by more than their errors; elsewhere a line is all that the data bear.
        fits = (above > errors).all(axis=0)
        safe = np.where(fits, above, 1.0)
        gap = np.exp(fit(np.log(safe), 1))
        curved = gap * np.sqrt(np.tensordot(weights**2, (errors / safe) ** 2, 1))
        straight = np.sqrt(np.tensordot(weights**2, errors**2, 1))
        return Estimated(np.where(fits, floor + gap, fit(values, 1)), np.where(fits, curved, straight))

    def _fit(self, values: Array, degree: int) -> Array:
        """Return the value at 0 of the polynomial of least squares through (scales, values), for each entry."""
        package = _mitiq(self.engine)
        if package is None:
            return np.asarray(np.tensordot(_intercept_weights(self.scales, degree), values, 1))
        flat = values.reshape(len(values), -1)
        found = [package.PolyFactory.extrapolate(list(self.scales), column.tolist(), degree) for column in flat.T]
        return np.array(found, np.float64).reshape(values.shape[1:])


def fold(circuit: MeasuredCircuit, scale: float) -> MeasuredCircuit:
    """Return the circuit with ``scale`` times as many gates that do the same without noise.

    Each part P becomes ``P (P^dagger P)^k`` and its last gates L are followed by ``L^dagger L``, all between barriers.

    Raises
    ------
    InputError
        For a scale below 1, and one that whole gates miss by more than a fifth of what it adds: odd scales always fit.

    Examples
    --------
    >>> from flashket.program import Gate
    >>> circuit = MeasuredCircuit((Program(1, 0, (Gate("h", (0,)), Gate("t", (0,)))),), (0,))
    >>> [len(part.gates) for part in fold(circuit, 3).parts], [len(part.gates) for part in fold(circuit, 2).parts]
    ([2, 2, 2], [2, 1, 1])
    """
    if not 1 <= scale < math.inf:
        raise InputError(explanation("fold", "scale must be 1 or more", repr(scale), "1 changes nothing"))
    parts: list[Program] = []
    whole = int((scale - 1) // 2)
    for part in circuit.parts:
        parts += [part, *[part.inverse(), part] * whole]
        count = round((scale - 1 - 2 * whole) / 2 * len(part.gates))
        if count:
            last = Program(part.n_qubits, 0, part.gates[-count:])
            parts += [last.inverse(), last]
    before, after = (sum(len(part.gates) for part in some) for some in (circuit.parts, parts))
    if abs(after - scale * before) > _ALLOWED_MISS * (scale - 1) * before:
        wanted = f"{before} gates in {len(circuit.parts)} parts can only be folded to whole gates"
        raise InputError(explanation("fold", wanted, f"scale {scale:g}, which would be {after / before:.3g}", "use odd scales"))
    return MeasuredCircuit(tuple(parts), circuit.measured)


def _intercept_weights(scales: tuple[float, ...], degree: int) -> Array:
    """Return what each point contributes to the value at 0 of a polynomial of least squares."""
    return np.asarray(np.linalg.pinv(np.vander(np.array(scales), degree + 1, increasing=True))[0])


@functools.cache
def _mitiq(engine: str) -> Any:
    """Return the module of its extrapolations, or None where own code is to be used."""
    if engine == "own":
        return None
    try:
        return import_module("mitiq.zne.inference")
    except (ImportError, OSError) as error:
        if engine == "auto":
            return None
        do = "pip install 'flashket[mitigation]', or engine=\"own\""
        raise BackendUnavailable(explanation("zero_noise", "mitiq could not be imported", error, do)) from error
