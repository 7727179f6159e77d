"""GW-57: the other gateway misbehaves towards a relay."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from protocol import (
    ExponentialBackoff,
)
from signalr_gateway.clients.other_gateway import (
    ANSWER_TIMEOUT,
    CALL_SIZE,
    MAXIMUM_CALLS,
    MAXIMUM_WAITING_SIZE,
    OtherGateway,
)
from signalr_gateway.downstream.connection import HubState
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from signalr_gateway.routing.tables import RoutingTables
from tests.gateway.payloads import json_payload
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import CLOSE, completion, event, failure, item, result
from tests.support.loop_fixtures import clock, harness  # noqa: F401
from tests.support.memory_peer import MemoryPeer

LARGE = "x" * 10_000_000


class Relay:
    """A relay over connections in memory. The test acts as the other gateway."""

    def __init__(self, peers: ClientHarness) -> None:
        orchestrator = Orchestrator()
        connection = peers.connection()
        hub = orchestrator.add_hub("h", lambda builder: connection)
        hub.add_route("news", HubRouteInfo(receive_method="News"))
        backoff = ExponentialBackoff(random=lambda: 0.0)
        self.gateway = OtherGateway(RoutingTables(orchestrator.hubs), connection, backoff=backoff)
        self._peers = peers

    async def accepted(self) -> None:
        """Answer the question whether this gateway takes events, on the newest connection."""
        question = (await self._peers.server.take())[-1]
        assert question["arguments"] == [None] * 4
        self._peers.server.send(result(id=question["invocationId"]))
        await self._peers.clock.settle()
        assert self.gateway.status.state is HubState.CONNECTED

    async def event(self, arguments: bytes) -> None:
        await self.gateway.on_event("h", "News", json_payload(arguments))

    async def events(self) -> list[dict[str, Any]]:
        """The calls with events that have arrived at the newest connection."""
        return [each for each in await self._peers.server.take() if each["type"] == 1]


@pytest.fixture
async def relay(harness: ClientHarness) -> AsyncIterator[Relay]:  # noqa: F811
    relay = Relay(harness)
    relay.gateway.start()
    await harness.clock.settle()
    await relay.accepted()
    yield relay
    await relay.gateway.stop()


NONSENSE: dict[str, Callable[[MemoryPeer, str], None]] = {
    "no JSON": lambda peer, id: peer.send("nonsense"),
    "an array": lambda peer, id: peer.send([]),
    "an unknown type": lambda peer, id: peer.send({"type": 99}),
    "a type that is text": lambda peer, id: peer.send({"type": "3", "invocationId": id}),
    "a result and an error": lambda peer, id: peer.send(completion(id, result=1, error="x")),
    "a result of another type": lambda peer, id: peer.send(result([{"a": 1}], id=id)),
    "a large result": lambda peer, id: peer.send(result(LARGE, id=id)),
    "a large error": lambda peer, id: peer.send(failure(LARGE, id=id)),
    "an unknown call": lambda peer, id: peer.send(result(1, id="no such call")),
    "an item": lambda peer, id: peer.send(item(1, id=id)),
    "many events": lambda peer, id: peer.send(*[event("News", 1)] * 1000),
    "a large event": lambda peer, id: peer.send(event("News", LARGE)),
    "a question": lambda peer, id: peer.send({**event("News"), "invocationId": "q"}),
    "an Ack": lambda peer, id: peer.send({"type": 8, "sequenceId": 2**70}),
    "a part of a record": lambda peer, id: peer.send_bytes(b'{"type":'),
    "bytes that are no text": lambda peer, id: peer.send_bytes(b"\xff\xfe\x1e"),
    "Close": lambda peer, id: peer.send(CLOSE),
    "the end": lambda peer, id: peer.vanish(),
}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_of_the_other_gateway(
    relay: Relay,
    harness: ClientHarness,  # noqa: F811
    nonsense: Callable[[MemoryPeer, str], None],
) -> None:
    """It costs at most the event that it answers, and the connection."""
    await relay.event(b'["first"]')
    [first] = await relay.events()
    nonsense(harness.server, first["invocationId"])
    await harness.clock.settle()
    if relay.gateway.status.state is not HubState.CONNECTED:
        await harness.clock.advance(1)
        await relay.accepted()
    await harness.clock.advance(ANSWER_TIMEOUT)
    if relay.gateway.status.state is not HubState.CONNECTED:  # it was silent for too long
        await harness.clock.advance(1)
        await relay.accepted()
    assert relay.gateway.lost <= 1
    await relay.event(b'["second"]')
    assert [each["arguments"][2] for each in await relay.events()] == [["second"]]


async def test_a_gateway_that_stalls(
    relay: Relay,
    harness: ClientHarness,  # noqa: F811
) -> None:
    """It answers nothing. What waits is bounded, and every event is sent or counted as lost."""
    number = 2 * MAXIMUM_WAITING_SIZE // CALL_SIZE
    for each in range(number):
        await relay.event(b"[%d]" % each)
    assert len(await relay.events()) == MAXIMUM_CALLS
    waiting = number - relay.gateway.lost
    assert waiting * CALL_SIZE < MAXIMUM_WAITING_SIZE
    for _ in range(3):
        harness.server.send({"type": 6})
        await harness.clock.advance(ANSWER_TIMEOUT / 2)
    sent = len(await relay.events())
    assert sent == MAXIMUM_CALLS
    assert relay.gateway.lost == number - waiting + MAXIMUM_CALLS


async def test_a_gateway_that_restarts_again_and_again(
    relay: Relay,
    harness: ClientHarness,  # noqa: F811
) -> None:
    """The pauses grow. A lost event does not count for the bound of the events that wait."""
    half = b'["' + b"x" * (MAXIMUM_WAITING_SIZE // 2 - CALL_SIZE - 4) + b'"]'
    for restart in range(1, 11):
        await relay.event(half)
        assert len(await relay.events()) == 1
        harness.server.vanish()
        await harness.clock.settle()
        assert relay.gateway.lost == restart
        attempts = len(harness.attempts)
        while len(harness.attempts) == attempts:
            await harness.clock.advance(0.5)
        await relay.accepted()
    pauses = [later - earlier for earlier, later in itertools.pairwise(harness.attempts)]
    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15, 15, 15]
    await relay.event(half)
    await relay.event(half)
    assert len(await relay.events()) == 2
