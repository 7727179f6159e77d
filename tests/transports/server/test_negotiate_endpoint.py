"""``POST {hub}/negotiate`` over HTTP, and the life of a token (section N)."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from protocol import EndpointOptions, HttpTransportType
from tests.transports.conftest import Connect
from tests.transports.host import CLOSE_TIMEOUT, Host
from tests.transports.negotiation import negotiate

TRANSPORTS = [
    {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
    {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
    {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
]


async def test_version_1(host: Host, http: aiohttp.ClientSession) -> None:
    """N-10 … N-14: id and token differ; all transports, in this order."""
    body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
    assert list(body) == [
        "negotiateVersion",
        "connectionId",
        "connectionToken",
        "availableTransports",
    ]
    assert body["negotiateVersion"] == 1
    assert body["availableTransports"] == TRANSPORTS
    assert {len(body["connectionId"]), len(body["connectionToken"])} == {22}
    assert body["connectionId"] != body["connectionToken"]


@pytest.mark.parametrize(
    ("transports", "names"),
    [
        (HttpTransportType.NONE, []),
        (HttpTransportType.LONG_POLLING, ["LongPolling"]),
        (
            HttpTransportType.LONG_POLLING | HttpTransportType.WEB_SOCKETS,
            ["WebSockets", "LongPolling"],
        ),
    ],
    ids=["none", "one", "two"],
)
async def test_transports(
    http: aiohttp.ClientSession, transports: HttpTransportType, names: list[str]
) -> None:
    """N-14: what the endpoint has, in ASP.NET Core's order whatever the order given."""
    host = Host()
    host.map(endpoint_options=EndpointOptions(transports=transports))
    async with host.run():
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
        assert [it["transport"] for it in body["availableTransports"]] == names


@pytest.mark.parametrize(
    ("query", "version"),
    [
        ("", 0),
        ("negotiateVersion=0", 0),
        ("negotiateVersion=1", 1),
        ("negotiateVersion=2", 1),
        ("negotiateVersion=2147483647", 1),
        ("NEGOTIATEVERSION=1", 1),
        ("negotiateversion=1", 1),
        ("negotiateVersion=%201", 1),
        ("negotiateVersion=%2B1", 1),
        ("a=1&NegotiateVersion=1&b=2", 1),
        ("negotiateVersion=1&useStatefulReconnect=true", 1),
    ],
)
async def test_versions(host: Host, http: aiohttp.ClientSession, query: str, version: int) -> None:
    """N-5, N-6, N-12, LA-3: version 0 has no token; the key ignores case; no reconnect offered."""
    body = await negotiate(http, f"{host.url}/hub/negotiate?{query}")
    assert body["negotiateVersion"] == version
    assert ("connectionToken" in body) == (version == 1)
    assert "useStatefulReconnect" not in body


NOT_AN_INTEGER = {"error": "The client requested a non-integer protocol version."}


@pytest.mark.parametrize(
    "query",
    [
        "negotiateVersion=",
        "negotiateVersion=x",
        "negotiateVersion=1.0",
        "negotiateVersion=99999999999",
        "negotiateVersion=1&negotiateVersion=1",
        "negotiateVersion=1&NEGOTIATEVERSION=1",
    ],
)
async def test_no_integer(host: Host, http: aiohttp.ClientSession, query: str) -> None:
    """N-7: an error in a 200; also for the key given twice, in whatever case."""
    assert await negotiate(http, f"{host.url}/hub/negotiate?{query}") == NOT_AN_INTEGER


@pytest.mark.parametrize(
    ("minimum", "query", "version"),
    [(0, "negotiateVersion=-1", -1), (1, "", 0), (1, "negotiateVersion=0", 0)],
)
async def test_below_the_minimum(
    http: aiohttp.ClientSession, minimum: int, query: str, version: int
) -> None:
    """N-8: with the number that was asked for."""
    host = Host()
    host.map(endpoint_options=EndpointOptions(minimum_protocol_version=minimum))
    async with host.run():
        assert await negotiate(http, f"{host.url}/hub/negotiate?{query}") == {
            "error": f"The client requested version '{version}', but the server does not support "
            "this version."
        }
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
        assert body["negotiateVersion"] == 1


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"", {"Content-Type": "text/plain;charset=UTF-8"}),
        (b"whatever", {"Content-Type": "application/json"}),
    ],
)
async def test_the_request_s_body_does_not_matter(
    host: Host, http: aiohttp.ClientSession, body: bytes, headers: dict[str, str]
) -> None:
    """N-1."""
    url = f"{host.url}/hub/negotiate?negotiateVersion=1"
    async with http.post(url, data=body, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
async def test_other_methods(host: Host, http: aiohttp.ClientSession, method: str) -> None:
    """N-3: 405, text/plain, empty."""
    async with http.request(method, f"{host.url}/hub/negotiate") as response:
        assert response.status == 405
        assert response.headers["Content-Type"] == "text/plain"
        assert await response.read() == b""


@pytest.mark.parametrize(
    "path",
    ["/hub/negotiate", "/hub/negotiate/", "/HUB/negotiate", "/Hub/NEGOTIATE", "/hUb/Negotiate/"],
)
async def test_paths(host: Host, http: aiohttp.ClientSession, path: str) -> None:
    """LA-3: in any letter case, with a slash at the end or without."""
    body = await negotiate(http, f"{host.url}{path}?negotiateVersion=1")
    assert body["availableTransports"] == TRANSPORTS


@pytest.mark.parametrize("path", ["/hub/x", "/hub/negotiate/x", "/hub//negotiate", "/HUB/other"])
async def test_unknown_paths_below_a_hub(
    host: Host, http: aiohttp.ClientSession, path: str
) -> None:
    """TG-1a: 404, empty, without a content type."""
    async with http.post(host.url + path) as response:
        assert response.status == 404
        assert response.headers["Content-Length"] == "0"
        assert "Content-Type" not in response.headers


async def test_other_paths_are_the_application_s(http: aiohttp.ClientSession) -> None:
    """TG-1a: addresses that are not below a hub are not changed."""
    host = Host()
    host.map()

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    host.app.router.add_get("/hello", hello)
    async with host.run():
        async with http.get(f"{host.url}/hello") as response:
            assert await response.text() == "hello"
        async with http.get(f"{host.url}/hubs") as response:
            assert response.status == 404
            assert await response.text() == "404: Not Found"


async def test_too_many_wait(
    http: aiohttp.ClientSession, upgrade: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """N-27: a bounded number of negotiated connections; the oldest makes room for a new one."""
    host = Host()
    host.map(
        endpoint_options=EndpointOptions(
            maximum_negotiated_connections=2, close_timeout=CLOSE_TIMEOUT
        )
    )
    async with host.run():
        url = f"{host.url}/hub/negotiate?negotiateVersion=1"
        tokens = [(await negotiate(http, url))["connectionToken"] for _ in range(2)]
        tokens += [(await negotiate(http, url))["connectionToken"] for _ in range(20)]
        statuses = [
            (await upgrade(f"{host.url}/hub?id={token}")).head.status
            for token in (tokens[0], *tokens[-3:])
        ]
        assert statuses == [404, 404, 101, 101]
    assert not any(token in caplog.text for token in tokens)
    assert len(caplog.records) == 1  # otherwise any client could fill the log


@pytest.mark.parametrize("negotiated", [True, False])
async def test_too_many_are_connected(
    http: aiohttp.ClientSession, upgrade: Connect, negotiated: bool
) -> None:
    """503 to negotiate and to each transport, also without negotiate; an end makes room."""
    host = Host()
    for path in ("/hub", "/other"):
        host.map(
            path,
            endpoint_options=EndpointOptions(maximum_connections=1, close_timeout=CLOSE_TIMEOUT),
        )
    async with host.run():
        url = query = f"{host.url}/hub"
        if negotiated:  # first, because a negotiated connection that waits does not count
            body = await negotiate(http, f"{url}/negotiate?negotiateVersion=1")
            query = f"{url}?id={body['connectionToken']}"
        first = await upgrade(url)
        assert first.head.status == 101
        async with http.post(f"{url}/negotiate?negotiateVersion=1") as response:
            assert response.status == 503
        assert (await upgrade(query)).head.status == 503
        for accept in ("text/event-stream", "*/*") if negotiated else ():
            async with http.get(query, headers={"Accept": accept}) as response:
                assert response.status == 503
        assert (await upgrade(f"{host.url}/other")).head.status == 101
        first.cut()
        while (again := await upgrade(query)).head.status == 503:
            pass  # the server has not noticed yet
        assert again.head.status == 101


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """``later(seconds)``: from now on the loop's clock shows that much more."""
    ahead = 0.0

    def jump(seconds: float) -> None:
        nonlocal ahead
        loop = asyncio.get_running_loop()
        if ahead == 0.0:
            clock = loop.time
            monkeypatch.setattr(loop, "time", lambda: clock() + ahead)
        ahead += seconds

    return iter([jump])


async def test_a_token_expires(
    host: Host, http: aiohttp.ClientSession, upgrade: Connect, later: Iterator[Any]
) -> None:
    """N-27, TG-4: after the disconnect timeout it is unknown."""
    jump = next(later)
    tokens = []
    for _ in range(2):
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
        tokens.append(body["connectionToken"])
        jump(10)
    refused = await upgrade(f"{host.url}/hub?id={tokens[0]}")
    assert refused.head.status == 404
    accepted = await upgrade(f"{host.url}/hub?id={tokens[1]}")
    assert accepted.head.status == 101
