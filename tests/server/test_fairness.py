"""Input of one client delays other clients little, and takes little memory (P, TG-8)."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any, Final

import pytest

from protocol import Hub, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from protocol.testing import LoopClock
from tests.support.hub_messages import RECORD_SEPARATOR, call, result
from tests.support.server_harness import MakeServer, MemoryClient, ServerHarness

MIB: Final = 1024 * 1024
KIB: Final = 1024


class FairHub(Hub):
    gate: asyncio.Event

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    async def hold(self) -> None:
        await self.gate.wait()


class Fair:
    def __init__(self, serve: MakeServer, limits: TransportLimits | None = None) -> None:
        self.gate = asyncio.Event()
        self.harness: ServerHarness = serve(FairHub, hub_factory=self._make, limits=limits)

    def _make(self) -> FairHub:
        hub = FairHub()
        hub.gate = self.gate
        return hub


def repeated(record: str) -> bytes:
    """1 MiB of one record."""
    data = (record + RECORD_SEPARATOR).encode()
    return data * (MIB // len(data))


FLOODS: Final = {
    "pings": '{"type":6}',
    "unknown types": '{"type":99}',
    "stream items": '{"type":2,"invocationId":"1","item":1}',
    "completions": '{"type":3,"invocationId":"1","result":1}',
    "refused calls": '{"type":1,"target":"Nobody","arguments":[]}',
    "odd calls": '{ "arguments" : [1] , "target" : "Nobody" , "type" : 1 }',
    "calls": '{"type":1,"target":"Echo","arguments":[1]}',
}


@pytest.mark.parametrize("record", FLOODS.values(), ids=FLOODS)
async def test_a_flood_shares_the_loop(serve: MakeServer, clock: LoopClock, record: str) -> None:
    """P: another client is answered long before 1 MiB is handled, in whatever turn it comes."""
    fair = Fair(serve)
    flood, other = await fair.harness.connect(), await fair.harness.connect()
    flood.send_bytes(repeated(record))
    other.send(call("Echo", "soon"))
    turns = 0
    while not other.transport._in:
        await asyncio.sleep(0)
        turns += 1
    assert await other.take() == [result("soon")]
    assert turns < 12
    await clock.settle()


async def test_what_is_held_is_counted_whole(serve: MakeServer, clock: LoopClock) -> None:
    """TG-8: behind a call that waits, Pings count like everything else; then nothing is read."""
    limit = 64 * KIB
    fair = Fair(serve, TransportLimits(application_max_buffer_size=limit))
    client = await fair.harness.connect()
    client.send(call("Hold", id="1"))
    client.send(call("Hold", id="2"))
    await clock.settle()
    for _ in range(20):
        client.send_bytes(('{"type":6}' + RECORD_SEPARATOR).encode() * 1000)
        await clock.settle()
    assert client.transport.buffered > 100 * KIB
    fair.gate.set()
    assert [it["invocationId"] for it in await client.take()] == ["1", "2"]
    assert client.transport.buffered == 0


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class ContextHub(Hub):
    @hub_method
    async def set_variable(self, value: str) -> None:
        VARIABLE.set(value)

    @hub_method
    def set_at_once(self, value: str) -> None:
        VARIABLE.set(value)

    @hub_method
    async def get(self) -> str:
        return VARIABLE.get()


@pytest.mark.parametrize("setter", ["SetVariable", "SetAtOnce"])
@pytest.mark.parametrize("together", [True, False])
async def test_context_variables_are_a_call_s_own(
    serve: MakeServer, setter: str, together: bool
) -> None:
    """No call sees the context variables of another, in one piece or one by one."""
    client = await serve(ContextHub).connect()
    calls = [call(setter, "secret", id="1"), call("Get", id="2")]
    if together:
        answers = await client.ask(*calls)
    else:
        answers = [answer for each in calls for answer in await client.ask(each)]
    assert answers[-1] == result("unset", "2")


class LastingHub(Hub):
    """``journal`` contains how ``last`` ended."""

    gate: asyncio.Event
    journal: list[str]

    @hub_method
    async def last(self) -> None:
        self.journal.append("begun")
        try:
            await self.gate.wait()
            self.journal.append("ended")
        except asyncio.CancelledError:
            self.journal.append("cancelled")
            raise


@pytest.fixture
def lasting(serve: MakeServer) -> Callable[[], tuple[ServerHarness, LastingHub]]:
    def make() -> tuple[ServerHarness, LastingHub]:
        shared = LastingHub()
        shared.gate, shared.journal = asyncio.Event(), []

        def factory() -> LastingHub:
            hub = LastingHub()
            hub.gate, hub.journal = shared.gate, shared.journal
            return hub

        return serve(LastingHub, HubOptions(), hub_factory=factory), shared

    return make


async def begun(harness: ServerHarness) -> MemoryClient:
    client = await harness.connect()
    client.send(call("Last"))
    await harness.clock.settle()
    return client


async def test_a_method_outlives_its_connection(
    lasting: Callable[[], tuple[ServerHarness, LastingHub]],
) -> None:
    """As in ASP.NET Core; until it ends the connection has not, and keeps its place."""
    harness, hub = lasting()
    client = await begun(harness)
    client.vanish()
    await harness.clock.settle()
    assert client.connection.closed.done()
    assert not client.connection.ended.done()
    hub.gate.set()
    await harness.clock.settle()
    assert hub.journal == ["begun", "ended"]
    assert client.connection.ended.done()


async def test_a_shutdown_cancels_what_outlasts_its_grace(
    lasting: Callable[[], tuple[ServerHarness, LastingHub]],
) -> None:
    """L-6: also a method whose client has disconnected long before."""
    harness, hub = lasting()
    gone, here = await begun(harness), await begun(harness)
    gone.vanish()
    closing = asyncio.create_task(harness.server.close(grace=5))
    await harness.clock.advance(4.9)
    assert hub.journal == ["begun"] * 2
    await harness.clock.advance(0.1)
    await closing
    assert hub.journal == ["begun"] * 2 + ["cancelled"] * 2
    assert here.connection.ended.done()
