"""Which handler is called with what, and in which order (C-12 … C-15, CR-3, CR-8, G-1)."""

import asyncio
import functools
import logging
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Raw

from protocol import ConnectionClosed, HubConnectionState

from .client_lab import CLOSE, ClientLab


class Point(msgspec.Struct):
    x: int
    y: int = 0


def call(target: str, *arguments: Any, **more: Any) -> dict[str, Any]:
    return {"type": 1, "target": target, "arguments": list(arguments), **more}


async def test_ways_to_register(client_lab: ClientLab) -> None:
    """``on`` with a handler and as a decorator; both give the function back."""
    connection = await client_lab.started()
    heard: list[Any] = []

    @connection.on("News")
    def decorated(text: str) -> None:
        heard.append(("decorated", text))

    assert connection.on("News", heard.append) == heard.append
    decorated("direct")
    client_lab.server.send(call("News", "x"))
    await client_lab.clock.settle()
    assert heard == [("decorated", "direct"), ("decorated", "x"), "x"]


async def test_names_are_case_sensitive(client_lab: ClientLab) -> None:
    """G-1: as in .NET, unlike hub methods."""
    connection = await client_lab.started()
    heard: list[str] = []
    connection.on("News", lambda: heard.append("News"))
    connection.on("news", lambda: heard.append("news"))
    client_lab.server.send(call("News"), call("NEWS"), call("news"))
    await client_lab.clock.settle()
    assert heard == ["News", "news"]


async def test_off(client_lab: ClientLab) -> None:
    """One handler, or all of a name; what is not registered is no error."""
    connection = await client_lab.started()
    heard: list[str] = []

    def one() -> None:
        heard.append("one")

    def two() -> None:
        heard.append("two")

    for handler in (one, two, one):
        connection.on("News", handler)
    connection.off("News", one)
    connection.off("News", lambda: None)
    connection.off("Other")
    client_lab.server.send(call("News"))
    await client_lab.clock.settle()
    assert heard == ["two"]
    connection.on("News", one)
    connection.off("News")
    client_lab.server.send(call("News"))
    await client_lab.clock.settle()
    assert heard == ["two"]


async def test_handlers_before_start(client_lab: ClientLab) -> None:
    """Registered at any time; a message right behind the handshake response finds them."""
    connection = client_lab.connection()
    heard: list[str] = []
    connection.on("Hello", heard.append)
    client_lab.answers.append(lambda server: server.send({}, call("Hello", "you")))
    await connection.start()
    await client_lab.clock.settle()
    assert heard == ["you"]


async def test_conversion(client_lab: ClientLab) -> None:
    """Annotated parameters are converted; without an annotation they take anything."""
    connection = await client_lab.started()
    heard: list[Any] = []

    @connection.on("News")
    def news(  # type: ignore[no-untyped-def]
        point: Point,
        names: list[str],
        maybe: float | None,
        raw: Raw,
        limited: Annotated[int, msgspec.Meta(ge=0)],
        anything,
    ) -> None:
        heard.append([point, names, maybe, bytes(raw), limited, anything])

    client_lab.server.send(call("News", {"X": 1, "Y": 2}, ["a"], None, {"A": 1}, 3, {"b": [1]}))
    await client_lab.clock.settle()
    assert heard == [[Point(1, 2), ["a"], None, b'{"A": 1}', 3, {"b": [1]}]]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Invocation provides 0 argument(s) but target expects 2."),
        ([1], "Invocation provides 1 argument(s) but target expects 2."),
        ([1, "a", 2], "Invocation provides 3 argument(s) but target expects 2."),
        (["a", 1], "Error binding arguments."),
        ([1, 2], "Error binding arguments."),
        ([1, None], "Error binding arguments."),
    ],
)
async def test_calls_that_do_not_fit(
    client_lab: ClientLab, caplog: pytest.LogCaptureFixture, arguments: list[Any], text: str
) -> None:
    """C-14: logged and dropped, no handler of that name runs; the connection lives."""
    connection = await client_lab.started()
    heard: list[Any] = []

    @connection.on("News")
    def first(number: int, text: str) -> None:
        heard.append((number, text))

    @connection.on("News")
    def second(*anything: Any) -> None:
        heard.append(anything)

    with caplog.at_level(logging.WARNING):
        client_lab.server.send(call("News", *arguments))
        await client_lab.clock.settle()
    assert heard == []
    (record,) = caplog.records
    assert record.getMessage().startswith(f"An invocation of 'News' was not handled: {text}")
    client_lab.server.send(call("News", 1, "a"))
    await client_lab.clock.settle()
    assert heard == [(1, "a"), (1, "a")]


async def test_a_call_that_does_not_fit_a_later_handler(client_lab: ClientLab) -> None:
    """C-14: the first handler's parameters decide; a later one that differs is left out alone."""
    connection = await client_lab.started()
    heard: list[str] = []

    @connection.on("News")
    def first(text: Any) -> None:
        heard.append("first")

    @connection.on("News")
    def second(number: int) -> None:
        heard.append("second")

    connection.on("News", lambda _: heard.append("third"))
    client_lab.server.send(call("News", "text"))
    await client_lab.clock.settle()
    assert heard == ["first", "third"]


async def test_variable_parameters(client_lab: ClientLab) -> None:
    """``*args`` takes any number, converted; parameters with defaults that are keywords stay."""
    connection = await client_lab.started()
    heard: list[Any] = []

    @connection.on("Any")
    def anything(*arguments: Any) -> None:
        heard.append(arguments)

    @connection.on("Numbers")
    def numbers(*arguments: int, extra: str = "default") -> None:
        heard.append((arguments, extra))

    client_lab.server.send(
        call("Any"), call("Any", 1, "a"), call("Numbers", 1, 2), call("Numbers", "a")
    )
    await client_lab.clock.settle()
    assert heard == [(), (1, "a"), ((1, 2), "default")]


async def test_parameters_that_cannot_be(client_lab: ClientLab) -> None:
    """TypeError when it is registered, not when the message comes."""
    connection = client_lab.connection()

    def both(first: int, *rest: int) -> None: ...

    def keyword(*, text: str) -> None: ...

    def unreadable(event: asyncio.Event) -> None: ...

    for handler, text in (
        (both, r"either named parameters or \*args"),
        (keyword, "Parameter 'text' of a handler is not positional"),
        (unreadable, "Event"),
    ):
        with pytest.raises(TypeError, match=text):
            connection.on("News", handler)


class Listener:
    """Handlers of other kinds than functions."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def method(self, number: int) -> None:
        self.heard.append(("method", number))

    async def async_method(self, number: int) -> None:
        self.heard.append(("async method", number))

    def __call__(self, number: int) -> None:
        self.heard.append(("call", number))


async def test_handlers_of_other_kinds(client_lab: ClientLab) -> None:
    """Bound methods, callable objects and partial functions are handlers, too."""
    connection = await client_lab.started()
    listener = Listener()
    for handler in (listener.method, listener.async_method, listener):
        connection.on("News", handler)
    connection.on("News", functools.partial(Listener.method, listener))
    client_lab.server.send(call("News", 1))
    await client_lab.clock.settle()
    kinds = ["method", "async method", "call", "method"]
    assert listener.heard == [(kind, 1) for kind in kinds]
    connection.off("News", listener.method)
    client_lab.server.send(call("News", 2))
    await client_lab.clock.settle()
    assert listener.heard[4:] == [(kind, 2) for kind in kinds[1:]]


class AsyncListener:
    def __init__(self) -> None:
        self.heard: list[int] = []

    async def __call__(self, number: int) -> None:
        await asyncio.sleep(0)
        self.heard.append(number)


async def test_awaitables_of_plain_handlers(client_lab: ClientLab) -> None:
    """CR-8: a callable whose result is awaitable is awaited, as an async function is: objects
    with an async ``__call__``, lambdas around async functions."""
    connection = await client_lab.started()
    listener = AsyncListener()
    connection.on("Object", listener)
    connection.on("Lambda", lambda number: listener(number))
    client_lab.server.send(call("Object", 1), call("Lambda", 2))
    await client_lab.clock.settle()
    assert listener.heard == [1, 2]


async def test_order(client_lab: ClientLab) -> None:
    """C-13, CR-8: handlers of one name in order of registration, messages in order of arrival,
    plain and async ones mixed; none begins before the one before it has ended."""
    connection = await client_lab.started()
    order: list[str] = []
    gate = asyncio.Event()

    @connection.on("A")
    async def slow(number: int) -> None:
        order.append(f"+A{number}")
        await gate.wait()
        order.append(f"-A{number}")

    @connection.on("A")
    def quick(number: int) -> None:
        order.append(f"a{number}")

    @connection.on("B")
    def other(number: int) -> None:
        order.append(f"b{number}")

    client_lab.server.send(call("B", 0), call("A", 1), call("B", 2))
    client_lab.server.send(call("A", 3), call("B", 4))
    await client_lab.clock.settle()
    assert order == ["b0", "+A1"]
    gate.set()
    await client_lab.clock.settle()
    assert order == ["b0", "+A1", "-A1", "a1", "b2", "+A3", "-A3", "a3", "b4"]
    client_lab.server.send(call("B", 5))
    await client_lab.clock.settle()
    assert order[-1] == "b5"


async def test_completions_overtake_slow_handlers(client_lab: ClientLab) -> None:
    """CR-8: a slow handler does not hold answers up."""
    connection = await client_lab.started()
    gate = asyncio.Event()
    connection.on("Slow", gate.wait)
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.server.take()
    client_lab.server.send(call("Slow"), {"type": 3, "invocationId": "1", "result": 1})
    assert await calling == 1
    gate.set()


@pytest.mark.parametrize("error", [LookupError("handler"), asyncio.CancelledError()])
@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_handler_that_fails(
    client_lab: ClientLab, caplog: pytest.LogCaptureFixture, kind: str, error: BaseException
) -> None:
    """C-13: logged and ignored: other handlers, later messages and the connection go on. A
    cancellation that is the handler's own, as of a task it awaits, is a failure as any other."""
    connection = await client_lab.started()
    heard: list[int] = []

    def fail(number: int) -> None:
        raise error

    async def fail_later(number: int) -> None:
        await asyncio.sleep(0)
        raise error

    connection.on("News", fail if kind == "plain" else fail_later)
    connection.on("News", heard.append)
    client_lab.server.send(call("News", 1), call("News", 2))
    await client_lab.clock.settle()
    assert heard == [1, 2]
    assert connection.state is HubConnectionState.CONNECTED
    assert [record.getMessage() for record in caplog.records] == ["A handler of 'News' failed."] * 2


async def test_catch_all(client_lab: ClientLab) -> None:
    """on_any gets what has no handler of its own, undecoded; there is one, and it can be taken
    away."""
    connection = await client_lab.started()
    heard: list[Any] = []
    connection.on("News", lambda _: heard.append("own"))
    connection.on_any(lambda target, arguments: heard.append((target, bytes(arguments))))
    client_lab.server.send(call("News", 1))
    client_lab.server.send('{"type":1,"target":"Other","arguments":[1, {"A_b":1.50}]}')
    await client_lab.clock.settle()
    assert heard == ["own", ("Other", b'[1, {"A_b":1.50}]')]
    connection.on_any(None)
    client_lab.server.send(call("Other"))
    await client_lab.clock.settle()
    assert len(heard) == 2


async def test_catch_all_in_order(client_lab: ClientLab) -> None:
    """CR-8: an async catch-all keeps the order with the others; its failures are logged."""
    connection = await client_lab.started()
    heard: list[str] = []

    async def catch(target: str, _: Raw) -> None:
        await asyncio.sleep(0)
        heard.append(target)
        raise LookupError(target)

    connection.on_any(catch)
    connection.on("News", lambda: heard.append("News"))
    client_lab.server.send(call("A"), call("News"), call("B"))
    await client_lab.clock.settle()
    assert heard == ["A", "News", "B"]


@pytest.mark.parametrize("target", ["News", "Nobody"])
async def test_a_server_that_asks_for_a_result(client_lab: ClientLab, target: str) -> None:
    """CR-3: handlers run, and give none."""
    connection = await client_lab.started()
    heard: list[str] = []
    connection.on("News", lambda: heard.append("News"))
    client_lab.server.send(call(target, invocationId="s1"))
    assert await client_lab.server.take() == [
        {"type": 3, "invocationId": "s1", "error": "Client didn't provide a result."}
    ]
    assert heard == ["News"] * (target == "News")


async def test_a_server_that_asks_for_a_result_with_arguments_that_do_not_fit(
    client_lab: ClientLab,
) -> None:
    """CR-3, C-14: that is told to the server."""
    connection = await client_lab.started()

    @connection.on("News")
    def news(number: int) -> None: ...

    expected = {"type": 3, "error": "Client failed to parse argument(s)."}
    client_lab.server.send(call("News", "x", invocationId="s1"))
    client_lab.server.send(call("Nobody", 1, invocationId="s2"))
    assert await client_lab.server.take() == [
        expected | {"invocationId": "s1"},
        expected | {"invocationId": "s2"},
    ]


async def test_a_server_that_asks_the_catch_all_for_a_result(client_lab: ClientLab) -> None:
    """CR-3: it takes whatever comes, and gives no result either."""
    connection = await client_lab.started()
    heard: list[str] = []
    connection.on_any(lambda target, _: heard.append(target))
    client_lab.server.send(call("Nobody", 1, invocationId="s1"))
    assert await client_lab.server.take() == [
        {"type": 3, "invocationId": "s1", "error": "Client didn't provide a result."}
    ]
    assert heard == ["Nobody"]


async def test_queued_calls_run_after_a_close(client_lab: ClientLab) -> None:
    """C-15: what came before the Close is handled, also when the connection is gone by then."""
    connection = await client_lab.started()
    heard: list[int] = []
    gate = asyncio.Event()

    @connection.on("News")
    async def news(number: int) -> None:
        await gate.wait()
        heard.append(number)

    client_lab.server.send(call("News", 1), call("News", 2), CLOSE, call("News", 3))
    await client_lab.clock.settle()
    assert connection.state is HubConnectionState.DISCONNECTED
    gate.set()
    await client_lab.clock.settle()
    assert heard == [1, 2]
    assert client_lab.clock.leftovers() == []


async def test_slow_handlers_hold_the_reader_up(client_lab: ClientLab) -> None:
    """C-21: above a mebibyte of waiting calls nothing more is read; all arrive in the end."""
    connection = await client_lab.started()
    gate = asyncio.Event()
    heard: list[int] = []

    @connection.on("News")
    async def news(number: int, _: str) -> None:
        await gate.wait()
        heard.append(number)

    for number in range(40):
        client_lab.server.send(call("News", number, "x" * 64 * 1024))
        await client_lab.clock.settle()
    assert client_lab.near_ends[0].unread > 1024 * 1024
    gate.set()
    await client_lab.clock.settle()
    assert heard == list(range(40))
    assert client_lab.near_ends[0].unread == 0


@pytest.mark.parametrize("how", ["stop", "timeout"])
async def test_ending_while_the_reader_is_held_up(client_lab: ClientLab, how: str) -> None:
    """C-17, C-21: a reader that waits for slow handlers does not delay the end."""
    connection = await client_lab.started()
    gate = asyncio.Event()
    connection.on_any(lambda *_: None)

    @connection.on("News")
    async def news(_: str) -> None:
        await gate.wait()

    for _ in range(5):
        client_lab.server.send(call("News", "x" * 512 * 1024))
    await client_lab.clock.settle()
    calling = asyncio.create_task(connection.invoke("X"))
    await client_lab.clock.settle()
    if how == "stop":
        await connection.stop()
    else:
        await client_lab.clock.advance(31)
    assert connection.state is HubConnectionState.DISCONNECTED
    with pytest.raises(ConnectionClosed):
        await calling
    gate.set()
    await client_lab.clock.settle()
    assert client_lab.clock.leftovers() == []
