# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Making the bundled profiles from the calibration data inside the providers' Python packages.

One file a provider. Each reads its package's data files without importing the package: that takes seconds instead of minutes, and
works where the package's own optional dependencies are missing.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from importlib.metadata import PackageNotFoundError, distribution
from json import dumps
from pathlib import Path
from typing import Any

from flashket.errors import BackendUnavailable, InputError, explanation
from flashket.qpu.profile import DEVICES, PER_EDGE, PER_QUBIT, DeviceProfile
from flashket.qpu.timing import TimeModel, time_model_fields

PROVIDERS = {"ibm": "qiskit-ibm-runtime", "quantinuum": "pytket-quantinuum", "google": "cirq-google", "iqm": "iqm-client"}
"""Modules of this folder, and the package each reads."""

_DIGITS = 5
"""Significant digits that are kept: calibrations repeat to two."""


@dataclass(frozen=True)
class Refreshed:
    """What :func:`refresh` did.

    Parameters
    ----------
    written : dict of str to Path
        New files by profile name.
    packages : dict of str to str
        Package and version that each provider's profiles were made from.
    missing : dict of str to str
        Providers whose package is not installed, and that package.
    skipped : dict of str to str
        Profiles that an installed package has no data for, or data of another form, and why.
    """

    written: dict[str, Path]
    packages: dict[str, str]
    missing: dict[str, str]
    skipped: dict[str, str]


def refresh(folder: Path = DEVICES) -> Refreshed:
    """Write the profiles of every provider whose package is installed.

    Parameters
    ----------
    folder : Path
        Where the JSON files go; made if it is not there. By default the package's own, whose profiles are replaced.

    Raises
    ------
    BackendUnavailable
        If no provider's package is installed.
    InputError
        If the folder cannot be written.
    """
    done = Refreshed({}, {}, {}, {})
    for provider, package in PROVIDERS.items():
        try:
            installed = distribution(package)
        except PackageNotFoundError:
            done.missing[provider] = package
            continue
        module = importlib.import_module(f"{__name__}.{provider}")
        make: Callable[[str, Path, str], DeviceProfile] = module.make
        done.packages[provider] = f"{package} {installed.version}"
        for name in module.NAMES:
            try:
                profile = make(name, Path(str(installed.locate_file(""))), installed.version)
            except (OSError, LookupError, ValueError, TypeError, SyntaxError) as error:
                done.skipped[name] = f"{done.packages[provider]} has no data for it in the form that is known: {error!r}"
                continue
            done.written[name] = _write(folder, profile)
    if not done.packages:
        do = f"pip install {' '.join(PROVIDERS.values())}"
        raise BackendUnavailable(explanation("qpu profiles", "--refresh reads the providers' packages, and none is installed", None, do))
    return done


def profile_text(profile: DeviceProfile) -> str:
    """Return the profile as JSON: one field a line, five significant digits, one number where all qubits or edges have the same."""
    lines = []
    for field in fields(DeviceProfile):
        value: Any = getattr(profile, field.name)
        if field.default is not MISSING and (value == field.default or (isinstance(value, float) and math.isnan(value))):
            continue
        if isinstance(value, tuple) and (field.name in PER_QUBIT + PER_EDGE or field.name == "error_2q_parallel"):
            plain = [_plain(item) for item in value]
            value = plain[0] if len(set(plain)) == 1 else plain
        if isinstance(value, TimeModel):
            value = time_model_fields(value)
        lines.append(f"{dumps(field.name)}: {dumps(_plain(value), separators=(',', ':'), ensure_ascii=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")
    return [_plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def _write(folder: Path, profile: DeviceProfile) -> Path:
    path = folder / f"{profile.name}.json"
    temporary = path.with_suffix(".json.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(profile_text(profile), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        got = f"{path}: {error.strerror or error}"
        raise InputError(explanation("qpu profiles", "--out must be a folder that can be written", got, "name another folder")) from error
    return path
