"""Which handler is called with what (C-12, C-14, CR-3, G-1)."""

import asyncio
import functools
import inspect
import logging
import queue
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Raw

from tests.support.client_harness import ClientHarness
from tests.support.hub_messages import event


class Point(msgspec.Struct):
    x: int
    y: int = 0


async def test_ways_to_register(harness: ClientHarness) -> None:
    """``on`` with a handler, and as a decorator; both return the function."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("News")
    def decorated(text: str) -> None:
        heard.append(("decorated", text))

    assert connection.on("News", heard.append) == heard.append
    decorated("direct")
    harness.server.send(event("News", "x"))
    await harness.clock.settle()
    assert heard == [("decorated", "direct"), ("decorated", "x"), "x"]


async def test_names_are_case_sensitive(harness: ClientHarness) -> None:
    """G-1: as in .NET, unlike hub methods."""
    connection = await harness.started()
    heard: list[str] = []
    connection.on("News", lambda: heard.append("News"))
    connection.on("news", lambda: heard.append("news"))
    harness.server.send(event("News"), event("NEWS"), event("news"))
    await harness.clock.settle()
    assert heard == ["News", "news"]


async def test_off(harness: ClientHarness) -> None:
    """One handler, or all of a name; an unknown one is ignored."""
    connection = await harness.started()
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
    harness.server.send(event("News"))
    await harness.clock.settle()
    assert heard == ["two"]
    connection.on("News", one)
    connection.off("News")
    harness.server.send(event("News"))
    await harness.clock.settle()
    assert heard == ["two"]


async def test_handlers_before_start(harness: ClientHarness) -> None:
    """A handler gets a message that arrives with the handshake response."""
    connection = harness.connection()
    heard: list[str] = []
    connection.on("Hello", heard.append)
    harness.answers.append(lambda server: server.send({}, event("Hello", "you")))
    await connection.start()
    await harness.clock.settle()
    assert heard == ["you"]


async def test_conversion(harness: ClientHarness) -> None:
    """Arguments are converted to the annotations; without one a parameter takes any value."""
    connection = await harness.started()
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

    harness.server.send(event("News", {"X": 1, "Y": 2}, ["a"], None, {"A": 1}, 3, {"b": [1]}))
    await harness.clock.settle()
    assert heard == [[Point(1, 2), ["a"], None, b'{"A": 1}', 3, {"b": [1]}]]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "got 0 arguments, expected 2"),
        ([1], "got 1 argument, expected 2"),
        ([1, "a", 2], "got 3 arguments, expected 2"),
        (["a", 1], "parameter 1 'number': expected int, got str"),
        ([1, 2], "parameter 2 'text': expected str, got int"),
        ([1, None], "parameter 2 'text': expected str, got None"),
    ],
)
async def test_calls_that_do_not_fit(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture, arguments: list[Any], text: str
) -> None:
    """C-14: logged and dropped; no handler of that name runs, and the connection stays open."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("News")
    def first(number: int, text: str) -> None:
        heard.append((number, text))

    @connection.on("News")
    def second(*anything: Any) -> None:
        heard.append(anything)

    with caplog.at_level(logging.WARNING):
        harness.server.send(event("News", *arguments))
        await harness.clock.settle()
    assert heard == []
    (record,) = caplog.records
    assert record.getMessage() == f"An invocation of 'News' was not handled: {text}"
    harness.server.send(event("News", 1, "a"))
    await harness.clock.settle()
    assert heard == [(1, "a"), (1, "a")]


async def test_a_call_that_does_not_fit_a_later_handler(harness: ClientHarness) -> None:
    """C-14: the first handler decides; a later one that does not fit is skipped."""
    connection = await harness.started()
    heard: list[str] = []

    @connection.on("News")
    def first(text: Any) -> None:
        heard.append("first")

    @connection.on("News")
    def second(number: int) -> None:
        heard.append("second")

    connection.on("News", lambda _: heard.append("third"))
    harness.server.send(event("News", "text"))
    await harness.clock.settle()
    assert heard == ["first", "third"]


async def test_variable_parameters(harness: ClientHarness) -> None:
    """``*args`` takes any number, converted; parameters with defaults that are keywords stay."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("Any")
    def anything(*arguments: Any) -> None:
        heard.append(arguments)

    @connection.on("Numbers")
    def numbers(*arguments: int, extra: str = "default") -> None:
        heard.append((arguments, extra))

    harness.server.send(
        event("Any"), event("Any", 1, "a"), event("Numbers", 1, 2), event("Numbers", "a")
    )
    await harness.clock.settle()
    assert heard == [(), (1, "a"), ((1, 2), "default")]


async def test_default_values(harness: ClientHarness) -> None:
    """C-14: an argument with a default value may be left out; the values of a partial are no
    arguments."""
    connection = await harness.started()
    heard: list[Any] = []
    waiting: queue.Queue[Any] = queue.Queue()
    connection.on("News", lambda text, name="A": heard.append((text, name)))
    connection.on("News", waiting.put)
    connection.on("Named", functools.partial(lambda text, name: heard.append((text, name)), name=1))
    harness.server.send(event("News", "x"), event("News", "y", "B"), event("Named", "z"))
    await harness.clock.settle()
    assert heard == [("x", "A"), ("y", "B"), ("z", 1)]
    assert [waiting.get_nowait(), waiting.get_nowait()] == ["x", "y"]


@pytest.mark.parametrize("arguments", [[], ["x", "A", 1], [1], ["x", None]])
async def test_default_values_and_calls_that_do_not_fit(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture, arguments: list[Any]
) -> None:
    """C-14: too few, too many, and of another type."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("News")
    def news(text: str, name: str = "A") -> None:
        heard.append((text, name))

    with caplog.at_level(logging.WARNING):
        harness.server.send(event("News", *arguments))
        await harness.clock.settle()
    assert heard == []
    (record,) = caplog.records
    assert record.getMessage().startswith("An invocation of 'News' was not handled")


async def test_a_warning_once_a_minute(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """C-14: a server that repeats a call that does not fit does not fill the log."""
    connection = await harness.started(server_timeout=1000.0)
    connection.on("News", lambda _: None)
    connection.on("Other", lambda _: None)
    caplog.set_level(logging.DEBUG, "protocol.client.handlers")
    for pause in (0, 59.5, 1):
        await harness.clock.advance(pause)
        harness.server.send(event("News"), event("Other", 1, 2))
        await harness.clock.settle()
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "WARNING", "DEBUG", "DEBUG", "WARNING", "WARNING"]


async def test_a_name_in_another_case(
    harness: ClientHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """G-1: names are case-sensitive, which the log says once for each name with a handler."""
    connection = await harness.started()
    connection.on("ReceiveMessage", lambda: None)
    connection.on("Gone", lambda: None)
    connection.off("Gone")
    connection.on("a", lambda: None)
    connection.on("A", lambda: None)
    caplog.set_level(logging.INFO, "protocol.client.handlers")
    for target in ("Other", "receivemessage", "RECEIVEMESSAGE", "GONE", "A", "a"):
        harness.server.send(event(target))
    await harness.clock.settle()
    (record,) = caplog.records
    text = "There is no handler for 'receivemessage', but one for 'ReceiveMessage': names are "
    assert record.getMessage() == f"{text}case-sensitive."


async def test_a_callable_without_a_signature(harness: ClientHarness) -> None:
    """It takes any number of arguments, as *args does."""
    connection = await harness.started()
    mapping: dict[str, int] = {}
    with pytest.raises(ValueError, match="no signature"):
        inspect.signature(mapping.update)
    connection.on("News", mapping.update)
    harness.server.send(event("News"), event("News", {"a": 1}), event("News", [["b", 2]]))
    await harness.clock.settle()
    assert mapping == {"a": 1, "b": 2}


async def test_decorators_without_parentheses(harness: ClientHarness) -> None:
    """``on`` needs a name; the others take the function, and give it back."""
    connection = harness.connection()

    def handler(*_: Any) -> None: ...

    with pytest.raises(TypeError, match=r'not function: @on\("ReceiveMessage"\)'):
        connection.on(handler)  # type: ignore[call-overload]
    for decorator in (
        connection.on_any,
        connection.on_closed,
        connection.on_reconnecting,
        connection.on_reconnected,
    ):
        assert decorator(handler) is handler


async def test_handlers_that_would_never_run(harness: ClientHarness) -> None:
    """None is no handler, and a generator function only makes a generator."""
    connection = harness.connection()

    def generator(*_: Any) -> Iterator[int]:
        yield 1

    async def stream(*_: Any) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="A handler is a function, not NoneType"):
        connection.on("News", None)  # type: ignore[call-overload]
    for function in (generator, stream, functools.partial(stream, 1)):
        for register in (
            functools.partial(connection.on, "News"),
            connection.on_any,
            connection.on_closed,
            connection.on_reconnecting,
            connection.on_reconnected,
        ):
            with pytest.raises(TypeError, match="is a function without yield"):
                register(function)


async def test_parameters_that_cannot_be(harness: ClientHarness) -> None:
    """TypeError is raised when it is registered, not when a message arrives."""
    connection = harness.connection()

    def both(first: int, *rest: int) -> None: ...

    def keyword(*, text: str) -> None: ...

    def unreadable(event: asyncio.Event) -> None: ...

    for handler, text in (
        (both, r"either named parameters or \*args"),
        (keyword, "^The handler of 'News': parameter 'text' is not positional"),
        (
            unreadable,
            "^The handler of 'News': parameter 'event': asyncio.locks.Event is not a type",
        ),
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


async def test_handlers_of_other_kinds(harness: ClientHarness) -> None:
    """Bound methods, callable objects and partial functions are handlers, too."""
    connection = await harness.started()
    listener = Listener()
    for handler in (listener.method, listener.async_method, listener):
        connection.on("News", handler)
    connection.on("News", functools.partial(Listener.method, listener))
    harness.server.send(event("News", 1))
    await harness.clock.settle()
    kinds = ["method", "async method", "call", "method"]
    assert listener.heard == [(kind, 1) for kind in kinds]
    connection.off("News", listener.method)
    harness.server.send(event("News", 2))
    await harness.clock.settle()
    assert listener.heard[4:] == [(kind, 2) for kind in kinds[1:]]


async def test_catch_all(harness: ClientHarness) -> None:
    """on_any gets everything, undecoded and after the handlers of its name; there is one, and it
    can be taken away."""
    connection = await harness.started()
    heard: list[Any] = []
    connection.on_any(lambda target, arguments: heard.append((target, bytes(arguments))))
    connection.on("News", lambda _: heard.append("own"))
    harness.server.send('{"type":1,"target":"News","arguments":[1.0]}')
    harness.server.send('{"type":1,"target":"Other","arguments":[1, {"A_b":1.50}]}')
    await harness.clock.settle()
    assert heard == ["own", ("News", b"[1.0]"), ("Other", b'[1, {"A_b":1.50}]')]
    connection.on_any(None)
    harness.server.send(event("News", 1), event("Other"))
    await harness.clock.settle()
    assert heard[3:] == ["own"]


async def test_catch_all_takes_what_the_handlers_cannot(harness: ClientHarness) -> None:
    """C-14 drops a call for the handlers that it does not fit, not for one that takes anything."""
    connection = await harness.started()
    heard: list[Any] = []

    @connection.on("News")
    def news(number: int) -> None:
        heard.append(number)

    connection.on_any(lambda target, arguments: heard.append(bytes(arguments)))
    harness.server.send(event("News", "x"), event("News", 2))
    await harness.clock.settle()
    assert heard == [b'["x"]', 2, b"[2]"]


@pytest.mark.parametrize("target", ["News", "Nobody"])
async def test_a_server_that_asks_for_a_result(harness: ClientHarness, target: str) -> None:
    """CR-3: handlers run, and return no result to the server."""
    connection = await harness.started()
    heard: list[str] = []
    connection.on("News", lambda: heard.append("News"))
    harness.server.send(event(target, invocationId="s1"))
    assert await harness.server.take() == [
        {"type": 3, "invocationId": "s1", "error": "Client didn't provide a result."}
    ]
    assert heard == ["News"] * (target == "News")


async def test_a_server_that_asks_for_a_result_with_arguments_that_do_not_fit(
    harness: ClientHarness,
) -> None:
    """CR-3, C-14: the server gets this error."""
    connection = await harness.started()

    @connection.on("News")
    def news(number: int) -> None: ...

    expected = {"type": 3, "error": "Client failed to parse argument(s)."}
    harness.server.send(event("News", "x", invocationId="s1"))
    harness.server.send(event("Nobody", 1, invocationId="s2"))
    assert await harness.server.take() == [
        expected | {"invocationId": "s1"},
        expected | {"invocationId": "s2"},
    ]


async def test_a_server_that_asks_the_catch_all_for_a_result(harness: ClientHarness) -> None:
    """CR-3: the catch-all takes any arguments, and returns no result either."""
    connection = await harness.started()
    heard: list[str] = []
    connection.on_any(lambda target, _: heard.append(target))
    harness.server.send(event("Nobody", 1, invocationId="s1"))
    assert await harness.server.take() == [
        {"type": 3, "invocationId": "s1", "error": "Client didn't provide a result."}
    ]
    assert heard == ["Nobody"]


def test_an_annotation_that_does_not_exist(harness: ClientHarness) -> None:
    """The error contains the misspelled name and the parameter."""

    def handler(fine: "int", text: "Strin") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    connection = harness.connection()
    for each in (handler, functools.partial(handler, 1)):
        with pytest.raises(TypeError, match="annotation of parameter 'text' cannot be resolved"):
            connection.on("Misspelled", each)


async def test_annotations_of_what_is_no_function(harness: ClientHarness) -> None:
    """Names are looked up in the module of the function, also for partials and methods."""
    heard: list[Any] = []

    class Listener:
        def __call__(self, number: "Decimal") -> None:
            heard.append(number)

        def method(self, number: "Decimal") -> None:
            heard.append(number)

    def two(text: str, number: "Decimal") -> None:
        heard.append(number)

    connection = await harness.started()
    for each in (Listener(), Listener().method, functools.partial(two, "x")):
        connection.on("Number", each)
    harness.server.send({"type": 1, "target": "Number", "arguments": [1]})
    await harness.clock.settle()
    assert [type(number) for number in heard] == [Decimal] * 3
