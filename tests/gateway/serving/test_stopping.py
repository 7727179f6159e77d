"""The one deadline of a stop, and the answers of requests that are cut off (GW-9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from protocol import ConnectionClosed, HubConnectionBuilder
from signalr_gateway import GatewayRunner, Orchestrator, create_app
from signalr_gateway.downstream.hub import DISCONNECT_TIMEOUT, Downstream
from signalr_gateway.serving.listener import serving
from signalr_gateway.serving.stopping import STOP_TIMEOUT
from tests.gateway.hand_clock import settle
from tests.gateway.running_gateway import Answer
from tests.gateway.sample_hub import RunningHub, connecting_to, sample_routes
from tests.support.loop_time import LoopTime
from tests.support.waiting import error_of


@pytest.fixture
async def loop_time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    return LoopTime(monkeypatch)


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The URL of an application, and the event that stops it; it has stopped at the end."""
    stop = asyncio.Event()
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with serving(app, "127.0.0.1", 0) as url:
            started.set_result(url)
            await stop.wait()

    task = asyncio.create_task(serve())
    yield await started, stop
    stop.set()
    async with asyncio.timeout(STOP_TIMEOUT / 2):  # no request is under way any more
        await task


def gateway_app(hub: RunningHub) -> web.Application:
    orchestrator = Orchestrator()
    sample_routes(orchestrator, hub.url)
    return create_app(orchestrator)


async def hold(url: str) -> Answer:
    """The answer to a call that the hub does not complete."""
    async with (
        aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session,
        session.post(f"{url}/api/Gateway/hub/sample/hold", data=b"[]") as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.read())


async def begin_body(url: str, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose request has a body that does not end."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    writer.write(head.encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"[")
    return reader, writer


@pytest.mark.parametrize("prefix", ["", "/behind/it"])
async def test_a_call_that_does_not_end_is_cut_off_once(
    hub: RunningHub, loop_time: LoopTime, prefix: str
) -> None:
    """Its caller learns that the hub may have run it; there is no second deadline after that."""
    app = gateway_app(hub)
    if prefix:
        whole = web.Application()
        whole.add_subapp(prefix, app)
        app = whole
    async with served(app) as (url, stop):
        post = asyncio.create_task(hold(url + prefix))
        await hub.held.wait()
        stop.set()
        await settle()
        loop_time.skip(STOP_TIMEOUT - 1)
        await settle()
        assert not post.done()
        loop_time.skip(1)
        answer = await post
        assert (answer.status, answer.problem["code"]) == (502, "hub-connection-lost")
        assert "may or may not have run the call" in answer.problem["detail"]
        assert answer.headers["Connection"] == "close"


async def test_a_body_that_does_not_end_is_cut_off(hub: RunningHub, loop_time: LoopTime) -> None:
    """Nothing was sent to the hub, so that the caller may repeat the call."""
    async with served(gateway_app(hub)) as (url, stop):
        reader, writer = await begin_body(url, "/api/Gateway/hub/sample/echo")
        stop.set()
        await settle()
        loop_time.skip(STOP_TIMEOUT)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"gateway-draining"' in answer
        assert b"\r\nRetry-After: 1\r\n" in answer
        writer.close()
    assert hub.calls == []


async def test_a_caller_that_disconnects_while_the_gateway_stops(
    hub: RunningHub, loop_time: LoopTime
) -> None:
    """GW-10: its call ends, and the stop does not wait for it."""
    async with served(gateway_app(hub)) as (url, stop):
        post = asyncio.create_task(hold(url))
        await hub.held.wait()
        stop.set()
        await settle()
        post.cancel()


async def test_a_call_of_a_client_ends_with_its_connection(
    hub: RunningHub, loop_time: LoopTime
) -> None:
    """The method of the gateway hub ends at the same deadline."""
    async with served(gateway_app(hub)) as (url, stop):
        client = connecting_to(f"{url}/gatewayhub")(HubConnectionBuilder())
        await client.start()
        arguments = {"Api": "sample", "Key": "hold", "DataArray": []}
        call = asyncio.create_task(client.invoke("InvokeDownstreamHub", arguments))
        await hub.held.wait()
        stop.set()
        assert isinstance(await error_of(call), ConnectionClosed)
        loop_time.skip(STOP_TIMEOUT)


class NeverStopped(Downstream):
    """A hub from which the gateway cannot disconnect."""

    async def stop(self) -> None:
        await super().stop()
        self.stopping.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.ended.set()

    stopping = asyncio.Event()
    ended = asyncio.Event()


async def test_a_hub_that_does_not_close_its_connection(
    hub: RunningHub, loop_time: LoopTime
) -> None:
    orchestrator = Orchestrator()
    sample_routes(orchestrator, hub.url)
    async with served(create_app(orchestrator, make_downstream=NeverStopped)) as (_, stop):
        stop.set()
        await NeverStopped.stopping.wait()
        loop_time.skip(DISCONNECT_TIMEOUT)
    assert NeverStopped.ended.is_set()


async def test_the_timeout_of_a_runner(hub: RunningHub) -> None:
    runner = GatewayRunner(gateway_app(hub), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    post = asyncio.create_task(hold(f"http://127.0.0.1:{runner.addresses[0][1]}"))
    await hub.held.wait()
    await runner.cleanup()
    assert (await post).problem["code"] == "hub-connection-lost"
