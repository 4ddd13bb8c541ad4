# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a cell measures: bits per byte on windows, latency of prefill and decode, peak memory, and the compressors' figures."""

from __future__ import annotations

import lzma
import resource
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flashket import diagnostics
from flashket.benchmark.statistics import mean_interval
from flashket.errors import InputError

if TYPE_CHECKING:
    from flashket.benchmark.suite import Latency
    from flashket.llm.model import Model
    from flashket.noise.model import NoiseModel

Progress = Callable[[], None]
"""Called after each window or repeat."""


def window_starts(n_bytes: int, *, context: int, windows: int) -> list[int]:
    """Return where the windows of a text begin: evenly spaced, the same for every model of that context.

    A window reads ``context`` bytes and scores the last ``context - context // 2`` predictions, so every scored byte has at
    least half a window before it. At most as many windows as keep the scored parts apart.

    Raises
    ------
    InputError
        The text is shorter than one window.

    Examples
    --------
    >>> window_starts(1025, context=512, windows=3)
    [0, 256, 512]
    """
    if n_bytes < context + 1:
        raise InputError(f"[bench] a text must hold at least {context + 1} bytes for a context of {context}, got {n_bytes}")
    last = n_bytes - context - 1
    n = min(windows, last // (context - context // 2) + 1)
    return [int(start) for start in np.linspace(0, last, n)]


def bits_of_window(logits: Any, targets: Any) -> float:
    """Return the mean bits per byte of some predictions: -log2 softmax(logits)[target], in float64.

    Parameters
    ----------
    logits : array of float, (n, 256)
    targets : array of int, (n,)

    Examples
    --------
    >>> bits_of_window(np.zeros((3, 256)), np.array([1, 2, 3]))
    8.0
    """
    scores = np.asarray(logits, dtype=np.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    chosen = scores[np.arange(len(scores)), np.asarray(targets)]
    return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - chosen) / np.log(2))


def quality(
    model: Model, text: bytes, *, windows: int, shots: int | None, seed: int, progress: Progress, noise: NoiseModel | None = None
) -> dict[str, Any]:
    """Return bits and perplexity per byte of a text, with the raw figure of every window.

    Perplexity per byte is 2 ** (bits per byte), its interval the same power of the interval's ends. Window i samples its
    scores with seed + i, so windows are independent and a run can be repeated.
    """
    context = model.config.context
    half = context // 2
    starts = window_starts(len(text), context=context, windows=windows)
    tokens = np.frombuffer(text, np.uint8)
    bits = []
    with diagnostics.record() as counts:
        for i, start in enumerate(starts):
            variant = model if shots is None else model.with_attention(shots=shots, noise=noise, seed=seed + i)
            logits = variant.to_host(variant.logits(tokens[start : start + context]))
            bits.append(bits_of_window(logits[half:], tokens[start + half + 1 : start + context + 1]))
            progress()
    estimate = mean_interval(bits)
    return {
        "result": {
            "bits_per_byte": estimate.mean,
            "bits_per_byte_ci95": [estimate.low, estimate.high],
            "perplexity_per_byte": 2**estimate.mean,
            "perplexity_per_byte_ci95": [2**estimate.low, 2**estimate.high],
            "scored_bytes": len(starts) * (context - half),
            "zero_rows": counts.zero_rows,
        },
        "samples": {"window_start": starts, "bits_per_byte": bits},
    }


def latency(model: Model, prompt: bytes, settings: Latency, *, shots: int | None, seed: int, progress: Progress) -> dict[str, Any]:
    """Time prefill and decode of one sequence on this machine.

    Time to first byte (TTFT) is prefill plus choosing the byte. Time per output byte is one decode step plus choosing, for the
    bytes after the first: TTFT is not in it. The prompt is fixed; one repeat before the measured ones is thrown away. On a GPU
    choosing the byte waits for the device, so the times are whole.
    """
    context = model.config.context
    n_prompt = min(settings.prompt_bytes, context - 1, len(prompt))
    n_output = min(settings.output_bytes, context - n_prompt)
    variant = model if shots is None else model.with_attention(shots=shots, seed=seed)
    peak = PeakMemory(variant.xp)
    first: list[float] = []
    steps: list[list[float]] = []
    for repeat in range(settings.repeats + 1):
        begun = time.perf_counter()
        logits, cache = variant.prefill(prompt[:n_prompt])
        byte = int(logits.argmax())
        ready = time.perf_counter()
        taken = []
        for _ in range(n_output):
            before = time.perf_counter()
            byte = int(variant.decode(byte, cache).argmax())
            taken.append(time.perf_counter() - before)
        if repeat:
            first.append(ready - begun)
            steps.append(taken)
        progress()
    memory = peak.read()
    each = np.concatenate(steps)
    return {
        "result": {
            "ttft_seconds_p50": float(np.median(first)),
            "seconds_per_byte_p50": float(np.quantile(each, 0.5)),
            "seconds_per_byte_p90": float(np.quantile(each, 0.9)),
            "prefill_bytes_per_second": n_prompt / float(np.median(first)),
            "decode_bytes_per_second": len(each) / float(each.sum()),
            "prompt_bytes": n_prompt,
            "output_bytes": n_output,
            **memory,
        },
        "samples": {"ttft_seconds": first, "seconds_per_byte": steps},
    }


def compressors(text: bytes, *, progress: Progress = lambda: None) -> dict[str, Any]:
    """Return what general compressors need for the whole text, in bits per byte: the reference a language model should beat.

    Examples
    --------
    >>> compressors(b"ab" * 50)["result"]["zlib_9"] < 8
    True
    """
    sizes = {"zlib_9": len(zlib.compress(text, 9)), "xz": len(lzma.compress(text))}
    progress()
    return {"result": {name: 8 * size / len(text) for name, size in sizes.items()}, "samples": {"compressed_bytes": sizes}}


class PeakMemory:
    """The process's largest resident set since this object was made, where the system can forget older peaks (Linux).

    Parameters
    ----------
    xp : module
        The array library; of CuPy the peak of its pool, from which flashket takes its workspaces too, is read beside it.
    """

    _STATUS = Path("/proc/self/status")

    def __init__(self, xp: Any = np) -> None:
        self._pool = None if xp is np else xp.get_default_memory_pool()
        if self._pool is not None:
            self._pool.free_all_blocks()  # from here on the pool grows only
        self.method = "ru_maxrss, the process's peak since it began"
        try:
            Path("/proc/self/clear_refs").write_text("5")  # 5 sets VmHWM back to the current size
            if self._high_water() is not None:
                self.method = "VmHWM, the process's peak during this cell"
        except OSError:
            # Not Linux, or a sandbox that forbids it: the label above says what the figure is instead.
            return

    def _high_water(self) -> int | None:
        for line in self._STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None

    def read(self) -> dict[str, Any]:
        """Return ``peak_bytes`` and how it was taken, on a GPU also ``device_peak_bytes``."""
        peak = self._high_water() if self.method.startswith("VmHWM") else None
        if peak is None:  # ru_maxrss counts bytes on macOS and KiB elsewhere
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        device = {} if self._pool is None else {"device_peak_bytes": int(self._pool.total_bytes())}
        return {"peak_bytes": peak, "peak_method": self.method, **device}
