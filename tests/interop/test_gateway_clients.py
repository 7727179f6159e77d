"""The official .NET and JavaScript clients, connected to the gateway in front of the real hub."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.interop.drivers import ClientDriver, DriverError
from tests.interop.expectations import HUB_SAYS_NO
from tests.interop.orchestrations import RECEIVE_KEY
from tests.interop.servers import GatewayServer, HubServer

HELLO = '[{"name":"John","message":"Hello!"}]'

pytestmark = pytest.mark.parametrize("program", ["newtonsoft", "system-text-json"], indirect=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(hub: HubServer) -> AsyncIterator[GatewayServer]:
    async with GatewayServer.before({"chatservice": hub}) as gateway:
        yield gateway


async def test_a_post_becomes_an_event(driver: ClientDriver, gateway: GatewayServer) -> None:
    client = await driver.connect(gateway.url("/gatewayhub"))
    await client.on("ReceiveMessage", "object", "object")
    await client.start()
    answer = await gateway.post("chatservice", "room", HELLO)
    assert (answer.status, answer.body) == (200, b"")
    [arguments] = await client.calls("ReceiveMessage", 1)
    assert [argument.plain for argument in arguments] == [["John", "Hello!"], {}]
    await client.stop()
    assert (await client.event("closed"))["error"] is None


async def test_every_client_gets_every_event_in_order(
    dotnet_driver: ClientDriver, node_driver: ClientDriver, gateway: GatewayServer
) -> None:
    clients = [
        await driver.connect(gateway.url("/gatewayhub"))
        for driver in (dotnet_driver, node_driver) * 3
    ]
    for client in clients:
        await client.on("ReceiveMessage", "object", "object")
    await asyncio.gather(*(client.start() for client in clients))
    assert (await gateway.post("chatservice", "burst", "[500]")).status == 200
    expected = [[["burst", str(number)], {}] for number in range(500)]
    for client in clients:
        calls = await client.calls("ReceiveMessage", 500)
        assert [[argument.plain for argument in arguments] for arguments in calls] == expected
        await client.stop()


async def test_results_and_errors_of_the_hub_are_the_answer(gateway: GatewayServer) -> None:
    answer = await gateway.post("ChatService", "ADD", "[1, 2]")
    assert (answer.status, answer.body) == (200, b"3")
    assert answer.headers["Content-Type"] == "application/json"
    answer = await gateway.post("chatservice", "throwhub", "[]")
    assert answer.status == 502
    assert answer.problem["code"] == "hub-error"
    assert answer.problem["detail"] == answer.problem["error"] == HUB_SAYS_NO


async def test_subscribers_and_nobody_else(driver: ClientDriver, hub: HubServer) -> None:
    room = {"Api": "chatservice", "Key": "room", "ReceiveKey": RECEIVE_KEY}
    group = {**room, "ReceiveGroup": "ChatGroup"}
    route = {"Api": "chatservice", "Key": "relay", "ReceiveKey": RECEIVE_KEY, "UserId": "JohnD"}
    async with GatewayServer.before(
        {"chatservice": hub}, "subscriptions", "--log-level", "debug"
    ) as gateway:
        member, subscriber = [await driver.connect(gateway.url("/gatewayhub")) for _ in range(2)]
        for client in (member, subscriber):
            await client.on("ReceiveMessage", "object", "object")
            await client.on("ReceiveRelay", "object", "object")
            await client.start()

        with pytest.raises(DriverError, match="ReceiveKey"):
            await member.invoke("SubscribeToGroup", {**group, "ReceiveKey": "guessed"})
        assert (await member.invoke("SubscribeToGroup", group)).value is None
        assert (await subscriber.invoke("SubscribeToRoute", route)).value is None

        said = {"Name": "John", "Message": "Hello!"}
        await subscriber.invoke("InvokeDownstreamHub", {**room, "Data": said})
        await member.invoke("InvokeDownstreamHub", {**room, "DataArray": [said]})
        calls = await member.calls("ReceiveMessage", 2)
        assert [arguments[0].plain for arguments in calls] == [["John", "Hello!"]] * 2
        assert (await gateway.post("chatservice", "relay", "[[1]]")).status == 200
        assert (await subscriber.calls("ReceiveRelay", 1))[0][0].plain == [[1]]

        await member.invoke("UnsubscribeFromGroup", group)
        await subscriber.invoke("UnsubscribeFromRoute", route)
        await member.invoke("SubscribeToRoute", route)
        assert (await gateway.post("chatservice", "room", "[{}]")).status == 200
        assert (await gateway.post("chatservice", "relay", "[2]")).status == 200
        assert (await member.calls("ReceiveRelay", 1))[0][0].plain == [2]
        # With this answer everything that was sent to the subscriber before it has arrived.
        await subscriber.invoke("UnsubscribeFromRoute", route)
        assert len(member.events.entries) == 3
        assert len(subscriber.events.entries) == 1
        for client in (member, subscriber):
            await client.stop()
    log = "\n".join(gateway.output)
    for secret in (RECEIVE_KEY, "guessed", "Hello!", "JohnD"):
        assert secret not in log
