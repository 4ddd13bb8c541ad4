# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Amplitude encoding: the row itself, normalised, is the state."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import NoReturn

from flashket.errors import InputError, explanation
from flashket.feature_maps._base import FeatureMap, Lowered, finite_float


@dataclass(frozen=True, repr=False)
class Amplitude(FeatureMap):
    """The normalised row as amplitudes, optionally with one constant amplitude beside it.

    ::

        q0: ─┤                      ├─
        q1: ─┤ (x, sqrt(bias), 0...)├─
        q2: ─┤      / norm          ├─

    ``|x> = (x, sqrt(bias)) / sqrt(|x|^2 + bias)``, filled up with zeros to 2^n_qubits; amplitude j is feature j.
    ``<x|y> = (x.y + bias) / sqrt((|x|^2 + bias)(|y|^2 + bias))``.

    Parameters
    ----------
    n_features : int
        Number of features.
    bias : float
        Square of the constant amplitude before normalisation. Without it the fidelity is blind to sign, K(x, -x) = 1,
        and to length.

    Raises
    ------
    InputError
        If an option is not as above.

    Notes
    -----
    ``n_qubits = max(1, ceil(log2(n_features + (bias > 0))))``. One real dot product a pair, n_features FMA. A row of zeros has no
    state when bias is 0 and is refused. There is no gate list: preparing any state takes 2^n rotations that depend on all
    features at once.

    Reference: M. Schuld and F. Petruccione, "Supervised Learning with Quantum Computers", Springer 2018, section 5.2.

    Examples
    --------
    >>> Amplitude(64).n_qubits, Amplitude(64, bias=1.0).n_qubits
    (6, 7)
    """

    _: KW_ONLY
    bias: float = 0.0

    spec_name = "amplitude"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "bias", finite_float(self.bias, "Amplitude", "bias", "0 encodes the row alone", minimum=0.0))

    @property
    def rejects_zero_rows(self) -> bool:
        """Whether a row of zeros has no state: only without bias."""
        return self.bias == 0.0

    @property
    def _largest_feature(self) -> float:
        """No bound: rows are scaled before they are normalised."""
        return math.inf

    @property
    def n_qubits(self) -> int:
        """Number of qubits that hold n_features (+ 1 with bias) amplitudes."""
        n_amplitudes = self.n_features + (self.bias > 0)
        return max(1, (n_amplitudes - 1).bit_length())

    def program(self) -> NoReturn:
        """Refuse: amplitude encoding has no gate list whose angles are products of features."""
        do = "use fk.states for the state, or another map for circuits"
        raise InputError(explanation("Amplitude", "program() needs angles that are linear in the features", repr(self), do))

    def _lower(self) -> Lowered:
        return "amplitude", (float(self.n_features), self.bias), None

    def _lower_states(self) -> Lowered:
        return self._lower()

    def _lower_bloch(self) -> Lowered:
        return "amplitude_bloch", (float(self.n_features), self.bias, float(self.n_qubits)), None
