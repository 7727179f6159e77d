"""The test of a cell with the gateway: what every client does with the gateway hub."""

import asyncio
import json
from typing import Any

import pytest

from signalr_gateway.orchestration.limits import DEFAULT_LIMITS
from tests.interop.drivers import DrivenConnection, DriverError, Event, Value
from tests.interop.expectations import HUB_SAYS_NO
from tests.interop.matrix.cells import BEHIND_NGINX
from tests.interop.matrix.hub_cell import CONCURRENT, FOREIGN, LARGE, TOO_LARGE, VALUES
from tests.interop.matrix.scene import Scene
from tests.interop.orchestrations import RECEIVE_KEY

API = "chatservice"
BEYOND_REFUSALS = "x" * DEFAULT_LIMITS.maximum_refused_call_size
GROUP = {"Api": API, "Key": "room", "ReceiveKey": RECEIVE_KEY, "ReceiveGroup": "ChatGroup"}


async def play(scene: Scene) -> None:
    client, other = await scene.connection(), await scene.connection()
    for connection in (client, other):
        await connection.on("ReceiveMessage", "object", "object")
        await connection.start()
    scene.require_way()

    await _results(client)
    await _errors(client)
    await client.send("InvokeDownstreamHub", call("Record", scene.token))
    await scene.target.hub.recorded(scene.token)
    await _events(scene, client, other)
    numbers = range(CONCURRENT)
    sums = await asyncio.gather(*(_invoke(client, "Add", n, 1) for n in numbers))
    assert sums == [n + 1 for n in numbers]

    await scene.lose(client, other)
    await _events(scene, client, other)
    with pytest.raises(DriverError, match="more than the 32768 bytes of one message"):
        await _invoke(other, "Echo", TOO_LARGE)  # GW-50: the connection stays
    if scene.cell.transport == "WebSockets" or scene.cell.target not in BEHIND_NGINX:
        # nginx itself refuses a POST of this size.
        await scene.exceed(other, "InvokeDownstreamHub", call("Echo", BEYOND_REFUSALS))
    for connection in (client, other):
        kinds = connection.kinds()
        await connection.stop()
        assert await connection.closed(kinds.count("closed") + 1) is None


def call(key: str, *arguments: Any) -> dict[str, Any]:
    """The argument of InvokeDownstreamHub that calls this route."""
    return {"Api": API, "Key": key, "ReceiveKey": RECEIVE_KEY, "DataArray": list(arguments)}


async def _invoke(client: DrivenConnection, key: str, *arguments: Any) -> Any:
    return (await client.invoke("InvokeDownstreamHub", call(key, *arguments))).plain


async def _results(client: DrivenConnection) -> None:
    assert await _invoke(client, "Add", 1, 2) == 3
    for value in VALUES:
        assert await _invoke(client, "Echo", value) == value


async def _errors(client: DrivenConnection) -> None:
    """The error texts of the downstream hub and of the gateway."""
    with pytest.raises(DriverError) as caught:
        await _invoke(client, "ThrowHub")
    assert caught.value.message.endswith(f"HubException: {HUB_SAYS_NO}")
    with pytest.raises(DriverError, match="ReceiveKey"):
        await client.invoke("SubscribeToGroup", {**GROUP, "ReceiveKey": "guessed"})


async def _events(scene: Scene, *clients: DrivenConnection) -> None:
    """Subscribers get what the downstream hub sends: non-ASCII text, and more than 64 KiB."""
    assert scene.target.gateway is not None

    def is_own(event: Event) -> bool:  # other cells send to the same group
        if not event.is_call("ReceiveMessage"):
            return False
        said = event.detail["args"][0]["value"]  # a list, or its JSON text
        return scene.token in (said[0] if isinstance(said, list) else said[: len(scene.token) + 2])

    counts = []
    for client in clients:
        assert (await client.invoke("SubscribeToGroup", GROUP)).value is None
        counts.append(len(await client.events.wait(0, is_own)))
    data = {"Name": scene.token, "Message": FOREIGN}
    said = await clients[0].invoke("InvokeDownstreamHub", {**call("room"), "Data": data})
    assert said.value is None
    body = json.dumps([{"name": scene.token, "message": LARGE}])
    assert (await scene.target.gateway.post(API, "room", body)).status == 200
    for client, count in zip(clients, counts, strict=True):
        events = (await client.events.wait(count + 2, is_own))[count:]
        told = [[Value(**argument).plain for argument in event.detail["args"]] for event in events]
        # The handler state behind the arguments, empty (GW-14).
        state: object = [] if scene.cell.hub_protocol == "messagepack" else {}
        assert told == [[[scene.token, text], state] for text in (FOREIGN, LARGE)]
    for client in clients:
        await client.invoke("UnsubscribeFromGroup", GROUP)
