# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Providers, one file each; a file is imported when its backend is asked for."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from flashket.errors import InputError, explanation
from flashket.qpu.adapters._base import Adapter, Batch, Limits, Result, TransientError

__all__ = ["Adapter", "AdapterInfo", "Batch", "Limits", "Result", "TransientError", "list_adapters", "open_adapter", "wrap"]


@dataclass(frozen=True)
class AdapterInfo:
    """One row of ``flashket qpu list``.

    Parameters
    ----------
    pattern : str
        The names that :func:`open_adapter` takes.
    what : str
        What runs the circuits.
    extra : str
        The extra that brings the package: ``pip install 'flashket[extra]'``; "" where none is needed.
    is_remote : bool
        Whether jobs leave this machine and may cost money.
    available : bool
        Whether package and credentials are here.
    reason : str
        Why it is not available, and what would change that.
    """

    pattern: str
    what: str
    extra: str
    is_remote: bool
    available: bool
    reason: str


# pattern, what, extra, the distribution it needs, whose credentials
_PATTERNS: tuple[tuple[str, str, str, str, str], ...] = (
    ("sim:<profile>", "own exact simulation of a device profile's noise", "", "", ""),
    ("sim:ideal", "own statevector simulation", "", "", ""),
    ("aer:<profile>", "Qiskit Aer with a device profile's noise", "ibm", "qiskit-aer", ""),
    ("aer:ideal", "Qiskit Aer without noise", "ibm", "qiskit-aer", ""),
    ("ibm:fake_<device>", "IBM's bundled snapshot of a device, run in local testing mode", "ibm", "qiskit-ibm-runtime", ""),
    ("ibm:<device>", "IBM Quantum through SamplerV2", "ibm", "qiskit-ibm-runtime", "ibm"),
    ("braket:local", "Amazon Braket's local state vector simulator (braket:local:dm: density matrix)", "braket", "amazon-braket-sdk", ""),
    ("braket:<sv1|dm1|tn1|arn>", "Amazon Braket's simulators and devices", "braket", "amazon-braket-sdk", "braket"),
    ("cirq:local", "Cirq's state vector simulator (cirq:local:dm: density matrix)", "cirq", "cirq-core", ""),
    ("cirq:<weber|rainbow|willow_pink>", "Google's virtual engine: noise of these processors, offline", "cirq", "cirq-google", ""),
    ("cirq:<processor>", "Google Quantum Engine", "cirq", "cirq-google", "cirq"),
    ("quantinuum:<device>LE", "pytket's local emulator, without noise", "quantinuum", "pytket-pecos", ""),
    ("quantinuum:<device>", "Quantinuum's devices and emulators through pytket and Nexus", "quantinuum", "qnexus", "quantinuum"),
    ("ionq:<simulator|qpu.device>", "IonQ's REST interface", "", "", "ionq"),
    ("iqm:<https address>", "An IQM server", "iqm", "iqm-client", "iqm"),
    ("pennylane:<device>", "Any PennyLane device, e.g. pennylane:default.qubit", "pennylane", "pennylane", ""),
)

_PROVIDERS = ("sim", "aer", "ibm", "braket", "cirq", "quantinuum", "ionq", "iqm", "pennylane")


def list_adapters(*, credentials: bool = True) -> list[AdapterInfo]:
    """Return every kind of QPU backend, absent ones too. Imports no SDK and connects to nothing.

    Parameters
    ----------
    credentials : bool
        Whether to look for them too, which may open the keyring.

    Examples
    --------
    >>> [row.available for row in list_adapters() if row.pattern == "sim:ideal"]
    [True]
    """
    from flashket.errors import BackendUnavailable
    from flashket.qpu.credentials import need_credential

    rows = []
    for pattern, what, extra, distribution, provider in _PATTERNS:
        reason = ""
        try:
            if distribution:
                metadata.version(distribution)
            if provider and credentials:
                need_credential(provider, pattern.partition(":")[0])
        except metadata.PackageNotFoundError:
            wanted = "pytket-quantinuum[pecos]" if distribution == "pytket-pecos" else f"flashket[{extra}]"
            reason = f"the package {distribution} is not installed: pip install '{wanted}'"
        except BackendUnavailable as error:
            reason = str(error)
        rows.append(AdapterInfo(pattern, what, extra, bool(provider), not reason, reason))
    return rows


def open_adapter(name: str, **options: Any) -> Adapter:
    """Return the adapter of a QPU backend.

    Parameters
    ----------
    name : str
        Provider and device, e.g. ``"sim:ibm_torino"``, ``"aer:ideal"``, ``"ibm:ibm_torino"``, ``"braket:sv1"``; see :func:`list_adapters`.
    **options
        What the provider's adapter takes, e.g. ``layout=`` for ``sim`` and ``aer``, ``instance=`` for ``ibm``.

    Returns
    -------
    Adapter
        Neither connected nor paid for.

    Raises
    ------
    InputError
        For a name or an option that is not known.
    BackendUnavailable
        Without the provider's package.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> from flashket.qpu import MeasuredCircuit
    >>> device = open_adapter("sim:ideal")
    >>> flip = MeasuredCircuit((Program(3, 0, (Gate("x", (0,)),)),), (2, 0))
    >>> device.result(device.submit(Batch((flip,), (100,), seed=1), "example")).counts
    ({2: 100},)
    """
    provider, _, target = name.partition(":")
    if provider not in _PROVIDERS or not target:
        do = f"choose one of {', '.join(pattern for pattern, *_ in _PATTERNS)}"
        raise InputError(explanation("open_adapter", "a QPU backend's name was wanted", repr(name), do))
    module = importlib.import_module(f"flashket.qpu.adapters.{provider}")
    try:
        made: Adapter = module.opened(target, **options)
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        raise InputError(explanation("open_adapter", f"options of {provider} were wanted", str(error).rpartition("argument ")[2])) from None
    return made


def wrap(device: Any) -> Adapter:
    """Return the adapter of a provider's object.

    Parameters
    ----------
    device : object
        A Qiskit BackendV2 or SamplerV2, a Braket Device, a Cirq Sampler, or a PennyLane device. Adapters are returned as they are.

    Raises
    ------
    InputError
        For any other object.

    Notes
    -----
    An object that is not known to simulate in this process counts as remote: it is used only within a budget.

    Examples
    --------
    ``fk.qpu.wrap(cirq.Simulator())``; :func:`flashket.gram` does it with an object given as ``backend``. Others are refused:

    >>> wrap("sim:ideal")
    Traceback (most recent call last):
    flashket.errors.InputError: [wrap] a Qiskit BackendV2 or SamplerV2, a Braket Device, ... got str: or name a backend, ...
    """
    if hasattr(device, "submit") and hasattr(device, "find") and hasattr(device, "is_remote"):
        adapter: Adapter = device
        return adapter
    # The object's own package is loaded already; ours for it is not.
    packages = {kind.__module__.partition(".")[0] for kind in type(device).__mro__}
    for package, module in (("qiskit", "ibm"), ("braket", "braket"), ("cirq", "cirq"), ("pennylane", "pennylane")):
        if package in packages:
            wrapped: Adapter = importlib.import_module(f"flashket.qpu.adapters.{module}").wrapped(device)
            return wrapped
    wanted = "a Qiskit BackendV2 or SamplerV2, a Braket Device, a Cirq Sampler or a PennyLane device was wanted"
    raise InputError(explanation("wrap", wanted, type(device).__name__, "or name a backend, e.g. open_adapter('sim:ideal')"))
