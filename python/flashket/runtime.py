# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The compiled module's settings: instruction set and threads."""

from __future__ import annotations

import operator
from typing import Any

from flashket.backends.cpu import core
from flashket.errors import InputError, explanation

_MOST_THREADS = 1024


def isa() -> str:
    """Return the instruction set that runs: "baseline", "avx2" or "avx512".

    Returns
    -------
    str
        The best that the CPU and the operating system support, or what ``FLASHKET_ISA`` forces.

    Raises
    ------
    InputError
        If ``FLASHKET_ISA`` names one that does not exist or is not supported here.

    Examples
    --------
    >>> isa() in ("baseline", "avx2", "avx512")
    True
    """
    return str(core().isa())


def available_isas() -> list[str]:
    """Return the instruction sets that this machine supports.

    Examples
    --------
    >>> "baseline" in available_isas()
    True
    """
    return list(core().available_isas())


def get_num_threads() -> int:
    """Return the number of threads that calls use.

    ``FLASHKET_NUM_THREADS``, else ``OMP_NUM_THREADS``, else the CPUs that affinity and cgroup allow.

    Examples
    --------
    >>> get_num_threads() >= 1
    True
    """
    return int(core().num_threads())


def set_num_threads(n: int) -> None:
    """Set the number of threads that calls use, this thread included; results do not depend on it.

    Parameters
    ----------
    n : int
        1 to 1024.

    Raises
    ------
    InputError
        If n is not such an integer.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    core().set_num_threads(_checked(n))


def _checked(n: Any) -> int:
    try:
        result = operator.index(n)
    except TypeError:
        result = 0
    if isinstance(n, bool) or not 1 <= result <= _MOST_THREADS:
        do = "1 uses the calling thread alone"
        raise InputError(explanation("set_num_threads", f"n must be an integer in 1..{_MOST_THREADS}", repr(n), do))
    return result
