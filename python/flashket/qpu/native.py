# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""A circuit in a device's own gates on chosen qubits: what the noise simulation, the cost model and the layout choice look at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from flashket.program import Program
from flashket.qpu.profile import DeviceProfile


@dataclass(frozen=True)
class NativePart:
    """Gates between two barriers.

    ``program`` acts on wires 0..n-1. Its one-qubit gates are ``rz``, ``rx`` and ``ry``; its two-qubit gates are the device's: ``cz``,
    ``cx``, ``rzz``; an ECR is the cx that follows what it differs by (rz and x on the control, rx on the target); a square root of
    iSWAP is rxx(-pi/4) ryy(-pi/4). It may have features: parts of a feature map stay symbolic, so that one compilation serves every row.

    ``pulses[g]`` is what gate g costs in physical operations: 0 for virtual ones (RZ) and for gates whose cost a later gate of the
    same physical operation carries, else 1; 2 for a gate of a symbolic angle that stands for two operations, see
    :func:`flashket.qpu.compile_pair`. An operation's noise comes after the gate that carries its cost.

    Examples
    --------
    >>> from flashket.program import Gate
    >>> NativePart(Program(2, 0, (Gate("cz", (0, 1)),)), (1,)).pulses
    (1,)
    """

    program: Program
    pulses: tuple[int, ...]


@dataclass(frozen=True)
class NativeCircuit:
    """Parts on the physical qubits ``qubits``: wire w is physical qubit ``qubits[w]``. Classical bit j is wire ``measured[j]``.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import compile_pair, load_profile
    >>> native = compile_pair(fk.ZZ(6, reps=1, entanglement="linear").program(), load_profile("ibm_torino"))
    >>> len(native.qubits), native.n_two_qubit, native.n_measured
    (6, 20, 6)
    """

    profile: DeviceProfile
    qubits: tuple[int, ...]
    parts: tuple[NativePart, ...]
    measured: tuple[int, ...]

    @property
    def n_pulses(self) -> int:
        """Physical one-qubit operations of the whole circuit; virtual RZ do not count."""
        return self._count(1)

    @property
    def n_two_qubit(self) -> int:
        """Physical two-qubit operations of the whole circuit."""
        return self._count(2)

    @property
    def n_measured(self) -> int:
        """Measured wires."""
        return len(self.measured)

    @cached_property
    def duration(self) -> float:
        """Seconds from the first gate to the start of the measurement (as soon as possible); NaN if the profile lacks a duration."""
        from flashket.qpu.schedule import schedule

        return schedule(self).duration

    def edge(self, a: int, b: int) -> int:
        """Return the index of the two wires' gate in ``profile.error_2q`` and ``profile.duration_2q``."""
        return self.profile.edge_index(self.qubits[a], self.qubits[b])

    def _count(self, width: int) -> int:
        gates = [(gate, pulses) for part in self.parts for gate, pulses in zip(part.program.gates, part.pulses, strict=True)]
        return sum(pulses for gate, pulses in gates if len(gate.qubits) == width)
