"""The client's WebSocket, frame by frame against a hand-made server (section TW)."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from protocol import (
    ConnectionClosed,
    HandshakeError,
    HubConnection,
    HubConnectionBuilder,
    HubConnectionState,
    NotConnectedError,
)
from protocol.transports.client import web_socket as web_socket_client
from tests.support.hub_messages import RECORD_SEPARATOR
from tests.support.waiting import flood, until
from tests.transports.raw_server import RawServer
from tests.transports.raw_web_socket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    close_payload,
)

NEWS = '{"type":1,"target":"News","arguments":["é"]}\x1e'.encode()


class Pair:
    """A started connection, the server's end, and the arguments of its callbacks."""

    def __init__(self, connection: HubConnection, far: RawWebSocket) -> None:
        self.connection = connection
        self.far = far
        self.heard: list[Any] = []
        self.closed: asyncio.Queue[Exception | None] = asyncio.Queue()
        connection.on("News", self.heard.append)
        connection.on_closed(self.closed.put_nowait)

    async def end(self) -> None:
        """Answers a Close frame, if one arrives."""
        try:
            self.far.send(CLOSE, (await self.far.closing()).payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.far.writer.close()

    async def hears(self, *expected: Any) -> None:
        await until(lambda: len(self.heard) >= len(expected))
        assert self.heard == list(expected)


@pytest.fixture
def close_timeout() -> float:
    """The time in seconds for sending what is queued."""
    return 5.0


@pytest.fixture
async def pair(far_server: RawServer, close_timeout: float) -> AsyncIterator[Pair]:
    connection = (
        HubConnectionBuilder().with_url(far_server.url, close_timeout=close_timeout).build()
    )
    await connection.start()
    pair = Pair(connection, await far_server.sockets.get())
    assert await pair.far.record() == {"type": 6}
    yield pair
    stopping = asyncio.create_task(connection.stop())
    await pair.end()
    await stopping


async def test_frames_out(pair: Pair) -> None:
    """TW-3, RFC 6455: whole, masked Text frames that end with a record's end."""
    for number in range(3):
        await pair.connection.send("X", number)
    await pair.connection.send("Large", "x" * 200_000)
    records = [await pair.far.record() for _ in range(4)]
    assert [record["target"] for record in records] == ["X", "X", "X", "Large"]
    assert {(frame.opcode, frame.fin, frame.masked) for frame in pair.far.frames} == {
        (TEXT, True, True)
    }
    assert all(frame.payload.endswith(RECORD_SEPARATOR.encode()) for frame in pair.far.frames)


async def test_many_sends_leave_in_few_frames(pair: Pair) -> None:
    """Bytes written in one turn of the event loop are sent together."""
    before = len(pair.far.frames)
    await asyncio.gather(*(pair.connection.send("X", number) for number in range(100)))
    records = [await pair.far.record() for _ in range(100)]
    assert [record["arguments"][0] for record in records] == list(range(100))
    assert len(pair.far.frames) - before <= 3


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_opcodes_in(pair: Pair, opcode: int) -> None:
    """TW-3: ignored."""
    pair.far.send(opcode, NEWS)
    await pair.hears("é")


@pytest.mark.parametrize("cuts", [1, 7, 40])
async def test_fragments(pair: Pair, cuts: int) -> None:
    """TW-4: a message over continuation frames, cut anywhere."""
    parts = [NEWS[i : i + cuts] for i in range(0, len(NEWS), cuts)]
    for number, part in enumerate(parts):
        pair.far.send(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1)
    await pair.hears("é")


async def test_records_and_messages(pair: Pair) -> None:
    """LA-1: several records in a message, one record over several."""
    pair.far.send(TEXT, NEWS + NEWS + NEWS[:10])
    pair.far.send(TEXT, NEWS[10:])
    await pair.hears("é", "é", "é")


async def test_a_response_and_more_in_a_message(far_server: RawServer) -> None:
    """H-3, H-14: the handshake response with hub messages behind it."""
    far_server.shakes_hands = False
    connection = HubConnectionBuilder().with_url(far_server.url).build()
    heard: list[str] = []
    connection.on("News", heard.append)
    starting = asyncio.create_task(connection.start())
    far = await far_server.sockets.get()
    far.send(TEXT, b"{}\x1e" + NEWS)
    await starting
    await until(lambda: heard)
    assert heard == ["é"]
    await connection.stop()


async def test_pings(pair: Pair) -> None:
    """TW-9: answered with their payload; pongs are ignored."""
    pair.far.send(PONG, b"x")
    pair.far.send(PING, b"payload")
    frame = await pair.far.frame()
    assert (frame.opcode, frame.payload) == (PONG, b"payload")
    assert pair.connection.state is HubConnectionState.CONNECTED


async def test_stop(pair: Pair) -> None:
    """TW-5, C-17: the hub's Close, then Close 1000 without a reason, then the end of TCP."""
    stopping = asyncio.create_task(pair.connection.stop())
    assert await pair.far.record() == {"type": 7}
    closing = await pair.far.closing()
    assert closing.payload == close_payload(1000)
    pair.far.send(CLOSE, close_payload(1000))
    assert await pair.far.end() == b""
    await stopping
    assert pair.closed.get_nowait() is None


async def test_what_was_sent_before_stop_arrives(pair: Pair) -> None:
    """C-17: also while a megabyte is being sent."""
    await pair.connection.send("Large", "x" * 1_000_000)
    stopping = asyncio.create_task(pair.connection.stop())
    assert len((await pair.far.record())["arguments"][0]) == 1_000_000
    assert await pair.far.record() == {"type": 7}
    closing = await pair.far.closing()
    pair.far.send(CLOSE, closing.payload)
    await stopping


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "The server ended the connection."),
        (close_payload(1000), "The server ended the connection."),
        (close_payload(1000, b"bye"), "The server ended the connection."),
        (close_payload(1001), "Websocket closed with error: EndpointUnavailable."),
        (close_payload(1011, b"boo"), "Websocket closed with error: InternalServerError."),
        (close_payload(4321), "Websocket closed with error: 4321."),
    ],
)
async def test_the_server_closes(pair: Pair, payload: bytes, text: str) -> None:
    """TW-5, TW-7: answered with 1000 whatever the code; a code other than 1000 is an error."""
    calling = asyncio.create_task(pair.connection.invoke("X"))
    await pair.far.record()
    pair.far.send(CLOSE, payload)
    closing = await pair.far.closing()
    assert closing.payload == close_payload(1000)
    pair.far.writer.close()
    error = await pair.closed.get()
    assert (type(error), str(error)) == (ConnectionClosed, text)
    with pytest.raises(ConnectionClosed):
        await calling
    assert pair.connection.state is HubConnectionState.DISCONNECTED


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the second that a client waits for the server's end."""
    monkeypatch.setattr(web_socket_client, "_CLOSE_TIMEOUT", 0.05)


async def test_a_server_that_does_not_end_tcp(impatient: None, pair: Pair) -> None:
    """TW-5: the client waits for at most one second."""
    pair.far.send(CLOSE, close_payload(1000))
    await pair.far.closing()
    assert isinstance(await pair.closed.get(), ConnectionClosed)
    assert await pair.far.end() == b""


@pytest.mark.parametrize("how", ["reset", "end"])
async def test_a_server_that_vanishes(pair: Pair, how: str) -> None:
    """C-16: the connection ends with an error."""
    calling = asyncio.create_task(pair.connection.invoke("X"))
    await pair.far.record()
    if how == "reset":
        pair.far.cut()
    else:
        pair.far.writer.close()
    with pytest.raises(ConnectionClosed):
        await calling
    assert isinstance(await pair.closed.get(), ConnectionClosed)
    with pytest.raises(NotConnectedError):
        await pair.connection.send("X")


async def test_a_masked_frame(pair: Pair) -> None:
    """TW-13."""
    pair.far.send(TEXT, NEWS, masked=True)
    await pair.hears("é")


async def test_a_server_that_vanishes_while_its_ping_is_answered(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """C-16: a loss of the connection as any other, and no error of the client."""
    answer = aiohttp.ClientWebSocketResponse.pong

    async def lose_the_socket(
        web_socket: "aiohttp.ClientWebSocketResponse[bool]", message: bytes
    ) -> None:
        web_socket._writer.transport.abort()
        await answer(web_socket, message)

    monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "pong", lose_the_socket)
    pair.far.send(PING)
    closed = await pair.closed.get()
    assert str(closed) == "The server ended the connection."
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    ("opcode", "payload", "how", "code"),
    [
        pytest.param(TEXT, b'"\xff"\x1e', {}, 1007, id="TW-3 bad UTF-8"),
        pytest.param(TEXT, NEWS[: NEWS.index(b"\xc3") + 1], {}, 1007, id="TW-3 a cut character"),
        pytest.param(3, b"x", {}, 1002, id="TW-13 reserved opcode"),
        pytest.param(TEXT, b"x", {"bits": 0x40}, 1002, id="TW-13 reserved bit"),
        pytest.param(CONTINUATION, b"x", {}, 1002, id="TW-13 orphan continuation"),
        pytest.param(PING, b"x", {"fin": False}, 1002, id="TW-13 fragmented control frame"),
    ],
)
async def test_violations(
    pair: Pair, opcode: int, payload: bytes, how: dict[str, Any], code: int
) -> None:
    """TW-3, TW-13: the Close frame says so; the connection ends with an error."""
    pair.far.send(opcode, payload, **how)
    closing = await pair.far.closing()
    assert closing.code == code
    pair.far.send(CLOSE, closing.payload)
    pair.far.writer.close()
    assert isinstance(await pair.closed.get(), ConnectionClosed)


@pytest.mark.parametrize("how", ["reset", "close", "refuse"])
async def test_the_end_during_the_handshake(far_server: RawServer, how: str) -> None:
    """H-12: HandshakeError; the socket is gone."""
    far_server.shakes_hands = False
    connection = HubConnectionBuilder().with_url(far_server.url).build()
    starting = asyncio.create_task(connection.start())
    far = await far_server.sockets.get()
    match how:
        case "reset":
            far.cut()
        case "close":
            far.send(CLOSE, close_payload(1000))
        case _:
            far.send_text('{"error":"no"}' + RECORD_SEPARATOR)
            far.send(CLOSE, close_payload(1000))
    with pytest.raises(HandshakeError):
        await starting
    await far.end()
    assert connection.state is HubConnectionState.DISCONNECTED
    gc.collect()  # objects that were not closed warn now


async def test_handshake_timeout(far_server: RawServer) -> None:
    """H-12: a server that accepts and says nothing; the socket is closed, as .NET closes it."""
    far_server.shakes_hands = False
    connection = (
        HubConnectionBuilder().with_url(far_server.url).with_handshake_timeout(0.05).build()
    )
    with pytest.raises(HandshakeError, match=r"within 0\.05 seconds"):
        await connection.start()
    far = await far_server.sockets.get()
    assert await far.record() == {"protocol": "json", "version": 1}
    closing = await far.closing()
    assert closing.payload == close_payload(1000)
    far.send(CLOSE, closing.payload)
    assert await far.end() == b""
    gc.collect()  # objects that were not closed warn now


async def test_a_server_that_reads_late(pair: Pair) -> None:
    """C-21: callers wait until it reads again; all messages arrive in order."""
    transport: Any = pair.far.writer.transport
    transport.pause_reading()

    async def flood() -> None:
        for number in range(100):
            await pair.connection.send("X", number, "x" * 128 * 1024)

    flooding = asyncio.create_task(flood())
    for _ in range(500):
        await asyncio.sleep(0)
    assert not flooding.done()
    transport.resume_reading()
    for number in range(100):
        assert (await pair.far.record())["arguments"][0] == number
    await flooding


@pytest.mark.parametrize("close_timeout", [0.05])
async def test_a_server_that_does_not_read(impatient: None, pair: Pair) -> None:
    """C-21, TW-5: callers wait; stop does not wait for a server that takes nothing."""
    transport: Any = pair.far.writer.transport
    transport.pause_reading()
    flooding, _ = await flood(pair.connection)
    await pair.connection.stop()
    with pytest.raises(NotConnectedError):
        await flooding
    transport.resume_reading()
    assert len(await pair.far.end()) < 20 * 1024 * 1024


async def test_a_client_whose_handlers_wait(pair: Pair) -> None:
    """C-21: it does not read, so the server cannot write; later all messages arrive."""
    gate = asyncio.Event()
    heard: list[int] = []

    @pair.connection.on("Large")
    async def large(number: int, _: str) -> None:
        await gate.wait()
        heard.append(number)

    text, count, mib = "x" * 128 * 1024, 256, 1024 * 1024
    for number in range(count):
        event = f'{{"type":1,"target":"Large","arguments":[{number},"{text}"]}}{RECORD_SEPARATOR}'
        pair.far.send(TEXT, event.encode())
    transport: Any = pair.far.writer.transport
    unsent = -1
    while unsent != transport.get_write_buffer_size():
        unsent = transport.get_write_buffer_size()
        for _ in range(200):
            await asyncio.sleep(0)
    assert unsent > 8 * mib
    gate.set()
    await until(lambda: len(heard) == count)
    assert heard == list(range(count))


async def test_a_connection_per_loss(far_server: RawServer) -> None:
    """R-4: a lost connection is replaced by a new one from negotiate on; the old one is closed."""
    connection = (
        HubConnectionBuilder().with_url(far_server.url).with_automatic_reconnect([0, 0]).build()
    )
    reconnected = asyncio.Queue[str | None]()
    connection.on_reconnected(reconnected.put_nowait)
    await connection.start()
    for _ in range(3):
        (await far_server.sockets.get()).cut()
        assert await reconnected.get() == "public"
    await connection.stop()
    methods = [request.method for request in far_server.requests]
    assert methods == ["POST", "GET"] * 4
