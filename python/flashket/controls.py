# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Classical controls: what a quantum kernel's result must be compared with, through the same code."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from flashket.arrays import Array
from flashket.feature_maps._base import Lowered, positive_int
from flashket.kernels import Kernel


@dataclass(frozen=True)
class _Control(Kernel):
    n_features: int

    power = 1
    is_control = True

    def __post_init__(self) -> None:
        do = "it is the length of a row"
        object.__setattr__(self, "n_features", positive_int(self.n_features, type(self).__name__, "n_features", do))

    @property
    def subject(self) -> str:
        """The control as written."""
        return repr(self)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments that make an equal control, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __getstate__(self) -> dict[str, Any]:
        return self.get_params()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_features})"


@dataclass(frozen=True, repr=False)
class ScaledDot(_Control):
    """The plain dot product ``x . y``: with normalization="softmax" and temperature sqrt(d) exactly softmax attention.

    Parameters
    ----------
    n_features : int
        Length of a row.

    Notes
    -----
    Values may be negative, so normalization="sum", shots and log are refused.

    Examples
    --------
    >>> ScaledDot(2)([[1.0, 2.0]], [[3.0, -1.0]])
    array([[1.]])
    """

    spec_name = "softmax"
    similarity = "dot"
    is_probability = False

    def _encoder(self) -> Lowered:
        return "identity", (float(self.n_features),), None

    def _diagonal(self, rows: Array) -> Array:
        return np.asarray(np.einsum("ij,ij->i", rows, rows))


@dataclass(frozen=True, repr=False)
class Uniform(_Control):
    """The value 1 for every pair: attention becomes the mean over admissible values.

    Parameters
    ----------
    n_features : int
        Length of a row.

    Examples
    --------
    >>> Uniform(2)([[1.0, 2.0]], [[3.0, -1.0]])
    array([[1.]])
    """

    spec_name = "uniform"
    similarity = "dot"

    def _encoder(self) -> Lowered:
        return "ones", (float(self.n_features),), None
