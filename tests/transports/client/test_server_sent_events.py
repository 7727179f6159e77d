"""The client's Server-Sent Events, against a handmade hub (section TS_)."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from protocol import ConnectionClosed, HubConnectionState, MessagePackHubProtocol
from protocol.transports.client import connector as http_connector
from tests.support.hub_messages import RECORD_SEPARATOR
from tests.support.waiting import until
from tests.transports.http_hub import HttpHub

from .builders import builder, refused
from .recording_client import NEWS, RecordingClient
from .test_tokens import Tokens

RECORD = json.dumps(NEWS, ensure_ascii=False).encode() + RECORD_SEPARATOR.encode()
STOPPED = {"type": 7}


@pytest.fixture(autouse=True)
def only_events(http_hub: HttpHub) -> None:
    http_hub.transports = ("ServerSentEvents",)


@pytest.fixture
async def client(http_hub: HttpHub) -> AsyncIterator[RecordingClient]:
    """Started, its Ping posted; stopped in the end."""
    client = RecordingClient(http_hub)
    await client.connection.start()
    await until(lambda: b'{"type":6}' in http_hub.asked[-1].body)
    yield client
    await client.connection.stop()


async def test_a_session(client: RecordingClient, http_hub: HttpHub) -> None:
    """TS_-1, TS_-6, TS_-7, H-13: events in, POSTs out, a Ping; no DELETE in the end."""
    await http_hub.say(NEWS)
    await client.receives("é")
    await client.connection.send("X", 1)
    await http_hub.until_posted(1)
    await client.connection.stop()
    assert await client.closed.get() is None
    assert http_hub.kinds == ["negotiate", "events", *["post"] * 4]
    assert http_hub.records == [{"type": 1, "target": "X", "arguments": [1]}, STOPPED]
    await until(lambda: http_hub.streams_open == 0)


async def test_heads(http_hub: HttpHub) -> None:
    """A-2, C-2, C-27."""
    async with builder(
        f"{http_hub.url}?q=1", headers={"X-Tenant": "t"}, access_token_factory=lambda: "tok"
    ).build():
        pass
    for asked in http_hub.of("events", "post"):
        assert asked.target == "/hub?q=1&id=token-1"
        assert asked.headers["X-Tenant"] == "t"
        assert asked.token == "Bearer tok"
    assert {it.headers["Accept"] for it in http_hub.of("events")} == {"text/event-stream"}
    assert {it.headers["Accept"] for it in http_hub.of("post")} == {"*/*"}


async def test_events(client: RecordingClient, http_hub: HttpHub) -> None:
    """TS_-4, LA-1: many records in an event, one over many, other fields and line ends."""
    cut = RECORD.index("é".encode()) + 1
    stream = b"data: %b\r\n\r\n" % (RECORD + RECORD)
    stream += b"data: %b\r\n\r\ndata: %b\r\n\r\n" % (RECORD[:cut], RECORD[cut:])
    stream += b": comment\n\nevent: x\nid: 1\ndata:%b\n\n" % RECORD
    for start in range(0, len(stream), 11):
        await http_hub.write_events(stream[start : start + 11])
    await client.receives(*["é"] * 4)


async def test_a_large_message(client: RecordingClient, http_hub: HttpHub) -> None:
    """C-21."""
    text = "x" * 5_000_000
    await http_hub.say({**NEWS, "arguments": [text]})
    await client.receives(text)


async def test_an_event_without_end(http_hub: HttpHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-4: the size of an event is limited."""
    monkeypatch.setattr(http_connector, "_MINIMUM_LIMIT", 1000)
    client = RecordingClient(http_hub)
    client.connection = builder(http_hub.url).with_maximum_receive_message_size(500).build()
    client.connection.on_closed(client.closed.put_nowait)
    await client.connection.start()
    await http_hub.write_events(b"data: " + b"x" * 1001)
    assert str(await client.closed.get()) == "The server sent an event of more than 1000 bytes."


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("end", "The server ended the connection."),
        ("end inside an event", "The server ended the connection."),
        ("cut", "The response ended prematurely."),
    ],
)
async def test_ends(client: RecordingClient, http_hub: HttpHub, how: str, text: str) -> None:
    """TS_-6: the end of the stream is that of the connection."""
    calling = asyncio.create_task(client.connection.invoke("X"))
    await http_hub.until_posted(1)
    if how == "end inside an event":
        await http_hub.write_events(b"data: {")
    if how == "cut":
        http_hub.cut_events()
    else:
        http_hub.end_events()
    with pytest.raises(ConnectionClosed):
        await calling
    assert str(await client.closed.get()) == text


async def test_a_post_that_fails(client: RecordingClient, http_hub: HttpHub) -> None:
    """C-4, C-16: the end, and of the stream as well."""
    http_hub.answer("post", web.Response(status=500, reason="Said"))
    await client.connection.send("X")
    text = "Response status code does not indicate success: 500 (Said)."
    assert str(await client.closed.get()) == text
    await until(lambda: http_hub.streams_open == 0)
    assert "delete" not in http_hub.kinds


async def test_tokens(http_hub: HttpHub) -> None:
    """A-5: the stream and the POSTs use negotiate's, until it is refused."""
    tokens = Tokens()
    http_hub.answer("events", 401)
    async with builder(http_hub.url, access_token_factory=tokens.plain).build() as connection:
        assert connection.state is HubConnectionState.CONNECTED
    used = [(it.kind, it.token) for it in http_hub.asked]
    assert used[:3] == [
        ("negotiate", "Bearer token-1"),
        ("events", "Bearer token-1"),
        ("events", "Bearer token-2"),
    ]
    assert {token for _, token in used[3:]} == {"Bearer token-2"}


async def test_no_stream(http_hub: HttpHub) -> None:
    """N-25."""
    http_hub.answer("events", web.Response(status=404, reason="Said"))
    assert str(await refused(builder(http_hub.url).build())) == (
        "Unable to connect to the server with any of the available transports. (ServerSentEvents "
        "failed: Response status code does not indicate success: 404 (Said).)"
    )


async def test_no_binary(http_hub: HttpHub) -> None:
    """TS_-1, N-24: MessagePack does not use this transport."""
    connection = builder(http_hub.url).with_hub_protocol(MessagePackHubProtocol()).build()
    assert str(await refused(connection)) == (
        "Unable to connect to the server with any of the available transports. (ServerSentEvents "
        "failed: The transport does not support the 'Binary' transfer format.)"
    )
    assert http_hub.kinds == ["negotiate"]


async def test_reconnect(http_hub: HttpHub) -> None:
    """R-4."""
    connection = builder(http_hub.url).with_automatic_reconnect([0]).build()
    reconnected: asyncio.Queue[str | None] = asyncio.Queue()
    connection.on_reconnected(reconnected.put_nowait)
    async with connection:
        http_hub.end_events()
        assert await reconnected.get() == "id-2"
