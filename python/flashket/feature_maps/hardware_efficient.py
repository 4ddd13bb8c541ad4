# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Hardware-efficient encoding: rotations and entanglers that a device on a line of qubits has."""

from __future__ import annotations

import math
import operator
from dataclasses import KW_ONLY, dataclass

import numpy as np

from flashket.errors import InputError, explanation
from flashket.feature_maps._base import FeatureMap, check_gates, finite_float, positive_int
from flashket.program import Gate, Linear, Program


@dataclass(frozen=True, repr=False)
class HardwareEfficient(FeatureMap):
    """Features in RY, random phases in RZ, CZ between neighbours; every layer encodes the row again.

    ::

        q0: ─RY(b x0)─RZ(t0)─●────
        q1: ─RY(b x1)─RZ(t1)─●─●──
        q2: ─RY(b x2)─RZ(t2)───●──

    one layer, with t = ``numpy.random.default_rng(seed).uniform(0, 2 pi, (layers, n_features))[layer]`` and b the bandwidth. Feature j
    is on qubit j.

    Parameters
    ----------
    n_features : int
        Number of features, equal to the number of qubits.
    layers : int
        Layers, each with phases of its own.
    seed : int
        Not negative; draws the phases. Equal on every machine: NumPy keeps the stream of ``default_rng(seed).uniform``.
    bandwidth : float
        Multiplies x before anything else; the product is an angle in radians.

    Raises
    ------
    InputError
        If an option is not as above.

    Notes
    -----
    The state of 2^n amplitudes is computed once per row; a pair then costs about 3 * 2^n FMA (beyond 16 qubits
    Gram matrices of few layers take matrix product states). n - 1 two-qubit gates a layer, none between qubits that are not
    neighbours: a device with a line of qubits needs no swaps. The phases and CZ of the last layer are equal for
    both rows and change no Fidelity and no HadamardTest; they stay, so that layers are alike.

    Reference: A. Kandala et al., "Hardware-efficient variational quantum eigensolver for small molecules and quantum magnets",
    Nature 549, 242 (2017), arXiv:1704.05018.

    Examples
    --------
    >>> [gate.name for gate in HardwareEfficient(2, layers=1).program().gates]
    ['ry', 'ry', 'rz', 'rz', 'cz']
    """

    _: KW_ONLY
    layers: int = 2
    seed: int = 0
    bandwidth: float = 1.0

    spec_name = "he"

    def __post_init__(self) -> None:
        super().__post_init__()
        place = "HardwareEfficient"
        object.__setattr__(self, "layers", positive_int(self.layers, place, "layers", "one layer encodes the row once"))
        try:
            seed = -1 if isinstance(self.seed, bool) else operator.index(self.seed)
        except TypeError:
            seed = -1
        if seed < 0:
            do = "the same seed draws the same phases"
            raise InputError(explanation(place, "seed must be a non-negative integer", repr(self.seed), do))
        object.__setattr__(self, "seed", seed)
        object.__setattr__(self, "bandwidth", finite_float(self.bandwidth, place, "bandwidth", "pass 1.0 to change nothing"))

    @property
    def n_qubits(self) -> int:
        """Number of qubits, one per feature."""
        return self.n_features

    def program(self) -> Program:
        """Return the circuit as drawn above, layer by layer."""
        n = self.n_features
        check_gates(self.layers * (3 * n - 1), "HardwareEfficient")
        gates: list[Gate] = []
        for phases in np.random.default_rng(self.seed).uniform(0, 2 * math.pi, (self.layers, n)).tolist():
            gates += [Gate("ry", (j,), (Linear(self.bandwidth, j),)) for j in range(n)]
            gates += [Gate("rz", (j,), (Linear(0.0, -1, phase),)) for j, phase in enumerate(phases)]
            gates += [Gate("cz", (j, j + 1)) for j in range(n - 1)]
        return Program(n, n, tuple(gates))
