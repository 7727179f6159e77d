"""How a server ends a connection, and what the client reports (C-11 … C-19)."""

import asyncio
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HubConnectionState,
)
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import CLOSE
from tests.support.memory_peer import MemoryPeer

TOO_LARGE = "A message has more than the 65536 bytes of maximum_receive_message_size."
DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTED = HubConnectionState.CONNECTED


def leave(server: MemoryPeer) -> None:
    server.vanish()


def violate(server: MemoryPeer) -> None:
    server.transport.violate("bad frame")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (CLOSE, "The server closed the connection."),
        ({"type": 7, "allowReconnect": True}, "The server closed the connection."),
        ({"type": 7, "error": ""}, "The server closed the connection."),
        (
            {"type": 7, "error": "boo"},
            "The server closed the connection with the following error: boo",
        ),
        ({"type": 1, "target": 5, "arguments": []}, "Expected 'target' to be of type String."),
        (
            {"type": 1, "target": "X", "arguments": {}},
            "Expected 'arguments' to be of type Array.",
        ),
        (
            {"type": 4, "invocationId": "1", "target": "X", "arguments": []},
            "Unexpected message type: StreamInvocationMessage",
        ),
        (
            {"type": 5, "invocationId": "1"},
            "Unexpected message type: CancelInvocationMessage",
        ),
        ("{", "Error reading JSON."),
    ],
    ids=str,
)
async def test_what_the_server_ends_it_with(
    harness: ClientHarness, message: Any, text: str
) -> None:
    """C-15, C-18: messages after it are ignored; on_closed gets the reason."""
    connection = await harness.started()
    closed: list[Exception | None] = []
    heard: list[Any] = []
    connection.on_closed(closed.append)
    connection.on("News", heard.append)
    news = {"type": 1, "target": "News", "arguments": [1]}
    harness.server.send(news, message, news)
    await harness.clock.settle()
    (error,) = closed
    assert isinstance(error, ConnectionClosed)
    assert str(error) == text
    assert heard == [1]
    assert (connection.state, connection.connection_id) == (DISCONNECTED, None)
    assert harness.near_ends[0].ended == "closed"
    assert harness.clock.leftovers() == []


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (leave, "The server ended the connection."),
        (violate, "bad frame"),
        (
            lambda server: (server.send_bytes(b'{"type":'), server.vanish()),
            "Connection terminated while reading a message.",
        ),
        (
            lambda server: server.send_bytes(b"x" * 70_000),
            TOO_LARGE,
        ),
    ],
    ids=["C-16 the end", "TW-7 violation", "F-3 inside a message", "F-4 oversize"],
)
async def test_the_end_without_a_close(harness: ClientHarness, act: Any, text: str) -> None:
    """C-16: on_closed gets an error, although the server gave no reason."""
    connection = await harness.started(maximum_receive_message_size=65_536)
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    act(harness.server)
    await harness.clock.settle()
    assert [(type(error), str(error)) for error in closed] == [(ConnectionClosed, text)]
    assert connection.state is DISCONNECTED


async def test_a_transport_that_fails(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """C-16: whatever fails, the connection ends, calls fail, and on_closed is called."""
    connection = await harness.started()
    closed: list[str] = []
    connection.on_closed(lambda error: closed.append(str(error)))
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.settle()
    harness.server.transport.fail(LookupError("bug"))
    with pytest.raises(ConnectionClosed):
        await calling
    await harness.clock.settle()
    assert closed == ["Reading failed: LookupError"]
    assert "Reading from the server failed unexpectedly." in caplog.text


@pytest.mark.parametrize(
    "message",
    [
        {"type": 2, "invocationId": "1", "item": 1},
        {"type": 3, "invocationId": "99", "result": 1},
        {"type": 3, "invocationId": "99", "error": "late"},
        {"type": 1, "target": "Unknown", "arguments": [1]},
        {"type": 6},
        {"type": 8, "sequenceId": 1},
        {"type": 9, "sequenceId": 1},
        {"type": 99},
    ],
    ids=str,
)
async def test_messages_that_mean_nothing(harness: ClientHarness, message: Any) -> None:
    """C-11, C-12, C-19: they are dropped; messages after them are handled."""
    connection = await harness.started()
    heard: list[Any] = []
    connection.on("News", heard.append)
    harness.server.send(message, {"type": 1, "target": "News", "arguments": [1]})
    assert await harness.server.take() == []
    assert heard == [1]
    assert connection.state is CONNECTED


async def test_callbacks(harness: ClientHarness, caplog: pytest.LogCaptureFixture) -> None:
    """Plain and async callbacks run in order of registration; a failure is logged."""
    connection = await harness.started()
    order: list[str] = []

    @connection.on_closed
    def first(_: Exception | None) -> None:
        order.append("first")
        raise LookupError("callback")

    @connection.on_closed
    async def second(_: Exception | None) -> None:
        await asyncio.sleep(0)
        order.append("second")

    connection.on_closed(lambda _: order.append("third"))
    await connection.stop()
    assert order == ["first", "second", "third"]
    assert [record.getMessage() for record in caplog.records] == ["A connection callback failed."]
