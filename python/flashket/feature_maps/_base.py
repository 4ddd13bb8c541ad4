# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a feature map is, and the checks that its options share.

A new map is one file in this folder: a frozen dataclass below :class:`FeatureMap` with a ``spec_name`` and a
``program()``. The package, the command line's SPEC and the contract tests find it there.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

from flashket.errors import InputError, explanation
from flashket.memory import require
from flashket.program import LARGEST_NUMBER, Program, ProgramArrays
from flashket.structure import line_of, mps_bond_of

Lowered: TypeAlias = tuple[str, tuple[float, ...], "ProgramArrays | None"]

_LARGEST = 2**31 - 1

_GATE_BYTES = 500
"""What a gate takes as Python objects and in the arrays of the compiled module."""


def positive_int(value: Any, place: str, name: str, do: str) -> int:
    """Return ``value`` as int if it is an integer in 1..2^31-1.

    Examples
    --------
    >>> positive_int(3, "IQP", "reps", "repeat at least once")
    3
    """
    try:
        result = operator.index(value)
    except TypeError:
        result = 0
    if isinstance(value, bool) or not 1 <= result <= _LARGEST:
        raise InputError(explanation(place, f"{name} must be a positive integer", repr(value), do))
    return result


def finite_float(value: Any, place: str, name: str, do: str, *, minimum: float = -math.inf) -> float:
    """Return ``value`` as float if it is a finite number of at least ``minimum``.

    Examples
    --------
    >>> finite_float(2, "Angle", "bandwidth", "pass 1.0 to change nothing")
    2.0
    """
    try:
        result = float(value) if not isinstance(value, (str, bytes, bool)) else math.nan
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not math.isfinite(result) or result < minimum:
        bound = "" if minimum == -math.inf else f" >= {minimum:g}"
        raise InputError(explanation(place, f"{name} must be a finite number{bound}", repr(value), do))
    return result


def check_gates(n_gates: int, place: str) -> None:
    """Raise ResourceLimit if a gate list would not fit into free memory; to be asked before it is written down.

    Examples
    --------
    >>> check_gates(1000, "IQP")
    """
    require(place, f"a list of {n_gates:,} gates", n_gates * _GATE_BYTES, "use fewer repetitions or fewer pairs")


@dataclass(frozen=True, repr=False)
class FeatureMap(ABC):
    """The circuit U(x) that encodes a row of ``n_features`` real numbers; the state is ``|x> = U(x)|0>``.

    Frozen and hashable; options are keyword-only. Subclasses are frozen dataclasses, set ``spec_name`` (the word that the
    command line's SPEC uses) and write ``program()``.

    Parameters
    ----------
    n_features : int
        Length of a row.
    """

    spec_name: ClassVar[str] = ""
    is_product: ClassVar[bool] = False
    """Whether the overlap of two states is a product over qubits in closed form."""
    n_features: int

    def __post_init__(self) -> None:
        do = "it is the length of a row of X"
        object.__setattr__(self, "n_features", positive_int(self.n_features, type(self).__name__, "n_features", do))

    @abstractmethod
    def program(self) -> Program:
        """Return the circuit as gates in the order in which they act."""

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        return self._program.n_qubits

    @property
    def rejects_zero_rows(self) -> bool:
        """Whether a row of zeros has no state."""
        return False

    @property
    def _largest_feature(self) -> float:
        """Bound on |x| below which every angle is finite."""
        return LARGEST_NUMBER / max(1.0, abs(float(getattr(self, "bandwidth", 1.0))))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments that make an equal map, by name.

        Parameters
        ----------
        deep : bool
            Has no effect; kernels hand it on.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _program(self) -> Program:
        return self.program()

    @cached_property
    def _line(self) -> tuple[float, ...] | None:
        """The closed form of a line of couplings, None where the circuit has not that form or the state is cheaper."""
        return line_of(self) if type(self)._lower is FeatureMap._lower else None

    @cached_property
    def _mps_bond(self) -> int | None:
        """The bond of matrix product states that hold this map's exactly, None where a Gram matrix takes another path."""
        return mps_bond_of(self) if type(self)._lower is FeatureMap._lower and self._line is None else None

    def _lower(self) -> Lowered:
        """Return (encoder, parameters, program arrays) for the compiled module."""
        return ("program", (), self._program._arrays) if self._line is None else ("line", self._line, None)

    def _lower_states(self) -> Lowered:
        """Return the same for :func:`flashket.states`, where a closed form of the kernel does not help."""
        return "program", (), self._program._arrays

    def _lower_bloch(self) -> Lowered:
        """Return the same for projected kernels: what encodes a row as its qubits' Bloch vectors."""
        return "bloch", (), self._program._arrays

    def __repr__(self) -> str:
        options = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)[1:]
            if field.default is MISSING or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join([str(self.n_features), *options])})"

    def __getstate__(self) -> dict[str, Any]:
        return self.get_params()
