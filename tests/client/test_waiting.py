"""Handlers that wait, are cancelled or raise: later events and calls are handled (C-21)."""

import asyncio
import contextlib
import dataclasses
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from protocol import (
    ConnectionClosed,
    HubConnection,
    HubConnectionState,
    JsonHubProtocol,
    RetryContext,
)
from protocol.client.hub_connection import Connected
from protocol.client.options import HubConnectionOptions
from protocol.client.retry import retry_delays
from protocol.testing import MemoryTransport, memory_pair
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import event

KIB = 1024
MIB = 1024 * KIB
RESULT = {"type": 3, "invocationId": "1", "result": "answer"}


# ---- a handler that waits for an answer that arrives after other events


@pytest.mark.parametrize(("count", "size"), [(48, 64 * KIB), (5_000, 1)])
async def test_an_answer_behind_many_events(harness: ClientHarness, count: int, size: int) -> None:
    """It is read, and every event is handled in order."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("Ask")
    async def ask() -> None:
        heard.append(await connection.invoke("X"))

    connection.on("News", lambda number, _: heard.append(number))
    harness.server.send(event("Ask"))
    await harness.server.take()
    for number in range(count):
        harness.server.send(event("News", number, "x" * size))
    harness.server.send(RESULT)
    await harness.clock.settle()
    assert heard == ["answer", *range(count)]
    await harness.clock.advance(29)
    assert connection.state is HubConnectionState.CONNECTED


async def test_more_events_than_may_wait(harness: ClientHarness) -> None:
    """The connection ends like any loss, with an error that says so, and comes back."""
    connection = await harness.started(retry_delays([0]), maximum_waiting_events_size=2 * MIB)
    reasons: list[Exception | None] = []
    connection.on_reconnecting(reasons.append)
    errors: list[Exception] = []

    @connection.on("Ask")
    async def ask() -> None:
        try:
            await connection.invoke("X")
        except ConnectionClosed as error:
            errors.append(error)

    harness.server.send(event("Ask"))
    await harness.clock.settle()
    for _ in range(40):
        harness.server.send(event("News", "x" * 64 * KIB))
    await harness.clock.advance(1)
    text = (
        f"More than {2 * MIB} bytes of events wait for their handlers while a call waits for its "
        "answer (with_maximum_waiting_events_size)."
    )
    assert [str(error) for error in (*reasons, *errors)] == [text, text]
    assert connection.state is HubConnectionState.CONNECTED
    assert len(harness.servers) == 2


async def test_reading_pauses_while_no_call_waits(harness: ClientHarness) -> None:
    """At 1 MiB; the server timeout stands still meanwhile. A call of ours has it read on."""
    connection = await harness.started()
    gate = asyncio.Event()

    @connection.on("News")
    async def news(_: str) -> None:
        await gate.wait()

    for _ in range(40):
        harness.server.send(event("News", "x" * 64 * KIB))
        await harness.clock.settle()
    held_back = harness.near_ends[0].unread
    assert held_back > MIB
    await harness.clock.advance(300)
    assert connection.state is HubConnectionState.CONNECTED
    assert harness.near_ends[0].unread == held_back
    calling = asyncio.create_task(connection.invoke("X"))
    harness.server.send(RESULT)
    await harness.clock.settle()
    assert await calling == "answer"
    gate.set()
    await harness.clock.settle()
    assert harness.near_ends[0].unread == 0
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    await harness.clock.advance(31)  # the clock runs again
    assert [str(error)[:14] for error in closed] == ["Server timeout"]


# ---- what a handler does to its task


class BreakOut(BaseException):
    """A BaseException that is not an Exception."""


def cancel_own_task(*_: Any) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def cancel_own_task_and_wait(*_: Any) -> None:
    cancel_own_task()
    await asyncio.sleep(0)


def break_out(*_: Any) -> None:
    raise BreakOut


async def break_out_later(*_: Any) -> None:
    await asyncio.sleep(0)
    raise BreakOut


BREAKING = pytest.mark.parametrize(
    "breaking", [cancel_own_task, cancel_own_task_and_wait, break_out, break_out_later]
)


@BREAKING
async def test_later_events_are_handled(
    harness: ClientHarness, breaking: Callable[..., Any]
) -> None:
    connection = await harness.started()
    heard: list[int] = []
    connection.on("Break", breaking)
    connection.on("News", heard.append)
    harness.server.send(event("News", 1), event("Break"), event("News", 2))
    harness.server.send(event("Break"))
    await harness.clock.settle()
    harness.server.send(event("News", 3))
    await harness.clock.settle()
    assert heard == [1, 2, 3]
    assert connection.state is HubConnectionState.CONNECTED


@BREAKING
async def test_other_handlers_of_the_event_are_called(
    harness: ClientHarness, breaking: Callable[..., Any]
) -> None:
    """And async handlers of the next events are not cancelled in its place."""
    connection = await harness.started()
    heard: list[str] = []

    async def later(name: str, *_: Any) -> None:
        await asyncio.sleep(0)
        heard.append(name)

    connection.on("Break", breaking)
    connection.on("Break", lambda: later("second"))
    connection.on_any(lambda *_: later("any"))
    connection.on("News", lambda: later("news"))
    harness.server.send(event("Break"), event("News"))
    await harness.clock.settle()
    assert heard == ["second", "any", "news", "any"]


@dataclasses.dataclass
class Unmakeable:
    """A type that a handler declares, and that cannot be made of any value."""

    x: str

    def __post_init__(self) -> None:
        raise BreakOut


async def test_a_type_that_breaks_out(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and reading resumes although it waited for this event."""
    connection = await harness.started()
    gate = asyncio.Event()
    heard: list[str] = []

    async def wait() -> None:
        await gate.wait()

    def broken(_: Unmakeable) -> None:
        heard.append("broken")

    connection.on("Wait", wait)
    connection.on("Break", broken)
    connection.on("News", heard.append)
    harness.server.send(event("Wait"))
    harness.server.send({"type": 1, "target": "Break", "arguments": [{"x": "x" * 2 * MIB}]})
    harness.server.send(event("News", "after"))
    await harness.clock.settle()
    assert harness.near_ends[0].unread > 0
    gate.set()
    await harness.clock.settle()
    assert heard == ["after"]
    assert [record.getMessage() for record in caplog.records] == [
        "An event 'Break' was not handled."
    ]


@pytest.mark.parametrize("error", [BreakOut, asyncio.CancelledError])
async def test_a_connector_that_breaks_out(
    harness: ClientHarness, error: type[BaseException]
) -> None:
    """As a token factory may: an attempt that has failed, and the next one is made."""
    connection = await harness.started(retry_delays([1, 1]))
    harness.answers.append(error())
    harness.server.vanish()
    await harness.clock.advance(5)
    assert connection.state is HubConnectionState.CONNECTED


@pytest.mark.parametrize("error", [BreakOut, asyncio.CancelledError, LookupError])
async def test_a_policy_that_breaks_out(harness: ClientHarness, error: type[BaseException]) -> None:
    """There is no further attempt; calls under way end."""

    def policy(_: RetryContext) -> float:
        raise error

    connection = await harness.started(policy)
    calling = asyncio.create_task(connection.invoke("X"))
    await harness.clock.settle()
    harness.server.vanish()
    with pytest.raises(ConnectionClosed):
        await calling
    assert connection.state is HubConnectionState.DISCONNECTED


@pytest.mark.parametrize("waits", ["for itself", "for ever"])
async def test_on_closed_that_waits(harness: ClientHarness, waits: str) -> None:
    """It waits for another ``stop``, or never returns: ``stop`` returns."""
    connection = await harness.started()

    @connection.on_closed
    async def closed(_: Exception | None) -> None:
        if waits == "for itself":
            await asyncio.gather(connection.stop())
        else:
            await asyncio.Event().wait()

    stopping = asyncio.create_task(connection.stop())
    await harness.clock.advance(20)
    assert stopping.done()
    assert connection.state is HubConnectionState.DISCONNECTED


@BREAKING
@pytest.mark.parametrize("when", ["reconnecting", "reconnected", "closed"])
async def test_callbacks_that_break_out(
    harness: ClientHarness, breaking: Callable[..., Any], when: str
) -> None:
    """The connection comes back, ends when it is told to, and can be started again."""
    connection = await harness.started(retry_delays([1]))
    closed: list[Exception | None] = []
    getattr(connection, f"on_{when}")(breaking)
    connection.on_closed(closed.append)
    harness.server.vanish()
    await harness.clock.advance(2)
    assert connection.state is HubConnectionState.CONNECTED
    await connection.stop()
    await harness.clock.settle()
    assert closed == [None]
    await connection.start()
    assert connection.state is HubConnectionState.CONNECTED


@pytest.mark.parametrize("when", ["reconnecting", "reconnected"])
async def test_callbacks_that_do_not_return(harness: ClientHarness, when: str) -> None:
    """``stop`` ends them."""
    connection = await harness.started(retry_delays([1]))
    cancelled: list[str] = []

    async def hang(_: object) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(when)
            raise

    getattr(connection, f"on_{when}")(hang)
    harness.server.vanish()
    await harness.clock.advance(2)
    stopping = asyncio.create_task(connection.stop())
    await harness.clock.advance(2)
    assert stopping.done()
    assert cancelled == [when]
    assert connection.state is HubConnectionState.DISCONNECTED


# ---- the end


async def test_a_handler_does_not_outlive_stop(harness: ClientHarness) -> None:
    """Waiting events are dropped, and the running handler is cancelled."""
    connection = await harness.started()
    journal: list[str] = []

    @connection.on("News")
    async def news() -> None:
        journal.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            journal.append("ended")

    harness.server.send(event("News"), event("News"))
    await harness.clock.settle()
    await connection.stop()
    assert journal == ["begun", "ended"]
    await harness.clock.settle()
    assert harness.clock.leftovers() == []


async def test_stop_does_not_wait_for_ever(harness: ClientHarness) -> None:
    """A handler that ignores its cancellation cannot be ended; ``stop`` returns."""
    connection = await harness.started()
    gate = asyncio.Event()

    @connection.on("News")
    async def news() -> None:
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await gate.wait()

    harness.server.send(event("News"))
    await harness.clock.settle()
    stopping = asyncio.create_task(connection.stop())
    await harness.clock.advance(4)
    assert not stopping.done()
    await harness.clock.advance(2)
    assert stopping.done()
    assert connection.state is HubConnectionState.DISCONNECTED
    gate.set()
    await harness.clock.settle()
    assert harness.clock.leftovers() == []


async def test_handlers_of_a_lost_connection_do_not_outlive_it_either(
    harness: ClientHarness,
) -> None:
    connection = await harness.started(retry_delays([1]))
    ended: list[int] = []

    @connection.on("News")
    async def news(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    harness.server.send(event("News", 1))
    await harness.clock.settle()
    harness.server.vanish()
    await harness.clock.advance(2)
    harness.server.send(event("News", 2))
    await harness.clock.settle()
    await connection.stop()
    assert ended == [1]
    await harness.clock.settle()
    assert harness.clock.leftovers() == []


async def test_events_of_a_lost_connection_come_first(harness: ClientHarness) -> None:
    """CR-8: handlers run one after another, whatever connection brought their events."""
    connection = await harness.started(retry_delays([0]))
    gate = asyncio.Event()
    heard: list[int] = []

    @connection.on("News")
    async def news(number: int) -> None:
        await gate.wait()
        heard.append(number)

    harness.server.send(event("News", 1), event("News", 2))
    await harness.clock.settle()
    harness.server.vanish()
    await harness.clock.advance(1)
    harness.server.send(event("News", 3))
    await harness.clock.settle()
    gate.set()
    await harness.clock.settle()
    assert heard == [1, 2, 3]


async def test_lost_connections_leave_nothing(harness: ClientHarness) -> None:
    """A lost connection is not kept in memory."""
    connection = await harness.started(retry_delays([0] * 5))
    harness.server.vanish()
    await harness.clock.advance(1)
    assert connection._keeper is not None
    second = weakref.ref(connection._keeper._connection)
    for _ in range(3):
        harness.server.vanish()
        await harness.clock.advance(1)
    gc.collect()
    assert connection.state is HubConnectionState.CONNECTED
    assert second() is None


async def test_stop_in_a_handler(harness: ClientHarness) -> None:
    """It returns, and the handler goes on."""
    connection = await harness.started()
    journal: list[str] = []

    @connection.on("News")
    async def news() -> None:
        await connection.stop()
        journal.append("stopped")

    harness.server.send(event("News"), event("News"))
    await harness.clock.advance(2)
    assert journal == ["stopped"]
    assert connection.state is HubConnectionState.DISCONNECTED


# ---- the loop


SERVERS: list[MemoryTransport] = []


async def accept() -> Connected:
    """A Connector: a server that accepts the handshake."""
    near, far = memory_pair()
    SERVERS.append(far)
    far.write(b"{}\x1e")
    far.flush()
    return Connected(near, "id")


def send_event() -> None:
    """Sends records from the newest server."""
    SERVERS[-1].write(b'{"type":1,"target":"News","arguments":[]}\x1e')
    SERVERS[-1].flush()


def connection_of_its_own() -> tuple[HubConnection, list[Exception | None]]:
    """A connection that is used in several loops, and the calls of its ``on_closed``."""
    connection = HubConnection(accept, JsonHubProtocol(), HubConnectionOptions(), None)
    closed: list[Exception | None] = []
    connection.on_closed(closed.append)
    return connection, closed


def works(connection: HubConnection) -> bool:
    """Whether the connection can be started in a new loop, and handles an event there."""

    async def use() -> bool:
        heard = asyncio.Event()
        connection.off("News")
        connection.on("News", heard.set)
        await connection.start()
        send_event()
        await heard.wait()
        await connection.stop()
        return connection.state is HubConnectionState.DISCONNECTED

    return asyncio.run(use())


def test_a_loop_that_ends_without_stop() -> None:
    connection, closed = connection_of_its_own()
    asyncio.run(connection.start())
    assert connection.state is HubConnectionState.DISCONNECTED
    assert [type(error) for error in closed] == [ConnectionClosed]
    assert works(connection)
    assert len(closed) == 2


def test_a_loop_that_is_gone() -> None:
    """Without its tasks having been cancelled, so that nothing could be called."""
    connection, _ = connection_of_its_own()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(connection.start())
    tasks = asyncio.all_tasks(loop)
    loop.close()
    for task in tasks:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    assert connection.state is HubConnectionState.DISCONNECTED
    assert works(connection)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_handler_that_ends_the_loop(error: type[BaseException]) -> None:
    connection, closed = connection_of_its_own()

    def interrupt() -> None:
        raise error

    async def use() -> None:
        await connection.start()
        await asyncio.sleep(0)
        connection.on("News", interrupt)
        send_event()
        await asyncio.Event().wait()

    with pytest.raises(error):
        asyncio.run(use())
    assert connection.state is HubConnectionState.DISCONNECTED
    assert len(closed) == 1
    assert works(connection)
