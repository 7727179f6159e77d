"""Our client against ASP.NET Core, with its System.Text.Json protocol and with Newtonsoft's."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from protocol import (
    ConnectionClosed,
    HubConnection,
    HubConnectionBuilder,
    HubConnectionState,
    HubException,
    NotConnectedError,
    ServerTimeoutError,
)
from tests.interop.expectations import REFUSALS
from tests.interop.journal import Journal
from tests.interop.servers import HubProgram, HubServer, running

pytestmark = pytest.mark.parametrize("program", ["newtonsoft", "system-text-json"], indirect=True)

REPEATEDLY = [0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
"""Delays between attempts to reconnect, in seconds."""


class Request(msgspec.Struct):
    name: str
    message: str


class Diary:
    """What a connection tells its user, in order: the events it raises, and its end."""

    def __init__(self, connection: HubConnection) -> None:
        self.calls = Journal[tuple[Any, ...]]("calls")
        self.changes = Journal[tuple[str, Any]]("changes of state")
        connection.on_closed(lambda error: self.changes.add(("closed", error)))
        connection.on_reconnecting(lambda error: self.changes.add(("reconnecting", error)))
        connection.on_reconnected(lambda new_id: self.changes.add(("reconnected", new_id)))

        @connection.on("ReceiveMessage")
        def received(name: str, message: str) -> None:
            self.calls.add((name, message))

        @connection.on("ReceiveText")
        async def told(text: str) -> None:
            self.calls.add((text,))

    async def change(self, kind: str, count: int = 1) -> Any:
        """Waits until a change has happened `count` times; what came with the last of these."""
        changes = await self.changes.wait(count, lambda change: change[0] == kind)
        return changes[count - 1][1]


@pytest_asyncio.fixture(loop_scope="session")
async def connection(hub: HubServer) -> AsyncIterator[HubConnection]:
    async with HubConnectionBuilder().with_url(hub.url).build() as connection:
        yield connection


async def invoke_when_reconnected(
    connection: HubConnection, diary: Diary, target: str, argument: str
) -> None:
    """A quick client finds the old server once more, on its way out, and so comes back twice."""
    for attempt in itertools.count(1):
        await diary.change("reconnected", attempt)
        with contextlib.suppress(NotConnectedError, ConnectionClosed):
            await connection.invoke(target, argument)
            return


async def test_invoke_returns_the_result(connection: HubConnection) -> None:
    assert await connection.invoke("Add", 1, 2, result_type=int) == 3
    assert await connection.invoke("Nothing") is None
    request = Request("Zoë 😀", "\u2028 </")
    assert await connection.invoke("Echo", request, result_type=Request) == request
    assert await connection.invoke("Echo", [1, "x", None, {"a": True}]) == [
        1,
        "x",
        None,
        {"a": True},
    ]


async def test_concurrent_calls_get_their_own_results(connection: HubConnection) -> None:
    calls = (connection.invoke("Add", number, 1, result_type=int) for number in range(100))
    assert await asyncio.gather(*calls) == list(range(1, 101))


@pytest.mark.parametrize(("target", "arguments", "text"), REFUSALS)
async def test_errors_of_the_hub_are_hub_exceptions(
    connection: HubConnection, target: str, arguments: list[Any], text: str
) -> None:
    with pytest.raises(HubException) as caught:
        await connection.invoke(target, *arguments)
    assert str(caught.value) == text
    assert await connection.invoke("Add", 1, 1) == 2  # the connection lives on


async def test_events_arrive_in_order(hub: HubServer) -> None:
    connection = HubConnectionBuilder().with_url(hub.url).build()
    diary = Diary(connection)
    undecoded = Journal[tuple[str, bytes]]("undecoded events")
    connection.on_any(lambda target, arguments: undecoded.add((target, bytes(arguments))))
    async with connection:
        await connection.send("SendMessage", Request("John", "Hello!"))
        await connection.send("Burst", 100)
        await connection.send("Relay", [1])
        relayed = await undecoded.wait(1, lambda event: event[0] == "ReceiveRelay")
        assert relayed == [("ReceiveRelay", b"[[1]]")]
    burst = [("burst", str(number)) for number in range(100)]
    assert diary.calls.entries == [("John", "Hello!"), *burst]


async def test_a_large_payload_in_both_directions(connection: HubConnection) -> None:
    text = "0123456789abcdef" * 65_536
    assert await connection.invoke("Echo", text, result_type=str) == text


async def test_stop_ends_the_connection_on_both_sides(hub: HubServer) -> None:
    connection = HubConnectionBuilder().with_url(hub.url).with_automatic_reconnect().build()
    diary = Diary(connection)
    await connection.start()
    connection_id = connection.connection_id
    assert connection_id is not None
    await connection.stop()
    assert connection.state is HubConnectionState.DISCONNECTED
    assert diary.changes.entries == [("closed", None)]
    await hub.disconnected(connection_id)
    with pytest.raises(NotConnectedError):
        await connection.invoke("Nothing")


async def test_a_connection_that_the_hub_aborts_does_not_come_back(hub: HubServer) -> None:
    connection = HubConnectionBuilder().with_url(hub.url).with_automatic_reconnect().build()
    diary = Diary(connection)
    await connection.start()
    await connection.send("Abort")
    await diary.change("closed")
    assert [kind for kind, _ in diary.changes.entries] == ["closed"]
    assert connection.state is HubConnectionState.DISCONNECTED


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_reconnect_after_a_restart(own_hub: HubServer, how: str) -> None:
    builder = HubConnectionBuilder().with_url(own_hub.url).with_automatic_reconnect(REPEATEDLY)
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


async def test_a_call_in_flight_fails_when_the_hub_dies(own_hub: HubServer) -> None:
    connection = HubConnectionBuilder().with_url(own_hub.url).build()
    diary = Diary(connection)
    await connection.start()
    call = asyncio.create_task(connection.invoke("Hold", "call"))
    await own_hub.holding("call")
    await own_hub.kill()
    with pytest.raises(ConnectionClosed):
        await call
    assert isinstance(await diary.change("closed"), Exception)
    assert connection.state is HubConnectionState.DISCONNECTED


async def test_pings_of_both_sides_keep_an_idle_connection(program: HubProgram) -> None:
    # Both look once a second, so what is promised every second comes every two at the latest.
    program = program.with_environment(HUB_KEEPALIVE="1000", HUB_TIMEOUT="4000")
    async with running(program) as hub:
        builder = HubConnectionBuilder().with_url(hub.url)
        connection = builder.with_keep_alive_interval(1).with_server_timeout(4).build()
        diary = Diary(connection)
        async with connection:
            await connection.invoke("Later", 5000, "still here")
            assert await diary.calls.wait() == [("still here",)]
            assert diary.changes.entries == []


async def test_a_frozen_hub_is_missed(own_hub: HubServer) -> None:
    builder = HubConnectionBuilder().with_url(own_hub.url)
    connection = builder.with_keep_alive_interval(0.1).with_server_timeout(0.5).build()
    diary = Diary(connection)
    await connection.start()
    own_hub.freeze()
    assert isinstance(await diary.change("closed"), ServerTimeoutError)
