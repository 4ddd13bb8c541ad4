# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What this machine can do at most, one thread: the loops of bench/cpp/limits.simd.cpp, compiled and timed in this process."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FLAGS = {
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"],
    "avx2": ["-mavx2", "-mfma"],
    "baseline": [],
}
"""As in cpp/CMakeLists.txt."""
VECTOR_BYTES = {"avx512": 64, "avx2": 32, "baseline": 16}
ROUNDS = 300_000
"""About 3 ms."""


def best_rate(call: Callable[[], float]) -> float:
    """Return the amount per CPU second of the best of a few calls: a limit is what can be reached, not what a busy hour allows."""
    best = 0.0
    for _ in range(5):
        begin = time.process_time()
        amount = call()
        best = max(best, amount / max(time.process_time() - begin, 1e-9))
    return best


class Limits:
    """Rates of fma_f32, fma_f64 (flop/s), instructions_f32, instructions_f64 (lane-operations/s), fill and read (bytes/s)."""

    def __init__(self, isa: str) -> None:
        self.isa = isa
        self.reason = ""
        self.library: ctypes.CDLL | None = None
        compiler = shutil.which(os.environ.get("CXX", "c++"))
        if compiler is None:
            self.reason = "no limit: a C++ compiler is needed to measure it"
            return
        with tempfile.TemporaryDirectory() as folder:
            shared = Path(folder) / "limits.so"
            width = f"-DFLASHKET_VECTOR_BYTES={VECTOR_BYTES[isa]}"
            command = [compiler, "-std=c++20", "-O3", "-shared", "-fPIC", "-ffp-contract=fast", "-Wno-psabi", *FLAGS[isa], width]
            command += [
                f"-DFLASHKET_ISA_NAMESPACE=isa_{isa}",
                "-I",
                str(ROOT / "cpp"),
                str(ROOT / "bench/cpp/limits.simd.cpp"),
                "-o",
                str(shared),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                self.reason = f"no limit: {done.stderr.strip().splitlines()[0]}"
                return
            self.library = ctypes.CDLL(str(shared))

    def loop(self, name: str) -> Callable[[int], float]:
        """Return one of the compiled loops."""
        function = self.library[f"limit_{name}_isa_{self.isa}"]  # type: ignore[index]  # called only when there is a library
        function.restype, function.argtypes = ctypes.c_double, [ctypes.c_int64]
        return function

    def rate(self, kind: str, amount: float) -> float:
        """Return what can be done in a second; bandwidth is that of an array of the work's own size."""
        import numpy as np

        if kind in ("fill", "read"):
            array = np.ones(max(4096, int(amount) // 4), np.float32)
            repeats = max(1, 2**24 // array.nbytes)
            address, size = array.ctypes.data, array.nbytes
            if kind == "fill":

                def fill() -> float:
                    for _ in range(repeats):
                        ctypes.memset(address, 1, size)
                    return float(repeats * size)

                return best_rate(fill)
            function = self.library[f"limit_read_isa_{self.isa}"]  # type: ignore[index]
            function.restype, function.argtypes = ctypes.c_double, [ctypes.c_void_p, ctypes.c_int64]
            return best_rate(lambda: sum(function(address, array.size) for _ in range(repeats)))
        loop = self.loop(kind)
        return best_rate(lambda: loop(ROUNDS))

    def seconds(self, work: Mapping[str, float]) -> tuple[str, float]:
        """Return the part of the work that takes longest at the limit, and its seconds; 0 where limits cannot be measured."""
        if self.library is None:
            return "", 0.0
        return max(((kind, amount / self.rate(kind, amount)) for kind, amount in work.items()), key=lambda pair: pair[1])
