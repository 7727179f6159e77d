"""GW-38: the trace and the request id of a caller travel with the call to its hub."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping

import pytest
from multidict import CIMultiDict

from signalr_gateway import HubRouteInfo, Orchestrator
from tests.gateway.fake_connection import FakeConnection
from tests.gateway.running_gateway import RunningGateway, running_gateway
from tests.support.waiting import until

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def connection() -> FakeConnection:
    return FakeConnection()


@pytest.fixture
async def gateway(connection: FakeConnection) -> AsyncIterator[RunningGateway]:
    def orchestrate(orchestrator: Orchestrator) -> None:
        orchestrator.add_hub("hub", lambda builder: connection).add_route(
            "route", HubRouteInfo(invoke_method="Method")
        )

    async with running_gateway(orchestrate, connected=False) as gateway:
        await until(lambda: connection.attempting)
        connection.accept()
        yield gateway


async def sent(
    gateway: RunningGateway, connection: FakeConnection, **headers: str
) -> Mapping[str, str]:
    answer = await gateway.post("hub/route", b"[]", **headers)
    assert answer.status == 200
    received = connection.headers[-1]
    assert received["X-Request-Id"] == answer.headers["X-Request-Id"]
    return received


async def received_for(
    gateway: RunningGateway, connection: FakeConnection, *fields: tuple[str, str]
) -> Mapping[str, str]:
    headers = CIMultiDict([("Content-Type", "application/json"), *fields])
    await gateway.request("POST", "/api/Gateway/hub/hub/route", b"[]", headers)
    return connection.headers[-1]


async def test_the_trace_of_the_caller_goes_on(
    gateway: RunningGateway, connection: FakeConnection
) -> None:
    """GW-38: with a span of the gateway's own, the flags of the caller, and its state."""
    received = await sent(
        gateway,
        connection,
        traceparent=f"00-{TRACE}-{SPAN}-01",
        tracestate="vendor=1",
        X_Request_Id="mine",
    )
    found = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", received["traceparent"])
    assert found is not None
    assert found[1] != SPAN
    assert received["tracestate"] == "vendor=1"
    assert received["X-Request-Id"] == "mine"


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "text",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 1000,
    ],
)
async def test_a_new_trace_begins_without_a_valid_one(
    gateway: RunningGateway, connection: FakeConnection, traceparent: str | None
) -> None:
    given = {} if traceparent is None else {"traceparent": traceparent}
    received = await sent(gateway, connection, tracestate="vendor=1", **given)
    assert re.fullmatch(r"00-(?!0af)[0-9a-f]{32}-[0-9a-f]{16}-00", received["traceparent"])
    assert "tracestate" not in received


async def test_a_later_version_is_continued_as_version_0(
    gateway: RunningGateway, connection: FakeConnection
) -> None:
    received = await sent(gateway, connection, traceparent=f"01-{TRACE}-{SPAN}-01-more")
    assert received["traceparent"].startswith(f"00-{TRACE}-")


async def test_a_state_in_several_fields_is_one_list(
    gateway: RunningGateway, connection: FakeConnection
) -> None:
    parent = ("traceparent", f"00-{TRACE}-{SPAN}-01")
    received = await received_for(
        gateway, connection, parent, ("tracestate", "a=1"), ("tracestate", "b=2")
    )
    assert received["tracestate"] == "a=1,b=2"


async def test_two_parents_are_none(gateway: RunningGateway, connection: FakeConnection) -> None:
    parent = ("traceparent", f"00-{TRACE}-{SPAN}-01")
    received = await received_for(gateway, connection, parent, parent)
    assert TRACE not in received["traceparent"]
