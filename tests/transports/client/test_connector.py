"""How a client connects to a hub: requests, URLs, headers, cookies (N-2, N-26, C-2, TW-1)."""

import asyncio
import gc
from typing import Any

import pytest

from protocol import HubConnection, HubConnectionState
from tests.support.waiting import until
from tests.transports.http_hub import HttpHub
from tests.transports.raw_server import OFFER, RawServer

from .builders import builder


async def test_requests(raw_server: RawServer) -> None:
    """N-1, N-2, TW-1, C-2: negotiate, then the upgrade with the token as id; headers on both."""
    headers = {"X-Tenant": "a", "User-Agent": "mine"}
    async with builder(raw_server.url, headers=headers).build() as connection:
        assert connection.connection_id == "public"
    negotiate, upgrade = raw_server.requests
    assert (negotiate.method, negotiate.target) == ("POST", "/hub/negotiate?negotiateVersion=1")
    assert (upgrade.method, upgrade.target) == ("GET", "/hub?id=secret-token")
    assert negotiate.headers["content-length"] == "0"
    for request in raw_server.requests:
        assert request.headers["x-requested-with"] == "XMLHttpRequest"
        assert request.headers["x-tenant"] == "a"
        assert request.headers["user-agent"] == "mine"
        assert request.token is None
    assert "sec-websocket-extensions" not in upgrade.headers
    assert "sec-websocket-protocol" not in upgrade.headers


async def test_headers_in_other_letters(http_hub: HttpHub) -> None:
    """C-2: the user's headers replace the default ones."""
    headers = {"user-agent": "mine", "x-requested-with": "nobody"}
    async with builder(http_hub.url, headers=headers).build():
        pass
    for asked in http_hub.asked:
        sent = [(name.lower(), value) for name, value in asked.headers.items()]
        assert [it for it in sent if it[0] in headers] == list(headers.items())


@pytest.mark.parametrize(
    ("suffix", "negotiate", "upgrade"),
    [
        ("?a=1&b=%20x", "/hub/negotiate?a=1&b=%20x&negotiateVersion=1", "/hub?a=1&b=%20x&id={id}"),
        ("/", "/hub/negotiate?negotiateVersion=1", "/hub/?id={id}"),
        (
            "?negotiateVersion=0",
            "/hub/negotiate?negotiateVersion=0",
            "/hub?negotiateVersion=0&id={id}",
        ),
        ("#part", "/hub/negotiate?negotiateVersion=1", "/hub?id={id}"),
    ],
)
async def test_urls(raw_server: RawServer, suffix: str, negotiate: str, upgrade: str) -> None:
    """N-2, C-27: the query of the URL is on every request, as it was written."""
    async with builder(raw_server.url + suffix).build():
        pass
    assert [request.target for request in raw_server.requests] == [
        negotiate,
        upgrade.format(id="secret-token"),
    ]


async def test_version_0(raw_server: RawServer) -> None:
    """N-12, N-15: without a version the connection id is the token."""
    raw_server.reply(**{**OFFER, "negotiateVersion": 0})
    async with builder(raw_server.url).build():
        pass
    assert raw_server.requests[-1].query == [("id", "public")]


@pytest.mark.parametrize("scheme", ["ws", "http", "HTTP"])
async def test_schemes(raw_server: RawServer, scheme: str) -> None:
    """TW-1: ws and http mean the same."""
    async with builder(raw_server.url.replace("http", scheme)).build() as connection:
        assert connection.connection_id == "public"


async def test_skip_negotiation(raw_server: RawServer) -> None:
    """N-26: the WebSocket opens at once; there is no connection id."""
    async with builder(raw_server.url, skip_negotiation=True).build() as connection:
        assert connection.connection_id is None
        assert connection.state is HubConnectionState.CONNECTED
    (upgrade,) = raw_server.requests
    assert upgrade.target == "/hub"


async def test_proxies_of_the_environment(
    raw_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "WS_PROXY", "ws_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with builder(raw_server.url).build():
        pass
    assert len(raw_server.requests) == 2


async def test_cookies(raw_server: RawServer) -> None:
    """C-2, TC-4: cookies that negotiate sets are sent with all later requests."""
    raw_server.reply(200, ("Set-Cookie", "sticky=abc; Path=/; HttpOnly"), **OFFER)
    connection = builder(raw_server.url).build()
    for _ in range(2):
        await connection.start()
        await connection.stop()
    cookies = [request.headers.get("cookie") for request in raw_server.requests]
    assert cookies == [None, "sticky=abc", "sticky=abc", "sticky=abc"]


@pytest.mark.parametrize("skip", [False, True])
async def test_cancelled_at_every_moment(raw_server: RawServer, skip: bool) -> None:
    """C-20: a start that is cancelled at any point leaves no task and no socket."""
    await _cancel_at_every_moment(builder(raw_server.url, skip_negotiation=skip).build())


@pytest.mark.parametrize("transport", ["ServerSentEvents", "LongPolling"])
async def test_cancelled_without_web_sockets(http_hub: HttpHub, transport: str) -> None:
    """C-20: likewise. What is told to the server in the background is told soon."""
    http_hub.transports = (transport,)
    await _cancel_at_every_moment(builder(http_hub.url).build())


async def _cancel_at_every_moment(connection: HubConnection) -> None:
    rounds, over = 0, False
    while not over:
        starting = asyncio.create_task(connection.start())
        for _ in range(rounds):
            await asyncio.sleep(0)
        over = starting.done()
        starting.cancel()
        await asyncio.wait({starting})
        if not starting.cancelled():
            assert starting.exception() is None
        if connection.state is HubConnectionState.CONNECTED:
            await connection.stop()
        assert connection.state is HubConnectionState.DISCONNECTED
        await until(lambda: not any(map(_is_ours, asyncio.all_tasks())))
        rounds += 1
        assert rounds < 2000
    gc.collect()  # objects that were not closed warn now


def _is_ours(task: "asyncio.Task[Any]") -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "/protocol/" in code.co_filename
