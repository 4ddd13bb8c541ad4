# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Device profiles: what a QPU's calibration data says, as plain data. One JSON file each in devices/."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from flashket.errors import InputError, explanation

_FOLDER = Path(__file__).parent / "devices"

TWO_QUBIT_GATES = ("cz", "ecr", "cx", "rzz", "sqrt_iswap")
ONE_QUBIT_GATES = ("sx", "u")
"""What a turn about an axis in the equator costs: with "sx" a generic one-qubit gate takes two pulses between virtual RZ, with "u" one."""


@dataclass(frozen=True)
class DeviceProfile:
    """One device at one time.

    Per-qubit tuples have n_qubits entries; ``math.nan`` stands for what the source does not say. Times in seconds, errors as the
    average gate infidelity (what randomised benchmarking reports), readout errors as probabilities.

    Parameters
    ----------
    name, vendor, processor : str
        E.g. "ibm_torino", "IBM", "Heron r1".
    n_qubits : int
        Qubits of the device.
    snapshot : str
        ISO date of the calibration data.
    source, licence : str
        Where the numbers come from, and under which licence.
    one_qubit_gate : str
        "sx" or "u": see ``ONE_QUBIT_GATES``.
    two_qubit_gate : str
        The native one: see ``TWO_QUBIT_GATES``.
    edges : tuple of (int, int), or None
        Pairs that have the two-qubit gate; None means every pair (trapped ions).
    t1, t2 : tuple of float, (n_qubits,)
        Relaxation times.
    error_1q, duration_1q : tuple of float, (n_qubits,)
        Of one pulse.
    readout_p10, readout_p01 : tuple of float, (n_qubits,)
        Probability to read 1 after preparing 0, and 0 after preparing 1.
    duration_readout : tuple of float, (n_qubits,)
        Of a measurement.
    error_2q, duration_2q : tuple of float, (len(edges),), or (1,) where edges is None
        Of the two-qubit gate.
    memory_error : float
        Depolarising probability of a qubit that idles during one layer (Quantinuum's figure); 0 where T1 and T2 say it.
    rep_delay : float
        Pause between shots.
    max_shots, max_circuits, max_executions : int or None
        Limits of one job: shots of a circuit, circuits, and their product; None where there is none known.

    Examples
    --------
    >>> profile = load_profile("ibm_torino")
    >>> profile.n_qubits, profile.two_qubit_gate
    (133, 'cz')
    """

    name: str
    vendor: str
    processor: str
    n_qubits: int
    snapshot: str
    source: str
    licence: str
    one_qubit_gate: str
    two_qubit_gate: str
    edges: tuple[tuple[int, int], ...] | None
    t1: tuple[float, ...]
    t2: tuple[float, ...]
    error_1q: tuple[float, ...]
    duration_1q: tuple[float, ...]
    readout_p10: tuple[float, ...]
    readout_p01: tuple[float, ...]
    duration_readout: tuple[float, ...]
    error_2q: tuple[float, ...]
    duration_2q: tuple[float, ...]
    memory_error: float = 0.0
    rep_delay: float = math.nan
    max_shots: int | None = None
    max_circuits: int | None = None
    max_executions: int | None = None


def profile_names() -> list[str]:
    """Return the names of the bundled profiles, sorted.

    Examples
    --------
    >>> "ibm_torino" in profile_names()
    True
    """
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def load_profile(name: str) -> DeviceProfile:
    """Return a bundled profile by name, or one from a JSON file.

    Parameters
    ----------
    name : str
        A name from :func:`profile_names`, or the path of a file with the fields of :class:`DeviceProfile`; null is "not known".

    Raises
    ------
    InputError
        For an unknown name, and a file that is not as above.

    Examples
    --------
    >>> load_profile("ibm_torino").vendor
    'IBM'
    """
    bundled = _FOLDER / f"{name}.json"
    if "/" not in name and bundled.is_file():
        return _read(bundled)
    path = Path(name)
    if path.suffix != ".json" or not path.is_file():
        do = f"choose one of {', '.join(profile_names())}, or name a .json file"
        raise InputError(explanation("profile", "a device profile's name or file was wanted", repr(name), do))
    return _read(path)


@cache
def _read(path: Path) -> DeviceProfile:
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(plain, value))
        return math.nan if value is None else value

    document: dict[str, Any] = json.loads(path.read_text())
    optional = {"edges", "max_shots", "max_circuits", "max_executions"}
    known = {field.name for field in fields(DeviceProfile)} & document.keys()
    values: dict[str, Any] = {key: None if document[key] is None and key in optional else plain(document[key]) for key in known}
    return DeviceProfile(**values)
