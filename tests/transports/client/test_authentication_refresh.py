"""The request that refreshes the authentication of a connection (AR-2, AR-3, AR-7)."""

import json
from typing import Any, Final

import pytest
from aiohttp import web

from protocol import (
    AuthenticationRefreshError,
    ConnectionClosed,
    HttpTransportType,
    HubConnectionState,
    LocalProtocolError,
)
from tests.support.loop_time import LoopTime
from tests.support.waiting import until
from tests.transports.http_hub import HttpHub
from tests.transports.raw_server import OFFER, RawServer, Reply

from .builders import builder
from .recording_client import NEWS, RecordingClient
from .test_tokens import Tokens

REQUIRED: Final = {"error": "authentication_refresh_required"}


async def test_the_request(raw_server: RawServer) -> None:
    """AR-3, A-5: as that of the .NET client: a new token, the connection token as a header."""
    connection = builder(
        f"{raw_server.url}?q=1", access_token_factory=Tokens().plain, headers={"X-Tenant": "t"}
    ).build()
    async with connection:
        raw_server.reply(tokenLifetimeSeconds=1799)
        assert await connection.refresh_authentication() == 1799
        raw_server.reply(tokenLifetimeSeconds=1800)
        assert await connection.refresh_authentication() == 1800
    first, second = raw_server.requests[2:]
    assert (first.method, first.target) == ("POST", "/hub/refresh?q=1")
    assert (first.token, second.token) == ("Bearer token-3", "Bearer token-4")
    assert first.headers["x-signalr-connection-token"] == "secret-token"
    assert first.headers["content-length"] == "0"
    assert first.headers["x-tenant"] == "t"
    assert {"accept", "content-type"}.isdisjoint(first.headers)


async def test_the_lifetime_in_an_offer(
    raw_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AR-1, AR-7: it makes the client refresh by itself."""
    raw_server.reply(**OFFER, tokenLifetimeSeconds=20)
    raw_server.reply(tokenLifetimeSeconds=600)
    lifetimes: list[float | None] = []
    connection = builder(raw_server.url, access_token_factory=Tokens().plain).build()
    connection.on_authentication_refreshed(lifetimes.append)
    async with connection:
        LoopTime(monkeypatch).skip(10)
        await until(lambda: bool(lifetimes))
    assert lifetimes == [600]
    assert [request.path for request in raw_server.requests[2:]] == ["/hub/refresh"]


@pytest.mark.parametrize(
    "lifetime", [None, 0, -5, "20", True, {"a": [1]}, [20]], ids=lambda it: json.dumps(it)
)
async def test_what_is_no_lifetime(raw_server: RawServer, lifetime: Any) -> None:
    """AR-1: the connection opens, and is not refreshed."""
    raw_server.reply(**OFFER, tokenLifetimeSeconds=lifetime)
    async with builder(raw_server.url, access_token_factory=Tokens().plain).build() as connection:
        assert connection.state is HubConnectionState.CONNECTED
    assert len(raw_server.requests) == 2


STATUS: Final = "Response status code does not indicate success: {} (Said)."
NO_OBJECT: Final = "Invalid refresh response JSON: expected an object."


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (403, b'{"error":"permission_change_rejected"}', STATUS.format(403)),
        (401, b"", STATUS.format(401)),
        (409, b'{"error":"authentication_refresh_required"}', STATUS.format(409)),
        (200, b"[]", NO_OBJECT),
        (200, b"", NO_OBJECT),
        (200, b"9" * 2**17, NO_OBJECT),
    ],
    ids=["403", "401", "409", "a list", "nothing", "too long"],
)
async def test_refusals(raw_server: RawServer, status: int, body: bytes, text: str) -> None:
    """AR-3, AR-5a, AR-7: one request, and an error; the connection is as it was."""
    async with builder(raw_server.url, access_token_factory=Tokens().plain).build() as connection:
        raw_server.replies.append(Reply(status, body))
        with pytest.raises(AuthenticationRefreshError) as caught:
            await connection.refresh_authentication()
        assert str(caught.value) == text
        assert caught.value.status == (None if text == NO_OBJECT else status)
        assert "Said" not in caught.value.summary
        assert connection.state is HubConnectionState.CONNECTED
    assert len(raw_server.requests) == 3


async def test_after_a_redirect_of_negotiate(raw_server: RawServer) -> None:
    """AR-3, N-18: the refresh goes to the server of the connection."""
    raw_server.reply(url=raw_server.url.replace("/hub", "/other/hub?region=1"))
    async with builder(raw_server.url).build() as connection:
        raw_server.reply(tokenLifetimeSeconds=5)
        await connection.refresh_authentication()
    assert raw_server.requests[-1].target == "/other/hub/refresh?region=1"


async def test_an_http_redirect(raw_server: RawServer) -> None:
    """AR-3, N-21: the connection token is sent to the same server, and to no other."""
    async with RawServer() as other, builder(raw_server.url).build() as connection:
        raw_server.reply(307, ("Location", raw_server.url.replace("/hub", "/moved")))
        raw_server.reply(tokenLifetimeSeconds=5)
        assert await connection.refresh_authentication() == 5
        raw_server.reply(307, ("Location", other.url))
        with pytest.raises(AuthenticationRefreshError, match="redirects the connection token"):
            await connection.refresh_authentication()
        assert other.requests == []


async def test_when_negotiation_is_skipped(raw_server: RawServer) -> None:
    """AR-3: there is no connection token."""
    async with builder(raw_server.url, skip_negotiation=True).build() as connection:
        with pytest.raises(LocalProtocolError, match="opened without negotiate"):
            await connection.refresh_authentication()


@pytest.mark.parametrize(
    "transport", [HttpTransportType.SERVER_SENT_EVENTS, HttpTransportType.LONG_POLLING]
)
async def test_later_requests_have_the_new_token(
    http_hub: HttpHub, transport: HttpTransportType
) -> None:
    """A-5: if the server has accepted it."""
    http_hub.transports = ("ServerSentEvents", "LongPolling")
    connection = builder(
        http_hub.url, transports=transport, access_token_factory=Tokens().plain
    ).build()
    async with connection:
        http_hub.answer("refresh", 403, None)
        with pytest.raises(AuthenticationRefreshError):
            await connection.refresh_authentication()
        await connection.send("X")
        await http_hub.until_posted(1)
        assert http_hub.of("post")[-1].token == "Bearer token-1"
        await connection.refresh_authentication()
        await connection.send("X")
        await http_hub.until_posted(2)
        tokens = [http_hub.of(kind)[-1].token for kind in ("refresh", "post")]
        assert tokens == ["Bearer token-3", "Bearer token-3"]


def demand() -> web.Response:
    return web.json_response(REQUIRED, status=409)


async def demanding(http_hub: HttpHub, *answers: web.Response) -> RecordingClient:
    """A client whose polls after the handshake get these answers."""
    client = RecordingClient(http_hub, access_token_factory=Tokens().plain)
    await client.connection.start()
    for answer in answers:
        http_hub.answer_poll(answer)
    return client


async def test_a_poll_that_demands_a_refresh(http_hub: HttpHub) -> None:
    """AR-3: the client refreshes, and polls again with the new token."""
    client = await demanding(http_hub, demand())
    await http_hub.until("refresh", "poll")
    refresh, poll = http_hub.asked[-2:]
    await http_hub.say(NEWS)
    await client.receives("é")
    assert (refresh.token, poll.token) == ("Bearer token-2", "Bearer token-2")
    assert refresh.headers["X-SignalR-Connection-Token"] == "token-1"
    assert client.connection.state is HubConnectionState.CONNECTED
    await client.connection.stop()


async def test_a_poll_that_demands_a_refresh_twice(http_hub: HttpHub) -> None:
    """AR-3: once for each accepted poll; a server that is never satisfied ends the connection."""
    client = await demanding(
        http_hub,
        demand(),
        web.Response(),
        demand(),
        demand(),
    )
    error = await client.closed.get()
    assert isinstance(error, ConnectionClosed)
    assert "409" in str(error)
    assert len(http_hub.of("refresh")) == 2


@pytest.mark.parametrize("body", [b"{}", b"[", b"9" * 2**17])
async def test_a_conflict_that_is_no_demand(http_hub: HttpHub, body: bytes) -> None:
    """AR-3: the connection ends."""
    client = await demanding(http_hub, web.Response(status=409, body=body))
    assert "409" in str(await client.closed.get())
    assert http_hub.of("refresh") == []


async def test_a_demanded_refresh_that_fails(http_hub: HttpHub) -> None:
    """AR-3: the connection ends, because the server accepts no further poll."""
    http_hub.answer("refresh", 403)
    client = await demanding(http_hub, demand())
    assert "403" in str(await client.closed.get())
