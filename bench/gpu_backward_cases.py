# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Rows of gpu_bench.py: gradients of attention, beside our forward pass and the backward passes of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flashket as fk
from gpu_cases import CASES, AttentionShape, Case, Prepared, Side, Tensor, Tensors, Torch, attention_tensors


def exact_backward(torch: Torch, t: Tensors, d_out: Tensor, causal: bool) -> list[Tensor]:
    """Of the first head, in float64, by autograd."""
    unit = torch.nn.functional.normalize
    leaves = [x[0, 0].double().requires_grad_() for x in (t.q, t.k, t.v)]
    weights = (unit(leaves[0], dim=-1) @ unit(leaves[1], dim=-1).T).square()
    if causal:
        weights = weights.tril()
    out = weights @ leaves[2] / weights.sum(-1, keepdim=True)
    gradients: list[Tensor] = list(torch.autograd.grad(out, leaves, d_out[0, 0].double()))
    return gradients


def attention_backward_case(torch: Torch, shape: AttentionShape) -> Prepared:
    """Gradients of attention beside our forward pass and the backward passes of SDPA and FlexAttention."""
    t = attention_tensors(torch, shape)
    kernel = fk.Fidelity(fk.Amplitude(shape.width))
    d_out = torch.randn_like(t.v)
    exact = exact_backward(torch, t, d_out, shape.causal)

    def error_of(gradients: Any) -> float:
        pairs = list(zip(gradients, exact, strict=True))
        if any(got.isnan().any() for got, _ in pairs):
            return math.inf
        return max(float((got[0, 0].double() - expected).abs().max() / expected.abs().max()) for got, expected in pairs)

    def ours() -> Side:
        out = fk.attention(t.q, t.k, t.v, kernel=kernel, causal=shape.causal, backend="cuda")

        def run() -> Any:
            return fk.attention_backward(t.q, t.k, t.v, out, d_out, kernel=kernel, causal=shape.causal, backend="cuda")

        return Side(run, lambda: error_of(run()), 2e-2)

    def forward() -> Side:
        out = torch.empty_like(t.v)
        return Side(lambda: fk.attention(t.q, t.k, t.v, kernel=kernel, causal=shape.causal, out=out, backend="cuda"))

    def by_autograd(result: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Side:
        leaves = [x.detach().clone().requires_grad_() for x in (t.q, t.k, t.v)]
        out = result(*leaves)
        return Side(lambda: torch.autograd.grad(out, leaves, d_out, retain_graph=True))

    def flex() -> Side:
        from torch.nn.attention.flex_attention import create_block_mask, flex_attention

        torch._dynamo.reset()
        compiled = torch.compile(flex_attention, dynamic=False)

        def log_square(score: Tensor, b: Any, h: Any, i: Any, j: Any) -> Tensor:
            return torch.log(score * score + 1e-20)

        mask = None
        if shape.causal:
            mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, shape.length, shape.length, device="cuda")
        # Its rows are of unit length already: no gradient passes through a norm.
        return by_autograd(lambda q, k, v: compiled(q, k, v, score_mod=log_square, scale=1.0, block_mask=mask))

    def sdpa() -> Side:
        call = torch.nn.functional.scaled_dot_product_attention
        return by_autograd(lambda q, k, v: call(q, k, v, is_causal=shape.causal))

    sides = {"ours": ours, "our forward pass": forward, "FlexAttention, log of the square": flex, "SDPA, softmax": sdpa}
    return Prepared(sides, lambda s: 2.5 * shape.flops / s / 1e12, "TFLOP/s of the five products")


def _is_backward_met(row: dict[str, Any]) -> bool:
    """At 2.5 times the work of the forward pass at most 2.5 / 0.55 times its time."""
    return bool(row["ratios"].get("our forward pass", 0) >= 0.55 / 2.5)


for _width in (64, 128):
    for _length in (4096, 16384):
        for _causal in (False, True):
            _shape = AttentionShape(max(1, 16384 // _length), 16, _length, _width, _causal)
            CASES.append(
                Case(
                    f"attention_backward_amplitude_{_width}d_{_length}{'_causal' if _causal else ''}_bf16",
                    "matrix units",
                    ">= 0.55x our forward pass's rate",
                    lambda torch, shape=_shape: attention_backward_case(torch, shape),
                    _is_backward_met,
                )
            )
