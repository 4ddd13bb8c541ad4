# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Jobs against a provider that speaks over a socket and misbehaves: nothing paid is lost, nothing is paid twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import flashket as fk
from fake_device import HERE, QUICK, FakeDevice, batch_of, expected, running
from fake_provider import USD_PER_SHOT
from flashket.errors import JobError
from flashket.qpu import budget, jobs
from flashket.qpu.adapters._base import Batch, Limits
from flashket.qpu.journal import Journal
from flashket.qpu.splitting import split

SHOTS = 100
N = 5
"""Circuits of most batches; the fake device takes two in a job, so three parts."""


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    with running(tmp_path_factory.mktemp("provider")) as provider:
        yield provider


@pytest.fixture
def provider(started):
    started.reset()
    return started


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


def submit(provider, journal, batch=None, *, usd=100, **options):
    with budget(usd=usd, qpu_seconds=100):
        return jobs.submit(batch or batch_of(N), provider.device(), journal=journal, retry=QUICK, **options)


def test_a_job_brings_counts_times_and_its_bill(provider, journal):
    job = submit(provider, journal)
    found = job.result()
    assert found.counts == expected(batch_of(N))
    assert found.usd == pytest.approx(provider.usd) == pytest.approx(N * SHOTS * USD_PER_SHOT)
    assert found.is_billed and found.queue_seconds == 1.5 and found.execution_seconds == 0.75
    assert found.wall_seconds >= 0 and found.calibrations == ("2026-11-01T00:00:00",)
    assert job.status().state == "done"
    states = [state for part, state, _ in journal.history(job.id) if part == 1]
    assert states == ["planned", "reserved", "submitting", "submitted", "done"]
    entry = journal.circuits(job.id)[0]
    assert journal.qasm(entry.digest) == batch_of(N).circuits[0].to_qasm()
    assert journal.metadata(1) == {"by": "fake"}


def test_parts_keep_to_the_limits():
    assert split([10] * 5, Limits(None)) == [tuple((i, 10) for i in range(5))]
    rng = np.random.default_rng(0)
    for _ in range(200):
        shots = rng.integers(1, 50, rng.integers(1, 8)).tolist()
        limits = Limits(None, *(int(each) if rng.random() < 0.7 else None for each in rng.integers(1, 60, 3)))
        parts = split(shots, limits)
        for part in parts:
            assert part and len({position for position, _ in part}) == len(part)
            assert limits.max_circuits is None or len(part) <= limits.max_circuits
            assert limits.max_shots is None or max(n for _, n in part) <= limits.max_shots
            assert limits.max_executions is None or sum(n for _, n in part) <= limits.max_executions
        assert [sum(n for part in parts for position, n in part if position == i) for i in range(len(shots))] == shots


def test_shots_beyond_the_limit_are_added_up(provider, journal):
    device, batch = provider.device(Limits(20, max_shots=40)), batch_of(2)
    with budget(usd=100, qpu_seconds=100):
        found = jobs.submit(batch, device, journal=journal, retry=QUICK).result()
    assert [sum(counts.values()) for counts in found.counts] == [SHOTS, SHOTS]
    pieces = [expected(replace(batch, shots=(n, n))) for n in (40, 40, 20)]
    assert found.counts[0] == {outcome: sum(piece[0].get(outcome, 0) for piece in pieces) for outcome in found.counts[0]}


def test_every_part_has_its_own_seed():
    plans = jobs._plans(batch_of(5, seed=7), FakeDevice(0))
    assert len({plan.seed for plan in plans}) == 3
    assert [plan.seed for plan in plans] == [plan.seed for plan in jobs._plans(batch_of(5, seed=7), FakeDevice(0))]
    assert all(plan.seed is None for plan in jobs._plans(batch_of(5), FakeDevice(0)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"shots": (0,)}, "shots must be positive integers, got 0"),
        ({"shots": (1.5,)}, "shots must be positive integers"),
        ({"shots": (5, 5)}, "1 circuits and 2 shots"),
        ({"circuits": (), "shots": ()}, "0 circuits"),
    ],
)
def test_bad_batches_are_refused_before_anything_is_recorded(change, text, journal):
    with pytest.raises(fk.InputError, match=text):
        jobs.submit(replace(batch_of(1), **change), FakeDevice(0), journal=journal)
    with pytest.raises(fk.InputError, match="at most 1 qubits, got 2"):
        jobs.submit(batch_of(1), FakeDevice(0, Limits(1)), journal=journal)
    with pytest.raises(fk.InputError, match="reuse must be one of"):
        jobs.submit(batch_of(1), FakeDevice(0), journal=journal, reuse="always")
    assert journal.records() == []


# Money


def test_nothing_may_be_spent_without_a_budget(provider, journal):
    with pytest.raises(fk.BudgetExceeded, match=r"up to 5\.50 USD and 0\.5 QPU seconds, got a budget with 0\.00 USD.*--max-spend 5\.50"):
        jobs.submit(batch_of(N), provider.device(), journal=journal)
    with budget(usd=100), pytest.raises(fk.BudgetExceeded, match="QPU seconds"):
        jobs.submit(batch_of(N), provider.device(), journal=journal)
    with budget(usd=5.49, qpu_seconds=1), pytest.raises(fk.BudgetExceeded, match="nothing was sent"):
        jobs.submit(batch_of(N), provider.device(), journal=journal)
    assert provider.ledger == [] and journal.records() == []


def test_a_budget_reserves_the_worst_case_and_settles_to_the_bill(provider, journal):
    with budget(usd=100, qpu_seconds=100) as allowed:
        job = jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
        assert allowed.reserved.usd == pytest.approx(5.5) and allowed.spent.usd == 0
        assert job.status().usd == pytest.approx(5.5)
        job.result()
        assert allowed.reserved.usd == pytest.approx(0) and allowed.spent.usd == pytest.approx(5.0)
        assert allowed.left.usd == pytest.approx(95) and allowed.left.qpu_seconds == pytest.approx(99.5)
    assert job.status().usd == pytest.approx(provider.usd)


def test_an_unknown_price_needs_a_word(provider, journal):
    device = provider.device(usd=None)
    with budget(usd=100, qpu_seconds=100), pytest.raises(fk.BudgetExceeded, match=r"none \(by contract\).*allow_unknown=True"):
        jobs.submit(batch_of(1), device, journal=journal)
    with budget(qpu_seconds=100, allow_unknown=True):
        assert jobs.submit(batch_of(1), device, journal=journal, retry=QUICK).result().counts == expected(batch_of(1))
    with budget(allow_unknown=True), pytest.raises(fk.BudgetExceeded, match=r"0\.1 QPU seconds"):
        jobs.submit(batch_of(1), device, journal=journal, reuse="never")


def test_estimate_sends_nothing(provider):
    cost = jobs.estimate(batch_of(N), provider.device())
    assert (cost.circuits, cost.executions, cost.usd) == (N, N * SHOTS, pytest.approx(5.0))
    assert jobs.capabilities(provider.device()).max_circuits == 2
    assert provider.ledger == []


# The same job again


def test_a_finished_job_is_paid_again_unless_it_is_asked_for(provider, journal):
    first = submit(provider, journal)
    assert first.result() and submit(provider, journal, usd=0, reuse="any").id == first.id
    assert submit(provider, journal).id != first.id
    assert submit(provider, journal, reuse="never").id == 3
    assert len(provider.ledger) == 9


def test_a_result_that_nobody_took_is_not_paid_again(provider, journal):
    first = submit(provider, journal)
    first.fetch()
    again = submit(provider, journal, usd=0)
    assert again.id == first.id and again.result().counts == expected(batch_of(N)) and len(provider.ledger) == 3


def test_another_process_fetches_by_number(provider, journal):
    job = submit(provider, journal)
    other = jobs.open_job(job.id, device=provider.device(), journal=Journal(journal.path), retry=QUICK)
    assert other.result().counts == expected(batch_of(N))
    assert job.result().counts == expected(batch_of(N))
    with pytest.raises(fk.JobError, match="got 99, which is not in"):
        jobs.open_job(99, journal=journal)


# Provider faults


@pytest.mark.parametrize("kind", ["busy", "error", "drop before", "drop after", "hang before"])
@pytest.mark.parametrize("op", ["status", "result"])
def test_questions_are_asked_again(provider, journal, op, kind):
    provider.faults((op, kind), (op, kind))
    assert submit(provider, journal).result().counts == expected(batch_of(N))
    assert len(provider.ledger) == 3


def test_retries_end(provider, journal):
    job = submit(provider, journal)
    provider.faults(*[("status", "error")] * 3)
    with pytest.raises(fk.JobError, match=r"must answer one of 3 requests, got 500: nothing is lost"):
        job.result()
    provider.faults(("status", "busy for long"))
    with pytest.raises(fk.JobError, match="asks to wait 86400 s: nothing is lost"):
        job.result()
    assert job.result().counts == expected(batch_of(N)) and len(provider.ledger) == 3


def test_a_job_that_was_refused_for_now_is_sent_again(provider, journal):
    provider.faults(("submit", "busy"), ("submit", "busy"))
    assert submit(provider, journal).result().counts == expected(batch_of(N))
    provider.faults(*[("submit", "busy")] * 3)
    with budget(usd=100, qpu_seconds=100) as allowed:
        with pytest.raises(fk.JobError, match="nothing was sent; try again later"):
            jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
        assert allowed.left.usd == 100
    assert len(provider.ledger) == 3
    assert submit(provider, journal).result().counts == expected(batch_of(N)) and len(provider.ledger) == 6


def test_a_provider_that_asks_to_come_back_tomorrow(provider, journal):
    provider.faults(("submit", "busy for long"))
    with budget(usd=100, qpu_seconds=100) as allowed:
        with pytest.raises(fk.JobError, match="asks to wait 86400 s: nothing is lost"):
            jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
        assert allowed.left.usd == 100
    assert [part.state for part in journal.parts(1)] == ["planned"] * 3 and provider.ledger == []
    assert submit(provider, journal).id == 1 and len(provider.ledger) == 3


@pytest.mark.parametrize("kind", ["drop after", "hang after"])
def test_a_job_whose_answer_was_lost_is_found(provider, journal, kind):
    provider.faults(("submit", kind))
    assert submit(provider, journal).result().counts == expected(batch_of(N))
    assert len(provider.ledger) == 3


@pytest.mark.parametrize("kind", ["drop before", "hang before", "error"])
def test_an_unknown_outcome_counts_as_spent_and_is_not_sent_again(provider, journal, kind):
    provider.faults(("submit", kind))
    with budget(usd=100, qpu_seconds=100) as allowed:
        with pytest.raises(fk.JobError, match=r"part 1 of 3 \(circuits 0\.\.1, tag flashket-\w+\) may have been taken.*retry_unknown=True"):
            jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
        assert allowed.spent.usd == pytest.approx(2.2) and allowed.reserved.usd == pytest.approx(0)
    assert provider.ledger == []
    for _ in range(2):
        with pytest.raises(fk.JobError, match="may have been taken"):
            submit(provider, journal)
    job = submit(provider, journal, retry_unknown=True)
    assert job.result().counts == expected(batch_of(N)) and len(provider.ledger) == 3
    assert job.status().usd == pytest.approx(2.2 + 5.0)  # the unknown one stays spent


def test_a_job_that_the_provider_lists_late_is_adopted(provider, journal):
    provider.faults(("submit", "drop after"), ("find", "error"), ("find", "error"), ("find", "error"))
    with pytest.raises(fk.JobError, match="may have been taken"):
        submit(provider, journal)
    job = submit(provider, journal)
    assert job.result().counts == expected(batch_of(N)) and len(provider.ledger) == 3
    assert job.status().usd == pytest.approx(5.0)


def test_a_job_that_the_provider_forgets_is_unknown(provider, journal):
    provider.faults(("submit", "forget"))
    first = submit(provider, journal)  # the answer came: nothing to look for
    assert first.result().counts == expected(batch_of(N))


def test_a_refused_job_costs_nothing(provider, journal):
    provider.faults(("submit", "refuse"))
    with budget(usd=100, qpu_seconds=100) as allowed:
        with pytest.raises(fk.JobError, match="400: told to: refuse"):
            jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
        assert allowed.left.usd == 100
    assert provider.ledger == []
    assert submit(provider, journal).result().counts == expected(batch_of(N))
    assert len(provider.ledger) == 3


def test_a_job_that_fails_half_way_keeps_the_rest(provider, journal):
    provider.faults(("submit", ""), ("submit", "fail"))
    job = submit(provider, journal)
    with pytest.raises(fk.JobError, match=r"2 of 3, which are kept: part 2 of 3 \(circuits 2\.\.3, fake-2\) failed: submit the job again"):
        job.result()
    assert job.status().state == "failed"
    again = submit(provider, journal)
    assert again.id == job.id and again.result().counts == expected(batch_of(N))
    assert len(provider.ledger) == 4  # only the failed part was sent again


@pytest.mark.parametrize("times", [1, 2])
def test_counts_that_do_not_add_up_are_kept_and_fetched_again(provider, journal, times):
    provider.faults(*[("result", "wrong counts")] * times)
    job = submit(provider, journal)
    if times == 1:
        assert job.result().counts == expected(batch_of(N))
    else:
        with pytest.raises(fk.JobError, match="circuit 0 must have 100 counts of 2 bits, got 99 counts"):
            job.result()
        assert sum(journal.counts(1)[0].values()) == SHOTS - 1  # the raw ones
        assert submit(provider, journal, usd=0).result().counts == expected(batch_of(N))
    assert len(provider.ledger) == 3


def test_a_slow_job(provider, journal):
    provider.faults(("submit", "slow"))
    job = submit(provider, journal)
    assert job.status().provider[0] == "queued"
    with pytest.raises(fk.JobError, match=r"part 1 of 3 .* is not ready: fetch the job later"):
        job.result(timeout=0)
    assert job.result().counts == expected(batch_of(N))


def test_a_provider_that_is_down(provider, journal):
    provider.stop()
    with budget(usd=100, qpu_seconds=100) as allowed:
        with pytest.raises(fk.JobError, match="nothing was sent"):
            jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
        assert allowed.left.usd == 100
    provider.start()
    assert submit(provider, journal).result().counts == expected(batch_of(N))


def test_a_provider_that_restarts_keeps_jobs(provider, journal):
    job = submit(provider, journal)
    provider.stop()
    with pytest.raises(fk.JobError, match="nothing is lost"):
        job.result()
    provider.start()
    again = jobs.open_job(job.id, device=provider.device(), journal=journal, retry=QUICK)
    assert again.result().counts == expected(batch_of(N)) and len(provider.ledger) == 3


def test_cancel(provider, journal):
    provider.faults(("submit", "slow"), ("submit", ""), ("submit", "slow"))
    with budget(usd=100, qpu_seconds=100) as allowed:
        job = jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
        job.cancel()
        status = job.status()
        assert [part.state for part in status.parts].count("cancelled") >= 2 and status.state == "cancelled"
        job.fetch()
        assert allowed.left.usd == pytest.approx(100 - provider.usd)
    with pytest.raises(fk.JobError, match="was cancelled: submit the job again"):
        job.result()
    assert submit(provider, journal).result().counts == expected(batch_of(N))


CANARY = "canary-7f31c09b2d"


def test_no_credential_reaches_the_journal_or_an_error(provider, journal, monkeypatch):
    device = provider.device()
    send, read = device.submit, device.result

    def submit_and_leak(batch, token):
        send(batch, token)
        raise RuntimeError(f"Authorization: Bearer {CANARY}")

    def read_and_leak(identity):
        return replace(read(identity), raw={"headers": {"Authorization": f"Bearer {CANARY}"}, "url": f"https://me:{CANARY}@host"})

    monkeypatch.setattr(device, "submit", submit_and_leak)
    monkeypatch.setattr(device, "find", lambda token: None)
    monkeypatch.setattr(device, "result", read_and_leak)
    with budget(usd=100, qpu_seconds=100):
        with pytest.raises(fk.JobError, match="RuntimeError") as caught:
            jobs.submit(batch_of(N), device, journal=journal, retry=QUICK)
        assert CANARY not in "".join(traceback.format_exception(caught.value))
        monkeypatch.setattr(device, "submit", send)
        jobs.submit(batch_of(N), device, journal=journal, retry=QUICK, retry_unknown=True).result()
    journal.close()
    files = [path.read_bytes() for path in Path(journal.path).parent.iterdir() if path.is_file()]
    assert files and not any(CANARY.encode() in data for data in files)


# Killed at every step

STEPS = [
    ("during", "planned", 1),
    ("during", "reserved", 2),
    ("after", "planned", 1),
    ("before", "submitting", 1),
    ("during", "submitting", 1),
    ("after", "submitting", 1),
    ("after", "submitting", 2),
    ("before", "submitted", 1),
    ("during", "submitted", 2),
    ("after", "submitted", 1),
    ("after", "submitted", 3),
    ("before", "kept", 1),
    ("after", "kept", 2),
    ("during", "done", 1),
    ("after", "done", 3),
    ("before", "delivered", 1),
]
REQUESTS = [(op, f"kill {when}") for op in ("submit", "status", "result") for when in ("before", "after")]


def client(provider, journal, kill=None, usd=100):
    """Run a client in a process of its own; return what it printed, or None if it was killed."""
    request = {"port": provider.port, "journal": journal.path, "n": N, "kill": kill, "usd": usd}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(HERE / "fake_device.py"), json.dumps(request)], capture_output=True, text=True, env=environment
    )
    if done.returncode == -9:
        return None
    assert done.returncode == 0, done.stderr
    return [{int(outcome): n for outcome, n in found.items()} for found in json.loads(done.stdout)]


def finished(provider, journal, *, unknown):
    """Go on with the only job and check counts, money and that nothing was sent twice."""
    paid_before = provider.usd
    with budget(usd=100, qpu_seconds=100) as allowed:
        if unknown:
            with pytest.raises(fk.JobError, match="may have been taken"):
                jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK)
            assert [part.usd_spent for part in journal.parts(1) if part.state == "unknown"] == [pytest.approx(2.2)]
            assert provider.usd == paid_before and allowed.left.usd == 100
        job = jobs.submit(batch_of(N), provider.device(), journal=journal, retry=QUICK, retry_unknown=unknown)
        found = job.result()
        # This budget pays for what this process sent, not for what the killed one had sent.
        assert allowed.spent.usd == pytest.approx(provider.usd - paid_before) and allowed.reserved.usd == pytest.approx(0)
    assert found.counts == expected(batch_of(N))
    tokens = [entry["token"] for entry in provider.ledger]
    assert len(tokens) == len(set(tokens)) == 3
    assert found.usd == pytest.approx(provider.usd + (2.2 if unknown else 0.0))  # what is unknown stays spent
    assert len(journal.records()) == 1


@pytest.mark.parametrize("step", STEPS, ids=[" ".join(map(str, step)) for step in STEPS])
def test_killed_at_a_change_of_state(provider, journal, step):
    assert client(provider, journal, step) is None
    # Between "submitting" and the provider's yes nobody can know: that part is looked up, then unknown.
    finished(provider, journal, unknown=step[:2] == ("after", "submitting"))


@pytest.mark.parametrize(("op", "kind"), REQUESTS)
def test_killed_at_a_request(provider, journal, op, kind):
    provider.faults((op, ""), (op, kind))
    assert client(provider, journal) is None
    finished(provider, journal, unknown=(op, kind) == ("submit", "kill before"))


@pytest.mark.parametrize("kind", ["kill before", "kill after"])
def test_killed_again_while_looking_for_a_job(provider, journal, kind):
    provider.faults(("submit", "kill after"))
    assert client(provider, journal) is None
    provider.faults(("find", kind))
    assert client(provider, journal) is None
    finished(provider, journal, unknown=False)


def test_going_on_needs_a_budget_for_what_was_not_sent(provider, journal):
    assert client(provider, journal, ("after", "submitted", 1)) is None
    with pytest.raises(fk.BudgetExceeded, match=r"up to 3\.30 USD"):
        submit(provider, journal, usd=3.29)
    assert [part.state for part in journal.parts(1)] == ["submitted", "reserved", "reserved"] and len(provider.ledger) == 1
    job = jobs.open_job(1, device=provider.device(), journal=journal, retry=QUICK)
    with pytest.raises(fk.JobError, match=r"1 of 3, which are kept: part 2 of 3 \(circuits 2\.\.3\) was never sent"):
        job.result()
    assert submit(provider, journal, usd=3.3).result().counts == expected(batch_of(N))


def test_two_processes_race_for_one_job(provider, journal):
    found = [None, None]

    def run(index):
        found[index] = client(provider, journal)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(expected(batch_of(N)))] * 2
    tokens = [entry["token"] for entry in provider.ledger]
    # One job for both, or, where the first had its result before the second began, one for each.
    assert len(tokens) == len(set(tokens)) == 3 * len(journal.records())


def test_threads_share_a_journal(provider, journal):
    found = []

    def run(seed):
        with budget(usd=10, qpu_seconds=10):
            batch = Batch(batch_of(3).circuits, (10 + seed,) * 3)
            found.append(jobs.submit(batch, provider.device(), journal=journal, retry=QUICK).result().counts == expected(batch))

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 6 and len(provider.ledger) == 12


def test_interrupted_by_the_keyboard(provider, journal, monkeypatch):
    device = provider.device()
    ask = device.ask
    seen = []

    def interrupted(op, **body):
        answer = ask(op, **body)
        seen.append(op)
        if seen.count("submit") == 2 and op == "submit":
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(device, "ask", interrupted)
    with budget(usd=100, qpu_seconds=100) as allowed:
        with pytest.raises(KeyboardInterrupt):
            jobs.submit(batch_of(N), device, journal=journal, retry=QUICK)
        assert allowed.reserved.usd == pytest.approx(4.4)  # one sent, one nobody knows; the third is free again
    assert submit(provider, journal).result().counts == expected(batch_of(N))
    assert len(provider.ledger) == 3


class Unlistable(FakeDevice):
    """A device whose provider cannot be asked for a job by its token."""

    def find(self, token):
        raise JobError("[fake:qpu] jobs of this provider cannot be looked up by their token")


def test_what_a_provider_cannot_be_asked_for_is_sent_again_only_on_demand(provider, journal):
    batch = batch_of(1)
    device = Unlistable(provider.port)
    provider.faults(("submit", "drop before"))
    with budget(usd=100, qpu_seconds=100):
        with pytest.raises(JobError, match="retry_unknown"):
            jobs.submit(batch, device, journal=journal, retry=QUICK)
        with pytest.raises(JobError, match="looked up"):
            jobs.submit(batch, device, journal=journal, retry=QUICK)
        sent = len(provider.ledger)
        job = jobs.submit(batch, device, journal=journal, retry=QUICK, retry_unknown=True)
        assert job.result().counts == expected(batch)
    assert sent == 0 and len(provider.ledger) == 1


def test_what_is_in_the_journal_needs_no_adapter(provider, journal):
    job = submit(provider, journal)
    with pytest.raises(fk.InputError):
        jobs.open_job(job.id, journal=journal)  # no adapter has this name, and the counts are not here yet
    counts = job.collect().counts
    opened = jobs.open_job(job.id, journal=journal)
    assert opened.result().counts == counts and opened.status().state == "done"


def test_numbers_that_no_job_can_have(journal):
    for number in (-1, 10**30):
        with pytest.raises(JobError, match="a job's number was wanted"):
            jobs.open_job(number, journal=journal)


@pytest.mark.parametrize("bill", [float("nan"), float("inf"), -5.0])
def test_a_bill_that_is_none_counts_as_expected(provider, journal, monkeypatch, bill):
    """Neither are counts lost, nor does a budget grow."""
    device = provider.device()
    original = device.result
    monkeypatch.setattr(device, "result", lambda job_id: replace(original(job_id), usd=bill, qpu_seconds=bill))
    with budget(usd=100, qpu_seconds=100) as allowed:
        job = jobs.submit(batch_of(2), device, journal=journal, retry=QUICK)
        (part,) = job.journal.parts(job.id)
        assert job.result().counts == expected(batch_of(2))
        likely = part.cost.usd
        assert likely is not None
        assert allowed.spent.usd == pytest.approx(likely)
        assert 0 <= allowed.left.usd < 100


@pytest.mark.parametrize("op", ["status", "result"])
def test_answers_that_nobody_expected_lose_nothing(provider, journal, monkeypatch, op):
    """A changed form of an answer is an error that names the job; the same call goes on once it can be read."""
    device = provider.device(Limits(8, max_circuits=1))
    with budget(usd=100, qpu_seconds=100):
        job = jobs.submit(batch_of(2), device, journal=journal, retry=QUICK)
        first = job.journal.parts(job.id)[0].provider_id
        original = getattr(device, op)

        def odd(job_id):
            if job_id == first:
                raise KeyError("counts")
            return original(job_id)

        monkeypatch.setattr(device, op, odd)
        with pytest.raises(fk.JobError, match=f"what it says of {first} must be readable, got KeyError"):
            job.result()
        # The other part is kept all the same.
        assert [part.state for part in job.journal.parts(job.id)] == ["submitted", "done"]
        monkeypatch.undo()
        assert job.result().counts == expected(batch_of(2))
    assert len(provider.ledger) == 2
