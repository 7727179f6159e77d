"""Start and stop of the whole gateway."""

from __future__ import annotations

import asyncio
import logging
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest

from protocol import HubConnection, HubConnectionBuilder
from signalr_gateway import Orchestrator, create_app
from signalr_gateway.orchestrator import HubRouteInfo, OrchestrationError
from signalr_gateway.serving import CannotListen, serving

from .hand_clock import settle
from .lab import (
    Lab,
    RunningGateway,
    close_quietly,
    connecting_to,
    lab_routes,
    running_gateway,
    running_lab,
    until,
)

DEAD = "http://127.0.0.1:9/labhub"


async def test_starts_while_a_hub_is_down() -> None:
    """GW-27."""
    async with running_gateway(lambda o: lab_routes(o, DEAD), connected=False) as gateway:
        assert (await gateway.request("GET", "/healthz")).status == 200


async def test_a_call_under_way_may_end_when_the_gateway_stops(lab: Lab) -> None:
    async with running_gateway(lambda o: lab_routes(o, lab.url)) as gateway:
        post = asyncio.create_task(gateway.post("lab/hold", b"[]"))
        await lab.held.wait()
        gateway.parts.downstreams.drain()
        refused = await gateway.post("lab/echo", b"[1]")
        assert (refused.status, refused.problem["code"]) == (503, "gateway-draining")
        assert refused.headers["Retry-After"] == "1"
        lab.release.set()
        answer = await post
    assert (answer.status, answer.body) == (200, b'"released"')


async def test_the_whole_stop_waits_for_a_call_under_way(lab: Lab) -> None:
    orchestrator = Orchestrator()
    lab_routes(orchestrator, lab.url)
    gateway = serving(create_app(orchestrator), "127.0.0.1", 0)
    url = await gateway.__aenter__()
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:

        async def call() -> tuple[int, bytes]:
            async with session.post(f"{url}/api/Gateway/hub/lab/hold", data=b"[]") as answer:
                return answer.status, await answer.read()

        post = asyncio.create_task(call())
        await lab.held.wait()
        stopping = asyncio.create_task(gateway.__aexit__(None, None, None))
        await until(lambda: not _listens(url))
        assert not post.done()
        lab.release.set()
        assert await post == (200, b'"released"')
        await stopping


def _listens(url: str) -> bool:
    address = urlsplit(url)
    with socket.socket() as attempt:
        return attempt.connect_ex((address.hostname, address.port)) == 0


async def test_stopping_leaves_no_task_and_no_connection() -> None:
    before = asyncio.all_tasks()
    async with running_lab() as lab:
        async with (
            running_gateway(lambda o: lab_routes(o, lab.url)) as gateway,
            gateway.client() as connection,
        ):
            await gateway.post("lab/room", b'[{"name":"John","message":"Hello!"}]')
            assert lab.context.connection_count == 1
            assert connection.connection_id
        assert lab.context.connection_count == 0
    await settle()
    assert asyncio.all_tasks() == before


async def test_clients_are_told_when_the_gateway_stops(lab: Lab) -> None:
    closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    async with running_gateway(lambda o: lab_routes(o, lab.url)) as gateway:
        connection = gateway.client()
        connection.on_closed(closed.set_result)
        await connection.start()
    await closed


def broken(builder: HubConnectionBuilder) -> HubConnection:
    raise LookupError("no such setting")


async def test_a_hub_that_cannot_be_built_stops_the_start(lab: Lab) -> None:
    orchestrator = Orchestrator()
    orchestrator.add_hub("good", connecting_to(lab.url)).add_hub("bad", broken)
    error = await close_quietly(serving(create_app(orchestrator), "127.0.0.1", 0).__aenter__())
    assert isinstance(error, OrchestrationError)
    assert error.hub == "bad"
    assert lab.context.connection_count == 0


async def test_an_address_in_use(gateway: RunningGateway) -> None:
    port = int(gateway.url.rpartition(":")[2])
    with pytest.raises(CannotListen, match=rf"^cannot listen on 127\.0\.0\.1:{port}: .*in use"):
        async with serving(create_app(Orchestrator()), "127.0.0.1", port):
            pass


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("256.1.1.1", 0)])
async def test_an_address_that_is_none(host: str, port: int) -> None:
    with pytest.raises(CannotListen):
        async with serving(create_app(Orchestrator()), host, port):
            pass


async def test_several_hubs_are_independent(lab: Lab) -> None:
    """GW-1: one hub that is down does not harm the others."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        lab_routes(orchestrator, lab.url)
        orchestrator.add_hub("dead", connecting_to(DEAD)).add_route(
            "room", HubRouteInfo(invoke_method="Echo")
        )

    async with running_gateway(orchestrate, connected=False) as gateway:
        assert (await gateway.post("lab/echo", b"[1]")).body == b"1"


async def test_what_happens_is_logged_once_and_by_name(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "signalr_gateway")
    async with running_gateway(lambda o: lab_routes(o, lab.url)) as gateway:
        await gateway.post("lab/echo", b"[1]")
    logged = [each.getMessage() for each in caplog.records if each.name.startswith("signalr_gat")]
    routes = len(gateway.parts.downstreams["lab"].hub.routes)
    hub_place = f"listening on {lab.url.removesuffix('/labhub')}"  # also served by `serving`
    assert [line for line in logged if line != hub_place] == [
        f"gateway started, number of hubs: 1, of routes: {routes}",
        f"listening on {gateway.url}",
        "hub 'lab': connected",
        "gateway stops: no more calls are taken",
        "gateway stopped",
    ]
