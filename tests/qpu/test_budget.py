# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
"""Budgets: nothing without one, nesting, threads and tasks."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import math
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

import flashket as fk
from flashket.qpu import budget
from flashket.qpu.cost import Cost
from flashket.qpu.spending import Amount, current, reserve


def cost(usd, seconds=0.0):
    return Cost(1, 100, seconds, usd, usd)


def take(usd, seconds=0.0):
    return reserve([cost(usd, seconds)], "device", is_remote=True)[0]


def test_the_default_allows_nothing_but_what_is_free():
    for amount in ((0.01, 0), (0, 0.01)):
        with pytest.raises(fk.BudgetExceeded):
            take(*amount)
    take(0.0, 0.0)
    assert reserve([cost(1e6), Cost(1, 1, None, None, None)], "simulator", is_remote=False)[1].amount == Amount()


def test_all_or_nothing():
    with budget(usd=10) as allowed:
        with pytest.raises(fk.BudgetExceeded, match=r"up to 12\.00 USD and 0 QPU seconds, got a budget with 10\.00 USD"):
            reserve([cost(6), cost(6)], "device", is_remote=True)
        assert allowed.left.usd == 10
        first, second = reserve([cost(4), cost(6)], "device", is_remote=True)
        assert allowed.left.usd == 0
        first.settle(Amount(5.0))  # billed more than it could cost: that counts
        assert allowed.left.usd == 0 and allowed.spent.usd == 5
        second.release()
        second.release()
        assert allowed.left.usd == 5 and allowed.reserved.usd == 0


def test_the_error_says_what_was_asked_reserved_and_left():
    with budget(usd=10, qpu_seconds=5):
        take(3.0, 1.0).settle(Amount(2.0, 1.0))
        take(4.0, 1.0)
        left = r"a budget with 4\.00 USD and 3 .*\(2\.00 USD and 1 .* spent, 4\.00 USD and 1 .* reserved\)"
        with pytest.raises(fk.BudgetExceeded, match=rf"up to 7\.00 USD and 2 QPU seconds, got {left}"):
            take(7.0, 2.0)


def test_an_inner_budget_cannot_exceed_the_outer_one():
    with budget(usd=5) as outer:
        with budget(usd=100) as inner:
            take(3.0).settle(Amount(3.0))
            assert inner.left.usd == outer.left.usd == 2
            with pytest.raises(fk.BudgetExceeded):
                take(3.0)
        with budget(usd=1), pytest.raises(fk.BudgetExceeded):
            take(2.0)
        take(2.0)
    assert outer.spent.usd == 3 and outer.reserved.usd == 2
    assert current().left == Amount()


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "five", None, True])
def test_bad_amounts(value):
    for name in ("usd", "qpu_seconds"):
        with pytest.raises(fk.InputError, match=f"{name} must be a finite number >= 0"), budget(**{name: value}):
            pass


def test_threads_have_none_unless_it_is_handed_over():
    left = []
    with budget(usd=5):
        context = contextvars.copy_context()
        if not getattr(sys.flags, "thread_inherit_context", 0):
            thread = threading.Thread(target=lambda: left.append(current().left.usd))
            thread.start()
            thread.join()
            assert left == [0]
        thread = threading.Thread(target=lambda: context.run(lambda: left.append(current().left.usd)))
        thread.start()
        thread.join()
        assert left[-1] == 5

        async def task():
            return current().left.usd

        assert asyncio.run(task()) == 5


def test_many_threads_cannot_overspend():
    taken = []
    with budget(usd=50) as allowed:

        def run():
            for _ in range(20):
                with contextlib.suppress(fk.BudgetExceeded):
                    taken.append(take(1.0))

        contexts = [contextvars.copy_context() for _ in range(8)]
        threads = [threading.Thread(target=context.run, args=(run,)) for context in contexts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == 50 and allowed.left.usd == 0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 12), st.booleans()), max_size=30))
def test_what_is_left_is_what_was_not_spent(moves):
    with budget(usd=40) as allowed:
        spent = 0.0
        for asked, billed, is_sent in moves:
            try:
                reservation = take(asked)
            except fk.BudgetExceeded:
                assert asked > allowed.left.usd
                continue
            if is_sent:
                reservation.settle(Amount(billed))
                spent += billed
            else:
                reservation.release()
            assert allowed.left.usd == pytest.approx(max(0.0, 40 - spent), abs=1e-9)


@pytest.mark.parametrize("odd", [cost(math.nan), cost(1.0, math.nan), cost(-5.0), cost(math.inf), cost(0.0, -1.0)])
def test_a_cost_that_is_no_amount_is_not_sent(odd):
    with budget(usd=10, qpu_seconds=10) as allowed:
        with pytest.raises(fk.BudgetExceeded, match="finite and not negative"):
            reserve([cost(1.0), odd], "device", is_remote=True)
        assert allowed.left == Amount(10, 10)
