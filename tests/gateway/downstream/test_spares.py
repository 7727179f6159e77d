"""GW-34: a hub method that hangs stops only itself; GW-35, GW-36: limits of calls, circuits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from protocol import ConnectionClosed, HubConnectionState, HubException, Payload
from signalr_gateway.downstream.call_errors import (
    CircuitOpen,
    GatewayDraining,
    HubBusy,
    HubTimeout,
)
from signalr_gateway.downstream.hub import Downstream
from signalr_gateway.orchestration.orchestrator import Orchestrator
from signalr_gateway.orchestration.route import HubRoute
from tests.gateway.fake_connection import FakeConnection
from tests.gateway.hand_clock import HandClock, settle
from tests.gateway.payloads import json_payload
from tests.support.routes import route_to

TIMEOUT = 30.0  # of the routes
HANG, ECHO = route_to("Hang", key="hang"), route_to("Echo", key="echo")


class Bench:
    """A hub whose connections answer all methods but ``Hang``, each built by the orchestration."""

    def __init__(self, **options: Any) -> None:
        self.clock = HandClock()
        self.connections: list[FakeConnection] = []
        self.build: Callable[[], FakeConnection] = FakeConnection
        self.events: list[str] = []
        orchestrator = Orchestrator()
        orchestrator.add_hub("hub", lambda builder: self._connection(), **options)
        self.downstream = Downstream(
            orchestrator.hubs["hub"], self._connection(), self.hear, clock=self.clock
        )

    def _connection(self) -> FakeConnection:
        connection = self.build()
        connection.answer = lambda: (
            asyncio.get_running_loop().create_future()
            if connection.calls[-1][0] == "Hang"
            else msgspec.Raw(b"1")
        )
        self.connections.append(connection)
        return connection

    async def hear(self, api: str, target: str, arguments: Payload, user: str | None) -> None:
        self.events.append(target)

    def call(self, route: HubRoute) -> asyncio.Task[Payload | None]:
        return asyncio.create_task(self.downstream.invoke(route, [json_payload(b"1")]))

    async def answer_of(self, route: HubRoute) -> object:
        """The answer of a call, for which a spare connection may have to be opened."""
        call = self.call(route)
        await settle()
        for connection in self.connections:
            if connection.attempting:
                connection.accept()
        (answer,) = await asyncio.gather(call, return_exceptions=True)
        return answer

    async def hang(self) -> asyncio.Task[Payload | None]:
        """A call that has timed out."""
        call = self.call(HANG)
        await settle()
        for connection in self.connections:
            if connection.attempting:
                connection.accept()
        await self.clock.advance(TIMEOUT)
        with pytest.raises(HubTimeout):
            await call
        return call

    def targets(self) -> list[list[str]]:
        """The methods that were called on each connection."""
        return [[target for target, _ in it.calls] for it in self.connections]


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    benches: list[Bench] = []

    async def started(**options: Any) -> Bench:
        bench = Bench(**options)
        benches.append(bench)
        bench.downstream.start()
        await settle()
        bench.connections[0].accept()
        await settle()
        return bench

    yield started
    for bench in benches:
        await bench.downstream.stop()


Start = Callable[..., Any]

# --- spare connections (GW-34) -------------------------------------------------------------------


async def test_calls_use_the_first_connection(start: Start) -> None:
    bench = await start()
    assert isinstance(await bench.answer_of(ECHO), Payload)
    assert bench.targets() == [["Echo"]]


async def test_a_method_that_hangs_stops_only_itself(start: Start) -> None:
    """The next calls go to one spare connection, until the first connection is free again."""
    bench = await start()
    await bench.hang()
    assert not bench.downstream.is_answering
    for _ in range(3):
        assert isinstance(await bench.answer_of(ECHO), Payload)
    assert bench.targets() == [["Hang"], ["Echo"] * 3]
    bench.connections[0].unanswered = 0  # the method has returned
    assert bench.downstream.is_answering
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang", "Echo"], ["Echo"] * 3]


async def test_a_caller_that_leaves_a_method_that_hangs(start: Start) -> None:
    """The connection is stuck when the timeout of the call has passed, although nobody waits."""
    bench = await start()
    call = bench.call(HANG)
    await settle()
    call.cancel()
    await settle()
    await bench.answer_of(ECHO)
    await bench.clock.advance(TIMEOUT)
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang", "Echo"], ["Echo"]]


async def test_a_caller_that_leaves_a_method_that_answers_later(start: Start) -> None:
    bench = await start()
    for _ in range(2):
        call = bench.call(HANG)
        await settle()
        call.cancel()
        await settle()
        bench.connections[0].unanswered = 0
        await bench.clock.advance(TIMEOUT - 1)
    assert bench.downstream.is_answering
    await bench.answer_of(ECHO)
    assert len(bench.connections) == 1


async def test_methods_that_hang_take_at_most_the_spare_connections(start: Start) -> None:
    """Then calls go to the first connection: its hub may run several calls at a time."""
    bench = await start(spare_connections=2, circuit_timeouts=None)
    for _ in range(3):
        await bench.hang()
    assert bench.targets() == [["Hang"]] * 3
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang", "Echo"], ["Hang"], ["Hang"]]


async def test_a_spare_connection_that_is_stuck_for_long_is_replaced(start: Start) -> None:
    """For longer than twice the timeout."""
    bench = await start(spare_connections=1)
    await bench.hang()
    await bench.hang()
    await bench.clock.advance(2 * TIMEOUT - 1)
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang", "Echo"], ["Hang"]]
    await bench.clock.advance(1)
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang", "Echo"], ["Hang"], ["Echo"]]
    assert bench.connections[1].stopped


async def test_calls_share_the_attempt_to_open_a_spare_connection(start: Start) -> None:
    bench = await start()
    await bench.hang()
    calls = [bench.call(ECHO) for _ in range(10)]
    await settle()
    assert len(bench.connections) == 2
    bench.connections[1].accept()
    await asyncio.gather(*calls)
    assert bench.targets() == [["Hang"], ["Echo"] * 10]


@pytest.mark.parametrize("error", [OSError(), KeyError("hush")])
async def test_a_spare_connection_that_cannot_be_opened(
    start: Start, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """Calls go to the first connection, and one line a minute says why."""
    bench = await start()
    await bench.hang()

    def refusing() -> FakeConnection:
        connection = FakeConnection()
        connection.refuse_at_once = error
        return connection

    bench.build = refusing
    for _ in range(20):
        await bench.answer_of(ECHO)
    assert len(bench.connections) == 2, "one attempt in half a second"
    assert bench.targets() == [["Hang", *["Echo"] * 20], []]
    lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in lines] == [
        f"hub 'hub': cannot open a spare connection: {type(error).__name__}"
    ]


async def test_a_builder_that_returns_the_same_connection_twice(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    bench = await start()
    await bench.hang()
    bench.build = lambda: bench.connections[0]
    await bench.answer_of(ECHO)
    assert bench.targets()[0] == ["Hang", "Echo"]
    assert "cannot open a spare connection" in caplog.text


async def test_a_spare_connection_that_does_not_open_in_time(start: Start) -> None:
    bench = await start()
    await bench.hang()
    call = bench.call(ECHO)
    await bench.clock.advance(5)
    assert isinstance(await call, Payload)
    assert bench.targets() == [["Hang", "Echo"], []]


async def test_the_next_attempt_uses_the_same_connection(start: Start) -> None:
    """A hub with several addresses then tries the next one, because the connection knows it."""
    bench = await start()
    await bench.hang()
    call = bench.call(ECHO)
    await bench.clock.advance(5)
    await call
    await bench.clock.advance(0.5)
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang", "Echo"], ["Echo"]]
    bench.connections[1].any_handler("Event", msgspec.Raw(b"[]"))
    assert bench.downstream.spare_events == 1, "its handler is registered once"


async def test_events_of_a_spare_connection_are_counted_only(start: Start) -> None:
    """The first connection receives events for all clients as well."""
    bench = await start()
    await bench.hang()
    await bench.answer_of(ECHO)
    first, spare = bench.connections
    await first.any_handler("Event", msgspec.Raw(b"[]"))
    spare.any_handler("Event", msgspec.Raw(b"[]"))
    assert bench.events == ["Event"]
    assert bench.downstream.spare_events == 1


async def test_a_spare_connection_that_is_not_used_is_closed(start: Start) -> None:
    bench = await start()
    await bench.hang()
    await bench.answer_of(ECHO)
    spare = bench.connections[1]
    bench.connections[0].unanswered = 0
    await bench.clock.advance(59)
    assert not spare.stopped
    await bench.clock.advance(61)
    assert spare.stopped


async def test_a_spare_connection_that_is_lost(start: Start) -> None:
    bench = await start()
    await bench.hang()
    await bench.answer_of(ECHO)
    bench.connections[1].lose(ConnectionClosed("gone"))
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang"], ["Echo"], ["Echo"]]


async def test_the_stop_closes_the_spare_connections(start: Start) -> None:
    bench = await start()
    await bench.hang()
    await bench.answer_of(ECHO)
    hanging = bench.call(HANG)
    await settle()
    bench.downstream.drain()
    with pytest.raises(GatewayDraining):
        await bench.downstream.invoke(ECHO, [])
    hanging.cancel()
    await bench.downstream.stop()
    assert [connection.current for connection in bench.connections] == [
        HubConnectionState.DISCONNECTED
    ] * 2


async def test_without_spare_connections_calls_use_the_first_one(start: Start) -> None:
    bench = await start(spare_connections=0)
    await bench.hang()
    await bench.answer_of(ECHO)
    assert bench.targets() == [["Hang", "Echo"]]


# --- limits and circuits (GW-35, GW-36) ----------------------------------------------------------


async def test_a_hub_takes_so_many_calls_at_a_time(start: Start) -> None:
    bench = await start(maximum_calls=2, busy_timeout=1)
    hanging = [bench.call(HANG) for _ in range(2)]
    await settle()
    late, left = bench.call(ECHO), bench.call(ECHO)
    await settle()
    left.cancel()
    await bench.clock.advance(1)
    with pytest.raises(HubBusy) as caught:
        await late
    assert str(caught.value) == "The hub 'hub' has 2 calls under way, and may have no more."
    for call in hanging:
        call.cancel()
    await settle()
    assert isinstance(await bench.answer_of(ECHO), Payload)


async def test_a_route_takes_so_many_calls_at_a_time(start: Start) -> None:
    """The calls of another route are made."""
    bench = await start(busy_timeout=1)
    narrow = route_to("Hang", key="narrow", maximum_calls=1)
    hanging = bench.call(narrow)
    await settle()
    late = bench.call(narrow)
    assert isinstance(await bench.answer_of(ECHO), Payload)
    await bench.clock.advance(1)
    with pytest.raises(HubBusy) as caught:
        await late
    text = "The route 'hub/narrow' has 1 calls under way, and may have no more."
    assert str(caught.value) == text
    hanging.cancel()


async def test_a_route_whose_calls_time_out_is_not_called_for_a_while(start: Start) -> None:
    """The calls of another route are made. A probe that the hub answers ends it."""
    bench = await start(circuit_timeouts=2, circuit_pause=20)
    await bench.hang()
    assert bench.downstream.open_circuits == 0
    await bench.hang()
    assert bench.downstream.open_circuits == 1
    with pytest.raises(CircuitOpen) as caught:
        await bench.downstream.invoke(HANG, [])
    assert caught.value.retry_after == 20
    assert isinstance(await bench.answer_of(ECHO), Payload)
    await bench.clock.advance(20)
    for connection in bench.connections:
        connection.answer = lambda: msgspec.Raw(b"1")
    assert isinstance(await bench.answer_of(HANG), Payload)
    assert bench.downstream.open_circuits == 0


async def test_an_error_of_the_hub_is_an_answer(start: Start) -> None:
    """The timeouts before and after it are not in a row."""
    bench = await start(circuit_timeouts=2, spare_connections=0)
    await bench.hang()
    (connection,) = bench.connections
    hangs = connection.answer

    def fail() -> None:
        raise HubException("no")

    connection.answer = fail
    assert isinstance(await bench.answer_of(HANG), HubException)
    connection.answer = hangs
    await bench.hang()
    assert bench.downstream.open_circuits == 0
