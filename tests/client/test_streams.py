"""stream: the messages, the items, every way to end, and backpressure (U-10, C-6 to C-11, C-21)."""

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from protocol import (
    ConnectionClosed,
    HubConnection,
    HubConnectionState,
    HubException,
    HubStream,
    LocalProtocolError,
    MessagePackHubProtocol,
    NotConnectedError,
    StreamOverflowError,
)
from protocol.testing import LoopClock
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import (
    call,
    cancel,
    completion,
    event,
    failure,
    item,
    stream_call,
)

KIB = 1024
MIB = 1024 * KIB


class Point(msgspec.Struct):
    x: int
    y: int = 0


async def collected(stream: HubStream[Any]) -> list[Any]:
    return [value async for value in stream]


async def taken(harness: ClientHarness, stream: HubStream[Any], *records: Any) -> list[Any]:
    """The items that a loop takes after the hub has sent ``records``."""
    taking = asyncio.create_task(collected(stream))
    await harness.clock.settle()
    harness.server.send(*records)
    return await taking


# ---- messages and items


async def test_a_stream(harness: ClientHarness) -> None:
    """C-6, C-7: type 4 with an id of the same counter; the call is sent when iteration begins."""
    connection = await harness.started()
    streams = [connection.stream("Counter", n) for n in range(2)]
    assert await harness.server.take() == []
    taking = [asyncio.create_task(collected(stream)) for stream in streams]
    asking = asyncio.create_task(connection.invoke("Ask"))
    assert await harness.server.take() == [
        stream_call("Counter", 0, id="1"),
        stream_call("Counter", 1, id="2"),
        call("Ask", id="3"),
    ]
    harness.server.send(item("a", "2"), item("b", "1"), item("c", "2"), completion("2"))
    harness.server.send(completion("3", result=7), item("d", "1"), completion("1"))
    assert await asyncio.gather(*taking, asking) == [["b", "d"], ["a", "c"], 7]
    assert await harness.server.take() == []


@pytest.mark.parametrize(
    ("item_type", "value", "expected"),
    [
        pytest.param(Any, {"A": [1, None]}, {"A": [1, None]}, id="any"),
        pytest.param(float, 3, 3.0, id="float"),
        pytest.param(Point, {"X": 1}, Point(1), id="struct"),
        pytest.param(int | None, None, None, id="optional"),
        pytest.param(Raw, {"A_b": 1}, Raw(b'{"A_b": 1}'), id="raw"),
    ],
)
async def test_items(harness: ClientHarness, item_type: Any, value: Any, expected: Any) -> None:
    """Items are converted to ``item_type``."""
    connection = await harness.started()
    stream = connection.stream("X", item_type=item_type)
    (got,) = await taken(harness, stream, item(value), completion())
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    "outcome", [{}, {"result": None}, {"error": ""}], ids=["void", "null", "empty error"]
)
async def test_the_end(harness: ClientHarness, outcome: dict[str, Any]) -> None:
    """C-9, C-25: the iteration ends, and stays ended."""
    connection = await harness.started()
    stream = connection.stream("X")
    assert await taken(harness, stream, item(1), completion(**outcome)) == [1]
    assert await collected(stream) == []
    await stream.aclose()
    assert await harness.server.take() == [stream_call("X")]


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        ({"error": "Ünchanged 'text'"}, "Ünchanged 'text'"),
        (
            {"result": 9},
            "Server provided a result in a completion response to a streamed invocation.",
        ),
    ],
)
async def test_errors_of_the_hub(
    harness: ClientHarness, outcome: dict[str, Any], text: str
) -> None:
    """C-9: the items before the error are taken; the error is raised once."""
    connection = await harness.started()
    stream = connection.stream("X")
    got: list[Any] = []

    async def take() -> None:
        got.extend([await anext(stream), await anext(stream)])
        await anext(stream)

    taking = asyncio.create_task(take())
    await harness.clock.settle()
    harness.server.send(item(1), item(2), completion(**outcome))
    with pytest.raises(HubException) as caught:
        await taking
    assert (got, str(caught.value)) == ([1, 2], text)
    assert await collected(stream) == []
    assert await harness.server.take() == [stream_call("X")]


async def test_items_that_do_not_fit(harness: ClientHarness) -> None:
    """C-11: the item raises in its place, and the rest of the stream is cancelled."""
    connection = await harness.started()
    stream = connection.stream("X", item_type=int)
    taking = asyncio.create_task(collected(stream))
    await harness.server.take()
    harness.server.send(item(1), item("x"), item(3))
    with pytest.raises(HubException, match="Error trying to deserialize item to int"):
        await taking
    assert await harness.server.take() == [cancel()]
    harness.server.send(item(4), completion())
    assert await collected(stream) == []
    assert connection.state is HubConnectionState.CONNECTED


async def test_an_item_that_cannot_be_read(harness: ClientHarness) -> None:
    """J-8: it fails its stream, not the connection."""
    connection = await harness.started()
    taking = asyncio.create_task(collected(connection.stream("X", item_type=int)))
    await harness.server.take()
    harness.server.send('{"type":2,"invocationId":"1","item":[}')
    with pytest.raises(HubException, match="Error trying to deserialize item to int"):
        await taking
    assert await harness.server.take() == [cancel()]
    assert connection.state is HubConnectionState.CONNECTED


async def test_a_stream_in_messagepack(harness: ClientHarness) -> None:
    """M-4, M-7."""
    connection = harness.connection(hub_protocol=MessagePackHubProtocol())
    await connection.start()
    await harness.server.arrived()
    taking = asyncio.create_task(collected(connection.stream("X", 3, item_type=int)))
    assert await harness.server.arrived() == bytes.fromhex("0a 96 04 80 a1 31 a1 58 91 03 90")
    harness.server.send_bytes(
        bytes.fromhex("06 94 02 80 a1 31 01  06 94 02 80 a1 31 02  06 94 03 80 a1 31 02")
    )
    assert await taking == [1, 2]


# ---- before the first item


async def test_calls_that_cannot_be_made(harness: ClientHarness) -> None:
    """C-20: raised by ``stream`` itself; nothing is sent."""
    with pytest.raises(NotConnectedError, match="'stream' method cannot be called"):
        harness.connection().stream("X")
    connection = await harness.started()
    with pytest.raises(TypeError):
        connection.stream(5)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="empty"):
        connection.stream("")
    with pytest.raises(TypeError):
        connection.stream("X", item_type=asyncio.Event)
    assert await harness.server.take() == []


@pytest.mark.parametrize("argument", [object(), float("nan")])
async def test_arguments_that_cannot_be_written(harness: ClientHarness, argument: object) -> None:
    """J-21: the first step of the iteration raises; nothing is sent."""
    connection = await harness.started()
    stream = connection.stream("X", argument)
    with pytest.raises(LocalProtocolError):
        await anext(stream)
    assert await collected(stream) == []
    assert await harness.server.take() == []


async def test_the_connection_ends_before_the_first_item(harness: ClientHarness) -> None:
    """R-3: the call was not sent, and is not sent over a later connection."""
    connection = await harness.started()
    stream = connection.stream("X")
    await connection.stop()
    await connection.start()
    with pytest.raises(NotConnectedError):
        await anext(stream)
    assert stream_call("X") not in await harness.server.take()


async def test_a_stream_that_waits_for_room(harness: ClientHarness) -> None:
    """C-21: as a call does; one that is closed meanwhile sends nothing."""
    connection = await harness.started()
    harness.server.transport.pause_reading()
    await connection.send("X", "x" * MIB)
    streams = [connection.stream("Y"), connection.stream("Z")]
    waiting = [asyncio.create_task(collected(stream)) for stream in streams]
    await harness.clock.settle()
    await streams[0].aclose()
    harness.server.transport.resume_reading()
    assert (await harness.server.take())[1:] == [stream_call("Z")]
    harness.server.send(completion())
    assert await asyncio.gather(*waiting) == [[], []]


# ---- leaving a stream


async def leave_by_break(connection: HubConnection) -> None:
    async for _ in connection.stream("X"):
        break


async def leave_by_exception(connection: HubConnection) -> None:
    async for _ in connection.stream("X"):
        raise LookupError


async def leave_by_return(connection: HubConnection) -> None:
    async for _ in connection.stream("X"):
        return


async def leave_by_aclose(connection: HubConnection) -> None:
    async with contextlib.aclosing(connection.stream("X")) as stream:
        async for _ in stream:
            break


async def leave_by_timeout(connection: HubConnection) -> None:
    async with asyncio.timeout(1):
        async for _ in connection.stream("X"):
            pass


async def leave_in_a_generator(connection: HubConnection) -> None:
    async def doubled() -> AsyncGenerator[int, None]:
        async for value in connection.stream("X", item_type=int):
            yield value * 2

    async with contextlib.aclosing(doubled()) as values:
        async for _ in values:
            break


@pytest.mark.parametrize(
    ("leave", "error"),
    [
        (leave_by_break, None),
        (leave_by_exception, LookupError),
        (leave_by_return, None),
        (leave_by_aclose, None),
        (leave_by_timeout, TimeoutError),
        (leave_in_a_generator, None),
    ],
)
async def test_leaving_the_loop(
    harness: ClientHarness, leave: Any, error: type[Exception] | None
) -> None:
    """C-8, U-10: one CancelInvocation; what the hub still sends is dropped."""
    connection = await harness.started(keep_alive_interval=1000)
    leaving = asyncio.create_task(leave(connection))
    await harness.server.take()
    harness.server.send(item(1), item(2))
    await harness.clock.advance(1)
    assert leaving.done()
    assert await harness.server.take() == [cancel()]
    assert type(leaving.exception()) is (error or type(None))
    harness.server.send(item(3), completion())
    assert await harness.server.take() == []
    assert connection.state is HubConnectionState.CONNECTED
    await connection.stop()
    await harness.clock.settle()
    assert harness.clock.leftovers() == []


async def test_cancelling_the_task(harness: ClientHarness) -> None:
    """C-8: the cancellation of a wait for an item cancels the stream at once."""
    connection = await harness.started()
    stream = connection.stream("X")  # still referenced
    taking = asyncio.create_task(collected(stream))
    await harness.server.take()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await harness.server.take() == [cancel()]
    assert await collected(stream) == []


async def test_a_stream_that_a_variable_refers_to(harness: ClientHarness) -> None:
    """C-8: leaving its loop does not cancel it; ``aclose`` does."""
    connection = await harness.started()
    stream = connection.stream("X")
    leaving = asyncio.create_task(_first(stream))
    await harness.server.take()
    harness.server.send(item(1))
    assert await leaving == 1
    assert await harness.server.take() == []
    await stream.aclose()
    assert await harness.server.take() == [cancel()]


async def _first(stream: HubStream[Any]) -> Any:
    async for each in stream:
        return each


async def test_closing_while_another_task_waits(harness: ClientHarness) -> None:
    """The loop ends."""
    connection = await harness.started()
    stream = connection.stream("X")
    taking = asyncio.create_task(collected(stream))
    await harness.server.take()
    await stream.aclose()
    assert await taking == []
    assert await harness.server.take() == [cancel()]


async def test_a_stream_that_is_never_iterated(harness: ClientHarness) -> None:
    """Nothing is sent, whether it is closed or forgotten."""
    connection = await harness.started()
    stream = connection.stream("X")
    await stream.aclose()
    assert await collected(stream) == []
    connection.stream("X")
    assert await harness.server.take() == []


@pytest.mark.parametrize("thread", [False, True], ids=["this thread", "another thread"])
async def test_a_stream_that_is_collected_as_garbage(harness: ClientHarness, thread: bool) -> None:
    """C-8: a stream in a reference cycle is cancelled by the garbage collector, in any thread."""
    connection = await harness.started()

    class Holder:
        def __init__(self, stream: HubStream[Any]) -> None:
            self.stream = stream
            self.me = self

    holder = Holder(connection.stream("X"))
    first = asyncio.create_task(anext(holder.stream))
    await harness.server.take()
    harness.server.send(item(1))
    assert await first == 1
    gone = weakref.ref(holder)
    del holder, first
    if thread:
        collector = threading.Thread(target=gc.collect)
        collector.start()
        collector.join()
    else:
        gc.collect()
    assert gone() is None
    assert await harness.server.take() == [cancel()]


def test_a_stream_that_outlives_its_loop() -> None:
    """It is forgotten in silence."""
    streams: list[HubStream[Any]] = []

    async def leave_one() -> None:
        with LoopClock() as clock:
            harness = ClientHarness(clock)
            connection = await harness.started()
            stream = connection.stream("X")
            asking = asyncio.create_task(anext(stream))
            await harness.server.take()
            harness.server.send(item(1))
            await asking
            streams.append(stream)
            connection._keeper = None  # neither stopped nor ended

    asyncio.run(leave_one())
    streams.clear()
    gc.collect()


# ---- the end of the connection


@pytest.mark.parametrize("how", ["close", "vanish", "stop"])
async def test_the_end_of_the_connection(harness: ClientHarness, how: str) -> None:
    """R-3, C-17: items that have arrived are taken; then the iteration raises."""
    connection = await harness.started()
    stream = connection.stream("X")
    first = asyncio.create_task(anext(stream))
    await harness.server.take()
    harness.server.send(item(1), item(2))
    assert await first == 1
    await harness.clock.settle()
    if how == "stop":
        await connection.stop()
    elif how == "close":
        harness.server.send({"type": 7, "error": "boo"})
    else:
        harness.server.vanish()
    await harness.clock.settle()
    assert await anext(stream) == 2
    with pytest.raises(ConnectionClosed):
        await anext(stream)
    assert await collected(stream) == []
    await harness.clock.settle()
    assert harness.clock.leftovers() == []


async def test_closing_after_the_end(harness: ClientHarness) -> None:
    """Nothing is sent."""
    connection = await harness.started()
    stream = connection.stream("X")
    first = asyncio.create_task(anext(stream))
    await harness.server.take()
    harness.server.send(item(1))
    await first
    harness.server.vanish()
    await stream.aclose()
    await harness.clock.settle()
    assert connection.state is HubConnectionState.DISCONNECTED


# ---- backpressure


async def feed(harness: ClientHarness, count: int, *, id: str = "1", size: int = 64 * KIB) -> None:
    for number in range(count):
        harness.server.send(item([number, "x" * size], id))
        await harness.clock.settle()


async def test_reading_pauses_while_no_item_is_taken(harness: ClientHarness) -> None:
    """C-21: at 1 MiB of items; the server timeout stands still; no item is lost."""
    connection = await harness.started()
    stream = connection.stream("X", item_type=list[Any])
    first = asyncio.create_task(anext(stream))
    await harness.server.take()
    await feed(harness, 40)
    assert (await first)[0] == 0
    assert harness.near_ends[0].unread > MIB
    await harness.clock.advance(300)
    assert connection.state is HubConnectionState.CONNECTED
    harness.server.send(completion())
    assert [number async for number, _ in stream] == list(range(1, 40))
    await harness.clock.settle()
    assert harness.near_ends[0].unread == 0


async def test_closing_a_full_stream_resumes_reading(harness: ClientHarness) -> None:
    connection = await harness.started()
    stream = connection.stream("X")
    first = asyncio.create_task(anext(stream))
    await harness.server.take()
    await feed(harness, 40)
    await first
    assert harness.near_ends[0].unread > 0
    await stream.aclose()
    await harness.clock.settle()
    assert harness.near_ends[0].unread == 0
    assert await harness.server.take() == [cancel()]


async def test_leaving_a_stream_whose_items_have_all_arrived(harness: ClientHarness) -> None:
    """They do not hold up what comes next."""
    connection = await harness.started()
    heard: list[Any] = []
    connection.on("News", heard.append)

    async def leave(id: str) -> None:
        stream = connection.stream("X")
        first = asyncio.create_task(anext(stream))
        await harness.server.take()
        harness.server.send(*(item("x" * 64 * KIB, id) for _ in range(15)), completion(id))
        await first
        await harness.clock.settle()

    await leave("1")
    await leave("2")
    harness.server.send(event("News", "after"))
    await harness.clock.settle()
    assert heard == ["after"]
    assert harness.near_ends[0].unread == 0
    assert await harness.server.take() == []


async def test_a_call_in_the_loop(harness: ClientHarness) -> None:
    """The answer arrives behind more items than may wait; the loop is not blocked."""
    connection = await harness.started()
    heard: list[Any] = []

    async def take() -> None:
        async for number, _ in connection.stream("X", item_type=list[Any]):
            if number == 0:
                heard.append(await connection.invoke("Ask"))
            heard.append(number)

    taking = asyncio.create_task(take())
    await harness.server.take()
    await feed(harness, 40)
    harness.server.send(completion("2", result="answer"), completion())
    await taking
    assert heard == ["answer", *range(40)]


async def test_two_streams_in_step(harness: ClientHarness) -> None:
    """A loop that waits for one stream is not blocked by waiting items of another."""
    connection = await harness.started()
    heard: list[tuple[int, int]] = []

    async def take() -> None:
        one = connection.stream("X", item_type=list[Any])
        other = connection.stream("Y", item_type=int)
        async for number, _ in one:
            heard.append((number, await anext(other)))

    taking = asyncio.create_task(take())
    await harness.server.take()
    await feed(harness, 40, id="1")
    harness.server.send(completion("1"), *(item(number, "2") for number in range(40)))
    await taking
    assert heard == [(number, number) for number in range(40)]


async def test_a_stream_in_a_handler(harness: ClientHarness) -> None:
    """It is not blocked by events that wait for this handler."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("Start")
    async def start() -> None:
        heard.extend(await collected(connection.stream("X")))

    connection.on("News", lambda _: heard.append("news"))
    harness.server.send(event("Start"))
    await harness.server.take()
    for _ in range(40):
        harness.server.send(event("News", "x" * 64 * KIB))
        await harness.clock.settle()
    harness.server.send(item(1), completion())
    await harness.clock.settle()
    assert heard == [1, *["news"] * 40]


async def test_more_items_than_may_wait(harness: ClientHarness) -> None:
    """While a call waits, the fullest stream fails and is cancelled; all else goes on."""
    connection = await harness.started(maximum_waiting_events_size=2 * MIB)
    slow, other = connection.stream("Slow"), connection.stream("Other")
    firsts = [asyncio.create_task(anext(stream)) for stream in (slow, other)]
    asking = asyncio.create_task(connection.invoke("Ask"))
    await harness.server.take()
    await feed(harness, 32, id="1")
    await feed(harness, 2, id="2")
    await asyncio.gather(*firsts)
    assert await harness.server.take() == [cancel("1")]
    with pytest.raises(StreamOverflowError) as caught:
        await anext(slow)
    assert str(caught.value) == (
        f"More than {2 * MIB} bytes of stream items wait to be taken while a call or another "
        "stream waits for the server (with_maximum_waiting_events_size)."
    )
    assert await collected(slow) == []
    harness.server.send(item("late", "1"), failure("gone", "1"))
    harness.server.send(completion("3", result=7), completion("2"))
    assert await asking == 7
    assert [number for number, _ in await collected(other)] == [1]
    assert connection.state is HubConnectionState.CONNECTED


async def test_a_slow_stream_holds_up_other_messages_for_a_limited_time(
    harness: ClientHarness,
) -> None:
    """C-21: ``maximum_item_wait``. The stream fails, and the messages behind its items arrive."""
    connection = await harness.started(maximum_item_wait=5)
    heard: list[Any] = []
    connection.on("News", heard.append)
    stream = connection.stream("X")
    first = asyncio.create_task(anext(stream))
    await harness.server.take()
    await feed(harness, 40)
    await first
    harness.server.send(event("News", 1))
    await harness.clock.advance(4)
    assert (heard, await harness.server.take()) == ([], [])
    await harness.clock.advance(6)
    assert (heard, await harness.server.take()) == ([1], [cancel()])
    with pytest.raises(StreamOverflowError) as caught:
        await anext(stream)
    assert str(caught.value) == (
        "Items of the stream have waited to be taken for more than 5 seconds, and delay other "
        "messages (with_maximum_item_wait)."
    )
    assert await collected(stream) == []
    assert connection.state is HubConnectionState.CONNECTED


async def test_a_loop_that_takes_its_items_in_time_slows_the_hub_down(
    harness: ClientHarness,
) -> None:
    """Reading pauses again and again, for longer than an item may wait, and no item is lost."""
    connection = await harness.started(maximum_item_wait=5)
    taken: list[int] = []
    heard: list[int] = []
    connection.on("News", lambda: heard.append(len(taken)))
    stream = connection.stream("X", item_type=list[Any])
    first = asyncio.create_task(anext(stream))
    await harness.server.take()
    await feed(harness, 100)
    harness.server.send(event("News"), completion())
    taken.append((await first)[0])
    async for number, _ in stream:
        taken.append(number)
        await harness.clock.advance(0.25)
    assert taken == list(range(100))
    assert heard == [85]  # 1 MiB before the end


async def opened(harness: ClientHarness, *names: str) -> list[HubStream[Any]]:
    """Streams with ids from 1 on, of which the first items are taken."""
    connection = await harness.started(maximum_item_wait=5)
    streams = [connection.stream(name, item_type=list[Any]) for name in names]
    for number, stream in enumerate(streams):
        first = asyncio.create_task(anext(stream))
        await harness.server.take()
        await feed(harness, 1, id=str(number + 1))
        await first
    return streams


async def test_slow_streams_fail_together(harness: ClientHarness) -> None:
    """They delay other messages no longer than one of them; a stream that is not slow goes on."""
    quick, *slow = await opened(harness, "Quick", "Slow", "Slow", "Slow")
    for number in range(len(slow)):
        await feed(harness, 4, id=str(number + 2))
    await feed(harness, 40, id="1")
    for _ in range(20):  # more than five seconds
        await anext(quick)
        await harness.clock.advance(0.5)
    cancelled = await harness.server.take()
    assert sorted(each["invocationId"] for each in cancelled) == ["2", "3", "4"]
    for stream in slow:
        with pytest.raises(StreamOverflowError):
            await anext(stream)
    assert (await anext(quick))[0] == 20


async def test_slow_streams_that_hold_little_go_on(harness: ClientHarness) -> None:
    """It is not they that keep reading paused."""
    quick, slow = await opened(harness, "Quick", "Slow")
    await feed(harness, 4, id="2")
    await feed(harness, 60, id="1")
    for _ in range(40):
        await anext(quick)
        await harness.clock.advance(0.25)
    assert await harness.server.take() == []
    assert (await anext(slow))[0] == 0
