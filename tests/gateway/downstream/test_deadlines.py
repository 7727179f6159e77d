"""Deadlines with the same timeout share one timer, and each expires at its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from signalr_gateway.downstream.deadlines import Deadlines, timeouts, within
from tests.gateway.hand_clock import HandClock, HandTimer


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def expired() -> list[str]:
    return []


@pytest.fixture
def deadlines(clock: HandClock, expired: list[str]) -> Deadlines[str]:
    return Deadlines(10.0, expired.append, clock)


async def test_each_key_expires_in_its_own_time(
    deadlines: Deadlines[str], clock: HandClock, expired: list[str]
) -> None:
    deadlines.start("a")
    await clock.advance(4)
    deadlines.start("b")
    deadlines.start("c")
    await clock.advance(5.9)
    assert expired == []
    await clock.advance(0.1)
    assert expired == ["a"]
    await clock.advance(3.9)
    assert expired == ["a"]
    await clock.advance(0.1)
    assert expired == ["a", "b", "c"]
    await clock.advance(100)
    assert expired == ["a", "b", "c"]


async def test_a_stopped_key_does_not_expire(
    deadlines: Deadlines[str], clock: HandClock, expired: list[str]
) -> None:
    deadlines.start("a")
    await clock.advance(4)
    deadlines.stop("a")
    deadlines.stop("a")
    deadlines.start("b")
    await clock.advance(9.9)
    assert expired == []
    await clock.advance(0.1)
    assert expired == ["b"]


async def test_a_key_that_is_started_twice_keeps_its_deadline(
    deadlines: Deadlines[str], clock: HandClock, expired: list[str]
) -> None:
    deadlines.start("a")
    await clock.advance(4)
    deadlines.start("a")
    await clock.advance(6)
    assert expired == ["a"]


async def test_all_keys_share_one_timer() -> None:
    timers = []

    class CountingClock(HandClock):
        def call_at(self, when: float, callback: Callable[[], object], /) -> HandTimer:
            timers.append(when)
            return super().call_at(when, callback)

    clock = CountingClock()
    deadlines: Deadlines[int] = Deadlines(10.0, lambda key: None, clock)
    for key in range(100):
        deadlines.start(key)
        deadlines.stop(key)
    assert timers == [1010.0]
    await clock.advance(100)
    assert timers == [1010.0]


async def test_a_key_may_be_started_while_another_expires(clock: HandClock) -> None:
    expired = []

    def expire(key: int) -> None:
        expired.append((key, clock.time()))
        if key < 3:
            chain.start(key + 1)

    chain: Deadlines[int] = Deadlines(10.0, expire, clock)
    chain.start(1)
    await clock.advance(100)
    assert expired == [(1, 1010.0), (2, 1020.0), (3, 1030.0)]


async def test_nothing_expires_after_close(
    deadlines: Deadlines[str], clock: HandClock, expired: list[str]
) -> None:
    deadlines.start("a")
    deadlines.close()
    await clock.advance(100)
    assert expired == []


async def test_a_time_limit_raises_its_own_error(clock: HandClock) -> None:
    limits = timeouts(10.0, clock)
    waiting = asyncio.create_task(within(limits, asyncio.Event().wait()))
    await clock.advance(9.9)
    assert not waiting.done()
    await clock.advance(0.1)
    with pytest.raises(TimeoutError):
        await waiting
    assert not limits


@pytest.mark.parametrize("is_over", [True, False])
async def test_a_cancelled_task_is_not_over_its_time_limit(clock: HandClock, is_over: bool) -> None:
    """Also if the deadline is over in the same turn of the event loop."""
    limits = timeouts(10.0, clock)
    waiting = asyncio.create_task(within(limits, asyncio.Event().wait()))
    await clock.advance(1)
    if is_over:
        limits.expire_all()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert waiting.cancelling() == 1
