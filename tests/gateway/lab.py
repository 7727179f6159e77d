"""A downstream hub and a gateway in front of it, both on real loopback sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from protocol import (
    HttpTransportType,
    Hub,
    HubConnection,
    HubConnectionBuilder,
    HubContext,
    HubException,
    JsonHubProtocol,
    MessagePackHubProtocol,
    hub_method,
    map_hub,
)
from protocol.hub_protocol import HubProtocol
from signalr_gateway.downstream.clock import Clock
from signalr_gateway.downstream.connection import Downstream, HubState
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.serving.app import GATEWAY, create_app
from signalr_gateway.serving.gateway import Gateway
from signalr_gateway.serving.listener import serving

from .payloads import json_payload

WAYS: list[tuple[HttpTransportType, HubProtocol]] = [
    (HttpTransportType.WEB_SOCKETS, JsonHubProtocol()),
    (HttpTransportType.WEB_SOCKETS, MessagePackHubProtocol()),
    (HttpTransportType.SERVER_SENT_EVENTS, JsonHubProtocol()),
    (HttpTransportType.LONG_POLLING, JsonHubProtocol()),
    (HttpTransportType.LONG_POLLING, MessagePackHubProtocol()),
]
"""Each transport with each hub protocol that it carries."""

RECEIVE_KEY = "2f85e3c6-66d2-48a3-8ff7-31a65073558b"


class Request(msgspec.Struct):
    name: str | None = None
    message: str | None = None


class LabHub(Hub):
    """The documentation's SendMessage, and methods that answer in every way there is."""

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
        """Answers when the test says so."""
        self.held.set()
        await self.release.wait()
        return "released"

    @hub_method
    def abort(self) -> None:
        self.context.abort()


@dataclass
class Lab:
    """The running hub: its context for events, what it was called with."""

    url: str
    context: HubContext
    calls: list[tuple[str, list[bytes]]]
    held: asyncio.Event
    release: asyncio.Event

    async def send(self, target: str, arguments: bytes) -> None:
        """Send an event whose arguments are this JSON array."""
        await self.context.clients.all.send(target, *json_payload(arguments).elements())


@asynccontextmanager
async def running_lab(port: int = 0) -> AsyncIterator[Lab]:
    calls: list[tuple[str, list[bytes]]] = []
    held, release = asyncio.Event(), asyncio.Event()

    def make_hub() -> LabHub:
        hub = LabHub()
        hub.calls, hub.held, hub.release = calls, held, release
        return hub

    app = web.Application()
    context = map_hub(app, "/labhub", LabHub, hub_factory=make_hub)
    async with serving(app, "127.0.0.1", port) as url:
        yield Lab(f"{url}/labhub", context, calls, held, release)


def connecting_to(
    url: str, hub_protocol: HubProtocol | None = None
) -> Callable[[HubConnectionBuilder], HubConnection]:
    spoken = hub_protocol or JsonHubProtocol()
    return lambda builder: builder.with_url(url).with_hub_protocol(spoken).build()


METHODS = ("Echo", "Ten", "Nothing", "Fail", "Crash", "Hold", "Abort", "NoSuchMethod")


def lab_routes(
    orchestrator: Orchestrator,
    url: str,
    *,
    hub_protocol: HubProtocol | None = None,
    **hub_options: Any,
) -> None:
    """The hub as ``Lab``: a route for each method, and one of each kind of audience."""
    build = connecting_to(url, hub_protocol)
    hub = orchestrator.add_hub("Lab", build, **hub_options).add_route(
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


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["Content-Type"] == "application/problem+json"
        problem: dict[str, Any] = msgspec.json.decode(self.body)
        assert problem["status"] == self.status
        assert problem["error"] == problem["detail"]
        assert problem["requestId"] == self.headers["X-Request-Id"]
        return problem


@dataclass
class RunningGateway:
    """A gateway that serves, and an HTTP client that sends exactly what it is told."""

    url: str
    parts: Gateway
    session: aiohttp.ClientSession

    async def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        skip = () if headers and "Content-Type" in headers else ("Content-Type",)
        async with self.session.request(
            method,
            URL(self.url + path, encoded=True),
            data=body,
            headers=headers,
            skip_auto_headers=skip,
            allow_redirects=False,
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def post(self, route: str, body: bytes, **headers: str) -> Answer:
        """POST a JSON body to ``api/key``."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.request(
            "POST",
            f"/api/Gateway/hub/{route}",
            body,
            {"Content-Type": "application/json", **given},
        )

    def client(self, hub_protocol: HubProtocol | None = None) -> HubConnection:
        """A client of the gateway hub, not started."""
        return connecting_to(f"{self.url}/gatewayhub", hub_protocol)(HubConnectionBuilder())

    @property
    def clients(self) -> int:
        """How many are connected to the gateway hub."""
        assert self.parts.hub is not None
        return self.parts.hub.context.connection_count


@asynccontextmanager
async def running_gateway(
    orchestrate: Callable[[Orchestrator], None],
    *,
    connected: bool = True,
    clock: Clock | None = None,
    **options: Any,
) -> AsyncIterator[RunningGateway]:
    """A gateway of that orchestration; by default once all its hubs are connected.

    Waits for hubs are timed by `clock`; `options` are those of `create_app`.
    """
    orchestrator = Orchestrator()
    orchestrate(orchestrator)
    app = create_app(orchestrator, make_downstream=partial(Downstream, clock=clock), **options)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        serving(app, "127.0.0.1", 0) as url,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        parts = app[GATEWAY]
        if connected:
            await until(
                lambda: all(
                    status.state is HubState.CONNECTED
                    for status in parts.downstreams.statuses.values()
                )
            )
        yield RunningGateway(url, parts, session)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that no event announces; the test's own timeout ends it."""
    while not condition():  # noqa: ASYNC110 - what is watched has no event to wait for
        await asyncio.sleep(0.002)


class Inbox:
    """Collects what a client receives; `take` waits for it."""

    def __init__(self, connection: HubConnection) -> None:
        self._received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        connection.on_any(lambda target, arguments: self._put(target, bytes(arguments)))

    def _put(self, target: str, arguments: bytes) -> None:
        self._received.put_nowait((target, arguments))

    async def take(self) -> tuple[str, bytes]:
        return await self._received.get()

    @property
    def empty(self) -> bool:
        return self._received.empty()


async def close_quietly(awaitable: Awaitable[object]) -> BaseException | None:
    """The error that an awaitable ends with."""
    try:
        await awaitable
    except BaseException as error:
        return error
    return None
