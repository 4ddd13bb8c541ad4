# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Counts for the tests of estimators and mitigation."""

from __future__ import annotations

import numpy as np

from flashket.qpu.adapters.sim import ideal_probabilities

__all__ = ["ideal_probabilities", "sample"]


def sample(probabilities: np.ndarray, shots: int, rng: np.random.Generator) -> dict[int, int]:
    """Return counts of ``shots`` outcomes."""
    weights = np.clip(probabilities, 0, None)
    found = rng.multinomial(shots, weights / weights.sum())
    return {int(outcome): int(found[outcome]) for outcome in np.flatnonzero(found)}
