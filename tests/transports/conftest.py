"""Hubs and handmade peers on loopback sockets; every test leaves the loop empty."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from protocol.transports.server import web_socket_upgrade
from protocol.transports.server.web_socket_push import PushingWebSocketResponse

from .end_host import EndHost
from .host import Host
from .http_hub import HttpHub
from .raw_server import RawServer
from .raw_web_socket import RawWebSocket, connect_raw, open_raw

_ROUNDS = 2000  # of the loop, for sockets that are being closed


@pytest.fixture(autouse=True)
async def empty_loop() -> AsyncIterator[None]:
    """Asserts that no task and no unhandled error is left."""
    unhandled: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    yield
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for _ in range(_ROUNDS):
        if not tasks:
            break
        await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert tasks == set()
    assert unhandled == []


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """``BasicHub`` at /hub."""
    host = Host()
    host.map()
    async with host.run():
        yield host


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture(params=["pushed", "read in a loop"])
def reading_mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with both ways of the server's WebSocket: pushed messages, and ``receive()``."""
    response = PushingWebSocketResponse if request.param == "pushed" else web.WebSocketResponse
    monkeypatch.setattr(web_socket_upgrade, "_WEB_SOCKET_RESPONSE", response)


Connect = Callable[..., Awaitable[RawWebSocket]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """``connect(url)``: a raw hub connection, closed at the end of the test."""
    opened: list[RawWebSocket] = []

    async def connect(url: str) -> RawWebSocket:
        opened.append(await connect_raw(url))
        return opened[-1]

    yield connect
    for web_socket in opened:
        web_socket.cut()
        await web_socket.close()


@pytest.fixture
async def upgrade() -> AsyncIterator[Connect]:
    """``upgrade(url, **headers)``: requests a WebSocket, without a handshake."""
    opened: list[RawWebSocket] = []

    async def upgrade(url: str, **headers: Any) -> RawWebSocket:
        opened.append(await open_raw(url, **headers))
        return opened[-1]

    yield upgrade
    for web_socket in opened:
        web_socket.cut()
        await web_socket.close()


@pytest.fixture
async def raw_server() -> AsyncIterator[RawServer]:
    """A server for a client, controlled by the test."""
    async with RawServer() as server:
        yield server


@pytest.fixture
async def far_server(raw_server: RawServer) -> RawServer:
    """The same, with the sockets controlled by the test."""
    raw_server.hands_over = True
    return raw_server


@pytest.fixture
async def http_hub() -> AsyncIterator[HttpHub]:
    """A hub without WebSockets, controlled by the test."""
    async with HttpHub().run() as hub:
        yield hub


@pytest.fixture
async def end_host() -> AsyncIterator[EndHost]:
    """``EndHub`` at /hub."""
    host = EndHost()
    async with host.run():
        yield host


@pytest.fixture
async def client(end_host: EndHost, connect: Connect) -> RawWebSocket:
    """A raw connection to it, its handshake done."""
    return await connect(f"{end_host.url}/hub")
