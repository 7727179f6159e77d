"""Plays the limits of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from protocol import ConnectionClosed, HubException, HubOptions, NegotiationError
from signalr_gateway.clients.key_failures import KeyFailures
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import BroadcastType, HubRouteInfo
from signalr_gateway.routing.subscriptions import Subscriptions
from signalr_gateway.routing.tables import Misfit, RoutingTables, Subscription
from signalr_gateway.serving.memory import MemoryMark
from tests.gateway.hand_clock import HandClock
from tests.gateway.payloads import json_payload
from tests.gateway.running_gateway import Answer, running_gateway
from tests.gateway.sample_hub import connecting_to, running_hub, sample_routes

from .players import Players

Play = Callable[[int, int], Awaitable[str]]
plays: Players[Play] = Players()


def _said(answer: Answer) -> str:
    if answer.status == 200:
        return "200"
    return f"{answer.status} {answer.problem['code']}: {answer.problem['detail']}"


async def _posted(
    body: bytes, limits: Limits | None = None, route: HubRouteInfo | None = None, **hub: Any
) -> str:
    """The answer to a POST that a hub echoes."""
    async with running_hub() as echoing:

        def orchestrate(orchestrator: Orchestrator) -> None:
            orchestrator.add_hub("Sample", connecting_to(echoing.url), **hub).add_route(
                "Echo", route or HubRouteInfo(invoke_method="Echo")
            )

        async with running_gateway(orchestrate, limits=limits or Limits()) as gateway:
            return _said(await gateway.post("sample/echo", body))


def _text(size: int) -> bytes:
    return b'["' + b"x" * (size - 4) + b'"]'


@plays("Limits.maximum_body_size")
async def _(limit: int, count: int) -> str:
    return await _posted(_text(count), Limits(maximum_body_size=limit))


@plays("HubRouteInfo.maximum_body_size")
async def _(limit: int, count: int) -> str:
    route = HubRouteInfo(invoke_method="Echo", maximum_body_size=limit)
    return await _posted(_text(count), route=route)


@plays("Limits.maximum_depth")
async def _(limit: int, count: int) -> str:
    return await _posted(b"[" * count + b"]" * count, Limits(maximum_depth=limit))


@plays("HubTable.maximum_message_size")
async def _(limit: int, count: int) -> str:
    envelope = len(b'{"type":1,"invocationId":"1","target":"Echo","arguments":}\x1e')
    return await _posted(_text(count - envelope), maximum_message_size=limit)


@plays("HubTable.maximum_event_size")
async def _(limit: int, count: int) -> str:
    orchestrator = Orchestrator()
    route = HubRouteInfo(receive_method="News")
    build = connecting_to("http://host/hub")
    orchestrator.add_hub("h", build, maximum_event_size=limit).add_route("r", route)
    outcome = RoutingTables(orchestrator.hubs).route_event("h", "News", json_payload(_text(count)))
    return f"dropped: {outcome.reason}" if isinstance(outcome, Misfit) else "forwarded"


@plays("signalr_gateway.orchestration.limits.MAXIMUM_ARGUMENTS")
async def _(limit: int, count: int) -> str:
    async with running_hub() as hub:
        async with running_gateway(lambda it: sample_routes(it, hub.url)) as gateway:
            body = b"[" + b",".join([b"1"] * count) + b"]"
            return _said(await gateway.post("sample/ten", body))


@plays("Limits.maximum_connections")
async def _(limit: int, count: int) -> str:
    limits = Limits(maximum_connections=limit)
    async with running_hub() as hub:
        async with running_gateway(lambda it: sample_routes(it, hub.url), limits=limits) as gateway:
            clients = [gateway.client() for _ in range(count)]
            answer = "connected"
            for client in clients:
                try:
                    await client.start()
                except NegotiationError as error:
                    answer = f"{error.status}"
            for client in clients:
                await client.stop()
            return answer


@plays("Limits.maximum_refused_call_size")
async def _(limit: int, count: int) -> str:
    limits = Limits(maximum_refused_call_size=limit)
    options = HubOptions(maximum_receive_message_size=100)
    async with running_hub() as hub:
        async with running_gateway(
            lambda it: sample_routes(it, hub.url), limits=limits, hub_options=options
        ) as gateway:
            async with gateway.client() as client:
                call = {"Api": "Sample", "Key": "echo", "Data": ""}
                envelope = len('{"type":1,"invocationId":"1","target":"InvokeDownstreamHub",')
                envelope += len('"arguments":[{"Api":"Sample","Key":"echo","Data":""}]}\x1e')
                try:
                    await client.invoke(
                        "InvokeDownstreamHub", call | {"Data": "x" * (count - envelope)}
                    )
                except HubException as error:
                    return f"error: {error.message}"
                except ConnectionClosed:
                    return "the connection ends"
                return "called"


@plays("Limits.maximum_memory")
async def _(limit: int, count: int) -> str:
    mark = MemoryMark(limit, resident=lambda: count)
    mark.start(HandClock())
    return "503" if mark.is_exceeded else "200"


@plays("Limits.maximum_subscriptions_per_connection")
async def _(limit: int, count: int) -> str:
    orchestrator = Orchestrator()
    orchestrator.add_hub("h", connecting_to("http://host/hub")).add_route(
        "r", HubRouteInfo(receive_method="News", broadcast_type=BroadcastType.INDIVIDUAL)
    )
    tables = RoutingTables(orchestrator.hubs)
    subscriptions = Subscriptions(tables, limit)
    try:
        for number in range(count):
            subscriptions.add(Subscription("h", route="r", user=str(number)))
    except HubException as error:
        return f"error: {error.message}"
    return "subscribed"


@plays("signalr_gateway.clients.gateway_hub.MAXIMUM_USER_ID_LENGTH")
async def _(limit: int, count: int) -> str:
    async with running_hub() as hub:
        async with running_gateway(lambda it: sample_routes(it, hub.url)) as gateway:
            async with gateway.client() as client:
                call = {"Api": "Sample", "Key": "one", "UserId": "ü" * count}
                try:
                    await client.invoke("SubscribeToRoute", call)
                except HubException as error:
                    return f"error: {error.message}"
                return "subscribed"


async def _raw(head: bytes) -> str:
    """The status of the answer to a request with this head."""
    async with running_gateway(lambda _: None) as gateway:
        host, port = gateway.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        status = (await reader.readuntil(b"\r\n")).decode().strip()
        writer.close()
        return status.partition(" ")[2]


@plays("signalr_gateway.serving.request_heads.MAXIMUM_HEAD_SIZE")
async def _(limit: int, count: int) -> str:
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: %b\r\n\r\n"
    return await _raw(head % (b"x" * (count - len(head) + 2)))


@plays("signalr_gateway.serving.request_heads.MAXIMUM_FIELDS")
async def _(limit: int, count: int) -> str:
    fields = b"A: x\r\n" * (count - 1)
    return await _raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n%b\r\n" % fields)


def _delay(of_connection: int, failures: int) -> str:
    """How long the answer to the last wrong key is delayed."""
    table = KeyFailures()
    delays = [table.delay(of_connection, "192.0.2.1", 0.0) for _ in range(failures)]
    return f"after {delays[-1]} s"


@plays("signalr_gateway.clients.key_failures.FREE_PER_CONNECTION")
async def _(limit: int, count: int) -> str:
    return _delay(count, 1)


@plays("signalr_gateway.clients.key_failures.FREE_PER_ADDRESS")
async def _(limit: int, count: int) -> str:
    return _delay(1, count)


@plays("signalr_gateway.clients.key_failures._MAXIMUM_ADDRESSES")
async def _(limit: int, count: int) -> str:
    table = KeyFailures()
    for _ in range(20):
        table.delay(1, "192.0.2.1", 0.0)
    for number in range(count - 1):
        table.delay(1, f"2001:db8:{number:x}::", 0.0)
    is_known = table.delay(1, "192.0.2.1", 0.0) > 0
    return "the first is known" if is_known else "the first is forgotten"
