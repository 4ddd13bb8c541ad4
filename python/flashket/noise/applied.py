# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The noise of one call: what ``noise=`` means for its kernel, and the work that it changes. Always on the host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from flashket import diagnostics
from flashket.arrays import FLOAT64, Array
from flashket.backends.cpu import CPU, core
from flashket.kernels import Kernel, Projected
from flashket.memory import require
from flashket.noise.model import NoiseModel, as_model


@dataclass(frozen=True)
class AppliedNoise:
    """A noise model for one kernel and one kind of call. Made by :func:`apply`."""

    kernel: Kernel
    model: NoiseModel
    report: diagnostics.NoiseReport

    @property
    def is_affine(self) -> bool:
        """Whether every value is mapped on its own, in the tile where it is computed."""
        return self.report.method == "effective"

    @property
    def affine(self) -> tuple[float, float]:
        """Scale and offset of the effective model."""
        return self.report.scale, self.report.offset

    def require_memory(self, n: int, m: int, result_bytes: int, place: str) -> None:
        """Raise ResourceLimit if what a simulation of n and m rows keeps beside the result does not fit."""
        # The simulations ask for the memory of their own vectors, in blocks of rows.
        what = f"the {self.report.method} simulation's result for {n} x {m} pairs"
        require(place, what, FLOAT64.itemsize * 2 * n * m + result_bytes, "pass fewer rows at a time")

    def write_gram(self, x: Array, y: Array | None, out: Array, *, shots: int, seed: int) -> None:
        """Write the noisy Gram matrix; rows are checked. ``shots`` 0 gives expected values."""
        if self.is_affine:
            CPU.gram(self.kernel, x, y, out, log=False, shots=shots, seed=seed, affine=self.affine)
            self._record(self.report)
            return
        out[...] = self._simulated(x, y, shots, seed)

    def write_matvec(self, x: Array, a: Array, y: Array | None, out: Array, *, shots: int, seed: int) -> None:
        """Write the noisy Gram matrix times ``a``."""
        if self.is_affine:
            CPU.gram_matvec(self.kernel, x, a, y, out, shots=shots, seed=seed, affine=self.affine)
            self._record(self.report)
            return
        out[...] = self._simulated(x, y, shots, seed) @ np.asarray(a, FLOAT64)

    def _simulated(self, x: Array, y: Array | None, shots: int, seed: int) -> Array:
        left, right = (None if rows is None else np.ascontiguousarray(rows, FLOAT64) for rows in (x, y))
        assert left is not None
        if isinstance(self.kernel, Projected):
            values, error = self.model.projected(self.kernel, self.report.method, left, right, shots=shots, seed=seed)
            self._record(replace(self.report, standard_error=error))
            return values
        values, error = self.model.probabilities(self.kernel, self.report.method, left, right, seed)
        # Rounding may leave 0..1 by an ulp, averages of trajectories by more: estimates are not bounded by themselves.
        np.clip(values, 0.0, 1.0, out=values)
        core().read_probabilities(values, y is None, self.kernel.power, shots, seed)
        self._record(replace(self.report, standard_error=error))
        return values

    @staticmethod
    def _record(report: diagnostics.NoiseReport) -> None:
        diagnostics.record_noise(report)


def apply(noise: Any, kernel: Kernel, op: str, place: str) -> AppliedNoise:
    """Return what ``noise`` means for ``op`` ("gram" | "attention") of a kernel.

    Raises
    ------
    InputError
        If it names no noise model, or one that cannot do this.
    """
    return _applied(as_model(noise, place), kernel, op, place)


@lru_cache(maxsize=256)
def _applied(model: NoiseModel, kernel: Kernel, op: str, place: str) -> AppliedNoise:
    # Attention is called once a layer and token: the report of a model and kernel is made once.
    return AppliedNoise(kernel, model, model.report(kernel, op, place))
