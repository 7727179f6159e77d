"""Streams that are cancelled or cut after each possible number of turns of the event loop.

In all cases each call ends exactly once, each generator is closed, ids are free again, and nothing
is left.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from protocol import Hub, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from protocol.testing import LoopClock
from tests.support.hub_messages import CLOSE, call, completion
from tests.support.server_harness import MemoryClient, ServerHarness

TURNS = 30


class DisturbedHub(Hub):
    world: "World"

    @hub_method
    async def count(self, stop: int) -> AsyncIterator[int]:
        self.world.generators += 1
        try:
            for number in range(stop):
                await asyncio.sleep(0)
                yield number
        finally:
            self.world.generators -= 1
            await asyncio.sleep(0)

    @hub_method
    async def double(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        self.world.generators += 1
        try:
            async for number in numbers:
                await asyncio.sleep(0)
                yield number * 2
        finally:
            self.world.generators -= 1

    @hub_method(cancellable=True)
    async def add_up(self, numbers: AsyncIterator[int]) -> int:
        total = 0
        async for number in numbers:
            await asyncio.sleep(0)
            total += number
        return total

    @hub_method(cancellable=True)
    async def wait(self) -> int:
        for _ in range(10):
            await asyncio.sleep(0)
        return 1


class World:
    generators = 0

    def make(self) -> DisturbedHub:
        hub = DisturbedHub()
        hub.world = self
        return hub


def conversation() -> list[Any]:
    """Calls 1 to 5; the streams of two of them are longer than their buffers."""
    items = [
        {"type": 2, "invocationId": stream, "item": number}
        for number in range(6)
        for stream in "ab"
    ]
    return [
        {**call("Count", 5, id="1"), "type": 4},
        {**call("Double", id="2", streamIds=["a"]), "type": 4},
        call("AddUp", id="3", streamIds=["b"]),
        call("Wait", id="4"),
        *items,
        completion("a"),
        completion("b"),
        call("Wait", id="5"),
    ]


def cancel_calls(client: MemoryClient) -> None:
    client.send(*({"type": 5, "invocationId": str(number)} for number in range(1, 6)))


def cancel_tasks(client: MemoryClient) -> None:
    for task in client.connection._dispatcher.tasks:
        task.cancel()


def vanish(client: MemoryClient) -> None:
    client.vanish()


def finish(client: MemoryClient) -> None:
    client.transport.finish()


def close(client: MemoryClient) -> None:
    client.send(CLOSE)


def abort(client: MemoryClient) -> None:
    client.connection.connection.abort()


def stop_reading(client: MemoryClient) -> None:
    client.transport.pause_reading()


@pytest.mark.parametrize(
    "disturb",
    [cancel_calls, cancel_tasks, vanish, finish, close, abort, stop_reading],
    ids=lambda function: function.__name__,
)
async def test_nothing_is_left(
    clock: LoopClock, caplog: pytest.LogCaptureFixture, disturb: Callable[[MemoryClient], None]
) -> None:
    """S-27, U-6, U-8, TG-8"""
    for turns in range(TURNS):
        world = World()
        harness = ServerHarness(
            clock,
            DisturbedHub,
            HubOptions(stream_buffer_capacity=2),
            hub_factory=world.make,
            limits=TransportLimits(transport_max_buffer_size=100),
        )
        client = await harness.connect()
        client.send(*conversation())
        for _ in range(turns):
            await asyncio.sleep(0)
        disturb(client)
        await clock.settle()
        client.transport.resume_reading()
        answers = await client.take()
        ended = sorted(it["invocationId"] for it in answers if it["type"] == 3)
        if disturb in (cancel_calls, cancel_tasks, stop_reading):
            assert ended == ["1", "2", "3", "4", "5"]
            again = await client.ask(*conversation())
            assert sorted(it["invocationId"] for it in again if it["type"] == 3) == ended
            assert not any("error" in it for it in again)
        else:
            assert len(set(ended)) == len(ended)
            assert client.connection.ended.done()
        for stream in ("1", "2"):
            of_stream = [it["type"] for it in answers if it.get("invocationId") == stream]
            assert 3 not in of_stream[:-1]  # U-10: no item follows the Completion
        assert world.generators == 0
        await harness.close()
    assert {record.getMessage() for record in caplog.records} <= {
        f"Hub method 'DisturbedHub.{name}' failed." for name in ("Count", "Double", "AddUp", "Wait")
    }
