"""Start and stop of the whole gateway."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from protocol import EndpointOptions, HubConnection, HubConnectionBuilder, HubOptions
from signalr_gateway import Orchestrator, create_app
from signalr_gateway.orchestration.checks import OrchestrationError
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.route import HubRouteInfo
from signalr_gateway.serving.listener import serving
from signalr_gateway.serving.sockets import CannotListen
from tests.gateway.hand_clock import settle
from tests.gateway.running_gateway import Answer, RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to, running_hub, sample_routes
from tests.support.waiting import error_of

DEAD = "http://127.0.0.1:9/samplehub"


async def test_starts_while_a_hub_is_down() -> None:
    """GW-27."""
    async with running_gateway(lambda o: sample_routes(o, DEAD), connected=False) as gateway:
        assert (await gateway.request("GET", "/healthz")).status == 200


async def test_a_call_under_way_may_end_when_the_gateway_stops(hub: RunningHub) -> None:
    async with running_gateway(lambda o: sample_routes(o, hub.url)) as gateway:
        post = asyncio.create_task(gateway.post("sample/hold", b"[]"))
        await hub.held.wait()
        gateway.parts.downstreams.drain()
        refused = await gateway.post("sample/echo", b"[1]")
        assert (refused.status, refused.problem["code"]) == (503, "gateway-draining")
        assert refused.headers["Retry-After"] == "1"
        hub.release.set()
        answer = await post
    assert (answer.status, answer.body) == (200, b'"released"')


@asynccontextmanager
async def stopping(hub: RunningHub) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    """A gateway that stops while the sample hub holds one call, and an idle caller."""
    orchestrator = Orchestrator()
    sample_routes(orchestrator, hub.url)
    gateway = serving(create_app(orchestrator), "127.0.0.1", 0)
    url = await gateway.__aenter__()
    async with aiohttp.ClientSession(headers={"Content-Type": "application/json"}) as session:
        assert (await ask(session, "GET", f"{url}/healthz")).status == 200  # kept alive
        post = asyncio.create_task(
            ask(session, "POST", f"{url}/api/Gateway/hub/sample/hold", b"[]")
        )
        await hub.held.wait()
        ending = asyncio.create_task(gateway.__aexit__(None, None, None))
        await settle()
        yield url, session
        assert not post.done()
        hub.release.set()
        answer = await post
        assert (answer.status, answer.body) == (200, b'"released"')
        assert answer.headers["Connection"] == "close"
        await ending
        with pytest.raises(aiohttp.ClientConnectorError):
            await ask(session, "GET", f"{url}/healthz")


async def ask(
    session: aiohttp.ClientSession, method: str, url: str, body: bytes | None = None
) -> Answer:
    async with session.request(method, url, data=body) as answer:
        return Answer(answer.status, answer.headers, await answer.read())


@pytest.mark.parametrize("known", [True, False])
async def test_new_calls_are_refused_while_the_gateway_stops(hub: RunningHub, known: bool) -> None:
    """GW-9: over connections that were there and over new ones, until the last call has ended."""
    async with stopping(hub) as (url, session), aiohttp.ClientSession() as stranger:
        for _ in range(3):
            answer = await ask(
                session if known else stranger, "POST", f"{url}/api/Gateway/hub/sample/echo", b"[1]"
            )
            assert (answer.status, answer.problem["code"]) == (503, "gateway-draining")
            assert answer.headers["Retry-After"] == "1"
            assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gatewayhub/negotiate?negotiateVersion=1"),
        ("GET", "/GatewayHub"),
        ("GET", "/swagger/index.html"),
    ],
)
async def test_nothing_new_begins_while_the_gateway_stops(
    hub: RunningHub, method: str, path: str
) -> None:
    """The connection is closed, so that a repeated request does not reach this gateway again."""
    async with stopping(hub) as (url, session):
        answer = await ask(session, method, url + path)
        assert (answer.status, answer.problem["code"]) == (503, "gateway-draining")


async def test_health_is_answered_while_the_gateway_stops(hub: RunningHub) -> None:
    async with stopping(hub) as (url, session):
        answer = await ask(session, "GET", f"{url}/healthz")
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert json.loads(answer.body)["status"] == "draining"


async def test_a_body_that_arrives_slowly_does_not_hold_up_the_refusal(hub: RunningHub) -> None:
    """A new request is refused before its body is read."""
    async with stopping(hub) as (url, _):
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            b"POST /api/Gateway/hub/sample/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        )
        assert (await reader.readline()).startswith(b"HTTP/1.1 503 ")
        writer.close()


async def test_stopping_leaves_no_task_and_no_connection() -> None:
    before = asyncio.all_tasks()
    async with running_hub() as hub:
        async with (
            running_gateway(lambda o: sample_routes(o, hub.url)) as gateway,
            gateway.client() as connection,
        ):
            await gateway.post("sample/room", b'[{"name":"John","message":"Hello!"}]')
            assert hub.context.connection_count == 1
            assert connection.connection_id
        assert hub.context.connection_count == 0
    await settle()
    assert asyncio.all_tasks() == before


async def test_clients_get_a_close_when_the_gateway_stops(hub: RunningHub) -> None:
    closed: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    async with running_gateway(lambda o: sample_routes(o, hub.url)) as gateway:
        connection = gateway.client()
        connection.on_closed(closed.set_result)
        await connection.start()
    await closed


def broken(builder: HubConnectionBuilder) -> HubConnection:
    raise LookupError("no such setting")


async def test_a_hub_that_cannot_be_built_stops_the_start(hub: RunningHub) -> None:
    orchestrator = Orchestrator()
    orchestrator.add_hub("good", connecting_to(hub.url)).add_hub("bad", broken)
    error = await error_of(serving(create_app(orchestrator), "127.0.0.1", 0).__aenter__())
    assert isinstance(error, OrchestrationError)
    assert error.hub == "bad"
    assert hub.context.connection_count == 0


async def test_hubs_may_not_share_a_connection(hub: RunningHub) -> None:
    connection = connecting_to(hub.url)(HubConnectionBuilder())
    orchestrator = Orchestrator()
    orchestrator.add_hub("first", lambda _: connection).add_hub("second", lambda _: connection)
    error = await error_of(serving(create_app(orchestrator), "127.0.0.1", 0).__aenter__())
    assert str(error) == (
        "hub 'second', build_hub_connection: returned the same connection as hub 'first';"
        " each hub needs its own"
    )


async def test_an_address_in_use(gateway: RunningGateway) -> None:
    port = int(gateway.url.rpartition(":")[2])
    with pytest.raises(CannotListen, match=rf"^cannot listen on 127\.0\.0\.1:{port}: .*in use"):
        async with serving(create_app(Orchestrator()), "127.0.0.1", port):
            pass


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1", 70000),
        ("256.1.1.1", 0),
        ("a..b", 0),
        ("a" * 300, 0),
        ("a\x00b", 0),
        ("a\ud800b", 0),
    ],
)
async def test_an_address_that_is_none(host: str, port: int) -> None:
    with pytest.raises(CannotListen):
        async with serving(create_app(Orchestrator()), host, port):
            pass


@pytest.mark.parametrize(
    ("option", "values", "expected"),
    [
        ("maximum_body_size", [0, -1, 1.5, True, "1"], "a whole number above 0"),
        ("maximum_depth", [0, -1, None], "a whole number above 0"),
        ("maximum_connections", [0, 1.5, None], "a whole number above 0"),
        ("dry_run", [1, None], "True or False"),
        ("trusted_proxies", ["10.0.0.1", [1], None], "a list of texts"),
        (
            "body_timeout",
            [0, -1, math.nan, math.inf, 10**309, "1", None],
            "a number of seconds above 0",
        ),
    ],
)
def test_limits_that_are_none(option: str, values: list[Any], expected: str) -> None:
    for value in values:
        with pytest.raises(ValueError, match=f"^{option} must be {expected}$"):
            Limits(**{option: value})


def test_an_option_that_belongs_in_limits() -> None:
    """It would have no effect where it is."""
    options = HubOptions(maximum_outbound_buffer_size=100)
    with pytest.raises(ValueError, match=r"^maximum_outbound_buffer_size belongs in limits"):
        create_app(Orchestrator(), hub_options=options)
    limits = Limits(maximum_outbound_buffer_size=100)
    assert create_app(Orchestrator(), hub_options=options, limits=limits)


def test_allowed_origins_of_the_path_belong_in_the_orchestrator() -> None:
    """GW-26a: the orchestrator's apply to all addresses, so others would have no effect."""
    options = EndpointOptions(allowed_origins=["https://app.example"])
    with pytest.raises(ValueError, match=r"^allowed_origins belongs in the orchestrator"):
        create_app(Orchestrator(), endpoint_options=options)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("limits", "Limits"),
        ("hub_options", "HubOptions"),
        ("endpoint_options", "EndpointOptions"),
    ],
)
def test_options_of_another_type(name: str, kind: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be {kind}, not int$"):
        create_app(Orchestrator(), **{name: 5})  # type: ignore[arg-type]


async def test_several_hubs_are_independent(hub: RunningHub) -> None:
    """GW-1: one hub that is down does not harm the others."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        sample_routes(orchestrator, hub.url)
        orchestrator.add_hub("dead", connecting_to(DEAD)).add_route(
            "room", HubRouteInfo(invoke_method="Echo")
        )

    async with running_gateway(orchestrate, connected=False) as gateway:
        assert (await gateway.post("sample/echo", b"[1]")).body == b"1"


async def test_what_happens_is_logged_once_and_by_name(
    hub: RunningHub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "signalr_gateway")
    async with running_gateway(lambda o: sample_routes(o, hub.url)) as gateway:
        await gateway.post("sample/echo", b"[1]")
    logged = [each.getMessage() for each in caplog.records if each.name.startswith("signalr_gat")]
    routes = len(gateway.parts.downstreams["sample"].hub.routes)
    hub_place = f"listening on {hub.url.removesuffix('/samplehub')}"  # also served by `serving`
    assert [line for line in logged if line != hub_place] == [
        f"gateway started on asyncio (hubs: 1, routes: {routes})",
        f"listening on {gateway.url}",
        "hub 'sample': connected",
        "gateway stopping: new calls are refused",
        "gateway stopped",
    ]
