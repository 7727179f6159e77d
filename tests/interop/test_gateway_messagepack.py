"""MessagePack between official clients and the gateway, and between the gateway and hubs.

Every test runs with the hub of ASP.NET Core and with our hub, each over JSON and over MessagePack,
and with clients of both hub protocols. What a client receives depends only on its own hub protocol.
"""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from protocol import HubConnection, HubConnectionBuilder, JsonHubProtocol, MessagePackHubProtocol
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from tests.interop.drivers import ClientDriver, DrivenConnection, DriverError
from tests.interop.expectations import HUB_SAYS_NO
from tests.interop.orchestrations import add_chat_routes
from tests.interop.servers import GatewayCaller, HubServer, gateway_of

pytestmark = pytest.mark.parametrize("program", ["system-text-json", "python"], indirect=True)

STATE: Final[dict[str, object]] = {"json": {}, "messagepack": []}
"""The second argument of an event, after the array of arguments (GW-14)."""


@pytest_asyncio.fixture(loop_scope="session", params=["json", "messagepack"])
async def gateway(hub: HubServer, request: pytest.FixtureRequest) -> AsyncIterator[GatewayCaller]:
    """A gateway in front of a hub with this hub protocol."""
    is_binary = request.param == "messagepack"
    hub_protocol = MessagePackHubProtocol() if is_binary else JsonHubProtocol()

    def build_hub_connection(builder: HubConnectionBuilder) -> HubConnection:
        return builder.with_url(hub.url).with_hub_protocol(hub_protocol).build()

    orchestrator = Orchestrator()
    builder = orchestrator.add_hub("chatservice", build_hub_connection)
    add_chat_routes(builder)
    builder.add_route(
        "one",
        HubRouteInfo(
            invoke_method="SendToCaller",
            receive_method="ReceiveText",
            broadcast_type=BroadcastType.INDIVIDUAL,
        ),
    )
    async with gateway_of(orchestrator) as gateway:
        yield gateway


async def listening(
    driver: ClientDriver, gateway: GatewayCaller, protocol: str
) -> DrivenConnection:
    client = await driver.connect(gateway.url("/gatewayhub"), protocol=protocol)
    for method in ("ReceiveMessage", "ReceiveRelay", "ReceiveText"):
        await client.on(method, "object", "object")
    await client.start()
    return client


async def test_a_post_becomes_an_event_in_each_clients_protocol(
    driver: ClientDriver, gateway: GatewayCaller
) -> None:
    clients = {name: await listening(driver, gateway, name) for name in ("json", "messagepack")}
    body = '[{"Name":"John","Message":"Hello!"}]'
    answer = await gateway.post("chatservice", "room", body)
    assert (answer.status, answer.body) == (200, b"")
    for protocol, client in clients.items():
        [arguments] = await client.calls("ReceiveMessage", 1)
        assert [argument.plain for argument in arguments] == [["John", "Hello!"], STATE[protocol]]
        await client.stop()


@pytest.mark.parametrize(
    ("posted", "got"),
    [
        ('{"a":[1,-1,0.5,null],"b":{"c":true}}', {"a": [1, -1, 0.5, None], "b": {"c": True}}),
        ('"Grüße 😀"', "Grüße 😀"),
        ("[[],{}]", [[], {}]),
        ("4294967296", 4294967296),
    ],
)
async def test_values_arrive_in_either_protocol(
    driver: ClientDriver, gateway: GatewayCaller, posted: str, got: Any
) -> None:
    """GW-14: objects too, over which the original cuts its MessagePack clients off."""
    clients = {name: await listening(driver, gateway, name) for name in ("json", "messagepack")}
    assert (await gateway.post("chatservice", "relay", f"[{posted}]")).status == 200
    for protocol, client in clients.items():
        [arguments] = await client.calls("ReceiveRelay", 1)
        assert [argument.plain for argument in arguments] == [[got], STATE[protocol]]
        await client.stop()


async def test_calls_of_messagepack_clients(driver: ClientDriver, gateway: GatewayCaller) -> None:
    """GW-16, GW-17: data, results and errors."""
    client = await listening(driver, gateway, "messagepack")
    route = {"Api": "ChatService", "Key": "add"}
    sum_of = await client.invoke("InvokeDownstreamHub", {**route, "DataArray": [2, 3]})
    assert sum_of.plain == 5
    value = {"x": [1, None, "y"], "z": {"f": 0.5}}
    echo = {"Api": "chatservice", "Key": "echo", "Data": value}
    assert (await client.invoke("InvokeDownstreamHub", echo)).plain == value
    failing = {"Api": "chatservice", "Key": "throwhub", "DataArray": []}
    with pytest.raises(DriverError) as caught:
        await client.invoke("InvokeDownstreamHub", failing)
    assert caught.value.message.endswith(f" HubException: {HUB_SAYS_NO}")
    await client.stop()


async def test_subscriptions_of_messagepack_clients(
    driver: ClientDriver, gateway: GatewayCaller
) -> None:
    """GW-15, GW-16."""
    subscriber = await listening(driver, gateway, "messagepack")
    route = {"Api": "chatservice", "Key": "one", "UserId": "JohnD"}
    assert (await subscriber.invoke("SubscribeToRoute", route)).value is None
    assert (await gateway.post("chatservice", "one", '["first"]')).status == 200
    [arguments] = await subscriber.calls("ReceiveText", 1)
    assert [argument.plain for argument in arguments] == [["first"], []]
    await subscriber.invoke("UnsubscribeFromRoute", route)
    assert (await gateway.post("chatservice", "one", '["second"]')).status == 200
    await subscriber.invoke("UnsubscribeFromRoute", route)  # everything sent before has arrived
    assert len(subscriber.events.entries) == 1
    await subscriber.stop()


async def test_results_are_json(gateway: GatewayCaller) -> None:
    """GW-8."""
    for key, body, result in (
        ("add", "[1, 2]", b"3"),
        ("echo", '[{"a":[1,0.5,null]}]', b'{"a":[1,0.5,null]}'),
        ("echo", "[null]", b""),
    ):
        answer = await gateway.post("chatservice", key, body)
        assert (answer.status, answer.body) == (200, result)
    answer = await gateway.post("chatservice", "throwhub", "[]")
    assert (answer.status, answer.problem["detail"]) == (502, HUB_SAYS_NO)
