"""Our client over each transport while ASP.NET Core stops, is killed, hangs, or sends nothing."""

import asyncio
import contextlib
import itertools

import pytest

from protocol import (
    ConnectionClosed,
    HttpTransportType,
    HubConnection,
    HubConnectionState,
    NotConnectedError,
    ServerTimeoutError,
)
from tests.interop.journal import REPEATEDLY
from tests.interop.python_client import Combination, Diary, each_transport
from tests.interop.servers import HubProgram, HubServer, running

pytestmark = pytest.mark.parametrize(
    ("program", "combination"), [*each_transport()], indirect=["program"]
)

"""Delays between attempts to reconnect, in seconds."""


async def invoke_when_reconnected(
    connection: HubConnection, diary: Diary, target: str, argument: str
) -> None:
    """A fast client may reconnect to the old server while that stops, and so reconnects twice."""
    for attempt in itertools.count(1):
        await diary.change("reconnected", attempt)
        with contextlib.suppress(NotConnectedError, ConnectionClosed):
            await connection.invoke(target, argument)
            return


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_reconnect_after_a_restart(
    own_hub: HubServer, combination: Combination, how: str
) -> None:
    builder = combination.to(own_hub).with_automatic_reconnect(
        [delay / 1000 for delay in REPEATEDLY]
    )
    connection = builder.build()
    diary = Diary(connection)
    async with connection:
        first_id = connection.connection_id
        await (own_hub.stop() if how == "stopped" else own_hub.kill())
        await diary.change("reconnecting")
        await own_hub.start()
        await invoke_when_reconnected(connection, diary, "SendToCaller", "back")
        assert await diary.calls.wait() == [("back",)]
        assert connection.connection_id not in {first_id, None}


async def test_a_call_in_flight_fails_when_the_hub_dies(
    own_hub: HubServer, combination: Combination
) -> None:
    connection = combination.to(own_hub).build()
    diary = Diary(connection)
    await connection.start()
    call = asyncio.create_task(connection.invoke("Hold", "call"))
    await own_hub.holding("call")
    await own_hub.kill()
    with pytest.raises(ConnectionClosed):
        await call
    assert isinstance(await diary.change("closed"), Exception)
    assert connection.state is HubConnectionState.DISCONNECTED


async def test_pings_of_both_sides_keep_an_idle_connection(
    program: HubProgram, combination: Combination
) -> None:
    # Both check once a second, so a ping that is due every second is sent every two at the latest.
    program = program.with_environment(HUB_KEEPALIVE="1000", HUB_TIMEOUT="4000")
    async with running(program) as hub:
        builder = combination.to(hub)
        connection = builder.with_keep_alive_interval(1).with_server_timeout(4).build()
        diary = Diary(connection)
        async with connection:
            await connection.invoke("Later", 5000, "still here")
            assert await diary.calls.wait() == [("still here",)]
            assert diary.changes.entries == []


async def test_a_frozen_hub_is_missed(own_hub: HubServer, combination: Combination) -> None:
    """But over long polling, which has no server timeout (TL-11): there it may thaw."""
    builder = combination.to(own_hub)
    connection = builder.with_keep_alive_interval(0.1).with_server_timeout(0.5).build()
    diary = Diary(connection)
    await connection.start()
    own_hub.freeze()
    if combination.transport is HttpTransportType.LONG_POLLING:
        calling = asyncio.create_task(connection.invoke("Add", 1, 2))
        await asyncio.wait({calling}, timeout=2)  # as long as the others need to notice the timeout
        own_hub.thaw()
        assert await calling == 3
        await connection.stop()
        assert diary.changes.entries == [("closed", None)]
    else:
        assert isinstance(await diary.change("closed"), ServerTimeoutError)
