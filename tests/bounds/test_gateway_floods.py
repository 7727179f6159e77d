"""The memory of the gateway stays flat while a limit refuses a flood (GW-62).

`tests/limits/floods.py` says which test floods which limit. What one refusal would keep, such as an
entry of a table by name, takes more than the memory that a flood may take here.
"""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from protocol import HubException, Principal
from protocol.server.waiting_messages import MessageQueue, QueuePolicy, WaitingMessages
from signalr_gateway.access.api_keys import KeyOwner
from signalr_gateway.clients.client_limits import ClientLimits, LimitExceeded
from signalr_gateway.clients.relayed_events import Copies
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from signalr_gateway.routing.tables import Misfit, RoutingTables
from tests.gateway.payloads import json_payload
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to, running_hub, sample_routes

pytestmark = pytest.mark.slow

ROUNDS = 200
MOST = 40_000
"""Bytes. If each refusal of a flood kept 200 bytes, they would take more."""


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token comes back during a flood."""
    monkeypatch.setattr("signalr_gateway.serving.app.monotonic", lambda: 1000.0)


def grown(then: int) -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0] - then


# --- requests ------------------------------------------------------------------------------------


@dataclass
class Flood:
    """A gateway with small limits, and a request that one of them refuses."""

    status: int
    body: bytes = b"[]"
    path: str = "/api/Gateway/hub/sample/fail"
    headers: str = ""
    """A header line; `%d` is the number of the request."""
    limits: dict[str, Any] = field(default_factory=dict)
    hub: dict[str, Any] = field(default_factory=dict)
    is_held: bool = False
    """Whether another call is under way."""
    free: int = 0
    """How many such requests are not refused."""


FLOODS = {
    "maximum_body_size": Flood(413, b"[%d]" % 10**9, limits={"maximum_body_size": 8}),
    "maximum_depth": Flood(400, b"[[[]]]", limits={"maximum_depth": 2}),
    "maximum_message_size": Flood(413, b"[%d]" % 10**90, hub={"maximum_message_size": 100}),
    "maximum_posts": Flood(503, limits={"maximum_posts": 1}, is_held=True),
    "maximum_memory": Flood(503, limits={"maximum_memory": 1}),
    "maximum_calls": Flood(503, hub={"maximum_calls": 1, "busy_timeout": 1e-6}, is_held=True),
    "calls_per_second": Flood(429, limits={"calls_per_second": 1}, free=5),
    "connects_per_second": Flood(
        429, path="/gatewayhub/negotiate", limits={"connects_per_second": 1}, free=5
    ),
    "circuit_timeouts": Flood(
        503,
        path="/api/Gateway/hub/sample/hold",
        hub={"circuit_timeouts": 1, "invoke_timeout": 0.01, "spare_connections": 0},
        free=1,
    ),
    "maximum_kept_answers": Flood(
        502, headers="Idempotency-Key: key %d\r\n", limits={"maximum_kept_answers": 10}
    ),
    "maximum_kept_answers_size": Flood(
        502, headers="Idempotency-Key: key %d\r\n", limits={"maximum_kept_answers_size": 10_000}
    ),
}


class Caller:
    """Sends requests over one connection, and keeps nothing of them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def post(self, flood: Flood, number: int) -> int:
        header = flood.headers % number if flood.headers else ""
        self._writer.write(
            b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n%b\r\n%b"
            % (flood.path.encode(), len(flood.body), header.encode(), flood.body)
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        await self._reader.readexactly(int(length))
        return int(head[9:12])


@pytest.mark.parametrize("name", FLOODS)
async def test_refused_requests_leave_nothing(name: str) -> None:
    """GW-62: also not while the log has a line of each."""
    flood = FLOODS[name]
    async with running_hub() as hub:
        async with running_gateway(
            lambda it: sample_routes(it, hub.url, **flood.hub), limits=Limits(**flood.limits)
        ) as gateway:
            held = asyncio.create_task(hold(gateway, hub, flood))
            if flood.is_held:
                await hub.held.wait()
            port = urlsplit(gateway.url).port
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            caller = Caller(reader, writer)
            statuses = [await caller.post(flood, number) for number in range(flood.free + 50)]
            assert statuses[-1] == flood.status
            tracemalloc.start()
            try:
                for number in range(50):
                    await caller.post(flood, 1000 + number)
                then = grown(0)
                for number in range(ROUNDS):
                    assert await caller.post(flood, 2000 + number) == flood.status
                assert grown(then) < MOST
            finally:
                tracemalloc.stop()
                hub.release.set()
                writer.close()
                await held


async def hold(gateway: RunningGateway, hub: RunningHub, flood: Flood) -> None:
    if flood.is_held:
        await gateway.post("sample/hold", b"[]")


# --- calls of a client ---------------------------------------------------------------------------


async def test_refused_calls_of_a_client_leave_nothing() -> None:
    """GW-62: calls that are too large, further subscriptions and unknown routes."""
    limits = Limits(maximum_subscriptions_per_connection=3)
    refusals: Counter[str] = Counter()
    large = {"Api": "sample", "Key": "fail", "Data": "x" * 40_000}

    async def flood(client: Any, numbers: range) -> None:
        for number in numbers:
            label = {"Api": "sample", "Key": "one", "UserId": f"user {number}"}
            unknown = {"Api": f"hub {number}", "Key": "fail", "Data": 1}
            await refused(client, "InvokeDownstreamHub", large)
            await refused(client, "SubscribeToRoute", label)
            await refused(client, "InvokeDownstreamHub", unknown)

    async def refused(client: Any, method: str, argument: object) -> None:
        try:
            await client.invoke(method, argument)
        except HubException:
            refusals[method] += 1

    async with running_hub() as hub:
        async with running_gateway(lambda it: sample_routes(it, hub.url), limits=limits) as gateway:
            async with gateway.client() as client:
                await flood(client, range(10))
                tracemalloc.start()
                try:
                    await flood(client, range(10, 20))
                    then = grown(0)
                    await flood(client, range(20, 20 + ROUNDS))
                    assert grown(then) < MOST
                finally:
                    tracemalloc.stop()
    calls = 20 + ROUNDS
    assert refusals == {"InvokeDownstreamHub": 2 * calls, "SubscribeToRoute": calls - 3}


# --- parts ---------------------------------------------------------------------------------------


async def connections(times: int) -> None:
    """GW-49: further connections of one address, user and key, and connections that end."""
    names = ("address", "user", "key")
    options: dict[str, Any] = {f"maximum_connections_per_{name}": 1 for name in names}
    limits = ClientLimits(Limits(**options), lambda: 0.0)
    limits.enter_connection("192.0.2.1", {}, KeyOwner("ann", key="a"), "ann")
    refusals = 0
    for number in range(times):
        same_key, same_user = KeyOwner(f"{number}", key="a"), KeyOwner("ann", key="b")
        for user in (KeyOwner("ann", key="a"), same_key, same_user):
            try:
                limits.enter_connection("192.0.2.2", {}, user, user.user_id)
            except LimitExceeded:
                refusals += 1
        address, name = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", f"user {number}"
        user = KeyOwner(name, key=name)
        limits.leave_connection(limits.enter_connection(address, {}, user, name))
    assert refusals == 3 * times


async def calls_of_users(times: int) -> None:
    """GW-49: calls of a user and a key beyond their rates."""
    limits = ClientLimits(
        Limits(calls_per_second_per_user=1, calls_per_second_per_key=1), lambda: 0.0
    )
    for _ in range(times):
        for user in (KeyOwner("ann", key="a"), Principal("ann")):
            try:
                limits.count_call_of_user(user, "ann")
            except LimitExceeded:
                pass


async def events_for_a_slow_client(times: int) -> None:
    """GW-51: for each policy of a route, while the client reads nothing."""
    waiting = WaitingMessages(10_000)
    for number in range(times):
        for policy in (QueuePolicy.DROP_OLDEST, QueuePolicy.LATEST):
            waiting.put(b"%0100d" % number, MessageQueue(policy.value, policy), 0)
        waiting.put(b"%0100d" % number, MessageQueue("close", QueuePolicy.CLOSE), 0)


async def large_events(times: int) -> None:
    """GW-24: events that are larger than the hub may send, by any name."""
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", connecting_to("http://h/hub"), maximum_event_size=10).add_route(
        "r", HubRouteInfo(receive_method="News")
    )
    tables = RoutingTables(orchestrator.hubs)
    for number in range(times):
        event = json_payload(b"[%0100d]" % number)
        assert isinstance(tables.route_event("h", "News", event), Misfit)
        tables.route_event("h", f"Event {number}", event)


async def relayed_events(times: int) -> None:
    """GW-56: each with other arguments, for several routes with one receive method."""
    orchestrator = Orchestrator()
    hub = orchestrator.add_hub("h", None, relayed=True)
    hub.add_route("a", HubRouteInfo(receive_method="News"))
    hub.add_route("b", HubRouteInfo(receive_method="News"))
    copies, routes = Copies(), orchestrator.hubs["h"].routes.values()
    for number in range(times):
        seen = [copies.is_copy(route, "News", b"[%0100d]" % number) for route in routes]
        assert seen == [False, True]


ACTS: list[Callable[[int], Awaitable[None]]] = [
    connections,
    calls_of_users,
    events_for_a_slow_client,
    large_events,
    relayed_events,
]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_memory_is_flat(act: Callable[[int], Awaitable[None]]) -> None:
    """GW-62: ten times as much of it takes no more memory."""
    await act(300)
    peaks = []
    for times in (300, 3000):
        gc.collect()
        tracemalloc.start()
        try:
            await act(times)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + MOST
