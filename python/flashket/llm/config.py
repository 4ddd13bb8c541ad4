# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Shapes and attention of the byte-level models: what a checkpoint carries beside its tensors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that is not a weight.

    ``attention`` is the score: "softmax" (scaled dot product, the classical control), "amplitude" or "angle".
    ``similarity``, ``power``, ``bias`` and ``bandwidth`` are the kernel's; ``normalization`` is :func:`flashket.attention`'s.

    Examples
    --------
    >>> ModelConfig(attention="angle", score_dim=8).n_layers
    4
    """

    attention: str
    d_model: int = 160
    n_layers: int = 4
    n_heads: int = 5
    score_dim: int = 32
    d_mlp: int = 640
    convolution: int = 4
    context: int = 512
    vocabulary: int = 256
    similarity: str = "fidelity"
    normalization: str = "softmax"
    power: int = 1
    bias: float = 0.0
    bandwidth: float = 1.0
    initial_temperature: float = 1.0

    def initial_position_rates(self) -> list[list[float]]:
        """Return each head's angle per position, (n_heads, pairs or angles): rotary frequencies, or for Angle a learned start."""
        if self.attention == "angle":
            half = self.score_dim // 2
            rates = [0.0] * (self.score_dim - half) + [0.5 * 0.2**j for j in range(half)]
        else:
            half = self.score_dim // 2
            rates = [10000.0 ** (-j / half) for j in range(half)]
        return [rates] * self.n_heads


# One size, one budget. Query and key projections of the angle model are 8 wide instead of 32 a head; its feed-forward
# layer is wider by (32 - 8) * n_heads = 120, which makes the parameter counts match but for the learned position rates.
PRESETS = {
    "softmax": ModelConfig(attention="softmax", initial_temperature=32**0.5),
    "amplitude": ModelConfig(attention="amplitude", similarity="hadamard", initial_temperature=0.05),
    "angle": ModelConfig(attention="angle", score_dim=8, d_mlp=760, initial_temperature=0.1),
}
