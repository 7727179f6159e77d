"""The gateway as a part of another application, below a prefix."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from urllib.parse import urljoin

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from protocol import HttpTransportType, HubConnectionBuilder
from signalr_gateway import Limits, Orchestrator, create_app
from signalr_gateway.downstream.connection import HubState
from signalr_gateway.http.addresses import call_path
from signalr_gateway.orchestration.limits import DEFAULT_LIMITS
from signalr_gateway.serving.app import GATEWAY
from signalr_gateway.serving.listener import serving
from tests.gateway.sample_hub import RunningHub, sample_routes
from tests.support.waiting import until

PREFIXES = ["/gateway", "/a/b"]


@asynccontextmanager
async def mounted(
    hub: RunningHub, prefix: str, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[str]:
    """The URL of a gateway below a prefix, once its hub is connected."""
    orchestrator = Orchestrator()
    sample_routes(orchestrator, hub.url)
    app = create_app(orchestrator, limits=limits)
    whole = web.Application()
    whole.add_subapp(prefix, app)
    async with serving(whole, "127.0.0.1", 0) as url:
        (downstream,) = app[GATEWAY].downstreams.values()
        await until(lambda: downstream.status.state is HubState.CONNECTED)
        yield url + prefix


class Links(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        address = attributes.get("src") or attributes.get("href")
        if address:
            self.addresses.append(address)


async def test_escapes_in_the_prefix(hub: RunningHub) -> None:
    """The path that a limit of connects is for is found as the router finds it (GW-52)."""
    limits = Limits(connects_per_second=1)
    async with mounted(hub, "/gateway", limits) as url, aiohttp.ClientSession() as session:
        address = URL(url.replace("/gateway", "/%67ateway") + "/gatewayhub/negotiate", encoded=True)
        statuses = []
        for _ in range(6):
            async with session.post(address) as answer:
                statuses.append(answer.status)
    assert statuses == [200] * 5 + [429]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_every_address_is_below_the_prefix(hub: RunningHub, prefix: str) -> None:
    async with mounted(hub, prefix) as url, aiohttp.ClientSession() as session:

        async def get(path: str) -> tuple[int, bytes]:
            async with session.get(URL(url + path, encoded=True)) as answer:
                return answer.status, await answer.read()

        call = URL(f"{url}/api/Gateway/hub/sample/echo", encoded=True)
        async with session.post(call, json=["%2F"]) as answer:
            assert (answer.status, await answer.read()) == (200, b'"%2F"')
        assert (await get("/api/Gateway/Orchestration/"))[0] == 200
        assert json.loads((await get("/healthz"))[1])["status"] == "ok"
        assert json.loads((await get("/healthz/x"))[1])["code"] == "not-found"
        assert (await get("/Swagger"))[0] == 200
        for page in ("/", "/swagger/index.html"):
            links = Links()
            links.feed((await get(page))[1].decode())
            assert links.addresses
            for address in links.addresses:
                assert (await get(urljoin(page, address)))[0] == 200, address
                assert not address.startswith("/")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("transport", list(HttpTransportType))
async def test_the_gateway_hub_is_below_the_prefix(
    hub: RunningHub, prefix: str, transport: HttpTransportType
) -> None:
    events: asyncio.Queue[object] = asyncio.Queue()
    async with mounted(hub, prefix) as url:
        client = HubConnectionBuilder().with_url(f"{url}/GatewayHub", transports=transport).build()
        client.on("ReceiveMessage", lambda arguments, _: events.put_nowait(arguments))
        async with client:
            arguments = {"Api": "sample", "Key": "echo", "Data": 1}
            assert await client.invoke("InvokeDownstreamHub", arguments) == 1
            await hub.send("ReceiveMessage", b'["John","Hello!"]')
            assert await events.get() == ["John", "Hello!"]


def test_the_router_knows_the_paths_of_calls(hub: RunningHub) -> None:
    """So it does not search for the pattern that matches a call."""
    orchestrator = Orchestrator()
    sample_routes(orchestrator, hub.url)
    paths = {resource.canonical for resource in create_app(orchestrator).router.resources()}
    assert paths >= {
        call_path(each.api, key) for each in orchestrator.hubs.values() for key in each.routes
    }
