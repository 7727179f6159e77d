"""Stopping a client connection at any moment, and starting it again (C-17, C-20)."""

import asyncio
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HubConnection,
    HubConnectionState,
    LocalProtocolError,
    NotConnectedError,
)
from tests.support.client_harness import ClientHarness, be_silent
from tests.support.hub_messages import CLOSE

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTING = HubConnectionState.CONNECTING
CONNECTED = HubConnectionState.CONNECTED


async def test_stopping_what_is_not_started(harness: ClientHarness) -> None:
    """C-17: stop does nothing before a start and after a stop."""
    connection = harness.connection()
    await connection.stop()
    await connection.start()
    await connection.stop()
    await connection.stop()
    assert connection.state is DISCONNECTED


async def test_stopping_twice_at_once(harness: ClientHarness) -> None:
    """C-17: both return when it is done; one Close, one callback."""
    connection = await harness.started()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    await asyncio.gather(connection.stop(), connection.stop())
    assert await harness.server.take() == [CLOSE]
    assert closed == [None]


async def test_stop_during_the_handshake(harness: ClientHarness) -> None:
    """C-17: start raises NotConnectedError, and no connection stays open."""
    connection = harness.connection()
    harness.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await harness.clock.settle()
    stopping = asyncio.create_task(connection.stop())
    await harness.clock.settle()
    harness.server.send({})
    with pytest.raises(NotConnectedError):
        await starting
    await stopping
    assert connection.state is DISCONNECTED
    assert harness.near_ends[0].ended is not None
    await connection.start()
    assert connection.state is CONNECTED


async def test_stop_during_negotiation(harness: ClientHarness) -> None:
    """C-17: the same one step earlier."""
    gate = asyncio.Event()
    harness.before_connecting = gate.wait
    connection = harness.connection()
    starting = asyncio.create_task(connection.start())
    await harness.clock.settle()
    stopping = asyncio.create_task(connection.stop())
    await harness.clock.settle()
    gate.set()
    with pytest.raises(NotConnectedError):
        await starting
    await stopping
    assert connection.state is DISCONNECTED
    assert all(end.ended is not None for end in harness.near_ends)


@pytest.mark.parametrize("rounds", range(12))
async def test_stop_at_any_moment_of_a_start(harness: ClientHarness, rounds: int) -> None:
    """C-17: when stop returns nothing is connected, and the connection can be started again; a
    start that was in vain says so."""
    connection = harness.connection()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    starting = asyncio.create_task(connection.start())
    for _ in range(rounds):
        await asyncio.sleep(0)
    was_connected = starting.done()
    await connection.stop()
    assert connection.state is DISCONNECTED
    assert all(end.ended for end in harness.near_ends)
    if was_connected:
        await starting
    elif rounds:
        with pytest.raises(NotConnectedError):
            await starting
    else:  # stop was called first
        await starting
        await connection.stop()
    await harness.clock.settle()
    assert closed == [None] or not (closed or was_connected)
    assert harness.clock.leftovers() == []
    await connection.start()
    assert connection.state is CONNECTED


async def test_stop_right_behind_start_of_a_silent_server(harness: ClientHarness) -> None:
    """C-17: does not wait for the handshake timeout; the connection can be started at once."""
    connection = harness.connection()
    harness.answers.append(be_silent)
    starting = asyncio.create_task(connection.start())
    await harness.clock.settle()
    await connection.stop()
    assert connection.state is DISCONNECTED
    await connection.start()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    with pytest.raises(NotConnectedError):
        await starting
    assert connection.state is CONNECTED


async def test_restart_in_on_closed(harness: ClientHarness) -> None:
    """C-20: the connection is disconnected when the callback runs, and may be started there."""
    connection = await harness.started()
    states: list[HubConnectionState] = []

    @connection.on_closed
    async def restart(_: Exception | None) -> None:
        states.append(connection.state)
        if len(harness.servers) < 3:
            await connection.start()

    harness.server.vanish()
    await harness.clock.settle()
    harness.server.send(CLOSE)
    await harness.clock.settle()
    assert states == [DISCONNECTED, DISCONNECTED]
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-3")
    await connection.stop()
    assert (states[-1], connection.state) == (DISCONNECTED, DISCONNECTED)


async def test_stop_in_on_closed(harness: ClientHarness) -> None:
    """C-17: stop does nothing there either."""
    connection = await harness.started()
    connection.on_closed(lambda _: connection.stop())
    harness.server.vanish()
    await harness.clock.settle()
    assert connection.state is DISCONNECTED


async def test_restart_by_who_waited_for_an_answer(harness: ClientHarness) -> None:
    """C-20: a caller that learns of the loss may start at once, though the old connection is
    still being put away; what that one has left to do does not touch the new one."""
    connection = await harness.started()
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)

    async def work() -> Any:
        try:
            return await connection.invoke("X")
        except ConnectionClosed:
            await connection.start()
            return connection.state, connection.connection_id

    working = asyncio.create_task(work())
    await harness.clock.settle()
    harness.server.vanish()
    assert await working == (CONNECTED, "id-2")
    await harness.clock.settle()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    assert len(closed) == 1
    await connection.stop()
    assert connection.state is DISCONNECTED
    assert len(closed) == 2


async def until_lost(connection: HubConnection) -> None:
    """Starts again in the same turn, while the old connection is still closing."""
    for _ in range(100):
        if connection.state is not CONNECTED:
            return
        await asyncio.sleep(0)


async def test_the_state_of_such_a_restart(harness: ClientHarness) -> None:
    """C-20: the state is Connecting meanwhile, so a second start is refused."""
    connection = await harness.started()
    harness.server.vanish()
    await until_lost(connection)
    gate = asyncio.Event()
    harness.before_connecting = gate.wait
    starting = asyncio.create_task(connection.start())
    await harness.clock.settle()
    assert connection.state is CONNECTING
    with pytest.raises(LocalProtocolError):
        await connection.start()
    gate.set()
    await starting
    await harness.clock.settle()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")


async def test_start_beside_a_stop(harness: ClientHarness) -> None:
    """C-17, C-20: the old connection ends without an error; the new one stays open."""
    connection = await harness.started(lambda _: 0.0)
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    stopping = asyncio.create_task(connection.stop())
    await until_lost(connection)
    await connection.start()
    await stopping
    await harness.clock.settle()
    assert (connection.state, connection.connection_id) == (CONNECTED, "id-2")
    assert closed == [None]
    assert len(harness.servers) == 2


async def test_stop_by_a_handler(harness: ClientHarness) -> None:
    """C-17: an async handler may stop the connection it was called by."""
    connection = await harness.started()
    connection.on("Stop", connection.stop)
    harness.server.send({"type": 1, "target": "Stop", "arguments": []})
    assert await harness.server.take() == [CLOSE]
    assert connection.state is DISCONNECTED
    assert harness.clock.leftovers() == []
