# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Where figures come from: code, versions, processor, threads, load."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController

import flashket as fk

_BLAS = ThreadpoolController().select(user_api="blas")
_PACKAGES = ("flashket", "numpy", "safetensors", "rich")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages a run uses; "absent" for one that is not installed as a distribution."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    found["flashket"] = fk.__version__
    return found


def git_commit() -> str | None:
    """Return the commit of the checkout this package runs from, with "+changes" if files differ from it; None outside one."""
    package = Path(fk.__file__).parent

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", str(package), *arguments], capture_output=True, text=True, timeout=20)

    try:
        # An installed copy may lie inside somebody else's repository: only a tracked file counts.
        if git("ls-files", "--error-unmatch", "__init__.py").returncode:
            return None
        head = git("rev-parse", "HEAD")
        changes = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode or changes.returncode:
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """Return the machine's memory in bytes, None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def load_average() -> list[float] | None:
    """Return the 1, 5 and 15 minute load, None where the system has none."""
    try:
        return [round(load, 2) for load in os.getloadavg()]
    except (AttributeError, OSError):
        return None


def one_blas_thread() -> AbstractContextManager[Any]:
    """Keep NumPy's matrix products on the calling thread inside the block.

    A window's products are small: a second BLAS thread saves little on an idle machine, and on a busy one waiting for it made a
    forward pass ten times slower. Attention keeps flashket's threads.
    """
    limits: AbstractContextManager[Any] = _BLAS.limit(limits=1)
    return limits


def environment(device: str = "cpu") -> dict[str, Any]:
    """Return what stays the same during a run; every row carries it. ``device`` "cuda" adds the GPU and what drives it."""
    gpu: dict[str, Any] = {}
    if device == "cuda":
        import cupy

        from flashket.backends.cuda import CUDA

        used = int(cupy.cuda.Device().id)
        properties = {key: value for key, value in CUDA.properties(used).items() if key != "free_memory"}
        driver, runtime = cupy.cuda.runtime.driverGetVersion(), cupy.cuda.runtime.runtimeGetVersion()
        gpu = {"gpu": {**properties, "device": used, "driver": driver, "runtime": runtime, "cupy": cupy.__version__}}
    return {
        "git_commit": git_commit(),
        "versions": versions(),
        "isa": fk.isa(),
        "cpu": cpu_name(),
        "cpu_count": os.cpu_count(),
        "threads": fk.get_num_threads(),
        "blas": [{name: library.get(name) for name in ("internal_api", "version", "num_threads")} for library in _BLAS.info()],
        "memory_bytes": memory_bytes(),
        "system": platform.platform(),
        **gpu,
    }
