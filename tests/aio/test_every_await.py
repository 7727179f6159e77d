"""A cancellation at any await of client and server: every call ends once, and nothing is left.

A scenario runs once to count the awaits of all its tasks. Then it runs again for each await, and
the task that is suspended at this await is cancelled.
"""

import asyncio
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from dataclasses import replace
from typing import Any

import pytest

from protocol import HubOptions
from protocol.aio.transport import TransportLimits
from protocol.client import calls, downloads
from protocol.testing import LoopClock
from tests.support.leaks import LeakWatch, young_heap

from .both_ends import Plan, World
from .wire_state import Conversation

pytestmark = pytest.mark.slow

PLANS = [
    Plan("ask"),
    Plan("download", padding=500),
    Plan("echo", padding=500),
    Plan("collect"),
    Plan("add"),
    Plan("wait"),
    Plan("cancellable"),
    Plan("send"),
    Plan("download", take=1),
]
WAITING_PLANS = [replace(plan, waits=True, padding=0) for plan in PLANS]

# The task by which a server notices the end of ``asyncio.run``, which test_cancellation covers.
_GUARD = "_wait_for_cancellation"


class Disturbance:
    """Cancels the task that suspends at await number ``place``.

    The awaits of all tasks are counted, in order. An instance is the task factory of the loop.
    """

    def __init__(self, place: int | None) -> None:
        self._place = place
        self.count = 0
        self.victim: asyncio.Task[Any] | None = None

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **more: Any
    ) -> "asyncio.Task[Any]":
        if _name(coroutine) != _GUARD:
            coroutine = Counted(coroutine, self.suspend)
        return asyncio.Task(coroutine, loop=loop, **more)

    def suspend(self) -> None:
        """Called by each task before it suspends."""
        if self.count == self._place:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            self.victim = task
        self.count += 1


class Counted(Coroutine[Any, Any, Any]):
    """A coroutine that calls ``suspend`` before each suspension."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], suspend: Callable[[], None]) -> None:
        self._coroutine = coroutine
        self._suspend = suspend
        self.__qualname__ = _name(coroutine)

    def send(self, value: Any) -> Any:
        awaited = self._coroutine.send(value)
        self._suspend()
        return awaited

    def throw(self, *error: Any) -> Any:
        awaited = self._coroutine.throw(*error)
        self._suspend()
        return awaited

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise NotImplementedError


def _name(coroutine: Coroutine[Any, Any, Any]) -> str:
    name: str = getattr(coroutine, "__qualname__", "")
    return name


# ---- scenarios


async def calls_that_run_at_once(world: World) -> None:
    world.call_all(PLANS)
    await world.clock.settle()


async def calls_behind_stalls(world: World) -> None:
    """Both ends send while the other end's buffer is full."""
    if not world.links:
        return
    link = world.links[-1]
    link.near.stall(True)
    world.call_all(PLANS)
    await world.clock.settle()
    link.far.stall(True)
    link.near.stall(False)
    await world.clock.settle()
    link.far.stall(False)
    await world.clock.settle()


async def calls_that_wait(world: World) -> None:
    """Both ends wait for user code, which is slow."""
    world.call_all(WAITING_PLANS)
    for _ in range(3):
        await world.clock.settle()
        for number in range(len(PLANS)):
            for end in ("hub", "client"):
                world.gate(number, end).permit(1)
    await world.clock.settle()


async def a_cut(world: World) -> None:
    """The client reconnects while calls of the first connection still run on the server."""
    world.call_all(WAITING_PLANS)
    await world.clock.settle()
    for link in world.links:
        link.near.abort()
    await world.clock.settle()
    world.call_all(WAITING_PLANS)
    await world.clock.settle()


async def a_stop(world: World) -> None:
    """Both ends are stopped while calls wait."""
    world.call_all(WAITING_PLANS)
    await world.clock.settle()
    await world.finish()


Scenario = Callable[[World], Awaitable[None]]
SCENARIOS = [calls_that_run_at_once, calls_behind_stalls, calls_that_wait, a_cut, a_stop]


# ---- the test


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    with young_heap():
        yield


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_cancellation_at_every_await(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    """C-8, C-20, R-3, L-1, U-8, P-3: see the module."""
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)
    monkeypatch.setattr(calls, "UPLOAD_HIGH_WATER", 500)
    monkeypatch.setattr(downloads, "_HIGH_WATER", 500)
    worlds: weakref.WeakSet[World] = weakref.WeakSet()
    places = asyncio.run(disturbed(scenario, Disturbance(None), worlds))
    assert places > 30
    for place in range(places):
        asyncio.run(disturbed(scenario, Disturbance(place), worlds))
    gc.collect()
    assert len(worlds) == 0


async def disturbed(
    scenario: Scenario, disturbance: Disturbance, worlds: weakref.WeakSet[World]
) -> int:
    """Runs the scenario with ``disturbance`` in a new world, which it adds to ``worlds``.

    Returns the number of awaits.
    """
    asyncio.get_running_loop().set_task_factory(disturbance)  # type: ignore[arg-type]
    options = HubOptions(maximum_parallel_invocations_per_client=2, stream_buffer_capacity=1)
    limits = TransportLimits(application_max_buffer_size=500, transport_max_buffer_size=500)
    with LoopClock() as clock, LeakWatch(clock) as watch:
        world = World(clock, options, limits)
        worlds.add(world)
        starting = asyncio.create_task(world.start())
        await asyncio.wait({starting})
        await scenario(world)
        await world.finish()
        who = disturbance.victim
        assert await watch.leftovers() == [], who
        assert world.open_entries() == {}, who
        for link in world.links:
            Conversation(link.near, link.far).check()
        for task in world.tasks:
            assert task.cancelled() == (task is who), who
            if task is not who:
                task.result()
    return disturbance.count
