"""Which payloads the gateway sends to the real hub unchanged, and which it refuses."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.interop.drivers import ClientDriver, Value
from tests.interop.orchestrations import add_chat_routes, connect_to
from tests.interop.servers import (
    GatewayCaller,
    GatewayServer,
    HubServer,
    aspnetcore_hub,
    gateway_of,
    running,
)

MIB = 1024 * 1024

NUMBERS = ["0.10", "1e400", "-0", "1E5", "1234567890123456789012345", "0.1000000000000000055"]
"""Numbers that a decoder would change."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hub() -> AsyncIterator[HubServer]:
    """A hub with System.Text.Json, which keeps numbers, and ASP.NET Core's own limits."""
    async with running(aspnetcore_hub(HUB_STJ="1")) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(hub: HubServer) -> AsyncIterator[GatewayServer]:
    async with GatewayServer.before({"chatservice": hub}) as gateway:
        yield gateway


async def relayed(driver: ClientDriver, gateway: GatewayCaller, body: str) -> Value:
    """POSTs to the route whose event contains the argument; returns what a .NET client receives."""
    client = await driver.connect(gateway.url("/gatewayhub"))
    await client.on("ReceiveRelay", "JsonElement", "JsonElement")
    await client.start()
    answer = await gateway.post("chatservice", "relay", body)
    assert (answer.status, answer.body) == (200, b"")
    [[arguments, state]] = await client.calls("ReceiveRelay", 1)
    assert state == Value("JsonElement", "{}")
    await client.stop()
    return arguments


async def test_numbers_are_not_touched(dotnet_driver: ClientDriver, gateway: GatewayServer) -> None:
    for number in NUMBERS:
        answer = await gateway.post("chatservice", "echo", f"[{number}]")
        assert (answer.status, answer.body) == (200, number.encode())
    numbers = f"[{','.join(NUMBERS)}]"
    arguments = await relayed(dotnet_driver, gateway, f"[{numbers}]")
    assert arguments == Value("JsonElement", f"[{numbers}]")


async def test_what_the_hub_could_not_take_spares_a_neighbours_call(
    hub: HubServer, gateway: GatewayServer
) -> None:
    neighbour = asyncio.create_task(gateway.post("chatservice", "hold", '["neighbour"]'))
    await hub.holding("neighbour")

    deep = await gateway.post("chatservice", "echo", f"[{'[' * 63}{']' * 63}]")
    assert deep.status == 400
    big = await gateway.post("chatservice", "echo", f'["{"x" * 33_000}"]')
    assert big.status == 413
    assert "maximum_message_size" in big.problem["detail"]

    await hub.release("neighbour")
    answer = await neighbour
    assert (answer.status, answer.body) == (200, b'"neighbour"')
    assert hub.lines("^DISCONNECTED ") == []


async def test_a_large_argument_where_the_limits_are_raised(dotnet_driver: ClientDriver) -> None:
    limit = 4 * MIB
    text = f'"{"x" * MIB}"'
    async with running(aspnetcore_hub(HUB_STJ="1", HUB_MAX=str(limit))) as hub:
        orchestrator = Orchestrator()
        add_chat_routes(
            orchestrator.add_hub(
                "chatservice",
                connect_to(hub.url),
                maximum_message_size=limit,
                maximum_event_size=limit,
            )
        )
        async with gateway_of(orchestrator, limits=Limits(maximum_body_size=limit)) as gateway:
            answer = await gateway.post("chatservice", "echo", f"[{text}]")
            assert (answer.status, answer.body == text.encode()) == (200, True)
            arguments = await relayed(dotnet_driver, gateway, f"[{text}]")
            assert arguments.value == f"[{text}]"
