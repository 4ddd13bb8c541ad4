# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Any circuit as a feature map."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from flashket.errors import InputError, explanation
from flashket.feature_maps._base import FeatureMap
from flashket.program import LARGEST_NUMBER, Program


@dataclass(frozen=True, repr=False, init=False)
class Circuit(FeatureMap):
    """A Program as a feature map: written by hand, read from OpenQASM or from Qiskit.

    ::

        x ─> │ gates of the Program, angles (a x_i + b) or (a x_i + b)(c x_j + d) │ ─> |x> = U(x)|0...0>

    Parameters
    ----------
    program : Program
        The circuit: ``fk.Program.from_qasm(text)``, ``fk.Program.from_qiskit(circuit)`` or ``fk.Program(n_qubits, n_features, gates)``.

    Raises
    ------
    InputError
        If it is no Program.

    Notes
    -----
    The state of 2^n amplitudes is computed once per row; a pair then costs about 3 * 2^n FMA; lines of diagonal couplings and
    circuits of little entanglement need no state (:func:`flashket.explain` says so). A Program without features has one state:
    rows are of length 0, X is (n, 0), and every kernel value is 1. Maps are equal when their gates are; ``repr`` shows the
    first digits of the SHA-256 of the gates, which stays the same between runs.

    Reference: A. Cross et al., "OpenQASM 3: a broader and deeper quantum assembly language", ACM Trans. Quantum Comput. 3, 12 (2022),
    arXiv:2104.14722.

    Examples
    --------
    >>> from flashket import Gate, Linear
    >>> gates = (Gate("ry", (0,), (Linear(2.0, 0),)), Gate("cx", (0, 1)))
    >>> Circuit(Program(2, 1, gates)).n_qubits
    2
    """

    _given: Program

    spec_name = "circuit"

    def __init__(self, program: Program) -> None:
        if not isinstance(program, Program):
            do = "e.g. fk.Program.from_qasm(text)"
            if isinstance(program, FeatureMap):
                do = "it is a feature map already"
            raise InputError(explanation("Circuit", "program must be a Program", repr(program), do))
        object.__setattr__(self, "n_features", program.n_features)
        object.__setattr__(self, "_given", program)

    @property
    def n_qubits(self) -> int:
        """Number of qubits."""
        return self._given.n_qubits

    def program(self) -> Program:
        """Return the Program."""
        return self._given

    @property
    def _largest_feature(self) -> float:
        """Bound on |x| below which every angle is finite."""
        scales = self._given._arrays[-1][:, ::2]
        return LARGEST_NUMBER / float(np.abs(scales).max(initial=1.0))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the argument that makes an equal map, by name.

        Parameters
        ----------
        deep : bool
            Has no effect; kernels hand it on.
        """
        return {"program": self._given}

    def __repr__(self) -> str:
        n_qubits, n_features, opcodes, qubits, features, coefficients = self._given._arrays
        digest = hashlib.sha256()
        for integers in (opcodes, qubits, features):
            digest.update(integers.astype("<i4").tobytes())
        digest.update((coefficients + 0.0).astype("<f8").tobytes())  # -0.0 equals 0.0 and becomes it
        n_gates = len(self._given.gates)
        counts = (f"{n_qubits} qubits", f"{n_features} features", f"{n_gates} gates", f"sha256 {digest.hexdigest()[:12]}")
        return f"Circuit(<{', '.join(counts)}>)"

    def __reduce__(self) -> tuple[type[Circuit], tuple[Program]]:
        return Circuit, (self._given,)
