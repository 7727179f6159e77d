"""The pipe from POSTs to the hub: order, limits, ends (TG-6, TG-8)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from protocol.testing import LoopClock
from protocol.transports.server.inbound_pipe import EARLY_SIZE, InboundPipe, InboundPipeClosedError


@pytest.fixture
async def clock() -> AsyncIterator[LoopClock]:
    with LoopClock() as clock:
        yield clock


async def begun(pipe: InboundPipe, data: bytes) -> "asyncio.Task[None]":
    task = asyncio.create_task(pipe.write(data))
    await asyncio.sleep(0)
    return task


async def refused(task: "asyncio.Task[None]") -> None:
    with pytest.raises(InboundPipeClosedError):
        await task


class Hub:
    """A receiver; ``room`` is how many pieces it takes before it pauses reading."""

    def __init__(self, pipe: InboundPipe, room: int = 1000) -> None:
        self.pipe = pipe
        self.room = room
        self.received: list[bytes] = []
        self.losses: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.received.append(data)
        self.room -= 1
        if self.room == 0:
            self.pipe.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.losses.append(error)


def reading(pipe: InboundPipe, room: int = 1000) -> Hub:
    hub = Hub(pipe, room)
    pipe.open(64 * 1024)
    pipe.set_receiver(hub)
    return hub


async def test_what_is_written_is_pushed() -> None:
    pipe = InboundPipe()
    for piece in (b"one", b"", b"two"):
        await pipe.write(piece)
    hub = reading(pipe)
    assert hub.received == [b"onetwo"]
    await pipe.write(b"three")
    assert hub.received == [b"onetwo", b"three"]


async def test_room() -> None:
    """TG-8: a POST waits while reading is paused."""
    pipe = InboundPipe()
    hub = reading(pipe, room=2)
    await pipe.write(b"x")
    writing = await begun(pipe, b"y")
    assert hub.received == [b"x", b"y"]
    assert not writing.done()
    pipe.resume_reading()
    await writing
    await pipe.write(b"z")
    assert hub.received == [b"x", b"y", b"z"]


async def test_little_room_before_a_transport_opens() -> None:
    """A client can negotiate many pipes."""
    pipe = InboundPipe()
    await pipe.write(b"x" * (EARLY_SIZE - 1))
    writing = await begun(pipe, b"x")
    assert not writing.done()
    pipe.open(64 * 1024)
    await writing
    assert reading(pipe).received == [b"x" * EARLY_SIZE]


async def test_early_bytes_that_fill_the_receiver() -> None:
    """TG-8: reading that was paused inside ``set_receiver`` stays paused."""
    pipe = InboundPipe()
    await pipe.write(b"early")
    reading(pipe, room=1)
    writing = await begun(pipe, b"late")
    assert not writing.done()
    pipe.complete()
    await refused(writing)


async def test_complete() -> None:
    """TG-5: the receiver gets what is there and the end; a POST that comes or waits is refused."""
    pipe = InboundPipe(3)
    writing = await begun(pipe, b"abc")
    pipe.complete()
    await refused(writing)
    await refused(await begun(pipe, b"d"))
    hub = reading(pipe)
    assert (hub.received, hub.losses) == ([b"abc"], [])
    await asyncio.sleep(0)
    assert hub.losses == [None]


async def test_the_end_is_reported_once_and_later() -> None:
    pipe = InboundPipe()
    hub = reading(pipe)
    pipe.complete()
    pipe.complete()
    assert hub.losses == []
    await asyncio.sleep(0)
    assert hub.losses == [None]


async def test_a_piece_that_ends_the_connection() -> None:
    """TG-6: one that fills the buffer is refused at the very end, as if it had waited for room."""
    pipe = InboundPipe()

    class Ending(Hub):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            pipe.ignore()

    pipe.open(100)
    pipe.set_receiver(Ending(pipe))
    writing = await begun(pipe, b"x" * 100)
    assert not writing.done()
    pipe.complete()
    await refused(writing)


async def test_ignore() -> None:
    """TG-6: a POST that waits for room is refused at the very end; one that comes later is not."""
    pipe = InboundPipe(3)
    writing = await begun(pipe, b"abc")
    pipe.ignore()
    await asyncio.sleep(0)
    assert not writing.done()
    await pipe.write(b"defghi")
    pipe.complete()
    await refused(writing)
    assert pipe.close() == b""


async def test_close() -> None:
    """TG-6: a WebSocket gets the bytes that were POSTed before it opened."""
    pipe = InboundPipe()
    await pipe.write(b"one")
    await pipe.write(b"two")
    assert pipe.close() == b"onetwo"
    await refused(await begun(pipe, b"three"))


async def taking_turns(pipe: InboundPipe) -> "list[asyncio.Task[None]]":
    """Two POSTs of clients that send nothing more."""

    async def take_turn() -> None:
        async with pipe.turn():
            await asyncio.get_running_loop().create_future()

    tasks = [asyncio.create_task(take_turn()) for _ in range(2)]
    await asyncio.sleep(0)
    return tasks


async def test_the_end_ends_turns() -> None:
    """TG-5: the one that waits for its own client, and those behind it."""
    pipe = InboundPipe()
    turns = await taking_turns(pipe)
    pipe.complete()
    pipe.complete()
    turns += await taking_turns(pipe)
    for turn in turns:
        await refused(turn)


async def test_turns_that_nobody_waits_for(clock: LoopClock) -> None:
    """N-27: before there is a reader they end when the connection expires, and never after."""
    expiring, opened = (InboundPipe(expires_at=clock.time() + 15.0) for _ in range(2))
    refused_ones, others = await taking_turns(expiring), await taking_turns(opened)
    opened.open(100)
    await clock.advance(15)
    for turn in refused_ones:
        await refused(turn)
    late = await taking_turns(opened)
    assert not any(turn.done() for turn in others + late)
    opened.complete()
    for turn in others + late:
        await refused(turn)


async def test_a_timeout_within_a_turn_is_its_own() -> None:
    pipe = InboundPipe()
    with pytest.raises(TimeoutError):
        async with pipe.turn():
            raise TimeoutError
