# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Device profiles: what a QPU's calibration data says, as plain data. One JSON file each in devices/, made by flashket.qpu.refresh."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import date
from functools import cache, cached_property
from pathlib import Path
from statistics import median
from typing import Any, NoReturn

from flashket.errors import InputError, explanation
from flashket.qpu.timing import TimeModel, parse_time_model

DEVICES = Path(__file__).parent / "devices"
TWO_QUBIT_GATES = ("cz", "ecr", "cx", "rzz", "sqrt_iswap")
ONE_QUBIT_GATES = ("sx", "u")
"""What a turn about an axis in the equator costs: with "sx" a generic one-qubit gate takes two pulses between virtual RZ, with "u" one."""
PER_QUBIT = ("t1", "t2", "error_1q", "duration_1q", "readout_p10", "readout_p01", "duration_readout")
PER_EDGE = ("error_2q", "duration_2q")
FAULTY = 0.4
"""What fails this often is not used: IBM marks gates that are out of order with an error of 1, and a readout error of 0.5 says nothing."""
MAX_QUBITS = 10_000
STALE_DAYS = 180
"""Calibrations drift within hours; after so many days a profile describes the device's class rather than its state."""


@dataclass(frozen=True)
class DeviceProfile:
    """One device at one time.

    Per-qubit tuples have n_qubits entries; ``math.nan`` stands for what the source does not say. Times in seconds, errors as the
    average gate infidelity (what randomised benchmarking reports, with the decoherence during the gate inside), readout errors as
    probabilities.

    Parameters
    ----------
    name, vendor, processor : str
        E.g. "ibm_torino", "IBM", "Heron r1".
    n_qubits : int
        Qubits of the device.
    snapshot : str
        ISO date of the calibration data; "" where the source has none.
    source, licence : str
        Where the numbers come from, and under which licence.
    one_qubit_gate : str
        "sx" or "u": see ``ONE_QUBIT_GATES``.
    two_qubit_gate : str
        The native one: see ``TWO_QUBIT_GATES``.
    edges : tuple of (int, int), or None
        Pairs that have the two-qubit gate, and it works; None means every pair (trapped ions).
    t1, t2 : tuple of float, (n_qubits,)
        Relaxation times.
    error_1q, duration_1q : tuple of float, (n_qubits,)
        Of one pulse.
    readout_p10, readout_p01 : tuple of float, (n_qubits,)
        Probability to read 1 after preparing 0, and 0 after preparing 1.
    duration_readout : tuple of float, (n_qubits,)
        Of a measurement.
    error_2q, duration_2q : tuple of float, (len(edges),), or (1,) where edges is None
        Of the two-qubit gate, run alone where the source tells that apart.
    memory_error : float
        Depolarising probability of a qubit that idles during one layer of gates, that of replacing its state by the mixed one (from
        Quantinuum's figure); 0 where T1 and T2 say it.
    rep_delay : float
        Pause between shots.
    max_shots, max_circuits, max_executions : int or None
        Limits of one job: shots of a circuit, circuits, and their product; None where there is none known.
    notes : str
        How the numbers were converted, and what they leave out.
    modelled : tuple of str
        Fields whose numbers no one measured on this device; every other number is a measurement of the vendor's.
    labels : tuple of str, (n_qubits,), or ()
        The vendor's names of the qubits; () where they are 0, 1, ...
    broken_edges : tuple of (int, int)
        Pairs whose two-qubit gate is out of order; not among the edges.
    error_2q_parallel : tuple of float, (len(edges),), or None
        Of the two-qubit gate with its neighbours running too (crosstalk); None where the source does not say.
    layer_fidelity : tuple of (tuple of int, float)
        Lines of qubits, and the fidelity of the two layers of two-qubit gates that cover each, all gates of a layer at once
        (McKay et al., arXiv:2311.05933); () where the source does not say.
    timing : TimeModel or None
        Durations of another source, for time and money alone, where this one has none; noise does not read them.

    Raises
    ------
    InputError
        If a field is not as above; the text names it.

    Examples
    --------
    >>> profile = load_profile("ibm_torino")
    >>> profile.n_qubits, profile.two_qubit_gate, profile.has_edge(1, 0)
    (133, 'cz', True)
    >>> print(f"{profile.median('t1'):.1e} s, {profile.median('error_2q'):.2e}")
    1.8e-04 s, 4.08e-03
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
    notes: str = ""
    modelled: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    broken_edges: tuple[tuple[int, int], ...] = ()
    error_2q_parallel: tuple[float, ...] | None = None
    layer_fidelity: tuple[tuple[tuple[int, ...], float], ...] = ()
    timing: TimeModel | None = None

    def __post_init__(self) -> None:
        for field in ("name", "vendor", "processor", "snapshot", "source", "licence", "notes"):
            _check(isinstance(getattr(self, field), str), field, "text", getattr(self, field))
        _check(bool(self.name), "name", "a name", "''")
        _check(_is_count(self.n_qubits) and self.n_qubits <= MAX_QUBITS, "n_qubits", f"an integer from 1 to {MAX_QUBITS}", self.n_qubits)
        _check(not self.snapshot or _is_date(self.snapshot), "snapshot", "a date YYYY-MM-DD, or empty", self.snapshot)
        _check(self.one_qubit_gate in ONE_QUBIT_GATES, "one_qubit_gate", f"one of {ONE_QUBIT_GATES}", self.one_qubit_gate)
        _check(self.two_qubit_gate in TWO_QUBIT_GATES, "two_qubit_gate", f"one of {TWO_QUBIT_GATES}", self.two_qubit_gate)
        self._check_edges()
        n_edges = 1 if self.edges is None else len(self.edges)
        for field in PER_QUBIT:
            _check_numbers(field, getattr(self, field), self.n_qubits)
        for field in PER_EDGE:
            _check_numbers(field, getattr(self, field), n_edges)
        if self.error_2q_parallel is not None:
            _check_numbers("error_2q_parallel", self.error_2q_parallel, n_edges)
        _check_numbers("memory_error", (self.memory_error,), 1)
        _check_numbers("rep_delay", (self.rep_delay,), 1)
        for field in ("max_shots", "max_circuits", "max_executions"):
            value = getattr(self, field)
            _check(value is None or _is_count(value), field, "a positive integer, or null for no limit", value)
        _check(self.timing is None or isinstance(self.timing, TimeModel), "timing", "a TimeModel, or None", self.timing)

    def _check_descriptions(self) -> None:
        """Check what nothing is computed from. Only files are held to it: what code makes of a part of a device may keep the whole's."""
        known = (*PER_QUBIT, *PER_EDGE, "memory_error", "rep_delay")
        for field in ("broken_edges", "modelled", "labels", "layer_fidelity"):
            _check(isinstance(getattr(self, field), tuple), field, "a list", getattr(self, field))
        for edge in self.broken_edges:
            _check(self._is_pair(edge), "broken_edges", f"pairs of different qubits in 0..{self.n_qubits - 1}", edge)
            _check(edge not in self._edge_indices, "broken_edges", "pairs that are not among the edges", edge)
        _check(all(field in known for field in self.modelled), "modelled", f"names among {', '.join(known)}", self.modelled)
        is_named = all(isinstance(label, str) for label in self.labels) and len(self.labels) == self.n_qubits == len(set(self.labels))
        _check(is_named or not self.labels, "labels", f"{self.n_qubits} different names, or none", len(self.labels))
        for item in self.layer_fidelity:
            _check(isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], tuple), "layer_fidelity", "pairs (line, value)", item)
            line, fidelity = item
            is_line = all(_is_index(q, self.n_qubits) for q in line) and len(set(line)) == len(line)
            _check(is_line, "layer_fidelity", f"lines of different qubits in 0..{self.n_qubits - 1}", line)
            _check_numbers("layer_fidelity", (fidelity,), 1)

    def _check_edges(self) -> None:
        _check(self.edges is None or isinstance(self.edges, tuple), "edges", "a list of pairs, or null for every pair", self.edges)
        seen = set()
        for edge in self.edges or ():
            _check(self._is_pair(edge), "edges", f"pairs of different qubits in 0..{self.n_qubits - 1}", edge)
            _check(frozenset(edge) not in seen, "edges", "each pair once, in either order", edge)
            seen.add(frozenset(edge))

    def _is_pair(self, edge: object) -> bool:
        return isinstance(edge, tuple) and len(edge) == 2 and all(_is_index(q, self.n_qubits) for q in edge) and edge[0] != edge[1]

    @cached_property
    def _edge_indices(self) -> dict[tuple[int, int], int]:
        edges = self.edges or ()
        return {pair: index for index, (a, b) in enumerate(edges) for pair in ((a, b), (b, a))}

    @cached_property
    def faulty_qubits(self) -> frozenset[int]:
        """Qubits that are not used: a gate or readout error of ``FAULTY`` or more, or no number where the others have one."""
        bad = {q for q in range(self.n_qubits) if self.error_1q[q] >= FAULTY or (self.readout_p10[q] + self.readout_p01[q]) / 2 >= FAULTY}
        for field in ("t1", "t2", "error_1q", "readout_p10", "readout_p01"):
            values = getattr(self, field)
            missing = {q for q, value in enumerate(values) if math.isnan(value)}
            if len(missing) < self.n_qubits:
                bad |= missing
        return frozenset(bad)

    @cached_property
    def good_qubits(self) -> tuple[int, ...]:
        """The other qubits, in order."""
        return tuple(q for q in range(self.n_qubits) if q not in self.faulty_qubits)

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """For each qubit the qubits it has a working two-qubit gate with, in order; good qubits only."""
        if self.edges is None:
            return tuple(() if a in self.faulty_qubits else tuple(b for b in self.good_qubits if b != a) for a in range(self.n_qubits))
        found: list[list[int]] = [[] for _ in range(self.n_qubits)]
        is_known = any(not math.isnan(error) for error in self.error_2q)
        for (a, b), error in zip(self.edges, self.error_2q, strict=True):
            is_faulty = error >= FAULTY or (is_known and math.isnan(error))
            if not is_faulty and not {a, b} & self.faulty_qubits:
                found[a].append(b)
                found[b].append(a)
        return tuple(tuple(sorted(others)) for others in found)

    def has_edge(self, a: int, b: int) -> bool:
        """Return whether the two qubits share a two-qubit gate, in either order.

        Examples
        --------
        >>> load_profile("quantinuum_h2-1").has_edge(3, 55)
        True
        """
        if self.edges is None:
            return a != b and _is_index(a, self.n_qubits) and _is_index(b, self.n_qubits)
        return (a, b) in self._edge_indices

    def edge_index(self, a: int, b: int) -> int:
        """Return where ``error_2q`` and ``duration_2q`` describe the gate on these two qubits; 0 where all pairs are alike.

        Raises
        ------
        InputError
            If the device has no gate there.
        """
        if not self.has_edge(a, b):
            do = "route the gate, or choose another layout"
            raise InputError(explanation("profile", f"two coupled qubits of {self.name} were wanted", (a, b), do))
        return 0 if self.edges is None else self._edge_indices[a, b]

    def is_connected(self, qubits: Sequence[int]) -> bool:
        """Return whether these qubits, and their working two-qubit gates alone, hang together."""
        left = set(qubits)
        border = [left.pop()] if left else []
        while border:
            reached = left.intersection(self.neighbours[border.pop()])
            left -= reached
            border.extend(reached)
        return not left

    def median(self, field: str) -> float:
        """Return the median of a field over the qubits or edges that have a number, NaN where none has.

        Parameters
        ----------
        field : str
            A field that is a tuple of numbers, or "readout_error", the mean of a qubit's two readout errors.
        """
        values = [value for value in self._numbers(field) if not math.isnan(value)]
        return float(median(values)) if values else math.nan

    def best(self, field: str) -> float:
        """Return the smallest number of a field (see :meth:`median`), NaN where there is none."""
        return min((value for value in self._numbers(field) if not math.isnan(value)), default=math.nan)

    def _numbers(self, field: str) -> Sequence[float]:
        if field == "readout_error":
            return [(p10 + p01) / 2 for p10, p01 in zip(self.readout_p10, self.readout_p01, strict=True)]
        fields = (*PER_QUBIT, *PER_EDGE, "error_2q_parallel")
        if field not in fields:
            raise InputError(explanation("profile", f"field must be readout_error or one of {', '.join(fields)}", repr(field)))
        values: tuple[float, ...] | None = getattr(self, field)
        return values or ()

    def age_days(self, today: date) -> int | None:
        """Return the days since the snapshot, None where that is not known."""
        return (today - date.fromisoformat(self.snapshot)).days if self.snapshot else None

    def is_stale(self, today: date) -> bool:
        """Return whether the snapshot is older than ``STALE_DAYS``, or its date is not known."""
        age = self.age_days(today)
        return age is None or age > STALE_DAYS


def _check(is_good: bool, field: str, wanted: str, got: object) -> None:
    if not is_good:
        _refuse(field, wanted, got)


def _refuse(field: str, wanted: str, got: object) -> NoReturn:
    raise InputError(explanation("profile", f"{field} must be {wanted}", got, "correct the profile"))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_index(value: object, n: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < n


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _check_numbers(field: str, values: object, n: int) -> None:
    """Refuse what is not n numbers (NaN: not known): probabilities, or times of zero or more; relaxation times above zero."""
    if not isinstance(values, tuple) or len(values) != n:
        _refuse(field, f"{n} numbers, or one for all", len(values) if isinstance(values, (tuple, list)) else values)
    is_time = field in ("t1", "t2", "rep_delay") or field.startswith("duration")
    for index, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            _refuse(f"{field}[{index}]", "a number, or null for not known", repr(value))
        if is_time and (value < 0 or math.isinf(value) or (value == 0 and field in ("t1", "t2"))):
            _refuse(f"{field}[{index}]", f"{'more than' if field in ('t1', 't2') else 'at least'} 0 seconds", value)
        if not is_time and (value < 0 or value > 1):
            _refuse(f"{field}[{index}]", "a probability from 0 to 1", value)


def profile_names() -> list[str]:
    """Return the names of the bundled profiles, sorted.

    Examples
    --------
    >>> "ibm_torino" in profile_names()
    True
    """
    return sorted(path.stem for path in DEVICES.glob("*.json"))


def load_profile(name: str | Path) -> DeviceProfile:
    """Return a bundled profile by name, or one from a JSON file.

    A file is an object with the fields of :class:`DeviceProfile`. Name, n_qubits, the gates, edges, error_1q, error_2q and the readout
    errors must be there. One number stands for all qubits or edges; null, or a time that is left out, is "not known".

    Parameters
    ----------
    name : str or Path
        A name from :func:`profile_names`, or the path of a .json file.

    Raises
    ------
    InputError
        For an unknown name, and a file that is not as above; the text names the field.

    Examples
    --------
    >>> load_profile("ibm_torino").vendor
    'IBM'
    """
    if name in profile_names():
        return _bundled(str(name))
    path = Path(name) if isinstance(name, (str, Path)) else Path()
    if path.suffix != ".json":
        do = f"choose one of {', '.join(profile_names())}, or name a .json file"
        raise InputError(explanation("profile", "a device profile's name or file was wanted", repr(str(name)), do))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(explanation("profile", f"{path} must be a file that can be read", error.strerror or error)) from error
    except ValueError as error:  # not UTF-8, or no file can have such a name
        raise InputError(explanation("profile", f"{str(path)!r} must be a UTF-8 text file", error)) from error
    return parse_profile(text)


@cache
def _bundled(name: str) -> DeviceProfile:
    return parse_profile((DEVICES / f"{name}.json").read_text(encoding="utf-8"))


def parse_profile(text: str) -> DeviceProfile:
    """Return the profile that a JSON text describes (see :func:`load_profile`).

    Raises
    ------
    InputError
        If it is not JSON, lacks a field, has an unknown one, or a value is wrong.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(explanation("profile", "a profile must be JSON", error)) from error
    if not isinstance(document, dict):
        raise InputError(explanation("profile", "a profile must be a JSON object", type(document).__name__))
    known = {field.name: field for field in fields(DeviceProfile)}
    for key in document.keys() - known.keys():
        _refuse(repr(key), "left out: no field of a profile has this name", None)
    defaults: dict[str, Any] = {"vendor": "", "processor": "", "snapshot": "", "source": "", "licence": ""}
    defaults |= dict.fromkeys(("t1", "t2", "duration_1q", "duration_readout", "duration_2q"))
    for key, field in known.items():
        if key not in document and key not in defaults and field.default is MISSING:
            _refuse(key, "given", "nothing")
    values = defaults | document
    n_qubits, edges = values["n_qubits"], values["edges"]
    if not _is_count(n_qubits) or n_qubits > MAX_QUBITS:
        _refuse("n_qubits", f"an integer from 1 to {MAX_QUBITS}", n_qubits)
    n_edges = len(edges) if isinstance(edges, list) else 1
    counts = dict.fromkeys(PER_QUBIT, n_qubits) | dict.fromkeys(PER_EDGE, n_edges)
    if values.get("error_2q_parallel") is not None:
        counts["error_2q_parallel"] = n_edges
    for key, n in counts.items():
        values[key] = _numbers(values[key], n)
    if values.get("rep_delay", 0) is None:
        values["rep_delay"] = math.nan
    for key in ("edges", "broken_edges", "modelled", "labels", "layer_fidelity"):
        if key in values and values[key] is not None:
            values[key] = _tuples(values[key])
    if "timing" in values:
        values["timing"] = parse_time_model(values["timing"])
    profile = DeviceProfile(**values)
    profile._check_descriptions()
    return profile


def _numbers(value: Any, n: int) -> Any:
    """Turn a list into a tuple with NaN for null, and one number (or null) into n of them; leave the rest for the check."""
    if isinstance(value, list):
        return tuple(math.nan if item is None else item for item in value)
    if value is None or isinstance(value, (int, float)):
        return (math.nan if value is None else value,) * n
    return value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
