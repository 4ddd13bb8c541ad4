# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A Program with noise: its gates and the channels between them, as the arrays that the compiled module takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flashket.program import Program

GATE, CHANNEL, PAIR_CHANNEL = 0, 1, 2
"""Kinds of operation."""


@dataclass(frozen=True, eq=False)
class NoisyProgram:
    """Operations in order.

    Density matrices are written in Pauli strings, ``rho = 2^-n sum_P c_P P``; index of a string: sum_k d_k 4^k with digit d_k = 0, 1, 2, 3
    for I, X, Y, Z on qubit k.

    Parameters
    ----------
    program : Program
        The gates, which may have features.
    operations : numpy.ndarray of int32, (m, 4)
        Rows (kind, index, q0, q1): GATE with the gate's index (q0, q1 unused, -1); CHANNEL with an index into ``channels`` and its
        qubit q0; PAIR_CHANNEL with an index into ``pair_channels`` and its qubits. Every gate appears once, in the program's order.
    channels : numpy.ndarray of float64, (c, 4, 4)
        Pauli transfer matrices R[a, b] = Tr(P_a E(P_b)) / 2 of one-qubit channels; trace preserving: first row (1, 0, 0, 0).
    pair_channels : numpy.ndarray of float64, (p, 16)
        Diagonals of two-qubit Pauli channels in digits d_q0 + 4 d_q1; the first entry is 1. Depolarising with probability e: 1 - e
        for all others.
    """

    program: Program
    operations: npt.NDArray[np.int32]
    channels: npt.NDArray[np.float64]
    pair_channels: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NoisyCircuit:
    """What ``flashket.qpu.native.NativeCircuit`` does on its device: noisy parts between a start and a readout.

    ``start`` (n, 4) holds the Pauli components of each wire's first state, (1, 0, 0, 1 - 2 p) for |0> prepared with error p.
    ``readout`` (m, 2) holds (p10, p01) of each classical bit; ``measured`` (m,) its wire.
    """

    parts: tuple[NoisyProgram, ...]
    start: npt.NDArray[np.float64]
    readout: npt.NDArray[np.float64]
    measured: tuple[int, ...]
