# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The device contract runs on a GPU where there is one, and on the emulated device with FLASHKET_CUDA_EMULATOR=1."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from device_contract import Device, find_device


@pytest.fixture(scope="session")
def device() -> Device:
    """Return the device that this run tests."""
    found = find_device()
    if found is None:
        pytest.skip("no GPU")
    return found
