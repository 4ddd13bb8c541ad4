# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What the two cuQuantum backends share: where their libraries are, and Pauli strings."""

from __future__ import annotations

import importlib.util
import os
import re
import site
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from flashket.backends._registry import Capability
from flashket.backends.cuda import CudaBackend
from flashket.errors import BackendUnavailable, InputError, explanation
from flashket.feature_maps import FeatureMap

PauliStrings: TypeAlias = list[list[tuple[int, int]]]
"""Of every string the pairs (1 X | 2 Y | 3 Z, qubit)."""

_PAULIS = {"X": 1, "Y": 2, "Z": 3}


@cache
def folders() -> list[str]:
    """Return where the libraries are looked for before the system's loader: FLASHKET_CUQUANTUM, then every site-packages.

    Examples
    --------
    >>> all(isinstance(folder, str) for folder in folders())
    True
    """
    found = [os.environ["FLASHKET_CUQUANTUM"]] if os.environ.get("FLASHKET_CUQUANTUM") else []
    for package in ("cuquantum", "nvidia"):
        spec = importlib.util.find_spec(package)
        found += [str(Path(place).parent) for place in (spec.submodule_search_locations or [] if spec else [])]
    found += [sysconfig.get_path("purelib"), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return list(dict.fromkeys(found))


class CuQuantumBackend(CudaBackend):
    """A backend on a library that flashket_cuda opens on first use."""

    library: str
    """"custatevec" or "cutensornet": how the device module's functions begin."""

    @property
    def name(self) -> str:  # type: ignore[override]  # one class, two names
        """The word that ``backend=`` takes."""
        return self.library

    @property
    def available(self) -> bool:
        """Whether there is a device and the library opens."""
        return not self._absence()

    @property
    def reason(self) -> str:
        """Why it is absent: the device, or the library with the places where it was looked for and what installs it."""
        return self._absence() or (super().reason if self.is_emulated else "")

    def version(self) -> tuple[str, str]:
        """Return the path and version of the library that is in use."""
        if reason := self._absence():
            raise BackendUnavailable(explanation(self.name, "the library is needed", None, reason))
        path, version = _open(self)
        return path, version

    def _absence(self) -> str:
        if not super().available:
            return super().reason
        return _absence(self)

    def _program(self, feature_map: FeatureMap) -> Any:
        """Return a circuit's arrays; InputError for a feature map that has none."""
        feature_map.program()
        return feature_map._program._arrays

    def _has_program(self, feature_map: FeatureMap) -> Capability:
        try:
            feature_map.program()
        except InputError as error:
            return Capability(False, f"{self.name} runs circuits: {error}")
        return Capability(True)


@cache
def _open(backend: CuQuantumBackend) -> Any:
    return getattr(backend.module(), f"{backend.library}_open")(folders())


@cache
def _absence(backend: CuQuantumBackend) -> str:
    """Open the library once; a wheel does not come while a process runs."""
    if not hasattr(backend.module(), f"{backend.library}_open"):
        return f"this build of flashket_cuda has no code for {backend.library}"
    try:
        _open(backend)
    except ImportError as error:
        return str(error)
    return ""


def parse_paulis(paulis: Any, n_qubits: int, place: str) -> PauliStrings:
    """Return Pauli strings as numbers.

    Parameters
    ----------
    paulis : sequence of str
        Factors with their qubits: ``"Z0"``, ``"X0 Y3"``.
    n_qubits : int
        Of the circuit.
    place : str
        The function to name in the error.

    Raises
    ------
    InputError
        For anything else, for qubits that are not there and for a qubit named twice.

    Examples
    --------
    >>> parse_paulis(["Z0", "X1 Y2"], 3, "expectations")
    [[(3, 0)], [(1, 1), (2, 2)]]
    """
    do = 'e.g. ["Z0", "X0 Y3"]'
    wanted = f"paulis must be a list of Pauli strings on qubits 0..{n_qubits - 1}"
    if isinstance(paulis, str) or not all(isinstance(text, str) for text in paulis) or not len(paulis):
        raise InputError(explanation(place, wanted, repr(paulis), do))
    strings = []
    for text in paulis:
        factors = [re.fullmatch(r"([XYZ])(\d{1,6})", factor) for factor in text.split()]
        string = [(_PAULIS[factor[1]], int(factor[2])) for factor in factors if factor]
        qubits = [qubit for _, qubit in string]
        if not string or None in factors or max(qubits) >= n_qubits or len(set(qubits)) < len(qubits):
            raise InputError(explanation(place, wanted, repr(text), do))
        strings.append(string)
    return strings
