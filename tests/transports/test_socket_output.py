"""SocketOutput with peers that read slowly, or do not read (TG-9)."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from protocol.aio.transport import TransportLimits
from protocol.testing import LoopClock
from protocol.transports.flusher import Flusher
from protocol.transports.socket_output import SocketOutput

TIMEOUT = 10.0


class Socket:
    """A socket whose peer takes bytes when the test says so."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_aborted = False

    def write(self, data: bytes) -> None:
        self.waiting += len(data)

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True


@pytest.fixture
async def clock() -> AsyncIterator[LoopClock]:
    with LoopClock() as clock:
        yield clock
        assert clock.leftovers() == []


def output_to(socket: Socket) -> SocketOutput:
    owner: Any = SimpleNamespace(transport=socket)
    return SocketOutput(owner, Flusher(), bytes, TransportLimits(), send_timeout=TIMEOUT)


async def test_a_peer_that_takes_nothing(clock: LoopClock) -> None:
    """TG-9: what is written meanwhile does not prolong the time."""
    socket = Socket()
    output = output_to(socket)
    output.write(b"x" * 1000)
    await clock.advance(TIMEOUT - 1)
    output.write(b"x" * 1000)
    await clock.advance(0.5)
    assert not socket.is_aborted
    await clock.advance(0.5)
    assert socket.is_aborted


async def test_a_peer_that_takes_a_little(clock: LoopClock) -> None:
    """TG-9: 240 bytes a second are enough, whatever is written meanwhile; fewer are not."""
    socket = Socket()
    output = output_to(socket)
    output.write(b"x" * 1_000_000)
    for _ in range(10):
        await clock.advance(TIMEOUT / 2)
        output.write(b"x" * 10_000)
        await clock.settle()
        socket.waiting -= 2400
        await clock.advance(TIMEOUT / 2)
    assert not socket.is_aborted
    socket.waiting -= 2399
    await clock.advance(TIMEOUT)
    assert socket.is_aborted


async def test_a_peer_that_takes_all(clock: LoopClock) -> None:
    """The end of a small rest is enough, and the next bytes have a time of their own."""
    socket = Socket()
    output = output_to(socket)
    for _ in range(3):
        output.write(b"x" * 10)
        await clock.advance(TIMEOUT - 1)
        socket.waiting = 0
        await clock.advance(1)
        assert clock.timers() == []
    assert not socket.is_aborted


@pytest.mark.parametrize("how", ["end", "abort"])
async def test_an_output_that_has_ended_has_no_timer(clock: LoopClock, how: str) -> None:
    output = output_to(Socket())
    output.write(b"x")
    await clock.settle()
    assert clock.timers()
    getattr(output, how)()
    assert clock.timers() == []
