"""Sender and Inbox: one thing at a time, bounds, and ends that happen once (C-4, C-21)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from protocol.errors import TransportViolationError
from protocol.transports.inbox import Inbox
from protocol.transports.sender import Sender

KIB = 1024


class Line:
    """Where a sender sends to; takes one piece each time it is told to."""

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


class TestSender:
    async def test_what_waits_goes_together(self, line: Line) -> None:
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

    async def test_drain(self, line: Line) -> None:
        await line.sender.drain()  # there is nothing to wait for
        line.sender.write(b"x" * 65 * KIB)
        draining = asyncio.create_task(line.sender.drain())
        await settle()
        assert not draining.done()
        await line.take()
        assert draining.done()

    @pytest.mark.parametrize("how", ["failure", "cancel"])
    async def test_nobody_waits_for_what_will_not_be_sent(self, line: Line, how: str) -> None:
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
        assert line.sender.is_done
        assert line.failures == ([line.error] if how == "failure" else [])
        before = line.sender.buffered
        assert line.sender.write(b"late") == before
        await line.sender.drain()

    async def test_finish(self, line: Line) -> None:
        line.sender.write(b"a")
        await settle()
        line.sender.write(b"b")
        finishing = asyncio.create_task(line.sender.finish(60))
        await settle()
        line.sender.write(b"late")
        await line.take(2)
        assert finishing.done()
        assert line.pieces == [b"a", b"b"]

    async def test_finish_in_time(self, line: Line) -> None:
        line.sender.write(b"a")
        await line.sender.finish(0)
        await settle()
        assert line.sender.is_done


class TestInbox:
    async def test_in_order_then_the_end(self) -> None:
        inbox = Inbox()
        for piece in (b"a", b"", b"b"):
            await inbox.put(piece)
        inbox.end()
        await inbox.put(b"late")
        inbox.end(TransportViolationError("too late"))
        assert [await inbox.receive() for _ in range(3)] == [b"ab", None, None]

    async def test_then_the_error(self) -> None:
        inbox = Inbox()
        await inbox.put(b"a")
        inbox.end(TransportViolationError("broken"))
        assert await inbox.receive() == b"a"
        for _ in range(2):
            with pytest.raises(TransportViolationError, match="broken"):
                await inbox.receive()

    @pytest.mark.parametrize("how", ["data", "end"])
    async def test_waits(self, how: str) -> None:
        inbox = Inbox()
        receiving = asyncio.create_task(inbox.receive())
        await settle()
        assert not receiving.done()
        if how == "data":
            await inbox.put(b"a")
        else:
            inbox.end()
        assert await receiving == (b"a" if how == "data" else None)

    @pytest.mark.parametrize("how", ["receive", "end"])
    async def test_is_full(self, how: str) -> None:
        inbox = Inbox()
        await inbox.put(b"x" * 1000 * KIB)
        putting = asyncio.create_task(inbox.put(b"y" * 100 * KIB))
        await settle()
        assert not putting.done()
        if how == "receive":
            await inbox.receive()
        else:
            inbox.end()
        await putting
