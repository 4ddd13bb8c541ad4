# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""FlashKet's device core for CUDA 13; flashket loads it, users need not. Importing it touches no driver and no GPU.

``core`` is the compiled module, None where it does not load, and then ``reason`` says why. ``FLASHKET_CUDA_EMULATOR=1`` chooses the
emulated device, a development build's second module: the same kernels run on the CPU, for tests.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

__all__ = ["__version__", "core", "reason"]


def _load() -> tuple[ModuleType | None, str]:
    name = "_emulated" if os.environ.get("FLASHKET_CUDA_EMULATOR") == "1" else "_cuda"
    try:
        return importlib.import_module(f"{__name__}.{name}"), ""
    except ImportError as error:
        return None, f"{name}: {error}"


core, reason = _load()
__version__: str = "" if core is None else core.__version__
