# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""What a batch of circuits costs on a device, in QPU time and money, before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from flashket.economics.prices import Price, load_prices, oldest
from flashket.errors import InputError, explanation
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.native import NativeCircuit
from flashket.qpu.offers import Offer, PricedDevice, find_device, find_offer
from flashket.qpu.profile import DeviceProfile
from flashket.qpu.timing import TimeModel
from flashket.qpu.workload import CircuitCounts, Work, count_circuit, durations

IBM_JOB_SECONDS = 2.0
"""Billed once a job, whatever it holds."""

IBM_EXECUTION_SECONDS = 0.00035
"""One execution by IBM's quick estimate, for devices that wait 250 us between shots."""

IBM_EXECUTIONS = 5_000_000
"""The most executions that IBM takes in a job."""

ASSUMED_PAUSE = 250e-6
"""Between shots of a superconducting device that does not publish it: IBM's default."""

TIME_MARGIN = 1.5
"""Worst case of modelled seconds."""

GATE_MARGIN = 1.25
"""Worst case of a gate count, as the provider's compiler has the last word."""


@dataclass(frozen=True)
class Cost:
    """The cost of one batch. None stands for "this provider does not charge so" or "unknown", which ``notes`` tells.

    Parameters
    ----------
    circuits, executions : int
        Circuits, and circuits times shots.
    qpu_seconds : float or None
        Modelled time of the device: what the provider bills where it sells time, and the least that a caller waits anywhere.
    usd, usd_worst : float or None
        List-price money: expected, and the most it can be. ``usd_worst`` is what a budget reserves.
    hqc : float or None
        Quantinuum's credits.
    price_date : str
        Of the oldest price used.
    is_stale : bool
        Whether that is more than 180 days ago.
    notes : tuple of str
        What was assumed.
    qpu_seconds_worst : float or None
        The most time that can be billed, which a budget of QPU seconds reserves.
    provider : str
        How it is bought: a name of ``flashket.qpu.offers``; "" where nobody publishes a price.
    kind : str
        "list-price" where money follows from counted tasks and shots alone, "modelled" where it also needs modelled time or gates.
    """

    circuits: int
    executions: int
    qpu_seconds: float | None
    usd: float | None
    usd_worst: float | None
    hqc: float | None = None
    price_date: str = ""
    is_stale: bool = False
    notes: tuple[str, ...] = ()
    qpu_seconds_worst: float | None = None
    provider: str = ""
    kind: str = "modelled"


def estimate_cost(
    profile: DeviceProfile | PricedDevice | str,
    circuits: Sequence[MeasuredCircuit | NativeCircuit],
    shots: Sequence[int],
    *,
    provider: str | None = None,
    circuits_per_task: int = 1,
    today: date | None = None,
) -> Cost:
    """Say what circuits would cost, without sending anything.

    Parameters
    ----------
    profile : DeviceProfile, PricedDevice or str
        The device, or its name.
    circuits : sequence of MeasuredCircuit or NativeCircuit
        Native ones are counted as they stand, others as if every pair of qubits were connected.
    shots : sequence of int
        Of each circuit.
    provider : str, optional
        How it is bought, e.g. "ibm_payg" (default for IBM), "ibm_flex", "ibm_premium", "ibm_open", "quantinuum_10k_hqc",
        "braket_iqm_garnet", "azure_ionq_forte"; by default the usual way. IBM's plans by their own names too: "open", "pay-as-you-go",
        "flex", "premium".
    circuits_per_task : int
        For providers that charge tasks (Braket): more than 1 if they are sent as ProgramSets.
    today : datetime.date, optional
        When prices are looked at, for the stale flag; by default the clock's.

    Returns
    -------
    Cost

    Raises
    ------
    InputError
        For a device or provider that is not known, and shots that do not fit the circuits.

    Notes
    -----
    IBM bills 2 s a job and (pause + circuit) for every execution; the expectation is the greater of that and of IBM's quick form,
    2 s + 0.35 ms per execution. Quantinuum: HQC = 5 + shots (N1q + 10 N2q + 5 Nm) / 5000 for each circuit, Nm the preparations and
    measurements; dollars as the plan's price divided by its credits. Braket: tasks and shots. IonQ on Azure: gates times shots, with a
    minimum for each circuit. Rigetti on Azure: started 10 ms of modelled time. IQM Resonance: modelled seconds.

    Seconds are modelled for every device (:func:`shot_seconds`), also where something else is charged. Queue, network and the loading of
    circuits are not in them, as no provider publishes them; :func:`call_seconds` adds what a caller knows of those.

    The worst case takes 1.5 times modelled seconds (rounded up to whole ones), 1.25 times modelled gates, no ProgramSets, the higher of
    two minimum prices, and the dearer plan of Quantinuum.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> bell = MeasuredCircuit((Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1)))),), (0, 1))
    >>> cost = estimate_cost("iqm_garnet", [bell] * 10, [1000] * 10)
    >>> round(cost.usd, 2), cost.kind, cost.is_stale  # 10 tasks, 10,000 shots
    (17.5, 'list-price', True)
    """
    device = find_device(profile)
    if len(circuits) != len(shots) or not circuits or any(not isinstance(count, int) or count < 1 for count in shots):
        do = "give one number for each circuit"
        raise InputError(explanation("cost", f"shots must be {len(circuits)} positive integers for as many circuits", list(shots), do))
    if circuits_per_task < 1:
        raise InputError(explanation("cost", "circuits_per_task must be positive", circuits_per_task, "1 sends each on its own"))
    work = [Work(count_on(device, circuit), 1, count) for circuit, count in zip(circuits, shots, strict=True)]
    return cost_of_work(device, work, provider=provider, circuits_per_task=circuits_per_task, today=today)


def cost_of_work(
    device: DeviceProfile | PricedDevice,
    work: Sequence[Work],
    *,
    provider: str | None = None,
    circuits_per_task: int = 1,
    today: date | None = None,
) -> Cost:
    """Say what counted circuits would cost; as :func:`estimate_cost`."""
    offer = find_offer(device, provider)
    circuits, executions = sum(item.circuits for item in work), sum(item.executions for item in work)
    seconds, worst_seconds, notes = qpu_seconds(device, work)
    if offer is None:
        notes.append("no published price")
        return Cost(circuits, executions, seconds, None, None, notes=tuple(notes), qpu_seconds_worst=worst_seconds)
    book = load_prices()
    prices = [book[item] for item in offer.items]
    hqc = None
    if offer.scheme == "seconds":
        usd, usd_worst = _usd_of_seconds(offer, prices[0], seconds, worst_seconds, notes)
    elif offer.scheme == "shots":
        tasks = sum(math.ceil(item.circuits / circuits_per_task) for item in work)
        usd = tasks * prices[0].value + executions * prices[1].value
        usd_worst = circuits * prices[0].value + executions * prices[1].value
    elif offer.scheme == "gate-shots":
        usd, usd_worst = _usd_of_gates(prices, work)
    else:
        hqc = sum(item.circuits * hqc_of(item.counts, item.shots) for item in work)
        usd = hqc * usd_per_hqc(prices[0])
        usd_worst = max(usd_per_hqc(book[item]) for item in ("quantinuum_10k_hqc", "quantinuum_17k_hqc"))
        usd_worst *= sum(item.circuits * hqc_of(item.counts, item.shots, GATE_MARGIN) for item in work)
        notes.append(f"dollars are the plan's share: it is sold as {prices[0].value:,.0f} USD a month")
    if any(one.is_stale(today) for one in prices):
        notes.append("a price is older than 180 days or undated: ask the provider")
    kind = "list-price" if offer.scheme == "shots" else "modelled"
    stale = any(one.is_stale(today) for one in prices)
    return Cost(circuits, executions, seconds, usd, usd_worst, hqc, oldest(prices), stale, tuple(notes), worst_seconds, offer.name, kind)


def hqc_of(counts: CircuitCounts, shots: int, margin: float = 1.0) -> float:
    """Return the credits of one circuit: 5 + shots (N1q + 10 N2q + 5 Nm) / 5000, gates times ``margin``.

    Examples
    --------
    >>> hqc_of(CircuitCounts(6, 6, 18, 9, 9, math.nan), 1000)
    38.6
    """
    gates = counts.n_1q + 10 * counts.n_2q
    return 5 + shots * (margin * gates + 5 * (counts.n_qubits + counts.n_measured)) / 5000


def usd_per_hqc(plan: Price) -> float:
    """Return a Quantinuum plan's dollars per credit; its name says how many thousand credits it holds."""
    return plan.value / (1000 * int(plan.item.split("_")[1].removesuffix("k")))


def ibm_seconds(executions: int, jobs: int = 1) -> float:
    """Return IBM's quick estimate of billed seconds: 2 s a job and 0.35 ms an execution.

    Examples
    --------
    >>> ibm_seconds(190 * 1000)
    68.5
    """
    return jobs * IBM_JOB_SECONDS + executions * IBM_EXECUTION_SECONDS


def call_seconds(
    circuits: int,
    shots: int,
    shot_seconds: float,
    *,
    queue: float = 0.0,
    roundtrip: float = 0.0,
    load: float = 0.0,
    circuits_per_job: int = 1,
    parallel: int = 1,
) -> float:
    """Return how long a caller waits: queue + roundtrip + ceil(n / B) load + n S t_shot / parallel, in seconds.

    Parameters
    ----------
    circuits, shots : int
        n and S.
    shot_seconds : float
        Preparation, gates, readout and reset of one shot.
    queue, roundtrip, load : float
        Waiting for a turn, the network, and loading one job.
    circuits_per_job, parallel : int
        B, and copies of a circuit that run side by side on one device.

    Examples
    --------
    >>> call_seconds(190, 1000, 255e-6, queue=60.0, roundtrip=1.0, load=0.5, circuits_per_job=100)
    110.45
    """
    return queue + roundtrip + math.ceil(circuits / circuits_per_job) * load + circuits * shots * shot_seconds / parallel


def device_durations(device: DeviceProfile | PricedDevice) -> tuple[float, float, float]:
    """Return the durations of a pulse, a two-qubit gate and a measurement in seconds, nan where unknown.

    The medians of the profile's calibration data; where it has none, published ones (:mod:`flashket.qpu.timing`).

    Examples
    --------
    >>> device_durations(find_device("ionq_forte"))
    (0.00013, 0.00097, 0.00015)
    """
    pulse, pair, readout = durations(device) if isinstance(device, DeviceProfile) else (math.nan, math.nan, math.nan)
    timing = device.timing
    if timing is None:
        return pulse, pair, readout
    return _first(pulse, timing.pulse), _first(pair, timing.pair), _first(readout, timing.readout)


def count_on(device: DeviceProfile | PricedDevice, circuit: MeasuredCircuit | NativeCircuit) -> CircuitCounts:
    """Count a circuit in a device's gates, with its duration there; see :func:`flashket.qpu.workload.count_circuit`.

    Examples
    --------
    >>> from flashket.program import Gate, Program
    >>> bell = MeasuredCircuit((Program(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1)))),), (0, 1))
    >>> [count_on(find_device(name), bell).duration for name in ("ionq_forte", "quantinuum_h2-1")]
    [0.00136, 0.055]
    """
    pulse, pair, _ = device_durations(device)
    timing = device.timing
    at_once = None if timing is None else timing.gates_at_once
    counts = count_circuit(circuit, device.one_qubit_gate, device.two_qubit_gate, pulse, pair, at_once)
    return counts if timing is None or math.isnan(timing.layer) else replace(counts, duration=_layers_seconds(timing, counts))


def _layers_seconds(timing: TimeModel, counts: CircuitCounts) -> float:
    """Return a shot's time on a device whose layers are timed with preparation and readout: the least is one layer."""
    return max(1, counts.depth_2q) * timing.layer


def shot_seconds(device: DeviceProfile | PricedDevice, counts: CircuitCounts) -> tuple[float, list[str]]:
    """Return the modelled time of one shot, t_prep + D t_layer + t_readout + t_reset, and what was assumed; nan if nothing is known.

    Parameters
    ----------
    device : DeviceProfile or PricedDevice
        Its calibration data's durations; where they have none, published ones (:mod:`flashket.qpu.timing`).
    counts : CircuitCounts
        Of the circuit on this device: :func:`count_on`.

    Returns
    -------
    seconds : float
    notes : list of str

    Examples
    --------
    >>> seconds, notes = shot_seconds(find_device("quantinuum_h2-2"), CircuitCounts(6, 6, 18, 9, 9, math.nan))
    >>> round(seconds, 3)  # nine layers
    0.495
    """
    timing, notes = device.timing, []
    if timing is not None:
        notes.append(f"time modelled with durations of {timing}")
        if not math.isnan(timing.layer):
            return _layers_seconds(timing, counts), notes
    readout = device_durations(device)[2]
    is_ion = device.two_qubit_gate == "rzz"
    if is_ion and math.isnan(counts.duration) and math.isnan(readout):
        return math.nan, ["the device's time is not modelled: no source gives its durations"]
    pause = _first(device.rep_delay if isinstance(device, DeviceProfile) else math.nan, math.nan if timing is None else timing.pause)
    if math.isnan(pause) and not is_ion:
        pause = ASSUMED_PAUSE
        notes.append("pause between shots not known: 250 us assumed, which is IBM's")
    if math.isnan(readout) or math.isnan(counts.duration):
        missing = [name for name, value in (("gates", counts.duration), ("readout", readout)) if math.isnan(value)]
        notes.append(f"durations not known, counted as nothing: {' and '.join(missing)}")
    reset = math.nan if timing is None else timing.reset
    return sum(_known(seconds) for seconds in (reset, counts.duration, readout, pause)), notes


def qpu_seconds(device: DeviceProfile | PricedDevice, work: Iterable[Work]) -> tuple[float | None, float | None, list[str]]:
    """Return modelled seconds on a device, their worst case, and what was assumed; None where there is nothing to model with."""
    work = list(work)
    circuits, executions = sum(item.circuits for item in work), sum(item.executions for item in work)
    shots = [shot_seconds(device, item.counts) for item in work]
    notes = list(dict.fromkeys(note for _, said in shots for note in said))
    shot_sum = math.fsum(item.executions * seconds for item, (seconds, _) in zip(work, shots, strict=True))
    if math.isnan(shot_sum):
        return None, None, notes
    if device.vendor != "IBM":
        return shot_sum, float(math.ceil(TIME_MARGIN * shot_sum)), notes
    jobs = _ibm_jobs(device, circuits, executions)
    seconds = jobs * IBM_JOB_SECONDS + shot_sum
    pause = device.rep_delay if isinstance(device, DeviceProfile) else math.nan
    if math.isnan(pause) or math.isclose(pause, ASSUMED_PAUSE):
        seconds = max(ibm_seconds(executions, jobs), seconds)
        notes.append("seconds are the greater of IBM's quick form, 2 s a job + 0.35 ms an execution, and of pauses and circuits")
    return seconds, float(math.ceil(TIME_MARGIN * seconds)), notes


def _first(seconds: float, other: float) -> float:
    return other if math.isnan(seconds) else seconds


def _known(seconds: float) -> float:
    return 0.0 if math.isnan(seconds) else seconds


def _ibm_jobs(device: DeviceProfile | PricedDevice, circuits: int, executions: int) -> int:
    most_circuits, most_executions = None, None
    if isinstance(device, DeviceProfile):
        most_circuits, most_executions = device.max_circuits, device.max_executions
    return max(math.ceil(executions / (most_executions or IBM_EXECUTIONS)), math.ceil(circuits / (most_circuits or circuits)))


def _usd_of_seconds(
    offer: Offer, charge: Price, seconds: float | None, worst: float | None, notes: list[str]
) -> tuple[float | None, float | None]:
    if seconds is None or worst is None:
        return None, None
    if not charge.currency:
        free = 60 * charge.value
        share = "within" if worst <= free else "MORE THAN"
        notes.append(f"free plan: {worst:.0f} s at worst is {share} its {free:.0f} s per 28 days")
        return 0.0, 0.0
    if charge.note:
        notes.append(f"{offer.name}: {charge.note}")
    unit = {"per QPU second": 1.0, "per QPU minute": 60.0, "per 10 ms": 0.01}[charge.unit]
    if charge.unit == "per 10 ms":  # started intervals count
        return math.ceil(seconds / unit - 1e-9) * charge.value, math.ceil(worst / unit - 1e-9) * charge.value
    return seconds / unit * charge.value, worst / unit * charge.value


def _usd_of_gates(prices: Sequence[Price], work: Iterable[Work]) -> tuple[float, float]:
    one, two, minimum, mitigated = (price.value for price in prices)
    usd = usd_worst = 0.0
    for item in work:
        gates = item.shots * (item.counts.n_1q * one + item.counts.n_2q * two)
        usd += item.circuits * max(gates, minimum)
        usd_worst += item.circuits * max(GATE_MARGIN * gates, mitigated)
    return usd, usd_worst
