"""Links in memory and over TCP: cut, half open, delayed, throttled, held, cut at a byte."""

import asyncio
import math
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocol.errors import TransportViolationError
from protocol.testing import LoopClock, MemoryLink, MemoryTransport, TcpLink
from tests.support.waiting import until


class Record:
    """A receiver that keeps what it gets."""

    def __init__(self, transport: MemoryTransport) -> None:
        self.data = b""
        self.ends: list[Exception | None] = []
        transport.set_receiver(self)

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, error: Exception | None) -> None:
        self.ends.append(error)


class Joined:
    """A link in memory with one connection, on a clock that the test moves."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.link = MemoryLink()
        self.client, self.server = self.link.connect()
        self.at_client, self.at_server = Record(self.client), Record(self.server)


def in_memory(test: Callable[[Joined], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Runs a test on a connected link in memory, which leaves nothing in the loop."""

    async def run() -> None:
        with LoopClock() as clock:
            await test(Joined(clock))
            await clock.settle()
            assert clock.leftovers() == []
            assert clock.unhandled == []

    def decorated() -> None:
        asyncio.run(run())

    decorated.__name__, decorated.__doc__ = test.__name__, test.__doc__
    return decorated


@in_memory
async def test_bytes_arrive_in_both_directions(joined: Joined) -> None:
    joined.client.write(b"ab")
    joined.server.write(b"cd")
    await joined.clock.settle()
    assert (joined.at_server.data, joined.at_client.data) == (b"ab", b"cd")
    assert (joined.link.to_server.passed, joined.link.to_client.passed) == (2, 2)
    assert (joined.link.opened, joined.link.connections) == (1, 1)
    await joined.client.close()
    await joined.server.close()


@pytest.mark.parametrize("error", [None, TransportViolationError("x")])
def test_an_end_arrives_behind_the_bytes(error: TransportViolationError | None) -> None:
    @in_memory
    async def run(joined: Joined) -> None:
        joined.link.to_server.delay = 1
        joined.client.write(b"last")
        joined.client.flush()
        if error is None:
            await joined.client.close()
        else:
            joined.client.violate(error.args[0])
        await joined.clock.advance(0.5)
        assert joined.at_server.ends == []
        await joined.clock.advance(0.5)
        assert joined.at_server.data == b"last"
        assert [repr(end) for end in joined.at_server.ends] == [repr(error)]
        await joined.client.close()
        await joined.server.close()
        await joined.clock.advance(1)
        assert joined.link.connections == 0

    run()


@in_memory
async def test_cut(joined: Joined) -> None:
    """What was on its way is lost, both ends notice it, and a new connection can be opened."""
    joined.link.to_server.delay = 1
    joined.client.write(b"lost")
    await joined.clock.settle()
    joined.link.cut()
    joined.client.write(b"too late")
    await joined.clock.advance(2)
    assert (joined.at_client.ends, joined.at_server.ends) == ([None], [None])
    assert joined.at_server.data == b""
    assert joined.link.connections == 0
    client, server = joined.link.connect()
    received = Record(server)
    client.write(b"again")
    await joined.clock.advance(1)
    assert received.data == b"again"
    joined.link.cut()


@pytest.mark.parametrize("end", ["client", "server"])
def test_half_open(end: Any) -> None:
    """One end notices the cut; the other keeps its connection, and its bytes are lost."""

    @in_memory
    async def run(joined: Joined) -> None:
        joined.link.cut(end)
        living = (joined.server, joined.client)[end == "server"]
        ends = {"client": joined.at_client.ends, "server": joined.at_server.ends}
        living.write(b"x" * 1_000_000)
        await joined.clock.settle()
        assert living.buffered == 0
        assert ends.pop(end) == [None]
        assert [*ends.values()] == [[]]
        assert joined.link.connections == 1
        joined.link.cut()
        await joined.clock.settle()
        assert [*ends.values()] == [[None]]
        assert joined.link.connections == 0

    run()


@in_memory
async def test_delay(joined: Joined) -> None:
    """The bytes stay in order if the delay becomes shorter."""
    joined.link.to_client.delay = 2
    joined.server.write(b"a")
    await joined.clock.advance(1)
    joined.link.to_client.delay = 0
    joined.server.write(b"b")
    await joined.clock.advance(0.9)
    assert joined.at_client.data == b""
    await joined.clock.advance(0.2)
    assert joined.at_client.data == b"ab"
    joined.link.cut()


@in_memory
async def test_throttle(joined: Joined) -> None:
    joined.link.to_server.bytes_per_second = 100
    joined.client.write(b"x" * 1000)
    await joined.clock.settle()
    seen = []
    for _ in range(4):
        await joined.clock.advance(2.5)
        seen.append(len(joined.at_server.data))
    assert seen == [250, 500, 750, 1000]
    joined.link.cut()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("delay", -1),
        ("delay", math.nan),
        ("delay", math.inf),
        ("bytes_per_second", 0),
        ("bytes_per_second", -1),
        ("bytes_per_second", math.nan),
        ("bytes_per_second", math.inf),
    ],
)
def test_times_and_rates_that_are_none(name: str, value: float) -> None:
    """They are refused when they are set. Otherwise they would end connections, or stop them."""
    direction = MemoryLink().to_server
    before = getattr(direction, name)
    with pytest.raises(ValueError, match=f"not {value}"):
        setattr(direction, name, value)
    assert getattr(direction, name) == before


def test_ends_that_do_not_exist() -> None:
    """The connections are not cut."""
    link = MemoryLink()
    wrong: Any = "Client"
    with pytest.raises(ValueError, match="not 'Client'"):
        link.cut(wrong)


@pytest.mark.parametrize("url", ["localhost:80", "ftp://localhost", "http://", "/hub"])
def test_urls_that_are_none_of_a_server(url: str) -> None:
    with pytest.raises(ValueError, match="not an http, https, ws or wss URL with a host"):
        TcpLink(url)


@in_memory
async def test_hold(joined: Joined) -> None:
    """A held direction takes a limited number of bytes, and loses none."""
    joined.link.to_server.hold()
    data = bytes(range(256)) * 1024
    for start in range(0, len(data), 1024):
        joined.client.write(data[start : start + 1024])
        await asyncio.sleep(0)
    await joined.clock.settle()
    assert joined.client.buffered > len(data) // 2
    assert (joined.at_server.data, joined.at_server.ends) == (b"", [])
    joined.link.to_server.release()
    await joined.clock.settle()
    assert joined.at_server.data == data
    joined.link.cut()


@in_memory
async def test_a_receiver_that_pauses(joined: Joined) -> None:
    """The bytes wait at the sender when the link has taken its share."""
    joined.server.pause_reading()
    data = b"x" * 1_000_000
    for start in range(0, len(data), 10_000):
        joined.client.write(data[start : start + 10_000])
        await joined.clock.settle()
    assert joined.client.buffered > len(data) // 2
    joined.server.resume_reading()
    await joined.clock.settle()
    assert len(joined.at_server.data) == len(data)
    joined.link.cut()


@in_memory
async def test_cut_after_a_number_of_bytes(joined: Joined) -> None:
    """The cut is inside a write, and happens once."""
    joined.client.write(b"abc")
    await joined.clock.settle()
    joined.link.to_server.cut_after(2)
    joined.client.write(b"defg")
    await joined.clock.settle()
    assert joined.at_server.data == b"abcde"
    assert (joined.at_client.ends, joined.at_server.ends) == ([None], [None])
    client, server = joined.link.connect()
    received = Record(server)
    client.write(b"hijk")
    await joined.clock.settle()
    assert received.data == b"hijk"
    joined.link.to_server.cut_after(0)
    await joined.clock.settle()
    assert received.ends == [None]


@in_memory
async def test_a_link_that_does_not_accept(joined: Joined) -> None:
    joined.link.accepts = False
    with pytest.raises(ConnectionRefusedError):
        joined.link.connect()
    joined.client.write(b"a")
    await joined.clock.settle()
    assert joined.at_server.data == b"a"
    joined.link.accepts = True
    joined.link.connect()
    joined.link.cut()


# ---- TCP


class Program:
    """A server that keeps the streams of its connections."""

    def __init__(self) -> None:
        self.accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted.put_nowait((reader, writer))


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def tcp(**options: Any) -> AsyncIterator[tuple[TcpLink, Callable[[], Any]]]:
    """A TCP link, and a function that opens a connection: the streams of client and server."""
    program = Program()
    listener = await asyncio.start_server(program.accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> tuple[Streams, Streams]:
        client = await asyncio.open_connection("127.0.0.1", link.port)
        server = await program.accepted.get()
        opened.extend((client[1], server[1]))
        return client, server

    async with listener, TcpLink(f"http://127.0.0.1:{port}/hub?a=b", **options) as link:
        yield link, connect
        for writer in opened:
            writer.close()


async def test_tcp_carries_bytes_and_half_closes() -> None:
    async with tcp() as (link, connect):
        assert link.url == f"http://127.0.0.1:{link.port}/hub?a=b"
        (reader, writer), (far_reader, far_writer) = await connect()
        data = bytes(range(256)) * 8192
        writer.write(data)
        writer.write_eof()
        assert await far_reader.read(-1) == data
        far_writer.write(b"answer")
        far_writer.close()
        assert await reader.read(-1) == b"answer"
        await until(lambda: link.connections == 0)
        assert (link.to_server.passed, link.to_client.passed) == (len(data), 6)


@pytest.mark.parametrize("reset", [False, True])
async def test_a_tcp_link_that_is_cut(reset: bool) -> None:
    async with tcp() as (link, connect):
        (reader, writer), (far_reader, _) = await connect()
        link.to_server.cut_after(3)
        writer.write(b"abcde")
        assert await far_reader.read(-1) == b"abc"
        assert await reader.read(-1) == b""
        (reader, _), (far_reader, _) = await connect()
        link.cut(reset=reset)
        for stream in (reader, far_reader):
            if reset:
                with pytest.raises(ConnectionResetError):
                    await stream.read(-1)
            else:
                assert await stream.read(-1) == b""
        assert (link.opened, link.connections) == (2, 0)


async def test_a_half_open_tcp_link() -> None:
    async with tcp() as (link, connect):
        (reader, writer), (far_reader, _) = await connect()
        link.cut("server", reset=True)
        with pytest.raises(ConnectionResetError):
            await far_reader.read(-1)
        writer.write(b"lost" * 100_000)
        await writer.drain()
        assert link.connections == 1
        assert not reader.at_eof()
        link.cut(reset=True)
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
        assert link.connections == 0


async def test_a_tcp_end_that_is_reset_resets_the_other() -> None:
    async with tcp() as (link, connect):
        (_, writer), (far_reader, _) = await connect()
        writer.write(b"x")
        await far_reader.readexactly(1)
        lingering = struct.pack("ii", 1, 0)  # for no time: the socket is closed with an RST
        end = writer.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        writer.transport.abort()
        with pytest.raises(ConnectionResetError):
            await far_reader.read(-1)
        await until(lambda: link.connections == 0)


async def test_a_held_tcp_link_stops_the_sender() -> None:
    async with tcp() as (link, connect):
        (_, writer), (far_reader, _) = await connect()
        link.to_server.hold()
        data = b"x" * 16_000_000
        writer.write(data)
        await asyncio.sleep(0)
        draining = asyncio.create_task(writer.drain())
        await until(lambda: link.to_server.passed == 0)
        assert not draining.done()
        link.to_server.release()
        assert await far_reader.readexactly(len(data)) == data
        await draining


async def test_a_tcp_link_without_a_server() -> None:
    """Clients of a link that refuses, and of one whose server does not listen, are cut off."""
    async with TcpLink("ws://127.0.0.1:1/") as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        assert await reader.read(-1) == b""
        writer.close()
        link.accepts = False
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        assert await reader.read(-1) == b""
        writer.close()
        assert link.connections == 0


async def test_a_watch_cuts_connections() -> None:
    def watch() -> Callable[[bytes], None]:
        seen = bytearray()

        def look(data: bytes) -> None:
            seen.extend(data)
            if b"secret" in seen:
                raise ConnectionError

        return look

    async with tcp(watch=watch) as (_, connect):
        (reader, writer), (far_reader, _) = await connect()
        writer.write(b"sec")
        assert await far_reader.readexactly(3) == b"sec"
        writer.write(b"ret")
        assert await far_reader.read(-1) == b""
        assert await reader.read(-1) == b""
