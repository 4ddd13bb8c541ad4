# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A lock between processes that a killed process cannot leave behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PAUSE = 0.02


@contextmanager
def held(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock of a file, made where it is missing; False where another holder kept it for ``seconds``.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "lock"
    >>> with held(path, 1) as first, held(path, 0) as second:
    ...     first, second
    (True, False)
    """
    deadline = time.monotonic() + seconds
    descriptor = _try(path)
    while descriptor is None and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        descriptor = _try(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            if sys.platform != "win32":  # which refuses to remove an open file
                with suppress(OSError):
                    path.unlink()
            os.close(descriptor)


def _try(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            return descriptor
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The last holder may have removed the file between open and flock: then this is a lock on nothing.
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
