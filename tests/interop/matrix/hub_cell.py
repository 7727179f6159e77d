"""The test of a cell with a hub server: what every client does with a chat hub."""

import asyncio

import pytest

from tests.interop.drivers import DrivenConnection, DriverError
from tests.interop.expectations import HUB_SAYS_NO
from tests.interop.matrix import stream_cell
from tests.interop.matrix.scene import Scene

FOREIGN = "Zoë 😀 \u2028 </"
LARGE = "0123456789abcdé\n" * 4_500
"""A text with more than 64 KiB in either hub protocol."""
TOO_LARGE = LARGE * 2
"""A text larger than any target accepts."""
VALUES = ["x", FOREIGN, 2**40, -1, 0.5, True, None, [1, "x", None, []], {"a B": {"c": [True]}}]
CONCURRENT = 20


async def play(scene: Scene) -> None:
    client, other = await scene.connection(), await scene.connection()
    for connection in (client, other):
        await connection.on("ReceiveText", "string")
        await connection.start()
    scene.require_way()

    await _results(scene, client)
    await _error(client)
    await client.send("Record", scene.token)
    await scene.target.hub.recorded(scene.token)
    await _pushes(client)
    await _group(scene, client, other)
    numbers = range(CONCURRENT)
    sums = await asyncio.gather(*(client.invoke("Add", n, 1, result="int") for n in numbers))
    assert [result.value for result in sums] == [n + 1 for n in numbers]

    lost_id = await _connection_id(client)
    await scene.lose(client, other)
    assert await _connection_id(client) != lost_id
    await _group(scene, client, other)
    await scene.exceed(other, "Echo", TOO_LARGE)
    await _ended_by_the_hub(scene, other)
    await _ended_by_the_client(scene, client)
    await stream_cell.play(scene)


async def _results(scene: Scene, client: DrivenConnection) -> None:
    assert (await client.invoke("Add", 1, 2, result="int")).value == 3
    assert (await client.invoke("Nothing")).value is None
    for value in VALUES:
        assert (await client.invoke("Echo", value)).plain == value
    person = {"FirstName": FOREIGN, "Age": 41}
    echoed = await client.invoke("EchoPerson", person, types=["Person"], result="Person")
    members = {name.lower(): value for name, value in echoed.value.items()}
    assert (members["firstname"], members["age"]) == (FOREIGN, 41)
    if scene.cell.json_type is not None:
        assert (await client.invoke("Echo", {})).type == scene.cell.json_type


async def _error(client: DrivenConnection) -> None:
    with pytest.raises(DriverError) as caught:
        await client.invoke("ThrowHub")
    assert caught.value.message == HUB_SAYS_NO


async def _pushes(client: DrivenConnection) -> None:
    await client.send("SendToCaller", FOREIGN)
    await client.invoke("SendToCaller", LARGE)
    calls = await client.calls("ReceiveText", 2)
    assert [arguments[0].value for arguments in calls] == [FOREIGN, LARGE]


async def _group(scene: Scene, *members: DrivenConnection) -> None:
    """A client that joins a group receives its messages, until its connection is lost."""
    counts = [len(await member.calls("ReceiveText", 0)) for member in members]
    sent = []
    for number, member in enumerate(members):
        await member.invoke("JoinGroup", scene.token)
        sent.append(f"{FOREIGN} {number}")
        await members[0].invoke("SendToGroup", scene.token, sent[-1])
    for number, (member, count) in enumerate(zip(members, counts, strict=True)):
        calls = await member.calls("ReceiveText", count + len(members) - number)
        assert [arguments[0].value for arguments in calls[count:]] == sent[number:]


async def _connection_id(client: DrivenConnection) -> str:
    """The connection id at the hub, which the client of ASP.NET Core 2 does not know."""
    return str((await client.invoke("ConnectionId", result="string")).value)


async def _ended_by_the_hub(scene: Scene, client: DrivenConnection) -> None:
    """An abort is not a lost connection: the client reports the end, and does not reconnect."""
    connection_id, kinds = await _connection_id(client), client.kinds()
    await client.send("Abort")
    assert await client.closed(kinds.count("closed") + 1) == scene.cell.error_of_an_abort
    assert client.kinds() == [*kinds, "closed"]
    await scene.target.hub.disconnected(connection_id)


async def _ended_by_the_client(scene: Scene, client: DrivenConnection) -> None:
    """The hub and the client both report an end without an error."""
    connection_id, kinds = await _connection_id(client), client.kinds()
    await client.stop()
    assert await client.closed(kinds.count("closed") + 1) is None
    await scene.target.hub.disconnected(connection_id)
