"""Async iterables as arguments: messages, ends, errors and backpressure (U-1 to U-3, U-6, U-9)."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol import (
    HubConnection,
    HubConnectionState,
    HubException,
    LocalProtocolError,
    MessagePackHubProtocol,
    NotConnectedError,
)
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import (
    CLOSE,
    call,
    cancel,
    completion,
    event,
    failure,
    item,
    result,
    stream_call,
)

KIB = 1024
MIB = 1024 * KIB
CANCELLED = "Stream canceled by client."


class Source:
    """An async generator that the test advances; records how it ended."""

    def __init__(self) -> None:
        self.next: asyncio.Queue[Any] = asyncio.Queue()
        self.ended: list[str] = []

    async def items(self) -> AsyncIterator[Any]:
        task = asyncio.current_task()
        try:
            while True:
                value = await self.next.get()
                if isinstance(value, BaseException):
                    raise value
                yield value
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        finally:
            assert asyncio.current_task() is task, "closed in another task"


async def numbers(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


# ---- messages


async def test_invoke(harness: ClientHarness) -> None:
    """U-1, U-2: the stream's id precedes that of the call; other arguments keep their order."""
    connection = await harness.started()
    calling = asyncio.create_task(connection.invoke("Up", 7, numbers(1, "two", None), "x"))
    assert await harness.server.take() == [
        call("Up", 7, "x", id="2", streamIds=["1"]),
        item(1, "1"),
        item("two", "1"),
        item(None, "1"),
        completion("1"),
    ]
    harness.server.send(result(3, "2"))
    assert await calling == 3
    assert await harness.server.take() == []


async def test_send(harness: ClientHarness) -> None:
    """U-2: a call without an id; ``send`` returns before the items are sent."""
    connection = await harness.started()
    source = Source()
    await connection.send("Up", source.items())
    source.next.put_nowait(1)
    assert await harness.server.take() == [event("Up", streamIds=["1"]), item(1, "1")]
    assert await harness.server.take() == []
    source.next.put_nowait(2)
    assert await harness.server.take() == [item(2, "1")]
    await connection.stop()
    assert source.ended == ["CancelledError"]


async def test_several(harness: ClientHarness) -> None:
    """U-1, U-9: at once, each with its own id, also beside a stream from the hub."""
    connection = await harness.started()
    sources = [Source(), Source()]
    stream = connection.stream("Both", sources[0].items(), 5, sources[1].items())
    first = asyncio.create_task(anext(stream))
    assert await harness.server.take() == [stream_call("Both", 5, id="3", streamIds=["1", "2"])]
    sources[1].next.put_nowait("b")
    assert await harness.server.take() == [item("b", "2")]
    sources[0].next.put_nowait("a")
    harness.server.send(item("c", "3"))
    assert await harness.server.take() == [item("a", "1")]
    assert await first == "c"
    for source in sources:
        source.next.put_nowait(StopAsyncIteration())
    harness.server.send(completion("3"))
    assert [value async for value in stream] == []


class Countdown:
    """An async iterable that is no generator."""

    def __init__(self, start: int) -> None:
        self._left = start

    def __aiter__(self) -> "Countdown":
        return self

    async def __anext__(self) -> int:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return self._left


async def test_iterables_of_other_kinds(harness: ClientHarness) -> None:
    """Any object with ``__aiter__``, a stream of the hub among them."""
    connection = await harness.started()
    await connection.send("Up", Countdown(2))
    assert await harness.server.take() == [
        event("Up", streamIds=["1"]),
        item(1, "1"),
        item(0, "1"),
        completion("1"),
    ]
    await connection.send("Up", connection.stream("Down"))
    assert await harness.server.take() == [
        event("Up", streamIds=["2"]),
        stream_call("Down", id="3"),
    ]
    harness.server.send(item("x", "3"), completion("3"))
    assert await harness.server.take() == [item("x", "2"), completion("2")]


async def test_messagepack(harness: ClientHarness) -> None:
    """M-4."""
    connection = harness.connection(hub_protocol=MessagePackHubProtocol())
    await connection.start()
    await harness.server.arrived()
    await connection.send("Up", numbers(1))
    assert await harness.server.arrived() == bytes.fromhex(
        "0b 96 01 80 c0 a2 55 70 90 91 a1 31  06 94 02 80 a1 31 01  06 94 03 80 a1 31 02"
    )


# ---- errors


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (LookupError("broken source"), "Stream errored by client: 'LookupError: broken source'"),
        (asyncio.CancelledError(), CANCELLED),
    ],
)
@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_a_source_that_fails(
    harness: ClientHarness,
    caplog: pytest.LogCaptureFixture,
    method: str,
    error: BaseException,
    text: str,
) -> None:
    """U-3: the stream ends with an error; the call goes on, and the failure is logged."""
    connection = await harness.started()
    source = Source()
    calling = asyncio.create_task(getattr(connection, method)("Up", source.items()))
    source.next.put_nowait(1)
    source.next.put_nowait(error)
    assert (await harness.server.take())[1:] == [item(1, "1"), failure(text, "1")]
    assert [record.getMessage() for record in caplog.records] == (
        ["A stream that is sent to 'Up' failed."] if isinstance(error, LookupError) else []
    )
    if method == "invoke":
        harness.server.send(failure("no good", "2"))
        with pytest.raises(HubException, match="no good"):
            await calling


async def test_an_item_that_cannot_be_written(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """J-21, U-3: it fails its stream, whose source is closed."""
    connection = await harness.started()
    source = Source()
    await connection.send("Up", source.items())
    for value in (1, object()):
        source.next.put_nowait(value)
    _, first, end = await harness.server.take()
    assert (first, end["invocationId"]) == (item(1, "1"), "1")
    assert end["error"].startswith("Stream errored by client: 'LocalProtocolError: ")
    assert source.ended == ["GeneratorExit"]
    assert connection.state is HubConnectionState.CONNECTED


@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_a_call_that_cannot_be_written(harness: ClientHarness, method: str) -> None:
    """J-21: nothing is sent; the source is not begun."""
    connection = await harness.started()
    source = Source()
    with pytest.raises(LocalProtocolError):
        await getattr(connection, method)("Up", source.items(), object())
    assert await harness.server.take() == []
    assert source.ended == []


# ---- the end of the call


@pytest.mark.parametrize("outcome", [{"result": 1}, {"error": "no"}])
async def test_the_hub_answers_first(harness: ClientHarness, outcome: dict[str, Any]) -> None:
    """U-6: the source is closed before ``invoke`` returns."""
    connection = await harness.started()
    source = Source()
    calling = asyncio.create_task(connection.invoke("Up", source.items()))
    source.next.put_nowait(1)
    await harness.server.take()
    harness.server.send(completion("2", **outcome))
    with contextlib.suppress(HubException):
        assert await calling == 1
    assert source.ended == ["CancelledError"]
    assert await harness.server.take() == [failure(CANCELLED, "1")]


@pytest.mark.parametrize("outcome", [{}, {"error": "no"}])
async def test_the_hub_ends_its_stream_first(
    harness: ClientHarness, outcome: dict[str, Any]
) -> None:
    """U-6, U-9: at once, although items wait to be taken."""
    connection = await harness.started()
    source = Source()
    stream = connection.stream("Both", source.items())
    first = asyncio.create_task(anext(stream))
    await harness.server.take()
    harness.server.send(item(1, "2"), item(2, "2"), completion("2", **outcome))
    assert await harness.server.take() == [failure(CANCELLED, "1")]
    assert source.ended == ["CancelledError"]
    assert await first == 1
    assert await anext(stream) == 2


async def cancelled_invoke(connection: HubConnection, source: Source) -> None:
    async with asyncio.timeout(1):
        await connection.invoke("Up", source.items())


async def closed_stream(connection: HubConnection, source: Source) -> None:
    async with (
        asyncio.timeout(1),
        contextlib.aclosing(connection.stream("Up", source.items())) as stream,
    ):
        await anext(stream)


async def forgotten_stream(connection: HubConnection, source: Source) -> None:
    async with asyncio.timeout(1):
        async for _ in connection.stream("Up", source.items()):
            break


@pytest.mark.parametrize("leave", [cancelled_invoke, closed_stream, forgotten_stream])
async def test_the_caller_leaves(harness: ClientHarness, leave: Any) -> None:
    """U-3, C-8: the call is cancelled, and so is its upload; the source is closed."""
    connection = await harness.started(keep_alive_interval=1000)
    source = Source()
    calling = asyncio.create_task(leave(connection, source))
    await harness.clock.settle()
    if leave is forgotten_stream:
        harness.server.send(item(1, "2"))
    await harness.clock.advance(1)
    await asyncio.wait({calling})
    await harness.clock.settle()
    sent = await harness.server.take()
    assert sent[0]["streamIds"] == ["1"]
    assert sorted(sent[1:], key=repr) == [failure(CANCELLED, "1"), cancel("2")]
    assert source.ended == ["CancelledError"]
    await connection.stop()
    await harness.clock.settle()
    assert harness.clock.leftovers() == []


async def test_a_stream_that_is_closed_at_once(harness: ClientHarness) -> None:
    """U-3: an upload that has not begun ends on the wire, too."""
    connection = await harness.started()
    source = Source()
    stream = connection.stream("Both", source.items())
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    await stream.aclose()
    assert source.ended == []
    with pytest.raises(StopAsyncIteration):
        await first
    sent = await harness.server.take()
    assert sorted(sent[1:], key=repr) == [failure(CANCELLED, "1"), cancel("2")]


async def test_a_source_that_ends_slowly(harness: ClientHarness) -> None:
    """``invoke`` waits for it, for some seconds."""
    connection = await harness.started(server_timeout=1000)
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[int]:
        try:
            await asyncio.Event().wait()
            yield 1
        finally:
            await gate.wait()

    calls = [asyncio.create_task(connection.invoke("Up", slow())) for _ in range(2)]
    await harness.clock.settle()
    harness.server.send(result(1, "2"))
    await harness.clock.advance(4)
    assert not calls[0].done()
    await harness.clock.advance(2)
    assert await calls[0] == 1
    harness.server.send(result(2, "4"))
    await harness.clock.settle()
    gate.set()
    assert await calls[1] == 2


# ---- the end of the connection


@pytest.mark.parametrize("how", ["stop", "vanish", "close"])
@pytest.mark.parametrize("method", ["invoke", "send"])
async def test_the_connection_ends(harness: ClientHarness, method: str, how: str) -> None:
    """C-17, R-3: sources are closed, and nothing follows the end."""
    connection = await harness.started()
    source = Source()
    calling = asyncio.create_task(getattr(connection, method)("Up", source.items()))
    source.next.put_nowait(1)
    await harness.server.take()
    if how == "stop":
        await connection.stop()
    elif how == "close":
        harness.server.send(CLOSE)
    else:
        harness.server.vanish()
    await harness.clock.settle()
    assert source.ended == ["CancelledError"]
    assert await harness.server.take() == [CLOSE] * (how == "stop")
    await asyncio.wait({calling})
    calling.exception()
    assert harness.clock.leftovers() == []


async def test_a_source_that_stops_the_connection(harness: ClientHarness) -> None:
    """``stop`` does not wait for its caller."""
    connection = await harness.started()
    stopped = asyncio.Event()

    async def items() -> AsyncIterator[int]:
        yield 1
        with contextlib.suppress(asyncio.CancelledError):
            await connection.stop()
        stopped.set()

    await connection.send("Up", items())
    await harness.clock.advance(1)
    assert stopped.is_set()
    assert connection.state is HubConnectionState.DISCONNECTED


async def test_no_connection(harness: ClientHarness) -> None:
    with pytest.raises(NotConnectedError):
        await harness.connection().invoke("Up", numbers(1))


# ---- backpressure


async def test_a_server_that_does_not_read(harness: ClientHarness) -> None:
    """U-5: at most 128 KiB of items are written ahead; the order is kept, and none is lost."""
    connection = await harness.started()
    asked: list[int] = []

    async def items() -> AsyncIterator[Any]:
        for number in range(100):
            asked.append(number)
            yield number, "x" * 16 * KIB

    harness.server.transport.pause_reading()
    await connection.send("Up", items())
    await harness.clock.settle()
    assert 8 <= len(asked) <= 10
    assert harness.near_ends[0].buffered < 160 * KIB
    calling = asyncio.create_task(connection.invoke("Ask"))  # is not blocked by the upload
    await harness.clock.settle()
    harness.server.transport.resume_reading()
    sent = await harness.server.take()
    assert [it["item"][0] for it in sent if it["type"] == 2] == list(range(100))
    assert call("Ask", id="2") in sent[:10]
    harness.server.send(result(1, "2"))
    assert await calling == 1


async def test_a_source_that_never_waits(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Other tasks run meanwhile, and it ends with its call."""
    caplog.set_level(logging.ERROR)
    connection = await harness.started()
    turns = 0

    async def endless() -> AsyncIterator[int]:
        while turns < 100:
            yield 1

    calling = asyncio.create_task(connection.invoke("Up", endless()))
    while turns < 50:
        await asyncio.sleep(0)
        turns += 1
    harness.server.send(result(1, "2"))
    assert await calling == 1
    assert turns == 50
    assert caplog.records == []
