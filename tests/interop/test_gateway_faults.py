"""Faults of the real hub, of its connection and of clients (GW-9, GW-10, GW-27)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from signalr_gateway.orchestration.hub_options import DEFAULT_INVOKE_TIMEOUT
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.gateway.hand_clock import HandClock
from tests.interop.drivers import ClientDriver, DrivenConnection, ProcessDriver, dotnet_driver_argv
from tests.interop.journal import REPEATEDLY
from tests.interop.orchestrations import RECEIVE_KEY, add_chat_routes, connect_to
from tests.interop.servers import GatewayServer, HubServer, gateway_of
from tests.interop.versions import CURRENT

pytestmark = pytest.mark.parametrize("program", ["system-text-json"], indirect=True)

HELLO = '[{"name":"John","message":"Hello!"}]'


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(own_hub: HubServer) -> AsyncIterator[GatewayServer]:
    """A gateway before a hub that the test may stop, kill and start again."""
    async with GatewayServer.before({"chatservice": own_hub}) as gateway:
        yield gateway


async def listener(driver: ClientDriver, gateway: GatewayServer) -> DrivenConnection:
    """A client that does not reconnect. If it is still connected, its connection was not lost."""
    client = await driver.connect(gateway.url("/gatewayhub"))
    await client.on("ReceiveMessage", "object", "object")
    await client.start()
    return client


async def test_clients_stay_while_the_hub_is_killed_and_comes_back(
    dotnet_driver: ClientDriver,
    node_driver: ClientDriver,
    own_hub: HubServer,
    gateway: GatewayServer,
) -> None:
    clients = [await listener(driver, gateway) for driver in (dotnet_driver, node_driver)]
    for events, end_hub in enumerate((own_hub.kill, own_hub.stop, own_hub.kill), 1):
        assert (await gateway.post("chatservice", "room", HELLO)).status == 200
        for client in clients:
            await client.calls("ReceiveMessage", events)
        await end_hub()
        await own_hub.start()
    for client in clients:
        assert {event.kind for event in client.events.entries} == {"call"}
        await client.stop()


async def test_the_hub_need_not_be_there_at_the_start(
    own_hub: HubServer, dotnet_driver: ClientDriver
) -> None:
    await own_hub.kill()
    async with GatewayServer.before({"chatservice": own_hub}, "patient") as gateway:
        client = await listener(dotnet_driver, gateway)
        post = asyncio.create_task(gateway.post("chatservice", "room", HELLO))
        await own_hub.start()
        assert (await post).status == 200
        await client.calls("ReceiveMessage", 1)
        await client.stop()


async def test_a_client_that_is_killed_delays_nobody(
    dotnet_driver: ClientDriver, gateway: GatewayServer
) -> None:
    survivor = await listener(dotnet_driver, gateway)
    victims = await ProcessDriver.start(*dotnet_driver_argv(CURRENT))
    victim = await listener(victims, gateway)
    post = asyncio.create_task(gateway.post("chatservice", "burst", "[3000]"))
    await victim.calls("ReceiveMessage", 1)
    await victims.kill()
    assert (await post).status == 200
    calls = await survivor.calls("ReceiveMessage", 3000)
    assert [arguments[0].value for arguments in calls] == [
        f'["burst","{number}"]' for number in range(3000)
    ]
    await survivor.stop()


async def test_posts_while_the_hub_is_away(own_hub: HubServer, gateway: GatewayServer) -> None:
    await gateway.hubs_are("connected")
    await own_hub.kill()
    await gateway.hubs_are("reconnecting")
    away = await asyncio.gather(
        *(gateway.post("chatservice", "record", f'["away {number}"]') for number in range(200))
    )
    assert Counter(answer.status for answer in away) == {503: 200}
    assert {answer.headers["Retry-After"] for answer in away} == {"1"}


async def test_posts_while_the_hub_comes_back(own_hub: HubServer) -> None:
    async with GatewayServer.before({"chatservice": own_hub}, "patient") as gateway:
        await gateway.hubs_are("connected")
        await own_hub.kill()
        await gateway.hubs_are("reconnecting")
        posts = [
            asyncio.create_task(gateway.post("chatservice", "record", f'["back {number}"]'))
            for number in range(200)
        ]
        await own_hub.start()
        back = await asyncio.gather(*posts)
    assert Counter(answer.status for answer in back) == {200: 200}
    texts = [f"back {number}" for number in range(200)]
    assert [answer.body.decode() for answer in back] == [f'"{text}"' for text in texts]
    assert Counter(own_hub.lines("^RECORDED ")) == {f"RECORDED {text}": 1 for text in texts}


async def test_a_call_in_flight_when_the_hub_dies_is_not_sent_again(
    own_hub: HubServer, gateway: GatewayServer
) -> None:
    post = asyncio.create_task(gateway.post("chatservice", "hold", '["call"]'))
    await own_hub.holding("call")
    await own_hub.kill()
    answer = await post
    assert answer.status == 502
    assert answer.problem["code"] == "hub-connection-lost"
    assert "Retry-After" not in answer.headers
    await own_hub.start()
    assert (await gateway.post("chatservice", "record", '["after"]')).body == b'"after"'
    assert own_hub.lines("^(HOLDING|RECORDED) ") == ["HOLDING call", "RECORDED after"]


async def test_a_caller_that_gives_up_costs_nobody_the_connection(
    own_hub: HubServer, gateway: GatewayServer
) -> None:
    post = asyncio.create_task(gateway.post("chatservice", "hold", '["call"]'))
    await own_hub.holding("call")
    post.cancel()
    await asyncio.wait({post})
    await own_hub.release("call")  # no call waits for its late completion
    assert (await gateway.post("chatservice", "record", '["after"]')).body == b'"after"'
    assert own_hub.lines("^DISCONNECTED ") == []


async def test_a_hub_that_does_not_answer_in_time(own_hub: HubServer) -> None:
    orchestrator = Orchestrator()
    add_chat_routes(orchestrator.add_hub("chatservice", connect_to(own_hub.url)))
    clock = HandClock()
    async with gateway_of(orchestrator, clock=clock) as gateway:
        post = asyncio.create_task(gateway.post("chatservice", "hold", '["call"]'))
        await own_hub.holding("call")
        await clock.advance(DEFAULT_INVOKE_TIMEOUT)
        assert (await post).status == 504
        await own_hub.release("call")
        assert (await gateway.post("chatservice", "record", '["after"]')).body == b'"after"'
        assert own_hub.lines("^DISCONNECTED ") == []


async def test_a_gateway_that_stops_lets_calls_end_and_its_clients_come_back(
    driver: ClientDriver, own_hub: HubServer
) -> None:
    gateway = GatewayServer.before({"chatservice": own_hub})
    async with gateway:
        client = await driver.connect(gateway.url("/gatewayhub"), reconnect=REPEATEDLY)
        await client.on("ReceiveMessage", "object", "object")
        await client.start()
        post = asyncio.create_task(gateway.post("chatservice", "hold", '["call"]'))
        await own_hub.holding("call")
        stop = asyncio.create_task(gateway.stop())
        await client.event("reconnecting")
        await own_hub.release("call")
        answer = await post
        assert (answer.status, answer.body) == (200, b'"call"')
        await stop
    async with gateway:
        await client.event("reconnected")
        assert (await gateway.post("chatservice", "room", HELLO)).status == 200
        await client.calls("ReceiveMessage", 1)
        await client.stop()


async def test_subscribers_come_back_when_the_gateway_does(
    dotnet_driver: ClientDriver, own_hub: HubServer
) -> None:
    """GW-22, GW-21: they have to subscribe again, and may, after a stop as after a crash."""
    group = {"Api": "chatservice", "Key": "room", "ReceiveKey": RECEIVE_KEY}
    route = {**group, "Key": "relay"}
    async with GatewayServer.before({"chatservice": own_hub}, "subscriptions") as gateway:
        clients = []
        for protocol in ("newtonsoft", "json", "messagepack"):
            client = await dotnet_driver.connect(
                gateway.url("/gatewayhub"), protocol=protocol, reconnect=REPEATEDLY
            )
            await client.on("ReceiveMessage", "object", "object")
            await client.on("ReceiveRelay", "object", "object")
            await client.start()
            clients.append(client)

        for life in range(3):
            if life:
                await gateway.restart(crash=life == 2)
                for client in clients:
                    await client.event("reconnected", life)
            assert (await gateway.post("chatservice", "room", HELLO)).status == 200  # for no call
            assert (await gateway.post("chatservice", "relay", '["lost"]')).status == 200
            for number, client in enumerate(clients):
                await client.invoke("SubscribeToGroup", {**group, "ReceiveGroup": "ChatGroup"})
                await client.invoke("SubscribeToRoute", {**route, "UserId": f"user {number}"})
            assert (await gateway.post("chatservice", "room", HELLO)).status == 200
            assert (await gateway.post("chatservice", "relay", f"[{life}]")).status == 200
            for client in clients:
                messages = await client.calls("ReceiveMessage", life + 1)
                relayed = await client.calls("ReceiveRelay", life + 1)
                assert [call[0].plain for call in messages] == [["John", "Hello!"]] * (life + 1)
                assert [call[0].plain for call in relayed] == [[it] for it in range(life + 1)]
        for client in clients:
            await client.stop()
