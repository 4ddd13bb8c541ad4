# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Circuits for the entries of a kernel, and what to make of their counts: one file for each estimator."""

from __future__ import annotations

from typing import Any

from flashket.errors import InputError, explanation
from flashket.kernels import Kernel
from flashket.qpu.estimators._base import Counts, Demand, Estimate, Estimator, Measurements
from flashket.qpu.estimators.compute_uncompute import ComputeUncompute
from flashket.qpu.estimators.encoding import encode
from flashket.qpu.estimators.hadamard import Hadamard
from flashket.qpu.estimators.local import LocalBloch
from flashket.qpu.estimators.randomised import RandomisedMeasurement
from flashket.qpu.estimators.swap import DestructiveSwapTest, SwapTest

ESTIMATORS: dict[str, type[Estimator]] = {
    kind.name: kind for kind in (ComputeUncompute, SwapTest, DestructiveSwapTest, RandomisedMeasurement, Hadamard, LocalBloch)
}
"""By name; of those that fit a kernel the first is the default."""


def make_estimator(kernel: Kernel, name: str = "auto", **options: Any) -> Estimator:
    """Return an estimator for a kernel.

    Parameters
    ----------
    kernel : Kernel
        ``fk.Fidelity``, ``fk.HadamardTest`` or ``fk.Projected``.
    name : str
        A key of ``ESTIMATORS``; "auto" is compute-uncompute, the Hadamard test or local Bloch vectors, as the kernel asks.
    **options
        The estimator's own, e.g. ``n_unitaries``.

    Raises
    ------
    InputError
        For an unknown name, and an estimator that does not measure this kernel.

    Examples
    --------
    >>> import flashket as fk
    >>> make_estimator(fk.Projected(fk.ZZ(4))).name
    'local_bloch'
    """
    if name == "auto":
        fitting = [kind for kind in ESTIMATORS.values() if isinstance(kernel, kind.kernels)]
        if not fitting:
            do = "a classical control needs no QPU"
            raise InputError(explanation("estimator", "the kernel must be one that a QPU measures", repr(kernel), do))
        return fitting[0](kernel, **options)
    if name not in ESTIMATORS:
        raise InputError(explanation("estimator", f"name must be one of auto, {', '.join(ESTIMATORS)}", repr(name), "choose one of these"))
    return ESTIMATORS[name](kernel, **options)


__all__ = [
    "ESTIMATORS",
    "ComputeUncompute",
    "Counts",
    "Demand",
    "DestructiveSwapTest",
    "Estimate",
    "Estimator",
    "Hadamard",
    "LocalBloch",
    "Measurements",
    "RandomisedMeasurement",
    "SwapTest",
    "encode",
    "make_estimator",
]
