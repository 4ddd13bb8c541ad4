# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Fetching a job's results: the raw counts are kept before anything looks at them, so that nothing paid is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress

from flashket.errors import JobError, explanation
from flashket.program import Program
from flashket.qpu.adapters._base import Adapter, Batch, Result, check_counts
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.credentials import redact
from flashket.qpu.journal import UNSENT, Journal, Part, Record, write_counts
from flashket.qpu.retry import NoAnswer, Retry
from flashket.qpu.spending import Amount, Reservation, expected, worst_case

_STATES = ("queued", "running", "done", "failed", "cancelled")

_ADVICE = {
    "planned": "was never sent: submit the job again",
    "reserved": "was never sent: submit the job again",
    "submitting": "is being sent, or its sender was killed: submit the job again",
    "submitted": "is not ready: fetch the job later",
    "failed": "failed: submit the job again to send only that",
    "cancelled": "was cancelled: submit the job again to send only that",
    "unknown": "may have been taken, but the provider does not find it; it counts as spent: look for its tag, and only if it is not there "
    "submit again with retry_unknown=True (--retry-unknown)",
}


class Fetching:
    """The part of :class:`flashket.qpu.jobs.Job` that fetches."""

    journal: Journal
    record: Record
    adapter: Adapter
    retry: Retry
    reservations: dict[int, Reservation]
    """What this process has reserved, by part."""

    def provider_state(self, part: Part) -> str:
        """Return what the provider says of a part: "queued", "running", "done", "failed" or "cancelled"."""
        provider_id = part.provider_id
        assert provider_id is not None
        state = self.retry.call(lambda: self.adapter.status(provider_id), self.adapter.name)
        if state not in _STATES:
            raise JobError(explanation(self.adapter.name, f"status must be one of {', '.join(_STATES)}", repr(state)))
        return state

    def fetch(self, timeout: float | None = None) -> None:
        """Wait for every part that was sent, and keep what it brought; a part that fails does not keep the others from being fetched."""
        if any(part.state in ("submitting", "unknown") for part in self.journal.parts(self.record.id)):
            with suppress(JobError), self.journal.sending(self.record.id, 0):  # its sender may be alive
                self.look_up()
        self.fetch_damaged()
        deadline = None if timeout is None else time.monotonic() + timeout
        first_error: JobError | None = None
        for part in self.journal.parts(self.record.id):
            if part.state != "submitted":
                continue
            try:
                self._fetch_part(part, deadline)
            except JobError as error:
                self.journal.change(part.id, ("submitted",), "submitted", error=str(error))
                first_error = first_error or error
                if isinstance(error, NoAnswer):
                    break
        if first_error is not None:
            raise JobError(f"{self.missing(self.journal.parts(self.record.id))} ({first_error})") from first_error

    def _fetch_part(self, part: Part, deadline: float | None) -> None:
        if not part.has_counts:
            state = self._waited(part, deadline)
            if state not in ("done", "failed", "cancelled"):
                return
            if state != "done":
                self._end(part, state)
                return
            self._keep(part)
        self._check(self.journal.part(part.id))

    def _waited(self, part: Part, deadline: float | None) -> str:
        """Return the state that the provider's job ends in, or has at the deadline."""
        for pause in self.retry.polls():
            state = self.provider_state(part)
            if state in ("done", "failed", "cancelled"):
                break
            left = pause if deadline is None else min(pause, deadline - time.monotonic())
            if left <= 0:
                break
            time.sleep(left)
        return state

    def _end(self, part: Part, state: str) -> None:
        """Note that a part ended without counts. It may have been billed, so it counts as spent."""
        reason = ""
        if state == "failed":
            assert part.provider_id is not None
            provider_id = part.provider_id
            try:  # some providers tell why only where the result would be
                self.retry.call(lambda: self.adapter.result(provider_id), self.adapter.name)
            except JobError as error:
                reason = str(error)
        self.journal.change(part.id, ("submitted",), state, error=reason or f"the provider says: {state}", reason="provider")
        self.settle(part, worst_case(part.cost))

    def _keep(self, part: Part) -> None:
        """Store a part's raw counts with times and bill."""
        provider_id = part.provider_id
        assert provider_id is not None
        found = self.retry.call(lambda: self.adapter.result(provider_id), self.adapter.name)
        wall = None if part.submitted is None else max(0.0, time.time() - part.submitted)
        spent = _spent(part, found)
        self.journal.change(
            part.id,
            (part.state,),
            part.state,
            counts=write_counts(found.counts),
            metadata=json.dumps(redact(found.raw)),
            queue_seconds=_duration(found.queue_seconds),
            execution_seconds=_duration(found.execution_seconds),
            wall_seconds=wall,
            calibration=found.calibration,
            usd_spent=spent.usd,
            seconds_spent=spent.qpu_seconds,
            is_billed=found.usd is not None or found.qpu_seconds is not None,
        )
        self.settle(part, spent)

    def _check(self, part: Part) -> None:
        """Mark a part whose counts are kept as done, or as failed where they are wrong even when fetched again."""
        problem = self._problem(part)
        if problem and part.state == "submitted":
            self._keep(part)
            problem = self._problem(part)
        if problem:
            self.journal.change(part.id, ("submitted",), "failed", error=problem, reason="counts")
        else:
            self.journal.change(part.id, (part.state,), "done", error=None, reason=None)

    def _problem(self, part: Part) -> str:
        entries = self.journal.circuits(part.job)
        circuits = tuple(_blank(entries[position].n_bits) for position, _ in part.pieces)
        try:
            check_counts(self.journal.counts(part.id), Batch(circuits, tuple(shots for _, shots in part.pieces)), self.adapter.name)
        except JobError as error:
            return str(error)
        return ""

    def fetch_damaged(self) -> None:
        """Fetch parts again whose counts did not add up: they are paid for, and the provider may have mended them."""
        for part in self.journal.parts(self.record.id):
            if part.state == "failed" and part.reason == "counts":
                with suppress(JobError):
                    self._keep(part)
                    self._check(self.journal.part(part.id))

    def settle(self, part: Part, spent: Amount) -> None:
        """Turn what this process has reserved for a part into what was spent."""
        if part.id in self.reservations:
            self.reservations.pop(part.id).settle(spent)

    def cancel(self) -> None:
        """Stop every part that has not run. What a provider cancels in its queue counts as not spent, what was running as spent.

        A part that has run by then stays, and can be fetched.

        Raises
        ------
        JobError
            If the provider does not answer; what was not sent is cancelled all the same.
        """
        for part in self.journal.parts(self.record.id):
            if part.state in UNSENT and self.journal.change(part.id, UNSENT, "cancelled", reason="user"):
                self.settle(part, Amount())
        if any(part.state in ("submitting", "unknown") for part in self.journal.parts(self.record.id)):
            with suppress(JobError), self.journal.sending(self.record.id, 0):
                self.look_up()
        for part in self.journal.parts(self.record.id):
            if part.state == "submitted" and not part.has_counts:
                self._cancel_part(part)

    def _cancel_part(self, part: Part) -> None:
        provider_id = part.provider_id
        assert provider_id is not None
        before = self.provider_state(part)
        if before in ("queued", "running"):
            self.retry.call(lambda: self.adapter.cancel(provider_id), self.adapter.name)
        state = self._waited(part, time.monotonic() + 2 * self.retry.longest_poll if before in ("queued", "running") else 0.0)
        if state == "cancelled":
            spent = Amount() if before == "queued" else worst_case(part.cost)
            fields = {"usd_spent": spent.usd, "seconds_spent": spent.qpu_seconds, "reason": "user"}
            self.journal.change(part.id, ("submitted",), "cancelled", **fields)
            self.settle(part, spent)

    def missing(self, parts: Sequence[Part]) -> str:
        """Return an error's text that says which parts are not done and what to do."""
        n_parts = len(self.journal.parts(self.record.id))
        open_parts = [part for part in parts if part.state != "done"]
        texts = []
        for part in open_parts:
            positions = [position for position, _ in part.pieces]
            where = f"circuits {min(positions)}..{max(positions)}" if len(positions) > 1 else f"circuit {positions[0]}"
            tag = f", tag {part.token}" if part.state in ("unknown", "submitting") else ""
            identity = f", {part.provider_id}" if part.provider_id else ""
            error = f" ({part.error})" if part.error and part.state in ("failed", "unknown") else ""
            texts.append(f"part {part.slot + 1} of {n_parts} ({where}{identity}{tag}) {_ADVICE[part.state]}{error}")
        kept = n_parts - len([part for part in self.journal.parts(self.record.id) if part.state != "done"])
        got = f"{kept} of {n_parts}, which are kept"
        return explanation(f"job {self.record.id} on {self.record.backend}", "every part must be done", got, "; ".join(texts))

    def look_up(self, retry_unknown: bool = False) -> list[Part]:
        """Ask the provider for parts that were sent without an answer; return those that it does not know, now "unknown".

        With ``retry_unknown`` those too that a provider cannot be asked for.
        """
        lost = []
        for part in self.journal.parts(self.record.id):
            if part.state not in ("submitting", "unknown"):
                continue
            if not self.adapter.is_remote:
                self.journal.change(part.id, (part.state,), "planned")  # nothing was paid: run it again
            elif not self._is_found(part, retry_unknown):
                lost.append(self.journal.part(part.id))
        return lost

    def _is_found(self, part: Part, retry_unknown: bool) -> bool:
        try:
            return self.adopt(part)
        except NoAnswer:
            raise
        except JobError:
            if not retry_unknown:
                raise
            return False

    def adopt(self, part: Part) -> bool:
        """Look for a part by its token: "submitted" where the provider has it, else "unknown"."""
        try:
            found = self.retry.call(lambda: self.adapter.find(part.token), self.adapter.name)
        except JobError as error:
            self.journal.change(part.id, ("submitting", "unknown"), "unknown", error=str(error))
            raise
        if found is None:
            self.journal.change(part.id, ("submitting", "unknown"), "unknown")
            return False
        self.journal.change(part.id, ("submitting", "unknown"), "submitted", provider_id=found, error=None)
        return True


def _spent(part: Part, found: Result) -> Amount:
    """Return what the provider billed, or what was expected of what it does not say."""
    likely = expected(part.cost)
    return Amount(likely.usd if found.usd is None else found.usd, likely.qpu_seconds if found.qpu_seconds is None else found.qpu_seconds)


def _duration(seconds: float | None) -> float | None:
    """Return a duration that a provider may have made from clocks that were set back."""
    return None if seconds is None else max(0.0, seconds)


def _blank(n_bits: int) -> MeasuredCircuit:
    """Return a circuit that has nothing but its measured bits."""
    return MeasuredCircuit((Program(n_bits, 0, ()),), tuple(range(n_bits)))
