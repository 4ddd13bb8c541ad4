# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What the device tests share: which device runs, arrays of the libraries that are installed, and tolerances of 16-bit inputs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest

from flashket.backends.cuda import CUDA

HALF_TOLERANCE = 2e-3
"""Absolute error of a kernel value of 16-bit inputs, whose products are of fp16 numbers: measured against the rounded inputs' own."""

LIBRARIES = ("numpy", "torch", "cupy", "jax")


@dataclass(frozen=True)
class Device:
    """A GPU, or the emulated device, whose memory torch's and JAX's host arrays stand for."""

    is_emulated: bool

    def array(self, library: str, value: Any) -> Any:
        """Return a NumPy array as one of a library, in the device's memory; NumPy's own stay on the host."""
        if library == "numpy":
            return value
        if library == "cupy" and self.is_emulated:
            pytest.skip("no GPU")
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
        if library == "torch":
            import torch

            return torch.from_numpy(np.array(value, order="C")).to("cpu" if self.is_emulated else "cuda")
        if library == "cupy":
            import cupy

            return cupy.asarray(value)
        import jax

        jax.config.update("jax_enable_x64", True)
        try:
            where = jax.devices("cpu" if self.is_emulated else "cuda")[0]
        except RuntimeError as error:
            pytest.skip(f"JAX has no such device: {error}")
        return jax.device_put(np.ascontiguousarray(value), where)

    def torch(self, value: Any, dtype: str) -> Any:
        """Return a torch tensor of any dtype, bfloat16 too."""
        tensor = self.array("torch", value)
        import torch

        return tensor.to(getattr(torch, dtype))


@cache
def find_device() -> Device | None:
    """Return what runs backend="cuda" in this process, None without."""
    return Device(CUDA.is_emulated) if CUDA.available else None


def host(value: Any) -> Any:
    """Return any library's array as NumPy's."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return value.float().numpy() if str(value.dtype) in ("torch.bfloat16", "torch.float16") else value.numpy()
    return value.get() if hasattr(value, "get") else np.asarray(value)
