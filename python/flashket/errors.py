# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""One hierarchy of errors and one form of text: ``[place] what was wanted, got what came: what to do``."""

from __future__ import annotations


class FlashKetError(Exception):
    """The base of every error that FlashKet raises on purpose."""


class InputError(FlashKetError, ValueError):
    """An argument is wrong; the text says what was wanted, what came and what to do."""


class BackendUnavailable(FlashKetError, RuntimeError):
    """A backend that was asked for is absent or cannot do this; the text says why and how to get it."""


class ResourceLimit(FlashKetError, MemoryError):
    """A state or a matrix does not fit into the memory that is free; nothing was allocated."""


class BudgetExceeded(FlashKetError):
    """Running this would spend more than the budget allows; nothing was sent."""


class JobError(FlashKetError):
    """A job on a QPU or a cluster failed."""


def explanation(place: str, wanted: str, got: object = None, do: str | None = None) -> str:
    """Return an error's text.

    Parameters
    ----------
    place : str
        The public function or class that refuses, e.g. ``"gram"``.
    wanted : str
        What was wanted, naming the argument.
    got : object
        What came; left out when None.
    do : str
        What the caller can do about it.

    Returns
    -------
    str
        ``[place] wanted, got got: do``.

    Examples
    --------
    >>> explanation("gram", "shots must be a positive integer", -3, "pass shots=None for exact values")
    '[gram] shots must be a positive integer, got -3: pass shots=None for exact values'
    """
    text = f"[{place}] {wanted}"
    if got is not None:
        text += f", got {got}"
    if do is not None:
        text += f": {do}"
    return text
