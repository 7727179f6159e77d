"""Requests to ``{hub}``: what each one does, and their users (TG, A-6)."""

import asyncio
import logging

import aiohttp
import pytest

from protocol import EndpointOptions, HttpRequestData, HttpTransportType, Principal
from tests.transports.conftest import Connect
from tests.transports.host import CLOSE_TIMEOUT, Host
from tests.transports.http_client import HttpClient, raw_request
from tests.transports.negotiation import negotiate
from tests.transports.raw_web_socket import HANDSHAKE


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


@pytest.mark.parametrize("version", ["0.9", "1.0", "2.0"])
async def test_versions_without_chunks(host: Host, version: str) -> None:
    """TG-4: a refusal with a text has a length where HTTP has no chunks, as behind old proxies."""
    head = f"GET {{target}} HTTP/{version}\nAccept: text/event-stream\nConnection: close"
    async with raw_request(f"{host.url}/hub?id=unknown", head) as (reader, _):
        answer = await reader.read()
    assert answer.split()[1] == b"404"
    assert b"\r\nContent-Length: 26\r\n" in answer
    assert answer.endswith(b"\r\n\r\nNo Connection with that ID")


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
    """N-13, TG-3, TG-4: only the token counts; without an id a connection is made."""
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
    """LA-3."""
    assert (await upgrade(host.url + path)).head.status == 101


async def test_subprotocols_are_ignored_and_not_logged(
    host: Host, upgrade: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """TG-2: clients put tokens there; a header that is not UTF-8 makes no difference."""
    with caplog.at_level(logging.DEBUG):
        web_socket = await upgrade(
            f"{host.url}/hub", Sec_WebSocket_Protocol="bearer, hush", X_Name="\udcff"
        )
    assert web_socket.head.status == 101
    assert "sec-websocket-protocol" not in web_socket.head.headers
    assert "hush" not in caplog.text


REQUIRED = (400, "Connection ID required")
UNKNOWN = (404, "No Connection with that ID")


@pytest.mark.parametrize(
    ("method", "query", "expected"),
    [
        ("POST", "", REQUIRED),
        ("POST", "id=x", UNKNOWN),
        ("POST", "id={token}", (200, "")),
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
async def test_where_there_are_only_web_sockets(
    http: aiohttp.ClientSession, method: str, query: str, expected: tuple[int, str]
) -> None:
    """TG-1 … TG-6: refusals, text/plain; a POST does not depend on the transports."""
    host = Host()
    host.map(endpoint_options=EndpointOptions(transports=HttpTransportType.WEB_SOCKETS))
    async with host.run():
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
        (None, "LongPolling"),
    ],
)
async def test_what_a_get_opens(
    http: aiohttp.ClientSession, accept: str | None, transport: str
) -> None:
    """TG-2: events by the Accept header alone; without one it is a poll."""
    host = Host()
    host.map(endpoint_options=EndpointOptions(transports=HttpTransportType.WEB_SOCKETS))
    async with host.run():
        body = await negotiate(http, f"{host.url}/hub/negotiate?negotiateVersion=1")
        url = f"{host.url}/hub?id={body['connectionToken']}"
        headers = {} if accept is None else {"Accept": accept}
        async with http.get(url, headers=headers, skip_auto_headers=["Accept"]) as response:
            assert response.status == 404
            assert (await response.text()).startswith(f"{transport} transport not supported")


@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": "foo, WebSocket"},
        {"Upgrade": "foo\r\nUpgrade: websocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": "keep-alive\r\nConnection: upgrade"},
    ],
    ids=str,
)
async def test_lists_in_the_headers_of_an_upgrade(
    host: Host, upgrade: Connect, headers: dict[str, str]
) -> None:
    """TG-2."""
    web_socket = await upgrade(f"{host.url}/hub", **headers)
    assert web_socket.head.status == 101
    web_socket.send_text(HANDSHAKE)
    assert await web_socket.record() == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_WebSocket_Version": "12"},
        {"Sec_WebSocket_Version": None},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": "short"},
        {"Upgrade": "h2c"},
        {"Upgrade": "websocket\udcff"},
        {"Upgrade": "h2c, websocket/13"},
        {"Connection": "keep-alive"},
        {"Connection": "\udcff"},
    ],
    ids=ascii,
)
async def test_a_defective_upgrade_is_a_poll(
    host: Host, upgrade: Connect, headers: dict[str, str | None]
) -> None:
    """TG-2."""
    web_socket = await upgrade(f"{host.url}/hub", **headers)
    assert web_socket.head.status == 400
    assert web_socket.head.headers["cache-control"] == "no-cache, no-store"


async def test_headers_of_every_answer(
    host: Host, http: aiohttp.ClientSession, upgrade: Connect
) -> None:
    """TG-16: not of a switch to the WebSocket protocol, which has no body."""
    for method, path in (
        ("POST", "/hub/negotiate"),
        ("GET", "/hub/negotiate"),
        ("GET", "/hub"),
        ("GET", "/hub?id=x"),
    ):
        async with http.request(method, host.url + path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Server"] == "aiohttp"
    switched = (await upgrade(f"{host.url}/hub")).head
    assert (switched.status, switched.headers["server"]) == (101, "aiohttp")
    assert "x-content-type-options" not in switched.headers


class Authentication:
    """Authenticates by a query key; raises where the test asks for it."""

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
    """A-6, TG-11: the request that opens the transport counts."""
    authentication = Authentication()
    host = Host()
    host.map(
        endpoint_options=EndpointOptions(
            authenticate=getattr(authentication, kind), close_timeout=CLOSE_TIMEOUT
        )
    )
    async with host.run():
        await negotiate(http, f"{host.url}/hub/negotiate?user=ann")
        for query, user in (("?User=ann", "ann"), ("", None)):
            web_socket = await connect(f"{host.url}/hub{query}")
            web_socket.send_records(
                {"type": 1, "invocationId": "1", "target": "Who", "arguments": []}
            )
            assert (await web_socket.record())["result"][1] == user
        first = authentication.requests[1]
        assert (first.method, first.path, first.query_string) == ("GET", "/hub", "User=ann")
        assert first.headers["upgrade"] == first.headers["Upgrade"] == "websocket"
        assert first.remote == "127.0.0.1"


@pytest.mark.parametrize(
    ("query", "user"),
    [
        ("user=%2B+%26%3D", "+ &="),
        ("user=a%2526b", "a%26b"),
        ("user=%C3%A9", "\u00e9"),
        ("USER=", ""),
        ("&&User=a&user=b", "a"),
        ("a=user%3Dx", None),
    ],
)
async def test_query_values_are_decoded_once(
    connect: Connect, query: str, user: str | None
) -> None:
    """LA-3, A-6: a token with a plus sign in it arrives as it was sent."""
    authentication = Authentication()
    host = Host()
    host.map(
        endpoint_options=EndpointOptions(
            authenticate=authentication.plain, close_timeout=CLOSE_TIMEOUT
        )
    )
    async with host.run():
        web_socket = await connect(f"{host.url}/hub?{query}")
        web_socket.send_records({"type": 1, "invocationId": "1", "target": "Who", "arguments": []})
        assert (await web_socket.record())["result"][1] == user
    [request] = authentication.requests
    assert request.query_string == query


async def opening_request(target: str, *headers: str) -> HttpRequestData:
    """The request that opens a WebSocket, as the hub sees it."""
    authentication = Authentication()
    host = Host()
    host.map(endpoint_options=EndpointOptions(authenticate=authentication.plain))
    lines = (
        f"GET {target} HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        *headers,
        "\r\n",
    )
    async with host.run():
        port = int(host.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write("\r\n".join(lines).encode("utf-8", "surrogateescape"))
        assert await reader.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
        writer.close()
    [request] = authentication.requests
    return request


async def test_odd_targets() -> None:
    """TG-11, TG-12: as in ASP.NET Core, path and query are those of the request."""
    request = await opening_request("/hub/?A=1&a=%2520&&a#b")
    assert (request.method, request.path, request.remote) == ("GET", "/hub/", "127.0.0.1")
    assert request.query_string == "A=1&a=%2520&&a#b"
    assert request.query_values("a") == ["1", "%20"]


async def test_odd_headers() -> None:
    """TG-13: as in ASP.NET Core, repeated headers are joined, and empty ones are left out."""
    headers = ("X-A: 1", "x-a:", "X-A:  3,4 ", "X-B:", "X-C: \u00e9", "X-D:", "X-D:")
    request = await opening_request("/hub", *headers)
    values = [request.headers.get(f"x-{letter}") for letter in "abcde"]
    assert values == ["1,3,4", "", "\u00e9", "", None]


@pytest.mark.parametrize("path", ["/hub", "/hub/negotiate"])
async def test_methods_that_aiohttp_does_not_know(host: Host, path: str) -> None:
    """TG-1: aiohttp answers 400 to a method that is not registered; names are case-sensitive."""
    for method, status in (("PUT", 405), ("PROPFIND", 405), ("get", 400), ("FOO", 400)):
        head = f"{method} {{target}} HTTP/1.1"
        async with raw_request(f"{host.url}{path}", head) as (reader, _):
            assert f" {status} " in (await reader.readline()).decode()


async def test_a_header_that_is_not_utf_8() -> None:
    """TG-13: aiohttp accepts it."""
    request = await opening_request("/hub", "X-A: \udce9")
    assert request.headers["X-A"] == "\udce9"


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

    async def slow(request: HttpRequestData) -> Principal:
        if request.method == "GET":
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


@pytest.mark.parametrize(
    "head",
    [
        "Accept: text/event-stream",
        (
            "Connection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
        ),
    ],
)
async def test_a_client_that_leaves_while_the_user_is_found_out(
    http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture, head: str
) -> None:
    """A-6: no state is left, and OnDisconnected is not called."""
    asked, gate = asyncio.Event(), asyncio.Event()

    async def slow(request: HttpRequestData) -> None:
        if request.method == "GET":
            asked.set()
            await gate.wait()

    host = Host()
    host.map(endpoint_options=EndpointOptions(authenticate=slow))
    async with host.run():
        client = await HttpClient.negotiated(http, f"{host.url}/hub")
        async with raw_request(client.url, "GET {target} HTTP/1.1\n" + head):
            await asked.wait()
        asyncio.get_running_loop().call_later(0.05, gate.set)  # when that has been noticed
        await gate.wait()
        while await client.post("") != 404:
            pass
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


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
