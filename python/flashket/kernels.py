# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Kernels: a feature map and the similarity of two of its states."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from flashket.arrays import Array, cast, check_rows, check_size
from flashket.errors import InputError, explanation
from flashket.feature_maps import FeatureMap
from flashket.feature_maps._base import Lowered, finite_float, positive_int

Spec: TypeAlias = tuple[str, tuple[float, ...], Any, str, float]
"""(encoder, parameters, program arrays or None, similarity, power or gamma): what the compiled module takes."""


class Kernel(ABC):
    """A similarity of two rows. Immutable, hashable, callable like scikit-learn's: ``kernel(X, Y=None)``."""

    spec_name: ClassVar[str] = ""
    similarity: ClassVar[str] = ""
    is_probability: ClassVar[bool] = True
    """Whether values are like probabilities: they lie in 0..1 and the diagonal is 1."""
    can_sample: ClassVar[bool] = True
    """Whether a value is the probability of one measured outcome, which shots estimate."""
    is_control: ClassVar[bool] = False
    """Whether this is a classical control: exact only, no shots."""

    if TYPE_CHECKING:
        # Fields of the dataclasses below; at run time a property here would become their default value.
        @property
        def n_features(self) -> int:
            """Length of a row."""

        @property
        def power(self) -> int:
            """Exponent of the similarity."""

    @property
    @abstractmethod
    def subject(self) -> str:
        """What errors call the thing that wants ``n_features``."""

    @property
    def rejects_zero_rows(self) -> bool:
        """Whether a row of zeros is refused."""
        return False

    @property
    def _largest_feature(self) -> float:
        """Bound on |x|: beyond it an angle is not finite."""
        return math.inf

    @abstractmethod
    def _encoder(self) -> Lowered:
        """Return (encoder, parameters, program arrays)."""

    @abstractmethod
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments that make an equal kernel, by name."""

    @cached_property
    def _spec(self) -> Spec:
        encoder, parameters, program = self._encoder()
        return encoder, parameters, program, self.similarity, self.power

    def _lower(self) -> Spec:
        """Return what the compiled module takes."""
        return self._spec

    def __call__(self, X: Any, Y: Any = None) -> Array:
        """Return the exact Gram matrix, (n, m); see :func:`flashket.gram`."""
        from flashket.gram import gram

        return gram(X, Y, kernel=self)

    def diag(self, X: Any) -> Array:
        """Return the kernel of every row with itself, (n,), without the matrix.

        Parameters
        ----------
        X : array_like, (n, n_features), float32 or float64

        Returns
        -------
        numpy.ndarray, (n,)
            Ones where the similarity is normalised.

        Raises
        ------
        InputError
            As :func:`flashket.gram`.
        """
        from flashket.gram import checked_rows

        (source,), dtype = checked_rows((("X", X),), self, None, "diag")
        rows = cast(source, dtype, "diag", "X")
        check_rows(rows, self.rejects_zero_rows, "diag", "X", self.subject)
        check_size(rows, self._largest_feature, "diag", "X", self.subject)
        return self._diagonal(rows)

    def _diagonal(self, rows: Array) -> Array:
        return np.ones(rows.shape[0], rows.dtype)


@dataclass(frozen=True, repr=False)
class _StateKernel(Kernel):
    """A kernel of two states of one feature map."""

    feature_map: FeatureMap

    def __post_init__(self) -> None:
        place = type(self).__name__
        if not isinstance(self.feature_map, FeatureMap):
            do = f"e.g. {place}(fk.Angle(8))"
            raise InputError(explanation(place, "feature_map must be a feature map", repr(self.feature_map), do))

    @property
    def n_features(self) -> int:
        """Length of a row."""
        return self.feature_map.n_features

    @property
    def subject(self) -> str:
        """The feature map as written."""
        return repr(self.feature_map)

    @property
    def rejects_zero_rows(self) -> bool:
        """Whether the feature map refuses a row of zeros."""
        return self.feature_map.rejects_zero_rows

    @property
    def _largest_feature(self) -> float:
        """The feature map's bound."""
        return self.feature_map._largest_feature

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments that make an equal kernel, by name.

        Parameters
        ----------
        deep : bool
            Add the feature map's arguments as ``feature_map__NAME``.
        """
        params = {field.name: getattr(self, field.name) for field in fields(self)}
        if deep:
            params |= {f"feature_map__{name}": value for name, value in self.feature_map.get_params().items()}
        return params

    def _encoder(self) -> Lowered:
        return self.feature_map._lower()

    def __repr__(self) -> str:
        options = [
            f", {field.name}={getattr(self, field.name)!r}" for field in fields(self)[1:] if getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({self.feature_map!r}{''.join(options)})"

    def __getstate__(self) -> dict[str, Any]:
        return self.get_params(deep=False)


@dataclass(frozen=True, repr=False)
class _OverlapKernel(_StateKernel):
    """A power of what one circuit measures of the overlap."""

    _: KW_ONLY
    power: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        do = "1 is the plain similarity"
        object.__setattr__(self, "power", positive_int(self.power, type(self).__name__, "power", do))


@dataclass(frozen=True, repr=False)
class Fidelity(_OverlapKernel):
    """The squared overlap of two states, what a compute-uncompute circuit measures.

    ``K(x, y) = |<x|y>|^(2 power)``.

    Parameters
    ----------
    feature_map : FeatureMap
        What encodes the rows.
    power : int
        Positive; with shots it acts on the estimate.

    Raises
    ------
    InputError
        If an argument is not as above.

    Notes
    -----
    Values are in 0..1 and 1 for equal rows. Blind to a global phase, so for Amplitude blind to sign.

    Examples
    --------
    >>> import flashket as fk
    >>> kernel = fk.Fidelity(fk.Angle(2))
    >>> kernel([[0.0, 0.0]], [[1.0, 0.5]]).round(6)
    array([[0.723011]])
    """

    spec_name = "fidelity"
    similarity = "fidelity"


@dataclass(frozen=True, repr=False)
class HadamardTest(_OverlapKernel):
    """The probability of outcome 0 in a Hadamard test of two states; it sees the sign.

    ``K(x, y) = ((1 + Re<x|y>) / 2)^power``.

    Parameters
    ----------
    feature_map : FeatureMap
        What encodes the rows.
    power : int
        Positive; with shots it acts on the estimate.

    Raises
    ------
    InputError
        If an argument is not as above.

    Notes
    -----
    Values are in 0..1 and 1 for equal rows. The global phase of the circuit as written counts.

    Examples
    --------
    >>> import flashket as fk
    >>> kernel = fk.HadamardTest(fk.Amplitude(2))
    >>> kernel([[1.0, 0.0]], [[-2.0, 0.0]])
    array([[0.]])
    """

    spec_name = "hadamard"
    similarity = "hadamard"


@dataclass(frozen=True, repr=False)
class Projected(_StateKernel):
    """A Gaussian of the distance between the one-qubit states that are left when all other qubits are ignored.

    ``K(x, y) = exp(-gamma sum_k ||rho_k - rho'_k||_F^2) = exp(-gamma/2 sum_k |r_k - r'_k|^2)``: rho_k is qubit k's reduced density
    matrix, r_k = (<X_k>, <Y_k>, <Z_k>) its Bloch vector.

    Parameters
    ----------
    feature_map : FeatureMap
        What encodes the rows.
    gamma : float
        Positive; a larger one narrows the kernel.

    Raises
    ------
    InputError
        If an argument is not as above.

    Notes
    -----
    Values are in 0..1 and 1 for equal rows, blind to a global phase. On hardware a row is measured, not a pair: n qubits in three
    bases; a value is no outcome's probability, so ``shots`` need a noise model (or a QPU backend) and are of each of a row's three
    circuits. A row costs its state and 2 n FMA an amplitude (Angle has a
    closed form, Amplitude is its own state), a pair 3 n FMA. Unlike fidelities these values do not vanish exponentially with the
    number of qubits; with gamma far below 1 / n they concentrate at 1.

    Reference: H.-Y. Huang et al., "Power of data in quantum machine learning", Nature Communications 12, 2631 (2021),
    arXiv:2011.01938.

    Examples
    --------
    >>> import flashket as fk
    >>> kernel = fk.Projected(fk.Angle(2), gamma=0.5)
    >>> kernel([[0.0, 0.0]], [[1.0, 0.5]]).round(6)
    array([[0.747473]])
    """

    _: KW_ONLY
    gamma: float = 1.0

    spec_name = "projected"
    similarity = "projected"
    power = 1
    can_sample = False

    def __post_init__(self) -> None:
        super().__post_init__()
        do = "1.0 is the plain distance, a larger one narrows the kernel"
        gamma = finite_float(self.gamma, "Projected", "gamma", do)
        if gamma <= 0:
            raise InputError(explanation("Projected", "gamma must be positive", repr(self.gamma), do))
        object.__setattr__(self, "gamma", gamma)

    def _encoder(self) -> Lowered:
        return self.feature_map._lower_bloch()

    @cached_property
    def _spec(self) -> Spec:
        return *self._encoder(), self.similarity, self.gamma
