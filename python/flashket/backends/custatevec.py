# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The backend on NVIDIA cuStateVec: any circuit gate by gate, one state or many, expectation values and measured bit strings.

``backend="cuda"`` is faster for many small states; this one is for large single states and for cross-checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashket.arrays import Array
from flashket.backends._cuquantum import CuQuantumBackend, folders, parse_paulis
from flashket.backends._registry import Capability
from flashket.backends.cuda import _operand, _place, _Written
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.feature_maps._base import positive_int
from flashket.memory import require

if TYPE_CHECKING:
    from flashket.kernels import Kernel, Spec

_SIMILARITIES = ("fidelity", "hadamard")
_LARGEST_SHOTS = 2**31 - 1


class CustatevecBackend(CuQuantumBackend):
    """States by cuStateVec; overlaps, attention and samples by the device core's own kernels."""

    library = "custatevec"

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say yes to overlaps of states of circuits."""
        if not self.available:
            return Capability(False, self.reason)
        feature_map = getattr(kernel, "feature_map", None)
        if feature_map is None or (op != "states" and kernel.similarity not in _SIMILARITIES):
            return Capability(False, "cuStateVec makes states: it runs Fidelity and HadamardTest of a circuit")
        if not (answer := self._has_program(feature_map)):
            return answer
        if op == "states":
            return Capability(True)
        return super().capabilities(kernel, dtype, op)

    def states(self, feature_map: FeatureMap, x: Any, out: Any) -> None:
        """Write the states."""
        to = _Written(out)
        self._run("states", "custatevec_states", folders(), self._program(feature_map), _operand(x), to.operand, _place(x))
        to.back()

    def _bond(self, kernel: Kernel) -> int | None:
        return None

    def _spec(self, kernel: Kernel, op: str) -> Spec:
        # Its gates are applied one by one: a line or a closed form that the own kernels would take is a circuit here.
        feature_map: FeatureMap = kernel.feature_map  # type: ignore[attr-defined]  # capabilities() has seen it
        return "custatevec", (), self._program(feature_map), kernel.similarity, kernel.power


CUSTATEVEC = CustatevecBackend()


def expectations(X: Any, *, feature_map: FeatureMap, paulis: Any, dtype: Any = None) -> Array:
    """Return expectation values of Pauli strings in every row's state, by cuStateVec.

    ``E[i, p] = <x_i| P_p |x_i>``

    Parameters
    ----------
    X : array_like, (n, n_features)
        As in :func:`flashket.gram`.
    feature_map : FeatureMap
        A circuit.
    paulis : sequence of str
        ``"Z0"``, ``"X0 Y3"``; qubits that are not named have the identity.
    dtype : dtype, optional
        Precision of the states: float32 or float64; by default X's.

    Returns
    -------
    numpy.ndarray, (n, len(paulis)), float64

    Raises
    ------
    InputError
        For wrong strings, and as :func:`flashket.states`.
    BackendUnavailable
        Without a GPU or cuStateVec.

    Notes
    -----
    Waits for the device. Cost: the states, then a pass over them for each string. Right to the precision of the states.
    """
    place = "expectations"
    states, strings = _states(X, feature_map, dtype, place), parse_paulis(paulis, feature_map.n_qubits, place)
    out = np.empty((states.shape[0], len(strings)))
    CUSTATEVEC._run(place, "custatevec_expectations", folders(), _operand(states), strings, out, _place(states))
    return out


def sample(X: Any, *, feature_map: FeatureMap, shots: int, seed: int | None = None, dtype: Any = None) -> Array:
    """Return basis states measured of every row's state, by cuStateVec.

    Parameters
    ----------
    X : array_like, (n, n_features)
        As in :func:`flashket.gram`.
    feature_map : FeatureMap
        A circuit.
    shots : int
        Measurements of each row.
    seed : int, optional
        Of NumPy's generator that draws the uniform numbers; None draws a fresh one.
    dtype : dtype, optional
        Precision of the states: float32 or float64; by default X's.

    Returns
    -------
    numpy.ndarray, (n, shots), int64
        Indices of basis states; qubit 0 is the least significant bit.

    Raises
    ------
    InputError
        For wrong shots, and as :func:`flashket.states`.
    BackendUnavailable
        Without a GPU or cuStateVec.

    Notes
    -----
    Waits for the device.
    """
    place = "sample"
    count = positive_int(shots, place, "shots", "e.g. 1000")
    if count > _LARGEST_SHOTS:
        raise InputError(explanation(place, f"shots must be at most {_LARGEST_SHOTS}", count, "sample in parts"))
    states = _states(X, feature_map, dtype, place)
    n = states.shape[0]
    require(place, f"{count} shots of {n} rows", 16 * n * count, "sample fewer rows or shots at a time")
    out = np.empty((n, count), np.int64)
    uniforms = np.random.default_rng(seed).random((n, count))
    CUSTATEVEC._run(place, "custatevec_sample", folders(), _operand(states), uniforms, out, _place(states))
    return out


def _states(X: Any, feature_map: FeatureMap, dtype: Any, place: str) -> Any:
    """Return the states as an array that the device module takes: in device memory where X is."""
    from flashket.arrays import to_array
    from flashket.states import states

    return to_array(states(X, feature_map=feature_map, dtype=dtype, backend=CUSTATEVEC.name), place, "states", "cuda")
