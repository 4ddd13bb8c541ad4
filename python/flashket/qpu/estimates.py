# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a Gram matrix would cost on every device: the table of ``flashket estimate``. Nothing is sent and nothing is run."""

from __future__ import annotations

import argparse
import math
import operator
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from flashket.errors import InputError, explanation
from flashket.kernels import Fidelity, HadamardTest, Kernel, Projected
from flashket.program import TWO_QUBIT
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.compile import compile_circuit
from flashket.qpu.cost import Cost, cost_of_work, count_on
from flashket.qpu.native import NativeCircuit
from flashket.qpu.offers import PricedDevice, device_names, find_device, offers_for
from flashket.qpu.profile import DeviceProfile
from flashket.qpu.workload import CircuitCounts, Work, count_circuit

_COMPILED = (10, 150)
"""Qubits and two-qubit gates (as written) up to which circuits are compiled for every device at once, which takes 2 s."""
_LARGEST = 2**31 - 1
"""Rows, and shots: no device takes more."""
_COMPILED_NAMED = 5000
"""Two-qubit gates up to which they are compiled for devices that are asked for by name."""


@dataclass(frozen=True)
class DeviceEstimate:
    """One device's row.

    Parameters
    ----------
    device : str
        Its name.
    kind : str
        "modelled" or "list-price": see :class:`flashket.qpu.cost.Cost`.
    calibration : str
        Date of the calibration data; "" for a device of which only the price is known.
    counts : CircuitCounts or None
        Of one circuit; None where the device cannot run it.
    cost : Cost or None
        Of the whole matrix.
    fidelity : float
        Expected: the product over one circuit's pulses, two-qubit gates and measurements of what each leaves whole; nan without
        calibration data.
    reason : str
        Why the device cannot run the circuits, "" if it can.
    notes : tuple of str
        What was assumed, beside the cost's notes.
    """

    device: str
    kind: str
    calibration: str
    counts: CircuitCounts | None
    cost: Cost | None
    fidelity: float
    reason: str = ""
    notes: tuple[str, ...] = ()


def estimate(
    kernel: Kernel,
    n: int,
    shots: int,
    devices: Sequence[str | DeviceProfile] | None = None,
    *,
    m: int | None = None,
    provider: str | Sequence[str] | None = None,
    today: date | None = None,
) -> list[DeviceEstimate]:
    """Say what a Gram matrix would take on devices: circuits, gates, QPU seconds, dollars, expected fidelity.

    Parameters
    ----------
    kernel : Kernel
        Fidelity (compute-uncompute), HadamardTest (an ancilla) or Projected (N circuits in three bases).
    n, m : int
        Rows, and other rows; without m the Gram matrix of n rows with themselves, each pair once.
    shots : int
        Of each circuit.
    devices : sequence of str or DeviceProfile, optional
        By default every profile and every device that has a price.
    provider : str or sequence of str, optional
        How to buy, where a device is sold that way, e.g. "flex"; see :func:`flashket.qpu.estimate_cost`. The others are bought the usual
        way.
    today : datetime.date, optional
        When prices are looked at; by default the clock's date.

    Returns
    -------
    list of DeviceEstimate
        One a device, in the order asked for. A device that is too small has a ``reason`` instead of costs.

    Raises
    ------
    InputError
        For controls, which have no circuits, unknown devices, numbers that are not positive, and ways to buy that are unknown or sell none
        of the devices.

    Notes
    -----
    Gates are those of one circuit with arbitrary angles, compiled for a profile's qubits and their connections. They are counted as
    written, as if every pair of qubits were connected, for devices of which only the price is known, and for wide circuits (more than 10
    qubits or 150 two-qubit gates) unless ``devices`` are named; notes say so.

    Examples
    --------
    >>> import flashket as fk
    >>> rows = estimate(fk.Fidelity(fk.ZZ(6, reps=1, entanglement="linear")), 20, 1000, ["ibm_torino", "iqm_garnet"])
    >>> [(row.device, row.cost.circuits, round(row.cost.usd)) for row in rows]
    [('ibm_torino', 190, 110), ('iqm_garnet', 190, 332)]
    """
    n, shots = _positive("n", n), _positive("shots", shots)
    m = None if m is None else _positive("m", m)
    example, n_circuits = _demand(kernel, n, m)
    found = [find_device(device) for device in (device_names() if devices is None else devices)]
    written = [gate for part in example.parts for gate in part.gates if gate.name in TWO_QUBIT]
    small = example.n_qubits <= _COMPILED[0] and len(written) <= _COMPILED[1]
    compiles = small if devices is None else len(written) <= _COMPILED_NAMED
    plans = offers_for([provider] if isinstance(provider, str) else provider or (), found)
    return [_row(device, example, n_circuits, shots, compiles, plan, today) for device, plan in zip(found, plans, strict=True)]


def estimate_command(arguments: argparse.Namespace) -> int:
    """Print what a Gram matrix would cost on every device; nothing is sent.

    Reads ``arguments.kernel``, ``.n``, ``.shots``, ``.qpu`` (a list, empty for all devices) and ``.plan`` (a list, empty for the usual
    ones); returns the exit code.
    """
    from flashket.spec import parse_spec

    kernel = parse_spec(arguments.kernel)
    print(table(kernel, estimate(kernel, arguments.n, arguments.shots, arguments.qpu or None, provider=arguments.plan)))
    return 0


def table(kernel: Kernel, rows: Sequence[DeviceEstimate]) -> str:
    """Return rows as the text that ``flashket estimate`` prints."""
    able = [row for row in rows if row.cost is not None and row.counts is not None]
    lines = []
    if able:
        first = able[0].cost
        assert first is not None
        shots = first.executions // first.circuits
        lines.append(f"{kernel!r}: {first.circuits:,} circuits of {shots:,} shots. Estimated, nothing was run.")
        times, money = ("duration", "QPU time"), ("plan", "USD", "worst", "HQC")
        heads = ("device", "2q", "depth", *times, *money, "fidelity", "kind", "price of", "calibrated")
        texts = [heads, *(_cells(row) for row in able)]
        widths = [max(len(cells[column]) for cells in texts) for column in range(len(heads))]
        left = (0, 5, 10, 11, 12)
        for cells in texts:
            parts = [
                cell.ljust(width) if k in left else cell.rjust(width) for k, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ]
            lines.append("  ".join(parts).rstrip())
    lines += [f"{row.device}: not possible, {row.reason}" for row in rows if row.reason]
    notes: dict[str, list[str]] = {}
    for row in able:
        assert row.cost is not None
        for note in (*row.notes, *row.cost.notes):
            notes.setdefault(note, []).append(row.device)
    if notes:
        lines.append("")
    for note, names in notes.items():
        where = "all" if len(names) == len(able) > 1 else ", ".join(names)
        lines += textwrap.wrap(f"{where}: {note}", 140, subsequent_indent="    ", break_on_hyphens=False)
    lines += ["", *_LEGEND] if able else []
    return "\n".join(lines)


_LEGEND = (
    "2q, depth, duration: of one circuit, its two-qubit gates, those that follow each other, and the modelled time to the measurement.",
    "QPU time: modelled, also where something else is charged, and the least that a caller waits. Queue, network and loading of circuits",
    "    are not in it, as nobody publishes them.",
    "USD and worst: list prices of the date beside them, * if older than 180 days or undated; worst is what a budget reserves.",
    "fidelity: product of what gates and measurements leave whole, by the calibration data of the date beside it; - without such data.",
    "kind: list-price = from counted tasks and shots; modelled = from modelled time or gates too.",
)


def _positive(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise InputError(explanation("estimate", f"{name} must be a positive integer", repr(value)))
    if number > _LARGEST:
        raise InputError(explanation("estimate", f"{name} must be at most {_LARGEST:,}", "a larger one"))
    return number


def _demand(kernel: Kernel, n: int, m: int | None) -> tuple[MeasuredCircuit, int]:
    """Return one circuit of a kernel's usual estimator, and how many there are."""
    from flashket.qpu.estimators import ComputeUncompute, Estimator, Hadamard, LocalBloch

    kinds: tuple[tuple[type[Kernel], type[Estimator]], ...] = (
        (Fidelity, ComputeUncompute),
        (HadamardTest, Hadamard),
        (Projected, LocalBloch),
    )
    usual = next((estimator for kind, estimator in kinds if isinstance(kernel, kind)), None)
    if usual is None:
        raise InputError(explanation("estimate", "kernel must have circuits", repr(kernel), "controls are classical"))
    estimator = usual(kernel)
    circuits = estimator.demand(n, m).n_circuits
    if circuits < 1:
        raise InputError(explanation("estimate", "n must leave something to measure", n, "the diagonal is 1 without a QPU"))
    return estimator.example(), circuits


def _row(
    device: DeviceProfile | PricedDevice,
    circuit: MeasuredCircuit,
    n_circuits: int,
    shots: int,
    compiles: bool,
    provider: str | None,
    today: date | None,
) -> DeviceEstimate:
    calibration = device.snapshot if isinstance(device, DeviceProfile) else ""

    def refused(reason: str) -> DeviceEstimate:
        return DeviceEstimate(device.name, "modelled", calibration, None, None, math.nan, reason)

    if circuit.n_qubits > device.n_qubits:
        return refused(f"circuits have {circuit.n_qubits} qubits, the device {device.n_qubits}")
    notes: list[str] = []
    fidelity = math.nan
    compiled: MeasuredCircuit | NativeCircuit = circuit
    if isinstance(device, PricedDevice):
        notes += [device.note] if device.note else []
    elif compiles:
        try:
            compiled = compile_circuit(circuit, device)
        except InputError as error:
            return refused(str(error))
        fidelity = native_fidelity(compiled)
    counts = count_on(device, compiled)
    if compiled is circuit and not _is_all_to_all(device):
        notes.append("gates counted without routing" + ("" if isinstance(device, PricedDevice) else "; --qpu NAME compiles"))
    if compiled is circuit and isinstance(device, DeviceProfile):
        fidelity = expected_fidelity(device, counts)
        notes.append("fidelity from the device's median errors")
    cost = cost_of_work(device, [Work(counts, n_circuits, shots)], provider=provider, today=today)
    return DeviceEstimate(device.name, cost.kind, calibration, counts, cost, fidelity, "", tuple(notes))


def _is_all_to_all(device: DeviceProfile | PricedDevice) -> bool:
    return device.is_all_to_all if isinstance(device, PricedDevice) else device.edges is None


def native_fidelity(native: NativeCircuit) -> float:
    """Return what a circuit on its qubits leaves whole: the product over pulses, two-qubit gates, layers of waiting and measurements.

    Process fidelities, 1 - 3/2 e of a pulse and 1 - 5/4 e of a two-qubit gate with average infidelity e; 1 - (p10 + p01) / 2 of a
    measurement. What the profile does not know of a qubit counts as its median; nan if it knows none.

    Examples
    --------
    >>> import flashket as fk
    >>> from flashket.qpu import compile_pair, load_profile
    >>> native = compile_pair(fk.ZZ(6, reps=1, entanglement="linear").program(), load_profile("ibm_torino"))
    >>> 0.5 < native_fidelity(native) < 0.9
    True
    """
    profile = native.profile
    readout = [a + b for a, b in zip(profile.readout_p10, profile.readout_p01, strict=True)]
    logs = sum(_log(_known(readout, native.qubits[wire]), 0.5) for wire in native.measured)
    for part in native.parts:
        for gate, pulses in zip(part.program.gates, part.pulses, strict=True):
            if pulses and len(gate.qubits) == 2:
                logs += pulses * _log(_known(profile.error_2q, native.edge(gate.qubits[0], gate.qubits[1])), 1.25)
            elif pulses:
                logs += pulses * _log(_known(profile.error_1q, native.qubits[gate.qubits[0]]), 1.5)
    if profile.memory_error:
        counts = count_circuit(native, profile.one_qubit_gate, profile.two_qubit_gate, 0.0, 0.0)
        logs += (counts.n_qubits * counts.depth_2q - 2 * counts.n_2q) * _log(profile.memory_error, 1.5)
    return math.exp(logs)


def expected_fidelity(profile: DeviceProfile, counts: CircuitCounts) -> float:
    """Return the same product with a device's median errors, as a layout avoids the few bad qubits.

    Examples
    --------
    >>> from flashket.qpu.profile import load_profile
    >>> 0.5 < expected_fidelity(load_profile("ibm_torino"), CircuitCounts(6, 6, 52, 20, 8, 1e-6)) < 0.9
    True
    """
    readout = [a + b for a, b in zip(profile.readout_p10, profile.readout_p01, strict=True)]
    waiting = counts.n_qubits * counts.depth_2q - 2 * counts.n_2q
    kinds = (
        (counts.n_1q, _median(profile.error_1q), 1.5),
        (counts.n_2q, _median(profile.error_2q), 1.25),
        (counts.n_measured, _median(readout), 0.5),
        (waiting, profile.memory_error, 1.5),
    )
    return math.exp(sum(number * _log(error, share) for number, error, share in kinds if number))


def _log(error: float, share: float) -> float:
    return math.nan if math.isnan(error) else math.log1p(-min(share * error, 0.999))


def _known(errors: Sequence[float], index: int) -> float:
    return _median(errors) if math.isnan(errors[index]) else errors[index]


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return median(known) if known else math.nan


def _cells(row: DeviceEstimate) -> tuple[str, ...]:
    counts, cost = row.counts, row.cost
    assert counts is not None and cost is not None
    return (
        row.device,
        f"{counts.n_2q:,}",
        f"{counts.depth_2q:,}",
        "-" if math.isnan(counts.duration) else _time(counts.duration),
        "-" if cost.qpu_seconds is None else _time(cost.qpu_seconds),
        cost.provider or "-",
        "-" if cost.usd is None else f"{cost.usd:,.2f}",
        "-" if cost.usd_worst is None else f"{cost.usd_worst:,.2f}",
        "-" if cost.hqc is None else f"{cost.hqc:,.0f}",
        "-" if math.isnan(row.fidelity) else f"{row.fidelity:.3f}",
        row.kind,
        f"{cost.price_date}{'*' if cost.is_stale else ''}" or "-",
        row.calibration or "-",
    )


def _time(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.3g} s"
