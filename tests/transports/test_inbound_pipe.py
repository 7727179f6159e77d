"""Bytes of POSTs on their way to the hub: order, room, ends (TG-6, TG-8)."""

import asyncio

import pytest

from protocol.transports.inbound_pipe import EARLY_SIZE, InboundPipe, InboundPipeClosedError
from tests.aio.loop_clock import LoopClock


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    return LoopClock(monkeypatch)


async def begun(pipe: InboundPipe, data: bytes) -> "asyncio.Task[None]":
    task = asyncio.create_task(pipe.write(data))
    await asyncio.sleep(0)
    return task


async def refused(task: "asyncio.Task[None]") -> None:
    with pytest.raises(InboundPipeClosedError):
        await task


async def test_all_that_is_there_comes_at_once() -> None:
    pipe = InboundPipe()
    for piece in (b"one", b"", b"two"):
        await pipe.write(piece)
    assert await pipe.read() == b"onetwo"
    reading = asyncio.create_task(pipe.read())
    await asyncio.sleep(0)
    await pipe.write(b"three")
    assert await reading == b"three"


async def test_room() -> None:
    """TG-8: who fills the pipe waits until the reader comes back for more."""
    pipe = InboundPipe(100)
    await pipe.write(b"x" * 99)
    writing = await begun(pipe, b"y")
    assert not writing.done()
    assert await pipe.read() == b"x" * 99 + b"y"
    await asyncio.sleep(0)
    assert not writing.done()  # the reader may have no room for what it has
    reading = asyncio.create_task(pipe.read())
    await writing
    await pipe.write(b"z")
    assert await reading == b"z"


async def test_resumed_at_half() -> None:
    """TG-8."""
    pipe = InboundPipe(100)
    writing = await begun(pipe, b"x" * 100)
    await pipe.read()
    pipe.open(150)
    assert not writing.done()
    pipe.open(200)
    await writing


async def test_little_room_before_there_is_a_reader() -> None:
    """Strangers negotiate as many pipes as they like."""
    pipe = InboundPipe()
    await pipe.write(b"x" * (EARLY_SIZE - 1))
    writing = await begun(pipe, b"x")
    assert not writing.done()
    pipe.open(64 * 1024)
    await writing
    assert len(await pipe.read() or b"") == EARLY_SIZE


async def test_complete() -> None:
    """TG-5: the reader gets what is there and the end; who writes or waits is refused."""
    pipe = InboundPipe(3)
    writing = await begun(pipe, b"abc")
    pipe.complete()
    await refused(writing)
    await refused(await begun(pipe, b"d"))
    assert await pipe.read() == b"abc"
    assert await pipe.read() is None


async def test_complete_while_the_reader_waits() -> None:
    pipe = InboundPipe()
    reading = asyncio.create_task(pipe.read())
    await asyncio.sleep(0)
    pipe.complete()
    assert await reading is None


async def test_ignore() -> None:
    """TG-6: who waits for room is refused at the very end; who comes later is not told."""
    pipe = InboundPipe(3)
    writing = await begun(pipe, b"abc")
    pipe.ignore()
    await asyncio.sleep(0)
    assert not writing.done()
    pipe.complete()
    await refused(writing)
    assert await pipe.read() is None


async def test_ignored() -> None:
    """TG-6: what comes after the reader has gone succeeds."""
    pipe = InboundPipe(3)
    pipe.ignore()
    await pipe.write(b"defghi")
    pipe.complete()
    assert await pipe.read() is None


async def test_close() -> None:
    """TG-6: a WebSocket takes over what was POSTed before it opened."""
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
