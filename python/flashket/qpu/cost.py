# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a batch of circuits costs on a device, in QPU time and money, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """The cost of one batch. None stands for "this provider does not charge so" or "unknown", which ``notes`` tells.

    Parameters
    ----------
    circuits, executions : int
        Circuits, and circuits times shots.
    qpu_seconds : float or None
        Modelled time that the provider would bill.
    usd, usd_worst : float or None
        List-price money: expected, and the most it can be. ``usd_worst`` is what a budget reserves.
    hqc : float or None
        Quantinuum's credits.
    price_date : str
        Of the oldest price used.
    is_stale : bool
        Whether that is more than 180 days ago.
    notes : tuple of str
        What was assumed.
    """

    circuits: int
    executions: int
    qpu_seconds: float | None
    usd: float | None
    usd_worst: float | None
    hqc: float | None = None
    price_date: str = ""
    is_stale: bool = False
    notes: tuple[str, ...] = ()
