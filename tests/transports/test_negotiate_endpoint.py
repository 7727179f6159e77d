"""``POST {hub}/negotiate`` over HTTP (section N), and who asks for what at ``{hub}`` (TG)."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from protocol import EndpointOptions, HttpRequestData, Principal

from .conftest import Connect
from .hosting import CLOSE_TIMEOUT, Host
from .raw_web_socket import HANDSHAKE

TRANSPORTS = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]


async def negotiate(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with http.post(url) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/json"
        assert "Content-Length" in response.headers
        body: dict[str, Any] = await response.json()
    return body


async def test_version_1(host: Host, http: aiohttp.ClientSession) -> None:
    """N-10 … N-14: id and token differ; WebSockets is what there is."""
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
    """N-5, N-6, N-12, 0-3: version 0 has no token; the key ignores case; no reconnect offered."""
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
    """0-3: in any letter case, with a slash at the end or without."""
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
    """TG-1a: what is not below a hub is none of our business."""
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
    """N-27: a bounded number of negotiated connections; picking one up makes room."""
    host = Host()
    host.map(
        endpoint_options=EndpointOptions(
            maximum_negotiated_connections=2, close_timeout=CLOSE_TIMEOUT
        )
    )
    async with host.run():
        url = f"{host.url}/hub/negotiate?negotiateVersion=1"
        tokens = [(await negotiate(http, url))["connectionToken"] for _ in range(2)]
        async with http.post(url) as response:
            assert response.status == 503
        web_socket = await upgrade(f"{host.url}/hub?id={tokens[0]}")
        assert web_socket.head.status == 101
        await negotiate(http, url)
        async with http.post(url) as response:
            assert response.status == 503
    assert not any(token in caplog.text for token in tokens)


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


async def test_a_token_is_spent(host: Host, http: aiohttp.ClientSession, upgrade: Connect) -> None:
    """TG-4, TG-5: a second socket gets 409 while the first lives, 404 afterwards."""
    body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
    url = f"{host.url}/hub?id={body['connectionToken']}"
    first = await upgrade(url)
    first.send_text(HANDSHAKE)
    assert await first.record() == {}
    second = await upgrade(url)
    assert (second.head.status, second.head.headers["content-type"]) == (409, "text/plain")
    first.send_records({"type": 1, "invocationId": "1", "target": "Who", "arguments": []})
    assert (await first.record())["result"] == [body["connectionId"], None, "/hub"]
    first.send_records({"type": 7})
    assert await first.record() == {"type": 7}
    first.send(8, b"")
    await first.closing()
    await first.end()
    third = await upgrade(url)
    assert third.head.status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("id={token}", 101),
        ("ID={token}", 101),
        ("a=b&Id={token}", 101),
        ("", 101),
        ("id=", 101),
        ("id=unknown", 404),
        ("id={id}", 404),
        ("id={token}&id={token}", 404),
        ("id={token}&ID={token}", 404),
        ("id=&id={token}", 404),
    ],
)
async def test_id(
    host: Host, http: aiohttp.ClientSession, upgrade: Connect, query: str, status: int
) -> None:
    """N-13, TG-3, TG-4: the token and nothing else; without an id a connection is made."""
    body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
    query = query.format(token=body["connectionToken"], id=body["connectionId"])
    web_socket = await upgrade(f"{host.url}/hub?{query}")
    assert web_socket.head.status == status
    if status == 404:
        assert "content-type" not in web_socket.head.headers


async def test_version_0_uses_the_id(
    host: Host, http: aiohttp.ClientSession, upgrade: Connect
) -> None:
    """N-12."""
    body = await negotiate(http, f"{host.url}/hub/negotiate")
    web_socket = await upgrade(f"{host.url}/hub?id={body['connectionId']}")
    assert web_socket.head.status == 101


@pytest.mark.parametrize("path", ["/hub/", "/HUB", "/Hub/"])
async def test_upgrade_paths(host: Host, upgrade: Connect, path: str) -> None:
    """0-3."""
    assert (await upgrade(host.url + path)).head.status == 101


REQUIRED = (400, "Connection ID required")
UNKNOWN = (404, "No Connection with that ID")


@pytest.mark.parametrize(
    ("method", "query", "expected"),
    [
        ("POST", "", REQUIRED),
        ("POST", "id=x", UNKNOWN),
        ("POST", "id={token}", (405, "POST requests are not allowed for WebSocket connections.")),
        ("DELETE", "", REQUIRED),
        ("DELETE", "id=x", UNKNOWN),
        (
            "DELETE",
            "id={token}",
            (400, "Cannot terminate this connection using the DELETE endpoint."),
        ),
        ("GET", "", REQUIRED),
        ("GET", "id=x", UNKNOWN),
        (
            "GET",
            "id={token}",
            (404, "LongPolling transport not supported by this end point type"),
        ),
        ("PUT", "id={token}", (405, "")),
        ("OPTIONS", "", (405, "")),
    ],
)
async def test_what_is_no_web_socket(
    host: Host, http: aiohttp.ClientSession, method: str, query: str, expected: tuple[int, str]
) -> None:
    """TG-1 … TG-5: refusals, text/plain."""
    body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
    url = f"{host.url}/hub?{query.format(token=body['connectionToken'])}"
    async with http.request(method, url) as response:
        assert (response.status, await response.text()) == expected
        assert response.headers["Content-Type"] == "text/plain"
        assert ("Cache-Control" in response.headers) == (method == "GET")


@pytest.mark.parametrize(
    ("accept", "transport"),
    [
        ("text/event-stream", "ServerSentEvents"),
        ("TEXT/Event-Stream", "ServerSentEvents"),
        ("application/json, text/event-stream", "ServerSentEvents"),
        ("text/event-stream;q=0.5", "LongPolling"),
        ("*/*", "LongPolling"),
    ],
)
async def test_server_sent_events(
    host: Host, http: aiohttp.ClientSession, accept: str, transport: str
) -> None:
    """TG-2: by the Accept header alone."""
    body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
    url = f"{host.url}/hub?id={body['connectionToken']}"
    async with http.get(url, headers={"Accept": accept}) as response:
        assert response.status == 404
        assert (await response.text()).startswith(f"{transport} transport not supported")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_WebSocket_Version": "12"},
        {"Sec_WebSocket_Version": None},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": "short"},
        {"Upgrade": "h2c"},
        {"Connection": "keep-alive"},
    ],
    ids=str,
)
async def test_a_defective_upgrade_is_a_poll(
    host: Host, upgrade: Connect, headers: dict[str, str | None]
) -> None:
    """TG-2."""
    web_socket = await upgrade(f"{host.url}/hub", **headers)
    assert web_socket.head.status == 400
    assert web_socket.head.headers["cache-control"] == "no-cache, no-store"


class Authentication:
    """Knows users by a query key; fails where it is asked to."""

    def __init__(self) -> None:
        self.requests: list[HttpRequestData] = []

    def plain(self, request: HttpRequestData) -> Principal | None:
        self.requests.append(request)
        name = request.query("user")
        if name == "crash":
            raise LookupError("no directory")
        return None if name is None else Principal(name)

    async def later(self, request: HttpRequestData) -> Principal | None:
        await asyncio.sleep(0)
        return self.plain(request)


@pytest.mark.parametrize("kind", ["plain", "later"])
async def test_authentication(
    http: aiohttp.ClientSession, connect: Connect, upgrade: Connect, kind: str
) -> None:
    """A-6, TG-11: asked once, for the request that opens the transport."""
    authentication = Authentication()
    host = Host()
    host.map(
        endpoint_options=EndpointOptions(
            authenticate=getattr(authentication, kind), close_timeout=CLOSE_TIMEOUT
        )
    )
    async with host.run():
        await negotiate(http, f"{host.url}/hub/negotiate?user=ann")
        assert authentication.requests == []
        for query, user in (("?User=ann", "ann"), ("", None)):
            web_socket = await connect(f"{host.url}/hub{query}")
            web_socket.send_records(
                {"type": 1, "invocationId": "1", "target": "Who", "arguments": []}
            )
            assert (await web_socket.record())["result"][1] == user
        first = authentication.requests[0]
        assert (first.method, first.path, first.query_string) == ("GET", "/hub", "User=ann")
        assert first.headers["upgrade"] == first.headers["Upgrade"] == "websocket"
        assert first.remote == "127.0.0.1"


async def test_authentication_that_fails(http: aiohttp.ClientSession, upgrade: Connect) -> None:
    """A-6: 500, and the token may be used again."""
    host = Host()
    host.map(
        endpoint_options=EndpointOptions(
            authenticate=Authentication().plain, close_timeout=CLOSE_TIMEOUT
        )
    )
    async with host.run():
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
        url = f"{host.url}/hub?id={body['connectionToken']}"
        assert (await upgrade(f"{url}&user=crash")).head.status == 500
        assert (await upgrade(f"{url}&user=ann")).head.status == 101


async def test_two_sockets_while_the_user_is_found_out(
    http: aiohttp.ClientSession, upgrade: Connect
) -> None:
    """TG-5, TG-7: one token, two upgrades at once: one wins, the other gets 409."""
    asked = asyncio.Semaphore(0)
    gate = asyncio.Event()

    async def slow(_: HttpRequestData) -> Principal:
        asked.release()
        await gate.wait()
        return Principal("ann")

    host = Host()
    host.map(endpoint_options=EndpointOptions(authenticate=slow, close_timeout=CLOSE_TIMEOUT))
    async with host.run():
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
        url = f"{host.url}/hub?id={body['connectionToken']}"
        upgrades = [asyncio.ensure_future(upgrade(url)) for _ in range(2)]
        await asked.acquire()
        await asked.acquire()
        gate.set()
        statuses = [web_socket.head.status for web_socket in await asyncio.gather(*upgrades)]
        assert sorted(statuses) == [101, 409]


async def test_nothing_secret_is_logged(
    host: Host,
    http: aiohttp.ClientSession,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """N-13: neither tokens nor query strings nor payloads, at any level."""
    with caplog.at_level(logging.DEBUG, "protocol"):
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1&access_token=s3")
        web_socket = await connect(f"{host.url}/hub?id={body['connectionToken']}&access_token=s3")
        web_socket.send_records(
            {"type": 1, "invocationId": "1", "target": "Echo", "arguments": ["payload"]},
            {"type": 1, "invocationId": "2", "target": "Add", "arguments": ["payload"]},
            {"type": 3, "payload": 1},
        )
        await web_socket.closing()
    for secret in (body["connectionToken"], "s3", "payload"):
        assert secret not in caplog.text
