"""How messages are pushed, and the fallback for an aiohttp with other private names."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, Final

import pytest
from aiohttp import WSMsgType, web

from protocol.testing import LoopClock
from protocol.transports.server import web_socket_push
from protocol.transports.server.web_socket_push import CAN_PUSH, PushingWebSocketResponse, can_push
from tests.transports.raw_web_socket import CONTINUATION, PING, encode


def test_this_aiohttp_lets_messages_be_pushed() -> None:
    assert CAN_PUSH


def test_another_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web.WebSocketResponse, "_post_start", lambda self, request: None)
    assert not can_push()


def test_another_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_socket_push, "WebSocketReader", object)
    assert not can_push()


def test_a_parser_that_does_not_call_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the parser were compiled together with its own queue."""

    class Deaf:
        def __init__(self, *_: object, **__: object) -> None: ...

        def feed_data(self, data: bytes) -> tuple[bool, bytes]:
            return False, b""

    monkeypatch.setattr(web_socket_push, "WebSocketReader", Deaf)
    assert not can_push()


async def test_pings_that_nothing_takes() -> None:
    """A client that sends them and reads no pongs: few of them wait, and the newest is kept."""
    parsers: list[Any] = []
    protocol = SimpleNamespace(set_parser=parsers.append, keep_alive=lambda _: None)
    request: Any = SimpleNamespace(protocol=protocol)
    response = PushingWebSocketResponse(compress=False, decode_text=False)
    response._post_start(request, None, None)
    for number in range(5000):
        parsers[0].feed_data(b"\x89\x84\0\0\0\0%04d" % number + b"\x8a\x80\0\0\0\0")
    parsers[0].feed_eof()
    queue: Any = response._reader
    waiting = [await queue.read() for _ in range(257)]
    assert {message.type for message in waiting} == {WSMsgType.PING}
    assert [int(message.data) for message in waiting] == [*range(256), 4999]
    assert queue.is_eof()


TINY: Final = b"\x82\x81\0\0\0\0x"
BROKEN: Final = b"\x83\x80\0\0\0\0"


def part(size: int, opcode: int = 2, *, fin: bool = True) -> bytes:
    return encode(opcode, b"x" * size, fin=fin, masked=True)


class Socket:
    """aiohttp's side of a WebSocket: records the calls of the protocol, and the pushed messages."""

    def __init__(self) -> None:
        self.journal: list[str] = []
        self.sizes: list[int] = []
        self.parser: Any = None
        note = self.journal.append
        protocol = SimpleNamespace(
            set_parser=lambda parser: setattr(self, "parser", parser),
            keep_alive=lambda _: None,
            pause_reading=lambda: note("pause"),
            resume_reading=lambda: note("resume"),
            close=lambda: note("close"),
        )
        self.response = PushingWebSocketResponse(compress=False, decode_text=False)
        self.response._loop = asyncio.get_running_loop()
        request: Any = SimpleNamespace(protocol=protocol)
        self.response._post_start(request, None, None)
        self.response.push_to(lambda messages: self.sizes.append(len(messages)))


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_read_of_tiny_frames_takes_several_turns() -> None:
    """The next read waits until all of it is parsed."""
    socket = Socket()
    frames = 10_000
    assert socket.parser.feed_data(TINY * frames) == (False, b"")
    assert (socket.sizes, socket.journal) == ([], ["pause"])
    await turns(10)
    assert sum(socket.sizes) == frames
    assert max(socket.sizes) <= 16 * 1024 // len(TINY) + 1
    assert socket.journal == ["pause", "resume"]
    socket.parser.feed_data(TINY)
    assert socket.sizes[-1] == 1


async def test_reading_that_is_paused_meanwhile_stays_paused() -> None:
    socket = Socket()
    socket.parser.feed_data(TINY * 10_000)
    socket.response.pause_reading()
    await turns(10)
    assert socket.journal == ["pause", "pause"]
    socket.response.resume_reading()
    assert socket.journal == ["pause", "pause", "resume"]


async def test_reading_that_is_resumed_meanwhile_waits() -> None:
    socket = Socket()
    socket.response.pause_reading()
    socket.parser.feed_data(TINY * 10_000)
    socket.response.resume_reading()
    assert "resume" not in socket.journal
    await turns(10)
    assert socket.journal[-1] == "resume"


async def test_the_end_comes_behind_what_is_unparsed() -> None:
    socket = Socket()
    socket.parser.feed_data(TINY * 10_000)
    socket.parser.feed_eof()
    assert socket.response._reader is not None
    assert not socket.response._reader.is_eof()
    await turns(10)
    assert sum(socket.sizes) == 10_000
    assert socket.response._reader.is_eof()


async def test_a_broken_frame_in_a_large_read() -> None:
    """Messages before it are pushed, those after it are not; the protocol is closed."""
    socket = Socket()
    socket.parser.feed_data(TINY * 5_000 + BROKEN + TINY * 5_000)
    await turns(10)
    assert sum(socket.sizes) == 5_000
    assert "close" in socket.journal


TIMEOUT: Final = 30.0


@pytest.fixture
async def clock() -> AsyncIterator[LoopClock]:
    with LoopClock() as clock:
        yield clock
        assert clock.leftovers() == []


class Watched(Socket):
    """With a deadline for unfinished messages; counts how often it has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.expired = 0
        self.response.push_to(self.sizes.append, timeout=TIMEOUT, expire=self._expire)  # type: ignore[arg-type]

    def _expire(self) -> None:
        self.expired += 1


@pytest.mark.parametrize(
    "unfinished",
    [
        part(100)[:1],
        part(100)[:50],
        part(100_000)[:50_000],
        part(5, fin=False),
        part(5, fin=False) + part(5, CONTINUATION, fin=False),
        TINY + part(5)[:-1],
    ],
)
async def test_a_message_that_stays_unfinished(clock: LoopClock, unfinished: bytes) -> None:
    """TW-15: neither pings nor further pieces prolong the time."""
    socket = Watched()
    socket.parser.feed_data(unfinished)
    await clock.advance(TIMEOUT - 1)
    if unfinished.startswith(part(5, fin=False)):
        socket.parser.feed_data(part(1, PING) + part(1, CONTINUATION, fin=False))
    assert socket.expired == 0
    await clock.advance(1)
    assert socket.expired == 1
    socket.parser.feed_eof()


@pytest.mark.parametrize("end_first", [False, True])
async def test_each_message_has_its_own_time(clock: LoopClock, end_first: bool) -> None:
    """TW-15: a read may end one message and begin the next."""
    socket = Watched()
    message = part(100)
    socket.parser.feed_data(message[:50])
    for _ in range(3):
        await clock.advance(TIMEOUT - 1)
        if end_first:
            socket.parser.feed_data(message[50:])
            socket.parser.feed_data(message[:50])
        else:
            socket.parser.feed_data(message[50:] + message[:50])
    assert (socket.expired, len(socket.sizes)) == (0, 3)
    await clock.advance(1)
    socket.parser.feed_data(message[50:])
    await clock.advance(TIMEOUT)
    assert (socket.expired, len(socket.sizes)) == (0, 4)


async def test_the_time_in_which_nothing_is_read_does_not_count(clock: LoopClock) -> None:
    """TW-15: the client cannot do anything about it."""
    socket = Watched()
    socket.parser.feed_data(TINY + part(100)[:50])
    socket.response.pause_reading()
    await clock.advance(10 * TIMEOUT)
    socket.response.resume_reading()
    await clock.advance(TIMEOUT - 1)
    assert socket.expired == 0
    await clock.advance(1)
    assert socket.expired == 1
    socket.parser.feed_eof()


async def test_no_deadline_is_left_behind_a_lost_connection(clock: LoopClock) -> None:
    socket = Watched()
    socket.parser.feed_data(part(100)[:50])
    assert clock.timers()
    socket.parser.feed_eof()
    assert clock.timers() == []
