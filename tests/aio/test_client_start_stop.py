"""Starting and stopping a client connection, and all that can come between (C-1, C-17, H)."""

import asyncio
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HandshakeError,
    HubConnection,
    HubConnectionState,
    LocalProtocolError,
    NegotiationError,
    NotConnectedError,
)

from .client_lab import CLOSE, PING, REQUEST, ClientLab, RawServer, be_silent, refusal

TOO_LARGE = (
    "The maximum message size of 65536B was exceeded. "
    "The message size can be configured in AddHubOptions."
)
DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTING = HubConnectionState.CONNECTING
CONNECTED = HubConnectionState.CONNECTED


def answer(*records: Any) -> Any:
    """A server that answers the handshake with these records, then ends."""

    def act(server: RawServer) -> None:
        server.send(*records)

    return act


def leave(server: RawServer) -> None:
    server.vanish()


def violate(server: RawServer) -> None:
    server.transport.violate("bad frame")


async def test_start_and_stop(client_lab: ClientLab) -> None:
    """C-1, C-17, C-20: handshake, Ping, ready; Close, then the end of the transport."""
    connection = client_lab.connection()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    assert (connection.state, connection.connection_id) == (DISCONNECTED, None)
    starting = asyncio.create_task(connection.start())
    await asyncio.sleep(0)
    assert (connection.state, connection.connection_id) == (CONNECTING, None)
    await starting
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-1")
    assert await client_lab.server.take() == [REQUEST, PING]
    await connection.stop()
    assert (connection.state, connection.connection_id) == (DISCONNECTED, None)
    assert await client_lab.server.take() == [CLOSE]
    assert client_lab.near_ends[0].ended == "closed"
    assert closed == [None]
    assert client_lab.clock.leftovers() == []


async def test_async_with(client_lab: ClientLab) -> None:
    """``async with`` is start and stop, also when the block fails."""
    connection = client_lab.connection()

    async def fail_inside() -> None:
        async with connection as entered:
            assert entered is connection
            assert connection.state is CONNECTED
            raise LookupError

    with pytest.raises(LookupError):
        await fail_inside()
    assert connection.state is DISCONNECTED
    assert await client_lab.server.take() == [REQUEST, PING, CLOSE]


async def test_start_again(client_lab: ClientLab) -> None:
    """C-6, C-20: after a stop a new connection, with ids from the beginning; handlers stay."""
    connection = client_lab.connection()
    heard: list[Any] = []
    connection.on("News", heard.append)
    for count in (1, 2, 3):
        await connection.start()
        assert connection.connection_id == f"id-{count}"
        client_lab.server.send({"type": 1, "target": "News", "arguments": [count]})
        invoking = asyncio.create_task(connection.invoke("X"))
        assert (await client_lab.server.take())[-1]["invocationId"] == "1"
        await connection.stop()
        with pytest.raises(ConnectionClosed):
            await invoking
    assert heard == [1, 2, 3]


async def test_starting_twice(client_lab: ClientLab) -> None:
    """C-20: only a disconnected connection can be started; the one there is goes on."""
    connection = client_lab.connection()
    starting = asyncio.create_task(connection.start())
    await asyncio.sleep(0)
    text = "cannot be started if it is not in the Disconnected state"
    with pytest.raises(LocalProtocolError, match=text):
        await connection.start()
    await starting
    with pytest.raises(LocalProtocolError, match=text):
        await connection.start()
    assert connection.state is CONNECTED
    assert len(client_lab.attempts) == 1


async def test_stopping_what_is_not_started(client_lab: ClientLab) -> None:
    """C-17: harmless, before and after."""
    connection = client_lab.connection()
    await connection.stop()
    await connection.start()
    await connection.stop()
    await connection.stop()
    assert connection.state is DISCONNECTED


async def test_stopping_twice_at_once(client_lab: ClientLab) -> None:
    """C-17: both return when it is done; one Close, one callback."""
    connection = await client_lab.started()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    await asyncio.gather(connection.stop(), connection.stop())
    assert await client_lab.server.take() == [CLOSE]
    assert closed == [None]


async def test_a_negotiation_that_fails(client_lab: ClientLab) -> None:
    """R-2: start raises what the connector raised, and nothing is retried."""
    connection = client_lab.connection(lambda _: 0.0)
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    error = refusal("no such hub")
    client_lab.answers.append(error)
    with pytest.raises(NegotiationError, match="no such hub") as caught:
        await connection.start()
    assert caught.value is error
    assert connection.state is DISCONNECTED
    await client_lab.clock.advance(100)
    assert len(client_lab.attempts) == 1
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
async def test_a_handshake_that_fails(client_lab: ClientLab, act: Any, text: str) -> None:
    """H-12: HandshakeError with the reason; the transport is cut, no Ping was sent."""
    connection = client_lab.connection(lambda _: 0.0)
    client_lab.answers.append(act)
    with pytest.raises(HandshakeError) as caught:
        await connection.start()
    assert str(caught.value) == text
    assert connection.state is DISCONNECTED
    assert PING not in await client_lab.server.take()
    assert client_lab.near_ends[0].ended == "aborted"
    await connection.start()
    assert connection.state is CONNECTED


@pytest.mark.parametrize("first", [b"", b'{"err'])
async def test_handshake_timeout(client_lab: ClientLab, first: bytes) -> None:
    """H-12: no whole response in time; the rest of one does not help."""
    connection = client_lab.connection(handshake_timeout=7)
    client_lab.answers.append(lambda server: server.send_bytes(first) if first else None)
    starting = asyncio.create_task(connection.start())
    await client_lab.clock.advance(6.9)
    assert not starting.done()
    await client_lab.clock.advance(0.1)
    with pytest.raises(
        HandshakeError, match=r"The server did not answer the handshake within 7 seconds\."
    ):
        await starting
    assert connection.state is DISCONNECTED
    assert client_lab.near_ends[0].ended == "aborted"


async def test_a_response_in_slices_with_messages_behind_it(client_lab: ClientLab) -> None:
    """H-3, H-14: what follows the response in the same bytes is handled, in order."""
    connection = client_lab.connection()
    heard: list[Any] = []
    connection.on("News", heard.append)
    client_lab.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await client_lab.clock.settle()
    client_lab.server.send_bytes(b"{")
    await client_lab.clock.settle()
    client_lab.server.send_bytes(
        b'}\x1e{"type":1,"target":"News","arguments":[1]}\x1e{"type":1,"target":"News","argu'
    )
    await client_lab.clock.settle()
    client_lab.server.send_bytes(b'ments":[2]}\x1e')
    await starting
    await client_lab.clock.settle()
    assert heard == [1, 2]


async def test_a_close_right_behind_the_response(client_lab: ClientLab) -> None:
    """C-15: start succeeds, and the connection ends; both is told."""
    connection = client_lab.connection()
    closed: list[str] = []
    connection.on_closed(lambda error: closed.append(str(error)))
    client_lab.answers.append(answer({}, {"type": 7, "error": "full"}))
    await connection.start()
    await client_lab.clock.settle()
    assert connection.state is DISCONNECTED
    assert closed == ["The server closed the connection with the following error: full"]


async def test_stop_during_the_handshake(client_lab: ClientLab) -> None:
    """C-17: whoever starts learns that it was in vain; nothing stays connected."""
    connection = client_lab.connection()
    client_lab.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await client_lab.clock.settle()
    stopping = asyncio.create_task(connection.stop())
    await client_lab.clock.settle()
    client_lab.server.send({})
    with pytest.raises(NotConnectedError):
        await starting
    await stopping
    assert connection.state is DISCONNECTED
    assert client_lab.near_ends[0].ended is not None
    await connection.start()
    assert connection.state is CONNECTED


async def test_stop_during_negotiation(client_lab: ClientLab) -> None:
    """C-17: the same one step earlier."""
    gate = asyncio.Event()
    client_lab.before_connecting = gate.wait
    connection = client_lab.connection()
    starting = asyncio.create_task(connection.start())
    await client_lab.clock.settle()
    stopping = asyncio.create_task(connection.stop())
    await client_lab.clock.settle()
    gate.set()
    with pytest.raises(NotConnectedError):
        await starting
    await stopping
    assert connection.state is DISCONNECTED
    assert all(end.ended is not None for end in client_lab.near_ends)


@pytest.mark.parametrize("rounds", range(12))
async def test_stop_at_any_moment_of_a_start(client_lab: ClientLab, rounds: int) -> None:
    """C-17: when stop returns nothing is connected, and the connection can be started again; a
    start that was in vain says so."""
    connection = client_lab.connection()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    starting = asyncio.create_task(connection.start())
    for _ in range(rounds):
        await asyncio.sleep(0)
    was_connected = starting.done()
    await connection.stop()
    assert connection.state is DISCONNECTED
    assert all(end.ended for end in client_lab.near_ends)
    if was_connected:
        await starting
    elif rounds:
        with pytest.raises(NotConnectedError):
            await starting
    else:  # stop came first
        await starting
        await connection.stop()
    await client_lab.clock.settle()
    assert closed == [None] or not (closed or was_connected)
    assert client_lab.clock.leftovers() == []
    await connection.start()
    assert connection.state is CONNECTED


async def test_stop_right_behind_start_of_a_silent_server(client_lab: ClientLab) -> None:
    """C-17: does not wait for the handshake timeout; the connection can be started at once."""
    connection = client_lab.connection()
    client_lab.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await client_lab.clock.settle()
    await connection.stop()
    assert connection.state is DISCONNECTED
    await connection.start()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    with pytest.raises(NotConnectedError):
        await starting
    assert connection.state is CONNECTED


@pytest.mark.parametrize("call", ["invoke", "send"])
async def test_calls_without_a_connection(client_lab: ClientLab, call: str) -> None:
    """C-20: NotConnectedError before start, while connecting, and after stop."""
    connection = client_lab.connection()
    text = f"The '{call}' method cannot be called if the connection is not active."

    async def refused() -> None:
        with pytest.raises(NotConnectedError) as caught:
            await getattr(connection, call)("X")
        assert str(caught.value) == text

    await refused()
    client_lab.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await client_lab.clock.settle()
    await refused()
    client_lab.server.send({})
    await starting
    await connection.stop()
    await refused()
    assert await client_lab.server.take() == [REQUEST, PING, CLOSE]


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
async def test_what_the_server_ends_it_with(client_lab: ClientLab, message: Any, text: str) -> None:
    """C-15, C-18: nothing behind it counts; on_closed is told why."""
    connection = await client_lab.started()
    closed: list[Exception | None] = []
    heard: list[Any] = []
    connection.on_closed(closed.append)
    connection.on("News", heard.append)
    news = {"type": 1, "target": "News", "arguments": [1]}
    client_lab.server.send(news, message, news)
    await client_lab.clock.settle()
    (error,) = closed
    assert isinstance(error, ConnectionClosed)
    assert str(error) == text
    assert heard == [1]
    assert (connection.state, connection.connection_id) == (DISCONNECTED, None)
    assert client_lab.near_ends[0].ended == "closed"
    assert client_lab.clock.leftovers() == []


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
async def test_the_end_without_a_close(client_lab: ClientLab, act: Any, text: str) -> None:
    """C-16: told as an error, though nobody said why."""
    connection = await client_lab.started(maximum_receive_message_size=65_536)
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    act(client_lab.server)
    await client_lab.clock.settle()
    assert [(type(error), str(error)) for error in closed] == [(ConnectionClosed, text)]
    assert connection.state is DISCONNECTED


async def test_a_transport_that_fails(
    client_lab: ClientLab, caplog: pytest.LogCaptureFixture
) -> None:
    """C-16: whatever goes wrong, the connection ends, calls fail, and on_closed is told."""
    connection = await client_lab.started()
    closed: list[str] = []
    connection.on_closed(lambda error: closed.append(str(error)))
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.clock.settle()
    client_lab.server.transport.fail(LookupError("bug"))
    with pytest.raises(ConnectionClosed):
        await calling
    await client_lab.clock.settle()
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
async def test_messages_that_mean_nothing(client_lab: ClientLab, message: Any) -> None:
    """C-11, C-12, C-19: dropped; what stands behind is handled."""
    connection = await client_lab.started()
    heard: list[Any] = []
    connection.on("News", heard.append)
    client_lab.server.send(message, {"type": 1, "target": "News", "arguments": [1]})
    assert await client_lab.server.take() == []
    assert heard == [1]
    assert connection.state is CONNECTED


async def test_callbacks(client_lab: ClientLab, caplog: pytest.LogCaptureFixture) -> None:
    """Plain and async ones, in order of registration; one that fails is logged, the rest run."""
    connection = await client_lab.started()
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


async def test_restart_in_on_closed(client_lab: ClientLab) -> None:
    """C-20: the connection is disconnected when the callback runs, and may be started there."""
    connection = await client_lab.started()
    states: list[HubConnectionState] = []

    @connection.on_closed
    async def restart(_: Exception | None) -> None:
        states.append(connection.state)
        if len(client_lab.servers) < 3:
            await connection.start()

    client_lab.server.vanish()
    await client_lab.clock.settle()
    client_lab.server.send(CLOSE)
    await client_lab.clock.settle()
    assert states == [DISCONNECTED, DISCONNECTED]
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-3")
    await connection.stop()
    assert (states[-1], connection.state) == (DISCONNECTED, DISCONNECTED)


async def test_stop_in_on_closed(client_lab: ClientLab) -> None:
    """C-17: harmless there, too."""
    connection = await client_lab.started()
    connection.on_closed(lambda _: connection.stop())
    client_lab.server.vanish()
    await client_lab.clock.settle()
    assert connection.state is DISCONNECTED


async def test_restart_by_who_waited_for_an_answer(client_lab: ClientLab) -> None:
    """C-20: a caller that learns of the loss may start at once, though the old connection is
    still being put away; what that one has left to do does not touch the new one."""
    connection = await client_lab.started()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)

    async def work() -> Any:
        try:
            return await connection.invoke("X")
        except ConnectionClosed:
            await connection.start()
            return connection.state, connection.connection_id

    working = asyncio.create_task(work())
    await client_lab.clock.settle()
    client_lab.server.vanish()
    assert await working == (CONNECTED, "id-2")
    await client_lab.clock.settle()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    assert len(closed) == 1
    await connection.stop()
    assert connection.state is DISCONNECTED
    assert len(closed) == 2


async def until_lost(connection: HubConnection) -> None:
    """To the very tick: the old connection is still being put away."""
    for _ in range(100):
        if connection.state is not CONNECTED:
            return
        await asyncio.sleep(0)


async def test_the_state_of_such_a_restart(client_lab: ClientLab) -> None:
    """C-20: Connecting until it is connected, so that nobody else starts it beside."""
    connection = await client_lab.started()
    client_lab.server.vanish()
    await until_lost(connection)
    gate = asyncio.Event()
    client_lab.before_connecting = gate.wait
    starting = asyncio.create_task(connection.start())
    await client_lab.clock.settle()
    assert connection.state is CONNECTING
    with pytest.raises(LocalProtocolError):
        await connection.start()
    gate.set()
    await starting
    await client_lab.clock.settle()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")


async def test_start_beside_a_stop(client_lab: ClientLab) -> None:
    """C-17, C-20: the old connection was stopped, which is no error; the new one lives."""
    connection = await client_lab.started(lambda _: 0.0)
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    stopping = asyncio.create_task(connection.stop())
    await until_lost(connection)
    await connection.start()
    await stopping
    await client_lab.clock.settle()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    assert closed == [None]
    assert len(client_lab.servers) == 2


async def test_stop_by_a_handler(client_lab: ClientLab) -> None:
    """C-17: an async handler may stop the connection it was called by."""
    connection = await client_lab.started()
    connection.on("Stop", connection.stop)
    client_lab.server.send({"type": 1, "target": "Stop", "arguments": []})
    assert await client_lab.server.take() == [CLOSE]
    assert connection.state is DISCONNECTED
    assert client_lab.clock.leftovers() == []
