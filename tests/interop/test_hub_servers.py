"""The official .NET and JavaScript clients with our hub server and with ASP.NET Core.

Every test runs with both servers, so that its assertions also hold for the original.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.interop.drivers import (
    ClientDriver,
    DrivenConnection,
    DriverError,
)
from tests.interop.expectations import REFUSALS
from tests.interop.journal import REPEATEDLY
from tests.interop.servers import HubServer

pytestmark = pytest.mark.parametrize("program", ["system-text-json", "python"], indirect=True)


@pytest_asyncio.fixture(loop_scope="session")
async def client(driver: ClientDriver, hub: HubServer) -> AsyncIterator[DrivenConnection]:
    connection = await started(driver, hub)
    yield connection
    await connection.stop()


async def started(driver: ClientDriver, hub: HubServer, **options: Any) -> DrivenConnection:
    """A connection that receives the messages of the hub's SendTo… methods."""
    connection = await driver.connect(hub.url, **options)
    await connection.on("ReceiveText", "string")
    await connection.start()
    return connection


async def invoke_when_reconnected(connection: DrivenConnection, target: str, argument: str) -> None:
    """A fast client may reconnect to the old server while that stops, and so reconnects twice."""
    for attempt in itertools.count(1):
        await connection.event("reconnected", attempt)
        with contextlib.suppress(DriverError):
            await connection.invoke(target, argument)
            return


async def texts(connection: DrivenConnection, count: int) -> list[Any]:
    return [arguments[0].value for arguments in await connection.calls("ReceiveText", count)]


async def test_invoke_returns_the_result(client: DrivenConnection) -> None:
    assert (await client.invoke("Add", 1, 2, result="int")).value == 3
    assert (await client.invoke("aDD", 2, 3, result="int")).value == 5  # any letter case (S-1)
    assert (await client.invoke("Nothing")).value is None


async def test_values_of_any_shape_come_back(client: DrivenConnection) -> None:
    value: dict[str, Any] = {
        "text": "Zoë 😀 \u2028 </",
        "list": [1, -2.5, True, None, []],
        "map": {"a B": {}},
    }
    assert (await client.invoke("Echo", value)).plain == value


async def test_an_object_is_read_ignoring_the_case_of_its_members(
    driver: ClientDriver, hub: HubServer
) -> None:
    connection = await driver.connect(hub.url)
    await connection.on("ReceiveMessage", "string", "string")
    await connection.start()
    await connection.invoke("SendMessage", {"Name": "John", "message": "Hello!", "more": 1})
    [arguments] = await connection.calls("ReceiveMessage", 1)
    assert [argument.value for argument in arguments] == ["John", "Hello!"]
    await connection.stop()


@pytest.mark.parametrize(("target", "arguments", "text"), REFUSALS)
async def test_errors_reach_the_caller_as_text(
    client: DrivenConnection, target: str, arguments: list[Any], text: str
) -> None:
    with pytest.raises(DriverError) as caught:
        await client.invoke(target, *arguments)
    assert caught.value.message == text
    assert caught.value.type in {"HubException", "Error"}
    assert (await client.invoke("Add", 1, 1, result="int")).value == 2  # it is still open


async def test_caller_others_group_and_user(driver: ClientDriver, hub: HubServer) -> None:
    first = await started(driver, hub, headers={"X-User": "ann"})
    second = await started(driver, hub, headers={"X-User": "bob"})
    third = await started(driver, hub, headers={"X-User": "bob"})

    await first.send("SendToCaller", "caller")
    assert await texts(first, 1) == ["caller"]
    await first.invoke("SendToOthers", "others")
    assert await texts(second, 1) == await texts(third, 1) == ["others"]
    await first.invoke("SendToUser", "bob", "user")
    assert await texts(second, 2) == await texts(third, 2) == ["others", "user"]

    await first.invoke("JoinGroup", "room")
    await second.invoke("JoinGroup", "room")
    await third.invoke("SendToGroup", "Room", "to nobody, for case matters")
    await third.invoke("SendToGroup", "room", "group")
    assert await texts(first, 2) == ["caller", "group"]
    assert await texts(second, 3) == ["others", "user", "group"]
    await second.invoke("LeaveGroup", "room")
    await third.invoke("SendToGroup", "room", "group again")
    assert await texts(first, 3) == ["caller", "group", "group again"]

    # A message for other connections would have arrived before this one.
    for connection in (second, third):
        await connection.invoke("SendToCaller", "last")
    assert (await texts(second, 4))[3:] == ["last"]
    assert await texts(third, 3) == ["others", "user", "last"]
    for connection in (first, second, third):
        await connection.stop()


async def test_stop_is_noticed_on_both_sides(driver: ClientDriver, hub: HubServer) -> None:
    connection = await driver.connect(hub.url)
    connection_id = await connection.start()
    await connection.stop()
    assert (await connection.event("closed"))["error"] is None
    await hub.disconnected(connection_id)


async def test_a_connection_that_the_hub_aborts_does_not_come_back(
    driver: ClientDriver, hub: HubServer
) -> None:
    connection = await started(driver, hub, reconnect=REPEATEDLY)
    await connection.send("Abort")
    assert (await connection.event("closed"))["error"] is None
    assert [event.kind for event in connection.events.entries] == ["closed"]
    assert await connection.state() == "Disconnected"


@pytest.mark.parametrize("how", ["stopped", "killed"])
async def test_reconnect_after_a_restart(
    driver: ClientDriver, own_hub: HubServer, how: str
) -> None:
    connection = await started(driver, own_hub, reconnect=REPEATEDLY)
    await (own_hub.stop() if how == "stopped" else own_hub.kill())
    await connection.event("reconnecting")
    await own_hub.start()
    await invoke_when_reconnected(connection, "SendToCaller", "back")
    assert await texts(connection, 1) == ["back"]
    await connection.stop()


async def test_a_call_in_flight_fails_when_the_hub_dies(
    driver: ClientDriver, own_hub: HubServer
) -> None:
    connection = await started(driver, own_hub)
    call = asyncio.create_task(connection.invoke("Hold", "call"))
    await own_hub.holding("call")
    await own_hub.kill()
    with pytest.raises(DriverError):
        await call
    assert await connection.event("closed")
