"""A large payload of a MessagePack hub is transcoded in many turns of the event loop (GW-14)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from protocol import DefaultHubLifetimeManager, Payload
from signalr_gateway.clients.broadcast import Broadcaster
from signalr_gateway.downstream.forms import require_form
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from signalr_gateway.routing.tables import RoutingTables
from tests.gateway.sample_hub import connecting_to


class Clients:
    """Stands in for a HubContext, and takes what is sent."""

    def __init__(self) -> None:
        self.clients = self.all = self
        self.sent: list[tuple[Any, ...]] = []

    async def send(self, target: str, *arguments: Any) -> None:
        self.sent.append((target, *arguments))


def large() -> Payload:
    return Payload({"messagepack": msgspec.Raw(msgspec.msgpack.encode([[0.5] * 100_000]))})


async def turns_of(work: Coroutine[Any, Any, Any]) -> int:
    """In how many turns of the event loop `work` is done."""
    task, turns = asyncio.ensure_future(work), 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    task.result()
    return turns


def broadcaster(clients: Any, spoken: dict[str, int], **route: Any) -> Broadcaster:
    orchestrator = Orchestrator()
    build = connecting_to("http://host/hub")
    info = HubRouteInfo(receive_method="News", **route)
    orchestrator.add_hub("h", build, maximum_event_size=2_000_000).add_route("r", info)
    return Broadcaster(
        RoutingTables(orchestrator.hubs), ["h"], clients, spoken, DefaultHubLifetimeManager()
    )


@pytest.mark.parametrize("spread", [False, True])
async def test_for_a_client_that_speaks_json(spread: bool) -> None:
    clients, event = Clients(), large()
    sender = broadcaster(clients, {"json": 1, "messagepack": 1}, spread=spread)
    assert await turns_of(sender.on_event("h", "News", event)) > 50
    ((_, payload, *_rest),) = clients.sent
    assert list(payload.steps("json")) == []


async def test_for_the_check_of_the_arguments() -> None:
    sender = broadcaster(Clients(), {}, receive_parameter_types=[list[float]])
    assert await turns_of(sender.on_event("h", "News", large())) > 50


async def test_not_without_a_client_that_speaks_json() -> None:
    sender, event = broadcaster(Clients(), {"json": 0, "messagepack": 1}), large()
    assert await turns_of(sender.on_event("h", "News", event)) < 5
    assert next(event.steps("json"), "many") is None


async def test_not_for_an_event_that_is_not_forwarded() -> None:
    """It is over the limit of its hub, or of no route."""
    sender = broadcaster(Clients(), {"json": 1}, receive_parameter_types=[list[float]])
    huge = Payload({"messagepack": msgspec.Raw(msgspec.msgpack.encode([[0.5] * 300_000]))})
    assert await turns_of(sender.on_event("h", "News", huge)) < 5
    assert await turns_of(sender.on_event("h", "Other", large())) < 5
    assert sender.counts("h").misfit == sender.counts("h").unrouted == 1


async def test_for_the_result_of_a_call() -> None:
    assert await turns_of(require_form(large(), "json")) > 50
