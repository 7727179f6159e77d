"""GW-46: filters of the gateway hub run around its calls, connects and disconnects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from protocol import Hub, HubException, HubFilter, HubInvocation, HubOptions
from signalr_gateway import Limits
from tests.gateway.running_gateway import running_gateway
from tests.gateway.sample_hub import RunningHub, sample_routes

ECHO = {"Api": "sample", "Key": "echo", "Data": 1}


class Refusing(HubFilter):
    """Raises `error` for each call of a downstream hub.

    With `at_connect`, it also raises `error` for each client, before or after the gateway hub.
    """

    def __init__(self, error: Exception, at_connect: str | None = None) -> None:
        self.error = error
        self.at_connect = at_connect
        self.seen: list[tuple[str, Any, Any]] = []

    async def invoke_method(self, invocation: HubInvocation, call_next: Any) -> Any:
        (call,) = invocation.arguments
        self.seen.append((invocation.method_name, call.api, call.key))
        if "Downstream" in invocation.method_name:
            raise self.error
        return await call_next(invocation)

    async def on_connected(self, hub: Hub, call_next: Any) -> None:
        if self.at_connect != "before":
            await call_next(hub)
        if self.at_connect is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (HubException("Come back tomorrow."), "HubException: Come back tomorrow."),
        (LookupError("hush"), "An unexpected error occurred invoking 'InvokeDownstreamHub'"),
    ],
)
async def test_a_filter_refuses_calls(hub: RunningHub, error: Exception, text: str) -> None:
    """The text of a HubException reaches the client, that of another exception does not."""
    refusing = Refusing(error)
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        hub_options=HubOptions(filters=[refusing]),
    ) as gateway:
        async with gateway.client() as client:
            with pytest.raises(HubException) as caught:
                await client.invoke("InvokeDownstreamHub", ECHO)
            with pytest.raises(HubException):
                _ = [item async for item in client.stream("StreamDownstreamHub", ECHO)]
    assert text in str(caught.value)
    assert "hush" not in str(caught.value)
    assert hub.calls == []
    assert refusing.seen == [
        ("InvokeDownstreamHub", "sample", "echo"),
        ("StreamDownstreamHub", "sample", "echo"),
    ]


@pytest.mark.parametrize("at_connect", ["before", "after"])
async def test_a_filter_refuses_clients(hub: RunningHub, at_connect: str) -> None:
    """A refused client does not count for the limit of its address (GW-52)."""
    refusing = Refusing(LookupError("hush"), at_connect)
    async with running_gateway(
        lambda orchestrator: sample_routes(orchestrator, hub.url),
        hub_options=HubOptions(filters=[refusing]),
        limits=Limits(maximum_connections_per_address=1),
    ) as gateway:
        client, closed = gateway.client(), asyncio.Event()
        client.on_closed(lambda _: closed.set())
        await client.start()
        await closed.wait()
        refusing.at_connect = None
        async with gateway.client() as accepted:
            await accepted.invoke("UnsubscribeFromRoute", {"Api": "sample", "Key": "echo"})
        assert [name for name, *_ in refusing.seen] == ["UnsubscribeFromRoute"]
