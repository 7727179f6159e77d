"""A hub behind the gateway, with a method for each way to answer, and an orchestration of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from protocol import (
    Hub,
    HubConnection,
    HubConnectionBuilder,
    HubContext,
    HubException,
    JsonHubProtocol,
    hub_method,
    map_hub,
)
from protocol.hub_protocol import HubProtocol
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.serving.listener import serving

from .payloads import json_payload

RECEIVE_KEY = "2f85e3c6-66d2-48a3-8ff7-31a65073558b"


class Request(msgspec.Struct):
    name: str | None = None
    message: str | None = None


class SampleHub(Hub):
    """The documentation's SendMessage, and a method for each way to answer."""

    calls: list[tuple[str, list[bytes]]]
    held: asyncio.Event
    release: asyncio.Event

    @hub_method
    async def send_message(self, request: Request) -> None:
        await self.clients.all.send("ReceiveMessage", request.name, request.message)

    @hub_method
    def echo(self, value: msgspec.Raw) -> msgspec.Raw:
        self.calls.append(("Echo", [bytes(value)]))
        return value

    @hub_method
    def ten(
        self, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, j: Any
    ) -> int:
        return len([a, b, c, d, e, f, g, h, i, j])

    @hub_method
    def nothing(self) -> None:
        self.calls.append(("Nothing", []))

    @hub_method
    def fail(self) -> None:
        raise HubException('the "hub" says no – ünchanged')

    @hub_method
    def crash(self) -> None:
        raise LookupError("secret detail")

    @hub_method
    async def hold(self) -> str:
        """Answer when the test sets `release`."""
        self.held.set()
        await self.release.wait()
        return "released"

    @hub_method
    def abort(self) -> None:
        self.context.abort()


@dataclass
class RunningHub:
    """The running hub, with its context for events and a record of its calls."""

    url: str
    context: HubContext
    calls: list[tuple[str, list[bytes]]]
    held: asyncio.Event
    release: asyncio.Event

    async def send(self, target: str, arguments: bytes) -> None:
        """Send an event whose arguments are this JSON array."""
        await self.context.clients.all.send(target, *json_payload(arguments).elements())


@asynccontextmanager
async def running_hub(port: int = 0) -> AsyncIterator[RunningHub]:
    calls: list[tuple[str, list[bytes]]] = []
    held, release = asyncio.Event(), asyncio.Event()

    def make_hub() -> SampleHub:
        hub = SampleHub()
        hub.calls, hub.held, hub.release = calls, held, release
        return hub

    app = web.Application()
    context = map_hub(app, "/samplehub", SampleHub, hub_factory=make_hub)
    async with serving(app, "127.0.0.1", port) as url:
        try:
            yield RunningHub(f"{url}/samplehub", context, calls, held, release)
        finally:
            release.set()  # otherwise the server waits for calls that wait for the test


def connecting_to(
    url: str, hub_protocol: HubProtocol | None = None
) -> Callable[[HubConnectionBuilder], HubConnection]:
    spoken = hub_protocol or JsonHubProtocol()
    return lambda builder: builder.with_url(url).with_hub_protocol(spoken).build()


METHODS = ("Echo", "Ten", "Nothing", "Fail", "Crash", "Hold", "Abort", "NoSuchMethod")


def sample_routes(
    orchestrator: Orchestrator,
    url: str,
    *,
    hub_protocol: HubProtocol | None = None,
    **hub_options: Any,
) -> None:
    """The hub as ``Sample``: a route for each method, and one of each kind of audience."""
    build = connecting_to(url, hub_protocol)
    hub = orchestrator.add_hub("Sample", build, **hub_options).add_route(
        "Room",
        HubRouteInfo(
            invoke_method="SendMessage",
            receive_method="ReceiveMessage",
            receive_parameter_types=[str, str],
        ),
    )
    for method in METHODS:
        hub.add_route(method, HubRouteInfo(invoke_method=method))
    hub.add_route("listen", HubRouteInfo(receive_method="Anything"))
    hub.add_route("spread", HubRouteInfo(receive_method="Spread", spread=True))
    hub.add_route(
        "group",
        HubRouteInfo(
            receive_method="ToGroup", broadcast_type=BroadcastType.GROUP, receive_group="ChatGroup"
        ),
    )
    for key in ("one", "two"):
        hub.add_route(
            key,
            HubRouteInfo(
                invoke_method="Echo",
                receive_method=f"To{key.title()}",
                broadcast_type=BroadcastType.INDIVIDUAL,
            ),
        )
    hub.add_route("shared1", individual("Shared")).add_route("shared2", individual("Shared"))


def individual(method: str) -> HubRouteInfo:
    return HubRouteInfo(receive_method=method, broadcast_type=BroadcastType.INDIVIDUAL)
