"""The client's long polling, against a handmade hub (section TL)."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from protocol import (
    ConnectionClosed,
    HandshakeError,
    HttpTransportType,
    HubConnectionState,
    NotConnectedError,
)
from protocol.transports.client import http_client
from tests.support.hub_messages import RECORD_SEPARATOR, joined
from tests.support.waiting import flood, until
from tests.transports.http_hub import HttpHub

from .builders import builder, refused
from .recording_client import NEWS, RecordingClient
from .test_tokens import Tokens

STOPPED = {"type": 7}


@pytest.fixture
async def client(http_hub: HttpHub) -> AsyncIterator[RecordingClient]:
    """Started; stopped in the end."""
    client = RecordingClient(http_hub)
    await client.connection.start()
    yield client
    await client.connection.stop()


async def test_a_session(client: RecordingClient, http_hub: HttpHub) -> None:
    """C-1, C-4, TL-1, TL-3, TL-12: a poll before the handshake, no ping, one poll at a time, the
    Close by POST, then DELETE."""
    assert client.connection.connection_id == "id-1"
    await http_hub.say(NEWS)
    await client.receives("é")
    await client.connection.send("X", 1)
    await http_hub.until_posted(1)
    await client.connection.stop()
    assert http_hub.kinds[:2] == ["negotiate", "poll"]
    assert set(http_hub.kinds[2:4]) == {"poll", "post"}
    assert http_hub.kinds[-2:] == ["post", "delete"]
    assert http_hub.polls_at_once == 1
    sent = [{"type": 1, "target": "X", "arguments": [1]}, STOPPED]
    assert http_hub.records == sent
    posted = b"".join(it.body for it in http_hub.of("post"))
    assert b'{"type":6}' not in posted
    assert await client.closed.get() is None


async def test_heads(http_hub: HttpHub) -> None:
    """C-2, C-4, N-4, C-27: the same on all requests; no type of what is posted; the query stays."""
    url = f"{http_hub.url}?a=%2Fb+c&d"
    headers = {"X-Tenant": "t"}
    async with builder(url, headers=headers, access_token_factory=lambda: "tok").build():
        pass
    for asked in http_hub.asked:
        assert asked.headers["X-Requested-With"] == "XMLHttpRequest"
        assert asked.headers["X-Tenant"] == "t"
        assert asked.headers["User-Agent"].startswith("Microsoft SignalR/")
        assert asked.token == "Bearer tok"
        assert "Content-Type" not in asked.headers
        assert "Accept-Encoding" not in asked.headers
        assert asked.headers.get("Accept") == (None if asked.kind == "delete" else "*/*")
    targets = {it.kind: it.target for it in http_hub.asked}
    assert targets.pop("negotiate") == "/hub/negotiate?a=%2Fb+c&d&negotiateVersion=1"
    assert targets == dict.fromkeys(("poll", "post", "delete"), "/hub?a=%2Fb+c&d&id=token-1")


async def test_nothing_before_the_first_poll_is_answered(http_hub: HttpHub) -> None:
    """TL-3, C-24: its body is ignored."""
    http_hub.answer("poll", web.Response(body=joined({"error": "no"})))
    async with builder(http_hub.url).build() as connection:
        assert connection.state is HubConnectionState.CONNECTED


async def test_bodies(client: RecordingClient, http_hub: HttpHub) -> None:
    """TL-4, TL-5, LA-1: many records in a poll, one over many, none at all."""
    record = json.dumps(NEWS, ensure_ascii=False).encode() + RECORD_SEPARATOR.encode()
    cut = record.index("é".encode()) + 1
    for body in (record + record, b"", record[:cut], b"", record[cut:] + record):
        http_hub.answer_poll(web.Response(body=body))
    await client.receives("é", "é", "é", "é")


async def test_large_messages(client: RecordingClient, http_hub: HttpHub) -> None:
    """C-21: more than is ever kept at once, in both directions."""
    text = "x" * 5_000_000
    await http_hub.say({**NEWS, "arguments": [text]})
    await client.receives(text)
    await client.connection.send("X", text)
    assert (await http_hub.until_posted(1))[0]["arguments"] == [text]
    last = http_hub.of("post")[-1]
    assert int(last.headers["Content-Length"]) == len(last.body)


async def test_other_successes_are_polls_without_content(
    client: RecordingClient, http_hub: HttpHub
) -> None:
    """C-23: 204 alone is the end."""
    http_hub.answer_poll(web.Response(status=202))
    await http_hub.say(NEWS)
    await client.receives("é")


async def test_one_post_at_a_time(client: RecordingClient, http_hub: HttpHub) -> None:
    """C-4: bytes written meanwhile are sent with the next one."""
    before = len(http_hub.of("post"))
    http_hub.posts_may_end.clear()
    await client.connection.send("X", 0)
    await http_hub.until_posted(1)
    for number in range(1, 100):
        await client.connection.send("X", number)
    await asyncio.sleep(0)
    assert len(http_hub.of("post")) == before + 1
    http_hub.posts_may_end.set()
    records = await http_hub.until_posted(100)
    assert [record["arguments"] for record in records] == [[number] for number in range(100)]
    assert len(http_hub.of("post")) == before + 2


async def test_a_server_that_takes_nothing(http_hub: HttpHub) -> None:
    """C-21: callers wait; stop does not wait for longer than the close timeout."""
    client = RecordingClient(http_hub, close_timeout=0.05)
    await client.connection.start()
    http_hub.posts_may_end.clear()
    flooding, sent = await flood(client.connection)
    assert sent < 10
    await client.connection.stop()
    with pytest.raises(NotConnectedError):
        await flooding
    assert http_hub.kinds[-1] == "delete"
    http_hub.posts_may_end.set()


async def test_the_server_ends_it(client: RecordingClient, http_hub: HttpHub) -> None:
    """TL-6, TL-12, C-23: after 204 no DELETE is sent."""
    http_hub.answer_poll(web.Response(status=204))
    assert str(await client.closed.get()) == "The server ended the connection."
    await client.connection.stop()
    assert "delete" not in http_hub.kinds


@pytest.mark.parametrize("status", [400, 401, 404, 409, 500])
async def test_polls_that_fail(client: RecordingClient, http_hub: HttpHub, status: int) -> None:
    """C-23: the end of the connection, which the server knows."""
    calling = asyncio.create_task(client.connection.invoke("X"))
    await http_hub.until_posted(1)
    http_hub.answer_poll(web.Response(status=status, reason="Said"))
    text = f"Response status code does not indicate success: {status} (Said)."
    assert str(await client.closed.get()) == text
    with pytest.raises(ConnectionClosed):
        await calling
    await client.connection.stop()
    assert "delete" not in http_hub.kinds


@pytest.mark.parametrize("status", [404, 413, 500])
async def test_posts_that_fail(client: RecordingClient, http_hub: HttpHub, status: int) -> None:
    """C-4, C-16: any status but 2xx; DELETE is sent then."""
    http_hub.answer("post", web.Response(status=status, reason="Said"))
    await client.connection.send("X")
    text = f"Response status code does not indicate success: {status} (Said)."
    assert str(await client.closed.get()) == text
    await http_hub.until("delete")
    with pytest.raises(NotConnectedError):
        await client.connection.send("X")


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_posts_that_become_gets(
    client: RecordingClient, http_hub: HttpHub, status: int
) -> None:
    """N-21: the hub did not get the body, whatever the other page answers."""
    elsewhere = {"Location": f"{http_hub.url}/negotiate"}
    http_hub.answer("post", web.Response(status=status, headers=elsewhere))
    await client.connection.send("X")
    assert str(await client.closed.get()) == "A POST was redirected and became a GET."
    await http_hub.until("delete")


@pytest.mark.parametrize("status", [307, 308])
async def test_posts_that_are_redirected(http_hub: HttpHub, status: int) -> None:
    """N-21: as they were."""
    async with builder(http_hub.url).build() as connection:
        elsewhere = {"Location": "/hub?id=token-1&moved"}
        http_hub.answer("post", web.Response(status=status, headers=elsewhere))
        await connection.send("Anything", "a" * 100_000)
        await http_hub.until_posted(2)
    first, second = [it for it in http_hub.of("post") if b"Anything" in it.body]
    assert second.target == first.target + "&moved"
    assert second.body == first.body


async def test_the_hub_says_close(client: RecordingClient, http_hub: HttpHub) -> None:
    """C-15, TL-12: the client sends DELETE."""
    await http_hub.say({"type": 7, "error": "bye"})
    assert str(await client.closed.get()) == (
        "The server closed the connection with the following error: bye"
    )
    await http_hub.until("delete")


@pytest.mark.parametrize("status", [200, 404, 500])
async def test_any_answer_to_delete_will_do(
    client: RecordingClient, http_hub: HttpHub, status: int
) -> None:
    """TL-9."""
    http_hub.answer("delete", status)
    await client.connection.stop()
    assert await client.closed.get() is None


async def test_a_handshake_that_is_refused(http_hub: HttpHub) -> None:
    """H-12, TL-12: DELETE is sent."""
    http_hub.answer("post", 200)
    http_hub.answer_poll(web.Response(body=b'{"error":"not you"}' + RECORD_SEPARATOR.encode()))
    with pytest.raises(HandshakeError, match="not you"):
        await builder(http_hub.url).build().start()
    await http_hub.until("delete")


async def test_a_first_poll_that_fails(http_hub: HttpHub) -> None:
    """N-25, TL-3."""
    http_hub.answer("poll", web.Response(status=404, reason="Said"))
    error = await refused(builder(http_hub.url).build())
    assert str(error) == (
        "Unable to connect to the server with any of the available transports. (LongPolling "
        "failed: Response status code does not indicate success: 404 (Said).)"
    )
    assert error.status == 404


async def test_a_poll_that_is_held_for_too_long(
    http_hub: HttpHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TL-11: it is asked again; there is no server timeout."""
    async with builder(http_hub.url).with_server_timeout(0.01).build() as connection:
        heard: asyncio.Queue[str] = asyncio.Queue()
        connection.on("News", heard.put_nowait)
        monkeypatch.setattr(http_client, "_TIMEOUT", 0.02)
        await http_hub.say({**NEWS, "arguments": ["once"]})
        assert await heard.get() == "once"
        await http_hub.until("poll", "poll", "poll")
        await http_hub.say(NEWS)
        while await heard.get() != "é":
            pass
        assert connection.state is HubConnectionState.CONNECTED
        monkeypatch.undo()


async def test_reconnect(http_hub: HttpHub) -> None:
    """R-4: from negotiate on, with a new id."""
    connection = builder(http_hub.url).with_automatic_reconnect([0]).build()
    reconnected: asyncio.Queue[str | None] = asyncio.Queue()
    connection.on_reconnected(reconnected.put_nowait)
    async with connection:
        http_hub.answer_poll(web.Response(status=204))
        assert await reconnected.get() == "id-2"
    assert http_hub.kinds.count("delete") == 1


class TestTokens:
    """A-5."""

    async def test_one_is_used_until_it_is_refused(self, http_hub: HttpHub) -> None:
        """Asked for by negotiate, then again by each 401, which is tried once more."""
        tokens = Tokens()
        async with builder(http_hub.url, access_token_factory=tokens.plain).build() as connection:
            http_hub.answer_poll(web.Response(status=401))
            await http_hub.until("poll")
            await until(lambda: http_hub.asked[-1].token == "Bearer token-2")
            http_hub.answer("post", 401)
            await connection.send("X")
            await http_hub.until_posted(2)  # the same twice
            http_hub.answer("delete", 401)
        assert [it.token for it in http_hub.of("negotiate", "delete")] == [
            "Bearer token-1",
            "Bearer token-3",
            "Bearer token-4",
        ]
        assert tokens.count == 4

    async def test_refused_twice(self, client: RecordingClient, http_hub: HttpHub) -> None:
        """Once without a token, which cannot be renewed."""
        http_hub.answer("post", 401)
        await client.connection.send("X")
        assert "401" in str(await client.closed.get())
        tokens = Tokens()
        other = RecordingClient(http_hub, access_token_factory=tokens.plain)
        await other.connection.start()
        http_hub.answer("post", 401, 401)
        await other.connection.send("X")
        assert "401" in str(await other.closed.get())
        assert tokens.count == 2

    async def test_a_factory_that_fails_at_a_renewal(
        self, http_hub: HttpHub, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The connection ends. Neither its error nor the log has the text of the factory's."""
        tokens = iter(["token"])

        def factory() -> str:
            for token in tokens:
                return token
            raise LookupError("no token for s3cret")

        client = RecordingClient(http_hub, access_token_factory=factory)
        with caplog.at_level(logging.DEBUG):
            await client.connection.start()
            http_hub.answer("post", 401)
            await client.connection.send("X")
            error = await client.closed.get()
        assert "LookupError" in str(error)
        assert "s3cret" not in f"{error} {error!r} {caplog.text}"

    async def test_a_factory_that_does_not_return(self, http_hub: HttpHub) -> None:
        """Stop does not wait for it for longer than for a request."""
        tokens = iter(["token"])

        async def factory() -> str:
            for token in tokens:
                return token
            await asyncio.Event().wait()
            raise AssertionError

        connection = builder(http_hub.url, access_token_factory=factory, close_timeout=0.05).build()
        await connection.start()
        http_hub.answer("post", 401)
        await connection.send("X")
        await http_hub.until_posted(1)
        await connection.stop()
        assert connection.state is HubConnectionState.DISCONNECTED

    async def test_a_token_in_the_offer_counts_at_once(self, http_hub: HttpHub) -> None:
        """N-19."""
        offer = {
            "negotiateVersion": 1,
            "connectionId": "c",
            "connectionToken": "t",
            "accessToken": "given",
            "availableTransports": [{"transport": "LongPolling", "transferFormats": ["Text"]}],
        }
        http_hub.answer("negotiate", web.json_response(offer))
        async with builder(http_hub.url, access_token_factory=Tokens().plain).build():
            pass
        assert {it.token for it in http_hub.asked[1:]} == {"Bearer given"}


@pytest.mark.parametrize("value", ["MTIz==|a,b/+", '"a,b"', "plain"])
async def test_cookies(http_hub: HttpHub, value: str) -> None:
    """C-2, TC-4: cookies of any response are sent unchanged, with the user's."""
    cookie = f"sticky={value}"
    http_hub.answer("poll", web.Response(headers={"Set-Cookie": f"{cookie}; Path=/; HttpOnly"}))
    async with builder(http_hub.url, cookies={"own": "1"}).build():
        pass
    assert [it.headers["Cookie"] for it in http_hub.asked[:2]] == ["own=1"] * 2
    for asked in http_hub.asked[2:]:
        assert set(asked.headers["Cookie"].split("; ")) == {"own=1", cookie}


async def test_only_what_is_allowed(http_hub: HttpHub) -> None:
    """N-24, N-25."""
    connection = builder(http_hub.url, transports=HttpTransportType.WEB_SOCKETS).build()
    assert str(await refused(connection)) == (
        "Unable to connect to the server with any of the available transports. "
        "(LongPolling failed: The transport is disabled by the client.)"
    )
    assert http_hub.kinds == ["negotiate"]
