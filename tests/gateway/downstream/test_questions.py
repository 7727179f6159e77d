"""GW-33: a downstream hub that asks the gateway for a result."""

from collections.abc import AsyncIterator

import pytest

from protocol import Payload
from protocol.testing import LoopClock
from signalr_gateway.downstream.connection import Downstream
from signalr_gateway.orchestration.orchestrator import Orchestrator
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import call, failure, result


@pytest.fixture
async def harness() -> AsyncIterator[ClientHarness]:
    with LoopClock() as clock:
        harness = ClientHarness(clock)
        yield harness
        await harness.close()


async def test_the_refusal_says_why(harness: ClientHarness) -> None:
    """GW-33: the event is forwarded all the same; a handler of the author's answers."""
    events: list[str] = []

    async def hear(api: str, target: str, arguments: Payload) -> None:
        events.append(target)

    connection = harness.connection()
    connection.on("Mine", lambda: 7)
    orchestrator = Orchestrator()
    orchestrator.add_hub("ChatService", lambda builder: connection)
    Downstream(orchestrator.hubs["chatservice"], connection, hear)
    await connection.start()
    await harness.server.take()
    assert await harness.server.ask(call("Ask", 1, id="s1"), call("Mine", id="s2")) == [
        failure(
            "The gateway answers no calls of hubs: it forwards their events to several clients.",
            "s1",
        ),
        result(7, "s2"),
    ]
    assert sorted(events) == ["Ask", "Mine"]
