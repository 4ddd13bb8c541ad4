# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Attention, sum-normalised, beside torch's softmax attention of the same shape, and two threads beside one."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

import flashket as fk
from cases import expert
from cases.gram import against_oracle, uniform
from cases.harness import Array, Case, Side, faster, need, relative
from flashket import reference
from flashket.backends.cpu import core

Makers = dict[str, Callable[[], Side]]

WIDTH = 64
READING = "reading K and V once (sdot)"
COMPILED = "our compiled module"
BEYOND_CACHES = 1 << 27
"""Bytes; more than a level-3 cache that one core may fill."""
EAGER = "eager torch, features and GEMM"
UNFUSED = "expert NumPy, unfused"
SDPA = "torch SDPA, softmax, 64 wide"
QUADRATIC_LIMIT = 4096
"""Longest sequence on which SDPA runs with all heads; beyond it runs on one head, which is said in the table."""


def oracle(q: Array, k: Array, v: Array, kernel: Any, causal: bool) -> Callable[[Array], float]:
    """Return a check of sampled queries of the first and the last head; the first and last rows are among them."""
    length = k.shape[2]
    rows = np.unique(np.concatenate([[0, 1, q.shape[2] - 1], np.linspace(0, q.shape[2] - 1, 16).astype(int)]) % q.shape[2])
    heads = (0, q.shape[1] - 1)
    wanted = np.empty((len(heads), len(rows), v.shape[-1]))
    for place, head in enumerate(heads):
        left, right = q[0, head, rows].astype(np.float64), k[0, head].astype(np.float64)
        logs = left @ right.T / q.shape[-1] ** 0.5 if kernel is None else reference.gram(left, right, kernel, log=True)
        if causal:
            logs = np.where(np.arange(length) <= rows[:, None] + length - q.shape[2], logs, -np.inf)
        weights = np.exp(logs - logs.max(1, keepdims=True))
        wanted[place] = weights / weights.sum(1, keepdims=True) @ v[0, head].astype(np.float64)

    def check(result: Array) -> float:
        return relative(np.asarray(result)[0][[0, -1]][:, rows], wanted)

    return check


def inputs(heads: int, queries: int, keys: int, width: int, widest: float = 0.0) -> tuple[Array, Array, Array]:
    """Return q, k, v of a case; values are 64 wide. Queries and keys are normal, or uniform up to ``widest``."""
    rng = np.random.default_rng(keys + width)
    if widest:
        q, k = (rng.uniform(-widest, widest, (1, heads, rows, width)).astype(np.float32) for rows in (queries, keys))
        return q, k, rng.normal(size=(1, heads, keys, WIDTH)).astype(np.float32)
    q = rng.normal(size=(1, heads, queries, width)).astype(np.float32)
    return q, rng.normal(size=(1, heads, keys, width)).astype(np.float32), rng.normal(size=(1, heads, keys, WIDTH)).astype(np.float32)


def sdpa(heads: int, queries: int, keys: int, causal: bool) -> Side:
    """Return torch's softmax attention, head width 64; very long sequences on one head."""
    torch = need("torch")
    torch.set_num_threads(1)
    run_heads = heads if queries <= QUADRATIC_LIMIT else 1
    q, k, v = inputs(run_heads, queries, keys, WIDTH)
    tensors = [torch.from_numpy(a) for a in (q, k, v)]
    call = torch.nn.functional.scaled_dot_product_attention
    note = "" if run_heads == heads else f"1 head, times {heads}"
    check = oracle(q, k, v, None, causal)
    return Side(lambda: call(*tensors, is_causal=causal).numpy(), check, 1e-5, ("torch",), heads / run_heads, note)


def compiled(kernel: Any, q: Array, k: Array, v: Array, causal: bool, form: str = "auto") -> Callable[[], Array]:
    """Return the call of the compiled module, which takes its inputs as they are and can be told the form."""
    module, spec, out = core(), kernel._lower(), np.empty((*q.shape[:3], v.shape[-1]), q.dtype)

    def call() -> Array:
        module.attention(spec, q, k, v, out, "sum", 1.0, causal, None, None, 0, 0, form)
        return out

    return call


def name_of(map_name: str, heads: int, queries: int, keys: int, causal: bool) -> str:
    """Return the name of a case."""
    return f"attention_{map_name}_1x{heads}x{queries}x{keys}{'_causal' if causal else ''}_f32"


def linear_form(kernel: Any) -> int:
    """Return the number of features of the kernel's linear form."""
    return int(core().linear_form(kernel._lower())[0])


def prefill(
    kernel: Any,
    map_name: str,
    length: int,
    causal: bool,
    goals: dict[str, float | None],
    about: str,
    instructions: float = 0,
    widest: float = 0.0,
) -> Case:
    """As many queries as keys, 8 heads; "ours" is what the planner takes, "our quadratic form" is forced."""
    heads = 8
    width = kernel.n_features

    def make(quick: bool) -> Makers:
        queries = 128 if quick else length
        few = 2 if quick else heads
        q, k, v = inputs(few, queries, queries, width, widest)

        def side(call: Callable[[], Array]) -> Side:
            return Side(call, oracle(q, k, v, kernel, causal), packages=("flashket", "numpy"))

        def eager() -> Side:
            torch = need("torch")
            torch.set_num_threads(1)
            left, right, values = (torch.from_numpy(a) for a in (q, k, v))

            def features(x: Any) -> Any:  # the real state of the angles: 2^width amplitudes
                out = torch.ones((*x.shape[:-1], 1))
                for j in range(width):
                    pair = torch.stack([torch.cos(x[..., j] / 2), torch.sin(x[..., j] / 2)], -1)
                    out = (out.unsqueeze(-1) * pair.unsqueeze(-2)).flatten(-2)
                return out

            def run() -> Array:
                scores = (features(left) @ features(right).transpose(-1, -2)).square_()
                if causal:
                    scores = scores.tril_()
                return ((scores @ values) / scores.sum(-1, keepdim=True)).numpy()

            return Side(run, oracle(q, k, v, kernel, causal), 1e-5, ("torch",))

        return {
            "ours": lambda: side(lambda: fk.attention(q, k, v, kernel=kernel, causal=causal)),
            "our quadratic form": lambda: side(compiled(kernel, q, k, v, causal, "quadratic")),
            SDPA: lambda: sdpa(few, queries, queries, causal),
            EAGER: eager,
            UNFUSED: lambda: Side(lambda: expert.amplitude_attention(q, k, v, 4.0), oracle(q, k, v, kernel, causal), 1e-5),
        }

    rows = []
    slow = set()
    for form in ("our quadratic form", "ours"):
        if form in goals:
            rows.append(faster(SDPA, goals[form], ours=form))
    if "eager" in goals:
        rows.append(faster(EAGER, goals["eager"]))
        slow.add(EAGER)
    if "unfused" in goals:
        rows.append(faster(UNFUSED, goals["unfused"]))
    if length > QUADRATIC_LIMIT:
        slow.add(SDPA)
    # Counted for the quadratic form where that is forced or the only one in reach, else for the linear form.
    linear_features = linear_form(kernel)
    pairs = heads * length * length * (0.5 if causal else 1)
    work = {"fma_f32": 2.0 * heads * length * linear_features * 2 * (WIDTH + 1)}  # sums, then their use
    if "our quadratic form" in goals:
        work = {"fma_f32": pairs * 2 * (WIDTH + width + 1)}
    elif instructions:
        work = {"instructions_f32": pairs * (instructions + WIDTH)}
    work_of = "our quadratic form" if "our quadratic form" in goals else "ours"
    return Case(name_of(map_name, heads, length, length, causal), about, make, tuple(rows), frozenset(slow), work, work_of)


def in_turn(calls: list[Callable[[], Any]]) -> Callable[[], Any]:
    """Return a call that makes the next of ``calls`` each time: together their inputs are more than a cache holds."""
    turn = itertools.cycle(calls)
    return lambda: next(turn)()


def decode(kernel: Any, map_name: str) -> Case:
    """One query beside reading every key and every value once, from memory."""
    heads, width = 8, kernel.n_features

    def make(quick: bool) -> Makers:
        keys = 256 if quick else 4096
        q, k, v = inputs(heads, 1, keys, width)
        copies = 2 if quick else -(-BEYOND_CACHES // (k.nbytes + v.nbytes))

        def ours(call: Callable[[Array, Array], Callable[[], Array]]) -> Side:
            calls = [call(k.copy(), v.copy()) for _ in range(copies)]
            return Side(in_turn(calls), oracle(q, k, v, kernel, False), packages=("flashket", "numpy"))

        def reading() -> Side:
            # A dot product of two arrays that together have the size of K and V reads each byte once.
            halves = np.random.default_rng(0).normal(size=(2, (k.size + v.size) // 2)).astype(np.float32)
            exact = float(halves[0].astype(np.float64) @ halves[1])
            calls = [partial(np.dot, *halves.copy()) for _ in range(copies)]
            return Side(in_turn(calls), lambda result: abs(float(result) - exact) / len(halves[0]) ** 0.5, 1e-3)

        def torch_sdpa() -> Side:
            sides = [sdpa(heads, 1, keys, False) for _ in range(copies)]
            return replace(sides[0], run=in_turn([side.run for side in sides]))

        return {
            "ours": lambda: ours(lambda own_k, own_v: partial(fk.attention, q, own_k, own_v, kernel=kernel)),
            COMPILED: lambda: ours(lambda own_k, own_v: compiled(kernel, q, own_k, own_v, False)),
            READING: reading,
            SDPA: torch_sdpa,
        }

    about = f"{map_name}, one query, 8 heads, 4,096 keys, values 64 wide, float32; keys and values in memory, not in a cache; "
    about += "through fk.attention, and through the compiled module without the checks of Python"
    rows = (faster(READING, 0.7), faster(READING, 0.7, ours=COMPILED), faster(SDPA))
    return Case(name_of(map_name, heads, 1, 4096, False), about, make, rows)


def two_threads(name: str, about: str, make_call: Callable[[bool], tuple[Callable[[], Array], Callable[[Array], float]]]) -> Case:
    """Two threads beside one; wall time. The loop that only computes shows what the machine gives at this moment."""

    def make(quick: bool) -> Makers:
        call, check = make_call(quick)

        def threads(count: int) -> Side:
            def run() -> Array:
                before = fk.get_num_threads()
                fk.set_num_threads(count)
                try:
                    return call()
                finally:
                    fk.set_num_threads(before)

            return Side(run, check, packages=("flashket",))

        def spinning(count: int) -> Side:
            """Hash as much in all as ``count`` threads can, which the interpreter does without its lock."""
            block = bytes(1 << 20)

            def work(blocks: int) -> None:
                for _ in range(blocks):
                    hashlib.sha256(block).digest()

            def run() -> float:
                workers = [threading.Thread(target=work, args=(16 // count,)) for _ in range(count)]
                begin = time.perf_counter()
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
                return time.perf_counter() - begin

            return Side(run, lambda seconds: float(seconds <= 0), 0)

        return {
            "2 threads": lambda: threads(2),
            "1 thread": lambda: threads(1),
            "hashing, 2 threads": lambda: spinning(2),
            "hashing, 1 thread": lambda: spinning(1),
        }

    rows = (
        faster("1 thread", 1.8, ours="2 threads", clock="wall_s"),
        faster("hashing, 1 thread", ours="hashing, 2 threads", clock="wall_s"),
    )
    return Case(name, about, make, rows)


def gram_call(kernel_of: Callable[[bool], Any], rows: int, high: float) -> Callable[[bool], Any]:
    """Return the maker of a Gram call for ``two_threads``."""

    def make(quick: bool) -> Any:
        kernel = kernel_of(quick)
        x = uniform(128 if quick else rows, kernel.n_features, high)
        out = fk.gram(x, kernel=kernel)
        return lambda: fk.gram(x, kernel=kernel, out=out), against_oracle(x, kernel)

    return make


def attention_call(kernel: Any) -> Callable[[bool], Any]:
    """Return the maker of an attention call for ``two_threads``."""

    def make(quick: bool) -> Any:
        q, k, v = inputs(8, 128 if quick else 2048, 128 if quick else 2048, kernel.n_features)
        return lambda: fk.attention(q, k, v, kernel=kernel), oracle(q, k, v, kernel, False)

    return make


def cases() -> Iterator[Case]:
    """Yield every case of this file."""
    amplitude, angle, narrow = fk.Fidelity(fk.Amplitude(WIDTH, bias=4.0)), fk.Fidelity(fk.Angle(8)), fk.Fidelity(fk.Angle(4))
    for causal in (False, True):
        text = ", causal" if causal else ""
        goals: dict[str, float | None] = {"our quadratic form": 1.35, "ours": 2.0}
        yield prefill(amplitude, "amplitude_64d", 4096, causal, goals, f"amplitude attention, (1, 8, 4096, 64){text}", 0)
        yield prefill(amplitude, "amplitude_64d", 32768, causal, {"ours": 12.0}, f"amplitude attention, (1, 8, 32768, 64){text}")
        goals = {"ours": 2.0, "eager": None}
        yield prefill(angle, "angle_8f", 4096, causal, goals, f"angle attention, 8 angles a head, (1, 8, 4096, 64){text}", 20)
        for length, goal in ((4096, 15.0 if causal else 30.0), (32768, 100.0 if causal else 250.0)):
            about = f"angle attention, 4 angles a head, linear form, (1, 8, {length}, 64){text}; angles "
            yield prefill(narrow, "angle_4f", length, causal, {"ours": goal}, about + "normally distributed")
            yield prefill(narrow, "angle_4f_within_2", length, causal, {"ours": goal}, about + "evenly within 2", widest=2.0)
    goals = {"our quadratic form": None, "unfused": 2.0}
    yield prefill(amplitude, "amplitude_64d", 1024, False, goals, "amplitude attention, (1, 8, 1024, 64)")
    yield decode(amplitude, "amplitude_64d")
    yield decode(angle, "angle_8f")
    threads = "2 threads beside 1, wall time; "
    yield two_threads(
        "threads_gram_angle_64f_4096_f32",
        threads + "angle, 64 features, N = 4,096",
        gram_call(lambda _: fk.Fidelity(fk.Angle(64)), 4096, np.pi),
    )
    yield two_threads(
        "threads_gram_amplitude_1024d_4096_f32",
        threads + "amplitude, d = 1,024, N = 4,096",
        gram_call(lambda quick: fk.Fidelity(fk.Amplitude(64 if quick else 1024)), 4096, 1),
    )
    yield two_threads(
        "threads_gram_zz_10q_1000_f32",
        threads + "ZZ, 2 repetitions, n = 10, N = 1,000",
        gram_call(lambda quick: fk.Fidelity(fk.ZZ(4 if quick else 10)), 1000, 2 * np.pi),
    )
    yield two_threads("threads_attention_angle_8f_f32", threads + "angle attention, 8 angles, (1, 8, 2048, 64)", attention_call(angle))
