# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Check what the formatters do not: SPDX lines, file length, file size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = {".py", ".pyi", ".cpp", ".hpp", ".h", ".cu", ".cuh"}
NAMED = CODE | {".cmake", ".md", ".toml", ".yaml", ".yml", ".sh"}
MAX_LINES = 600
MAX_BYTES = 4_200_000  # a checkpoint is at most 4 MB
FROZEN = ("python/flashket/benchmark/texts/", "python/flashket/llm/weights/")
"""Data, not source: its bytes are hashed and stay as they are."""


def main() -> int:
    """Print every finding; return the exit code."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True)
    findings = []
    for name in sorted(set(listed.stdout.decode().split("\0"))):
        path = Path(name)
        if not name or not path.is_file():
            continue
        if path.stat().st_size > MAX_BYTES:
            findings.append(f"{name}: {path.stat().st_size:,} bytes, at most {MAX_BYTES:,}")
        if (path.suffix not in NAMED and path.name != "CMakeLists.txt") or name.startswith(FROZEN):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:5]):
            findings.append(f"{name}: no SPDX lines at the top")
        if path.suffix in CODE and len(lines) > MAX_LINES:
            findings.append(f"{name}: {len(lines)} lines, at most {MAX_LINES}: split it by subject")
    print("\n".join(f"[tree] {finding}" for finding in findings) or "[tree] fine")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
