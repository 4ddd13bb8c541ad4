# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Counters of what happened inside attention calls."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Counts:
    """What the attention calls inside a ``with record()`` block did.

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
    """

    calls: int = 0
    zero_rows: int = 0
    sampled_scores: int = 0
    shots: int = 0


_active: ContextVar[tuple[Counts, ...]] = ContextVar("flashket_diagnostics", default=())


@contextmanager
def record() -> Iterator[Counts]:
    """Count what attention calls inside the block do, in this thread or task.

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
