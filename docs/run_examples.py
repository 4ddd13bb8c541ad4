# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Run every docstring example of the installed package and every Python block of README.md, docs/index.md and docs/qpu.md.

A public function or class without an example is an error too.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/index.md", "docs/qpu.md")
NEEDS = {"flashket.llm.train": "torch"}
"""Modules that only an extra can import; their examples run where it is installed."""


def modules() -> list[str]:
    """Return the package's module names, without what starts the program when imported."""
    package = importlib.import_module("flashket")
    names = ["flashket", *(info.name for info in pkgutil.walk_packages(package.__path__, "flashket."))]
    return [name for name in names if not name.endswith("__main__")]


def without_example() -> list[str]:
    """Return the public functions and classes, errors aside, whose docstrings show no example."""
    missing = []
    for module_name in ("flashket", "flashket.llm", "flashket.qpu"):
        module = importlib.import_module(module_name)
        for name in module.__all__:
            item = getattr(module, name)
            if not callable(item) or (inspect.isclass(item) and issubclass(item, BaseException)):
                continue
            if module_name == "flashket.qpu" and inspect.isclass(item):  # the functions that give or take records show them
                continue
            if ">>>" not in (inspect.getdoc(item) or ""):
                missing.append(f"{module_name}.{name}")
    return missing


def run_page(path: Path, folder: str) -> tuple[int, int]:
    """Run a page's Python blocks in order as one program; return (blocks, failed)."""
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    script = Path(folder) / f"{path.stem}_page.py"
    script.write_text("".join(blocks), encoding="utf-8")
    code = subprocess.run([sys.executable, "-W", "error", str(script)], cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode
    if code:
        print(f"[examples] {path.name} ended with exit code {code}")
    return len(blocks), int(code != 0)


def main() -> int:
    """Run everything in a scratch folder; return the exit code."""
    run = failed = 0
    for name in modules():
        extra = NEEDS.get(name)
        if extra and importlib.util.find_spec(extra) is None:
            print(f"[examples] {name} not run: {extra} is not installed")
            continue
        result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        run, failed = run + result.attempted, failed + result.failed
    for missing in without_example():
        print(f"[examples] {missing} has no example")
        failed += 1
    with tempfile.TemporaryDirectory() as folder:
        for page in PAGES:
            count, bad = run_page(ROOT / page, folder)
            run, failed = run + count, failed + bad
    print(f"[examples] {run} examples, {failed} failed")
    return 1 if failed or not run else 0


if __name__ == "__main__":
    sys.exit(main())
