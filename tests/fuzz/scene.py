"""The servers that are attacked, each on its own port in this process.

These are a hub server, a gateway in front of one of its hubs, and two hubs that can be made
hostile: one behind the gateway, one for clients of the library.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from protocol import (
    EndpointOptions,
    ExponentialBackoff,
    HttpTransportType,
    Hub,
    HubConnectionBuilder,
    HubContext,
    HubException,
    HubOptions,
    JsonHubProtocol,
    MessagePackHubProtocol,
    hub_method,
    map_hub,
)
from protocol.hub_protocol import HubProtocol
from protocol.transports.server.hosted_hubs import Hosting
from signalr_gateway.downstream.connection import HubState
from signalr_gateway.downstream.hub import Downstream
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.serving.app import GATEWAY, create_app
from signalr_gateway.serving.gateway import Gateway
from signalr_gateway.serving.listener import serving

from .hostile_hub import HostileHub

HUB, GATEWAY_HUB = "/hub", "/gatewayhub"
RECEIVE_KEY = "2f85e3c6-66d2-48a3-8ff7-31a65073558b"
HUB_PROTOCOLS: dict[str, HubProtocol] = {
    "json": JsonHubProtocol(),
    "messagepack": MessagePackHubProtocol(),
}
TRANSPORTS = (
    HttpTransportType.WEB_SOCKETS,
    HttpTransportType.SERVER_SENT_EVENTS,
    HttpTransportType.LONG_POLLING,
)
# Short enough to see the ends of connections, long enough for ordinary clients on a busy machine.
_QUICK_HUB = HubOptions(handshake_timeout=3, client_timeout_interval=5)
_QUICK = EndpointOptions(
    disconnect_timeout=3,
    close_timeout=0.2,
    long_polling_poll_timeout=1,
    receive_timeout=3,
    transport_send_timeout=3,
)


class Item(msgspec.Struct):
    """A declared type with members of several kinds."""

    name: str
    count: int = 0
    of: list[Item] | None = None


class AttackedHub(Hub):
    """A method of each kind."""

    @hub_method
    def echo(self, value: msgspec.Raw) -> msgspec.Raw:
        return value

    @hub_method
    def ten(
        self, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, j: Any
    ) -> int:
        return len([a, b, c, d, e, f, g, h, i, j])

    @hub_method
    def nothing(self) -> None:
        pass

    @hub_method
    def typed(self, item: Item, keys: dict[int, float], flag: bool = True) -> Item:
        return item

    @hub_method
    async def send_message(self, value: Any, other: Any = None) -> None:
        await self.clients.all.send("ReceiveMessage", value, other)

    @hub_method
    async def count(self, number: int) -> AsyncIterator[int]:
        for each in range(min(number, 5)):
            yield each

    @hub_method
    async def collect(self, items: AsyncIterator[Any]) -> int:
        return len([item async for item in items])

    @hub_method
    async def ask(self) -> Any:
        try:
            async with asyncio.timeout(0.2):
                return await self.clients.caller.invoke("Answer", 1)
        except TimeoutError:
            return None

    @hub_method
    def crash(self) -> None:
        raise HubException("no")


@dataclass
class Scene:
    """The running programs, and an HTTP client without limits."""

    hub_port: int
    gateway_port: int
    hostile_downstream: HostileHub
    hostile_server: HostileHub
    session: aiohttp.ClientSession
    gateway: Gateway
    _contexts: list[HubContext]
    _hostings: list[Hosting]

    @property
    def ports(self) -> tuple[int, int]:
        return self.hub_port, self.gateway_port

    def hub_at(self, port: int) -> str:
        """The path of the hub at `port`."""
        return HUB if port == self.hub_port else GATEWAY_HUB

    def leftovers(self) -> dict[str, int]:
        """Counts objects that clients cause; empty if there are no clients."""
        made = {
            f"connections of hub {n}": it.connection_count for n, it in enumerate(self._contexts)
        }
        for number, hosting in enumerate(self._hostings):
            hosting.connections.find("", asyncio.get_running_loop().time())  # drops expired ones
            waiting = hosting.connections._waiting.values()
            made[f"active connections of application {number}"] = len([*hosting.connections.active])
            made[f"waiting connections of application {number}"] = sum(
                len(each) for each in waiting
            )
        made["requests of the gateway"] = len(self.gateway.gate._under_way)
        states = [it.status.state for it in self.gateway.downstreams.values()]
        made["downstream hubs away"] = sum(it is not HubState.CONNECTED for it in states)
        return {name: count for name, count in made.items() if count}

    async def probe(self) -> None:
        """Use each port as an ordinary client does. Raises if something does not work."""
        async with asyncio.timeout(60):
            for hub_protocol in HUB_PROTOCOLS.values():
                for transport in TRANSPORTS:
                    if hub_protocol.name == "json" or transport is not TRANSPORTS[1]:
                        await self._probe_hubs(hub_protocol, transport)
            for api in ("Sample", "Hostile"):
                path = f"http://127.0.0.1:{self.gateway_port}/api/Gateway/hub/{api}/Echo"
                async with self.session.post(URL(path), json=["ordinary"]) as answer:
                    assert (answer.status, await answer.json()) == (200, "ordinary"), answer
            async with self.session.get(f"http://127.0.0.1:{self.gateway_port}/healthz") as answer:
                assert answer.status == 200, answer

    async def _probe_hubs(self, hub_protocol: HubProtocol, transport: HttpTransportType) -> None:
        def builder(url: str) -> HubConnectionBuilder:
            made = HubConnectionBuilder().with_url(url, transports=transport)
            return made.with_hub_protocol(hub_protocol)

        async with builder(f"http://127.0.0.1:{self.hub_port}{HUB}").build() as connection:
            assert await connection.invoke("Echo", "ordinary") == "ordinary"
            assert [item async for item in connection.stream("Count", 3)] == [0, 1, 2]
        url = f"http://127.0.0.1:{self.gateway_port}{GATEWAY_HUB}"
        async with builder(url).build() as connection:
            call = {"api": "Sample", "key": "Echo", "data": "ordinary"}
            assert await connection.invoke("InvokeDownstreamHub", call) == "ordinary"


def _orchestrate(orchestrator: Orchestrator, hub: str, hostile: str) -> None:
    for api, url in (("Sample", hub), ("Hostile", hostile)):

        def build(builder: HubConnectionBuilder, url: str = url) -> Any:
            builder = builder.with_url(url).with_handshake_timeout(2).with_server_timeout(10)
            return builder.build()

        routes = orchestrator.add_hub(api, build, invoke_timeout=1)
        for method in ("Echo", "Ten", "Nothing", "Typed", "Crash", "Ask", "NoSuchMethod"):
            routes.add_route(method, HubRouteInfo(invoke_method=method))
        routes.add_route(
            "Count", HubRouteInfo(invoke_method="Count", streams=True, stream_idle_timeout=1)
        )
        routes.add_route(
            "listen",
            HubRouteInfo(
                invoke_method="SendMessage",
                receive_method="ReceiveMessage",
                receive_parameter_types=[str, int],
            ),
        )
        routes.add_route("spread", HubRouteInfo(receive_method="Spread", spread=True))
        routes.add_route(
            "group",
            HubRouteInfo(
                receive_method="Typed",
                broadcast_type=BroadcastType.GROUP,
                receive_group="ChatGroup",
            ),
        )
        routes.add_route(
            "one",
            HubRouteInfo(receive_method="Echo", broadcast_type=BroadcastType.INDIVIDUAL),
        )
    keyed = orchestrator.add_hub("Keyed", lambda it: it.with_url(hub).build(), RECEIVE_KEY)
    keyed.add_route("Echo", HubRouteInfo(invoke_method="Echo", receive_method="ReceiveMessage"))


def _port(url: str) -> int:
    port = URL(url).port
    assert port is not None
    return port


@asynccontextmanager
async def running_scene() -> AsyncIterator[Scene]:
    """All programs, connected."""
    async with AsyncExitStack() as stack:
        calm = web.Application()  # behind the gateway
        map_hub(calm, HUB, AttackedHub, hub_options=HubOptions(keep_alive_interval=1))
        calm_port = _port(await stack.enter_async_context(serving(calm, "127.0.0.1", 0)))
        attacked = web.Application()
        context = map_hub(
            attacked, HUB, AttackedHub, hub_options=_QUICK_HUB, endpoint_options=_QUICK
        )
        runner = web.AppRunner(attacked, access_log=None, shutdown_timeout=1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        downstream = await stack.enter_async_context(HostileHub(calm_port))
        server = await stack.enter_async_context(HostileHub(calm_port))
        orchestrator = Orchestrator()
        at = f"http://127.0.0.1:{calm_port}{HUB}", f"http://127.0.0.1:{downstream.port}{HUB}"
        _orchestrate(orchestrator, *at)
        app = create_app(
            orchestrator,
            hub_options=_QUICK_HUB,
            endpoint_options=_QUICK,
            make_downstream=partial(Downstream, backoff=ExponentialBackoff(0.05, 0.2)),
        )
        gateway_port = _port(await stack.enter_async_context(serving(app, "127.0.0.1", 0)))
        gateway = app[GATEWAY]
        assert gateway.hub is not None
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        )
        hostings = [
            it for each in (attacked, app) for it in each.values() if isinstance(it, Hosting)
        ]
        contexts = [context, gateway.hub.context]
        port = runner.addresses[0][1]
        yield Scene(port, gateway_port, downstream, server, session, gateway, contexts, hostings)
