# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""FlashKet beside expert NumPy and torch, in one process: python bench/peers.py [--quick] [--threads 1] [--out FILE.json]

Both sides of a row are checked against the complex128 oracle before they are timed. Calls alternate, the median of each side
counts. The ratio is theirs over ours in CPU time, which a busy machine disturbs less than wall time: above 1, FlashKet used
less; between 0.77 and 1.3 it says nothing. Goals are ratios to reach on an AVX-512 core: printed beside the result, not asserted.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

Array = Any
THREAD_VARIABLES = ("FLASHKET_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")
SAMPLED_ROWS = 24  # rows of a result that the oracle recomputes
TOLERANCE = 5e-6  # float32, absolute, of values that are at most 1


@dataclass(frozen=True)
class Case:
    """One row: what both sides compute, and what they should give on some of its rows."""

    name: str
    peer_name: str
    goal: float
    ours: Callable[[], Array]
    peer: Callable[[], Array]
    check_ours: Callable[[Array], float]
    check_peer: Callable[[Array], float]


def numpy_angle(x: Array) -> Array:
    """Closed form, prod_j cos^2((x_j - y_j)/2), as rank-2 updates on blocks that stay in the cache; the lower triangle is mirrored."""
    import numpy as np

    n, d = x.shape
    cos, sin = np.cos(x / 2).T.copy(), np.sin(x / 2).T.copy()
    out = np.empty((n, n), x.dtype)
    height = 64
    product, term = np.empty((2, height, n), x.dtype)
    for top in range(0, n, height):
        bottom = min(top + height, n)
        p, t = product[: bottom - top, top:], term[: bottom - top, top:]
        for j in range(d):
            target = p if j == 0 else t
            np.multiply(cos[j, top:bottom, None], cos[j, None, top:], out=target)
            target += sin[j, top:bottom, None] * sin[j, None, top:]
            if j:
                p *= t
        np.square(p, out=out[top:bottom, top:])
        out[bottom:, top:bottom] = out[top:bottom, bottom:].T
    return out


def numpy_amplitude(x: Array) -> Array:
    """(X X^T)^2 of normalised rows; NumPy already uses the symmetric product."""
    import numpy as np

    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    gram = unit @ unit.T
    return np.square(gram, out=gram)


def numpy_zz_plan(n: int) -> tuple[Array, Array, Array]:
    """Return what does not depend on the data: the bits of every phase, and the Hadamard matrices of half the qubits each."""
    import numpy as np

    bits = (np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1
    table = np.concatenate([bits, [bits[i] ^ bits[j] for i, j in combinations(range(n), 2)]]).astype(np.float32)

    def hadamard(k: int) -> Array:
        matrix = np.ones((1, 1), np.float32)
        for _ in range(k):
            matrix = np.kron(matrix, np.array([[1, 1], [1, -1]], np.float32)) / np.float32(2**0.5)
        return matrix

    return table, hadamard(n - n // 2), hadamard(n // 2)


def numpy_zz(x: Array, plan: tuple[Array, Array, Array]) -> Array:
    """Phases by one GEMM, the Walsh-Hadamard transform by two more, the Gram matrix by a complex one; 2 repetitions, all pairs."""
    import numpy as np

    rows, n = x.shape
    table, high, low = plan
    shifted = 2 * (np.pi - x)
    features = np.concatenate([2 * x, *[(shifted[:, i] * (np.pi - x[:, j]))[:, None] for i, j in combinations(range(n), 2)]], axis=1)
    phase = np.mod(features, 2 * np.pi).astype(np.float32) @ table
    cos, sin = np.cos(phase), np.sin(phase)
    state = np.stack([cos, sin]).reshape(2, rows, len(high), len(low)) * np.float32(2 ** (-n / 2))
    real, imaginary = (high @ (state @ low)).reshape(2, rows, -1)
    psi = np.empty((rows, 2**n), np.complex64)
    psi.real, psi.imag = real * cos - imaginary * sin, real * sin + imaginary * cos
    overlap = psi @ psi.conj().T
    return overlap.real**2 + overlap.imag**2


def numpy_amplitude_attention(q: Array, k: Array, v: Array, bias: float) -> Array:
    """The unfused composition: Gram, normalise, multiply."""
    import numpy as np

    qn = np.sqrt((q * q).sum(-1, keepdims=True) + bias)
    kn = np.sqrt((k * k).sum(-1, keepdims=True) + bias)
    scores = (q / qn) @ (k / kn).swapaxes(-1, -2)
    scores += (np.sqrt(bias) / qn) * (np.sqrt(bias) / kn).swapaxes(-1, -2)
    np.square(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return scores @ v


def gram_cases(quick: bool) -> list[Case]:
    """Return the Gram rows."""
    import numpy as np

    import flashket as fk
    from flashket import reference

    rng = np.random.default_rng(0)
    cases = []

    def add(name: str, peer_name: str, goal: float, kernel: Any, x: Array, peer: Callable[[], Array]) -> None:
        chosen = rng.choice(len(x), SAMPLED_ROWS, replace=False)

        def check(result: Array) -> float:
            return float(np.abs(result[chosen] - reference.gram(x[chosen].astype(np.float64), x.astype(np.float64), kernel=kernel)).max())

        cases.append(Case(name, peer_name, goal, lambda: fk.gram(x, kernel=kernel), peer, check, check))

    n_rows = 250 if quick else 1000
    for d in (8, 16):
        x = rng.uniform(0, np.pi, (n_rows, d)).astype(np.float32)
        add(f"angle_gram_{d}d_{n_rows}x{n_rows}_f32", "NumPy closed form", 4.0, fk.Fidelity(fk.Angle(d)), x, lambda x=x: numpy_angle(x))
    for d in (64,) if quick else (256, 1024):
        rows = 512 if quick else 4096
        x = rng.normal(size=(rows, d)).astype(np.float32)
        add(
            f"amplitude_gram_{d}d_{rows}x{rows}_f32",
            "NumPy (X X^T)^2",
            1.0,
            fk.Fidelity(fk.Amplitude(d)),
            x,
            lambda x=x: numpy_amplitude(x),
        )
    for n in (6,) if quick else (8, 12):
        x = rng.uniform(0, 2 * np.pi, (n_rows, n)).astype(np.float32)
        plan = numpy_zz_plan(n)
        kernel = fk.Fidelity(fk.ZZ(n))
        add(f"zz_gram_{n}q_{n_rows}x{n_rows}_f32", "NumPy WHT + GEMM", 2.0, kernel, x, lambda x=x, plan=plan: numpy_zz(x, plan))
    return cases


def softmax_attention(q: Array, k: Array, v: Array, causal: bool) -> Array:
    """The oracle of torch's side, in float64."""
    import numpy as np

    q, k, v = (a.astype(np.float64) for a in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) / q.shape[-1] ** 0.5
    if causal:
        scores = np.where(np.tri(q.shape[-2], k.shape[-2], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) @ v


def attention_shape_cases(shape: tuple[int, int, int, int], causal: bool, torch: Any) -> list[Case]:
    """Return the rows of one shape (batch, heads, queries, keys); only square shapes are causal, where all alignments agree."""
    import numpy as np

    import flashket as fk
    from flashket import reference

    rng = np.random.default_rng(1)
    batch, heads, lq, lk = shape
    q = rng.normal(size=(batch, heads, lq, 64)).astype(np.float32)
    k, v = rng.normal(size=(2, batch, heads, lk, 64)).astype(np.float32)
    narrow_q, narrow_k = q[..., :8].copy(), k[..., :8].copy()
    amplitude, angle = fk.Fidelity(fk.Amplitude(64, bias=4.0)), fk.Fidelity(fk.Angle(8))
    name = "x".join(map(str, shape)) + ("_causal" if causal else "") + "_f32"

    def relative(result: Array, wanted: Array) -> float:
        return float(np.abs(result[:1, :1] - wanted).max() / np.abs(wanted).max())

    def check_amplitude(result: Array) -> float:
        first = [a[:1, :1].astype(np.float64) for a in (q, k, v)]
        return relative(result, reference.attention(*first, kernel=amplitude, causal=causal))

    def check_angle(result: Array) -> float:
        first = [a[:1, :1].astype(np.float64) for a in (narrow_q, narrow_k, v)]
        return relative(result, reference.attention(*first, kernel=angle, causal=causal))

    def check_softmax(result: Array) -> float:
        return relative(result, softmax_attention(q[:1, :1], k[:1, :1], v[:1, :1], causal))

    def ours_amplitude() -> Array:
        return fk.attention(q, k, v, kernel=amplitude, causal=causal)

    def ours_angle() -> Array:
        return fk.attention(narrow_q, narrow_k, v, kernel=angle, causal=causal)

    cases = []
    if torch is not None:
        tensors = [torch.from_numpy(a) for a in (q, k, v)]

        def sdpa() -> Array:
            return torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=causal).numpy()

        peer = "torch SDPA, softmax, 64 wide"
        cases.append(Case(f"amplitude_attention_64d_{name}", peer, 1.0, ours_amplitude, sdpa, check_amplitude, check_softmax))
        cases.append(Case(f"angle_attention_8d_{name}", peer, 1.0, ours_angle, sdpa, check_angle, check_softmax))
    if not causal:

        def unfused() -> Array:
            return numpy_amplitude_attention(q, k, v, 4.0)

        peer = "NumPy unfused"
        cases.append(Case(f"amplitude_attention_64d_{name}", peer, 2.0, ours_amplitude, unfused, check_amplitude, check_amplitude))
    return cases


def attention_cases(quick: bool, threads: int) -> list[Case]:
    """Return the attention rows; torch's softmax attention where torch is installed, unfused NumPy always."""
    torch = None
    if importlib.util.find_spec("torch"):
        torch = importlib.import_module("torch")
        torch.set_num_threads(threads)
    else:
        print("torch rows: not run, torch is not installed (pip install '.[peers]')", file=sys.stderr)
    if quick:
        shapes = [((1, 2, 256, 256), False), ((1, 2, 256, 256), True), ((1, 2, 1, 512), False)]
    else:
        square = [(1, 8, 1024, 1024), (4, 12, 512, 512)]
        shapes = [*((shape, causal) for shape in square for causal in (False, True)), ((1, 8, 1, 4096), False)]
    return [case for shape, causal in shapes for case in attention_shape_cases(shape, causal, torch)]


def measure(case: Case, seconds: float) -> dict[str, Any]:
    """Check both sides, time them alternately for about ``seconds`` and return the row."""
    errors = {"ours": case.check_ours(case.ours()), "peer": case.check_peer(case.peer())}  # the first calls, so these also warm up
    refused = [side for side, error in errors.items() if not error <= TOLERANCE]
    if refused:
        raise SystemExit(f"[peers] {case.name}: {refused} differ from the reference by {errors}, more than {TOLERANCE}: not timed")
    samples: dict[str, dict[str, list[float]]] = {side: {"cpu_s": [], "wall_s": []} for side in ("ours", "peer")}
    end = time.perf_counter() + seconds
    while len(samples["ours"]["cpu_s"]) < 5 or (time.perf_counter() < end and len(samples["ours"]["cpu_s"]) < 200):
        for side, call in (("ours", case.ours), ("peer", case.peer)):
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            samples[side]["cpu_s"].append(time.process_time() - cpu)
            samples[side]["wall_s"].append(time.perf_counter() - wall)
    median = {side: {clock: statistics.median(values) for clock, values in clocks.items()} for side, clocks in samples.items()}
    ratio = median["peer"]["cpu_s"] / median["ours"]["cpu_s"]
    return {
        "name": case.name,
        "peer": case.peer_name,
        "goal": case.goal,
        "ratio_cpu": ratio,
        "median": median,
        "max_error": errors,
        "samples": samples,
    }


def environment(threads: int) -> dict[str, Any]:
    """Return what a reader needs to place the figures."""
    import numpy as np

    import flashket as fk

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "cpu": models[0] if models else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "isa": fk.isa(),
        "load_average": list(os.getloadavg()),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "flashket": fk.__version__,
        "torch": importlib.metadata.version("torch") if importlib.util.find_spec("torch") else None,
    }


def main() -> int:
    """Run every row, print a Markdown table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes: checks that everything runs, says nothing about speed")
    parser.add_argument("--threads", type=int, default=1, help="threads of every library (default 1)")
    parser.add_argument("--seconds", type=float, default=None, help="time for each row (default 6, quick 0.2)")
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write environment, medians and every sample there")
    options = parser.parse_args()
    for name in THREAD_VARIABLES:  # read by the libraries when they are imported, so nothing is imported above
        os.environ[name] = str(options.threads)
    seconds = options.seconds if options.seconds is not None else 0.2 if options.quick else 6.0
    about = environment(options.threads)
    print(", ".join(f"{key} {value}" for key, value in about.items()) + "\n")
    print("| case | beside | ours, CPU ms (wall) | theirs, CPU ms (wall) | ratio | goal | max error, ours / theirs |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for case in [*gram_cases(options.quick), *attention_cases(options.quick, options.threads)]:
        row = measure(case, seconds)
        rows.append(row)
        ours, peer = (f"{1e3 * row['median'][side]['cpu_s']:.3g} ({1e3 * row['median'][side]['wall_s']:.3g})" for side in ("ours", "peer"))
        error = row["max_error"]
        line = f"| {row['name']} | {row['peer']} | {ours} | {peer} | {row['ratio_cpu']:.2f} | {row['goal']:.1f} |"
        print(f"{line} {error['ours']:.1e} / {error['peer']:.1e} |", flush=True)
    about["load_average_after"] = list(os.getloadavg())
    if options.out:
        options.out.write_text(json.dumps({"environment": about, "rows": rows}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
