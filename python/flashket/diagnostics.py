# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Counters of what happened inside attention calls, and reports of the noise that calls applied."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass(frozen=True)
class NoiseReport:
    """How a call applied a device's noise.

    Parameters
    ----------
    method : str
        "exact", "trajectories" or "effective"; see :meth:`flashket.NoiseModel.from_profile`.
    device : str
        The profile, its processor, and the date of its calibration data.
    n_qubits : int
        Qubits of the compiled circuit.
    trajectories : int
        Runs that were averaged; 0 for other methods.
    standard_error : float
        Largest one that trajectories leave in an entry's probability; NaN for other methods and before a call.
    scale, offset : float
        Of the effective model ``p -> scale p + offset``; NaN for other methods.
    is_fitted : bool
        Effective model: whether it was fitted to an exact simulation.
    error_max, error_rms : float
        Its difference to that simulation on random pairs of rows; NaN where there is none.
    """

    method: str
    device: str
    n_qubits: int
    trajectories: int = 0
    standard_error: float = math.nan
    scale: float = math.nan
    offset: float = math.nan
    is_fitted: bool = False
    error_max: float = math.nan
    error_rms: float = math.nan

    def __str__(self) -> str:
        if self.method == "trajectories":
            error = "" if math.isnan(self.standard_error) else f", standard error at most {self.standard_error:.2g}"
            return f"{self.trajectories} trajectories a row of {self.device} on {self.n_qubits} qubits{error}"
        if self.method == "exact":
            return f"exact simulation of {self.device} on {self.n_qubits} qubits"
        line = f"effective model of {self.device}: p -> {self.scale:.4f} p + {self.offset:.4f}, {self.n_qubits} qubits"
        if self.is_fitted:
            return f"{line}, fitted to the exact simulation, largest error seen {self.error_max:.4f}, RMS {self.error_rms:.4f}"
        return f"{line}, from fidelities alone, not fitted"


@dataclass
class Counts:
    """What the calls inside a ``with record()`` block did; all but ``noise`` is of attention.

    Parameters
    ----------
    calls : int
        Attention calls.
    zero_rows : int
        Query rows with admissible keys whose kernel values were all exactly zero; they became uniform.
    sampled_scores : int
        Scores estimated from finite shots: admissible pairs of query and key.
    shots : int
        Measurements that those scores took, shots times sampled_scores.
    noise : list of NoiseReport
        How calls of gram, gram_matvec and attention applied a noise model; equal reports once.
    """

    calls: int = 0
    zero_rows: int = 0
    sampled_scores: int = 0
    shots: int = 0
    noise: list[NoiseReport] = field(default_factory=list)


_active: ContextVar[tuple[Counts, ...]] = ContextVar("flashket_diagnostics", default=())


@contextmanager
def record() -> Iterator[Counts]:
    """Count what attention calls inside the block do and collect how noise was applied, in this thread or task.

    Yields
    ------
    Counts
        Grows while the block runs. Blocks nest; each sees all calls inside it.

    Examples
    --------
    >>> import numpy as np
    >>> import flashket as fk
    >>> x = np.ones((1, 1, 4, 2))
    >>> with record() as counts:
    ...     _ = fk.attention(x, x, x, kernel=fk.Fidelity(fk.Angle(2)), shots=100, seed=0)
    >>> counts.sampled_scores, counts.shots, counts.zero_rows
    (16, 1600, 0)
    """
    counts = Counts()
    token = _active.set((*_active.get(), counts))
    try:
        yield counts
    finally:
        _active.reset(token)


def recorders() -> tuple[Counts, ...]:
    """Return the counters that are listening; empty outside every block."""
    return _active.get()


def record_noise(report: NoiseReport) -> None:
    """Tell the recorders that listen how a call applied its noise."""
    for counts in recorders():
        if report not in counts.noise:
            counts.noise.append(report)
