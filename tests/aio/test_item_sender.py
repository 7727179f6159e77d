"""send_items: order, backpressure, fairness, and that the source is closed on every path."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest

from protocol.aio.item_sender import send_items
from protocol.testing import LoopClock


class Source:
    """Counts from 0, forever unless ``stop`` is given, and remembers the task that closed it."""

    def __init__(self, stop: float = float("inf")) -> None:
        self.stop = stop
        self.asked = 0
        self.closed_by: asyncio.Task[object] | None = None

    async def items(self) -> AsyncIterator[int]:
        try:
            while self.asked < self.stop:
                self.asked += 1
                yield self.asked - 1
        finally:
            self.closed_by = asyncio.current_task()


async def no_wait() -> None:
    raise AssertionError("There is room.")


def sender(sent: list[int]) -> Callable[[int], bool]:
    """A buffer with room for all items."""

    def send(item: int) -> bool:
        sent.append(item)
        return True

    return send


async def test_items_are_sent_in_order() -> None:
    sent: list[int] = []
    source = Source(3)
    await send_items(source.items(), sender(sent), no_wait)
    assert sent == [0, 1, 2]
    assert source.closed_by is asyncio.current_task()


async def test_the_next_item_is_not_asked_for_before_the_last_one_is_sent(
    clock: LoopClock,
) -> None:
    """TG-8"""
    room = 0
    sent: list[int] = []
    changes: asyncio.Queue[None] = asyncio.Queue()

    def send(item: int) -> bool:
        if len(sent) < room:
            sent.append(item)
            return True
        return False

    source = Source(3)
    task = asyncio.create_task(send_items(source.items(), send, changes.get))
    for room in (0, 0, 1, 2):
        changes.put_nowait(None)
        await clock.settle()
        assert len(sent) == room
        assert source.asked == room + 1
    room = 3
    changes.put_nowait(None)
    await task
    assert sent == [0, 1, 2]


async def test_senders_that_share_a_room_send_in_turn(clock: LoopClock) -> None:
    """Although the first one could fill it each time."""
    sent: list[str] = []
    room = asyncio.Event()

    def sending(name: str) -> Callable[[int], bool]:
        def send(item: int) -> bool:
            if len(sent) % 3 == 0 and not room.is_set():
                return False
            room.clear()
            sent.append(name)
            return True

        return send

    async def wait() -> None:
        await room.wait()

    names = "abcdefg"
    tasks = [
        asyncio.create_task(send_items(Source().items(), sending(name), wait)) for name in names
    ]
    for _ in range(28):
        await clock.settle()
        room.set()
    await clock.settle()
    counts = [sent.count(name) for name in names]
    assert max(counts) - min(counts) <= 3, counts
    for task in tasks:
        task.cancel()
    await clock.settle()


async def test_a_wait_that_returns_without_room_lets_other_tasks_run(clock: LoopClock) -> None:
    """As on a connection that is dead and has not been reported as lost yet."""

    async def return_at_once() -> None:
        pass

    task = asyncio.create_task(send_items(Source().items(), lambda item: False, return_at_once))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await clock.settle()
    assert task.cancelled()


async def test_a_source_that_never_waits_lets_other_tasks_run() -> None:
    source = Source()
    task = asyncio.create_task(send_items(source.items(), lambda item: True, no_wait))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert 0 < source.asked < 1000
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert source.closed_by is task


async def test_the_source_is_closed_when_an_item_cannot_be_sent() -> None:
    def send(item: int) -> bool:
        raise ValueError("no form")

    source = Source()
    with pytest.raises(ValueError, match="no form"):
        await send_items(source.items(), send, no_wait)
    assert source.asked == 1
    assert source.closed_by is asyncio.current_task()


async def test_the_source_is_closed_when_waiting_for_room_is_cancelled(clock: LoopClock) -> None:
    source = Source()
    never = asyncio.Event()

    async def wait() -> None:
        await never.wait()

    task = asyncio.create_task(send_items(source.items(), lambda item: False, wait))
    await clock.settle()
    task.cancel()
    await clock.settle()
    assert task.cancelled()
    assert source.closed_by is task


async def test_a_source_that_ignores_its_cancellation_is_closed_at_its_next_item(
    clock: LoopClock,
) -> None:
    closed: list[bool] = []

    async def stubborn() -> AsyncIterator[int]:
        try:
            for item in range(10):
                with suppress(asyncio.CancelledError):
                    await asyncio.Event().wait()
                yield item
        finally:
            closed.append(True)

    sent: list[int] = []
    task = asyncio.create_task(send_items(stubborn(), sender(sent), no_wait))
    await clock.settle()
    task.cancel()
    await clock.settle()
    assert task.cancelled()
    assert sent == []
    assert closed == [True]


async def test_an_iterator_without_aclose_is_sent_too() -> None:
    class Countdown:
        left = 2

        def __aiter__(self) -> "Countdown":
            return self

        async def __anext__(self) -> int:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return self.left

    sent: list[int] = []
    await send_items(Countdown(), sender(sent), no_wait)
    assert sent == [1, 0]
