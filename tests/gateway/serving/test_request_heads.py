"""Connections that send no complete request head in time are closed; others are not."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.serving import runner
from signalr_gateway.serving.listener import serving
from signalr_gateway.serving.request_heads import RequestHeads
from signalr_gateway.serving.tls import CertificatePair, server_context
from tests.gateway.hand_clock import HandClock
from tests.support.loop_time import LoopTime

BRIEF = Limits(headers_timeout=0.05)


class StubTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.aborted = self.closed = False
        self.written = b""
        self.waiting = 0
        self.is_ending = False
        self.protocol: Any = None

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted or self.is_ending

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol


class StubProtocol(asyncio.Protocol):
    """Replaces aiohttp's protocol and records the calls that it gets."""

    def __init__(self) -> None:
        self.journal: list[object] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.journal.append("made")

    def data_received(self, data: bytes) -> None:
        self.journal.append(data)

    def pause_writing(self) -> None:
        self.journal.append("pause")

    def resume_writing(self) -> None:
        self.journal.append("resume")

    def eof_received(self) -> bool:
        self.journal.append("eof")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.journal.append(exc)


class Connection:
    """An accepted connection. The deadline of its request head runs."""

    def __init__(self, heads: RequestHeads) -> None:
        self.transport = StubTransport()
        self.protocol = StubProtocol()
        self.watched = heads.watch(self.protocol)
        self.transport.set_protocol(self.watched)
        self.watched.connection_made(self.transport)

    @property
    def is_closed(self) -> bool:
        return self.transport.aborted


@pytest.fixture
async def loop_time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    return LoopTime(monkeypatch)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def heads(clock: HandClock) -> RequestHeads:
    return RequestHeads(30.0, clock)


async def test_a_silent_connection(heads: RequestHeads, clock: HandClock) -> None:
    early = Connection(heads)
    await clock.advance(10)
    late = Connection(heads)
    await clock.advance(19.9)
    assert not early.is_closed
    await clock.advance(0.1)
    assert (early.is_closed, late.is_closed) == (True, False)
    await clock.advance(10)
    assert late.is_closed


async def test_bytes_of_an_unfinished_head_win_no_time(
    heads: RequestHeads, clock: HandClock
) -> None:
    slow = Connection(heads)
    for _ in range(3):
        await clock.advance(9)
        slow.watched.data_received(b"G")
    await clock.advance(3)
    assert slow.is_closed


async def test_a_request_that_is_served_has_any_time(heads: RequestHeads, clock: HandClock) -> None:
    """And so have the bytes that arrive meanwhile, such as frames of a WebSocket."""
    busy = Connection(heads)
    busy.watched.suspend()
    busy.transport.protocol.data_received(b"frame")
    await clock.advance(1000)
    busy.watched.resume()
    await clock.advance(1000)
    assert not busy.is_closed
    busy.transport.protocol.data_received(b"G")
    await clock.advance(30)
    assert busy.is_closed


def test_a_lost_connection_is_forgotten_at_once(heads: RequestHeads) -> None:
    lost = Connection(heads)
    watched = weakref.ref(lost.watched)
    lost.watched.connection_lost(None)
    del lost
    gc.collect()
    assert watched() is None


def test_a_connection_that_is_lost_while_a_request_is_served(heads: RequestHeads) -> None:
    """The transport calls aiohttp's protocol then; nothing keeps the connection in memory."""
    lost = Connection(heads)
    watched = weakref.ref(lost.watched)
    lost.watched.suspend()
    lost.transport.abort()
    lost.watched.resume()
    del lost
    gc.collect()
    assert watched() is None


async def test_an_unread_answer_on_a_closed_connection(
    heads: RequestHeads, clock: HandClock
) -> None:
    """It is looked at until its bytes have been sent or the connection is aborted."""
    closed = Connection(heads)
    closed.watched.suspend()
    closed.transport.waiting = 1000
    closed.transport.is_ending = True
    closed.watched.resume()
    assert closed.transport.protocol is closed.watched
    await clock.advance(60)
    assert closed.is_closed


async def test_no_connection_is_closed_after_the_end(heads: RequestHeads, clock: HandClock) -> None:
    silent = Connection(heads)
    heads.close()
    await clock.advance(30)
    assert not silent.is_closed


def test_everything_is_handed_on(heads: RequestHeads) -> None:
    connection = Connection(heads)
    connection.watched.data_received(b"data")
    connection.watched.pause_writing()
    connection.watched.resume_writing()
    assert connection.watched.eof_received()
    error = ConnectionResetError()
    connection.watched.connection_lost(error)
    assert connection.protocol.journal == ["made", b"data", "pause", "resume", "eof", error]


async def test_a_request_that_another_listener_accepted(heads: RequestHeads) -> None:
    """Its connection is not watched; the request is served."""
    app = web.Application()
    heads.guard(app)
    request = make_mocked_request("GET", "/", transport=StubTransport())
    [middleware] = app.middlewares
    assert (await middleware(request, answer)).status == 200


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="here")


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/", answer)
    return app


async def ends(reader: asyncio.StreamReader) -> bool:
    """Wait until the server ends the connection, and return whether it does."""
    try:
        return await reader.read() is not None
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_over_a_socket(sent: bytes) -> None:
    async with serving(application(), "127.0.0.1", 0, limits=BRIEF) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        assert await ends(reader)
        writer.close()


@pytest.mark.timeout(20)  # far below asyncio's own timeout of a handshake
async def test_a_tls_handshake_that_does_not_begin(certificate: CertificatePair) -> None:
    context = server_context(certificate)
    async with serving(application(), "127.0.0.1", 0, context, limits=BRIEF) as url:
        host, port = url.removeprefix("https://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await ends(reader)
        writer.close()


async def test_later_requests_have_a_deadline_too(loop_time: LoopTime) -> None:
    async with serving(application(), "127.0.0.1", 0) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET / HTTP/1.1\r\n")
        ending = asyncio.create_task(ends(reader))
        await loop_time.pass_until_done(ending)
        assert ending.result()
        writer.close()


async def test_idle_connections_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "KEEP_ALIVE_TIMEOUT", 0.05)
    async with serving(application(), "127.0.0.1", 0) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"here")).startswith(b"HTTP/1.1 200")
        assert await ends(reader)
        writer.close()


async def test_a_web_socket_outlives_the_deadline(loop_time: LoopTime) -> None:
    """The connection of a served request is not watched."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = application()
    app.router.add_get("/echo", echo)
    async with (
        serving(app, "127.0.0.1", 0) as url,
        aiohttp.ClientSession() as session,
        session.ws_connect(url + "/echo") as socket,
    ):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        ending = asyncio.create_task(ends(reader))
        await loop_time.pass_until_done(ending)  # a deadline has passed
        writer.close()
        await socket.send_str("still here")
        assert (await socket.receive()).data == "still here"


# --- heads that are too large ---------------------------------------------------------------------


LARGEST = b"GET / HTTP/1.1\r\nA: " + b"x" * (32 * 1024 - 23) + b"\r\n\r\n"
assert len(LARGEST) == 32 * 1024


@pytest.mark.parametrize("piece", [1 << 20, 10_000, 3, 1])
@pytest.mark.parametrize("excess", [0, 1])
async def test_the_size_of_a_head(heads: RequestHeads, piece: int, excess: int) -> None:
    """Request line and fields together, to the byte, however they are cut; the body is not
    counted, nor are empty lines before the head."""
    connection = Connection(heads)
    head = b"\r\n" + LARGEST[:-4] + b"x" * excess + b"\r\n\r\n"
    for start in range(0, len(head), piece):
        connection.watched.data_received(head[start : start + piece])
    connection.watched.data_received(b"x" * 100_000)
    assert connection.transport.written.startswith(b"HTTP/1.1 431 " if excess else b"")
    assert connection.transport.closed is bool(excess)
    passed = b"".join(it for it in connection.protocol.journal if isinstance(it, bytes))
    assert (passed == head + b"x" * 100_000) is not bool(excess)
    assert len(passed) <= 32 * 1024 + 2 or not excess


async def test_the_refusal_of_a_head(heads: RequestHeads) -> None:
    """It names the limit, and has the header against sniffing that all answers have."""
    connection = Connection(heads)
    connection.watched.data_received(b"x" * (32 * 1024 + 1))
    head, _, body = bytes(connection.transport.written).partition(b"\r\n\r\n")
    assert body == b"The request head has more than 32768 bytes."
    assert b"X-Content-Type-Options: nosniff" in head.split(b"\r\n")
    assert b"Content-Length: %d" % len(body) in head.split(b"\r\n")


async def test_a_head_without_an_end(heads: RequestHeads) -> None:
    """It is refused with the first byte over the limit."""
    connection = Connection(heads)
    connection.watched.data_received(b"x" * 32 * 1024)
    assert not connection.transport.closed
    connection.watched.data_received(b"x")
    assert connection.transport.closed


async def test_the_heads_of_later_requests(heads: RequestHeads) -> None:
    """Each counts anew. The rest of a body that was not read is no head."""
    connection = Connection(heads)
    for _ in range(3):
        connection.watched.data_received(LARGEST)
        connection.watched.suspend()
        connection.watched.resume()
    connection.watched.data_received(LARGEST)
    connection.watched.suspend()
    connection.watched.resume(head_follows=False)
    connection.watched.data_received(b"x" * 100_000)
    assert not connection.transport.closed


def answering() -> web.Application:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/", answer)
    return app


async def raw_answer(url: str, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
    writer.write(data)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("size", "fields", "status"), [(31_000, 1, 200), (31_000, 99, 200), (40_000, 1, 431)]
)
async def test_one_field_may_use_all_of_a_head(size: int, fields: int, status: int) -> None:
    """Such as an access token of 31 KB."""
    async with serving(answering(), "127.0.0.1", 0) as url:
        more = b"".join(b"B%d: x\r\n" % number for number in range(fields - 1))
        field = b"Authorization: Bearer " + b"x" * size
        head = b"GET / HTTP/1.1\r\nHost: h\r\n%b%b\r\n\r\n" % (more, field)
        assert (await raw_answer(url, head)).split()[1] == b"%d" % status


@pytest.mark.parametrize(("fields", "status"), [(100, 200), (101, 431)])
async def test_the_number_of_fields(fields: int, status: int) -> None:
    async with serving(answering(), "127.0.0.1", 0) as url:
        head = b"GET / HTTP/1.1\r\n%b\r\n" % (b"Host: h\r\n" + b"A: x\r\n" * (fields - 1))
        assert (await raw_answer(url, head)).split()[1] == b"%d" % status


@pytest.mark.parametrize("piece", [1 << 20, 100, 3, 1])
@pytest.mark.parametrize("excess", [0, 1])
async def test_the_number_of_fields_in_pieces(heads: RequestHeads, piece: int, excess: int) -> None:
    """However they are cut; lines of the body and of later heads are not counted."""
    connection = Connection(heads)
    head = b"\r\nGET / HTTP/1.1\r\n" + b"A: x\r\n" * (100 + excess) + b"\r\n"
    for _ in range(2):
        for start in range(0, len(head), piece):
            connection.watched.data_received(head[start : start + piece])
        connection.watched.data_received(b"x\r\n" * 200)
        connection.watched.suspend()
        connection.watched.resume()
    refused = connection.transport.written.startswith(b"HTTP/1.1 431 ")
    assert (refused, connection.transport.closed) == (bool(excess), bool(excess))
    assert connection.transport.written.endswith(b"has more than 100 fields." if excess else b"")


async def test_fields_without_an_end(heads: RequestHeads) -> None:
    """They are refused with the first line over the limit."""
    connection = Connection(heads)
    connection.watched.data_received(b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * 100)
    assert not connection.transport.closed
    connection.watched.data_received(b"A: x\r\n")
    assert connection.transport.closed


# --- answers that are not read --------------------------------------------------------------------


async def test_an_answer_that_is_not_read(heads: RequestHeads, clock: HandClock) -> None:
    """240 bytes a second are enough, over 30 seconds; what is served meanwhile is not looked at."""
    slow, quick, served = Connection(heads), Connection(heads), Connection(heads)
    for connection in (slow, quick, served):
        connection.watched.suspend()
        connection.transport.waiting = 100_000
    for connection in (slow, quick):
        connection.watched.resume()
    await clock.advance(30)
    slow.transport.waiting -= 240 * 30 - 1
    quick.transport.waiting -= 240 * 30
    await clock.advance(30)
    assert [it.is_closed for it in (slow, quick, served)] == [True, False, False]
    quick.transport.waiting = 1
    await clock.advance(30)
    quick.transport.waiting = 0
    await clock.advance(30)
    assert not quick.is_closed


async def test_each_answer_has_its_own_time(heads: RequestHeads, clock: HandClock) -> None:
    connection = Connection(heads)
    for _ in range(3):
        connection.watched.suspend()
        connection.watched.resume()
        connection.transport.waiting = 1000
        await clock.advance(30)
    assert not connection.is_closed
    await clock.advance(30)
    assert connection.is_closed


async def test_a_lost_connection_is_not_looked_at(heads: RequestHeads, clock: HandClock) -> None:
    connection = Connection(heads)
    connection.transport.waiting = 1000
    connection.watched.connection_lost(None)
    await clock.advance(90)
    assert not connection.is_closed
