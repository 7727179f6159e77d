"""GW-13, GW-14: the gateway hub over each transport; clients get the same over all of them."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from protocol import (
    HttpTransportType,
    HubConnection,
    HubConnectionBuilder,
    HubException,
)
from protocol.hub_protocol import HubProtocol
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.serving.app import create_app
from signalr_gateway.serving.listener import serving
from tests.gateway.gateway_clients import COMBINATIONS, Inbox
from tests.gateway.running_gateway import RunningGateway
from tests.gateway.sample_hub import RunningHub, sample_routes
from tests.support.waiting import until

HELLO = b'[{"name":"John","message":"Hello!"}]'
FRAME = b'{"type":1,"target":"ReceiveMessage","arguments":[["John","Hello!"],{}]}\x1e'
BINARY_FRAME = bytes.fromhex(
    "23960180c0ae526563656976654d6573736167659292a44a6f686ea648656c6c6f219090"
)
each_combination = pytest.mark.parametrize(
    ("transport", "hub_protocol"),
    COMBINATIONS,
    ids=[f"{transport.name}-{spoken.name}" for transport, spoken in COMBINATIONS],
)


def client_over(url: str, transport: HttpTransportType, hub_protocol: HubProtocol) -> HubConnection:
    builder = HubConnectionBuilder().with_url(f"{url}/gatewayhub", transports=transport)
    return builder.with_hub_protocol(hub_protocol).build()


@each_combination
async def test_a_whole_session(
    gateway: RunningGateway,
    hub: RunningHub,
    transport: HttpTransportType,
    hub_protocol: HubProtocol,
) -> None:
    """Events for all and for subscribers, calls, results and errors."""
    client = client_over(gateway.url, transport, hub_protocol)
    inbox = Inbox(client)
    async with client:
        await until(lambda: gateway.clients == 1)
        await gateway.post("sample/room", HELLO)
        target, arguments = await inbox.take()
        decode = msgspec.json.decode if hub_protocol.name == "json" else msgspec.msgpack.decode
        state: object = {} if hub_protocol.name == "json" else []
        assert (target, decode(arguments)) == ("ReceiveMessage", [["John", "Hello!"], state])
        route = {"Api": "sample", "Key": "one", "UserId": "john"}
        await client.invoke("SubscribeToRoute", route)
        await hub.send("ToOne", b"[1]")
        assert (await inbox.take())[0] == "ToOne"
        call = {"Api": "sample", "Key": "echo", "Data": {"a": [1, None]}}
        assert await client.invoke("InvokeDownstreamHub", call) == {"a": [1, None]}
        with pytest.raises(HubException, match="There is no route"):
            await client.invoke("SubscribeToRoute", {**route, "Key": "nosuch"})
    await until(lambda: gateway.clients == 0)


@each_combination
async def test_many_events_arrive_in_order(
    gateway: RunningGateway,
    hub: RunningHub,
    transport: HttpTransportType,
    hub_protocol: HubProtocol,
) -> None:
    """GW-24."""
    client = client_over(gateway.url, transport, hub_protocol)
    received: list[int] = []
    done = asyncio.Event()

    @client.on("Anything")
    def heard(arguments: list[int], state: object) -> None:
        received.append(arguments[0])
        if arguments[0] == 499:
            done.set()

    async with client:
        await until(lambda: gateway.clients == 1)
        for number in range(500):
            await hub.send("Anything", b"[%d]" % number)
        await done.wait()
    assert received == list(range(500))


async def negotiated(gateway: RunningGateway) -> str:
    """The address of a new connection."""
    url = f"{gateway.url}/gatewayhub"
    async with gateway.session.post(f"{url}/negotiate?negotiateVersion=1") as answer:
        return f"{url}?id={(await answer.json())['connectionToken']}"


@pytest.mark.parametrize(("name", "frame"), [("json", FRAME), ("messagepack", BINARY_FRAME)])
async def test_the_bytes_of_a_poll(gateway: RunningGateway, name: str, frame: bytes) -> None:
    """GW-14: observed byte for byte on all three transports."""
    address = await negotiated(gateway)

    async def poll() -> bytes:
        async with gateway.session.get(address) as answer:
            assert answer.status == 200
            return await answer.read()

    assert await poll() == b""
    handshake = b'{"protocol":"%s","version":1}\x1e' % name.encode()
    async with gateway.session.post(address, data=handshake) as answer:
        assert answer.status == 200
    assert await poll() == b"{}\x1e"
    await until(lambda: gateway.clients == 1)
    await gateway.post("sample/room", HELLO)
    assert await poll() == frame
    async with gateway.session.delete(address) as answer:
        assert answer.status == 202


async def test_the_bytes_of_an_event_stream(gateway: RunningGateway) -> None:
    """GW-14."""
    address = await negotiated(gateway)
    async with gateway.session.get(address, headers={"Accept": "text/event-stream"}) as stream:
        assert await stream.content.readuntil(b"\r\n") == b":\r\n"
        async with gateway.session.post(
            address, data=b'{"protocol":"json","version":1}\x1e'
        ) as answer:
            assert answer.status == 200
        assert await stream.content.readuntil(b"\x1e\r\n\r\n") == b"data: {}\x1e\r\n\r\n"
        await until(lambda: gateway.clients == 1)
        await gateway.post("sample/room", HELLO)
        assert await stream.content.readuntil(b"\r\n\r\n") == b"data: " + FRAME + b"\r\n\r\n"


@each_combination
async def test_a_stop_sends_a_close_over_each_transport(
    hub: RunningHub, transport: HttpTransportType, hub_protocol: HubProtocol
) -> None:
    """Within the time that it takes, and inviting to come back."""
    orchestrator = Orchestrator()
    sample_routes(orchestrator, hub.url)
    ended: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    async with serving(create_app(orchestrator), "127.0.0.1", 0) as url:
        client = client_over(url, transport, hub_protocol)
        client.on_closed(ended.set_result)
        await client.start()
    assert "closed the connection" in str(await ended)
