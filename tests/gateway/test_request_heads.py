"""Connections that send no complete request head in time are closed; others are not."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from signalr_gateway import runner
from signalr_gateway.request_heads import RequestHeads
from signalr_gateway.serving import serving
from tests.loop_time import LoopTime

from .hand_clock import HandClock


class StubTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.protocol: Any = None

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


class Connection:
    """An accepted connection of which the deadline of its head runs."""

    def __init__(self, heads: RequestHeads) -> None:
        self.transport = StubTransport()
        self.watched = heads.watch(asyncio.Protocol())
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
    busy = Connection(heads)
    busy.watched.suspend()
    await clock.advance(1000)
    busy.watched.resume()
    await clock.advance(1000)
    assert not busy.is_closed
    busy.watched.data_received(b"G")
    await clock.advance(30)
    assert busy.is_closed


async def test_a_connection_that_is_lost(heads: RequestHeads, clock: HandClock) -> None:
    lost = Connection(heads)
    lost.watched.connection_lost(None)
    await clock.advance(30)
    assert not lost.is_closed


async def answer(_: web.Request) -> web.Response:
    return web.Response(text="here")


def application() -> web.Application:
    app = web.Application()
    app.router.add_get("/", answer)
    return app


async def ends(reader: asyncio.StreamReader) -> bool:
    """Whether the server ends the connection, however it does; this waits for it."""
    try:
        return await reader.read() is not None
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_over_a_socket(sent: bytes) -> None:
    async with serving(application(), "127.0.0.1", 0, headers_timeout=0.05) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
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
