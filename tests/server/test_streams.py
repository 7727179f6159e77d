"""Streams to the client: their items, their end, and that nothing is left (S-10…S-19, U-8)."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable
from typing import Any

import pytest

from protocol import Hub, HubException, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from protocol.testing import LoopClock
from tests.support.hub_messages import CLOSE, call, completion, failure, result
from tests.support.server_harness import MakeServer, ServerHarness

from .endings import EndOfConnection, break_rule, close, finish, leave, shut_down


def stream_call(target: str, *arguments: Any, id: str = "1", **more: Any) -> dict[str, Any]:
    return {**call(target, *arguments, id=id, **more), "type": 4}


def item(value: Any, id: str = "1") -> dict[str, Any]:
    return {"type": 2, "invocationId": id, "item": value}


def cancel(id: str = "1") -> dict[str, Any]:
    return {"type": 5, "invocationId": id}


async def _two() -> AsyncGenerator[int, None]:
    yield 1
    yield 2


class Numbers:
    """An async iterable that is no generator."""

    def __aiter__(self) -> AsyncIterator[int]:
        return _two()


class KindsHub(Hub):
    @hub_method
    async def generator(self) -> AsyncIterator[int]:
        yield 1
        yield 2

    @hub_method
    async def unannotated(self):  # type: ignore[no-untyped-def]  # a user may write this
        yield 1
        yield 2

    @hub_method
    def plain(self) -> AsyncIterable[int]:
        return _two()

    @hub_method
    def as_text(self) -> "AsyncIterator[int]":
        return _two()

    @hub_method
    async def coroutine(self) -> AsyncGenerator[int, None]:
        await asyncio.sleep(0)
        return _two()

    @hub_method
    def awaitable(self) -> Awaitable[AsyncIterator[int]]:
        return self.coroutine()

    @hub_method
    async def optional(self) -> AsyncIterator[int] | None:
        return _two()

    @hub_method
    def own_class(self) -> Numbers:
        return Numbers()


@pytest.mark.parametrize(
    "target",
    [
        "Generator",
        "Unannotated",
        "Plain",
        "AsText",
        "Coroutine",
        "Awaitable",
        "Optional",
        "OwnClass",
    ],
)
async def test_kinds_of_streaming_methods(serve: MakeServer, target: str) -> None:
    """S-3, S-19: items, then a Completion without a result."""
    client = await serve(KindsHub).connect()
    assert await client.ask(stream_call(target)) == [item(1), item(2), completion()]


class StreamHub(Hub):
    world: "World"

    @hub_method
    async def count(self, stop: int) -> AsyncIterator[int]:
        """Counts to ``stop``, one number each time that the test opens the gate."""
        world = self.world
        world.running += 1
        task = asyncio.current_task()
        try:
            for number in range(stop):
                await world.gate.get()
                yield number
        finally:
            await asyncio.sleep(0)  # a cleanup that waits
            assert asyncio.current_task() is task
            world.running -= 1
            world.closed += 1

    @hub_method
    async def flood(self, size: int) -> AsyncIterator[str]:
        while True:
            self.world.yielded += 1
            yield "x" * size

    @hub_method
    async def stubborn(self) -> AsyncIterator[int]:
        while True:
            try:
                await self.world.gate.get()
            except asyncio.CancelledError:
                pass
            yield 1

    @hub_method
    async def fail_first(self) -> AsyncIterator[int]:
        raise LookupError("secret")

    @hub_method
    async def fail_later(self, error: str) -> AsyncIterator[int]:
        yield 1
        raise HubException("no") if error == "hub" else LookupError("secret")

    @hub_method
    async def cancels_itself(self) -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    @hub_method
    async def fail_in_cleanup(self) -> AsyncIterator[int]:
        try:
            await self.world.gate.get()
            yield 1
        finally:
            raise LookupError("secret")

    @hub_method
    async def unwritable(self) -> AsyncIterator[object]:
        try:
            yield object()
        finally:
            self.world.closed += 1

    @hub_method
    async def abort(self) -> AsyncIterator[int]:
        try:
            yield 1
            self.context.abort()
            yield 2
        finally:
            self.world.closed += 1

    @hub_method
    async def ask(self) -> AsyncIterator[int]:
        for _ in range(2):
            yield await self.clients.caller.invoke("Number", result_type=int)

    @hub_method
    def nothing(self) -> AsyncIterator[int] | None:
        return None

    @hub_method(authorize=lambda context: context.items.get("allowed", False))
    async def secret(self) -> AsyncIterator[int]:
        yield 1

    @hub_method(authorize=True)
    def plain_secret(self) -> None: ...

    @hub_method
    async def wait(self) -> str:
        await self.world.gate.get()
        return "done"

    @hub_method
    def add(self, left: int, right: int) -> int:
        return left + right


class World:
    """A server of StreamHub, and what its streams do."""

    def __init__(self, serve: MakeServer, limits: TransportLimits | None = None, **options: Any):
        self.gate: asyncio.Queue[None] = asyncio.Queue()
        self.running = 0
        self.closed = 0
        self.yielded = 0
        self.harness: ServerHarness = serve(
            StreamHub, HubOptions(**options), hub_factory=self._make, limits=limits
        )

    def _make(self) -> StreamHub:
        hub = StreamHub()
        hub.world = self
        return hub

    def open(self, times: int = 1) -> None:
        for _ in range(times):
            self.gate.put_nowait(None)


async def test_items_are_sent_as_they_come(serve: MakeServer) -> None:
    """S-19"""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask(stream_call("Count", 2)) == []
    world.open()
    assert await client.take() == [item(0)]
    world.open()
    assert await client.take() == [item(1), completion()]
    assert world.closed == 1


@pytest.mark.parametrize(
    ("message", "items", "text", "details"),
    [
        pytest.param(
            call("Count", 1),
            [],
            "The client attempted to invoke the streaming 'Count' method with a non-streaming "
            "invocation.",
            "",
            id="S-10",
        ),
        pytest.param(
            call("Count", 1, streamIds=["s"]),
            [],
            "The client attempted to invoke the streaming 'Count' method with a non-streaming "
            "invocation.",
            "",
            id="S-10 before S-12",
        ),
        pytest.param(
            stream_call("PlainSecret"),
            [],
            "Failed to invoke 'PlainSecret' because user is unauthorized",
            "",
            id="S-9 before S-11",
        ),
        pytest.param(
            stream_call("Secret"),
            [],
            "Failed to invoke 'Secret' because user is unauthorized",
            "",
            id="S-9",
        ),
        pytest.param(
            stream_call("count", 1, streamIds=["s"]),
            [],
            "An unexpected error occurred invoking 'Count' on the server."
            " HubException: Client sent 1 stream(s), Hub method expects 0.",
            "",
            id="S-12",
        ),
        pytest.param(
            stream_call("Nothing"),
            [],
            "The value returned by the streaming method 'Nothing' is not a ChannelReader<> or "
            "IAsyncEnumerable<>.",
            "",
            id="S-14",
        ),
        pytest.param(
            stream_call("FailFirst"),
            [],
            "An unexpected error occurred invoking 'FailFirst' on the server.",
            " LookupError: secret",
            id="S-15",
        ),
        pytest.param(
            stream_call("FailLater", "other"),
            [item(1)],
            "An error occurred on the server while streaming results.",
            " LookupError: secret",
            id="S-16",
        ),
        pytest.param(
            stream_call("FailLater", "hub"),
            [item(1)],
            "An error occurred on the server while streaming results. HubException: no",
            "",
            id="S-16 HubException",
        ),
        pytest.param(
            stream_call("CancelsItself"),
            [item(1)],
            "An error occurred on the server while streaming results.",
            " CancelledError: ",
            id="S-16 a cancellation of the stream's own",
        ),
        pytest.param(
            stream_call("Unwritable"),
            [],
            "An error occurred on the server while streaming results.",
            " InvalidOperationException: A value cannot be written as JSON: object objects are not "
            "supported.",
            id="J-21",
        ),
    ],
)
@pytest.mark.parametrize("detailed", [False, True])
async def test_errors(
    serve: MakeServer, message: Any, items: list[Any], text: str, details: str, detailed: bool
) -> None:
    """S-9 … S-16: the exact error, with details only if enabled or of a HubException."""
    client = await World(serve, enable_detailed_errors=detailed).harness.connect()
    *sent, last = await client.ask(message)
    assert sent == items
    if details.startswith(" InvalidOp"):  # the reason is that of the hub protocol
        assert last["error"].startswith(text + details[:35] * detailed)
    else:
        assert last == failure(text + details * detailed)
    assert await client.ask(call("Add", 1, 1)) == [result(2)]


async def test_a_stream_that_fails_is_logged(
    serve: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    """S-16"""
    client = await World(serve).harness.connect()
    with caplog.at_level(logging.ERROR):
        await client.ask(stream_call("FailLater", "hub"), stream_call("FailLater", "x", id="2"))
    (record,) = caplog.records
    assert record.getMessage() == "Hub method 'StreamHub.FailLater' failed."


async def test_an_item_that_cannot_be_written_closes_the_generator(serve: MakeServer) -> None:
    """J-21"""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(stream_call("Unwritable"))
    assert world.closed == 1


# ---- cancellation


async def test_a_cancelled_stream_ends_without_an_error(serve: MakeServer) -> None:
    """S-27"""
    world = World(serve)
    client = await world.harness.connect()
    world.open()
    assert await client.ask(stream_call("Count", 5)) == [item(0)]
    assert await client.ask(cancel()) == [completion()]
    assert (world.running, world.closed) == (0, 1)
    world.open(5)
    assert await client.ask(cancel(), cancel("7")) == []
    assert await client.ask(stream_call("Count", 1)) == [item(0), completion()]


async def test_a_stream_that_is_cancelled_before_it_starts(serve: MakeServer) -> None:
    """S-27: the cancellation is in the same read as the call."""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask(stream_call("Count", 5), cancel()) == [completion()]
    assert (world.running, world.closed) == (0, 0)


async def test_a_second_cancellation_does_not_disturb_the_cleanup(serve: MakeServer) -> None:
    """S-27"""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(stream_call("Count", 5))
    assert await client.ask(cancel(), cancel()) == [completion()]
    assert world.closed == 1


async def test_a_generator_that_ignores_its_cancellation_is_closed(serve: MakeServer) -> None:
    """S-27"""
    client = await World(serve).harness.connect()
    await client.ask(stream_call("Stubborn"))
    assert await client.ask(cancel()) == [completion()]


async def test_a_cleanup_that_fails_after_a_cancellation(serve: MakeServer) -> None:
    """S-16, S-27"""
    client = await World(serve).harness.connect()
    await client.ask(stream_call("FailInCleanup"))
    assert await client.ask(cancel()) == [
        failure("An error occurred on the server while streaming results.")
    ]


async def test_a_stream_whose_task_is_cancelled_before_it_starts_is_answered(
    serve: MakeServer,
) -> None:
    """Code of a user may cancel all tasks at any time."""
    world = World(serve)
    client = await world.harness.connect()
    before = asyncio.all_tasks()
    client.connection.data_received(
        b'{"type":4,"invocationId":"1","target":"Count","arguments":[1]}\x1e'
    )
    (task,) = asyncio.all_tasks() - before
    task.cancel()
    (answer,) = await client.take()
    assert answer == failure("An unexpected error occurred invoking 'Count' on the server.")
    world.open()
    assert await client.ask(stream_call("Count", 1)) == [item(0), completion()]


async def test_a_stream_whose_task_is_cancelled_is_answered_once(serve: MakeServer) -> None:
    """S-17: code of a user cancels the task while its items are sent."""
    world = World(serve)
    client = await world.harness.connect()
    before = asyncio.all_tasks()
    await client.ask(stream_call("Count", 1))
    (task,) = asyncio.all_tasks() - before
    task.cancel()
    assert await client.take() == [
        failure("An error occurred on the server while streaming results.")
    ]
    assert (world.running, world.closed) == (0, 1)


# ---- the end of the connection


@pytest.mark.parametrize("end", [leave, finish, close, break_rule, shut_down])
async def test_the_end_of_the_connection_closes_its_streams(
    serve: MakeServer, clock: LoopClock, end: EndOfConnection
) -> None:
    """U-8: and nothing is sent any more."""
    world = World(serve)
    client, other = await world.harness.connect(), await world.harness.connect()
    world.open()
    assert await client.ask(stream_call("Count", 9)) == [item(0)]
    await client.ask(stream_call("Count", 9, id="2"))
    await end(client, world.harness)
    assert all(message["type"] == 7 for message in await client.take())
    assert (world.running, world.closed) == (0, 2)
    assert client.connection.ended.done()
    if end is not shut_down:
        assert await other.ask(call("Add", 1, 1)) == [result(2)]


async def test_a_stream_that_aborts_its_connection(serve: MakeServer) -> None:
    """S-26: the Close is the last message."""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask(stream_call("Abort")) == [item(1), CLOSE]
    assert world.closed == 1
    assert client.connection.ended.done()


async def test_a_stream_ends_with_its_client_while_a_call_still_waits(serve: MakeServer) -> None:
    """U-8, L-4: the client has left, and the calls that it has sent before still run."""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(stream_call("Count", 9), call("Wait", id="2"), call("Wait", id="3"))
    client.transport.finish()
    assert await client.take() == []  # a completion would mean that the stream is complete
    assert (world.running, world.closed) == (0, 1)
    assert not client.connection.closed.done()
    world.open(2)
    assert await client.has_ended()


async def test_a_stream_that_waits_when_its_client_leaves_does_not_run(serve: MakeServer) -> None:
    """U-8, P-2"""
    world = World(serve)
    client = await world.harness.connect()
    waiting = (call("Wait", id="2"), call("Wait", id="3"), stream_call("Count", 9), call("Wait"))
    await client.ask(*waiting, call("Wait"))
    client.transport.finish()
    await client.take()
    world.open(2)
    await client.take()
    assert not client.connection.closed.done()
    assert (world.running, world.closed) == (0, 0)
    world.open(2)
    assert await client.has_ended()


# ---- slots, ids and limits


async def test_streams_take_no_slot(serve: MakeServer) -> None:
    """P-3: a stream and its items pass a call that runs; one behind a waiting call waits (P-2)."""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask(call("Wait"), stream_call("Flood", 1, id="2"), cancel("2")) == [
        completion("2")
    ]
    assert await client.ask(call("Wait", id="3"), stream_call("FailLater", "hub", id="4")) == []
    world.open()
    first, *others = await client.take()
    assert first == result("done")
    assert [message["invocationId"] for message in others] == ["4", "4"]
    world.open()
    assert await client.take() == [result("done", "3")]


async def test_a_stream_asks_its_client(serve: MakeServer) -> None:
    """CR-6, P-3: it has no slot to give up."""
    client = await World(serve).harness.connect()
    assert await client.ask(stream_call("Ask")) == [call("Number", id="s1")]
    assert await client.ask(result(5, "s1")) == [item(5), call("Number", id="s2")]
    assert await client.ask(cancel()) == [completion()]
    assert await client.ask(result(6, "s2")) == []


async def test_an_id_that_is_in_use(serve: MakeServer) -> None:
    """S-13: of another stream; a plain call may have it."""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(stream_call("Count", 1))
    assert await client.ask(stream_call("Count", 1)) == [
        failure("Invocation ID '1' is already in use.")
    ]
    assert await client.ask(call("Add", 1, 2)) == [result(3)]
    world.open()
    assert await client.take() == [item(0), completion()]


async def test_more_streams_than_allowed(serve: MakeServer) -> None:
    """The limit is that of one connection, and counts only streams that have not ended."""
    world = World(serve, maximum_streams_per_connection=2)
    client, other = await world.harness.connect(), await world.harness.connect()
    await client.ask(stream_call("Count", 1), stream_call("Count", 1, id="2"))
    refusal = failure(
        "Failed to invoke 'Count' due to an error on the server."
        " HubException: The maximum of 2 streams per connection is reached.",
        "3",
    )
    assert await client.ask(stream_call("Count", 1, id="3")) == [refusal]
    assert await client.ask(cancel("2"), stream_call("Count", 1, id="3")) == [
        refusal,  # the second stream has not ended yet
        completion("2"),
    ]
    assert await client.ask(stream_call("Count", 1, id="3")) == []
    assert await other.ask(stream_call("Count", 1)) == []


async def test_a_check_that_waits_delays_only_its_stream(serve: MakeServer) -> None:
    """S-9, P-3"""
    allowed = asyncio.Event()

    async def check(context: Any) -> bool:
        await allowed.wait()
        return True

    class CheckedHub(KindsHub):
        @hub_method(authorize=check)
        async def checked(self) -> AsyncIterator[int]:
            yield 1

    client = await serve(CheckedHub).connect()
    assert await client.ask(stream_call("Checked"), stream_call("Plain", id="2")) == [
        item(1, "2"),
        item(2, "2"),
        completion("2"),
    ]
    allowed.set()
    assert await client.take() == [item(1), completion()]


# ---- backpressure


async def test_a_client_that_does_not_read_stops_its_generator_only(
    serve: MakeServer, clock: LoopClock
) -> None:
    """TG-8: the generator waits; other connections and their streams go on."""
    world = World(serve, TransportLimits(transport_max_buffer_size=1000))
    slow, quick = await world.harness.connect(), await world.harness.connect()
    slow.transport.pause_reading()
    slow.send(stream_call("Flood", 100))
    await clock.settle()
    assert 5 <= world.yielded <= 15
    assert await quick.ask(call("Add", 1, 1)) == [result(2)]
    before = world.yielded
    slow.transport.resume_reading()
    for _ in range(5):
        await asyncio.sleep(0)
    assert world.yielded > before
    assert completion() in await slow.ask(cancel())


async def test_many_streams_share_the_buffer_of_a_client_that_does_not_read(
    serve: MakeServer, clock: LoopClock
) -> None:
    """TG-8, TG-9: together they do not fill it, so that the client would be cut off."""
    world = World(
        serve,
        TransportLimits(transport_max_buffer_size=1000),
        maximum_outbound_buffer_size=3000,
    )
    client = await world.harness.connect()
    client.transport.pause_reading()
    client.send(*(stream_call("Flood", 900, id=str(number)) for number in range(50)))
    await clock.settle()
    assert client.transport.peer.ended is None
    client.transport.resume_reading()
    answers = await client.ask(*(cancel(str(number)) for number in range(50)))
    ended = [message["invocationId"] for message in answers if message["type"] == 3]
    assert sorted(ended, key=int) == [str(number) for number in range(50)]


async def test_a_client_that_never_reads_is_cut_off(serve: MakeServer, clock: LoopClock) -> None:
    """TG-9: a stream waits for at most ``transport_send_timeout``."""
    limits = TransportLimits(transport_max_buffer_size=1000, transport_send_timeout=10)
    world = World(serve, limits)
    client = await world.harness.connect()
    client.transport.pause_reading()
    client.send(stream_call("Flood", 900))
    await clock.advance(9)
    assert client.transport.peer.ended is None
    await clock.advance(2)
    assert client.transport.peer.ended == "aborted"
