"""Streams from the client: items, ends, backpressure, and ignored messages (section U)."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
import pytest

from protocol import Hub, HubException, HubOptions, hub_method
from protocol.aio.transport import TransportLimits
from protocol.testing import LoopClock
from tests.support.hub_messages import PING, call, completion, failure, result
from tests.support.server_harness import MakeServer, ServerHarness

from .endings import EndOfConnection, close, finish, leave, shut_down


def upload_call(target: str, *arguments: Any, id: str | None = "1", streams: str = "s") -> Any:
    """A call with the streams of these one-letter ids."""
    return call(target, *arguments, id=id, streamIds=list(streams))


def item(value: Any, stream: str = "s") -> dict[str, Any]:
    return {"type": 2, "invocationId": stream, "item": value}


def end(stream: str = "s", **error: str) -> dict[str, Any]:
    return completion(stream, **error)


class Point(msgspec.Struct):
    x: int


class Service:
    pass


class UploadHub(Hub):
    world: "World"

    @hub_method
    async def add_up(self, numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])

    @hub_method
    async def mix(
        self,
        first: str,
        numbers: AsyncIterator[int],
        second: str,
        service: Service,
        words: Annotated[AsyncIterable[str], "words"],
        third: str = "default",
    ) -> list[Any]:
        assert isinstance(service, Service)
        return [
            first,
            [number async for number in numbers],
            second,
            [word async for word in words],
            third,
        ]

    @hub_method
    async def points(self, points: AsyncIterator[Point]) -> int:
        return sum([point.x async for point in points])

    @hub_method
    async def anything(self, values: AsyncIterator) -> list[Any]:  # type: ignore[type-arg]
        return [value async for value in values]

    @hub_method
    async def watch(self, numbers: AsyncIterator[int]) -> str:
        try:
            async for number in numbers:
                self.world.seen.append(number)
        except Exception as error:
            name = getattr(error, "exception_name", type(error).__name__)
            self.world.seen.append(f"{name}: {error}")
            return f"{name}: {error}"
        self.world.seen.append("end")
        return "end"

    @hub_method
    async def take_one(self, numbers: AsyncIterator[int]) -> int:
        return await anext(numbers)

    @hub_method
    async def take_when_open(self, numbers: AsyncIterator[int]) -> list[int]:
        """Takes one item each time that the test opens the gate."""
        taken = []
        while True:
            await self.world.gate.get()
            try:
                taken.append(await anext(numbers))
            except StopAsyncIteration:
                return taken

    @hub_method
    async def keep(self, numbers: AsyncIterator[int]) -> None:
        self.world.kept.append(numbers)

    @hub_method
    async def fail(self, numbers: AsyncIterator[int]) -> None:
        raise HubException("no")

    @hub_method
    async def double(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        try:
            async for number in numbers:
                yield number * 2
        finally:
            self.world.seen.append("closed")

    @hub_method
    async def wait(self) -> None:
        await self.world.gate.get()

    @hub_method
    def add(self, left: int, right: int) -> int:
        return left + right


class World:
    """A server of UploadHub, and what its methods do."""

    def __init__(self, serve: MakeServer, limits: TransportLimits | None = None, **options: Any):
        self.gate: asyncio.Queue[None] = asyncio.Queue()
        self.seen: list[Any] = []
        self.kept: list[AsyncIterator[int]] = []
        self.harness: ServerHarness = serve(
            UploadHub,
            HubOptions(services={Service: Service}, **options),
            hub_factory=self._make,
            limits=limits,
        )

    def _make(self) -> UploadHub:
        hub = UploadHub()
        hub.world = self
        return hub

    def open(self, times: int = 1) -> None:
        for _ in range(times):
            self.gate.put_nowait(None)


# ---- items


async def test_items_and_the_end(serve: MakeServer) -> None:
    """U-1, U-3"""
    client = await World(serve).harness.connect()
    assert await client.ask(upload_call("AddUp"), item(1), item(2)) == []
    assert await client.ask(item(3), end()) == [result(6)]


async def test_an_empty_stream(serve: MakeServer) -> None:
    """U-3"""
    client = await World(serve).harness.connect()
    assert await client.ask(upload_call("AddUp"), end()) == [result(0)]


async def test_several_streams_between_arguments(serve: MakeServer) -> None:
    """U-1, S-2: each parameter gets its own; services and default values are filled in."""
    client = await World(serve).harness.connect()
    messages = item("x", "t"), item(1), item("y", "t"), item(2), end("t"), end()
    assert await client.ask(upload_call("Mix", "a", "b", streams="st"), *messages) == [
        result(["a", [1, 2], "b", ["x", "y"], "default"])
    ]
    assert await client.ask(upload_call("Mix", "a", "b", "c", streams="st"), *messages) == [
        result(["a", [1, 2], "b", ["x", "y"], "c"])
    ]


async def test_items_are_bound_to_the_annotated_type(serve: MakeServer) -> None:
    """U-1, J-14"""
    client = await World(serve).harness.connect()
    assert await client.ask(upload_call("Points"), item({"x": 1}), item({"X": 2}), end()) == [
        result(3)
    ]
    assert await client.ask(upload_call("Anything"), item({"x": 1}), item(None), end()) == [
        result([{"x": 1}, None])
    ]


async def test_a_call_without_an_id(serve: MakeServer) -> None:
    """U-2"""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask(upload_call("Watch", id=None), item(1), end()) == []
    assert world.seen == [1, "end"]


async def test_both_directions(serve: MakeServer) -> None:
    """U-9: the two may have the same id."""
    world = World(serve)
    client = await world.harness.connect()
    assert await client.ask({**upload_call("Double", id="s"), "type": 4}) == []
    assert await client.ask(item(1)) == [item(2)]
    assert await client.ask(item(2), end()) == [item(4), completion("s")]
    assert world.seen == ["closed"]


async def test_both_directions_are_cancelled(serve: MakeServer) -> None:
    """U-9, S-27: later items are ignored."""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask({**upload_call("Double"), "type": 4}, item(1))
    assert await client.ask({"type": 5, "invocationId": "1"}) == [completion()]
    assert await client.ask(item(2), end(), call("Add", 1, 1)) == [result(2)]
    assert world.seen == ["closed"]


async def test_uploads_take_no_slot(serve: MakeServer) -> None:
    """P-3"""
    client = await World(serve).harness.connect()
    assert await client.ask(call("Wait"), upload_call("AddUp", id="2"), item(1), end()) == [
        result(1, "2")
    ]


# ---- errors


@pytest.mark.parametrize("text", ["The source failed.", ""])
async def test_an_error_of_the_client(serve: MakeServer, text: str) -> None:
    """U-4: also an empty one; the items before it are delivered."""
    world = World(serve)
    client = await world.harness.connect()
    seen = f"HubException: {text}"
    assert await client.ask(upload_call("Watch"), item(1), end(error=text)) == [result(seen)]
    assert world.seen == [1, seen]
    assert await client.ask(upload_call("AddUp"), end(error=text)) == [
        failure(f"An unexpected error occurred invoking 'AddUp' on the server. {seen}")
    ]


@pytest.mark.parametrize("detailed", [False, True])
@pytest.mark.parametrize(
    "bad", [item("x"), item(None), '{"type":2,"invocationId":"s","item":"\\ud800"}']
)
async def test_an_item_that_does_not_fit(serve: MakeServer, detailed: bool, bad: Any) -> None:
    """U-7: it ends the stream; what follows is ignored."""
    world = World(serve, enable_detailed_errors=detailed)
    client = await world.harness.connect()
    (answer,) = await client.ask(upload_call("Watch"), item(1), bad, item(2), end())
    text = "HubException: Failed to bind Stream message."
    assert answer["result"].startswith(f"{text} " if detailed else text)
    assert (answer["result"] == text) is not detailed
    assert world.seen[0] == 1
    assert len(world.seen) == 2
    assert await client.ask(call("Add", 1, 1)) == [result(2)]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        pytest.param(
            call("AddUp"),
            "An unexpected error occurred invoking 'AddUp' on the server."
            " HubException: Client sent 0 stream(s), Hub method expects 1.",
            id="none",
        ),
        pytest.param(
            upload_call("AddUp", streams="st"),
            "An unexpected error occurred invoking 'AddUp' on the server."
            " HubException: Client sent 2 stream(s), Hub method expects 1.",
            id="two",
        ),
        pytest.param(
            upload_call("Mix", "a", "b"),
            "An unexpected error occurred invoking 'Mix' on the server."
            " HubException: Client sent 1 stream(s), Hub method expects 2.",
            id="one of two",
        ),
        pytest.param(
            upload_call("Mix", "a", "b", streams="ss"),
            "An unexpected error occurred invoking 'Mix' on the server."
            " HubException: Stream ID 's' is already in use.",
            id="one twice",
        ),
        pytest.param(
            upload_call("AddUp", 1),
            "Failed to invoke 'AddUp' due to an error on the server.",
            id="arguments",
        ),
        pytest.param(
            {**upload_call("AddUp"), "type": 4},
            "The client attempted to invoke the non-streaming 'AddUp' method with a streaming "
            "invocation.",
            id="S-11",
        ),
    ],
)
async def test_refused_calls(serve: MakeServer, message: Any, text: str) -> None:
    """S-5, S-11, S-12, U-1: their items are ignored, and their stream ids are free."""
    client = await World(serve).harness.connect()
    assert await client.ask(message) == [failure(text)]
    assert await client.ask(item(1), end(), upload_call("AddUp"), item(2), end()) == [result(2)]


async def test_a_stream_id_that_is_in_use(serve: MakeServer) -> None:
    """U-1: the second call fails, the first one goes on."""
    client = await World(serve).harness.connect()
    await client.ask(upload_call("AddUp"), item(1))
    assert await client.ask(upload_call("AddUp", id="2"), item(2)) == [
        failure(
            "An unexpected error occurred invoking 'AddUp' on the server."
            " HubException: Stream ID 's' is already in use.",
            "2",
        )
    ]
    assert await client.ask(item(3), end()) == [result(6)]


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("TakeOne", result(1)),
        (
            "Fail",
            failure("An unexpected error occurred invoking 'Fail' on the server. HubException: no"),
        ),
    ],
)
async def test_a_method_that_does_not_read_to_the_end(
    serve: MakeServer, target: str, answer: Any
) -> None:
    """U-6: what follows is ignored, and the id is free."""
    client = await World(serve).harness.connect()
    assert await client.ask(upload_call(target), item(1)) == [answer]
    assert await client.ask(*(item(number) for number in range(30)), end()) == []
    assert await client.ask(upload_call("AddUp"), item(5), end()) == [result(5)]


async def test_a_stream_that_a_method_keeps_has_ended(serve: MakeServer) -> None:
    """U-6"""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(upload_call("Keep"), item(1))
    assert [number async for number in world.kept[0]] == []


async def test_messages_after_the_end_of_a_stream(serve: MakeServer) -> None:
    """U-3, S-25"""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(upload_call("TakeWhenOpen"), item(1), end(), item(2), end(error="x"))
    world.open(2)
    assert await client.take() == [result([1])]


# ---- the end of the connection


@pytest.mark.parametrize("leaving", [leave, finish, close, shut_down])
async def test_the_end_of_the_connection(serve: MakeServer, leaving: EndOfConnection) -> None:
    """U-8: the method gets the items before it, then an error; nothing is left."""
    world = World(serve)
    client = await world.harness.connect()
    await client.ask(upload_call("Watch"), item(1))
    client.send(item(2))
    await leaving(client, world.harness)
    await client.take()
    text = "OperationCanceledException: The underlying connection was closed."
    assert world.seen in ([1, 2, text], [1, text])  # bytes may be lost when a client disappears
    assert client.connection.ended.done()


async def test_the_end_of_a_connection_whose_stream_is_full(serve: MakeServer) -> None:
    """U-5, U-8: all items that were received are delivered before the error."""
    world = World(serve, stream_buffer_capacity=2)
    client = await world.harness.connect()
    await client.ask(upload_call("TakeWhenOpen"), *(item(number) for number in range(5)))
    client.transport.finish()
    await client.take()
    assert not client.connection.closed.done()
    world.open(5)
    await client.take()
    assert client.connection.closed.done()
    world.open()
    await client.take()
    assert client.connection.ended.done()


# ---- backpressure


async def test_ten_items_wait_and_the_next_one_stops_the_connection(serve: MakeServer) -> None:
    """U-5: nothing behind the eleventh is handled before the method has taken one."""
    world = World(serve)
    client, other = await world.harness.connect(), await world.harness.connect()
    await client.ask(upload_call("TakeWhenOpen"), *(item(number) for number in range(10)))
    assert await client.ask(call("Add", 1, 1, id="2")) == [result(2, "2")]
    assert await client.ask(item(10), call("Add", 1, 1, id="3")) == []
    assert await other.ask(call("Add", 1, 1)) == [result(2)]
    world.open()
    assert await client.take() == [result(2, "3")]
    client.send(end())
    world.open(11)
    assert await client.take() == [result(list(range(11)))]


async def test_the_capacity_is_an_option(serve: MakeServer) -> None:
    """U-5"""
    world = World(serve, stream_buffer_capacity=1)
    client = await world.harness.connect()
    await client.ask(upload_call("TakeWhenOpen"), item(0))
    assert await client.ask(call("Add", 1, 1, id="2")) == [result(2, "2")]
    assert await client.ask(item(1), call("Add", 1, 1, id="3")) == []


@pytest.mark.parametrize(("target", "taken"), [("Fail", 0), ("TakeOne", 1)])
async def test_a_method_that_ends_makes_room(serve: MakeServer, target: str, taken: int) -> None:
    """U-5, U-6: for the messages behind its items, which are dropped."""
    client = await World(serve).harness.connect()
    answers = await client.ask(
        upload_call(target), *(item(number) for number in range(40)), call("Add", 1, 1, id="2")
    )
    assert [answer["invocationId"] for answer in answers] == ["1", "2"]


async def test_reading_pauses_while_a_stream_is_full(serve: MakeServer, clock: LoopClock) -> None:
    """TG-8: the bytes that wait are bounded."""
    limits = TransportLimits(application_max_buffer_size=1000)
    world = World(serve, limits)
    client = await world.harness.connect()
    await client.ask(upload_call("TakeWhenOpen"), *(item(number) for number in range(11)))
    for number in range(11, 200):
        client.send(item(number))
        await clock.settle()
    assert client.transport.buffered > 1000  # not read by the server
    client.send(end())
    world.open(201)
    assert await client.take() == [result(list(range(200)))]


async def test_the_client_timeout_stands_still_while_a_stream_is_full(
    serve: MakeServer, clock: LoopClock
) -> None:
    """K-3: the client's pings wait behind its items."""
    world = World(serve, keep_alive_interval=1000, client_timeout_interval=30)
    client = await world.harness.connect()
    await client.ask(
        PING, upload_call("TakeWhenOpen"), *(item(number) for number in range(11)), PING
    )
    await clock.advance(100)
    assert client.connection.connection.ending is None
    world.open()
    await client.take()
    await clock.advance(29)
    assert client.connection.connection.ending is None
    await clock.advance(2)
    assert client.connection.connection.ending is not None


async def test_items_in_any_pieces(serve: MakeServer) -> None:
    """U-1, LA-1: many items, byte by byte and in one piece, keep their order."""
    world = World(serve)
    client = await world.harness.connect()
    numbers = list(range(300))
    client.send(upload_call("Watch"), *map(item, numbers), end())
    assert await client.take() == [result("end")]
    assert world.seen == [*numbers, "end"]


# ---- definitions


async def _nothing() -> AsyncIterator[int]:
    for number in list[int]():
        yield number


NOTHING = _nothing()


def with_default() -> type[Hub]:
    class BadHub(Hub):
        @hub_method
        async def send(self, items: AsyncIterator[int] = NOTHING) -> None: ...

    return BadHub


def optional() -> type[Hub]:
    class BadHub(Hub):
        @hub_method
        async def send(self, items: AsyncIterator[int] | None) -> None: ...

    return BadHub


def unreadable() -> type[Hub]:
    class BadHub(Hub):
        @hub_method
        async def send(self, items: AsyncIterator[asyncio.Task[int]]) -> None: ...

    return BadHub


def a_generator() -> type[Hub]:
    class BadHub(Hub):
        @hub_method
        async def send(self, items: AsyncGenerator[int, None]) -> None: ...

    return BadHub


def inside() -> type[Hub]:
    class BadHub(Hub):
        @hub_method
        async def send(self, items: list[AsyncIterator[int]]) -> None: ...

    return BadHub


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (with_default, "is a stream from the client, which is always sent"),
        (optional, "is a stream from the client, which is always sent"),
        (unreadable, ".*Task"),
        (a_generator, ".*AsyncGenerator.*; a stream .* of its own, annotated AsyncIterator$"),
        (inside, ".*; a stream .* of its own, annotated AsyncIterator$"),
    ],
)
def test_definitions_that_cannot_work(
    serve: MakeServer, make: Callable[[], type[Hub]], text: str
) -> None:
    """U-1: a TypeError when the server of the class is made."""
    with pytest.raises(TypeError, match=rf"^BadHub\.Send: parameter 'items'.* ?{text}"):
        serve(make())
