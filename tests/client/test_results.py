"""Handlers that return results to a server that asks for them (CR-2 to CR-4, CR-8)."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Never

import msgspec
import pytest

from protocol import (
    HubConnectionState,
    HubException,
    LocalProtocolError,
    MessagePackHubProtocol,
)
from protocol.client.retry import retry_delays
from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import CLOSE, PING, call, completion, event, failure, result

KIB = 1024
MIB = 1024 * KIB
NO_RESULT = "Client didn't provide a result."
UNREADABLE = "Client failed to parse argument(s)."


class Point(msgspec.Struct):
    x_axis: int


def question(target: str, *arguments: Any, id: str = "s1") -> dict[str, Any]:
    """An Invocation with an id that a server chooses (CR-1)."""
    return call(target, *arguments, id=id)


# ---- results


def plain(number: int) -> int:
    return number + 1


async def asynchronous(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


def null(number: int) -> str | None:
    return None


def structured(number: int) -> Point:
    return Point(number)


def awaitable(number: int) -> Awaitable[int]:
    return asynchronous(number)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (plain, 2),
        (asynchronous, 2),
        (null, None),
        (structured, {"xAxis": 1}),
        (awaitable, 2),
        (lambda number: number + 1, 2),
        (lambda number: asynchronous(number), 2),
    ],
)
async def test_results(
    harness: ClientHarness, handler: Callable[..., Any], expected: object
) -> None:
    """CR-2: one completion with the server's id, whatever it is."""
    connection = await harness.started()
    connection.on("Ask", handler)
    assert await harness.server.ask(question("Ask", 1, id='ü"6')) == [result(expected, 'ü"6')]


async def test_without_an_id(harness: ClientHarness) -> None:
    """CR-2: a server that asks for no result gets none."""
    connection = await harness.started()
    heard: list[int] = []

    @connection.on("Ask")
    def ask(number: int) -> int:
        heard.append(number)
        return number

    assert await harness.server.ask(event("Ask", 1), question("Ask", 2, id="")) == []
    assert heard == [1, 2]


async def test_messagepack(harness: ClientHarness) -> None:
    """M-4, CR-2."""
    connection = harness.connection(hub_protocol=MessagePackHubProtocol())
    await connection.start()
    connection.on("Ask", plain)
    await harness.server.arrived()
    harness.server.send_bytes(bytes.fromhex("0d 96 01 80 a2 73 31 a3 41 73 6b 91 01 90"))
    assert await harness.server.arrived() == bytes.fromhex("08 95 03 80 a2 73 31 03 02")


# ---- errors


def void(number: int) -> None: ...


async def asynchronous_void(number: int) -> None: ...


def awaitable_void(number: int) -> Awaitable[None]:
    return asynchronous_void(number)


def failing_void(number: int) -> None:
    raise LookupError("not for the server")


def failing(number: int) -> int:
    raise LookupError("handler broke")


async def failing_later(number: int) -> int:
    await asyncio.sleep(0)
    raise HubException("handler broke")


def failing_without_text(number: int) -> int:
    raise LookupError


def failing_at_length(number: int) -> int:
    raise LookupError("x" * 50_000)


def never(number: int) -> Never:
    raise LookupError("not for the server")


async def cancelled(number: int) -> int:
    raise asyncio.CancelledError


async def cancelling(number: int) -> int:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return 1


def unwritable(number: int) -> Any:
    return object()


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        (void, NO_RESULT),
        (asynchronous_void, NO_RESULT),
        (awaitable_void, NO_RESULT),
        (failing_void, NO_RESULT),
        (never, NO_RESULT),
        (lambda number: None, NO_RESULT),
        (failing, "handler broke"),
        (failing_later, "handler broke"),
        (lambda number: failing(number), "handler broke"),
        (failing_without_text, "LookupError"),
        (failing_at_length, "x" * 4096),
        (cancelled, "CancelledError"),
        (cancelling, "CancelledError"),
    ],
)
async def test_errors(harness: ClientHarness, handler: Callable[..., Any], error: str) -> None:
    """CR-3: no result, or the text of the exception, which is never empty."""
    connection = await harness.started()
    connection.on("Ask", handler)
    assert await harness.server.ask(question("Ask", 1)) == [failure(error, "s1")]
    connection.on("Again", plain)
    assert await harness.server.ask(question("Again", 1)) == [result(2, "s1")]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (question("Ask", "x"), UNREADABLE),
        (question("Ask"), UNREADABLE),
        (question("Nobody", 1), UNREADABLE),
        (question("Nobody"), NO_RESULT),
    ],
)
async def test_calls_that_do_not_fit(
    harness: ClientHarness, message: dict[str, Any], error: str
) -> None:
    """CR-3, C-14: no handler counts as one without parameters."""
    connection = await harness.started()
    connection.on("Ask", plain)
    assert await harness.server.ask(message) == [failure(error, "s1")]


async def test_another_error(harness: ClientHarness) -> None:
    """CR-3: a program may choose the text of the error, for example the gateway."""
    connection = await harness.started()
    connection.set_no_result_error("This client answers nothing.")
    connection.on_any(lambda *_: None)
    assert await harness.server.ask(question("Nobody", 1)) == [
        failure("This client answers nothing.", "s1")
    ]


async def test_arguments_that_are_no_array(harness: ClientHarness) -> None:
    """CR-3, M-10: in MessagePack they fail the call, not the connection."""
    connection = harness.connection(hub_protocol=MessagePackHubProtocol())
    await connection.start()
    connection.on("Ask", plain)
    await harness.server.arrived()
    harness.server.send_bytes(bytes.fromhex("0c 96 01 80 a2 73 31 a3 41 73 6b c0 90"))
    answer = await harness.server.arrived()
    assert answer.endswith(UNREADABLE.encode())
    assert connection.state is HubConnectionState.CONNECTED


async def test_a_type_that_cannot_be_made(harness: ClientHarness) -> None:
    """An exception of a user's type counts as arguments that do not fit."""

    class BreakOut(BaseException):
        """Not an Exception."""

    class Unmakeable(msgspec.Struct):
        x: int

        def __post_init__(self) -> None:
            raise BreakOut

    connection = await harness.started()

    def handler(value: Unmakeable) -> int:
        return 1

    connection.on("Ask", handler)
    assert await harness.server.ask(question("Ask", {"x": 1})) == [failure(UNREADABLE, "s1")]
    assert connection.state is HubConnectionState.CONNECTED


async def test_a_result_that_cannot_be_written(harness: ClientHarness) -> None:
    """J-21: it is answered with an error."""
    connection = await harness.started()
    connection.on("Ask", unwritable)
    (answer,) = await harness.server.ask(question("Ask", 1))
    assert answer["invocationId"] == "s1"
    assert "object" in answer["error"]


async def test_a_result_above_the_limit(harness: ClientHarness) -> None:
    """F-4."""
    connection = await harness.started(maximum_send_message_size=200)
    connection.on("Ask", lambda: "x" * 200)
    (answer,) = await harness.server.ask(question("Ask"))
    assert answer["error"].startswith("The message has ")


# ---- several handlers


async def test_a_second_handler_that_returns_a_value(harness: ClientHarness) -> None:
    """CR-4."""
    connection = harness.connection()
    connection.on("Ask", void)
    connection.on("Ask", plain)
    connection.on("Ask", void)
    with pytest.raises(LocalProtocolError) as caught:
        connection.on("Ask", asynchronous)
    assert str(caught.value) == (
        "'Ask' already has a value returning handler. Multiple return values are not supported."
    )
    connection.off("Ask", plain)
    connection.on("Ask", asynchronous)


async def test_several_handlers(harness: ClientHarness) -> None:
    """CR-4, C-13: all run in order; the declared value counts, whatever others do."""
    connection = await harness.started()
    heard: list[str] = []

    def first(number: int) -> None:
        heard.append("first")
        raise LookupError

    async def second(number: int) -> int:
        await asyncio.sleep(0)
        heard.append("second")
        return number

    def note(name: str) -> str:
        heard.append(name)
        return name

    connection.on("Ask", first)
    connection.on("Ask", second)
    connection.on("Ask", lambda number: note("third"))
    connection.on_any(lambda *_: note("any"))
    assert await harness.server.ask(question("Ask", 1)) == [result(1, "s1")]
    assert heard == ["first", "second", "third", "any"]


@pytest.mark.parametrize(
    ("handlers", "outcome"),
    [
        ([lambda: None, lambda: 1], {"result": 1}),
        ([lambda: 1, lambda: 1 / 0], {"result": 1}),
        ([lambda: 1, lambda: 2], {"error": "Client provided multiple results."}),
        ([lambda: None, lambda: 1 / 0], {"error": "division by zero"}),
    ],
)
async def test_several_handlers_without_return_types(
    harness: ClientHarness, handlers: list[Callable[[], Any]], outcome: dict[str, Any]
) -> None:
    """CR-4: the one that returns a value counts."""
    connection = await harness.started()
    for handler in handlers:
        connection.on("Ask", handler)
    assert await harness.server.ask(question("Ask")) == [completion("s1", **outcome)]


# ---- at the same time


async def test_a_slow_answer_blocks_nothing(harness: ClientHarness) -> None:
    """CR-8: neither events, nor questions, nor answers to calls."""
    connection = await harness.started()
    gate = asyncio.Event()
    heard: list[int] = []

    @connection.on("Slow")
    async def slow() -> str:
        await gate.wait()
        return "slow"

    connection.on("Ask", plain)
    connection.on("News", heard.append)
    calling = asyncio.create_task(connection.invoke("X"))
    harness.server.send(question("Slow", id="s1"), event("News", 5), question("Ask", 1, id="s2"))
    assert await harness.server.take() == [call("X"), result(2, "s2")]
    harness.server.send(result("answer"))
    assert await calling == "answer"
    assert heard == [5]
    gate.set()
    assert await harness.server.take() == [result("slow", "s1")]


async def test_a_handler_that_waits_does_not_delay_a_result(harness: ClientHarness) -> None:
    """CR-8: the hub may ask while it runs the method that a handler has called."""
    connection = await harness.started()
    heard: list[str] = []

    @connection.on("Turn")
    async def turn() -> None:
        heard.append(await connection.invoke("Play"))

    connection.on("Choose", lambda: "ace")
    harness.server.send(event("Turn"))
    assert await harness.server.take() == [call("Play")]
    assert await harness.server.ask(question("Choose")) == [result("ace", "s1")]
    harness.server.send(result("won"))
    await harness.clock.settle()
    assert heard == ["won"]


async def test_events_before_a_question(harness: ClientHarness) -> None:
    """A plain handler of an event in the same message runs first."""
    connection = await harness.started()
    cards: list[str] = []
    connection.on("Deal", lambda card: cards.append(card))
    connection.on("Choose", lambda: cards[-1])
    assert await harness.server.ask(event("Deal", "ace"), question("Choose")) == [
        result("ace", "s1")
    ]


# ---- the end


async def test_stop_ends_the_handlers(harness: ClientHarness) -> None:
    """No answer follows the Close."""
    connection = await harness.started()
    ended: list[int] = []

    @connection.on("Ask")
    async def ask(number: int) -> int:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)
        return number

    await harness.server.ask(question("Ask", 1, id="s1"), question("Ask", 2, id="s2"))
    await connection.stop()
    assert sorted(ended) == [1, 2]
    assert await harness.server.take() == [CLOSE]
    assert harness.clock.leftovers() == []


async def test_stop_in_a_handler(harness: ClientHarness) -> None:
    """It returns, and the handler goes on; others are cancelled."""
    connection = await harness.started()
    journal: list[str] = []

    @connection.on("Ask")
    async def ask() -> int:
        await connection.stop()
        journal.append("stopped")
        return 1

    @connection.on("Hang")
    async def hang() -> int:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        journal.append("cancelled")
        return 1

    await harness.server.ask(question("Hang", id="s1"))
    await harness.server.ask(question("Ask", id="s2"))
    await harness.clock.advance(1)
    assert journal == ["cancelled", "stopped"]
    assert harness.clock.leftovers() == []


async def test_a_lost_connection(harness: ClientHarness) -> None:
    """The handler goes on; its answer is not sent over the next connection."""
    connection = await harness.started(retry_delays([0]))
    gate = asyncio.Event()
    ended: list[int] = []

    @connection.on("Ask")
    async def ask() -> int:
        await gate.wait()
        ended.append(1)
        return 1

    await harness.server.ask(question("Ask"))
    harness.server.vanish()
    await harness.clock.advance(1)
    gate.set()
    assert (await harness.server.take())[1:] == [PING]
    assert ended == [1]


# ---- limits


async def test_many_questions_without_answers(harness: ClientHarness) -> None:
    """C-21: reading pauses at 1 MiB of them, and goes on as they are answered."""
    connection = await harness.started()
    gate = asyncio.Event()

    @connection.on("Ask")
    async def ask(text: str) -> int:
        await gate.wait()
        return len(text)

    for number in range(40):
        harness.server.send(question("Ask", "x" * 64 * KIB, id=f"s{number}"))
        await harness.clock.settle()
    assert harness.near_ends[0].unread > MIB
    gate.set()
    answers = await harness.server.take()
    assert [answer["invocationId"] for answer in answers] == [f"s{n}" for n in range(40)]


async def test_answers_that_the_server_does_not_read(harness: ClientHarness) -> None:
    """C-21: reading pauses at 1 MiB of answers."""
    connection = await harness.started()
    connection.on("Ask", lambda: "x" * 64 * KIB)
    harness.server.transport.pause_reading()
    for number in range(60):
        harness.server.send(question("Ask", id=f"s{number}"))
        await harness.clock.settle()
    assert MIB < harness.near_ends[0].buffered < 1.5 * MIB
    harness.server.transport.resume_reading()
    await harness.clock.settle()
    assert len(await harness.server.take()) == 60
