# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Check a flashket-cu13 wheel: what is in it, what its module links, and that it imports fast without GPU, driver or cuQuantum."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ALWAYS_THERE = {"libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libstdc++.so.6", "libgcc_s.so.1"}
"""What every Linux with Python has; the loader itself is allowed too. The CUDA runtime is inside the module."""
MODULE = "flashket_cuda/_cuda.abi3.so"
IMPORT_SECONDS = 0.1
IMPORT = """
import time
began = time.perf_counter()
import flashket_cuda
seconds = time.perf_counter() - began
assert flashket_cuda.core is not None, flashket_cuda.reason
count, reason = flashket_cuda.core.device_count(), flashket_cuda.core.device_reason()
assert (count > 0) == (reason == ""), (count, reason)
assert not flashket_cuda.core.is_emulated
print(seconds, count, reason or "-", sep="|")
"""


def contents(wheel: Path) -> list[str]:
    """Return what is wrong with the wheel's files and its module's links."""
    findings = []
    if "-cp310-abi3-" not in wheel.name:
        findings.append(f"wanted one wheel for every Python (cp310-abi3), got {wheel.name}")
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        names = archive.namelist()
        libraries = [name for name in names if ".so" in name]
        if libraries != [MODULE]:
            findings.append(f"wanted {MODULE} as only library, got {libraries}")
        findings += [f"unexpected file {n}" for n in names if not re.match(r"flashket_cuda/[\w.]+$|flashket_cu13-[\w.]+\.dist-info/", n)]
        if not any(name.endswith("/licenses/LICENSE") for name in names):
            findings.append("no LICENSE")
        if MODULE in names:
            dynamic = subprocess.run(
                ["readelf", "--dynamic", "--wide", archive.extract(MODULE, folder)], check=True, capture_output=True, text=True
            ).stdout
            needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
            findings += [f"links {name}" for name in sorted(needed - ALWAYS_THERE) if not name.startswith("ld-linux")]
            findings += [f"has a search path: {line.strip()}" for line in dynamic.splitlines() if "PATH)" in line]
    print(f"[wheel] {wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, {len(names)} files")
    return findings


def imports(python: str) -> list[str]:
    """Return what is wrong with importing it in the environment of an interpreter."""
    times = []
    for _ in range(5):
        run = subprocess.run([python, "-c", IMPORT], capture_output=True, text=True)
        if run.returncode:
            return [f"import fails: {run.stderr.strip()}"]
        seconds, count, reason = run.stdout.strip().split("|")
        times.append(float(seconds))
    print(f"[wheel] import in {min(times) * 1e3:.1f} ms; {count} devices: {reason}")
    return [] if min(times) < IMPORT_SECONDS else [f"import takes {min(times) * 1e3:.0f} ms, at most {IMPORT_SECONDS * 1e3:.0f}"]


def main() -> int:
    """Print every finding; return the exit code. Arguments: the wheel, and an interpreter that has it installed."""
    findings = contents(Path(sys.argv[1])) + imports(sys.argv[2])
    print("\n".join(f"[wheel] {finding}" for finding in findings) or "[wheel] fine")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
