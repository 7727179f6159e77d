"""GW-44, GW-45: which clients receive the events of a route, and may subscribe to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from protocol import (
    EndpointOptions,
    HttpRequestData,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    Principal,
)
from signalr_gateway import BroadcastType, HubRouteInfo, Orchestrator, Policy
from tests.gateway.gateway_clients import Inbox
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to

RESTRICTED = {"receive_policies": ["staff"]}
ROLES = ("", "guest", "staff")
LAST = "ToAll"
"""An event that all clients receive. It is sent last, so that a test need not wait for others."""


def receives(method: str, kind: BroadcastType, **more: Any) -> HubRouteInfo:
    return HubRouteInfo(receive_method=method, broadcast_type=kind, **more)


def orchestrate(orchestrator: Orchestrator, url: str) -> None:
    orchestrator.add_policy("staff", Policy(roles=["staff"]))
    hub = orchestrator.add_hub("sample", connecting_to(url))
    hub.add_route("all", receives(LAST, BroadcastType.ALL))
    hub.add_route("users", receives("ToUsers", BroadcastType.AUTHENTICATED))
    hub.add_route("staff", receives("ToStaff", BroadcastType.ALL, **RESTRICTED))
    hub.add_route("one", receives("ToOne", BroadcastType.INDIVIDUAL))
    hub.add_route("own", receives("ToOwn", BroadcastType.SUBSCRIBED))
    hub.add_route("hidden", receives("ToHidden", BroadcastType.SUBSCRIBED, **RESTRICTED))
    hub.add_route(
        "seen",
        receives("ToSeen", BroadcastType.INDIVIDUAL, invoke_method="Echo", **RESTRICTED),
    )
    group = {"receive_group": "g"}
    hub.add_route("group", receives("ToGroup", BroadcastType.GROUP, **group))
    hub.add_route("inner", receives("ToInner", BroadcastType.GROUP, **group, **RESTRICTED))


def authenticate(request: HttpRequestData) -> Principal | None:
    """The user whose role is the access token."""
    role = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return Principal("ann", frozenset({role})) if role else None


@pytest.fixture
async def gateway(hub: RunningHub) -> AsyncIterator[RunningGateway]:
    """A gateway that also admits anonymous clients."""
    async with running_gateway(
        lambda orchestrator: orchestrate(orchestrator, hub.url),
        authenticate=authenticate,
        authorize=False,
        endpoint_options=EndpointOptions(enable_authentication_refresh=True),
    ) as running:
        yield running


class Client:
    """A client of the gateway hub, and what it receives."""

    def __init__(self, gateway: RunningGateway, role: Callable[[], str]) -> None:
        builder = HubConnectionBuilder().with_url(
            f"{gateway.url}/gatewayhub", access_token_factory=role
        )
        self.connection: HubConnection = builder.build()
        self._inbox = Inbox(self.connection)

    async def subscribe(self, key: str, **members: str) -> None:
        method = "SubscribeToGroup" if "ReceiveGroup" in members else "SubscribeToRoute"
        await self.connection.invoke(method, {"Api": "sample", "Key": key, **members})

    async def received(self) -> list[str]:
        """The events up to `LAST`, without it."""
        names = []
        while (name := (await self._inbox.take())[0]) != LAST:
            names.append(name)
        return names


async def send(hub: RunningHub, *targets: str) -> None:
    for target in (*targets, LAST):
        await hub.send(target, b"[]")


async def test_events_without_a_subscription(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-44: `authenticated` and policies keep events from clients that only connect."""
    async with AsyncExitStack() as connected:
        clients = [Client(gateway, lambda role=role: role) for role in ROLES]  # type: ignore[misc]
        for client in clients:
            await connected.enter_async_context(client.connection)
        await send(hub, "ToUsers", "ToStaff", "ToOwn", "ToHidden", "ToSeen", "ToInner")
        assert [await client.received() for client in clients] == [
            [],
            ["ToUsers"],
            ["ToUsers", "ToStaff"],
        ]


async def test_subscriptions(gateway: RunningGateway, hub: RunningHub) -> None:
    """GW-45: a route that a client may not know of is answered like one that does not exist."""
    staff, guest = Client(gateway, lambda: "staff"), Client(gateway, lambda: "guest")
    async with staff.connection, guest.connection:
        for client in (staff, guest):
            await client.subscribe("own")  # without a UserId
            await client.subscribe("own", UserId="john")
            await client.subscribe("group", ReceiveGroup="g")
        await staff.subscribe("hidden")
        await staff.subscribe("seen", UserId="john")
        for key, members, refusal in (
            ("hidden", {}, "There is no route 'sample/hidden'."),
            ("nothing", {}, "There is no route 'sample/nothing'."),
            ("inner", {"ReceiveGroup": "g"}, "There is no route 'sample/inner'."),
            ("seen", {"UserId": "john"}, "This client may not receive the events of this route."),
            ("one", {}, "UserId is missing."),
        ):
            with pytest.raises(HubException) as caught:
                await guest.subscribe(key, **members)
            assert str(caught.value).endswith(f"HubException: {refusal}")
        await send(hub, "ToOwn", "ToHidden", "ToSeen", "ToGroup", "ToInner")
        assert await staff.received() == ["ToOwn", "ToHidden", "ToSeen", "ToGroup", "ToInner"]
        assert await guest.received() == ["ToOwn", "ToGroup"]


async def test_a_new_token_changes_what_a_client_receives(
    gateway: RunningGateway, hub: RunningHub
) -> None:
    """GW-44: subscriptions stay, but events follow the rights of the present user."""
    role = "staff"
    client = Client(gateway, lambda: role)
    async with client.connection:
        await client.subscribe("hidden")
        await client.subscribe("own")
        for role, expected in (  # noqa: B007
            ("guest", ["ToUsers", "ToOwn"]),
            ("staff", ["ToUsers", "ToStaff", "ToHidden", "ToOwn"]),
        ):
            await client.connection.refresh_authentication()
            await client.subscribe("all")  # without effect; the refresh has taken effect before it
            await send(hub, "ToUsers", "ToStaff", "ToHidden", "ToOwn")
            assert await client.received() == expected


async def test_the_orchestration_lists_net_names(gateway: RunningGateway) -> None:
    """GW-11, GW-44: clients of the original know only the three names of .NET."""
    staff = {"Authorization": "Bearer staff"}
    answer = await gateway.request("GET", "/api/Gateway/orchestration", headers=staff)
    for key, name in (("users", "All"), ("own", "Individual"), ("one", "Individual")):
        text = f'"broadcastType":"{name}","receiveParameterTypes":null,"key":"{key}"'
        assert text.encode() in answer.body
