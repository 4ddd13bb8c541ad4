# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of gpu_bench.py: ours, and what a user of PyTorch would write instead, on the same inputs."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import flashket as fk
from flashket import reference

Torch = Any
Tensor = Any
SAMPLED = 64
"""Rows and columns of a large result that float64 recomputes."""


class Unavailable(Exception):
    """A side that cannot run here; the text goes into the results."""


@dataclass(frozen=True)
class Side:
    """One side: a call, and its largest error against float64 (None: nothing to compare)."""

    run: Callable[[], Any]
    error: Callable[[], float] | None = None
    tolerance: float = math.inf


@dataclass(frozen=True)
class Prepared:
    """A row's sides, built when they are wanted, and what a time means: ``rate(seconds)`` in ``rate_unit``."""

    sides: dict[str, Callable[[], Side]]
    rate: Callable[[float], float] | None = None
    rate_unit: str = ""


@dataclass(frozen=True)
class Case:
    """One row. ``is_met(row)`` compares it with its goal."""

    name: str
    bound: str
    goal: str
    prepare: Callable[[Torch], Prepared]
    is_met: Callable[[dict[str, Any]], bool] | None = None


CASES: list[Case] = []


def case(name: str, bound: str, goal: str, is_met: Callable[[dict[str, Any]], bool] | None = None) -> Any:
    """Enter a row."""

    def enter(prepare: Callable[[Torch], Prepared]) -> Callable[[Torch], Prepared]:
        CASES.append(Case(name, bound, goal, prepare, is_met))
        return prepare

    return enter


def ours_ms(row: dict[str, Any]) -> float:
    """Return our median."""
    return float(row["sides"]["ours"]["median_ms"])


def angles(torch: Torch, *shape: int, dtype: Any = None) -> Tensor:
    """Return angles in 0..pi."""
    return torch.rand(*shape, device="cuda", dtype=dtype or torch.float32) * math.pi


def sampled_error(torch: Torch, result: Tensor, x: Tensor, exact: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Return the largest error of some rows and columns of a Gram matrix; infinite where an element was not written."""
    if torch.isnan(result).any():
        return math.inf
    rows = torch.randperm(len(x), device="cuda")[:SAMPLED]
    block = result[rows][:, rows].double()
    return float((block - exact(x[rows].double(), x[rows].double())).abs().max())


def gram_side(torch: Torch, x: Tensor, kernel: Any, exact: Callable[[Tensor, Tensor], Tensor], tolerance: float) -> Callable[[], Side]:
    """Return our Gram matrix of x, written into one array."""

    def build() -> Side:
        out = torch.full((len(x), len(x)), math.nan, device="cuda")

        def run() -> None:
            fk.gram(x, kernel=kernel, out=out, backend="cuda")

        def error() -> float:
            out.fill_(math.nan)
            run()
            return sampled_error(torch, out, x, exact)

        return Side(run, error, tolerance)

    return build


# Ceilings: what the card gives to the best known program of one thing.


@case("ceiling_copy", "memory", "")
def ceiling_copy(torch: Torch) -> Prepared:
    """Device to device, bytes read and written."""
    source = torch.randint(0, 255, (2**31,), device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    return Prepared({"torch copy": lambda: Side(lambda: target.copy_(source))}, lambda s: 2 * source.numel() / s / 1e9, "GB/s")


@case("ceiling_fill", "memory", "")
def ceiling_fill(torch: Torch) -> Prepared:
    """Writing alone."""
    target = torch.empty(2**31, device="cuda", dtype=torch.uint8)
    return Prepared({"torch fill": lambda: Side(lambda: target.fill_(7))}, lambda s: target.numel() / s / 1e9, "GB/s")


def ceiling_gemm(torch: Torch, dtype: Any, tf32: bool) -> Prepared:
    """Square product of random matrices."""
    n = 8192
    a, b = (torch.randn(n, n, device="cuda", dtype=dtype) for _ in range(2))
    out = torch.empty(n, n, device="cuda", dtype=dtype)

    def run() -> None:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.matmul(a, b, out=out)
        torch.backends.cuda.matmul.allow_tf32 = False

    return Prepared({"torch matmul": lambda: Side(run)}, lambda s: 2 * n**3 / s / 1e12, "TFLOP/s")


for _name, _type, _tf32 in (("f16", "float16", False), ("bf16", "bfloat16", False), ("tf32", "float32", True), ("f32", "float32", False)):
    CASES.append(
        Case(f"ceiling_gemm_{_name}", "matrix units", "", lambda torch, t=_type, f=_tf32: ceiling_gemm(torch, getattr(torch, t), f), None)
    )


# Gram matrices.


def exact_angle(x: Tensor, y: Tensor) -> Tensor:
    """prod cos^2((x - y) / 2)."""
    return ((x[:, None] - y[None]) / 2).cos().square().prod(-1)


def angle_gram(torch: Torch, n: int, features: int) -> Prepared:
    """Beside a fill of the result and beside GEMMs of Kronecker products, four features each."""
    x = angles(torch, n, features)

    def fill() -> Side:
        target = torch.empty(n, n, device="cuda")
        return Side(lambda: target.fill_(0.5))

    def gemms() -> Side:
        def kronecker(z: Tensor) -> Tensor:
            pairs = torch.stack([(z / 2).cos(), (z / 2).sin()], -1)  # (n, features, 2)
            out = pairs[:, 0]
            for j in range(1, z.shape[1]):
                out = (out[:, :, None] * pairs[:, j, None, :]).flatten(1)
            return out

        out = torch.empty(n, n, device="cuda")

        def run() -> None:
            for g in range(0, features, 4):
                a = kronecker(x[:, g : g + 4])
                part = a @ a.T
                if g == 0:
                    out.copy_(part)
                else:
                    out.mul_(part)
            out.square_()

        def error() -> float:
            run()
            return sampled_error(torch, out, x, exact_angle)

        return Side(run, error)

    sides = {
        "ours": gram_side(torch, x, fk.Fidelity(fk.Angle(features)), exact_angle, 2e-6),
        "fill of the result": fill,
        "torch GEMMs": gemms,
    }
    return Prepared(sides, lambda s: n * n * features / s / 1e12, "T feature-pairs/s")


@case(
    "gram_angle_16384_16f_f32",
    "store",
    "<= 1.3x a fill, >= 4x the GEMMs",
    lambda r: r["ratios"].get("fill of the result", 0) >= 1 / 1.3 and r["ratios"].get("torch GEMMs", 0) >= 4,
)
def gram_angle_16384(torch: Torch) -> Prepared:
    """N = 16,384."""
    return angle_gram(torch, 16384, 16)


@case("gram_angle_65536_16f_f32", "store 17.2 GB: 4.0 ms", "<= 5 ms", lambda r: ours_ms(r) <= 5)
def gram_angle_65536(torch: Torch) -> Prepared:
    """N = 65,536."""
    return angle_gram(torch, 65536, 16)


def zz_states(torch: Torch, x: Tensor, reps: int = 2) -> Tensor:
    """Phases and a fast Walsh-Hadamard transform over whole arrays; Qiskit's zz_feature_map."""
    n, qubits = x.shape
    index = torch.arange(2**qubits, device=x.device)
    bits = [(index >> q & 1).to(x.dtype) for q in range(qubits)]
    phase = torch.zeros(n, 2**qubits, device=x.device, dtype=x.dtype)
    for j in range(qubits):
        phase += x[:, j, None] * bits[j]
        for k in range(j + 1, qubits):
            # CX P CX acts where the bits differ.
            phase += ((math.pi - x[:, j]) * (math.pi - x[:, k]))[:, None] * (bits[j] + bits[k] - 2 * bits[j] * bits[k])
    diagonal = torch.polar(torch.full_like(phase, 2 ** (-qubits / 2)), 2 * phase)
    state = diagonal.clone()
    for _ in range(reps - 1):
        for q in range(qubits):
            pair = state.view(n, -1, 2, 2**q)
            state = torch.stack([pair[:, :, 0] + pair[:, :, 1], pair[:, :, 0] - pair[:, :, 1]], 2).view(n, -1)
        state = state * diagonal
    return state


def exact_zz(x: Tensor, y: Tensor) -> Tensor:
    """Overlaps of float64 states."""
    import torch

    return (zz_states(torch, x).conj() @ zz_states(torch, y).T).abs().square()


@cache
def cublas() -> Any:
    """Return (library, handle): Hermitian rank-k products, which torch does not offer."""
    for name in ("libcublas.so.13", "libcublas.so.12"):
        try:
            library = ctypes.CDLL(name)
            break
        except OSError:
            continue
    else:
        raise Unavailable("libcublas is not where the loader looks")
    handle = ctypes.c_void_p()
    if library.cublasCreate_v2(ctypes.byref(handle)):
        raise Unavailable("cublasCreate failed")
    return library, handle


def cherk(torch: Torch, states: Tensor, out: Tensor) -> None:
    """Lower triangle of conj(states) states^T in cuBLAS's column-major sense, on the current stream."""
    library, handle = cublas()
    n, depth = states.shape
    library.cublasSetStream_v2(handle, ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))
    one, zero = ctypes.c_float(1), ctypes.c_float(0)
    status = library.cublasCherk_v2(
        handle,
        0,
        2,
        n,
        depth,
        ctypes.byref(one),
        ctypes.c_void_p(states.data_ptr()),
        depth,
        ctypes.byref(zero),
        ctypes.c_void_p(out.data_ptr()),
        n,
    )
    if status:
        raise Unavailable(f"cublasCherk failed with status {status}")


ZZ = fk.Fidelity(fk.ZZ(12))


@case("gram_zz_16384_12q_f32", "matrix units: 16.7 ms with three fp16 products", "<= 22 ms", lambda r: ours_ms(r) <= 22)
def gram_zz(torch: Torch) -> Prepared:
    """Whole Gram matrix, states included."""
    n = 16384
    x = angles(torch, n, 12)

    def states_and_gemm() -> Side:
        def run() -> Tensor:
            states = torch.cat([zz_states(torch, part) for part in x.split(1024)])
            return (states.conj() @ states.T).abs().square_()

        return Side(run, lambda: sampled_error(torch, run(), x, exact_zz))

    def rank_k() -> Side:
        states = torch.cat([zz_states(torch, part) for part in x.split(1024)])
        out = torch.empty(n, n, device="cuda", dtype=torch.complex64)
        cublas()
        return Side(lambda: cherk(torch, states, out))

    sides = {"ours": gram_side(torch, x, ZZ, exact_zz, 2e-6), "torch states + GEMM": states_and_gemm, "cuBLAS cherk, states given": rank_k}
    return Prepared(sides, lambda s: 4 * n * n * 4096 / s / 1e12, "TFLOP/s (half of 8 N^2 D)")


@case("gram_zz_16384_12q_f16", "matrix units: 5.6 ms", "<= 9 ms", lambda r: ours_ms(r) <= 9)
def gram_zz_half(torch: Torch) -> Prepared:
    """16-bit inputs: one fp16 product."""
    x = angles(torch, 16384, 12).half()
    return Prepared(
        {"ours": gram_side(torch, x, ZZ, exact_zz, 3e-3)}, lambda s: 4 * 16384**2 * 4096 / s / 1e12, "TFLOP/s (half of 8 N^2 D)"
    )


def states_case(torch: Torch, feature_map: Any, n: int, qubits: int, peer: Callable[[Tensor], Tensor] | None) -> Prepared:
    """Device-resident encoding."""
    x = angles(torch, n, qubits)

    def ours() -> Side:
        def run() -> Tensor:
            return fk.states(x, feature_map=feature_map)

        def error() -> float:
            exact = reference.states(x[:SAMPLED].double().cpu().numpy(), feature_map)
            return float(abs(run()[:SAMPLED].cpu().numpy() - exact).max())

        return Side(run, error, 2e-6)

    def custatevec() -> Side:
        return Side(lambda: fk.states(x, feature_map=feature_map, backend="custatevec"))

    sides = {"ours": ours, "cuStateVec, gate by gate": custatevec}
    if peer is not None:
        sides["torch"] = lambda: Side(lambda: [peer(part) for part in x.split(4096)])
    return Prepared(sides, lambda s: n / s / 1e6, "M vectors/s")


@case("states_zz_16384_12q_f32", "write 537 MB: 0.13 ms", "<= 0.6 ms", lambda r: ours_ms(r) <= 0.6)
def states_zz(torch: Torch) -> Prepared:
    """Two repetitions."""
    return states_case(torch, fk.ZZ(12), 16384, 12, lambda part: zz_states(torch, part))


@case("states_iqp_1e6_10q_f32", "write 8.6 GB: 2.0 ms", ">= 80 M vectors/s", lambda r: r["rates"]["ours"] >= 80)
def states_iqp(torch: Torch) -> Prepared:
    """One repetition, a million vectors."""
    return states_case(torch, fk.IQP(10), 2**20, 10, None)


@case("sampled_gram_4096_16f_f32", "generator", "")
def sampled_gram(torch: Torch, n: int = 4096) -> Prepared:
    """Exact binomial counts of 1,000 shots; the tolerance is six standard deviations of a count at 1/2."""
    x = angles(torch, n, 16)
    kernel = fk.Fidelity(fk.Angle(16))

    def run() -> Tensor:
        return fk.gram(x, kernel=kernel, shots=1000, seed=1, backend="cuda")

    side = Side(run, lambda: sampled_error(torch, run(), x, exact_angle), 0.1)
    return Prepared({"ours": lambda: side}, lambda s: n * n / s / 1e9, "G entries/s")


# Attention.


@dataclass(frozen=True)
class AttentionShape:
    """(batch, heads, length, head width)."""

    batch: int
    heads: int
    length: int
    width: int
    causal: bool = False

    @property
    def flops(self) -> float:
        """Of the two products."""
        return 4 * self.batch * self.heads * self.length**2 * self.width * (0.5 if self.causal else 1)


@dataclass
class Tensors:
    """Queries and keys of unit length, values."""

    q: Tensor
    k: Tensor
    v: Tensor
    error_rows: int = field(default=32)


def attention_tensors(torch: Torch, shape: AttentionShape) -> Tensors:
    """bf16, normalised as amplitude encoding does."""
    size = (shape.batch, shape.heads, shape.length, shape.width)
    q, k, v = (torch.randn(size, device="cuda", dtype=torch.bfloat16) for _ in range(3))
    unit = torch.nn.functional.normalize
    return Tensors(unit(q.float(), dim=-1).bfloat16(), unit(k.float(), dim=-1).bfloat16(), v)


def exact_attention(torch: Torch, t: Tensors, causal: bool) -> Tensor:
    """Of the last rows of the first head, in float64."""
    rows = t.error_rows
    unit = torch.nn.functional.normalize
    q, k = unit(t.q[0, 0, -rows:].double(), dim=-1), unit(t.k[0, 0].double(), dim=-1)
    weights = (q @ k.T).square()
    if causal:
        length = len(k)
        limit = torch.arange(length - rows, length, device="cuda")[:, None]
        weights = weights * (torch.arange(length, device="cuda")[None] <= limit)
    return weights @ t.v[0, 0].double() / weights.sum(-1, keepdim=True)


def attention_case(torch: Torch, shape: AttentionShape) -> Prepared:
    """Beside softmax attention (SDPA) and FlexAttention with the logarithm of the squared score."""
    t = attention_tensors(torch, shape)
    kernel = fk.Fidelity(fk.Amplitude(shape.width))
    exact = exact_attention(torch, t, shape.causal)

    def error_of(result: Tensor) -> float:
        if torch.isnan(result).any():
            return math.inf
        return float((result[0, 0, -t.error_rows :].double() - exact).abs().max() / exact.abs().max())

    def ours() -> Side:
        out = torch.empty_like(t.v)

        def run() -> None:
            fk.attention(t.q, t.k, t.v, kernel=kernel, causal=shape.causal, out=out, backend="cuda")

        def error() -> float:
            out.fill_(math.nan)
            run()
            return error_of(out)

        return Side(run, error, 2e-2)

    def flex() -> Side:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        # Shapes of its own: otherwise a second shape compiles a kernel for any shape, and a ninth none at all.
        torch._dynamo.reset()
        compiled = torch.compile(flex_attention, dynamic=False)

        def log_square(score: Tensor, b: Any, h: Any, i: Any, j: Any) -> Tensor:
            return torch.log(score * score + 1e-20)

        mask = None
        if shape.causal:
            mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, shape.length, shape.length, device="cuda")

        def run() -> Tensor:
            return compiled(t.q, t.k, t.v, score_mod=log_square, scale=1.0, block_mask=mask)

        return Side(run, lambda: error_of(run()))

    def sdpa() -> Side:
        call = torch.nn.functional.scaled_dot_product_attention
        return Side(lambda: call(t.q, t.k, t.v, is_causal=shape.causal))

    sides = {"ours": ours, "FlexAttention, log of the square": flex, "SDPA, softmax": sdpa}
    return Prepared(sides, lambda s: shape.flops / s / 1e12, "TFLOP/s")


def _is_attention_met(row: dict[str, Any]) -> bool:
    best = row["ratios"].get("FlexAttention, log of the square", 0) >= 1.3 and row["ratios"].get("SDPA, softmax", 0) >= 1
    return best and (row["rates"]["ours"] >= 380 or "64d_16384" not in row["case"] or "causal" in row["case"])


for _width in (64, 128):
    for _length in (2048, 4096, 8192, 16384):
        for _causal in (False, True):
            _shape = AttentionShape(max(1, 16384 // _length), 16, _length, _width, _causal)
            CASES.append(
                Case(
                    f"attention_amplitude_{_width}d_{_length}{'_causal' if _causal else ''}_bf16",
                    "matrix units",
                    ">= SDPA's rate, >= 1.3x FlexAttention"
                    + (", >= 380 TFLOP/s" if (_width, _length, _causal) == (64, 16384, False) else ""),
                    lambda torch, shape=_shape: attention_case(torch, shape),
                    _is_attention_met,
                )
            )


def tail_error(result: Tensor, weights: Tensor, v: Tensor) -> float:
    """Return the error of the first head's last queries, whose float64 weights are given, relative to the largest output."""
    exact = weights @ v[0, 0].double() / weights.sum(-1, keepdim=True)
    got = result[0, 0, -len(weights) :].double()
    return math.inf if got.isnan().any() else float((got - exact).abs().max() / exact.abs().max())


@case("attention_amplitude_64d_8192_f32", "matrix units, three products each", "")
def attention_float32(torch: Torch, shape: AttentionShape = AttentionShape(2, 16, 8192, 64)) -> Prepared:
    """float32 at float32's accuracy."""
    size = (shape.batch, shape.heads, shape.length, shape.width)
    q, k, v = (torch.randn(*size, device="cuda") for _ in range(3))

    def ours() -> Side:
        out = torch.empty_like(v)

        def run() -> None:
            fk.attention(q, k, v, kernel=fk.Fidelity(fk.Amplitude(shape.width)), out=out, backend="cuda")

        def error() -> float:
            out.fill_(math.nan)
            run()
            rows, keys = (torch.nn.functional.normalize(x.double(), dim=-1) for x in (q[0, 0, -32:], k[0, 0]))
            return tail_error(out, (rows @ keys.T).square(), v)

        return Side(run, error, 5e-6)

    def sdpa() -> Side:
        return Side(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v))

    return Prepared({"ours": ours, "SDPA, softmax, float32": sdpa}, lambda s: shape.flops / s / 1e12, "TFLOP/s")


@case("attention_angle_16f_8192_bf16", "matrix units", "")
def attention_angle(torch: Torch, shape: AttentionShape = AttentionShape(2, 16, 8192, 64)) -> Prepared:
    """16 angles a head."""
    size = (shape.batch, shape.heads, shape.length)
    q, k = (angles(torch, *size, 16).bfloat16() for _ in range(2))
    v = torch.randn(*size, shape.width, device="cuda", dtype=torch.bfloat16)
    kernel = fk.Fidelity(fk.Angle(16))

    def ours() -> Side:
        out = torch.empty_like(v)

        def run() -> None:
            fk.attention(q, k, v, kernel=kernel, out=out, backend="cuda")

        def error() -> float:
            out.fill_(math.nan)
            run()
            return tail_error(out, exact_angle(q[0, 0, -32:].double(), k[0, 0].double()), v)

        return Side(run, error, 2e-2)

    def sdpa() -> Side:
        wide_q, wide_k = (torch.randn_like(v) for _ in range(2))
        return Side(lambda: torch.nn.functional.scaled_dot_product_attention(wide_q, wide_k, v))

    return Prepared({"ours": ours, "SDPA, softmax, 64 wide": sdpa}, lambda s: shape.flops / s / 1e12, "TFLOP/s")


@case("decode_amplitude_64d_32x1x32768_bf16", "read of K and V: 4.3 GB at the copy's rate", "")
def decode(torch: Torch, shape: AttentionShape = AttentionShape(32, 16, 32768, 64)) -> Prepared:
    """One query of every head against a long cache."""
    size = (shape.batch, shape.heads, shape.length, shape.width)
    k, v = (torch.randn(*size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    q = torch.randn(shape.batch, shape.heads, 1, shape.width, device="cuda", dtype=torch.bfloat16)
    kernel = fk.Fidelity(fk.Amplitude(shape.width))

    def run() -> Tensor:
        return fk.attention(q, k, v, kernel=kernel, causal=True, backend="cuda")

    def error() -> float:
        unit_q, unit_k = (torch.nn.functional.normalize(x[0, 0].double(), dim=-1) for x in (q, k))
        return tail_error(run(), (unit_q @ unit_k.T).square(), v)

    sides = {
        "ours": lambda: Side(run, error, 2e-2),
        "SDPA, softmax": lambda: Side(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v)),
    }
    return Prepared(sides, lambda s: 2 * k.numel() * 2 / s / 1e9, "GB/s of K and V")
