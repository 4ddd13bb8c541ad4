# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""``flashket qpu ...``: what each action does with its parsed arguments."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from flashket.cli import FAILED, GOOD, open_npy, write_npy
from flashket.errors import InputError, explanation
from flashket.qpu import jobs
from flashket.qpu.adapters import Adapter
from flashket.qpu.cost import Cost
from flashket.qpu.journal import Journal, Record, default_path
from flashket.qpu.kernel_jobs import open_gram, plan_gram
from flashket.qpu.mitigation import Mitigation, ReadoutMitigation, ZeroNoise
from flashket.qpu.mitigation.psd import PSD_METHODS
from flashket.qpu.mitigation.rescale import RESCALE_MODES
from flashket.qpu.offers import IBM_PLANS, offer_name
from flashket.qpu.spending import budget, worst_case
from flashket.spec import parse_spec


def run(arguments: argparse.Namespace) -> int:
    """Run ``arguments.action`` and return the exit code.

    Examples
    --------
    >>> import contextlib, io
    >>> with contextlib.redirect_stdout(io.StringIO()) as printed:
    ...     code = run(argparse.Namespace(action="list"))
    >>> code, "sim:ideal" in printed.getvalue()
    (0, True)
    """
    actions: dict[str, Callable[[argparse.Namespace], int]] = {
        "list": _list,
        "profiles": _profiles,
        "submit": _submit,
        "status": _status,
        "fetch": _fetch,
        "cancel": _cancel,
    }
    return actions[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from flashket.qpu.adapters import list_adapters

    rows = [("backend", "where", "", "what")]
    for row in list_adapters():
        where = "remote" if row.is_remote else "local"
        rows.append((row.pattern, where, "ok" if row.available else "none", row.what + (f" ({row.reason})" if row.reason else "")))
    print(_columns(rows))
    return GOOD


def _profiles(arguments: argparse.Namespace) -> int:
    from flashket.qpu.profile_table import profiles_command

    return profiles_command(arguments)


def _submit(arguments: argparse.Namespace) -> int:
    journal = Journal()
    plan = plan_gram(
        open_npy(arguments.input, "qpu submit"),
        kernel=parse_spec(arguments.kernel),
        backend=_backend(arguments.backend, arguments.plan),
        shots=arguments.shots,
        seed=arguments.seed,
        estimator=arguments.estimator,
        mitigation=_mitigation(arguments.mitigate),
        journal=journal,
        reuse=arguments.reuse,
    )
    cost = plan.cost()
    print(f"{plan.adapter.name}: {_cost(cost)}", flush=True)
    seconds = arguments.max_seconds
    if seconds is None:  # time that costs money is limited by the money; a free plan's is not
        seconds = worst_case(cost).qpu_seconds if cost.usd_worst else 0.0
    with budget(usd=arguments.max_spend, qpu_seconds=seconds, allow_unknown=arguments.allow_unknown):
        sent = plan.submit(journal=journal, reuse=arguments.reuse, retry_unknown=arguments.retry_unknown)
    if sent.job is None:
        values = sent.result().values
        print(f"Nothing has to be measured: the matrix is {values.tolist() if values.size == 1 else 'empty'}.")
        return GOOD
    if not plan.adapter.is_remote:
        sent.job.fetch()  # a local simulator forgets its counts when this process ends
    print(f"Job {sent.job.id}: {sent.job.status(refresh=False).state}, in {journal.path}")
    print(f"Next: flashket qpu fetch {sent.job.id} OUT.npy")
    return GOOD


def _backend(name: str, plan: str | None) -> str | Adapter:
    """Return the backend whose prices are those of ``--plan``."""
    from flashket.qpu.adapters import open_adapter

    if plan is None:
        return name
    offer = offer_name(plan)
    if offer not in IBM_PLANS.values() or not name.startswith("ibm:") or name.startswith("ibm:fake_"):
        wanted = f"--plan must be one of IBM's ({', '.join(IBM_PLANS)}), for a device of IBM's"
        do = "leave it out: other prices do not depend on a plan, or are reserved at the dearest"
        raise InputError(explanation("qpu submit", wanted, f"{plan} for {name}", do))
    return open_adapter(name, plan=offer)


def _mitigation(steps: Sequence[str]) -> Mitigation | None:
    """Return what ``--mitigate`` asks for."""
    rescales, repairs = ([step for step in steps if step in known] for known in (RESCALE_MODES, PSD_METHODS))
    if len(rescales) > 1 or len(repairs) > 1:
        do = f"one of {', '.join(RESCALE_MODES)} and one of {', '.join(PSD_METHODS)}"
        raise InputError(explanation("qpu submit", "--mitigate takes one step of a kind", ", ".join((*rescales, *repairs)), do))
    if not steps:
        return None
    return Mitigation(
        readout=ReadoutMitigation() if "readout" in steps else None,
        zero_noise=ZeroNoise() if "zne" in steps else None,
        rescale=next(iter(rescales), None),
        psd=next(iter(repairs), None),
    )


_HEADS = ("job", "made", "backend", "state", "parts", "USD", "QPU s", "what")


def _status(arguments: argparse.Namespace) -> int:
    journal = Journal()
    if arguments.job is None:
        rows = [_HEADS, *(_row(journal, record) for record in journal.records())]
        print(_columns(rows) if len(rows) > 1 else f"no jobs in {default_path()}")
        return GOOD
    if arguments.offline:
        parts = journal.parts(arguments.job)
        said = [part.state for part in parts]
    else:
        status = jobs.status(arguments.job, journal=journal)
        parts, said = list(status.parts), list(status.provider)
    record = journal.record(arguments.job)
    print(_columns([_HEADS, _row(journal, record)]) + "\n")
    table: list[tuple[str, ...]] = [("part", "state", "provider", "id", "circuits", "shots", "USD", "queue s", "run s", "wall s", "")]
    for part, provider in zip(parts, said, strict=True):
        times = (part.queue_seconds, part.execution_seconds, part.wall_seconds)
        table.append(
            (
                str(part.slot + 1),
                part.state,
                provider,
                part.provider_id or part.token,
                str(len(part.pieces)),
                str(sum(shots for _, shots in part.pieces)),
                f"{part.usd_spent:.2f}{' estimated' if part.usd_spent and not part.is_billed else ''}",
                *("-" if each is None else f"{each:.3g}" for each in times),
                part.error or "",
            )
        )
    print(_columns(table))
    return GOOD


def _row(journal: Journal, record: Record) -> tuple[str, ...]:
    every = journal.parts(record.id, every=True)
    parts = journal.parts(record.id)
    states = [part.state for part in parts]
    return (
        str(record.id),
        time.strftime("%Y-%m-%d %H:%M", time.localtime(record.created)),
        record.backend,
        ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)) + (", taken" if record.delivered else ""),
        str(len(parts)),
        f"{sum(part.usd_spent for part in every):.2f}",
        f"{sum(part.seconds_spent for part in every):.3g}",
        f"{record.spec.get('op', 'circuits')}, {sum(shots for part in parts for _, shots in part.pieces):,} shots",
    )


def _fetch(arguments: argparse.Namespace) -> int:
    opened = open_gram(arguments.job)
    found = opened.collect(arguments.timeout)
    assert opened.job is not None
    record = opened.job.record
    written: list[tuple[Path, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]] = [(arguments.output, found.values)]
    if arguments.errors is not None:
        written.append((arguments.errors, found.standard_errors))
    for path, matrix in written:
        write_npy(path, matrix)
    opened.job.journal.deliver(opened.job.id)  # now that it is in a file: until then the same submit is the same job
    largest = float(found.standard_errors.max(initial=0.0))
    n, m = found.values.shape
    how = f"{'counted' if record.is_remote else 'simulated'} by {record.backend}"
    for step in found.steps:
        print(f"  {step.name}: {step.n_circuits:,} more circuits, {step.n_shots:,.0f} shots; {step.note}")
    print(f"{arguments.output}: {n} x {m} float64, {how}, {found.n_shots:,.0f} shots, standard errors up to {largest:.2g}")
    return GOOD


def _cancel(arguments: argparse.Namespace) -> int:
    status = jobs.cancel(arguments.job)
    states = [part.state for part in status.parts]
    print(f"Job {status.job}: " + ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states)))
    return GOOD if all(state in ("cancelled", "done") for state in states) else FAILED


def _cost(cost: Cost) -> str:
    """Return a cost in words, with the date of its prices."""
    parts = [f"{cost.circuits:,} circuits, {cost.executions:,} executions"]
    if cost.qpu_seconds is not None:
        parts.append(f"{_seconds(cost.qpu_seconds)} QPU seconds{' (modelled)' if cost.qpu_seconds else ''}")
    if cost.hqc is not None:
        parts.append(f"{cost.hqc:,.0f} HQC")
    if cost.usd is None:
        parts.append("price in USD not known")
    else:
        worst = "" if cost.usd_worst is None else f" (at most {cost.usd_worst:,.2f})"
        dated = f", list prices of {cost.price_date}{', out of date' if cost.is_stale else ''}" if cost.price_date else ""
        plan = f" by {cost.provider}" if cost.provider else ""
        parts.append(f"{cost.usd:,.2f} USD{worst}{plan}{dated}")
    return ", ".join(parts) + "".join(f"\n  {note}" for note in cost.notes)


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f}" if seconds >= 1000 else f"{seconds:.3g}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns; the last one is not padded."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
