"""Access tokens and redirects; no secret gets into texts or logs (A-2, A-5, N-18 … N-21)."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from protocol import HttpTransportType, HubConnectionState, NegotiationError
from tests.transports.raw_server import OFFER, RawServer, Reply

from .builders import builder, refused


class Tokens:
    """A factory that returns token-1, token-2, …"""

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
    """N-18: without a token the factory is called; of several redirects the last token counts."""
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
    """N-19: it is used also without a url."""
    raw_server.reply(**OFFER, accessToken="given")
    async with builder(raw_server.url, access_token_factory=Tokens().plain).build():
        pass
    assert [request.token for request in raw_server.requests] == ["Bearer token-1", "Bearer given"]


async def test_each_start_begins_anew(raw_server: RawServer) -> None:
    """N-20: with the configured URL and the configured factory."""
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
    assert len(raw_server.requests) == 100


async def test_http_redirects(raw_server: RawServer) -> None:
    """N-21: 307 is followed with a POST, to just the address given; transports start anew."""
    target = "/moved/negotiate?tenant=a%2Fb&negotiateVersion=1"
    raw_server.reply(307, ("Location", raw_server.url.replace("/hub", target)))
    async with builder(raw_server.url).build():
        pass
    assert [(request.method, request.target) for request in raw_server.requests] == [
        ("POST", "/hub/negotiate?negotiateVersion=1"),
        ("POST", target),
        ("GET", "/hub?id=secret-token"),
    ]


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("ftp://h/s3cret", "the server redirects to a URL that is not http or https"),
        ("http://h:99999/s3cret", "the URL is not valid"),
        ("http://[s3cret", "the URL is not valid"),
    ],
)
async def test_http_redirects_to_nowhere(raw_server: RawServer, location: str, text: str) -> None:
    raw_server.reply(307, ("Location", location))
    error = await refused(builder(raw_server.url).build())
    place = f"({raw_server.url}/negotiate)"
    assert (str(error), error.status) == (f"Negotiate failed: {text} {place}", None)


async def test_http_redirects_without_end(raw_server: RawServer) -> None:
    """N-21: the last one is the answer."""
    for _ in range(60):
        raw_server.reply(307, ("Location", raw_server.url))
    error = await refused(builder(raw_server.url).build())
    assert str(error) == (
        "Response status code does not indicate success: 307 (Said). "
        f"(307 from {raw_server.url}/negotiate)"
    )
    assert error.status == 307
    assert len(raw_server.requests) == 51  # the 51st answer is a redirect, too


@pytest.mark.parametrize("more", [{"url": "http://127.0.0.1:1/hub"}, OFFER])
async def test_a_given_token_that_is_none(raw_server: RawServer, more: dict[str, Any]) -> None:
    """N-18, N-19: NegotiationError, because the server has caused it."""
    raw_server.reply(**more, accessToken="s3cret\r\nX: y")
    error = await refused(builder(raw_server.url).build())
    assert str(error) == "The server gave a token with control characters."


async def test_a_token_and_an_http_redirect(raw_server: RawServer) -> None:
    """N-21, A-2: it is sent to the same server, and to no other."""
    target = "/moved/negotiate?negotiateVersion=1"
    async with RawServer() as other:
        for server in (raw_server, other):
            raw_server.reply(307, ("Location", server.url.replace("/hub", target)))
            async with builder(raw_server.url, access_token_factory=lambda: "tok").build():
                pass
        assert [(request.target, request.token) for request in other.requests] == [(target, None)]
    assert [request.token for request in raw_server.requests] == ["Bearer tok"] * 5


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
    """A-5: start raises its exception unchanged; nothing is left open."""

    def fail() -> str:
        raise LookupError("no token")

    connection = builder(raw_server.url, access_token_factory=fail).build()
    with pytest.raises(LookupError, match="no token"):
        await connection.start()
    assert connection.state is HubConnectionState.DISCONNECTED
    assert raw_server.requests == []


@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(
    ("token", "error", "text"),
    [
        ("s3cret\n", ValueError, "The access token contains a line break or another control"),
        ("s3cret\ud800", ValueError, "The access token contains a line break or another control"),
        (5, TypeError, "access_token_factory returned int, not a str or None"),
        (b"s3cret", TypeError, "access_token_factory returned bytes, not a str or None"),
    ],
)
async def test_what_is_no_token(
    raw_server: RawServer, skips: bool, token: Any, error: type[Exception], text: str
) -> None:
    """It is not sent, and no error contains it."""
    how: dict[str, Any] = (
        {"skip_negotiation": True, "transports": HttpTransportType.WEB_SOCKETS} if skips else {}
    )
    connection = builder(raw_server.url, access_token_factory=lambda: token, **how).build()
    with pytest.raises(error, match=text) as caught:
        await connection.start()
    assert "s3cret" not in str(caught.value)
    assert connection.state is HubConnectionState.DISCONNECTED
    assert raw_server.requests == []


@pytest.mark.parametrize("skips", [False, True])
async def test_credentials_in_the_url_beside_a_token(raw_server: RawServer, skips: bool) -> None:
    """There can be only one Authorization header."""
    how: dict[str, Any] = (
        {"skip_negotiation": True, "transports": HttpTransportType.WEB_SOCKETS} if skips else {}
    )
    url = raw_server.url.replace("//", "//me:s3cret@")
    error = await refused(builder(url, access_token_factory=lambda: "t0ken", **how).build())
    assert "the URL holds credentials, which cannot go with an access token" in str(error)
    assert "s3cret" not in str(error)
    assert "t0ken" not in str(error)
    assert raw_server.requests == []


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
async def test_hosts_that_are_no_names(host: str) -> None:
    ways: tuple[list[str] | None, ...] = (None, [])
    for redirects in ways:
        error = await refused(
            builder(f"http://{host}/hub?s3cret").with_redirects(redirects).build()
        )
        text = "Negotiate failed: the URL's host is not a valid domain name"
        assert str(error) == f"{text} (http://{host}/hub/negotiate)"
