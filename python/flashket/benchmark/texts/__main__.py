# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Freeze a checkout's own files into ``flashket.txt``: ``python -m flashket.benchmark.texts CHECKOUT``. Done once per data version.

Freezing again changes every figure on this text, so results before and after are not comparable.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from flashket.benchmark.texts import FROZEN

LIMIT = 200_000
_SUFFIXES = (".md", ".py", ".hpp", ".cpp", ".toml", ".txt", ".cmake")


def freeze(root: Path) -> bytes:
    """Return the tracked and new files of a checkout, documents first, each preceded by a line with its path, below LIMIT bytes."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    names = [name for name in listing.stdout.splitlines() if name.endswith(_SUFFIXES) and not name.endswith(FROZEN.name)]
    text = b""
    for name in sorted(names, key=lambda name: (_SUFFIXES.index(Path(name).suffix), name)):
        document = f"===== {name}\n".encode() + (root / name).read_bytes()
        if len(text) + len(document) <= LIMIT:
            text += document
    return text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m flashket.benchmark.texts CHECKOUT")
    frozen = freeze(Path(sys.argv[1]))
    FROZEN.write_bytes(frozen)
    FROZEN.with_name("SHA256SUMS").write_text(f"{hashlib.sha256(frozen).hexdigest()}  {FROZEN.name}\n")
    print(f"{FROZEN}: {len(frozen)} bytes")
