# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Write the tiny checkpoints of test_llm.py and the logits that the training code gives for them. Needs PyTorch; run once.

Weights are random, the point is that every term of the architecture is there. The training code multiplies in bfloat16, which
would hide real differences; here it computes in float32.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from flashket.llm.config import ModelConfig
from flashket.llm.train import Transformer

SMALL = {"d_model": 8, "n_layers": 2, "n_heads": 2, "score_dim": 4, "d_mlp": 12, "convolution": 3, "context": 32}
CONFIGS = {
    "softmax": ModelConfig(attention="softmax", **SMALL, initial_temperature=1.7),
    "amplitude": ModelConfig(attention="amplitude", **SMALL, similarity="hadamard", power=2, initial_temperature=0.2),
    "amplitude_sum": ModelConfig(attention="amplitude", **SMALL, normalization="sum", bias=1.5),
    "angle": ModelConfig(attention="angle", **{**SMALL, "score_dim": 8}, bandwidth=0.7, initial_temperature=0.1),
}
POSITIONS = [2, 31]


def main() -> None:
    torch.Tensor.bfloat16 = lambda self: self
    folder = Path(__file__).parent
    tokens = np.frombuffer(b"def fib(n):\n    return n if n < 2", np.uint8)[:32]
    logits = {}
    for name, config in CONFIGS.items():
        torch.manual_seed(1)
        model = Transformer(config)
        with torch.no_grad():
            for key, parameter in model.named_parameters():
                if not key.endswith(("log_temperature", "position_rate", "norm")):
                    parameter.copy_(torch.randn_like(parameter) * (1.0 if key == "embedding" else parameter.shape[-1] ** -0.5))
                parameter.copy_(parameter.half().float())  # what the file holds
            logits[name] = model(torch.from_numpy(tokens.astype(np.int64))[None])[0, POSITIONS].numpy()
        tensors = {key: parameter.detach().half().contiguous() for key, parameter in model.named_parameters()}
        metadata = {"format": "flashket-llm-1", "config": json.dumps(dataclasses.asdict(config), sort_keys=True)}
        save_file(tensors, folder / f"llm_{name}.safetensors", metadata=metadata)
    np.savez_compressed(folder / "llm_logits.npz", tokens=tokens, positions=np.array(POSITIONS), **logits)


if __name__ == "__main__":
    main()
