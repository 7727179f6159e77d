"""GW-35: how many calls are under way at a time, and how long further ones wait."""

from __future__ import annotations

import asyncio

from signalr_gateway.downstream.call_limit import CallLimit
from tests.gateway.hand_clock import HandClock, settle


class Bench:
    def __init__(self, maximum: int | None) -> None:
        self.clock = HandClock()
        self.limit = CallLimit(maximum, 5.0, self.clock)

    async def waiting(self, number: int) -> list[asyncio.Task[bool]]:
        tasks = [asyncio.create_task(self.limit.enter()) for _ in range(number)]
        await settle()
        return tasks


async def test_up_to_the_maximum_calls_enter() -> None:
    limit = Bench(2).limit
    assert [limit.try_enter() for _ in range(3)] == [True, True, False]
    limit.leave()
    assert limit.try_enter()


async def test_without_a_maximum_all_calls_enter() -> None:
    limit = Bench(None).limit
    assert all([await limit.enter() for _ in range(10_000)])


async def test_a_further_call_waits_for_a_place_in_order_of_arrival() -> None:
    bench = Bench(2)
    assert bench.limit.try_enter()
    assert bench.limit.try_enter()
    first, second = await bench.waiting(2)
    bench.limit.leave()
    assert not bench.limit.try_enter(), "it would overtake the second"
    await settle()
    assert (first.done(), second.done()) == (True, False)
    bench.limit.leave()
    assert (await first, await second) == (True, True)


async def test_a_call_that_finds_no_place_in_time_is_refused() -> None:
    bench = Bench(1)
    assert bench.limit.try_enter()
    (late,) = await bench.waiting(1)
    await bench.clock.advance(4.9)
    assert not late.done()
    await bench.clock.advance(0.1)
    assert not await late
    bench.limit.leave()
    assert bench.limit.try_enter(), "the place is free again"


async def test_no_more_calls_wait_than_may_be_under_way() -> None:
    bench = Bench(3)
    assert [await bench.limit.enter() for _ in range(3)] == [True] * 3
    waiting = await bench.waiting(3)
    assert not await bench.limit.enter()
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_a_call_that_stops_waiting_leaves_nothing() -> None:
    bench = Bench(2)
    assert bench.limit.try_enter()
    assert bench.limit.try_enter()
    left, stays = await bench.waiting(2)
    left.cancel()
    await settle()
    bench.limit.leave()
    assert await stays
    bench.limit.leave()
    assert bench.limit.try_enter()


async def test_a_place_that_comes_with_the_cancellation_is_not_lost() -> None:
    bench = Bench(1)
    assert bench.limit.try_enter()
    (call,) = await bench.waiting(1)
    bench.limit.leave()
    call.cancel()
    await settle()
    assert call.cancelled()
    assert bench.limit.try_enter()
