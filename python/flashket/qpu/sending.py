# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Sending a job's parts so that none is paid twice, whatever happens in between."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from flashket.errors import BackendUnavailable, InputError, JobError, explanation
from flashket.qpu.adapters._base import Batch, TransientError
from flashket.qpu.circuit import MeasuredCircuit
from flashket.qpu.credentials import redact
from flashket.qpu.fetching import Fetching
from flashket.qpu.journal import UNSENT, Part
from flashket.qpu.spending import Amount, reserve, worst_case


def new_token() -> str:
    """Return an idempotency token: a tag under which a provider's job can be found again."""
    return f"flashket-{secrets.token_hex(12)}"


class Sending(Fetching):
    """The part of :class:`flashket.qpu.jobs.Job` that sends."""

    circuits: tuple[MeasuredCircuit, ...]

    def send(self, retry_unknown: bool = False) -> None:
        """Send every part that was not sent, and those that failed or were cancelled, once more."""
        sent: set[int] = set()
        try:
            with self.journal.sending(self.record.id):
                self._resolve(retry_unknown)
                unsent = [part for part in self.journal.parts(self.record.id) if part.state in UNSENT]
                self._reserve(unsent)
                try:
                    for part in unsent:
                        self._send_part(part, sent)
                except BaseException:
                    for part in unsent:
                        with suppress(JobError):  # the error that brought us here is the one to show
                            self.journal.change(part.id, ("reserved",), "planned")
                    raise
        finally:
            # What was reserved for parts that were not sent from here is free again.
            for identity in self.reservations.keys() - sent:
                self.reservations.pop(identity).release()

    def _resolve(self, retry_unknown: bool) -> None:
        """Find out about parts that were sent without an answer, and plan another attempt at those that ended without counts."""
        lost = self.look_up(retry_unknown)
        if not self.adapter.is_remote:
            for part in self.journal.parts(self.record.id):
                if part.state == "submitted" and not part.has_counts and self._is_gone(part):
                    self.journal.change(part.id, ("submitted",), "planned", provider_id=None)
        if lost and not retry_unknown:
            raise JobError(self.missing(lost))
        for part in lost:
            # The same token: a provider that knows it does not take the job twice.
            self.journal.retry(part, part.token)
        self.fetch_damaged()
        for part in self.journal.parts(self.record.id):
            if part.state in ("failed", "cancelled"):
                self.journal.retry(part, new_token())

    def _is_gone(self, part: Part) -> bool:
        """Say whether a local simulator has forgotten a part, as it does when its process ends."""
        assert part.provider_id is not None
        try:
            self.adapter.status(part.provider_id)
        except JobError:
            return True
        return False

    def _reserve(self, parts: Sequence[Part]) -> None:
        """Reserve what this process has not reserved yet, all or none."""
        missing = [part for part in parts if part.id not in self.reservations]
        found = reserve([part.cost for part in missing], self.adapter.name, is_remote=self.adapter.is_remote)
        self.reservations |= {part.id: reservation for part, reservation in zip(missing, found, strict=True)}
        with self.journal.transaction():
            for part in missing:
                self.journal.change(part.id, UNSENT, "reserved")

    def _send_part(self, part: Part, sent: set[int]) -> None:
        waits = self.retry.waits()
        while True:
            worst = worst_case(part.cost)
            spent = {"usd_spent": worst.usd, "seconds_spent": worst.qpu_seconds}
            # From here on the part counts as spent until the provider says otherwise.
            if not self.journal.change(part.id, ("reserved",), "submitting", submitted=time.time(), **spent):
                now = self.journal.part(part.id).state
                raise JobError(self._text("parts to send must be reserved", f"{now}: somebody else changed part {part.slot + 1}"))
            sent.add(part.id)
            try:
                provider_id = self.adapter.submit(self._batch(part), part.token)
            except TransientError as error:
                if not error.refused:
                    self._after_doubt(part, str(error))
                    return
                self._take_back(part, "reserved")
                sent.discard(part.id)
                wait = next(waits, None)
                if wait is None:
                    do = "nothing was sent; try again later"
                    text = explanation(self.adapter.name, f"one of {self.retry.attempts} requests must succeed", str(error), do)
                    raise JobError(text) from error
                self.retry.pause(wait, error, self.adapter.name)
                continue
            except (BackendUnavailable, InputError):  # refused here, before anything was sent
                self._take_back(part, "planned")
                sent.discard(part.id)
                raise
            except JobError as error:
                self._after_refusal(part, error)
                return
            except Exception as error:  # whatever an SDK raises, the part may have arrived
                if not self.adapter.is_remote:
                    self._take_back(part, "planned")
                    raise
                doubt = redact(f"{type(error).__name__}: {error}")
            else:
                self._store_id(part, provider_id)
                return
            # Outside of the except clause: the SDK's exception, whose text may hold credentials, is not chained.
            self._after_doubt(part, doubt)
            return

    def _store_id(self, part: Part, provider_id: str) -> None:
        try:
            self.journal.change(part.id, ("submitting",), "submitted", provider_id=str(provider_id))
        except JobError as error:
            do = f"it is safe: after that is fixed, submit again to find it by its tag {part.token}"
            raise JobError(self._text(f"job {provider_id} was sent and must be recorded", str(error), do)) from error

    def _take_back(self, part: Part, state: str, **fields: Any) -> None:
        """Note that the provider surely did not take a part."""
        self.journal.change(part.id, ("submitting",), state, usd_spent=0.0, seconds_spent=0.0, **fields)

    def _after_refusal(self, part: Part, error: JobError) -> None:
        """Note a refusal, unless the provider has the job all the same."""
        if not self.adapter.is_remote:
            self._take_back(part, "failed", error=str(error), reason="refused")
            raise error
        if self._adopt_or_explain(part, str(error)):
            return
        self.journal.change(part.id, ("unknown",), "failed", usd_spent=0.0, seconds_spent=0.0, error=str(error), reason="refused")
        self.settle(part, Amount())
        raise error

    def _after_doubt(self, part: Part, error: str) -> None:
        """Look for a part of which nobody knows whether it arrived."""
        if not self.adapter.is_remote:
            self._take_back(part, "planned")
            raise JobError(self._text(f"{self.adapter.name} must run it", error))
        for wait in (*self.retry.waits(), 0.0):
            if self._adopt_or_explain(part, error):
                return
            time.sleep(wait)  # a provider may list a job some time after it took it
        self.journal.change(part.id, ("unknown",), "unknown", error=error)
        self.settle(part, worst_case(part.cost))
        raise JobError(self.missing([self.journal.part(part.id)]))

    def _adopt_or_explain(self, part: Part, error: str) -> bool:
        try:
            return self.adopt(part)
        except JobError as second:
            self.settle(part, worst_case(part.cost))
            raise JobError(f"{self.missing([self.journal.part(part.id)])} ({error})") from second

    def _batch(self, part: Part) -> Batch:
        circuits = tuple(self.circuits[position] for position, _ in part.pieces)
        return Batch(circuits, tuple(shots for _, shots in part.pieces), part.seed)

    def _text(self, wanted: str, got: str, do: str | None = None) -> str:
        return explanation(f"job {self.record.id}", wanted, got, do)
