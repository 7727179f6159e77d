"""Our client with ASP.NET Core, over each transport, in each hub protocol that it can carry."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from protocol import HubConnection, HubConnectionState, HubException, NotConnectedError
from tests.interop.expectations import REFUSALS
from tests.interop.journal import Journal
from tests.interop.python_client import Combination, Diary, all_combinations
from tests.interop.servers import HubServer

pytestmark = pytest.mark.parametrize(
    ("program", "combination"), [*all_combinations()], indirect=["program"], scope="session"
)


class Request(msgspec.Struct):
    name: str
    message: str


@pytest_asyncio.fixture(loop_scope="session")
async def connection(hub: HubServer, combination: Combination) -> AsyncIterator[HubConnection]:
    async with combination.to(hub).build() as connection:
        yield connection


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
    assert await connection.invoke("Add", 1, 1) == 2  # the connection is still open


async def test_events_arrive_in_order(hub: HubServer, combination: Combination) -> None:
    connection = combination.to(hub).build()
    diary = Diary(connection)
    everything = Journal[tuple[str, Any]]("all events")
    read = combination.hub_protocol.value_reader(list[Any])
    connection.on_any(lambda target, arguments: everything.add((target, read(arguments))))
    async with connection:
        await connection.send("SendMessage", Request("John", "Hello!"))
        await connection.send("Burst", 100)
        await connection.send("Relay", [1])
        await everything.wait(102)
    burst = [("burst", str(number)) for number in range(100)]
    assert diary.calls.entries == [("John", "Hello!"), *burst]
    assert everything.entries[-1] == ("ReceiveRelay", [[1]])


async def test_a_large_payload_in_both_directions(connection: HubConnection) -> None:
    text = "0123456789abcdef" * 65_536
    assert await connection.invoke("Echo", text, result_type=str) == text


async def test_stop_ends_the_connection_on_both_sides(
    hub: HubServer, combination: Combination
) -> None:
    connection = combination.to(hub).with_automatic_reconnect().build()
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


async def test_a_connection_that_the_hub_aborts_does_not_come_back(
    hub: HubServer, combination: Combination
) -> None:
    connection = combination.to(hub).with_automatic_reconnect().build()
    diary = Diary(connection)
    await connection.start()
    await connection.send("Abort")
    await diary.change("closed")
    assert [kind for kind, _ in diary.changes.entries] == ["closed"]
    assert connection.state is HubConnectionState.DISCONNECTED
