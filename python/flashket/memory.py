# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How much memory is free, and the refusal of what does not fit."""

from __future__ import annotations

import math
import os
from pathlib import Path

from flashket.errors import ResourceLimit, explanation

_ALWAYS_FITS = 64 * 2**20
"""Requests below this are not checked: asking the kernel costs more than serving them."""


def available_bytes() -> int | None:
    """Return the bytes that can still be allocated: the machine's free memory or what the cgroup leaves, whichever is less.

    Returns
    -------
    int or None
        Bytes; None where the system does not say.

    Examples
    --------
    >>> available = available_bytes()
    >>> available is None or available > 0
    True
    """
    limits = [limit for limit in (_machine_bytes(), _cgroup_bytes(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))) if limit is not None]
    return min(limits, default=None)


def require(place: str, what: str, n_bytes: int, do: str) -> None:
    """Raise ResourceLimit if ``n_bytes`` are more than what is free; allocate nothing.

    Parameters
    ----------
    place, what, do : str
        The words of the refusal: who refuses, what needs the memory, what to do instead.
    n_bytes : int
        Bytes wanted.

    Raises
    ------
    ResourceLimit
        With the bytes asked for and the bytes free.

    Examples
    --------
    >>> require("states", "one state of 10 qubits", 2**14, "use fewer qubits")
    """
    if n_bytes <= _ALWAYS_FITS:
        return
    available = available_bytes()
    if available is not None and n_bytes > available:
        raise ResourceLimit(explanation(place, f"{what} needs {format_bytes(n_bytes)}", f"{format_bytes(available)} free", do))


def format_bytes(n_bytes: int) -> str:
    """Return a size with three digits and a decimal unit.

    Examples
    --------
    >>> format_bytes(999), format_bytes(17_592_186_044_416)
    ('999 B', '17.6 TB')
    """
    if n_bytes >= 10**21:
        # Not str: Python refuses to write numbers of more than 4,300 digits.
        return f"10^{int(math.log10(n_bytes))} B"
    exponent = (len(str(n_bytes)) - 1) // 3
    return f"{n_bytes / 1000**exponent:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB')[exponent]}"


def _machine_bytes() -> int | None:
    """Return MemAvailable, or the physical memory where /proc is not there."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        # Not Linux: the physical memory is the best the standard library knows.
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _cgroup_bytes(membership: Path, root: Path) -> int | None:
    """Return what the tightest memory cgroup of this process leaves (version 2, then 1), or None without a limit."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit_name, usage_name, cache_name = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base, limit_name, usage_name, cache_name = (
                root / "memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "total_inactive_file",
            )
        else:
            continue
        group = base / path.lstrip("/")
        # A container may see its own group mounted as the root, so groups that do not exist here are passed over.
        for folder in (group, *group.parents):
            remaining = _group_bytes(folder, limit_name, usage_name, cache_name)
            if remaining is not None:
                left.append(remaining)
            if folder == base:
                break
    return min(left, default=None)


def _group_bytes(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    """Return limit - usage of one cgroup, page cache that can be dropped counted as free."""
    try:
        limit = (folder / limit_name).read_text().strip()
        usage = int((folder / usage_name).read_text())
        statistics = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return None
    if limit == "max" or int(limit) >= 2**60:
        return None
    cache = sum(int(line.split()[1]) for line in statistics if line.split()[0] == cache_name)
    return max(int(limit) - usage + cache, 0)
