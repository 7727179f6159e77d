"""Tests of impossible combinations: the client refuses them, or uses another combination."""

import contextlib

import pytest

from tests.interop.drivers import DrivenConnection, DriverError
from tests.interop.matrix import gateway_cell
from tests.interop.matrix.cells import MISFIT, NEWTONSOFT_INSIDE, NO_PROTOCOL, TEXT_ONLY
from tests.interop.matrix.scene import Scene


async def play(scene: Scene) -> None:
    reason = scene.cell.impossible
    if reason == NO_PROTOCOL:
        with pytest.raises(DriverError, match=f"no protocol '{scene.cell.hub_protocol}'"):
            await scene.connection()
        return
    connection = await scene.connection()
    if reason == TEXT_ONLY:
        with pytest.raises(DriverError, match="ServerSentEvents"):
            await connection.start()
        assert not scene.wire.transports
    elif reason == NEWTONSOFT_INSIDE:
        await connection.start()
        assert await _json_type(scene, connection) == "JObject"
        await connection.stop()
    elif reason == MISFIT:
        await connection.start()
        await _cause_an_event(scene, connection)
        lost = await connection.event("reconnecting")
        assert lost["error"]["type"] == "MissingMethodException"
        await connection.stop()


async def _json_type(scene: Scene, connection: DrivenConnection) -> str | None:
    if scene.target.gateway is None:
        return (await connection.invoke("Echo", {})).type
    return (await connection.invoke("InvokeDownstreamHub", gateway_cell.call("Echo", {}))).type


async def _cause_an_event(scene: Scene, connection: DrivenConnection) -> None:
    if scene.target.gateway is None:
        await connection.send("SendToCaller", scene.token)
        return
    said = {"Name": scene.token, "Message": ""}
    with contextlib.suppress(DriverError):  # an event that another cell caused may come first
        await connection.invoke("SubscribeToGroup", gateway_cell.GROUP)
        await connection.send("InvokeDownstreamHub", gateway_cell.call("room", said))
