"""Clients of the gateway hub that use stateful reconnect."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from protocol import EndpointOptions
from protocol.testing import TcpLink
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RECEIVE_KEY, RunningHub, sample_routes
from tests.support.waiting import until

RS = "\x1e"
SUBSCRIBE = {
    "type": 1,
    "invocationId": "1",
    "target": "SubscribeToRoute",
    "arguments": [{"Api": "sample", "Key": "one", "UserId": "john", "ReceiveKey": RECEIVE_KEY}],
}


async def records(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    """The messages of the next frame that has others than pings."""
    while True:
        text = await socket.receive_str()
        found = [json.loads(record) for record in text.split(RS)[:-1]]
        if found != [{"type": 6}]:
            return found


async def negotiate(gateway: RunningGateway) -> dict[str, Any]:
    path = "/gatewayhub/negotiate?negotiateVersion=1&useStatefulReconnect=true"
    return dict(json.loads((await gateway.request("POST", path)).body))


async def test_subscriptions_survive_a_resumption(hub: RunningHub) -> None:
    """GW-22, SR-10, SR-13: the events of the gap are sent on the next WebSocket. The subscriptions
    end with the connection."""
    options = EndpointOptions(allow_stateful_reconnects=True)
    async with (
        running_gateway(lambda it: sample_routes(it, hub.url), endpoint_options=options) as gateway,
        TcpLink(f"{gateway.url}/gatewayhub") as link,
    ):
        offer = await negotiate(gateway)
        assert offer["useStatefulReconnect"] is True
        url = f"{link.url}?id={offer['connectionToken']}"
        async with gateway.session.ws_connect(url) as socket:
            await socket.send_str('{"protocol":"json","version":2}' + RS)
            assert await records(socket) == [{}]
            await socket.send_str(json.dumps(SUBSCRIBE) + RS)
            [completion] = await records(socket)
            assert "error" not in completion
            link.cut()
            await socket.receive()
        await hub.send("ToOne", b"[1]")
        await gateway.post("sample/room", b'[{"name":"John","message":"Hello!"}]')
        async with gateway.session.ws_connect(url) as socket:
            assert gateway.clients == 1
            replayed = await records(socket)
            assert replayed[0] == {"type": 9, "sequenceId": 1}
            events = [(each["target"], each["arguments"][0]) for each in replayed[2:]]
            assert ("ToOne", [1]) in events
            assert ("ReceiveMessage", ["John", "Hello!"]) in events
            await hub.send("ToOne", b"[2]")
            assert (await records(socket))[0]["arguments"][0] == [2]
        await until(lambda: gateway.clients == 0)
        with pytest.raises(aiohttp.WSServerHandshakeError):  # the Close frame has ended it
            await gateway.session.ws_connect(url)


async def test_stateful_reconnect_is_off_by_default(gateway: RunningGateway) -> None:
    """SR-1."""
    assert "useStatefulReconnect" not in await negotiate(gateway)
