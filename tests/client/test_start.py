"""Starting a client connection, and the errors of a start (C-1, C-20, H)."""

import asyncio
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HandshakeError,
    HubConnectionState,
    LocalProtocolError,
    NegotiationError,
    NotConnectedError,
)
from tests.support.client_harness import ClientHarness, be_silent, refusal
from tests.support.hub_messages import CLOSE, HANDSHAKE, PING
from tests.support.memory_peer import MemoryPeer

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTING = HubConnectionState.CONNECTING
CONNECTED = HubConnectionState.CONNECTED


def answer(*records: Any) -> Any:
    """A server that answers the handshake with these records, then ends."""

    def act(server: MemoryPeer) -> None:
        server.send(*records)

    return act


def leave(server: MemoryPeer) -> None:
    server.vanish()


def violate(server: MemoryPeer) -> None:
    server.transport.violate("bad frame")


async def test_start_and_stop(harness: ClientHarness) -> None:
    """C-1, C-17, C-20: handshake, Ping, ready; Close, then the end of the transport."""
    connection = harness.connection()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    assert (connection.state, connection.connection_id) == (DISCONNECTED, None)
    starting = asyncio.create_task(connection.start())
    await asyncio.sleep(0)
    assert (connection.state, connection.connection_id) == (CONNECTING, None)
    await starting
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-1")
    assert await harness.server.take() == [HANDSHAKE, PING]
    await connection.stop()
    assert (connection.state, connection.connection_id) == (DISCONNECTED, None)
    assert await harness.server.take() == [CLOSE]
    assert harness.near_ends[0].ended == "closed"
    assert closed == [None]
    assert harness.clock.leftovers() == []


async def test_async_with(harness: ClientHarness) -> None:
    """``async with`` is start and stop, also when the block fails."""
    connection = harness.connection()

    async def fail_inside() -> None:
        async with connection as entered:
            assert entered is connection
            assert connection.state is CONNECTED
            raise LookupError

    with pytest.raises(LookupError):
        await fail_inside()
    assert connection.state is DISCONNECTED
    assert await harness.server.take() == [HANDSHAKE, PING, CLOSE]


async def test_start_again(harness: ClientHarness) -> None:
    """C-6, C-20: a start after a stop; ids start again at 1, and handlers stay."""
    connection = harness.connection()
    heard: list[Any] = []
    connection.on("News", heard.append)
    for count in (1, 2, 3):
        await connection.start()
        assert connection.connection_id == f"id-{count}"
        harness.server.send({"type": 1, "target": "News", "arguments": [count]})
        invoking = asyncio.create_task(connection.invoke("X"))
        assert (await harness.server.take())[-1]["invocationId"] == "1"
        await connection.stop()
        with pytest.raises(ConnectionClosed):
            await invoking
    assert heard == [1, 2, 3]


async def test_starting_twice(harness: ClientHarness) -> None:
    """C-20: only a disconnected connection can be started; a second start changes nothing."""
    connection = harness.connection()
    starting = asyncio.create_task(connection.start())
    await asyncio.sleep(0)
    text = "cannot be started if it is not in the Disconnected state"
    with pytest.raises(LocalProtocolError, match=text):
        await connection.start()
    await starting
    with pytest.raises(LocalProtocolError, match=text):
        await connection.start()
    assert connection.state is CONNECTED
    assert len(harness.attempts) == 1


async def test_a_negotiation_that_fails(harness: ClientHarness) -> None:
    """R-2: start raises the connector's error, and there is no retry."""
    connection = harness.connection(lambda _: 0.0)
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    error = refusal("no such hub")
    harness.answers.append(error)
    with pytest.raises(NegotiationError, match="no such hub") as caught:
        await connection.start()
    assert caught.value is error
    assert connection.state is DISCONNECTED
    await harness.clock.advance(100)
    assert len(harness.attempts) == 1
    assert closed == []
    await connection.start()
    assert connection.state is CONNECTED


@pytest.mark.parametrize(
    ("act", "text"),
    [
        pytest.param(
            answer({"error": "The protocol 'json' is not supported."}),
            "Unable to complete handshake with the server due to an error: "
            "The protocol 'json' is not supported.",
            id="H-12 refusal",
        ),
        pytest.param(
            answer({"error": None}),
            "Expected 'error' to be of type String.",
            id="H-2 null is no success",
        ),
        pytest.param(
            answer({"type": 6}),
            "Expected a handshake response from the server.",
            id="H-12 a hub message",
        ),
        pytest.param(
            answer("nonsense"),
            "Expected a handshake response from the server.",
            id="H-12 no JSON",
        ),
        pytest.param(
            lambda server: server.send_bytes(b"x" * 100_000),
            "Expected a handshake response from the server.",
            id="no end of it",
        ),
        pytest.param(
            leave,
            "The server disconnected before sending a handshake response",
            id="H-12 the end",
        ),
        pytest.param(violate, "bad frame", id="TW-7 a violation"),
    ],
)
async def test_a_handshake_that_fails(harness: ClientHarness, act: Any, text: str) -> None:
    """H-12: HandshakeError with the reason; the transport is closed, no Ping was sent."""
    connection = harness.connection(lambda _: 0.0)
    harness.answers.append(act)
    with pytest.raises(HandshakeError) as caught:
        await connection.start()
    assert str(caught.value) == text
    assert connection.state is DISCONNECTED
    assert PING not in await harness.server.take()
    assert harness.near_ends[0].ended == "closed"
    await connection.start()
    assert connection.state is CONNECTED


@pytest.mark.parametrize("first", [b"", b'{"err'])
async def test_handshake_timeout(harness: ClientHarness, first: bytes) -> None:
    """H-12: an incomplete response does not extend the timeout."""
    connection = harness.connection(handshake_timeout=7)
    harness.answers.append(lambda server: server.send_bytes(first) if first else None)
    starting = asyncio.create_task(connection.start())
    await harness.clock.advance(6.9)
    assert not starting.done()
    await harness.clock.advance(0.1)
    with pytest.raises(
        HandshakeError, match=r"The server did not answer the handshake within 7 seconds\."
    ):
        await starting
    assert connection.state is DISCONNECTED
    await harness.clock.advance(0)
    assert harness.near_ends[0].ended == "closed"


async def test_a_response_in_slices_with_messages_behind_it(harness: ClientHarness) -> None:
    """H-3, H-14: what follows the response in the same bytes is handled, in order."""
    connection = harness.connection()
    heard: list[Any] = []
    connection.on("News", heard.append)
    harness.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await harness.clock.settle()
    harness.server.send_bytes(b"{")
    await harness.clock.settle()
    harness.server.send_bytes(
        b'}\x1e{"type":1,"target":"News","arguments":[1]}\x1e{"type":1,"target":"News","argu'
    )
    await harness.clock.settle()
    harness.server.send_bytes(b'ments":[2]}\x1e')
    await starting
    await harness.clock.settle()
    assert heard == [1, 2]


async def test_a_close_right_behind_the_response(harness: ClientHarness) -> None:
    """C-15: start succeeds, and then the connection ends."""
    connection = harness.connection()
    closed: list[str] = []
    connection.on_closed(lambda error: closed.append(str(error)))
    harness.answers.append(answer({}, {"type": 7, "error": "full"}))
    await connection.start()
    await harness.clock.settle()
    assert connection.state is DISCONNECTED
    assert closed == ["The server closed the connection with the following error: full"]


@pytest.mark.parametrize("call", ["invoke", "send"])
async def test_calls_without_a_connection(harness: ClientHarness, call: str) -> None:
    """C-20: NotConnectedError before start, while connecting, and after stop."""
    connection = harness.connection()
    text = f"The '{call}' method cannot be called if the connection is not active"

    async def refused(reason: str) -> None:
        with pytest.raises(NotConnectedError) as caught:
            await getattr(connection, call)("X")
        assert str(caught.value) == f"{text}: {reason}."
        assert caught.value.__cause__ is None

    await refused("it was never started")
    harness.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await harness.clock.settle()
    await refused("it is being started")
    harness.server.send({})
    await starting
    await connection.stop()
    await refused("it was stopped")
    assert await harness.server.take() == [HANDSHAKE, PING, CLOSE]
