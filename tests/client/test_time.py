"""Pings and the server timeout of a client, second by second (K-2, K-4, H-13)."""

import asyncio
from typing import Any

import pytest

from protocol import ConnectionClosed, HubConnection, HubConnectionState, ServerTimeoutError
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import HANDSHAKE, PING

TIMED_OUT = "Server timeout (30000.00ms) elapsed without receiving a message from the server."


def is_connected(connection: HubConnection) -> bool:
    assert connection.state in (HubConnectionState.CONNECTED, HubConnectionState.DISCONNECTED)
    return connection.state is HubConnectionState.CONNECTED


async def keep_alive(harness: ClientHarness, seconds: int) -> list[Any]:
    """Moves the time while the server pings. Returns what the client sent."""
    sent: list[Any] = []
    for _ in range(seconds):
        harness.server.send(PING)
        await harness.clock.advance(1)
        sent += await harness.server.take()
    return sent


async def test_pings(harness: ClientHarness) -> None:
    """K-4: one after each 15 s in which the client sent nothing, whatever the server sends."""
    await harness.started()
    assert await keep_alive(harness, 14) == []
    assert await keep_alive(harness, 1) == [PING]
    assert await keep_alive(harness, 14) == []
    assert await keep_alive(harness, 31) == [PING] * 3


async def test_any_message_postpones_the_ping(harness: ClientHarness) -> None:
    """K-4: sends, calls and cancellations."""
    connection = await harness.started()
    await keep_alive(harness, 10)
    await connection.send("X")
    assert PING not in await keep_alive(harness, 14)
    calling = asyncio.create_task(connection.invoke("X"))
    assert PING not in await keep_alive(harness, 14)
    calling.cancel()
    assert PING not in await keep_alive(harness, 14)
    assert await keep_alive(harness, 1) == [PING]


async def test_one_timer(harness: ClientHarness) -> None:
    """Between two deadlines no timer fires, whatever the traffic."""
    connection = await harness.started()
    started = harness.clock.time()
    for second in range(15):
        assert [timer.when() - started for timer in harness.clock.timers()] == [15]
        harness.server.send(PING)
        await connection.send("X")
        await harness.clock.advance(1 if second < 14 else 0.5)
    await harness.clock.advance(0.5)  # at 15 s nothing is due, for the last send was at 14 s
    assert [timer.when() - started for timer in harness.clock.timers()] == [29]


async def test_server_timeout(harness: ClientHarness) -> None:
    """K-2: 30 s without a message; the transport is closed, calls and on_closed get the error."""
    connection = await harness.started()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.advance(29.9)
    assert is_connected(connection)
    await harness.clock.advance(1)
    assert not is_connected(connection)
    with pytest.raises(ServerTimeoutError) as caught:
        await calling
    assert str(caught.value) == TIMED_OUT
    assert [str(error) for error in closed] == [TIMED_OUT]
    assert harness.near_ends[0].ended == "closed"
    assert harness.clock.leftovers() == []


async def test_a_blocked_loop(harness: ClientHarness) -> None:
    """K-2: what has arrived while the client's own loop was blocked is read before the timeout."""
    connection = await harness.started()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    await harness.clock.block(45)
    harness.server.send(PING)
    await harness.clock.advance(29)
    assert is_connected(connection)
    await harness.clock.advance(1)
    assert [str(error) for error in closed] == [TIMED_OUT]


async def test_a_blocked_loop_and_a_silent_server(harness: ClientHarness) -> None:
    """K-2: the error says that the loop was blocked, since the timer of the ping at 15 s."""
    connection = await harness.started()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    await harness.clock.block(45)
    await harness.clock.advance(0.9)
    assert is_connected(connection)
    await harness.clock.block(0.7)
    text = f"{TIMED_OUT} The event loop was blocked for at least 30.0 s."
    assert [str(error) for error in closed] == [text]


async def test_a_server_timeout_allows_to_reconnect(harness: ClientHarness) -> None:
    """K-2: the client reconnects."""
    connection = await harness.started(lambda _: 0.0)
    reasons: list[Exception | None] = []
    connection.on_reconnecting(reasons.append)
    await harness.clock.advance(31)
    assert (connection.state, connection.connection_id) == (HubConnectionState.CONNECTED, "id-2")
    assert [type(reason) for reason in reasons] == [ServerTimeoutError]


@pytest.mark.parametrize(
    "message",
    [PING, {"type": 1, "target": "X", "arguments": []}, {"type": 99}, {"type": 8, "sequenceId": 1}],
    ids=["ping", "invocation", "unknown", "ack"],
)
async def test_any_message_is_a_sign_of_life(harness: ClientHarness, message: Any) -> None:
    """K-2: any complete hub message resets it."""
    connection = await harness.started()
    for _ in range(4):
        await harness.clock.advance(29)
        harness.server.send(message)
    await harness.clock.advance(29)
    assert is_connected(connection)
    await harness.clock.advance(2)
    assert not is_connected(connection)


async def test_bytes_of_an_incomplete_message_are_none(harness: ClientHarness) -> None:
    """K-2: bytes of an incomplete message do not reset it."""
    connection = await harness.started()
    for byte in b'{"type":1,"target":"X","arguments":[':
        harness.server.send_bytes(bytes([byte]))
        await harness.clock.advance(1)
    assert not is_connected(connection)


async def test_the_clock_starts_with_the_handshake(harness: ClientHarness) -> None:
    """K-2: a slow handshake does not count."""
    connection = harness.connection(handshake_timeout=100, server_timeout=10)
    harness.answers.append(lambda _: None)
    starting = asyncio.create_task(connection.start())
    await harness.clock.advance(50)
    harness.server.send({})
    await starting
    await harness.clock.advance(9.9)
    assert is_connected(connection)
    await harness.clock.advance(0.1)
    assert not is_connected(connection)


async def test_intervals_are_options(harness: ClientHarness) -> None:
    """D: keep_alive_interval and server_timeout, the latter named in the error."""
    connection = await harness.started(keep_alive_interval=2, server_timeout=4.5)
    closed: list[str] = []
    connection.on_closed(lambda error: closed.append(str(error)))
    await harness.clock.advance(4)
    assert await harness.server.take() == [PING, PING]
    await harness.clock.advance(1)
    assert closed == [TIMED_OUT.replace("30000", "4500")]


async def test_no_clock_after_the_end(harness: ClientHarness) -> None:
    """C-17: neither pings nor timeouts of a connection that was stopped."""
    connection = await harness.started()
    await connection.stop()
    await harness.server.take()
    await harness.clock.advance(100)
    assert await harness.server.take() == []
    assert harness.clock.leftovers() == []


async def test_a_stop_that_the_transport_delays(harness: ClientHarness) -> None:
    """C-17: calls end at once, not when the transport is done."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.server.take()
    harness.server.transport.pause_reading()
    stopping = asyncio.create_task(connection.stop())
    with pytest.raises(ConnectionClosed):
        await calling
    await stopping


async def test_a_transport_that_keeps_itself_alive(harness: ClientHarness) -> None:
    """TL-11, K-4: over polls there is no ping, not even the first, and no server timeout."""
    harness.has_inherent_keep_alive = True
    connection = harness.connection()
    await connection.start()
    await harness.clock.advance(100)
    assert is_connected(connection)
    assert await harness.server.take() == [HANDSHAKE]
