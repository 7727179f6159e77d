"""N-18, N-21: what is sent to the target of a redirect, and to which origins redirects may lead."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from protocol import HubConnectionBuilder, NegotiationError
from tests.transports.raw_server import OFFER, RawServer, Reply

from .builders import builder, refused

POLLING_OFFER: dict[str, Any] = {
    **OFFER,
    "availableTransports": [{"transport": "LongPolling", "transferFormats": ["Text", "Binary"]}],
}
Redirect = Callable[[RawServer, RawServer], None]


@pytest.fixture
async def other_server() -> AsyncIterator[RawServer]:
    async with RawServer() as server:
        yield server


def moved(server: RawServer) -> tuple[str, str]:
    return "Location", server.url.replace("/hub", "/moved")


def redirect_by_answer(server: RawServer, other: RawServer) -> None:
    server.reply(url=other.url)


def redirect_negotiate(server: RawServer, other: RawServer) -> None:
    server.reply(307, moved(other))


def redirect_upgrade(server: RawServer, other: RawServer) -> None:
    server.upgrade_replies.append(Reply(302, headers=(moved(other),)))


async def test_what_travels_with_an_http_redirect(
    raw_server: RawServer, other_server: RawServer
) -> None:
    """N-21: all but the token and a Cookie header; the cookies of ``cookies`` go by domain."""
    for headers in ({"X-Key": "key", "Cookie": "a=1"}, {"X-Key": "key", "Authorization": "mine"}):
        raw_server.reply(307, moved(other_server))
        async with builder(raw_server.url, headers=headers).build():
            pass
    raw_server.reply(307, moved(other_server))
    tokens: dict[str, Any] = {"access_token_factory": lambda: "tok", "cookies": {"b": "2"}}
    async with builder(raw_server.url, **tokens).build():
        pass
    sent = [request.headers for request in other_server.requests]
    assert [each.get("x-key") for each in sent] == ["key", "key", None]
    assert [each.get("cookie") for each in sent] == [None, None, "b=2"]
    assert [each.get("authorization") for each in sent] == [None, None, None]


async def test_what_travels_with_a_redirect_in_the_answer(
    raw_server: RawServer, other_server: RawServer
) -> None:
    """N-18: all but credentials, with negotiate and with the upgrade. The factory is not called."""
    tokens = iter(["tok"])
    headers = {"X-Key": "key", "Cookie": "a=1"}
    raw_server.reply(url=other_server.url)
    async with builder(
        raw_server.url, headers=headers, access_token_factory=lambda: next(tokens)
    ).build():
        pass
    raw_server.reply(url=other_server.url)
    async with builder(raw_server.url, headers={"X-Key": "key", "authorization": "mine"}).build():
        pass
    sent = [request.headers for request in other_server.requests]
    assert [each.get("x-key") for each in sent] == ["key"] * 4
    assert [each.get("cookie") for each in sent] == [None] * 4
    assert [each.get("authorization") for each in sent] == [None] * 4


async def test_credentials_go_to_listed_origins(
    raw_server: RawServer, other_server: RawServer
) -> None:
    """N-18: as .NET sends them to all origins."""
    origin = other_server.url.removesuffix("/hub")
    cookie = {"Cookie": "a=1"}
    ways: tuple[dict[str, Any], ...] = (
        {"headers": cookie, "access_token_factory": lambda: "tok"},
        {"headers": {**cookie, "Authorization": "mine"}},
    )
    for way in ways:
        raw_server.reply(url=other_server.url)
        async with builder(raw_server.url, **way).with_redirects([origin]).build():
            pass
    sent = [request.headers for request in other_server.requests]
    assert [each.get("cookie") for each in sent] == ["a=1"] * 4
    assert [request.token for request in other_server.requests] == [
        "Bearer tok",
        "Bearer tok",
        "mine",
        "mine",
    ]


async def test_a_given_token_goes_to_the_origin_that_it_is_for(
    raw_server: RawServer, other_server: RawServer
) -> None:
    """N-18, N-19: not to a third one that its server redirects to. It takes the place of an
    ``Authorization`` of the user."""
    async with RawServer() as third:
        raw_server.reply(url=other_server.url, accessToken="given")
        other_server.reply(url=third.url)
        async with builder(raw_server.url, headers={"authorization": "mine"}).build():
            pass
        assert [request.token for request in raw_server.requests] == ["mine"]
        assert [request.token for request in other_server.requests] == ["Bearer given"]
        assert [request.token for request in third.requests] == [None, None]
        raw_server.reply(url=other_server.url)
        other_server.reply(**OFFER, accessToken="offered")
        async with builder(raw_server.url, access_token_factory=lambda: "tok").build():
            pass
    assert [request.token for request in other_server.requests[1:]] == [None, "Bearer offered"]


async def test_a_refusal_by_another_origin(raw_server: RawServer, other_server: RawServer) -> None:
    """A-5, N-21: a 401 after an HTTP redirect asks for a new token, for the hub's origin only."""
    tokens = iter(["tok-1", "tok-2"])
    raw_server.reply(**POLLING_OFFER)
    raw_server.reply(307, moved(other_server))
    other_server.reply(401)
    connection = builder(raw_server.url, access_token_factory=lambda: next(tokens)).build()
    raw_server.reply(401)  # to the second attempt
    await refused(connection)
    assert [request.token for request in raw_server.requests] == [
        "Bearer tok-1",
        "Bearer tok-1",
        "Bearer tok-2",
    ]
    assert [request.token for request in other_server.requests] == [None]


async def test_an_upgrade_is_redirected(raw_server: RawServer, other_server: RawServer) -> None:
    """N-21."""
    redirect_upgrade(raw_server, other_server)
    async with builder(raw_server.url, access_token_factory=lambda: "tok").build():
        pass
    assert [(each.path, each.token) for each in other_server.requests] == [("/moved", None)]


@pytest.mark.parametrize("redirect", [redirect_by_answer, redirect_negotiate, redirect_upgrade])
async def test_only_to_listed_origins(
    raw_server: RawServer, other_server: RawServer, redirect: Redirect
) -> None:
    """The other server gets no request. The error names its origin, and so does the summary."""
    redirect(raw_server, other_server)
    error = await refused(builder(raw_server.url).with_redirects([]).build())
    origin = other_server.url.removesuffix("/hub")
    expected = f"the server redirects to another origin, which redirects does not list: {origin}"
    for text in (str(error), error.summary):
        assert expected in text
    assert other_server.requests == []


@pytest.mark.parametrize("redirect", [redirect_by_answer, redirect_negotiate, redirect_upgrade])
async def test_to_a_listed_origin(
    raw_server: RawServer, other_server: RawServer, redirect: Redirect
) -> None:
    redirect(raw_server, other_server)
    origin = other_server.url.removesuffix("/hub").upper()
    async with builder(raw_server.url).with_redirects([origin]).build():
        pass
    assert len(other_server.requests) > 0


async def test_within_the_own_origin(raw_server: RawServer) -> None:
    """It need not be listed. A WebSocket belongs to the origin of its server."""
    raw_server.reply(url=raw_server.url + "?moved")
    raw_server.reply(307, moved(raw_server))
    raw_server.reply(**OFFER)
    url = raw_server.url.replace("http", "ws")
    async with builder(url, access_token_factory=lambda: "tok").with_redirects([]).build():
        pass
    assert [request.token for request in raw_server.requests] == ["Bearer tok"] * 4


@pytest.mark.parametrize(
    ("origins", "error", "text"),
    [
        (["https://a", "capacitor://a"], ValueError, "item 2, 'capacitor://a', must begin with"),
        (["https://a/"], ValueError, "with_redirects: item 1, 'https://a/', ends with a slash"),
        (["null"], ValueError, "item 1, 'null', must begin with http:// or https://"),
        ("https://a", TypeError, "origins are a list or another collection, not str"),
    ],
)
def test_what_is_no_list_of_origins(origins: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        HubConnectionBuilder().with_redirects(origins)


async def test_the_last_list_counts(raw_server: RawServer, other_server: RawServer) -> None:
    raw_server.reply(url=other_server.url)
    limited = HubConnectionBuilder().with_redirects([]).with_url(raw_server.url)
    with pytest.raises(NegotiationError):
        await limited.build().start()
    raw_server.reply(url=other_server.url)
    async with limited.with_redirects(None).build() as connection:
        assert connection.connection_id == "public"
