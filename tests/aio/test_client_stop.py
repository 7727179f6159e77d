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

from .client_lab import CLOSE, ClientLab, be_silent

DISCONNECTED = HubConnectionState.DISCONNECTED
CONNECTING = HubConnectionState.CONNECTING
CONNECTED = HubConnectionState.CONNECTED


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
