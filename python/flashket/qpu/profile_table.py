# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""The table of ``flashket qpu profiles``: every bundled device, its medians, and where they come from."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from flashket.qpu.hardware import crosstalk_factor
from flashket.qpu.profile import STALE_DAYS, DeviceProfile, load_profile, profile_names

_MICRO, _NANO = 1e-6, 1e-9
_HEADS = (
    *("device", "processor", "qubits", "faulty", "edges", "broken", "gate", "snapshot", "days", "T1 us", "T2 us"),
    *("1q error", "2q error", "2q best", "x layer", "readout", "1q ns", "2q ns", "readout ns", "rep us", "kind"),
)
_LEFT = (0, 1, 6, 7, 20)
_LEGEND = (
    "Medians over the device, 2q best the best pair; -: the source does not say. Errors of gates are average infidelities, decoherence "
    "during the gate inside; readout is the mean of reading 0 as 1 and 1 as 0. faulty: qubits that layouts do not use; broken: pairs whose "
    "gate is out of order; x layer: how many times worse two-qubit gates are when their neighbours run too.",
    "kind: measured = the vendor's calibration of the snapshot's date; a number marked m, or all where the kind is modelled, was derived "
    "or made up, as the notes above say. FlashKet measured none of them.",
    f"*: more than {STALE_DAYS} days old, or undated; calibrations drift within hours, so such a profile stands for the device's class.",
)


def profiles_command(arguments: argparse.Namespace) -> int:
    """Print the bundled profiles, or make them anew from the providers' installed packages.

    Reads ``arguments.refresh`` (bool) and ``arguments.out`` (folder or None: the package's own); returns the exit code, 1 if
    ``--refresh`` could make no profile of what is installed.

    Raises
    ------
    BackendUnavailable
        If ``--refresh`` finds no provider's package.
    InputError
        If the folder cannot be written, or is given without ``--refresh``.
    """
    if arguments.refresh:
        return _refresh(arguments.out)
    if arguments.out is not None:
        from flashket.errors import InputError, explanation

        raise InputError(explanation("qpu profiles", "--out is where --refresh writes", arguments.out, "add --refresh"))
    print(table([load_profile(name) for name in profile_names()], date.today()))
    return 0


def table(profiles: Sequence[DeviceProfile], today: date) -> str:
    """Return the profiles as the text that ``flashket qpu profiles`` prints.

    Parameters
    ----------
    profiles : sequence of DeviceProfile
        The rows.
    today : date
        What the age of the snapshots is counted from.

    Examples
    --------
    >>> from datetime import date
    >>> print(table([load_profile("ibm_torino")], date(2025, 3, 1)).splitlines()[1][:40].rstrip())
    ibm_torino  Heron r1      133       1
    """
    texts = [_HEADS, *(_cells(profile, today) for profile in profiles)]
    widths = [max(len(cells[column]) for cells in texts) for column in range(len(_HEADS))]
    lines = []
    for cells in texts:
        parts = [cell.ljust(width) if k in _LEFT else cell.rjust(width) for k, (cell, width) in enumerate(zip(cells, widths, strict=True))]
        lines.append("  ".join(parts).rstrip())
    lines.append("")
    sources: dict[str, list[str]] = {}
    for profile in profiles:
        package = profile.source.split(",")[0] or "a file without a source"
        text = f"{package} ({profile.licence or 'no licence given'}). {profile.notes}{_limits(profile)}"
        if profile.timing is not None:
            text += f" Durations for time and money alone: {profile.timing}."
        sources.setdefault(text, []).append(profile.name)
    for text, names in sources.items():
        lines += textwrap.wrap(f"{', '.join(names)}: {text}", 160, subsequent_indent="    ", break_on_hyphens=False)
    lines.append("")
    for text in _LEGEND:
        lines += textwrap.wrap(text, 160, subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines)


def _cells(profile: DeviceProfile, today: date) -> tuple[str, ...]:
    age = profile.age_days(today)
    is_modelled = {"error_1q", "error_2q", "t1"} <= set(profile.modelled)

    def cell(value: float, digits: str, *fields: str) -> str:
        mark = "m" if not is_modelled and set(fields) & set(profile.modelled) else ""
        return "-" if math.isnan(value) else f"{value:{digits}}{mark}"

    def time(field: str, unit: float) -> str:
        return cell(profile.median(field) / unit, ".0f" if unit == _NANO else ".1f", field)

    return (
        profile.name,
        profile.processor,
        str(profile.n_qubits),
        str(len(profile.faulty_qubits)),
        "all" if profile.edges is None else str(len(profile.edges)),
        str(len(profile.broken_edges)),
        profile.two_qubit_gate,
        (profile.snapshot or "undated") + ("*" if profile.is_stale(today) else ""),
        "-" if age is None else str(age),
        time("t1", _MICRO),
        time("t2", _MICRO),
        cell(profile.median("error_1q"), ".1e", "error_1q"),
        cell(profile.median("error_2q"), ".2e", "error_2q"),
        cell(profile.best("error_2q"), ".2e", "error_2q"),
        cell(crosstalk_factor(profile), ".2f"),
        cell(profile.median("readout_error"), ".1e", "readout_p10", "readout_p01"),
        time("duration_1q", _NANO),
        time("duration_2q", _NANO),
        time("duration_readout", _NANO),
        cell(profile.rep_delay / _MICRO, ".0f", "rep_delay"),
        "modelled" if is_modelled else "measured",
    )


def _limits(profile: DeviceProfile) -> str:
    limits = [
        f"{value:,} {what}"
        for value, what in (
            (profile.max_shots, "shots a circuit"),
            (profile.max_circuits, "circuits"),
            (profile.max_executions, "circuits times shots"),
        )
        if value is not None
    ]
    return f" A job takes at most {', '.join(limits)}." if limits else ""


def _refresh(folder: Path | None) -> int:
    from flashket.qpu.refresh import refresh

    done = refresh(folder) if folder is not None else refresh()
    lines = [f"{path}: {name}, {load_profile(path).snapshot or 'undated'}" for name, path in done.written.items()]
    lines += [f"read: {package}" for package in done.packages.values()]
    lines += [f"skipped {name}: {reason}" for name, reason in done.skipped.items()]
    lines += [
        f"not installed, so its profiles were left as they are: {package} (pip install {package})" for package in done.missing.values()
    ]
    print("\n".join(lines))
    return 0 if done.written else 1
