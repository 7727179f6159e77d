"""How a client gets to a hub: negotiate, redirects, tokens, headers, cookies (N, A-2, A-5)."""

import asyncio
import gc
import json
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest

from protocol import HubConnection, HubConnectionBuilder, HubConnectionState, NegotiationError
from protocol.transports import aiohttp_client

from .raw_server import OFFER, RawServer, Reply


def builder(url: str, **more: Any) -> HubConnectionBuilder:
    return HubConnectionBuilder().with_url(url, **more)


async def refused(connection: HubConnection) -> NegotiationError:
    """Why a start fails; nothing is left behind (the fixture sees to that)."""
    with pytest.raises(NegotiationError) as caught:
        await connection.start()
    assert connection.state is HubConnectionState.DISCONNECTED
    return caught.value


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
    """N-26: the socket at once, without an id; the client has none either."""
    async with builder(raw_server.url, skip_negotiation=True).build() as connection:
        assert connection.connection_id is None
        assert connection.state is HubConnectionState.CONNECTED
    (upgrade,) = raw_server.requests
    assert upgrade.target == "/hub"


async def test_cookies(raw_server: RawServer) -> None:
    """C-2, TC-4: what negotiate sets goes with the upgrade; the next start begins without."""
    raw_server.reply(200, ("Set-Cookie", "sticky=abc; Path=/; HttpOnly"), **OFFER)
    connection = builder(raw_server.url).build()
    for _ in range(2):
        await connection.start()
        await connection.stop()
    cookies = [request.headers.get("cookie") for request in raw_server.requests]
    assert cookies == [None, "sticky=abc", None, None]


# ---- tokens


class Tokens:
    """A factory that counts: token-1, token-2, …"""

    def __init__(self, prefix: str = "token") -> None:
        self.count = 0
        self._prefix = prefix

    def plain(self) -> str:
        self.count += 1
        return f"{self._prefix}-{self.count}"

    async def later(self) -> str:
        await asyncio.sleep(0)
        return self.plain()


@pytest.mark.parametrize("kind", ["plain", "later"])
async def test_tokens(raw_server: RawServer, kind: str) -> None:
    """A-2, A-5: asked for negotiate and again for the upgrade; sent as a header, never in a URL."""
    tokens = Tokens()
    factory = getattr(tokens, kind)
    async with builder(raw_server.url, access_token_factory=factory).build():
        pass
    assert [request.token for request in raw_server.requests] == [
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert not any("token-1" in request.target for request in raw_server.requests)
    assert tokens.count == 2


@pytest.mark.parametrize("token", [None, ""])
async def test_no_token(raw_server: RawServer, token: str | None) -> None:
    """A-2: then there is no header."""
    async with builder(raw_server.url, access_token_factory=lambda: token).build():
        pass
    assert [request.token for request in raw_server.requests] == [None, None]


async def test_a_token_when_negotiation_is_skipped(raw_server: RawServer) -> None:
    """A-2: on the upgrade."""
    tokens = Tokens()
    async with builder(
        raw_server.url, access_token_factory=tokens.plain, skip_negotiation=True
    ).build():
        pass
    assert [request.token for request in raw_server.requests] == ["Bearer token-1"]


async def test_redirects(raw_server: RawServer) -> None:
    """N-18: start over at the new URL, whose own query is kept; its token replaces the factory's
    for the next negotiate and the upgrade; the factory is not asked again."""
    tokens = Tokens()
    other = raw_server.url.replace("/hub", "/other/hub?region=1")
    raw_server.reply(url=other, accessToken="given")
    async with builder(raw_server.url, access_token_factory=tokens.plain).build() as connection:
        assert connection.connection_id == "public"
    assert [(request.target, request.token) for request in raw_server.requests] == [
        ("/hub/negotiate?negotiateVersion=1", "Bearer token-1"),
        ("/other/hub/negotiate?region=1&negotiateVersion=1", "Bearer given"),
        ("/other/hub?region=1&id=secret-token", "Bearer given"),
    ]
    assert tokens.count == 1


async def test_a_redirect_without_a_token(raw_server: RawServer) -> None:
    """N-18: the factory goes on; several redirects in a row, the last token counts."""
    tokens = Tokens()
    raw_server.reply(url=raw_server.url + "?n=1")
    raw_server.reply(url=raw_server.url + "?n=2", accessToken="first")
    raw_server.reply(url=raw_server.url + "?n=3", accessToken="second")
    raw_server.reply(url=raw_server.url + "?n=4")
    async with builder(raw_server.url, access_token_factory=tokens.plain).build():
        pass
    assert [request.token for request in raw_server.requests] == [
        "Bearer token-1",
        "Bearer token-2",
        "Bearer first",
        "Bearer second",
        "Bearer second",
        "Bearer second",
    ]


async def test_a_token_in_an_offer(raw_server: RawServer) -> None:
    """N-19: honoured without a url, too."""
    raw_server.reply(**OFFER, accessToken="given")
    async with builder(raw_server.url, access_token_factory=Tokens().plain).build():
        pass
    assert [request.token for request in raw_server.requests] == ["Bearer token-1", "Bearer given"]


async def test_each_start_begins_anew(raw_server: RawServer) -> None:
    """N-20: at the URL configured, with the factory configured."""
    connection = builder(raw_server.url, access_token_factory=Tokens().plain).build()
    raw_server.reply(url=raw_server.url + "?there", accessToken="given")
    await connection.start()
    await connection.stop()
    await connection.start()
    await connection.stop()
    assert [(request.target, request.token) for request in raw_server.requests[3:]] == [
        ("/hub/negotiate?negotiateVersion=1", "Bearer token-2"),
        ("/hub?id=secret-token", "Bearer token-3"),
    ]


async def test_redirects_without_end(raw_server: RawServer) -> None:
    """N-19: a hundred, and no more."""
    for _ in range(200):
        raw_server.reply(url=raw_server.url)
    error = await refused(builder(raw_server.url).build())
    assert str(error) == "Negotiate redirection limit exceeded."
    assert len(raw_server.requests) == 101


async def test_http_redirects(raw_server: RawServer) -> None:
    """N-21: 307 is followed with a POST."""
    target = raw_server.url.replace("/hub", "/moved/negotiate?negotiateVersion=1")
    raw_server.reply(307, ("Location", target))
    async with builder(raw_server.url).build():
        pass
    assert [request.method for request in raw_server.requests] == ["POST", "POST", "GET"]


# ---- refusals


NONE_FITS = (
    "Unable to connect to the server with any of the available transports. "
    "(LongPolling failed: The transport is not supported by the client.) "
    "(WebSockets failed: The transport does not support the 'Text' transfer format.)"
)
MALFORMED = "Invalid negotiation response received."


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "Not today."}, "Not today."),
        ({**OFFER, "error": "Not at all."}, "Not at all."),
        ("nonsense", MALFORMED),
        ([], MALFORMED),
        ({}, MALFORMED),
        ({**OFFER, "connectionId": None}, MALFORMED),
        ({**OFFER, "availableTransports": None}, MALFORMED),
        ({key: OFFER[key] for key in OFFER if key != "connectionToken"}, MALFORMED),
        ({**OFFER, "connectionToken": "  "}, "Invalid connection id."),
        (
            {**OFFER, "availableTransports": []},
            "None of the transports supported by the client are supported by the server.",
        ),
        (
            {
                **OFFER,
                "availableTransports": [
                    {"transport": "LongPolling", "transferFormats": ["Text"]},
                    {"transport": "WebSockets", "transferFormats": ["Binary"]},
                ],
            },
            NONE_FITS,
        ),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_answers_that_are_no_offer(raw_server: RawServer, body: Any, text: str) -> None:
    """N-9, N-15, N-17, N-24, N-25: the reason is the exception's text."""
    raw_server.replies.append(Reply(body=json.dumps(body).encode()))
    error = await refused(builder(raw_server.url).build())
    assert str(error) == text


async def test_an_endless_answer(raw_server: RawServer) -> None:
    """N-15: no more is read than any honest answer has."""
    raw_server.replies.append(Reply(body=b" " * 1_000_000))
    assert str(await refused(builder(raw_server.url).build())) == MALFORMED


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 503])
async def test_statuses_of_negotiate(raw_server: RawServer, status: int) -> None:
    """N-4, A-5: told with its number; not retried."""
    raw_server.reply(status)
    error = await refused(builder(raw_server.url).build())
    assert str(error) == f"Negotiate was answered with {status} Said."
    assert error.status == status
    assert len(raw_server.requests) == 1


@pytest.mark.parametrize("status", [200, 401, 404, 409, 503])
async def test_statuses_of_the_upgrade(raw_server: RawServer, status: int) -> None:
    """A-5: counts as a failed transport."""
    raw_server.upgrade_replies.append(Reply(status))
    error = await refused(builder(raw_server.url).build())
    assert str(error) == (
        "Unable to connect to the server with any of the available transports. "
        f"(WebSockets failed: status {status})"
    )
    assert error.status == status


@pytest.mark.parametrize("skip", [False, True])
async def test_nobody_listens(skip: bool) -> None:
    """N-25: which host and port, and why."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connection = builder(
        f"http://127.0.0.1:{port}/hub?access_token=s3cret", skip_negotiation=skip
    ).build()
    error = await refused(connection)
    assert f"cannot connect to 127.0.0.1:{port}: " in str(error)
    assert error.status is None


@pytest.mark.parametrize("skip", [False, True])
async def test_a_server_that_is_none(skip: bool) -> None:
    """Whatever answers in another language is told as a failure of the request."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp ready\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await refused(builder(f"http://127.0.0.1:{port}/hub", skip_negotiation=skip).build())


async def test_a_server_that_hangs_up() -> None:
    """N-4: between request and answer."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(builder(f"http://127.0.0.1:{port}/hub").build())
        assert str(error) == "Negotiate failed: ServerDisconnectedError"


async def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """D: after the HTTP timeout of two minutes, here a moment."""
    monkeypatch.setattr(aiohttp_client, "_HTTP_TIMEOUT", 0.05)
    arrived = asyncio.Event()

    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(think, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(builder(f"http://127.0.0.1:{port}/hub").build())
        assert str(error) == "Negotiate failed: no answer in time"
        assert arrived.is_set()


# ---- secrets


SECRETS = ("t0ken", "qu3ry", "secret-token", "g1ven", "h3ader")


def fail_negotiate(server: RawServer) -> None:
    server.reply(500)


def fail_upgrade(server: RawServer) -> None:
    server.upgrade_replies.append(Reply(403))


def fail_after_redirect(server: RawServer) -> None:
    server.reply(url=f"{server.url}?access_token=qu3ry", accessToken="g1ven")
    server.reply(403)


def fail_after_redirect_to_nobody(server: RawServer) -> None:
    server.reply(url="http://127.0.0.1:1/hub?access_token=qu3ry", accessToken="g1ven")


def fail_by_a_bad_url(server: RawServer) -> None:
    server.reply(url="http://[qu3ry/hub", accessToken="g1ven")


def fail_by_nonsense(server: RawServer) -> None:
    server.replies.append(Reply(body=b'{"accessToken":"g1ven","url":5}'))


def succeed(_: RawServer) -> None:
    pass


@pytest.mark.parametrize(
    "prepare",
    [
        fail_negotiate,
        fail_upgrade,
        fail_after_redirect,
        fail_after_redirect_to_nobody,
        fail_by_a_bad_url,
        fail_by_nonsense,
        succeed,
    ],
)
async def test_secrets(
    raw_server: RawServer,
    caplog: pytest.LogCaptureFixture,
    prepare: Callable[[RawServer], None],
) -> None:
    """Neither tokens nor queries nor headers are in an exception's text or in a log."""
    prepare(raw_server)
    connection = builder(
        f"{raw_server.url}?access_token=qu3ry",
        headers={"X-Key": "h3ader"},
        access_token_factory=lambda: "t0ken",
    ).build()
    texts: list[str] = []
    with caplog.at_level(logging.DEBUG, "protocol"):
        try:
            await connection.start()
        except NegotiationError as error:
            texts += [str(error), repr(error)]
        await connection.stop()
    assert bool(texts) == (prepare is not succeed)
    for secret in SECRETS:
        assert not any(secret in text for text in texts)
        assert secret not in caplog.text


async def test_a_token_factory_that_fails(raw_server: RawServer) -> None:
    """A-5: its exception is the start's, as it is; nothing is left open."""

    def fail() -> str:
        raise LookupError("no token")

    connection = builder(raw_server.url, access_token_factory=fail).build()
    with pytest.raises(LookupError, match="no token"):
        await connection.start()
    assert connection.state is HubConnectionState.DISCONNECTED
    assert raw_server.requests == []


@pytest.mark.parametrize("skip", [False, True])
async def test_cancelled_at_every_moment(raw_server: RawServer, skip: bool) -> None:
    """C-20: a start that is cancelled leaves neither task nor socket, wherever it is."""
    connection = builder(raw_server.url, skip_negotiation=skip).build()
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
        for _ in range(20):
            await asyncio.sleep(0)
        own = {task for task in asyncio.all_tasks() if _is_ours(task)}
        assert own == set()
        rounds += 1
        assert rounds < 2000
    gc.collect()  # what was not closed complains now


def _is_ours(task: "asyncio.Task[Any]") -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "/protocol/" in code.co_filename
