# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Training and held-out text: the Python source of the standard library that is running.

The text differs between Python versions, so whoever reports a figure on it records :func:`text_hash` beside it.
"""

from __future__ import annotations

import hashlib
import sysconfig
from pathlib import Path

HELD_OUT = (
    "argparse.py",
    "cmd.py",
    "configparser.py",
    "csv.py",
    "difflib.py",
    "fractions.py",
    "heapq.py",
    "imaplib.py",
    "mailbox.py",
    "pdb.py",
    "shlex.py",
    "shutil.py",
    "statistics.py",
    "textwrap.py",
    "json/decoder.py",
    "logging/handlers.py",
    "wsgiref/handlers.py",
    "unittest/case.py",
)
"""Modules never trained on; they exist under these names in CPython 3.10 to 3.13."""

_SKIPPED_FOLDERS = {"site-packages", "test", "tests", "idle_test", "__pycache__", "encodings", "pydoc_data"}
"""Tests would leak the held-out modules' names; encodings and pydoc_data are tables, not code."""

SEPARATOR = 0
"""The byte between documents. It never occurs in source text."""


def standard_library() -> Path:
    """Return the folder of the running Python's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def held_out_modules() -> dict[str, bytes]:
    """Return the held-out modules' source, name to bytes, in the order of :data:`HELD_OUT`; absent ones are left out."""
    root = standard_library()
    return {name: (root / name).read_bytes() for name in HELD_OUT if (root / name).is_file()}


def training_modules() -> dict[str, bytes]:
    """Return every other module's source, name to bytes, in sorted order."""
    root = standard_library()
    modules = {}
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if _SKIPPED_FOLDERS.intersection(relative.parts) or relative.as_posix() in HELD_OUT:
            continue
        modules[relative.as_posix()] = path.read_bytes()
    return modules


def join(modules: dict[str, bytes]) -> bytes:
    """Return all documents in one text, each preceded by :data:`SEPARATOR`."""
    return b"".join(bytes([SEPARATOR]) + text for text in modules.values())


def text_hash(text: bytes) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text).hexdigest()
