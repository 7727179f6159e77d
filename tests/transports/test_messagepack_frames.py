"""MessagePack over WebSockets, frame by frame, at both ends (TW-3)."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol import HubConnectionBuilder, MessagePackHubProtocol
from tests.support.waiting import until

from .conftest import Connect
from .end_host import EndHost
from .host import Host
from .raw_server import RawServer
from .raw_web_socket import BINARY, CLOSE, TEXT, RawWebSocket, close_payload

REQUEST: Final = b'{"protocol":"messagepack","version":1}\x1e'
PING: Final = b"\x02\x91\x06"
ECHO: Final = bytes.fromhex("0e 96 01 80 a131 a44563686f 91 ccc8 90".replace(" ", ""))
ECHOED: Final = bytes.fromhex("08950380a13103ccc8")


async def shaken(upgrade: Connect, url: str, opcode: int) -> RawWebSocket:
    web_socket = await upgrade(url)
    web_socket.send(opcode, REQUEST)
    answer = await web_socket.frame()
    assert (answer.opcode, answer.payload) == (BINARY, b"{}\x1e")
    return web_socket


@pytest.mark.parametrize("opcode", [BINARY, TEXT])
async def test_a_server(end_host: EndHost, upgrade: Connect, opcode: int) -> None:
    """.NET sends the handshake as Binary, JavaScript as Text; the answer is Binary."""
    web_socket = await shaken(upgrade, f"{end_host.url}/hub", opcode)
    for part in (ECHO[:3], ECHO[3:] + PING + ECHO):
        web_socket.send(BINARY, part)
    received = b""
    while len(received) < 2 * len(ECHOED):
        frame = await web_socket.frame()
        assert (frame.opcode, frame.fin, frame.masked) == (BINARY, True, False)
        received += frame.payload
    assert received == ECHOED * 2


async def test_a_server_that_gets_text(end_host: EndHost, upgrade: Connect) -> None:
    """What happens to be UTF-8 is read; the rest is closed over with 1007, no hub Close before."""
    web_socket = await shaken(upgrade, f"{end_host.url}/hub", TEXT)
    web_socket.send(TEXT, PING[:1])
    web_socket.send(BINARY, PING[1:])
    web_socket.send(TEXT, ECHO)
    frame = await web_socket.frame()
    assert (frame.opcode, frame.payload) == (CLOSE, close_payload(1007))


class Far:
    """A connection of our client, and its far end."""

    def __init__(self, server: RawServer) -> None:
        self.received: list[Any] = []
        self.closed: asyncio.Queue[Exception | None] = asyncio.Queue()
        builder = HubConnectionBuilder().with_url(server.url)
        self.connection = builder.with_hub_protocol(MessagePackHubProtocol()).build()
        self.connection.on("News", self.received.append)
        self.connection.on_closed(self.closed.put_nowait)
        self._server = server

    async def start(self, answer_in: int) -> RawWebSocket:
        """Until the first Ping has come; ``answer_in`` is the opcode of the server's answer."""
        self._server.shakes_hands = False
        starting = asyncio.create_task(self.connection.start())
        web_socket = await self._server.sockets.get()
        request = await web_socket.frame()
        assert (request.opcode, request.payload) == (BINARY, REQUEST)
        web_socket.send(answer_in, b"{}\x1e")
        await starting
        ping = await web_socket.frame()
        assert (ping.opcode, ping.payload) == (BINARY, PING)
        return web_socket


@pytest.mark.parametrize("answer_in", [BINARY, TEXT])
async def test_a_client(far_server: RawServer, answer_in: int) -> None:
    """All its frames are Binary; the handshake's answer may be either."""
    far = Far(far_server)
    web_socket = await far.start(answer_in)
    web_socket.send(BINARY, bytes.fromhex("0d960180c0a44e65777391ccc890"))
    await far.connection.send("X", b"\xff")
    sent = await web_socket.frame()
    assert (sent.opcode, sent.fin, sent.masked) == (BINARY, True, True)
    assert sent.payload == bytes.fromhex("0b960180c0a15891c401ff90")
    await until(lambda: far.received == [200])
    stopping = asyncio.create_task(far.connection.stop())
    web_socket.send(CLOSE, (await web_socket.closing()).payload)
    web_socket.writer.close()
    await stopping
    assert [frame.opcode for frame in web_socket.frames if frame.opcode != CLOSE] == [BINARY] * 4


async def test_a_client_that_gets_text(far_server: RawServer) -> None:
    """Like .NET's client: closes with 1007 after text that is not UTF-8."""
    far = Far(far_server)
    web_socket = await far.start(BINARY)
    web_socket.send(TEXT, bytes.fromhex("0d960180c0a44e65777391ccc890"))
    closing = await web_socket.closing()
    assert closing.payload == close_payload(1007)
    web_socket.send(CLOSE, closing.payload)
    web_socket.writer.close()
    assert "UTF-8" in str(await far.closed.get())
    assert far.received == []


def handler(name: str, told: "asyncio.Queue[tuple[str, str]]") -> Callable[[str], None]:
    return lambda text: told.put_nowait((name, text))


async def test_both_ends_together(host: Host) -> None:
    """Our client and our server, next to a client that speaks JSON."""
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    builders = {
        "json": HubConnectionBuilder().with_url(f"{host.url}/hub"),
        "messagepack": HubConnectionBuilder()
        .with_url(f"{host.url}/hub")
        .with_hub_protocol(MessagePackHubProtocol()),
    }
    connections = {name: builder.build() for name, builder in builders.items()}
    for name, connection in connections.items():
        connection.on("News", handler(name, told))
        await connection.start()
    for name, connection in connections.items():
        value = {"a": [1, None, "é"], "b": True}
        assert await connection.invoke("Echo", value) == value
        await connection.invoke("TellAll", name)
    heard = sorted([await told.get() for _ in range(4)])
    assert heard == sorted((name, text) for name in connections for text in connections)
    for connection in connections.values():
        await connection.stop()
