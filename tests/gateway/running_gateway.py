"""A gateway on a loopback socket, and an HTTP client that sends exactly what a test gives it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from protocol import HubConnection, HubConnectionBuilder
from protocol.hub_protocol import HubProtocol
from signalr_gateway.downstream.clock import Clock
from signalr_gateway.downstream.connection import HubState
from signalr_gateway.downstream.hub import Downstream
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.serving.app import GATEWAY, create_app
from signalr_gateway.serving.gateway import Gateway
from signalr_gateway.serving.listener import serving
from tests.support.waiting import until

from .sample_hub import connecting_to


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
    """A gateway that serves, and an HTTP client that sends exactly what it is given."""

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
        """The number of clients that are connected to the gateway hub."""
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
                    downstream.status.state is HubState.CONNECTED
                    for downstream in parts.downstreams.values()
                )
            )
        yield RunningGateway(url, parts, session)
