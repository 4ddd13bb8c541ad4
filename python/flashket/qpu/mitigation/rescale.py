# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Depolarisation, read off the diagonal, which would be 1 without it, and taken out of all entries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from flashket.arrays import Array
from flashket.errors import InputError, explanation

RESCALE_MODES = ("average", "split")


class Estimated(NamedTuple):
    """Numbers and their standard errors."""

    values: Array
    errors: Array


def rescale(entries: Estimated, left: Estimated, right: Estimated, *, floor: float, mode: str = "split") -> tuple[Estimated, float]:
    """Return entries without depolarisation, and the mean depolarisation lambda.

    ``K = (K_noisy - lambda f) / (1 - lambda)`` with ``lambda = (1 - K_ii) / (1 - f)``; f is what a circuit gives that is all noise,
    1/D for compute-uncompute, which makes lambda = (1 - K_ii) D / (D - 1).

    Parameters
    ----------
    entries : Estimated, (n, m)
        Noisy similarities.
    left, right : Estimated, (n,) and (m,)
        Noisy similarities of each row with itself.
    floor : float
        f.
    mode : str
        "average": one lambda, from the mean of all K_ii. "split": a channel for each half circuit, ``1 - lambda_ij =
        sqrt((1 - lambda_ii)(1 - lambda_jj))``.

    Raises
    ------
    InputError
        For an unknown mode, and where the diagonal is at the floor: nothing but noise is left.

    Notes
    -----
    Reference: T. Hubregtsen et al., "Training quantum embedding kernels on near-term quantum computers", PRA 106, 042431 (2022),
    arXiv:2105.02276, section V.

    Examples
    --------
    >>> diagonal = Estimated(np.array([0.625]), np.zeros(1))
    >>> entries, strength = rescale(Estimated(np.array([[0.375]]), np.zeros((1, 1))), diagonal, diagonal, floor=0.25)
    >>> entries.values, strength
    (array([[0.5]]), 0.5)
    """
    if mode not in RESCALE_MODES:
        raise InputError(explanation("rescale", f"mode must be one of {', '.join(RESCALE_MODES)}", repr(mode), "choose one of these"))
    kept = [(side.values - floor) / (1 - floor) for side in (left, right)]
    spread = [side.errors / (1 - floor) for side in (left, right)]
    if mode == "average":
        # Without Y both sides are the same measurements, which count once.
        every, scatter = (kept[0], spread[0]) if left is right else (np.concatenate(kept), np.concatenate(spread))
        share = np.full(entries.values.shape, every.mean())
        share_error = np.full(entries.values.shape, np.sqrt((scatter**2).sum()) / len(scatter))
        smallest = share
    else:
        smallest = np.minimum(kept[0].min(), kept[1].min())
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.sqrt(kept[0][:, None] * kept[1])
            relative = (spread[0] / kept[0])[:, None] ** 2 + (spread[1] / kept[1]) ** 2
            share_error = share * np.sqrt(relative) / 2
    if not np.min(smallest) > 0:
        got = f"{min(left.values.min(), right.values.min()):.4g}"
        do = "the circuit is too deep for the device; use fewer qubits or repetitions"
        raise InputError(explanation("rescale", f"similarities of rows with themselves must be above {floor:.4g}, which is noise", got, do))
    values = (entries.values - (1 - share) * floor) / share
    errors = np.hypot(entries.errors, (values - floor) * share_error) / share
    return Estimated(values, errors), float(1 - share.mean())
