# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Gram matrices from a QPU: kernel -> estimator's circuits -> job -> counts -> matrix."""

from __future__ import annotations

import hashlib
import io
import operator
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from flashket.arrays import Array, cast, check_out, check_rows, check_size
from flashket.errors import InputError, JobError, explanation
from flashket.kernels import Kernel
from flashket.qpu import jobs
from flashket.qpu.adapters._base import Adapter, Batch
from flashket.qpu.allocate import AllocatedMeasurements, Allocation
from flashket.qpu.cost import Cost
from flashket.qpu.estimators import ESTIMATORS, Estimate, Measurements, make_estimator
from flashket.qpu.journal import Journal
from flashket.qpu.kernel_record import read_kernel, read_mitigation, write_kernel, write_mitigation
from flashket.qpu.mitigation import MitigatedMeasurements, Mitigation
from flashket.qpu.retry import Retry

_LARGEST_SHOTS = 2**31 - 1

Work: TypeAlias = Measurements | AllocatedMeasurements | MitigatedMeasurements
"""The circuits of a Gram matrix, and what to make of their counts."""


@dataclass(frozen=True)
class GramPlan:
    """A Gram matrix as a job to be: nothing is sent yet. Made by :func:`plan_gram`.

    Parameters
    ----------
    adapter : Adapter
        The device.
    measurements : Measurements, AllocatedMeasurements or MitigatedMeasurements
        The estimator's circuits, and those of the mitigation.
    batch : Batch or None
        What is run; None where nothing has to be measured (one row with itself).
    spec, extra, arrays : dict
        What the journal keeps: the spec tells jobs apart.
    """

    adapter: Adapter
    measurements: Work
    batch: Batch | None
    spec: dict[str, Any]
    extra: dict[str, Any]
    arrays: dict[str, bytes]

    def cost(self) -> Cost:
        """Return what running it costs; see :func:`flashket.qpu.jobs.estimate`."""
        return Cost(0, 0, 0.0, 0.0, 0.0) if self.batch is None else jobs.estimate(self.batch, self.adapter)

    def submit(self, **options: Any) -> GramJob:
        """Send it; options as for :func:`flashket.qpu.jobs.submit`."""
        if self.batch is None:
            return GramJob(None, self.measurements)
        job = jobs.submit(self.batch, self.adapter, spec=self.spec, extra=self.extra, arrays=self.arrays, **options)
        return GramJob(job, self.measurements)


@dataclass(frozen=True)
class GramJob:
    """A Gram matrix on its way. ``job`` is None where nothing had to be measured."""

    job: jobs.Job | None
    measurements: Work

    def result(self, *, timeout: float | None = None) -> Estimate:
        """Wait for the counts and return the matrix with its standard errors; see :meth:`flashket.qpu.jobs.Job.result`."""
        found = self.collect(timeout)
        if self.job is not None:
            self.job.journal.deliver(self.job.id)
        return found

    def collect(self, timeout: float | None = None) -> Estimate:
        """Do what :meth:`result` does without noting that the caller has it."""
        return self.measurements.estimate([] if self.job is None else self.job.collect(timeout).counts)


def plan_gram(
    X: Any,
    Y: Any = None,
    *,
    kernel: Kernel,
    backend: Any,
    shots: int | Allocation,
    seed: int | None = None,
    estimator: str = "auto",
    options: Mapping[str, Any] | None = None,
    diagonal: bool = False,
    mitigation: Mitigation | None = None,
    journal: Journal | None = None,
    reuse: str = "unfinished",
) -> GramPlan:
    """Return the circuits of a Gram matrix for a device, with what the journal keeps; nothing is sent.

    Parameters
    ----------
    X, Y, kernel, backend, shots, seed, estimator, options, diagonal, mitigation, reuse
        As for :func:`gram`.
    journal : Journal, optional
        Where a job of the same spec may be, whose random choices are then taken over.

    Examples
    --------
    >>> import flashket as fk
    >>> plan = plan_gram([[0.0], [1.0], [2.0]], kernel=fk.Fidelity(fk.Angle(1)), backend="sim:ideal", shots=100)
    >>> plan.cost().circuits
    3
    """
    place = "gram"
    adapter = jobs.as_adapter(backend)
    x, y = _rows(X, Y, kernel, place)
    wanted = f"shots must be an integer in 1..{_LARGEST_SHOTS}, or an Allocation, on {adapter.name}"
    n_shots = shots.record() if isinstance(shots, Allocation) else _integer(shots, 1, _LARGEST_SHOTS, wanted, place)
    if seed is not None:
        seed = _integer(seed, 0, 2**64 - 1, "seed must be an integer in 0..2**64-1", place)
    made = make_estimator(kernel, estimator, **(options or {}))
    arrays = {name: _npy(rows) for name, rows in (("X", x), ("Y", y)) if rows is not None}
    spec = {
        "op": "gram",
        "kernel": write_kernel(kernel),
        "data": {name: hashlib.sha256(npy).hexdigest() for name, npy in arrays.items()},
        "estimator": made.name,
        "options": dict(options or {}),
        "diagonal": bool(diagonal),
        "mitigation": write_mitigation(mitigation),
        "shots": n_shots,
        "seed": seed,
    }
    spec = jobs.plain_data(spec)
    extra = {"drawn_seed": _drawn_seed(seed, spec, adapter, journal, reuse)}
    measurements = _measurements(made.name, kernel, spec, extra, x, y)
    circuits = measurements.circuits
    batch = Batch(circuits, _shots(measurements, n_shots), extra["drawn_seed"]) if circuits else None
    return GramPlan(adapter, measurements, batch, spec, extra, arrays)


def gram(
    X: Any,
    Y: Any = None,
    *,
    kernel: Kernel,
    backend: Any,
    shots: int | Allocation,
    seed: int | None = None,
    estimator: str = "auto",
    options: Mapping[str, Any] | None = None,
    diagonal: bool = False,
    mitigation: Mitigation | None = None,
    journal: Journal | str | os.PathLike[str] | None = None,
    reuse: str = "unfinished",
    retry_unknown: bool = False,
    retry: Retry | None = None,
) -> Estimate:
    """Return the kernel of every row of X with every row of Y as a QPU, or a simulator in its place, measures it.

    :func:`flashket.gram` with ``backend="aer:ibm_torino"`` is this with the defaults, and returns the values alone.

    Parameters
    ----------
    X, Y : array_like, (n, n_features) and (m, n_features)
        As for :func:`flashket.gram`.
    kernel : Kernel
        ``fk.Fidelity``, ``fk.HadamardTest`` or ``fk.Projected``.
    backend : str, Adapter or a provider's object
        E.g. ``"sim:ibm_torino"``; ``flashket qpu list`` shows them.
    shots : int or Allocation
        Of each circuit; or of each pair, as :func:`flashket.qpu.allocate` shares them out for ``estimator``, skipped pairs left out and
        put in as 0. With mitigation its own circuits, which serve many entries, have as many shots as the entry with most.
    seed : int, optional
        Of a simulator's samples and of random measurements; None draws a fresh one.
    estimator, options
        See :func:`flashket.qpu.estimators.make_estimator`.
    diagonal : bool
        Without Y and mitigation: measure K(x, x) too.
    mitigation : Mitigation, optional
        E.g. ``fk.qpu.Mitigation(readout=fk.qpu.ReadoutMitigation())``; its circuits have as many shots as the others, and ``steps`` of
        the result say what each step cost and changed.
    journal : Journal or path, optional
        Default: ``$FLASHKET_JOURNAL`` or the user's data folder; local simulators keep none unless one is named.
    reuse : str
        "unfinished": go on with the same job (kernel, data, estimator, shots, seed, backend) if its matrix was never handed over;
        "any": also return from the journal one that was, for nothing; "never": start, and pay, anew.
    retry_unknown : bool
        Send parts again whose outcome is unknown; they may then be paid twice.
    retry : Retry, optional
        How often and how long to wait.

    Returns
    -------
    Estimate
        ``values`` and ``standard_errors``, (n, m) float64.

    Raises
    ------
    InputError, BackendUnavailable, BudgetExceeded, JobError
        As :func:`flashket.gram` and :func:`flashket.qpu.jobs.submit`.

    Examples
    --------
    >>> import flashket as fk
    >>> found = gram([[0.0], [1.0]], kernel=fk.Fidelity(fk.Angle(1)), backend="sim:ideal", shots=1000, seed=1)
    >>> bool(abs(found.values[0, 1] - 0.7702) < 5 * found.standard_errors[0, 1])
    True
    """
    adapter = jobs.as_adapter(backend)
    book = jobs.as_journal(journal, adapter)
    wanted: dict[str, Any] = {"shots": shots, "seed": seed, "estimator": estimator, "options": options}
    wanted |= {"diagonal": diagonal, "mitigation": mitigation}
    plan = plan_gram(X, Y, kernel=kernel, backend=adapter, journal=book, reuse=reuse, **wanted)
    return plan.submit(journal=book, reuse=reuse, retry_unknown=retry_unknown, retry=retry).result()


def open_gram(job: int, *, device: Any = None, journal: Journal | str | os.PathLike[str] | None = None) -> GramJob:
    """Return a Gram matrix's job of the journal by its number; arguments as for :func:`flashket.qpu.jobs.open_job`.

    Raises
    ------
    JobError
        If the journal has no such job, or it is not of a Gram matrix.

    Examples
    --------
    >>> open_gram(7, journal=":memory:")
    Traceback (most recent call last):
        ...
    flashket.errors.JobError: [journal] a job's number was wanted, got 7, which is not in :memory:: flashket qpu status lists them
    """
    opened = jobs.open_job(job, device=device, journal=journal)
    spec = dict(opened.record.spec)
    extra = spec.pop("extra", {})
    if spec.get("op") != "gram":
        raise JobError(explanation("journal", f"job {job} must be of a Gram matrix", spec.get("op"), "use fk.qpu.open_job"))
    arrays = {name: np.load(io.BytesIO(npy), allow_pickle=False) for name, npy in opened.journal.arrays(job).items()}
    kernel = read_kernel(spec["kernel"])
    return GramJob(opened, _measurements(spec["estimator"], kernel, spec, extra, arrays["X"], arrays.get("Y")))


def gram_on_qpu(
    X: Any, Y: Any, *, kernel: Kernel, backend: Any, dtype: Any, out: Any, log: Any, shots: Any, noise: Any, seed: Any, workers: Any
) -> Array:
    """Do what :func:`flashket.gram` promises where ``backend`` is a QPU."""
    from flashket.arrays import FLOAT64, requested_dtype

    place = "gram"
    for name, value, do in (
        ("log", log or None, "take np.log of the result"),
        ("noise", noise, "a device has its own; sim:<profile> simulates one"),
        ("workers", workers, "the provider computes"),
    ):
        if value is not None:
            raise InputError(explanation(place, f"{name} must be left out on a QPU", repr(value), do))
    if shots is None:
        raise InputError(explanation(place, "shots must be given on a QPU, which counts outcomes", None, "e.g. shots=1000"))
    target = FLOAT64 if dtype is None else requested_dtype(dtype, place)
    if out is not None:
        x, y = _rows(X, Y, kernel, place)
        check_out(out, (len(x), len(x if y is None else y)), target, tuple(each for each in (X, Y) if isinstance(each, np.ndarray)), place)
    values = gram(X, Y, kernel=kernel, backend=backend, shots=shots, seed=seed).values.astype(target, copy=False)
    if out is None:
        return values
    out[...] = values
    result: Array = out
    return result


def _rows(X: Any, Y: Any, kernel: Kernel, place: str) -> tuple[Array, Array | None]:
    """Return the data as float64, checked."""
    from flashket.gram import check_kernel, checked_rows

    check_kernel(kernel, place)
    inputs = (("X", X),) if Y is None else (("X", X), ("Y", Y))
    sources, _ = checked_rows(inputs, kernel, np.float64, place)
    arrays = [cast(source, np.dtype(np.float64), place, name) for (name, _), source in zip(inputs, sources, strict=True)]
    for (name, _), array in zip(inputs, arrays, strict=True):
        check_rows(array, kernel.rejects_zero_rows, place, name, kernel.subject)
        check_size(array, kernel._largest_feature, place, name, kernel.subject)
    return arrays[0], None if Y is None else arrays[1]


def _measurements(name: str, kernel: Kernel, spec: dict[str, Any], extra: dict[str, Any], x: Array, y: Array | None) -> Work:
    """Return the circuits; estimators with random choices take the job's seed unless they are given one."""
    options = dict(spec["options"])
    if any(field.name == "seed" for field in fields(ESTIMATORS[name])):
        options.setdefault("seed", extra["drawn_seed"])
    estimator = make_estimator(kernel, name, **options)
    mitigation = read_mitigation(spec["mitigation"])
    allocation = Allocation.from_record(spec["shots"]) if isinstance(spec["shots"], dict) else None
    if mitigation is not None:
        return mitigation.measurements(estimator, x, y, allocation=allocation)
    work = estimator.measurements(x, y, diagonal=spec["diagonal"])
    return work if allocation is None else AllocatedMeasurements(work, allocation)


def _shots(measurements: Work, n_shots: int | dict[str, Any]) -> tuple[int, ...]:
    """Return the shots of each circuit."""
    if isinstance(measurements, AllocatedMeasurements):
        return measurements.shots
    if isinstance(n_shots, dict):
        assert isinstance(measurements, MitigatedMeasurements)
        return measurements.allocated_shots
    return (n_shots,) * len(measurements.circuits)


def _drawn_seed(seed: int | None, spec: dict[str, Any], adapter: Adapter, journal: Journal | None, reuse: str) -> int:
    """Return the seed, or where there is none that of the same job in the journal, or a fresh one."""
    if seed is not None:
        return seed
    if journal is not None:
        found = jobs.find_record(journal, jobs.spec_digest(spec, adapter.name), reuse)
        if found is not None:
            return int(found.spec["extra"]["drawn_seed"])
    return secrets.randbits(63)


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def _integer(value: Any, low: int, high: int, wanted: str, place: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if isinstance(value, (bool, np.bool_)) or not low <= number <= high:
        raise InputError(explanation(place, wanted, repr(value)))
    return number
