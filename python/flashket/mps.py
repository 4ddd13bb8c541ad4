# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Matrix product states: many qubits with little entanglement, and what truncation loses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from flashket.arrays import FLOAT32, FLOAT64, Array, cast, check_rows, check_size
from flashket.backends.cpu import core
from flashket.errors import InputError, ResourceLimit, explanation
from flashket.feature_maps import FeatureMap
from flashket.feature_maps._base import finite_float, positive_int
from flashket.kernels import Fidelity, Kernel
from flashket.memory import require
from flashket.structure import mps_elements

Overlaps: TypeAlias = Callable[..., None]
"""What sweeps pairs of states: the compiled module's ``mps_gram``, or the device's."""

_LARGEST_ERROR = {FLOAT32: 2e-6, FLOAT64: 1e-12}
"""How wrong truncation may make a kernel value that :func:`flashket.gram` returns: the accuracy promised for its dtype."""


@dataclass(frozen=True, repr=False, eq=False)
class MPSStates:
    """Rows as matrix product states; :func:`flashket.mps_states` makes them.

    ``<z|x> = prod_j A_j[z_j]`` with a matrix ``A_j[z]`` of size bond j x bond j+1 at every site.

    Parameters
    ----------
    feature_map : FeatureMap
        The circuit.
    truncation_error : numpy.ndarray, (n,), float64
        ``1 - prod(1 - e)`` over all truncations of a row, e the squares of the singular values dropped: an estimate of
        ``1 - |<true|kept>|^2``.
    bonds : numpy.ndarray, (n, n_qubits + 1), int32
        Sizes of the bonds, 1 at both ends.
    order : numpy.ndarray, (n_qubits,), int32
        The qubit at every site; gates on distant qubits move them along the chain.
    offsets : numpy.ndarray, (n + 1,), int64
        Where a row's numbers begin in ``tensors``.
    tensors : numpy.ndarray, complex128
        Row after row, site after site, ``[left bond, z, right bond]``.

    Examples
    --------
    >>> import numpy as np, flashket as fk
    >>> states = fk.mps_states(np.zeros((2, 30)), feature_map=fk.IQP(30, entanglement="linear"))
    >>> len(states), states.bond_dimensions.shape, states.truncation_error.tolist()
    (2, (2, 29), [0.0, 0.0])
    """

    feature_map: FeatureMap
    truncation_error: npt.NDArray[np.float64]
    bonds: npt.NDArray[np.int32]
    order: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    tensors: npt.NDArray[np.complex128]

    @property
    def bond_dimensions(self) -> npt.NDArray[np.int32]:
        """The bonds between sites, (n, n_qubits - 1)."""
        return self.bonds[:, 1:-1]

    @property
    def nbytes(self) -> int:
        """Memory that the tensors take."""
        return int(self.tensors.nbytes)

    def __len__(self) -> int:
        return len(self.bonds)

    def __repr__(self) -> str:
        return f"MPSStates({len(self)} rows of {self.feature_map!r}, bond at most {self.bonds.max(initial=1)})"

    def gram(self, other: MPSStates | None = None, *, log: bool = False) -> Array:
        """Return the fidelity of every row with every row of another set.

        ``K[i, j] = |<x_i|y_j>|^2``.

        Parameters
        ----------
        other : MPSStates, optional
            States of the same feature map; None means these: exactly symmetric, and diagonal exactly 1.
        log : bool
            Return the natural logarithm, computed without underflow.

        Returns
        -------
        numpy.ndarray, (n, m), float64

        Raises
        ------
        InputError
            If ``other`` belongs to another feature map, or ``log`` is no truth value.
        ResourceLimit
            If the matrix does not fit into free memory.

        Notes
        -----
        16 n_qubits bond^3 FMA a pair. Exact for the states as they are: a truncated state is off by its
        ``truncation_error`` e, a value by at most about ``2 (sqrt(e_x) + sqrt(e_y))``.

        Examples
        --------
        >>> import numpy as np, flashket as fk
        >>> states = fk.mps_states(np.zeros((2, 30)), feature_map=fk.IQP(30, entanglement="linear"))
        >>> states.gram()
        array([[1., 1.],
               [1., 1.]])
        """
        if other is not None and (not isinstance(other, MPSStates) or other.feature_map != self.feature_map):
            do = "make both with fk.mps_states and one map"
            raise InputError(explanation("MPSStates.gram", f"other must be states of {self.feature_map!r}", repr(other), do))
        if not isinstance(log, (bool, np.bool_)):
            raise InputError(explanation("MPSStates.gram", "log must be True or False", repr(log), "True returns log K"))
        m = len(self if other is None else other)
        require("MPSStates.gram", f"a {len(self)} x {m} matrix of float64", 8 * len(self) * m, "pass fewer rows at a time")
        out = np.empty((len(self), m))
        self._write_gram(other, out, Fidelity(self.feature_map), log=bool(log), shots=0, seed=0)
        return out

    def _write_gram(
        self, other: MPSStates | None, out: Array, kernel: Kernel, *, log: bool, shots: int, seed: int, overlaps: Overlaps | None = None
    ) -> None:
        right = None if other is None else other._arrays
        run = core().mps_gram if overlaps is None else overlaps
        run(self._arrays, right, out, kernel.similarity, kernel.power, log, shots, seed)

    @property
    def _arrays(self) -> tuple[Any, Any, Any]:
        return self.bonds, self.offsets, self.tensors


def mps_states(X: Any, *, feature_map: FeatureMap, max_bond: int = 16, cutoff: float = 1e-10) -> MPSStates:
    """Return every row's state as a matrix product state of bounded size.

    Parameters
    ----------
    X : array_like, (n, n_features)
        As in :func:`flashket.gram`.
    feature_map : FeatureMap
        The circuit; not Amplitude, which has none.
    max_bond : int
        Largest bond dimension. Memory grows with its square, time with its cube.
    cutoff : float
        At every gate the smallest singular values are dropped as long as their squares sum to at most this.

    Returns
    -------
    MPSStates
        With the truncation error of every row.

    Raises
    ------
    InputError
        If an argument is not as above.
    ResourceLimit
        If the states do not fit into free memory. Nothing has been allocated.

    Notes
    -----
    Always float64. A gate on two neighbours costs about 100 bond^3 flops; a gate on distant qubits moves one of them next to
    the other, a swap for every qubit in between. One repetition along a line has bond 2, r repetitions have 2^r.

    Reference: G. Vidal, "Efficient classical simulation of slightly entangled quantum computations", PRL 91, 147902 (2003);
    U. Schollwöck, "The density-matrix renormalization group in the age of matrix product states", Ann. Phys. 326, 96 (2011).

    Examples
    --------
    >>> import numpy as np, flashket as fk
    >>> X = np.linspace(-1, 1, 200).reshape(2, 100)
    >>> states = fk.mps_states(X, feature_map=fk.ZZ(100, reps=2, entanglement="linear"), max_bond=4)
    >>> int(states.bond_dimensions.max()), bool(states.truncation_error.max() < 1e-8)
    (4, True)
    """
    from flashket.gram import checked_rows

    place = "mps_states"
    if not isinstance(feature_map, FeatureMap):
        raise InputError(explanation(place, "feature_map must be a feature map", repr(feature_map), "e.g. fk.IQP(100, ...)"))
    bond = positive_int(max_bond, place, "max_bond", "16 suits circuits with little entanglement")
    allowed = finite_float(cutoff, place, "cutoff", "0 drops nothing but rounding errors", minimum=0.0)
    kernel = Fidelity(feature_map)
    (source,), _ = checked_rows((("X", X),), kernel, None, place)
    n_qubits = feature_map.n_qubits
    # The numbers of a row, twice while they are put together, and the workspace of a gate.
    n_bytes = 16 * (2 * len(source) * mps_elements(n_qubits, bond) + 100 * min(bond, 2 ** (n_qubits // 2)) ** 2)
    require(place, f"{len(source)} matrix product states of bond {bond}", n_bytes, "pass fewer rows at a time or a smaller max_bond")
    x = np.ascontiguousarray(cast(source, FLOAT64, place, "X"))
    check_rows(x, kernel.rejects_zero_rows, place, "X", kernel.subject)
    check_size(x, kernel._largest_feature, place, "X", kernel.subject)
    return _build(feature_map, x, bond, allowed)


def _build(feature_map: FeatureMap, x: Array, max_bond: int, cutoff: float) -> MPSStates:
    order, bonds, offsets, tensors, errors = core().mps_states(feature_map._program._arrays, x, max_bond, cutoff)
    return MPSStates(feature_map, errors, bonds, order, offsets, tensors)


def write_gram(
    kernel: Kernel,
    max_bond: int,
    x: Array,
    y: Array | None,
    out: Array,
    *,
    log: bool,
    shots: int,
    seed: int,
    overlaps: Overlaps | None = None,
) -> None:
    """Write the Gram matrix of a kernel whose states have at most this bond; raise ResourceLimit where truncation would show.

    Parameters
    ----------
    kernel : Kernel
        Fidelity or HadamardTest.
    max_bond : int
        Largest bond dimension.
    x, y : numpy.ndarray, (n, n_features) and (m, n_features)
        y may be None: x.
    out : numpy.ndarray, (n, m)
        Where to write.
    log, shots, seed
        As in :func:`flashket.gram`.
    overlaps : callable, optional
        What sweeps the pairs, with the arguments of the compiled module's ``mps_gram``, which is the default.
    """
    feature_map: FeatureMap = kernel.feature_map  # type: ignore[attr-defined]  # state kernels have one
    sets = [None if rows is None else _build(feature_map, np.ascontiguousarray(rows, FLOAT64), max_bond, 0.0) for rows in (x, y)]
    lost = [states.truncation_error.max(initial=0.0) for states in sets if states is not None]
    error = 2 * kernel.power * sum(math.sqrt(part) for part in (lost * 2)[:2])
    if error > _LARGEST_ERROR[x.dtype]:
        wanted = f"matrix product states of bond {max_bond} must give values right to {_LARGEST_ERROR[x.dtype]:g}"
        do = "use fk.mps_states with a larger max_bond and read its truncation_error"
        raise ResourceLimit(explanation("gram", wanted, f"an error of up to {error:.1g}", do))
    if sets[0] is not None:
        sets[0]._write_gram(sets[1], out, kernel, log=log, shots=shots, seed=seed, overlaps=overlaps)
