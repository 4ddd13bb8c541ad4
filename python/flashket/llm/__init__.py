# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Byte-level language models whose attention is :func:`flashket.attention`: ``load("amplitude").generate("def fib(n):")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flashket.llm.checkpoint import BUNDLED
    from flashket.llm.config import ModelConfig
    from flashket.llm.model import KVCache, Model, load

__all__ = ["BUNDLED", "KVCache", "Model", "ModelConfig", "load"]

_HOMES = {"BUNDLED": "checkpoint", "ModelConfig": "config", "KVCache": "model", "Model": "model", "load": "model"}


def __getattr__(name: str) -> Any:
    # Loaded on first use: training imports this package too and needs none of the runtime.
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"flashket.llm.{_HOMES[name]}"), name)
