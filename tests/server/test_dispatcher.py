"""Which tasks run a connection's calls, also if hub methods cancel or change their task."""

import asyncio
import contextvars
import logging
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import pytest

from protocol import Hub, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from protocol.json.protocol import JsonHubProtocol
from protocol.messages import Invocation, ReceivedMessage
from protocol.server.connection_context import HubConnectionContext
from tests.support.hub_messages import (
    CLOSE,
    CLOSE_AND_RECONNECT,
    PING,
    call,
    event,
    failure,
    result,
)
from tests.support.server_harness import MakeServer, MemoryClient

from .endings import closed

KIB = 1024
UNEXPECTED = "An unexpected error occurred invoking '{}' on the server."


class UnspeakableError(Exception):
    """An exception that has no text."""

    def __str__(self) -> str:
        raise LookupError("no words")


class TaskHub(Hub):
    """Methods that cancel or change their task in every possible way."""

    tasks: dict[str, asyncio.Task[Any] | None]
    gate: asyncio.Event
    journal: list[str]
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

    @hub_method
    def quick(self, name: str) -> str:
        self.journal.append(name)
        return name

    @hub_method
    async def hold(self, name: str) -> str:
        self.tasks[name] = asyncio.current_task()
        await self.gate.wait()
        return name

    @hub_method
    async def fail_unspeakably(self) -> None:
        await self.gate.wait()
        raise UnspeakableError

    @hub_method
    async def remember(self, name: str) -> str:
        self.tasks[name] = asyncio.current_task()
        return name

    @hub_method
    async def endure(self, name: str) -> str:
        self.tasks[name] = asyncio.current_task()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            return "endured"
        return name

    @hub_method
    def cancel_own_task(self) -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "cancelled"

    @hub_method
    def give_up(self) -> None:
        self.cancel_own_task()
        raise asyncio.CancelledError

    @hub_method
    def cancel(self, name: str) -> None:
        task = self.tasks[name]
        assert task is not None
        task.cancel()

    @hub_method
    async def time_out(self, waits: bool) -> str:
        try:
            async with asyncio.timeout(0):
                await (asyncio.Event().wait() if waits else asyncio.sleep(0))
        except TimeoutError:
            return "timed out"
        return "in time"

    @hub_method
    async def fail_together(self) -> str:
        async def fail() -> None:
            raise LookupError("one")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                group.create_task(self.gate.wait())
                await asyncio.Event().wait()
        except* LookupError:
            pass
        return "caught"

    @hub_method
    async def shield(self) -> str:
        inner = asyncio.ensure_future(self.gate.wait())
        try:
            async with asyncio.timeout(0):
                await asyncio.shield(inner)
        except TimeoutError:
            self.gate.set()
        await inner
        return "shielded"

    @hub_method
    async def yield_often(self, times: int) -> int:
        for _ in range(times):
            await asyncio.sleep(0)
        return times

    @hub_method
    def give_awaitable(self) -> Any:
        class Bare:
            def __await__(self) -> Generator[Any, None, str]:
                yield
                yield
                return "bare"

        return Bare()

    @hub_method
    async def yield_nonsense(self) -> None:
        class Nonsense:
            def __await__(self) -> Generator[Any, None, None]:
                yield "nonsense"

        await Nonsense()

    @hub_method
    async def await_own_task(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        await task

    @hub_method
    async def set_variable(self, value: str) -> None:
        self.variable.set(value)
        await self.gate.wait()

    @hub_method
    def get_variable(self) -> str:
        return self.variable.get()

    @hub_method
    def large(self, size: int) -> str:
        return "x" * size


class Tasks:
    """A server of that hub; ``options`` are the hub's."""

    def __init__(
        self, serve: MakeServer, limits: TransportLimits | None = None, **options: Any
    ) -> None:
        self.tasks: dict[str, asyncio.Task[Any] | None] = {}
        self.gate = asyncio.Event()
        self.journal: list[str] = []
        self.harness = serve(TaskHub, HubOptions(**options), hub_factory=self._make, limits=limits)
        self.clients = self.harness.server.context.clients

    def _make(self) -> TaskHub:
        hub = TaskHub()
        hub.tasks, hub.gate, hub.journal = self.tasks, self.gate, self.journal
        return hub

    async def connect(self) -> MemoryClient:
        return await self.harness.connect()


def context_of(tasks: Tasks) -> HubConnectionContext:
    """The context of the only connection."""
    (connection,) = tasks.harness.server._connections
    return connection.connection


ONE_AND_THREE = pytest.mark.parametrize("slots", [1, 3])


# ---- methods that change their task


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param(call("TimeOut", True), result("timed out"), id="timeout"),
        pytest.param(call("FailTogether"), result("caught"), id="task group"),
        pytest.param(call("Shield"), result("shielded"), id="shield"),
        pytest.param(call("YieldOften", 1000), result(1000), id="bare yields"),
        pytest.param(call("GiveAwaitable"), result("bare"), id="awaitable of its own"),
        pytest.param(
            call("YieldNonsense"), failure(UNEXPECTED.format("YieldNonsense")), id="nonsense"
        ),
        pytest.param(
            call("AwaitOwnTask"), failure(UNEXPECTED.format("AwaitOwnTask")), id="own task"
        ),
    ],
)
@pytest.mark.parametrize("before", [[], [call("Quick", "a", id="0")]], ids=["first", "second"])
async def test_a_method_waits_as_in_any_task(
    serve: MakeServer, message: Any, answer: Any, before: list[Any]
) -> None:
    """What a method waits for, the task waits for in which it has begun."""
    client = await Tasks(serve).connect()
    client.send(*before, message, call("Quick", "b", id="2"))
    answers = [result("a", "0")] * len(before) + [answer, result("b", "2")]
    assert await client.take() == answers
    assert await client.ask(call("Quick", "c", id="3")) == [result("c", "3")]


@ONE_AND_THREE
async def test_a_method_whose_task_is_cancelled_is_answered(serve: MakeServer, slots: int) -> None:
    """S-7: the call fails; the messages after it are handled, and reading goes on."""
    tasks = Tasks(serve, maximum_parallel_invocations_per_client=slots)
    client = await tasks.connect()
    client.send(call("Quick", "a", id="0"), call("Hold", "h"), call("YieldOften", 2, id="2"))
    await tasks.harness.clock.settle()
    await client.take()
    held = tasks.tasks["h"]
    assert held is not None
    held.cancel()
    answers = await client.take()
    assert failure(UNEXPECTED.format("Hold")) in answers
    assert await client.ask(call("Quick", "b", id="3")) == [result("b", "3")]
    assert held.cancelled()


async def test_answers_before_a_cancelled_method_are_not_kept_back(serve: MakeServer) -> None:
    """S-18: a call without an id gets no answer, and delays none before it."""
    client = await Tasks(serve).connect()
    assert await client.ask(call("Quick", "a"), event("GiveUp")) == [result("a")]
    assert await client.ask(call("Quick", "b"), call("GiveUp", id="2")) == [
        result("b"),
        failure(UNEXPECTED.format("GiveUp"), "2"),
    ]


@ONE_AND_THREE
async def test_a_task_that_is_cancelled_after_its_call(serve: MakeServer, slots: int) -> None:
    """The calls behind it are run by another task."""
    tasks = Tasks(serve, maximum_parallel_invocations_per_client=slots)
    client = await tasks.connect()
    assert await client.ask(call("Remember", "r")) == [result("r")]
    task = tasks.tasks["r"]
    assert task is not None
    task.cancel()
    await tasks.harness.clock.settle()
    assert await client.ask(call("Quick", "a"), call("Quick", "b", id="2")) == [
        result("a"),
        result("b", "2"),
    ]
    client.send(call("Quick", "c"))
    task = tasks.tasks["r"]
    assert await client.take() == [result("c")]
    assert await client.ask(CLOSE) == [CLOSE]
    assert await client.has_ended()


async def test_a_task_that_is_cancelled_as_data_arrives(serve: MakeServer) -> None:
    """A call that arrives in the same tick is not lost with the task that would have run it."""
    tasks = Tasks(serve)
    client = await tasks.connect()
    for number in range(5):
        assert await client.ask(call("Remember", "r")) == [result("r")]
        task = tasks.tasks["r"]
        assert task is not None
        client.send(call("Quick", str(number)))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        assert await client.take() == [result(str(number))]


@ONE_AND_THREE
async def test_a_method_that_cancels_its_own_task_and_returns(
    serve: MakeServer, slots: int
) -> None:
    """The cancellation comes at the next wait, and reaches no other call."""
    client = await Tasks(serve, maximum_parallel_invocations_per_client=slots).connect()
    assert await client.ask(call("CancelOwnTask"), call("Quick", "a", id="2")) == [
        result("cancelled"),
        result("a", "2"),
    ]
    assert await client.ask(call("Quick", "b", id="3")) == [result("b", "3")]


async def test_a_job_that_another_call_cancels(serve: MakeServer) -> None:
    """A method may outlive its cancellation, which does not reach the calls after it."""
    tasks = Tasks(serve, maximum_parallel_invocations_per_client=2)
    client = await tasks.connect()
    client.send(call("Endure", "job"))
    await tasks.harness.clock.settle()
    assert await client.ask(call("Cancel", "job", id="2")) == [result(None, "2"), result("endured")]
    for number in range(3, 6):
        assert await client.ask(call("FailTogether", id=str(number))) == [
            result("caught", str(number))
        ]
        assert await client.ask(call("TimeOut", True)) == [result("timed out")]


async def test_variables_of_a_method_are_not_inherited(serve: MakeServer) -> None:
    """A task that runs the calls behind a method does not have the method's variables."""
    tasks = Tasks(serve, maximum_parallel_invocations_per_client=2)
    client = await tasks.connect()
    client.send(call("SetVariable", "mine"), call("GetVariable", id="2"))
    assert await client.take() == [result("none", "2")]
    tasks.gate.set()
    assert await client.take() == [result()]


# ---- messages that are handled while methods run


async def test_a_close_is_read_while_methods_run(serve: MakeServer) -> None:
    """K-3, S-24: however many calls wait, a Close is read, until one waits for a slot."""
    for slots in (1, 2, 3):
        tasks = Tasks(serve, maximum_parallel_invocations_per_client=slots)
        client = await tasks.connect()
        for number in range(slots):
            assert await client.ask(call("Hold", str(number)), PING) == []
        assert await client.ask(call("Nobody", id="9")) != []
        assert await client.ask(CLOSE) == [CLOSE]
        assert await client.has_ended()
        tasks.gate.set()


async def test_no_more_tasks_than_needed(serve: MakeServer) -> None:
    """One for each slot, however often they change places."""
    before = len(asyncio.all_tasks())
    tasks = Tasks(serve, maximum_parallel_invocations_per_client=2)
    client = await tasks.connect()
    idle = len(asyncio.all_tasks())
    for _ in range(20):
        await client.ask(call("YieldOften", 3), call("YieldOften", 2), call("Quick", "a"))
    for name in "abcd":
        client.send(call("Hold", name))
    await tasks.harness.clock.settle()
    assert len(asyncio.all_tasks()) <= idle + 2
    tasks.gate.set()
    client.vanish()
    assert await client.has_ended()
    await tasks.harness.clock.advance(2)
    assert len(asyncio.all_tasks()) <= before + 1  # the server's clock


async def test_calls_for_an_ended_connection(serve: MakeServer) -> None:
    """S-26: what arrives in the tick of the end is not served any more."""
    tasks = Tasks(serve)
    client = await tasks.connect()
    client.send(call("Quick", "late"))
    closing = asyncio.create_task(tasks.harness.server.close())
    asyncio.get_running_loop().call_soon(client.send, call("Quick", "later"))
    answers = await client.take()
    await closing
    assert tasks.journal in ([], ["late"])
    assert answers in ([CLOSE_AND_RECONNECT], [result("late"), CLOSE_AND_RECONNECT])


async def test_calls_that_came_before_an_abort_in_the_same_tick(serve: MakeServer) -> None:
    """S-26: they are not run."""
    tasks = Tasks(serve)
    client = await tasks.connect()
    client.send(call("Quick", "late"))
    context_of(tasks).abort()
    assert await client.take() == [CLOSE]
    assert tasks.journal == []


# ---- a client that does not keep up


async def test_a_burst_after_congestion(serve: MakeServer) -> None:
    """TG-8: that it was congested is known as of the last write; by now the client may have read
    it all, and then nothing keeps its calls."""
    tasks = Tasks(serve)
    client = await tasks.connect()
    client.transport.pause_reading()
    await tasks.clients.all.send("News", "x" * 100 * KIB)
    client.transport.resume_reading()
    assert await client.take() == [event("News", "x" * 100 * KIB)]
    names = list("abcd")
    assert await client.ask(*(call("Quick", name, id=name) for name in names)) == [
        result(name, name) for name in names
    ]


async def test_messages_behind_a_call_of_a_congested_client(serve: MakeServer) -> None:
    """S-24, TG-8: it gets no more calls, but a Close is no call."""
    tasks = Tasks(serve)
    client = await tasks.connect()
    client.transport.pause_reading()
    await tasks.clients.all.send("News", "x" * 100 * KIB)
    client.send(call("Hold", "a"), CLOSE)
    await tasks.harness.clock.settle()
    assert client.connection.closed.done() or client.transport.peer.ended == "closed"
    tasks.gate.set()


@pytest.mark.parametrize("is_served", [False, True])
async def test_the_end_of_a_client_that_is_congested_anew(
    serve: MakeServer, is_served: bool
) -> None:
    """TG-8: it ends in the tick in which it had read everything and was sent more."""
    tasks = Tasks(serve)
    client = await tasks.connect()
    context = context_of(tasks)
    news = b"x" * 100 * KIB
    client.transport.pause_reading()
    client.send(call("Large", 100 * KIB))
    await tasks.harness.clock.settle()
    for rounds in range(2):
        client.transport.resume_reading()
        client.transport.pause_reading()
        context.write(news)
        if not is_served or rounds:
            context.abort()
        await tasks.harness.clock.settle()
    client.transport.resume_reading()
    assert await client.has_ended()


async def test_a_burst_whose_client_is_cut_off_in_the_middle(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """TG-9: the calls behind the cut are not served."""
    tasks = Tasks(serve, maximum_outbound_buffer_size=64 * KIB)
    client = await tasks.connect()
    client.transport.pause_reading()
    calls = [call("Large", 20 * KIB, id=str(number)) for number in range(6)]
    with caplog.at_level(logging.WARNING):
        client.send(*calls, call("Quick", "behind"))
        assert await client.has_ended()
    assert tasks.journal == []
    assert "is cut off" in caplog.text


# ---- errors that should not happen


class BrokenProtocol(JsonHubProtocol):
    """A custom hub protocol with a fault."""

    def decode_all(self, records: Iterable[bytes], /) -> Iterator[ReceivedMessage | None]:
        for message in super().decode_all(records):
            yield message
            if isinstance(message, Invocation) and message.target == "Hold":
                raise LookupError("a fault")


@pytest.mark.parametrize("has_left", [False, True])
async def test_a_hub_protocol_that_fails(
    serve: MakeServer, caplog: pytest.LogCaptureFixture, has_left: bool
) -> None:
    """TW-6: it ends the connection, which gets a Close and is removed, whatever waits."""
    tasks = Tasks(serve, supported_protocols=(BrokenProtocol(),))
    client = await tasks.connect()
    client.send(call("Quick", "a"), call("Hold", "h", id="2"), call("Quick", "b"))
    if has_left:
        client.transport.finish()
    assert await client.take() == [result("a"), {"type": 7, "error": closed()["error"]}]
    assert await client.has_ended()
    assert "A connection failed unexpectedly." in caplog.text
    assert tasks.journal == ["a"]
    tasks.gate.set()
    await tasks.harness.clock.settle()
    assert tasks.tasks["h"] is not None
    assert tasks.tasks["h"].done()
    assert not tasks.tasks["h"].cancelled()


@pytest.mark.parametrize("has_left", [False, True])
async def test_a_fault_that_cannot_be_answered(
    serve: MakeServer, caplog: pytest.LogCaptureFixture, has_left: bool
) -> None:
    """It ends the connection, and is logged, be it after the end."""
    tasks = Tasks(serve, enable_detailed_errors=True)
    client = await tasks.connect()
    client.send(call("FailUnspeakably"))
    await tasks.harness.clock.settle()
    if has_left:
        context_of(tasks).abort()
        await tasks.harness.clock.settle()
    tasks.gate.set()
    await tasks.harness.clock.settle()
    assert await client.has_ended()
    assert "A connection failed unexpectedly." in caplog.text


async def test_a_call_that_is_thrown_away(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a loop that is closed in the middle: what is behind it is not run by the collector
    of garbage."""
    tasks = Tasks(serve)
    client = await tasks.connect()
    client.send(call("Hold", "h"), call("Quick", "behind"))
    await tasks.harness.clock.settle()
    held = tasks.tasks["h"]
    assert held is not None
    coroutine: Any = held.get_coro()
    coroutine.close()
    assert tasks.journal == []
    assert caplog.text == ""
    tasks.gate.set()
    held.cancel()
    await asyncio.wait({held})
    assert held.cancelled() or held.exception() is not None
