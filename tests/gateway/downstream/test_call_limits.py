"""GW-9: limits of a route, of its hub and of the gateway, and bodies that never end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from protocol import HubException
from signalr_gateway.orchestration.limits import Limits
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRouteInfo
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.gateway.sample_hub import RunningHub, connecting_to


def limited(hub: RunningHub) -> Callable[[Orchestrator], None]:
    """Routes to the same methods, with limits of their own and without."""

    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("sample", connecting_to(hub.url)).add_route(
            "hold", HubRouteInfo(invoke_method="Hold", invoke_timeout=0.05)
        ).add_route("small", HubRouteInfo(invoke_method="Echo", maximum_body_size=20)).add_route(
            "usual", HubRouteInfo(invoke_method="Echo")
        ).add_route("large", HubRouteInfo(invoke_method="Echo", maximum_body_size=100))

    return orchestrate


def body_of(size: int) -> bytes:
    return b'["' + b"x" * (size - 4) + b'"]'


@pytest.mark.parametrize(
    ("key", "limit"),
    [("small", 20), ("usual", 50), ("large", 100)],
)
async def test_each_route_has_its_own_limit(hub: RunningHub, key: str, limit: int) -> None:
    async with running_gateway(limited(hub), limits=Limits(maximum_body_size=50)) as gateway:
        exact = await gateway.post(f"sample/{key}", body_of(limit))
        assert exact.status == 200
        larger = await gateway.post(f"sample/{key}", body_of(limit + 1))
        assert (larger.status, larger.problem["code"]) == (413, "body-too-large")
        assert larger.problem["detail"] == f"The body has more than the {limit} bytes allowed."


async def test_a_hub_call_has_the_limits_of_the_route_too(hub: RunningHub) -> None:
    """GW-16: as for the POST."""
    route = {"Api": "sample", "Key": "small"}
    async with running_gateway(limited(hub)) as gateway, gateway.client() as connection:
        exact = await connection.invoke("InvokeDownstreamHub", {**route, "Data": "x" * 16})
        assert exact == "x" * 16
        with pytest.raises(HubException, match="more than the 20 bytes that this route allows"):
            await connection.invoke("InvokeDownstreamHub", {**route, "DataArray": ["x" * 17]})
        with pytest.raises(HubException, match=r"did not answer within 0\.05 seconds"):
            await connection.invoke(
                "InvokeDownstreamHub", {"Api": "sample", "Key": "hold", "DataArray": []}
            )


async def test_a_route_has_its_own_invoke_timeout(hub: RunningHub) -> None:
    async with running_gateway(limited(hub)) as gateway:
        answer = await gateway.post("sample/hold", b"[]")
    assert (answer.status, answer.problem["code"]) == (504, "hub-timeout")
    assert answer.problem["detail"] == "Hub 'sample' did not answer within 0.05 seconds."


HEAD = "POST /api/Gateway/hub/sample/usual HTTP/1.1\r\nHost: gateway\r\n"


@pytest.mark.parametrize(
    ("announced", "body"),
    [
        ("Content-Length: 10", b""),
        ("Content-Length: 10", b"[1"),
        ("Transfer-Encoding: chunked", b""),
        ("Transfer-Encoding: chunked", b"2\r\n[1\r\n"),
        # An invalid chunk: the parser stops without an error for the reader of the body.
        ("Transfer-Encoding: chunked", b"2\r\n[1\r\nZZ\r\n"),
    ],
)
async def test_a_body_that_never_ends_is_given_up(
    hub: RunningHub, announced: str, body: bytes
) -> None:
    """GW-9: 408 with a code of its own, and the connection, of no use any more, is closed."""
    async with running_gateway(limited(hub), limits=Limits(body_timeout=0.2)) as gateway:
        status, headers, answer = await exchange(gateway, announced, body)
        assert (await gateway.post("sample/usual", b"[1]")).status == 200
    assert status == "HTTP/1.1 408 Request Timeout"
    assert "Connection: close" in headers
    problem = json.loads(answer)
    assert (problem["status"], problem["code"]) == (408, "body-timeout")
    assert problem["detail"] == "The body did not arrive within 0.2 seconds."
    assert hub.calls == [("Echo", [b"1"])]


async def exchange(
    gateway: RunningGateway, announced: str, body: bytes
) -> tuple[str, list[str], bytes]:
    """The status line, headers and body of the answer to a POST whose body is sent after its
    head."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{HEAD}{announced}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    length = next(int(line[16:]) for line in head if line.startswith("Content-Length: "))
    answer = await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()
    return head[0], head[1:], answer


async def test_an_announced_body_may_come_late(hub: RunningHub) -> None:
    """The time counts from the request, not per piece; within it, pieces may come as they like."""
    async with running_gateway(limited(hub), limits=Limits(body_timeout=30)) as gateway:
        host, _, port = gateway.url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{HEAD}Content-Length: 7\r\n\r\n".encode())
        for piece in (b"[", b'"abc"', b"]"):
            await writer.drain()
            writer.write(piece)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(5) == b'"abc"'
        writer.close()
        await writer.wait_closed()
