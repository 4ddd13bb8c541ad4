# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How long a shot takes where a device's calibration data do not say: published durations, each with its source.

They are for time and money only. Noise never reads them: they come from other sources than the error rates, some from another
generation of the machine, and what waiting does to an ion is in the calibration's memory error already.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

from flashket.errors import InputError, explanation

_SECONDS = ("pulse", "pair", "layer", "readout", "reset", "pause")


@dataclass(frozen=True)
class TimeModel:
    """The durations of one device, seconds; NaN stands for what no source says.

    A shot takes ``reset + gates + readout + pause``, or, where ``layer`` is known, ``max(1, layers) * layer`` and nothing else.

    Parameters
    ----------
    source, as_of : str
        Where the numbers were published, and its ISO date.
    note : str
        What they leave out, and whether they are those of another machine.
    pulse, pair : float
        Of a one-qubit pulse and a two-qubit gate.
    layer : float
        Of a layer of two-qubit gates with everything that belongs to it: transport, cooling, preparation and readout.
    readout, reset, pause : float
        Of a measurement, of preparing the qubits, and between shots.
    gates_at_once : int or None
        How many gates the device runs at the same time; None for as many as there are free qubits.

    Raises
    ------
    InputError
        If a field is not as above; the text names it.

    Examples
    --------
    >>> TIME_MODELS["IonQ Forte"].pair
    0.00097
    """

    source: str
    as_of: str
    note: str = ""
    pulse: float = math.nan
    pair: float = math.nan
    layer: float = math.nan
    readout: float = math.nan
    reset: float = math.nan
    pause: float = math.nan
    gates_at_once: int | None = None

    def __post_init__(self) -> None:
        for field in ("source", "as_of", "note"):
            _check(isinstance(getattr(self, field), str), field, "text", getattr(self, field))
        _check(bool(self.source), "source", "where the durations were published", "''")
        try:
            date.fromisoformat(self.as_of)
        except ValueError:
            _check(False, "as_of", "a date YYYY-MM-DD", self.as_of)
        for field in _SECONDS:
            value = getattr(self, field)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            _check(is_number and (math.isnan(value) or 0 <= value < math.inf), field, "seconds, or null for not known", value)
        at_once = self.gates_at_once
        is_count = isinstance(at_once, int) and not isinstance(at_once, bool) and at_once >= 1
        _check(at_once is None or is_count, "gates_at_once", "a positive integer, or null for no limit", at_once)

    def __str__(self) -> str:
        return f"{self.source}, {self.as_of}" + (f": {self.note}" if self.note else "")


def _check(is_good: bool, field: str, wanted: str, got: object) -> None:
    if not is_good:
        raise InputError(explanation("profile", f"timing.{field} must be {wanted}", repr(got), "correct the profile"))


def parse_time_model(value: Any) -> TimeModel | None:
    """Return the time model that a profile's JSON holds, None for null.

    Raises
    ------
    InputError
        If it is not an object, lacks source or date, has an unknown field, or a value is wrong.

    Examples
    --------
    >>> parse_time_model({"source": "data sheet", "as_of": "2026-01-31", "pair": 2e-4}).pair
    0.0002
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InputError(explanation("profile", "timing must be an object, or null", type(value).__name__, "correct the profile"))
    known = [field.name for field in fields(TimeModel)]
    for name in value.keys() - set(known):
        raise InputError(explanation("profile", f"fields of timing must be among {', '.join(known)}", repr(name), "correct the profile"))
    for name in ("source", "as_of"):
        _check(name in value, name, "given", None)
    given: dict[str, Any] = {name: math.nan if item is None and name in _SECONDS else item for name, item in value.items()}
    return TimeModel(**given)


def time_model_fields(model: TimeModel) -> dict[str, Any]:
    """Return the fields that a profile's JSON keeps: those that say something.

    Examples
    --------
    >>> time_model_fields(TimeModel("data sheet", "2026-01-31", pair=2e-4))
    {'source': 'data sheet', 'as_of': '2026-01-31', 'pair': 0.0002}
    """
    return {name: value for name, value in asdict(model).items() if value not in ("", None) and value == value}


_MQT = "mqt-bench 2.3.0 (MIT), mqt/bench/targets/devices/"
_MQT_DATE = "2026-09-12"
_SYCAMORE = "Arute et al., Nature 574, 505: about 200 s to sample a circuit on Sycamore a million times"
_SYCAMORE_DATE = "2019-10-23"

TIME_MODELS = {
    "Quantinuum": TimeModel(
        "Helios paper, arXiv:2511.05465, section II: 55 ms a layer, ten layers of random pairs on all 98 qubits, divided by ten",
        "2025-11-07",
        "layers of Helios, the faster successor, nearly all of it transport and cooling; H1 and H2 publish no such time in the open, so "
        "this is an order of magnitude. Few qubits need less than a full register",
        layer=55e-3,
    ),
    "IonQ Aria": TimeModel(
        _MQT + "ionq.py, gates as in Azure Quantum's documentation of 2026-01-13; reset of mqt.bench 1.1.1 of 2024-04-11",
        _MQT_DATE,
        "gates one after another, the most that a single chain of ions can take; cooling between shots is not included",
        pulse=135e-6,
        pair=600e-6,
        readout=300e-6,
        reset=20e-6,
        gates_at_once=1,
    ),
    "IonQ Forte": TimeModel(
        _MQT + "ionq.py",
        _MQT_DATE,
        "gates one after another, the most that a single chain of ions can take; preparation and cooling between shots are not included",
        pulse=130e-6,
        pair=970e-6,
        readout=150e-6,
        gates_at_once=1,
    ),
    "IQM": TimeModel(
        _MQT + "iqm.py, IQM Crystal 20 and 54",
        _MQT_DATE,
        "undated typical figures; gates only where the profile has none",
        pulse=42e-9,
        pair=130e-9,
        readout=15e-6,
    ),
    "Rigetti": TimeModel(
        "Azure Quantum's documentation of Rigetti, as long as it listed Aspen-M",
        "2024-01-18",
        "gates of Aspen-M, an older generation",
        pulse=40e-9,
        pair=180e-9,
    ),
    "Google Sycamore": TimeModel(_SYCAMORE, _SYCAMORE_DATE, "gates and readout, a few us, count once more", pause=200e-6),
    "Google Willow": TimeModel(_SYCAMORE, _SYCAMORE_DATE, "of Sycamore, the generation before; Willow's is not published", pause=200e-6),
}
"""By machine; devices of the same kind share one."""
