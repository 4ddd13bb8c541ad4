# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Train the bundled byte-level models: ``python -m flashket.llm.train softmax``. Needs the extra ``train`` (PyTorch).

Every model sees the same bytes in the same order for the same number of steps, has the same number of parameters, and
starts with query and key projections of the same scale. What differs is the attention score, nothing else. The angle
model's query and key projections are narrower (8 angles a head instead of head_dim), so its feed-forward layer is wider
by exactly what that saves.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flashket.llm import data
from flashket.llm.config import PRESETS, ModelConfig

_QUERY_BLOCK = 128  # queries per attention block; keys after the block are never scored


class Attention(nn.Module):
    """Causal self-attention whose score is softmax's dot product or a quantum kernel."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        score_dim = config.n_heads * config.score_dim
        self.query = nn.Linear(config.d_model, score_dim, bias=False)
        self.key = nn.Linear(config.d_model, score_dim, bias=False)
        self.value = nn.Linear(config.d_model, config.d_model, bias=False)
        self.output = nn.Linear(config.d_model, config.d_model, bias=False)
        self.log_temperature = nn.Parameter(torch.tensor(config.initial_temperature).log())
        self.position_rate = nn.Parameter(torch.tensor(config.initial_position_rates(), dtype=torch.float32))
        if config.attention != "angle":
            self.position_rate.requires_grad_(False)  # rotary frequencies, as everybody uses them

    def encode(self, x: Tensor) -> list[Tensor]:
        """Return factors (B, H, L, P) whose inner products multiply to the overlap (or to the scaled dot product)."""
        config = self.config
        position = torch.arange(x.shape[2], dtype=torch.float32)[:, None]
        phase = position[None] * self.position_rate[:, None, :]
        x = x.float()
        if config.attention == "angle":
            half = (x + phase) * (0.5 * config.bandwidth)
            pairs = torch.stack((half.cos(), half.sin()), -1)
            # <a|b> = prod_j <(cos, sin), (cos, sin)'>: four features at a time as one 16-dimensional Kronecker product.
            factors = []
            for start in range(0, config.score_dim, 4):
                product = pairs[..., start, :]
                for j in range(start + 1, min(start + 4, config.score_dim)):
                    product = (product[..., :, None] * pairs[..., j, None, :]).flatten(-2)
                factors.append(product)
            return factors
        even, odd = x[..., : config.score_dim // 2], x[..., config.score_dim // 2 :]
        cos, sin = phase.cos(), phase.sin()
        x = torch.cat((even * cos - odd * sin, even * sin + odd * cos), -1)
        if config.attention == "amplitude":
            if config.bias:
                x = torch.cat((x, torch.full_like(x[..., :1], config.bias**0.5)), -1)
            x = F.normalize(x, dim=-1)
        return [x]

    def weights(self, factors_q: list[Tensor], factors_k: list[Tensor], admissible: Tensor) -> Tensor:
        """Return the normalised attention weights of a block of queries, (B, H, Lq, Lk) in bfloat16."""
        config = self.config
        overlap = factors_q[0] @ factors_k[0].transpose(-1, -2)
        for q, k in zip(factors_q[1:], factors_k[1:], strict=True):
            overlap = overlap * (q @ k.transpose(-1, -2))
        score = overlap.float()
        if config.attention != "softmax":
            score = score.square() if config.similarity == "fidelity" else 0.5 + 0.5 * score
            score = score**config.power if config.power > 1 else score
        if config.normalization == "sum":
            score = score.masked_fill(~admissible, 0)
            return (score / score.sum(-1, keepdim=True).clamp_min(1e-20)).bfloat16()
        return torch.softmax((score / self.log_temperature.exp()).masked_fill(~admissible, -torch.inf), -1).bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.config.n_heads

        def split(y: Tensor) -> Tensor:
            return y.view(batch, length, heads, -1).transpose(1, 2)

        factors_q = [f.bfloat16() for f in self.encode(split(self.query(x)))]
        factors_k = [f.bfloat16() for f in self.encode(split(self.key(x)))]
        value = split(self.value(x)).contiguous()
        outs = []
        for start in range(0, length, _QUERY_BLOCK):
            stop = min(start + _QUERY_BLOCK, length)
            admissible = torch.ones(stop - start, stop, dtype=torch.bool).tril(start)
            w = self.weights([f[:, :, start:stop] for f in factors_q], [f[:, :, :stop] for f in factors_k], admissible)
            outs.append(w @ value[:, :, :stop].bfloat16())
        return self.output(torch.cat(outs, 2).transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Pre-norm transformer block; a short causal convolution mixes the last four positions before attention."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = nn.Parameter(torch.ones(config.d_model))
        self.convolution = nn.Parameter(torch.zeros(config.convolution, config.d_model))
        self.attention = Attention(config)
        self.mlp_norm = nn.Parameter(torch.ones(config.d_model))
        self.up = nn.Linear(config.d_model, config.d_mlp, bias=False)
        self.down = nn.Linear(config.d_mlp, config.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        width, length = x.shape[-1:], x.shape[1]
        h = F.rms_norm(x, width, self.attention_norm, eps=1e-6)
        taps = len(self.convolution)
        padded = F.pad(h, (0, 0, taps - 1, 0))
        for t in range(taps):  # tap t looks taps - 1 - t positions back
            h = h + padded[:, t : t + length] * self.convolution[t]
        x = x + self.attention(h)
        h = F.rms_norm(x, width, self.mlp_norm, eps=1e-6)
        return x + self.down(F.relu(self.up(h)).square())


class Transformer(nn.Module):
    """The trainable twin of :class:`flashket.llm.Model`; parameter names are the checkpoint's tensor names."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(config.vocabulary, config.d_model) * 0.5)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.norm = nn.Parameter(torch.ones(config.d_model))
        self.head = nn.Linear(config.d_model, config.vocabulary, bias=False)
        for name, parameter in self.named_parameters():
            if name.endswith(("output.weight", "down.weight", "head.weight")):
                nn.init.zeros_(parameter)
            elif name.endswith(".weight"):  # query and key included, in every model
                nn.init.normal_(parameter, std=config.d_model**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        x = F.embedding(tokens, self.embedding)
        for block in self.blocks:
            x = block(x)
        return self.head(F.rms_norm(x, x.shape[-1:], self.norm, eps=1e-6)).float()

    def loss(self, tokens: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats per byte; tokens is (B, L + 1)."""
        return F.cross_entropy(self(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def evaluate(model: Any, text: np.ndarray, context: int, n_windows: int) -> float:
    """Return bits per byte over evenly spaced windows, scoring every byte of each window."""
    starts = np.linspace(0, len(text) - context - 1, n_windows).astype(int)
    losses = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for chunk in np.array_split(starts, max(1, n_windows * context // 8192)):
            tokens = torch.from_numpy(np.stack([text[s : s + context + 1] for s in chunk]).astype(np.int64))
            losses.append((model.loss(tokens).item(), len(chunk)))
    return float(sum(loss * n for loss, n in losses) / sum(n for _, n in losses) / np.log(2))


def train(config: ModelConfig, *, budget: int, seed: int, out: Path, compiled: bool, evaluate_every: int) -> dict[str, Any]:
    """Train one model on ``budget`` bytes, write ``out`` (safetensors) and its record (json), return the record."""
    from safetensors.torch import save_file

    modules, held_out = data.training_modules(), data.held_out_modules()
    text = np.frombuffer(data.join(modules), np.uint8)
    held = np.frombuffer(data.join(held_out), np.uint8)
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    model = Transformer(config)
    run: Any = torch.compile(model, dynamic=False) if compiled else model
    matrices = [p for n, p in model.named_parameters() if n.startswith("blocks") and n.endswith(".weight")]
    others = [p for n, p in model.named_parameters() if not (n.startswith("blocks") and n.endswith(".weight")) and p.requires_grad]
    optimizers: list[tuple[torch.optim.Optimizer, float]] = [
        (torch.optim.Muon(matrices, lr=0.02, weight_decay=0.01, momentum=0.95), 0.02),
        (torch.optim.AdamW(others, lr=0.004, betas=(0.9, 0.97), weight_decay=0.0), 0.004),
    ]
    batch_bytes = 8192
    n_steps = budget // batch_bytes
    # Short windows first: most of a byte's predictability is near, and scores cost context x heads.
    phases = [(0.0, min(128, config.context)), (0.75, config.context)]
    curve: list[dict[str, float]] = []
    started, cpu_started, running = time.time(), time.process_time(), float("nan")
    for step in range(n_steps):
        done = step / n_steps
        context = [length for start, length in phases if done >= start][-1]
        starts = order.integers(0, len(text) - context - 1, batch_bytes // context)
        tokens = torch.from_numpy(np.stack([text[s : s + context + 1] for s in starts]).astype(np.int64))
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(run(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        warm, cool = min(1.0, (step + 1) / 50), min(1.0, (1 - done) / 0.6)
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * warm * max(cool, 0.02)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        bits = loss.item() / float(np.log(2))
        running = bits if step == 0 else 0.98 * running + 0.02 * bits
        if (step + 1) % evaluate_every == 0 or step + 1 == n_steps:
            bpb = evaluate(model, held, config.context, 64)
            curve.append({"bytes": (step + 1) * batch_bytes, "train_bpb": round(running, 4), "held_out_bpb": round(bpb, 4)})
            progress = f"{config.attention} seed {seed} step {step + 1}/{n_steps}"
            print(f"{progress} train {running:.3f} held-out {bpb:.3f} {time.time() - started:.0f} s", flush=True)
    record = {
        "model": config.attention,
        "config": dataclasses.asdict(config),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": seed,
        "budget_bytes": n_steps * batch_bytes,
        "batch_bytes": batch_bytes,
        "held_out_bpb_full": evaluate(model, held, config.context, len(held) // config.context),
        "curve": curve,
        "wall_seconds": round(time.time() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu_started, 1),
        "training_sha256": data.text_hash(text.tobytes()),
        "training_bytes": len(text),
        "held_out_sha256": data.text_hash(held.tobytes()),
        "held_out_modules": list(held_out),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }
    tensors = {n: p.detach().to(torch.float16).contiguous() for n, p in model.named_parameters()}
    save_file(tensors, out, metadata={"format": "flashket-llm-1", "config": json.dumps(dataclasses.asdict(config), sort_keys=True)})
    out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    return record


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m flashket.llm.train", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("model", choices=sorted(PRESETS))
    parser.add_argument("--budget", type=int, default=14_000_000, help="training bytes (default: that of the bundled models)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="checkpoint to write (default: ./MODEL.safetensors)")
    parser.add_argument("--threads", type=int, default=0, help="PyTorch threads (default: PyTorch's choice)")
    parser.add_argument("--compile", action="store_true", help="use torch.compile: slow start, faster steps")
    parser.add_argument("--evaluate-every", type=int, default=100, help="steps between held-out evaluations")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="override a field of the model's configuration")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    overrides = {name: json.loads(value) for name, value in (item.split("=", 1) for item in args.set)}
    config = dataclasses.replace(PRESETS[args.model], **overrides)
    out = args.out or Path(f"{args.model}.safetensors")
    record = train(config, budget=args.budget, seed=args.seed, out=out, compiled=args.compile, evaluate_every=args.evaluate_every)
    bpb, parameters = record["held_out_bpb_full"], record["parameters"]
    print(f"{args.model}: {bpb:.4f} bits per byte on the held-out modules, {parameters:,} parameters -> {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
