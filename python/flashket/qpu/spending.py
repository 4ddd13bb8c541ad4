# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What may be spent on QPUs: nothing, until a ``with fk.qpu.budget(...)`` says otherwise."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from flashket.errors import BudgetExceeded, InputError, explanation
from flashket.qpu.cost import Cost

_LOCK = threading.Lock()
"""Guards the sums of every budget: a reservation changes a whole chain of them."""

_ROUNDING = 1e-9
"""Sums of many small amounts may miss a limit by this much, in USD or seconds."""


@dataclass
class Amount:
    """Money and QPU time."""

    usd: float = 0.0
    qpu_seconds: float = 0.0

    def add(self, other: Amount, sign: int = 1) -> None:
        """Add or subtract in place."""
        self.usd += sign * other.usd
        self.qpu_seconds += sign * other.qpu_seconds

    def __str__(self) -> str:
        return f"{self.usd:,.2f} USD and {self.qpu_seconds:,.4g} QPU seconds"


class Budget:
    """A limit with what is spent and reserved under it; made by :func:`budget`.

    ``limit``, ``spent``, ``reserved`` and ``left`` are amounts with ``usd`` and ``qpu_seconds``; ``left`` counts outer budgets too.
    """

    def __init__(self, limit: Amount, allow_unknown: bool, outer: Budget | None) -> None:
        self.limit = limit
        self.allow_unknown = allow_unknown
        self.spent = Amount()
        self.reserved = Amount()
        self._outer = outer

    def _chain(self) -> Iterator[Budget]:
        budget: Budget | None = self
        while budget is not None:
            yield budget
            budget = budget._outer

    @property
    def left(self) -> Amount:
        """What may still be reserved, here and in every outer budget."""
        chain = list(self._chain())
        return Amount(
            max(0.0, min(each.limit.usd - each.spent.usd - each.reserved.usd for each in chain)),
            max(0.0, min(each.limit.qpu_seconds - each.spent.qpu_seconds - each.reserved.qpu_seconds for each in chain)),
        )

    def __repr__(self) -> str:
        return f"Budget({self.limit}; spent {self.spent}; reserved {self.reserved})"


class Reservation:
    """Part of a budget that is set aside for one provider job, until it is settled or released."""

    def __init__(self, budget: Budget | None, amount: Amount) -> None:
        self.amount = amount
        self._budget = budget
        self._open = True

    def settle(self, spent: Amount) -> None:
        """Replace the reservation by what was spent, which may be more; a second call changes nothing."""
        with _LOCK:
            if self._open and self._budget is not None:
                for each in self._budget._chain():
                    each.reserved.add(self.amount, -1)
                    each.spent.add(spent)
            self._open = False

    def release(self) -> None:
        """Give everything back: nothing was sent."""
        self.settle(Amount())


_CURRENT: ContextVar[Budget | None] = ContextVar("flashket_qpu_budget", default=None)


def current() -> Budget:
    """Return the innermost budget of this context: one of nothing where none was given.

    Examples
    --------
    >>> current().left
    Amount(usd=0.0, qpu_seconds=0.0)
    """
    found = _CURRENT.get()
    return Budget(Amount(), False, None) if found is None else found


@contextmanager
def budget(usd: float = 0, qpu_seconds: float = 0, *, allow_unknown: bool = False) -> Iterator[Budget]:
    """Allow the code inside to spend money and QPU time: the only way to do so.

    Every provider job reserves its worst case before it is sent; afterwards what the provider billed counts, or the estimate where it
    does not say. What nobody knows the outcome of counts as spent. Local simulators need no budget.

    Parameters
    ----------
    usd : float
        US dollars.
    qpu_seconds : float
        Seconds of QPU time, modelled before the job, whether the provider charges them, takes them from a free plan, or charges
        something else.
    allow_unknown : bool
        Also send jobs whose price in USD is not known, e.g. because a contract sets it; their QPU seconds still count where known.

    Yields
    ------
    Budget
        With ``limit``, ``spent``, ``reserved`` and ``left``.

    Raises
    ------
    InputError
        For an amount that is not a finite number >= 0.

    Notes
    -----
    Budgets nest: what is spent inside counts in every outer one, so an inner budget cannot allow more than the outer ones have left.
    The budget belongs to the context (``contextvars``): asyncio tasks started inside share it, a ``threading.Thread`` started inside
    has none and may spend nothing (hand it over with ``contextvars.copy_context().run``), and neither has another process.

    Examples
    --------
    >>> with budget(usd=5) as outer, budget(usd=100) as inner:
    ...     inner.left
    Amount(usd=5.0, qpu_seconds=0.0)
    """
    limit = Amount(_amount(usd, "usd"), _amount(qpu_seconds, "qpu_seconds"))
    opened = Budget(limit, bool(allow_unknown), _CURRENT.get())
    token = _CURRENT.set(opened)
    try:
        yield opened
    finally:
        _CURRENT.reset(token)


def _amount(value: Any, name: str) -> float:
    try:
        amount = float(value)
    except (TypeError, ValueError):
        amount = math.nan
    if isinstance(value, bool) or not 0 <= amount < math.inf:
        raise InputError(explanation("budget", f"{name} must be a finite number >= 0", repr(value), "name the most that may be spent"))
    return amount


def worst_case(cost: Cost) -> Amount:
    """Return what a cost reserves; what is not charged or not known is 0.

    Examples
    --------
    >>> worst_case(Cost(1, 1000, 2.5, 4.0, 4.8))
    Amount(usd=4.8, qpu_seconds=2.5)
    """
    seconds = cost.qpu_seconds if cost.qpu_seconds_worst is None else cost.qpu_seconds_worst
    return Amount(cost.usd_worst or 0.0, seconds or 0.0)


def expected(cost: Cost) -> Amount:
    """Return what a finished job counts as where the provider does not say what it billed.

    Examples
    --------
    >>> expected(Cost(1, 1000, 2.5, 4.0, 4.8))
    Amount(usd=4.0, qpu_seconds=2.5)
    """
    return Amount(cost.usd if cost.usd is not None else cost.usd_worst or 0.0, cost.qpu_seconds or 0.0)


def reserve(costs: Sequence[Cost], name: str, *, is_remote: bool) -> list[Reservation]:
    """Reserve the worst case of every cost in the current budget, all or none.

    Parameters
    ----------
    costs : sequence of Cost
        One for each provider job.
    name : str
        The device, for the error.
    is_remote : bool
        False reserves nothing.

    Returns
    -------
    list of Reservation

    Raises
    ------
    BudgetExceeded
        If there is not enough left, or a price is unknown and that is not allowed; nothing is reserved then.

    Examples
    --------
    >>> with budget(usd=10) as allowed:
    ...     (reservation,) = reserve([Cost(1, 100, None, 4.0, 6.0)], "braket:device", is_remote=True)
    ...     reservation.settle(Amount(usd=4.0))
    ...     allowed.left.usd
    6.0
    """
    if not is_remote:
        return [Reservation(None, Amount()) for _ in costs]
    found = current()
    amounts = [worst_case(cost) for cost in costs]
    if not all(0 <= value < math.inf for each in amounts for value in (each.usd, each.qpu_seconds)):
        got = ", ".join(dict.fromkeys(f"{each.usd} USD and {each.qpu_seconds} s" for each in amounts))
        raise BudgetExceeded(explanation("budget", f"costs of {name} must be finite and not negative", got, "nothing was sent"))
    asked = Amount(math.fsum(each.usd for each in amounts), math.fsum(each.qpu_seconds for each in amounts))
    unknown = [cost for cost in costs if cost.usd_worst is None]
    if unknown and not found.allow_unknown:
        notes = "; ".join(dict.fromkeys(note for cost in unknown for note in cost.notes)) or "no price is known"
        do = "look the price up, then pass fk.qpu.budget(..., allow_unknown=True) or --allow-unknown"
        raise BudgetExceeded(explanation("budget", f"{name} needs a price in USD", f"none ({notes})", do))
    with _LOCK:
        left = found.left
        if asked.usd > left.usd + _ROUNDING or asked.qpu_seconds > left.qpu_seconds + _ROUNDING:
            got = f"a budget with {left} left ({found.spent} spent, {found.reserved} reserved)"
            usd, seconds = math.ceil(asked.usd * 100 - 1e-6) / 100, math.ceil(asked.qpu_seconds * 10 - 1e-6) / 10
            options = f"fk.qpu.budget(usd={usd:.2f}, qpu_seconds={seconds:.1f}) or --max-spend {usd:.2f} --max-seconds {seconds:.1f}"
            do = f"nothing was sent; allow it with {options}"
            raise BudgetExceeded(explanation("budget", f"{name} may cost up to {asked}", got, do))
        for each in found._chain():
            for amount in amounts:
                each.reserved.add(amount)
    return [Reservation(found, amount) for amount in amounts]
