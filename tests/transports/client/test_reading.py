"""The task of a client that reads: order, pauses, and exactly one end (C-16, C-21)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from protocol.errors import TransportViolationError
from protocol.transports.reading import Reading


class Line:
    """The input of a transport: pieces, then None for an end, or an error."""

    def __init__(self) -> None:
        self.arriving: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.reading = Reading(self._read)
        self.received: list[object] = []
        """A receiver that records its calls; ``("lost", error)`` for the end."""

    async def _read(self) -> None:
        while (item := await self.arriving.get()) is not None:
            if isinstance(item, Exception):
                raise item
            await self.reading.push(item)

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.received.append(("lost", error))

    async def bring(self, *items: bytes | Exception | None) -> None:
        for item in items:
            self.arriving.put_nowait(item)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    yield line
    line.reading.cancel()
    await settle()


async def test_in_order_then_the_end(line: Line) -> None:
    """Nothing is pushed inside ``start``; empty pieces are no data."""
    line.arriving.put_nowait(b"a")
    line.reading.start(line)
    assert line.received == []
    await line.bring(b"", b"b", None, b"late")
    assert line.received == [b"a", b"b", ("lost", None)]
    assert line.reading.has_ended


async def test_an_error_comes_behind_what_was_read(line: Line) -> None:
    line.reading.start(line)
    error = TransportViolationError("broken")
    await line.bring(b"a", error)
    assert line.received == [b"a", ("lost", error)]


async def test_a_pause(line: Line) -> None:
    """One more piece may arrive, the one that was being read; the rest waits."""
    line.reading.start(line)
    await settle()
    line.reading.pause()
    await line.bring(b"a", b"b", None)
    assert line.received == [b"a"]
    line.reading.resume()
    assert line.received == [b"a"]
    await settle()
    assert line.received == [b"a", b"b", ("lost", None)]


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("error", [None, TransportViolationError("a POST failed")])
async def test_cancelled(line: Line, steps: int, error: Exception | None) -> None:
    """Also before the task has made its first step, and with the first reason."""
    line.reading.start(line)
    for _ in range(steps):
        await asyncio.sleep(0)
    line.reading.cancel(error)
    line.reading.cancel(LookupError("late"))
    await line.reading.wait_until_ended()
    await settle()
    assert line.received == [("lost", error)]


async def test_cancelled_in_a_pause(line: Line) -> None:
    line.reading.start(line)
    line.reading.pause()
    await line.bring(b"a")
    line.reading.cancel()
    await settle()
    assert line.received == [b"a", ("lost", None)]


async def test_the_end_of_what_never_began(line: Line) -> None:
    """Nothing is reported, because there is no receiver."""
    line.reading.cancel()
    await line.reading.wait_until_ended()
    assert line.received == []
