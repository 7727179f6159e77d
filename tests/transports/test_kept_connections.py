"""Client and server with stateful reconnect over real sockets, through a link that is cut."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from protocol import (
    ConnectionClosed,
    EndpointOptions,
    Hub,
    HubConnectionBuilder,
    HubConnectionState,
    HubProtocol,
    JsonHubProtocol,
    MessagePackHubProtocol,
    hub_method,
    map_hub,
)
from protocol.testing import TcpLink
from tests.support.hub_messages import RECORD_SEPARATOR
from tests.support.waiting import until
from tests.transports.raw_server import OFFER, RawServer

from .client.builders import builder
from .host import running
from .raw_web_socket import CLOSE

pytestmark = pytest.mark.usefixtures("reading_mode")

HUB_PROTOCOLS = [JsonHubProtocol(), MessagePackHubProtocol()]
MESSAGES = 200
CUTS = 8


class NumberHub(Hub):
    """Records the numbers that clients send, and sends them back."""

    received: list[int]

    @hub_method
    async def note(self, number: int) -> None:
        self.received.append(number)
        await self.clients.caller.send("Noted", number)

    @hub_method
    async def double(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield number * 2


@pytest.fixture
async def link() -> AsyncIterator[TcpLink]:
    NumberHub.received = []
    app = web.Application()
    options = EndpointOptions(allow_stateful_reconnects=True, close_timeout=0.05)
    map_hub(app, "/hub", NumberHub, endpoint_options=options)
    async with running(app) as url, TcpLink(f"{url}/hub") as link:
        yield link


def stateful(link: TcpLink, hub_protocol: HubProtocol | None = None) -> HubConnectionBuilder:
    made = HubConnectionBuilder().with_url(link.url).with_stateful_reconnect()
    return made.with_hub_protocol(hub_protocol or JsonHubProtocol())


@pytest.mark.parametrize("hub_protocol", HUB_PROTOCOLS, ids=lambda it: it.name)
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_numbered_messages(link: TcpLink, hub_protocol: HubProtocol, reset: bool) -> None:
    """SR-5, SR-13, SR-17: each message arrives once and in order, in both directions."""
    noted: list[int] = []
    lost: list[Any] = []
    async with stateful(link, hub_protocol).build() as connection:
        connection.on("Noted", noted.append)
        connection.on_closed(lost.append)
        name = connection.connection_id
        for number in range(MESSAGES):
            await connection.send("Note", number)
            if number % (MESSAGES // CUTS) == 7:
                await until(lambda: len(noted) > number - 5)  # noqa: B023
                link.cut(reset=reset)
        await until(lambda: len(noted) == MESSAGES)
        assert (connection.connection_id, lost) == (name, [])
        assert link.opened > CUTS
    assert NumberHub.received == noted == list(range(MESSAGES))


async def test_streams(link: TcpLink) -> None:
    """SR-17: a stream in both directions goes on."""

    async def numbers() -> AsyncIterator[int]:
        for number in range(30):
            yield number
            if number % 10 == 5:
                link.cut()
                await asyncio.sleep(0)

    async with stateful(link).build() as connection:
        doubled = [it async for it in connection.stream("Double", numbers(), item_type=int)]
    assert doubled == [2 * number for number in range(30)]


async def test_fallback(link: TcpLink) -> None:
    """SR-11: without a new socket the connection is lost, and the reconnect policy decides."""
    connection = stateful(link).with_automatic_reconnect([0]).build()
    reasons: list[Exception | None] = []
    connection.on_reconnecting(reasons.append)
    async with connection:
        name = connection.connection_id

        @connection.on_reconnecting
        def accept(_: object) -> None:
            link.accepts = True

        link.accepts = False
        link.cut()
        await until(lambda: connection.connection_id not in (name, None))
        await connection.send("Note", 1)
    (reason,) = reasons
    assert isinstance(reason, ConnectionClosed)
    for text in (str(reason), reason.summary, reason.public_summary):
        assert text.startswith("The connection was lost, and could not be resumed: ")
    assert "127.0.0.1" not in reason.public_summary


async def test_tokens(link: TcpLink) -> None:
    """A-5: each socket is opened with a new token."""
    asked: list[None] = []

    def token() -> str:
        asked.append(None)
        return f"token{len(asked)}"

    made = HubConnectionBuilder().with_url(link.url, access_token_factory=token)
    async with made.with_stateful_reconnect().build() as connection:
        before = len(asked)
        for _ in range(2):
            opened = link.opened
            link.cut()
            await until(lambda: link.opened > opened)  # noqa: B023
            await connection.invoke("Note", 1)
        assert len(asked) == before + 2


async def test_a_stop_closes_the_last_socket(link: TcpLink) -> None:
    """SR-9, C-17: the server ends the connection at once, and all sockets are closed."""
    connection = stateful(link).build()
    await connection.start()
    link.cut()
    await connection.invoke("Note", 1)
    await connection.stop()
    await until(lambda: link.connections == 0)
    assert connection.state is HubConnectionState.DISCONNECTED


# ---- negotiate


@pytest.mark.parametrize(
    ("suffix", "query"),
    [
        ("", "negotiateVersion=1&useStatefulReconnect=true"),
        ("?a=1", "a=1&negotiateVersion=1&useStatefulReconnect=true"),
    ],
)
async def test_asking(raw_server: RawServer, suffix: str, query: str) -> None:
    """N-2: the key follows the version. The WebSocket has its usual URL."""
    made = builder(raw_server.url + suffix).with_stateful_reconnect()
    async with made.build():
        pass
    negotiate, upgrade = raw_server.requests
    assert negotiate.target == f"/hub/negotiate?{query}"
    assert "useStatefulReconnect" not in upgrade.target


@pytest.mark.parametrize(
    ("asks", "grants", "version"), [(True, True, 2), (True, False, 1), (False, True, 1)]
)
async def test_the_version_in_the_handshake(
    raw_server: RawServer, asks: bool, grants: bool, version: int
) -> None:
    """SR-1: version 2 if the client has asked and the server has granted it."""
    raw_server.reply(**{**OFFER, "useStatefulReconnect": grants})
    made = builder(raw_server.url)
    if asks:
        made.with_stateful_reconnect()
    raw_server.shakes_hands, raw_server.hands_over = False, True
    connection = made.build()
    starting = asyncio.create_task(connection.start())
    web_socket = await raw_server.sockets.get()
    assert await web_socket.record() == {"protocol": "json", "version": version}
    web_socket.send_text("{}" + RECORD_SEPARATOR)
    await starting
    stopping = asyncio.create_task(connection.stop())
    web_socket.send(CLOSE, (await web_socket.closing()).payload)
    await stopping
