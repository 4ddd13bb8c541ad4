# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""List prices, each with its source and date. Bundled in prices.csv; a file of the user's own replaces single rows."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from flashket.errors import InputError, explanation

_BUNDLED = Path(__file__).with_name("prices.csv")
_COLUMNS = ("item", "unit", "value", "currency", "source", "as_of", "note")
_TIMES = ("per QPU second", "per QPU minute", "per 10 ms")
"""Units that are converted into each other."""
STALE_DAYS = 180
"""A price older than this is called stale."""


@dataclass(frozen=True)
class Price:
    """One list price.

    Parameters
    ----------
    item, unit : str
        What is priced, and per what.
    value : float
        The amount, in ``currency``; a quantity without money where ``currency`` is "" (a free plan's minutes).
    currency : str
        "USD" or "".
    source : str
        Where it was read.
    as_of : str
        When it was true, as the source says: an ISO date, a month, a year, or words.
    note : str
        What else the source says.

    Examples
    --------
    >>> from datetime import date
    >>> ibm = price("ibm_payg")
    >>> ibm.value, ibm.unit, ibm.as_of, ibm.is_stale(date(2026, 6, 1))
    (1.6, 'per QPU second', '2026-05-25', False)
    """

    item: str
    unit: str
    value: float
    currency: str
    source: str
    as_of: str
    note: str = ""

    @property
    def day(self) -> date | None:
        """The earliest day that ``as_of`` can mean; None if it names no month (a year alone says too little to trust a price by)."""
        found = re.fullmatch(r"(\d{4})-(\d{2})(?:-(\d{2}))?", self.as_of)
        if found is None:
            return None
        try:
            return date(int(found[1]), int(found[2]), int(found[3] or 1))
        except ValueError:
            return None

    def is_stale(self, today: date | None = None) -> bool:
        """Whether the price is older than 180 days, is undated, or lies in the future (a clock or a date is then wrong)."""
        if self.day is None:
            return True
        return not 0 <= ((today or date.today()) - self.day).days <= STALE_DAYS


def load_prices(file: str | Path | None = None) -> dict[str, Price]:
    """Return all prices by item.

    Parameters
    ----------
    file : str or path, optional
        A CSV file with the columns item, unit, value, currency, source, as_of, note, whose rows replace the bundled ones or add to
        them; by default the one that the environment variable ``FLASHKET_PRICES`` names, if any.

    Returns
    -------
    dict of str to Price

    Raises
    ------
    InputError
        For a file that cannot be read, a row that is not as above, or a known item in another unit or currency.

    Examples
    --------
    >>> sorted(load_prices())[:2]
    ['azure_ionq_forte_1q', 'azure_ionq_forte_2q']
    """
    own = file if file is not None else os.environ.get("FLASHKET_PRICES")
    bundled = _read(_BUNDLED)
    if not own:
        return dict(bundled)
    replaced = _parse(Path(own))
    for item in replaced.keys() & bundled.keys():
        mine, listed = replaced[item], bundled[item]
        units = _TIMES if listed.unit in _TIMES else (listed.unit,)
        if mine.unit not in units or mine.currency != listed.currency:
            # Another unit or currency would be read as this one: the worst case that a budget reserves would be wrong.
            wanted = f"{item} of {own!r} must be {' or '.join(units)}, in {listed.currency or 'no currency'}"
            raise InputError(explanation("prices", wanted, f"{mine.unit}, in {mine.currency or 'no currency'}", "convert it"))
    return {**bundled, **replaced}


def price(item: str, file: str | Path | None = None) -> Price:
    """Return one price; ``file`` as in :func:`load_prices`.

    Raises
    ------
    InputError
        For an unknown item, listing what exists.
    """
    prices = load_prices(file)
    if item not in prices:
        raise InputError(explanation("prices", f"item must be one of {', '.join(sorted(prices))}", repr(item), "add it to a file"))
    return prices[item]


def oldest(prices: Iterable[Price]) -> str:
    """Return the ``as_of`` of the least trustworthy price: an undated one first, then the oldest; "" for none."""
    return min(prices, key=lambda one: (one.day or date.min, one.as_of), default=Price("", "", 0.0, "", "", "")).as_of


@cache
def _read(path: Path) -> dict[str, Price]:
    return _parse(path)


def _parse(path: Path) -> dict[str, Price]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(line for line in file if not line.startswith("#"))
            rows, columns = list(reader), reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            explanation("prices", "a readable CSV file of prices was wanted", f"{str(path)!r} ({error})", "check it")
        ) from None
    if set(columns) != set(_COLUMNS):
        do = f"write the columns {','.join(_COLUMNS)}"
        raise InputError(explanation("prices", f"{str(path)!r} must have a header of prices", ", ".join(map(str, columns)) or "none", do))
    prices: dict[str, Price] = {}
    for number, row in enumerate(rows, 1):
        try:
            value = float(row["value"])
            if set(row) != set(_COLUMNS) or None in row.values() or not row["item"] or not (math.isfinite(value) and value >= 0):
                raise ValueError
        except (KeyError, TypeError, ValueError):
            do = f"write the columns {','.join(_COLUMNS)}"
            raise InputError(explanation("prices", f"row {number} of {str(path)!r} must be a price", row, do)) from None
        prices[row["item"]] = Price(row["item"], row["unit"], value, row["currency"], row["source"], row["as_of"], row["note"])
    return prices
