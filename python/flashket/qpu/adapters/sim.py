# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``sim:<profile>`` and ``sim:ideal``: our own simulators behind the interface of a device."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from flashket.qpu.adapters._base import Batch, Limits
from flashket.qpu.adapters._shared import LocalAdapter, drawn, flat
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.profile import load_profile

_TRAJECTORIES = 1000


def opened(target: str, **options: Any) -> SimAdapter:
    """Return the adapter of ``sim:<target>``."""
    return SimAdapter(target, **options)


class SimAdapter(LocalAdapter):
    """Probabilities, then one multinomial draw for each circuit.

    Equal seeds give equal counts: circuit i of a batch is drawn from the stream (seed, i). Noisy circuits of up to 12 qubits have exact
    probabilities; of wider ones they are means over 1000 quantum trajectories, and the result's ``raw["method"]`` says so.

    Parameters
    ----------
    target : str
        A profile's name or file, or ``"ideal"``.
    layout : sequence of int, optional
        Physical qubits; by default the compiler chooses.
    compiler : str
        See :func:`flashket.qpu.compile.compile_circuit`.
    """

    is_own = True

    def __init__(self, target: str, *, layout: Any = None, compiler: str = "auto") -> None:
        self._profile = None if target == "ideal" else load_profile(target)
        self._options = {"layout": layout, "compiler": compiler}
        super().__init__(f"sim:{target}", profile_limits(self._profile))

    def _run(self, batch: Batch) -> tuple[list[dict[int, int]], dict[str, Any]]:
        found, method = self._probabilities(batch.circuits, batch.seed)
        counts = [drawn(each, shots, batch.seed, index) for index, (each, shots) in enumerate(zip(found, batch.shots, strict=True))]
        named = {} if self._profile is None else {"profile": self._profile.name, "snapshot": self._profile.snapshot}
        return counts, {**named, "method": method}

    def _probabilities(self, circuits: Sequence[MeasuredCircuit], seed: int | None) -> tuple[list[npt.NDArray[np.float64]], str]:
        if self._profile is None:
            return list(map(ideal_probabilities, circuits)), "exact"
        from flashket.noise.exact import MOST_QUBITS, many_probabilities
        from flashket.noise.lower import lower
        from flashket.noise.trajectories import probabilities
        from flashket.qpu.together import compile_together

        noisy = list(map(lower, compile_together(circuits, self._profile, **self._options)))
        if all(len(each.start) <= MOST_QUBITS for each in noisy):
            return many_probabilities(noisy), "exact"
        base = secrets.randbits(63) if seed is None else seed
        return [
            probabilities(each, trajectories=_TRAJECTORIES, seed=(base + index) % 2**64) for index, each in enumerate(noisy)
        ], f"{_TRAJECTORIES} trajectories"


def profile_limits(profile: Any) -> Limits:
    """Return the limits of a device profile, none for None."""
    if profile is None:
        return Limits(None)
    return Limits(profile.n_qubits, profile.max_shots, profile.max_circuits, profile.max_executions)


def ideal_probabilities(circuit: MeasuredCircuit) -> npt.NDArray[np.float64]:
    """Return the probabilities (2^m,) of a circuit's outcomes without noise."""
    from flashket.feature_maps.circuit import Circuit
    from flashket.states import states

    state = np.asarray(states(np.zeros((1, 0)), feature_map=Circuit(flat(circuit))))[0]
    n = circuit.n_qubits
    weights = (state.real**2 + state.imag**2).reshape((2,) * n)
    # Axis a holds qubit n - 1 - a; the result's first axis is the last classical bit.
    others = tuple(n - 1 - qubit for qubit in range(n) if qubit not in circuit.measured)
    kept = sorted(circuit.measured, reverse=True)
    order = [kept.index(qubit) for qubit in reversed(circuit.measured)]
    found: npt.NDArray[np.float64] = weights.sum(axis=others).transpose(order).reshape(-1)
    return found
