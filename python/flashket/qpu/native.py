# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A circuit in a device's own gates on chosen qubits: what the noise simulation, the cost model and the layout choice look at."""

from __future__ import annotations

from dataclasses import dataclass

from flashket.program import Program
from flashket.qpu.profile import DeviceProfile


@dataclass(frozen=True)
class NativePart:
    """Gates between two barriers.

    ``program`` acts on wires 0..n-1; its two-qubit gates are the device's (``cz``, ``cx``, ``rzz``; an ECR is written as the cx it
    equals up to one-qubit gates, a square root of iSWAP as rxx and ryy that count as one: see ``pulses``). It may have features: parts of
    a feature map stay symbolic, so that one compilation serves every row.

    ``pulses[g]`` is what gate g costs in physical operations: 0 for virtual ones (RZ on most devices) and for gates whose cost
    another gate of the same physical operation carries, else 1 or 2.
    """

    program: Program
    pulses: tuple[int, ...]


@dataclass(frozen=True)
class NativeCircuit:
    """Parts on the physical qubits ``qubits``: wire w is physical qubit ``qubits[w]``. Classical bit j is wire ``measured[j]``."""

    profile: DeviceProfile
    qubits: tuple[int, ...]
    parts: tuple[NativePart, ...]
    measured: tuple[int, ...]
