# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The backend on cuQuantum's state vector library: listed, so that asking for it gets a reason. It has no code in this version."""

from __future__ import annotations

from flashket.backends._registry import AbsentBackend

CUSTATEVEC = AbsentBackend(
    "custatevec", 'flashket_cuda has no code for cuQuantum\'s custatevec in this version; use backend="cuda" or "cpu"'
)
