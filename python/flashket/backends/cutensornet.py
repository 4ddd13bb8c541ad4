# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The backend on NVIDIA cuTensorNet: Gram matrices of matrix product states, and expectation values with gradients of wide circuits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flashket.arrays import FLOAT64, Array
from flashket.backends._cuquantum import CuQuantumBackend, folders, parse_paulis
from flashket.backends._registry import Capability
from flashket.backends.cuda import _operand, _place, _Written
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.structure import mps_bond, mps_elements

if TYPE_CHECKING:
    from flashket.kernels import Kernel


class CutensornetBackend(CuQuantumBackend):
    """Matrix product states by cuTensorNet; their overlaps by the device core's transfer sweeps."""

    library = "cutensornet"

    def capabilities(self, kernel: Kernel, dtype: np.dtype[Any], op: str) -> Capability:
        """Say yes to Gram matrices of circuits whose states have small bonds exactly."""
        if not self.available:
            return Capability(False, self.reason)
        feature_map = getattr(kernel, "feature_map", None)
        if op != "gram" or feature_map is None or kernel.similarity not in ("fidelity", "hadamard"):
            return Capability(False, "cuTensorNet makes matrix product states: it runs the Gram matrix of Fidelity and HadamardTest")
        if feature_map.n_qubits < 2:
            return Capability(False, "cuTensorNet factorises states of two qubits and more")
        if not (answer := self._has_program(feature_map)):
            return answer
        bond = _exact_bond(kernel)
        largest = int(self.module().max_mps_bond)
        if bond > largest:
            return Capability(False, f"the states need bonds of {bond}, the device sweeps matrix product states of up to {largest}")
        return Capability(True)

    def gram(self, kernel: Kernel, x: Any, y: Any, out: Any, *, log: bool, shots: int, seed: int) -> None:
        """Write the Gram matrix. The states pass through host memory, so it waits."""
        to, bond = _Written(out), _exact_bond(kernel)
        sets = [None if rows is None else self._states(kernel.feature_map, rows, bond) for rows in (x, y)]  # type: ignore[attr-defined]
        options = (kernel.similarity, kernel.power, log, shots, seed)
        self._run("gram", "mps_gram", sets[0], sets[1], to.operand, *options, _place(x))
        to.back()

    def _states(self, feature_map: FeatureMap, rows: Any, bond: int) -> tuple[Array, Array, Array]:
        """Return (bonds, offsets, tensors) of every row's state, as flashket.mps has them."""
        n, size = rows.shape[0], mps_elements(feature_map.n_qubits, bond)
        tensors = np.empty((n, size), np.complex128)
        arguments = (folders(), self._program(feature_map), _operand(rows), bond, tensors)
        self._run("gram", "cutensornet_mps", *arguments, (*_place(rows)[:3], True))
        bonds = np.asarray(self.module().cutensornet_bonds(feature_map.n_qubits, bond), np.int32)
        return np.tile(bonds, (n, 1)), size * np.arange(n + 1, dtype=np.int64), tensors.reshape(-1)


CUTENSORNET = CutensornetBackend()


def _exact_bond(kernel: Kernel) -> int:
    """Return a bond that holds the states exactly."""
    feature_map: FeatureMap = kernel.feature_map  # type: ignore[attr-defined]  # capabilities() has seen it
    return int(mps_bond(kernel) or 2 ** (feature_map.n_qubits // 2))


def expectations(
    X: Any, *, feature_map: FeatureMap, paulis: Any, dtype: Any = np.float64, gradients: bool = False
) -> Array | tuple[Array, Array]:
    """Return expectation values of Pauli strings in every row's state by contracting its network, and their gradients.

    ``E[i, p] = <x_i| P_p |x_i>``, ``G[i, p, f] = dE[i, p] / dX[i, f]``

    Parameters
    ----------
    X : array_like, (n, n_features)
        Host memory.
    feature_map : FeatureMap
        A circuit; no state is built, so it may be wide where it is shallow.
    paulis : sequence of str
        ``"Z0"``, ``"X0 Y3"``; qubits that are not named have the identity.
    dtype : dtype
        float32 or float64: what the network is contracted in.
    gradients : bool
        Whether to return the gradients too.

    Returns
    -------
    numpy.ndarray, (n, len(paulis)), float64
        With ``gradients`` a pair: also (n, len(paulis), n_features).

    Raises
    ------
    InputError
        For wrong strings, and as :func:`flashket.states`.
    BackendUnavailable
        Without a GPU or cuTensorNet.

    Notes
    -----
    Waits for the device. Every string plans one contraction, every row replaces the gates and contracts again. Gradients are the
    library's own by reverse accumulation, chained with the gates' derivatives. Contractions are distributed over MPI where
    CUTENSORNET_COMM_LIB names NVIDIA's communication plugin; gradients are not.
    """
    from flashket.arrays import cast, check_rows, check_size, requested_dtype
    from flashket.gram import checked_rows
    from flashket.kernels import Fidelity

    place = "expectations"
    if not isinstance(feature_map, FeatureMap):
        raise InputError(explanation(place, "feature_map must be a feature map", repr(feature_map), "e.g. fk.ZZ(8)"))
    CUTENSORNET.version()
    kernel = Fidelity(feature_map)
    precision = requested_dtype(dtype, place)
    (source,), _ = checked_rows((("X", X),), kernel, None, place)
    program, strings = CUTENSORNET._program(feature_map), parse_paulis(paulis, feature_map.n_qubits, place)
    x = np.ascontiguousarray(cast(source, FLOAT64, place, "X"))
    check_rows(x, kernel.rejects_zero_rows, place, "X", kernel.subject)
    check_size(x, kernel._largest_feature, place, "X", kernel.subject)
    values = np.zeros((len(x), len(strings)))
    slopes = np.zeros((*values.shape, x.shape[1])) if gradients else None
    complex_name = "complex128" if precision == FLOAT64 else "complex64"
    CUTENSORNET._run(place, "cutensornet_expectations", folders(), program, x, strings, complex_name, values, slopes, _place(x))
    return values if slopes is None else (values, slopes)
