"""What a connection may subscribe to, and how often (GW-15, GW-16, GW-20)."""

from __future__ import annotations

from typing import Any

import pytest

from protocol import HubException, HubOptions
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.routing.subscriptions import Subscriptions
from signalr_gateway.routing.tables import RoutingTables, Subscription
from tests.gateway.gateway_clients import Inbox
from tests.gateway.running_gateway import running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to, individual


def orchestrate(orchestrator: Orchestrator, url: str = "http://127.0.0.1:1/hub") -> None:
    builder = orchestrator.add_hub("sample", connecting_to(url))
    for key, method in (("one", "ToOne"), ("two", "ToTwo"), ("both", "ToOne")):
        builder.add_route(key, individual(method))
    builder.add_route(
        "group",
        HubRouteInfo(receive_method="ToOne", broadcast_type=BroadcastType.GROUP, receive_group="g"),
    )


@pytest.fixture
def subscriptions() -> Subscriptions:
    orchestrator = Orchestrator()
    orchestrate(orchestrator)
    return Subscriptions(RoutingTables(orchestrator.hubs), 5)


def as_user(route: str, user: str = "john") -> Subscription:
    return Subscription("sample", route=route, user=user)


def test_channels_are_joined_for_the_first_and_left_with_the_last(
    subscriptions: Subscriptions,
) -> None:
    """GW-2: a channel is a kind of event, whatever leads to it."""
    reasons = [
        as_user("one"),
        as_user("one", "jane"),
        as_user("both"),
        Subscription("sample", group="g"),
    ]
    assert [subscriptions.add(each) for each in reasons] == [["sample\nToOne"], [], [], []]
    assert subscriptions.add(as_user("two")) == ["sample\nToTwo"]
    assert [subscriptions.remove(each) for each in reasons] == [[], [], [], ["sample\nToOne"]]
    assert subscriptions.add(as_user("both")) == ["sample\nToOne"]


def test_what_changes_nothing(subscriptions: Subscriptions) -> None:
    """GW-19."""
    assert subscriptions.remove(as_user("one")) is None
    assert subscriptions.add(as_user("one")) is not None
    assert subscriptions.add(as_user("one")) is None
    assert subscriptions.remove(as_user("one")) is not None
    assert subscriptions.remove(as_user("one")) is None


def test_their_number_is_bounded(subscriptions: Subscriptions) -> None:
    """What is refused is not held; giving one up makes room."""
    for number in range(5):
        assert subscriptions.add(as_user("one", f"user {number}")) is not None
    for _ in range(2):
        with pytest.raises(HubException, match="has 5 subscriptions, the most"):
            subscriptions.add(as_user("two"))
    assert subscriptions.add(as_user("one", "user 0")) is None
    assert subscriptions.remove(as_user("two")) is None
    assert subscriptions.remove(as_user("one", "user 0")) == []
    assert subscriptions.add(as_user("two")) == ["sample\nToTwo"]


async def test_the_groups_of_the_hub_fit_the_orchestration(hub: RunningHub) -> None:
    """Hub options for groups are no trap: there are as many as the orchestration has events."""
    options = HubOptions(maximum_groups_per_connection=1, maximum_group_name_length=1)
    async with running_gateway(
        lambda orchestrator: orchestrate(orchestrator, hub.url), hub_options=options
    ) as gateway:
        connection = gateway.client()
        inbox = Inbox(connection)
        async with connection:
            for key in ("one", "two"):
                await connection.invoke(
                    "SubscribeToRoute", {"Api": "sample", "Key": key, "UserId": "x" * 256}
                )
            await hub.send("ToOne", b"[]")
            await hub.send("ToTwo", b"[]")
            assert [(await inbox.take())[0] for _ in range(2)] == ["ToOne", "ToTwo"]
            with pytest.raises(HubException, match="UserId has more than 256 characters"):
                await connection.invoke(
                    "SubscribeToRoute", {"Api": "sample", "Key": "one", "UserId": "x" * 257}
                )


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("SubscribeToRoute", {"Api": "sample", "Key": "one", "UserId": "john"}),
        ("subscribetoroute", {"api": "SAMPLE", "key": "ONE", "userId": "John"}),
        ("SUBSCRIBETOROUTE", {"API": "Sample", "KEY": "One", "USERID": "JOHN"}),
        (
            "SubscribeToRoute",
            {"Api": "sample", "Key": "one", "UserId": "john", "More": [{}], "x": 1},
        ),
        ("SubscribeToRoute", {"Api": "sample", "Key": "one", "UserId": "john", "ReceiveKey": 5}),
    ],
)
async def test_spellings(hub: RunningHub, method: str, argument: dict[str, Any]) -> None:
    """GW-16: names and UserIds ignore case, what else is there is ignored, numbers are text."""
    async with running_gateway(lambda orchestrator: orchestrate(orchestrator, hub.url)) as gateway:
        connection = gateway.client()
        inbox = Inbox(connection)
        async with connection:
            await connection.invoke(method, argument)
            await hub.send("ToOne", b"[1]")
            assert await inbox.take() == ("ToOne", b"[[1],{}]")
            await connection.invoke(
                "unsubscribeFromRoute", {"api": "sample", "key": "one", "userId": "jOHN"}
            )
            await hub.send("ToOne", b"[2]")
            await connection.invoke(
                "SubscribeToRoute", {"Api": "sample", "Key": "two", "UserId": 7}
            )
            await hub.send("ToTwo", b"[3]")
            assert await inbox.take() == ("ToTwo", b"[[3],{}]")


@pytest.mark.parametrize("wrong", [[], {}, True])
async def test_a_member_that_is_not_text(hub: RunningHub, wrong: object) -> None:
    """GW-16, S-6: a list, an object and a boolean are refused."""
    async with running_gateway(lambda orchestrator: orchestrate(orchestrator, hub.url)) as gateway:
        async with gateway.client() as connection:
            with pytest.raises(HubException, match=r"^Failed to invoke 'SubscribeToRoute' due to"):
                await connection.invoke(
                    "SubscribeToRoute", {"Api": "sample", "Key": "one", "UserId": wrong}
                )
