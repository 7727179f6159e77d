"""GW-33: a downstream hub that asks the gateway for a result."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from protocol import (
    Hub,
    HubConnection,
    HubConnectionBuilder,
    HubException,
    Payload,
    hub_method,
    map_hub,
)
from signalr_gateway.downstream.building import build_connections
from signalr_gateway.downstream.connecting import NO_CLIENT_RESULT
from signalr_gateway.downstream.hub import Downstream
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.serving.listener import serving
from tests.gateway.payloads import json_payload, json_text
from tests.support.routes import route_to


class AskingHub(Hub):
    @hub_method
    async def buy(self, target: str) -> str:
        answer: str = await self.clients.caller.invoke(target, 5, result_type=str)
        return answer


@pytest.fixture
def events() -> list[str]:
    """The names of the events that the gateway forwards."""
    return []


@pytest.fixture
async def downstream(events: list[str]) -> AsyncIterator[Downstream]:
    app = web.Application()
    map_hub(app, "/asking", AskingHub)
    orchestrator = Orchestrator()

    async def forward(api: str, target: str, arguments: Payload, user: str | None) -> None:
        events.append(target)

    async with serving(app, "127.0.0.1", 0) as url:

        def build(builder: HubConnectionBuilder) -> HubConnection:
            connection = builder.with_url(f"{url}/asking").build()
            connection.on("Confirm", lambda price: f"yes, {price}")
            return connection

        orchestrator.add_hub("Asking", build)
        (connection,) = build_connections(orchestrator.hubs).values()
        downstream = Downstream(orchestrator.hubs["asking"], connection, forward)
        downstream.start()
        yield downstream
        await downstream.stop()


async def test_the_gateway_does_not_answer(downstream: Downstream, events: list[str]) -> None:
    """GW-33: the error text names the gateway as the reason. The event is forwarded anyway."""
    with pytest.raises(HubException) as caught:
        await downstream.invoke(route_to("Buy"), [json_payload(b'"Approve"')])
    assert str(caught.value) == (
        f"An unexpected error occurred invoking 'Buy' on the server. HubException: "
        f"{NO_CLIENT_RESULT}"
    )
    assert events == ["Approve"]


async def test_a_handler_of_the_author_answers(downstream: Downstream) -> None:
    """GW-33: handlers that the author registers may return results."""
    answer = await downstream.invoke(route_to("Buy"), [json_payload(b'"Confirm"')])
    assert answer is not None
    assert json_text(answer) == b'"yes, 5"'
