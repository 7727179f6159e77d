"""Bytes of POSTs on their way to the hub: order, room, ends (TG-6, TG-8)."""

import asyncio

import pytest

from protocol.transports.inbound_pipe import EARLY_SIZE, InboundPipe, InboundPipeClosedError


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
    """TG-6: who waited for room is refused; who comes later is not told."""
    pipe = InboundPipe(3)
    writing = await begun(pipe, b"abc")
    pipe.ignore()
    await refused(writing)
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
