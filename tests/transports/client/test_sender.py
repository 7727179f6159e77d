"""One send at a time, a bounded queue, and one end (C-4, C-21)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from protocol.transports.client.sender import Sender

KIB = 1024


class Line:
    """Takes one piece of a sender each time that the test allows it."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.failures: list[Exception] = []
        self.error: Exception | None = None
        self._turns = asyncio.Semaphore(0)
        self.sender = Sender(self._send, self.failures.append)

    async def _send(self, piece: bytes) -> None:
        self.pieces.append(piece)
        await self._turns.acquire()
        if self.error is not None:
            raise self.error

    async def take(self, count: int = 1) -> None:
        for _ in range(count):
            self._turns.release()
            await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    yield line
    line.sender.cancel()


async def test_what_waits_goes_together(line: Line) -> None:
    assert line.sender.write(b"a") == 1
    await settle()
    assert [line.sender.write(piece) for piece in (b"b", b"c")] == [2, 3]
    await settle()
    assert line.pieces == [b"a"]
    await line.take()
    assert line.pieces == [b"a", b"bc"]
    assert line.sender.buffered == 2
    await line.take()
    assert line.sender.buffered == 0


async def test_drain(line: Line) -> None:
    await line.sender.drain()  # there is nothing to wait for
    line.sender.write(b"x" * 65 * KIB)
    draining = asyncio.create_task(line.sender.drain())
    await settle()
    assert not draining.done()
    await line.take()
    assert draining.done()


@pytest.mark.parametrize("how", ["failure", "cancel"])
async def test_nobody_waits_for_what_will_not_be_sent(line: Line, how: str) -> None:
    line.sender.write(b"x" * 65 * KIB)
    draining = asyncio.create_task(line.sender.drain())
    await settle()
    if how == "failure":
        line.error = LookupError("gone")
        await line.take()
    else:
        line.sender.cancel()
        await settle()
    assert draining.done()
    assert line.failures == ([line.error] if how == "failure" else [])
    assert line.sender.write(b"late") == line.sender.buffered == 0
    await line.sender.drain()
    await line.take()
    assert len(line.pieces) == 1


async def test_finish(line: Line) -> None:
    line.sender.write(b"a")
    await settle()
    line.sender.write(b"b")
    finishing = asyncio.create_task(line.sender.finish(60))
    await settle()
    line.sender.write(b"late")
    await line.take(2)
    assert finishing.done()
    assert line.pieces == [b"a", b"b"]


async def test_finish_in_time(line: Line) -> None:
    line.sender.write(b"a")
    await line.sender.finish(0)
    await line.take()
    assert line.sender.write(b"late") == 0
    assert line.pieces in ([], [b"a"])


async def test_no_task_while_nothing_is_sent(line: Line) -> None:
    """An idle connection has no task."""
    before = asyncio.all_tasks()
    for piece in (b"a", b"b"):
        line.sender.write(piece)
        await settle()
        assert len(asyncio.all_tasks()) == len(before) + 1
        await line.take()
        assert asyncio.all_tasks() == before
    assert line.pieces == [b"a", b"b"]
