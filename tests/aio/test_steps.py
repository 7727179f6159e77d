"""A coroutine that is run by hand, from wait to wait."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from protocol.aio.steps import Steps, begin

Journal = list[str]


async def wait_for(future: asyncio.Future[None], journal: Journal) -> None:
    """Notes in whose task it goes on, and how."""
    try:
        await future
        journal.append(f"done in {task_name()}")
    except asyncio.CancelledError:
        journal.append(f"cancelled in {task_name()}")
        raise


def task_name() -> str:
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


def begun(coroutine: Coroutine[Any, Any, None]) -> Steps:
    steps = begin(coroutine)
    assert steps is not None
    return steps


async def step_in_task(steps: Steps, name: str) -> asyncio.Task[bool]:
    async def step() -> bool:
        return await steps.step()

    task = asyncio.create_task(step(), name=name)
    await asyncio.sleep(0)
    return task


async def test_what_waits_for_nothing_has_ended() -> None:
    """No Steps are made of it."""
    journal: Journal = []

    async def note() -> None:
        journal.append("ran")

    assert begin(note()) is None
    assert journal == ["ran"]


async def test_what_fails_before_it_waits() -> None:
    """Its error is that of ``begin``."""

    async def fail() -> None:
        raise LookupError("at once")

    with pytest.raises(LookupError, match="at once"):
        begin(fail())


async def test_each_step_in_a_task_of_its_own() -> None:
    """Who waits may change from wait to wait."""
    journal: Journal = []
    one, two = (asyncio.get_running_loop().create_future() for _ in range(2))

    async def both() -> None:
        await wait_for(one, journal)
        await wait_for(two, journal)

    steps = begun(both())
    first = await step_in_task(steps, "first")
    one.set_result(None)
    assert await first is True
    second = await step_in_task(steps, "second")
    two.set_result(None)
    assert await second is False
    assert steps.has_ended
    assert journal == ["done in first", "done in second"]


async def test_what_is_done_before_somebody_waits() -> None:
    """Nothing is missed between two steps."""
    journal: Journal = []
    future = asyncio.get_running_loop().create_future()
    steps = begun(wait_for(future, journal))
    future.set_result(None)
    assert await (await step_in_task(steps, "late")) is False
    assert journal == ["done in late"]


async def test_a_bare_yield() -> None:
    """As ``asyncio.sleep(0)``: the task gets its turn again."""
    steps = begun(asyncio.sleep(0))
    assert await steps.step() is False


async def test_an_error_is_that_of_the_step() -> None:
    future = asyncio.get_running_loop().create_future()
    steps = begun(wait_for(future, []))
    future.set_exception(LookupError("later"))
    with pytest.raises(LookupError, match="later"):
        await steps.step()
    assert steps.has_ended


async def test_a_task_that_is_cancelled_while_it_waits() -> None:
    """The coroutine learns of it there, and may go on."""
    journal: Journal = []
    one, two = (asyncio.get_running_loop().create_future() for _ in range(2))

    async def endure() -> None:
        try:
            await wait_for(one, journal)
        except asyncio.CancelledError:
            await wait_for(two, journal)

    steps = begun(endure())
    first = await step_in_task(steps, "first")
    first.cancel()
    assert await first is True
    two.set_result(None)
    assert await steps.step() is False
    assert journal[0] == "cancelled in first"


@pytest.mark.parametrize("steps_before", [0, 1])
async def test_cancelled_between_steps(steps_before: int) -> None:
    """Where nobody waits for it, it ends at once; what it would have waited for is let go."""
    journal: Journal = []
    future = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        for _ in range(steps_before):
            await asyncio.sleep(0)
        await wait_for(future, journal)

    steps = begun(wait())
    for _ in range(steps_before):
        assert await steps.step() is True
    steps.cancel()
    steps.cancel()
    assert steps.has_ended
    assert journal == [f"cancelled in {task_name()}"]
    future.set_result(None)


async def test_cancelled_after_the_end() -> None:
    """Which changes nothing."""
    steps = begun(asyncio.sleep(0))
    assert await steps.step() is False
    steps.cancel()
