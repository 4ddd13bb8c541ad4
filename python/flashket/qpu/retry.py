# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""How often and how long to wait for a provider."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from flashket.errors import JobError, explanation
from flashket.qpu.adapters._base import TransientError

Answer = TypeVar("Answer")


class NoAnswer(JobError):
    """A provider did not answer, however often it was asked."""


@dataclass(frozen=True)
class Retry:
    """Bounded retries with exponential back-off and jitter; a provider's Retry-After is honoured. Seconds.

    Parameters
    ----------
    attempts : int
        How often a request is made before it is given up.
    first_wait, longest_wait : float
        Before the second attempt, and the most before any; a Retry-After beyond ends the attempts at once.
    first_poll, longest_poll : float
        Between two questions whether a job has finished; the pause grows by half each time.

    Examples
    --------
    >>> [round(wait) for wait in Retry(attempts=4, first_wait=10).waits(jitter=0.0)]
    [10, 20, 40]
    """

    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 300.0
    first_poll: float = 0.25
    longest_poll: float = 15.0

    def waits(self, jitter: float = 0.25) -> Iterator[float]:
        """Yield the pause after each failed attempt but the last; jitter keeps many clients from coming back together."""
        for attempt in range(self.attempts - 1):
            yield min(self.first_wait * 2**attempt * (1 + jitter * random.random()), self.longest_wait)

    def pause(self, wait: float, error: TransientError, name: str) -> None:
        """Sleep ``wait`` or what the provider asks for; raise NoAnswer if that is too long."""
        asked = error.retry_after or 0.0
        if asked > self.longest_wait:
            do = "nothing is lost; try again then"
            raise NoAnswer(explanation(name, "the provider must answer", f"{error}, and asks to wait {asked:g} s", do)) from error
        time.sleep(max(wait, asked))

    def call(self, question: Callable[[], Answer], name: str) -> Answer:
        """Return the answer to a question that changes nothing, asked again after each TransientError.

        Raises
        ------
        NoAnswer
            After the last attempt.
        """
        for wait in self.waits():
            try:
                return question()
            except TransientError as error:
                self.pause(wait, error, name)
        try:
            return question()
        except TransientError as error:
            do = "nothing is lost; try again later"
            raise NoAnswer(explanation(name, f"the provider must answer one of {self.attempts} requests", str(error), do)) from error

    def polls(self) -> Iterator[float]:
        """Yield the pauses between questions for a job's state, without end."""
        pause = self.first_poll
        while True:
            yield pause
            pause = min(pause * 1.5, self.longest_poll)
