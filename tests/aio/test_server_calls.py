"""What a hub server answers to a call, word for word (section S)."""

import asyncio
import dataclasses
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from protocol import Hub, HubException, HubOptions, hub_method

from .conftest import MakeServer
from .server_lab import PING, call, failure, result

DETAILED = HubOptions(enable_detailed_errors=True)
NOT_BOUND = (
    "InvalidDataException: Error binding arguments. Make sure that the types of the provided "
    "values match the types of the hub method being invoked."
)


class Point(msgspec.Struct):
    x: int
    y: int = 0


@dataclasses.dataclass
class Person:
    first_name: str
    age: int | None = None


class RefusedException(HubException):
    pass


class CallsHub(Hub):
    @hub_method
    def add(self, left: int, right: int) -> int:
        return left + right

    @hub_method
    async def add_later(self, left: int, right: int) -> int:
        await asyncio.sleep(0)
        return left + right

    @hub_method
    def nothing(self) -> None:
        pass

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    def raw(self, value: msgspec.Raw) -> msgspec.Raw:
        return value

    @hub_method
    def mirror(self, point: Point) -> Point:
        return Point(point.y, point.x)

    @hub_method
    def greet(self, person: Person) -> Person:
        return Person(f"Hello {person.first_name}", person.age)

    @hub_method
    def handed_on(self) -> Any:
        return self.add_later(1, 2)  # an awaitable from a method that is not async itself

    @hub_method("Renamed")
    def other_name(self) -> str:
        return "renamed"

    @hub_method
    def crash(self) -> None:
        raise LookupError("secret")

    @hub_method
    def refuse(self, text: str) -> None:
        raise HubException(text)

    @hub_method
    def refuse_by_kind(self) -> None:
        raise RefusedException("no")

    @hub_method
    async def be_cancelled(self) -> None:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never

    @hub_method
    def give(self, what: str) -> Any:
        cyclic: list[Any] = []
        cyclic.append(cyclic)
        return {
            "object": object(),
            "nan": math.nan,
            "cyclic": cyclic,
            "separator": msgspec.Raw(b'"\x1e"'),
        }[what]

    def hidden(self) -> str:
        return "not marked"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        pytest.param(call("Add", 1, 2), result(3), id="plain"),
        pytest.param(call("AddLater", 1, 2, id="x y"), result(3, "x y"), id="async, any id"),
        pytest.param(call("HandedOn"), result(3), id="awaitable of a plain method"),
        pytest.param(call("Nothing"), result(None), id="S-18 void is null"),
        pytest.param(
            call("Echo", {"A_b": [1, "ü", None]}), result({"A_b": [1, "ü", None]}), id="any"
        ),
        pytest.param(call("Raw", {"A": 1.50}), result({"A": 1.5}), id="raw"),
        pytest.param(call("Mirror", {"X": 1, "y": 2}), result({"x": 2, "y": 1}), id="struct"),
        pytest.param(
            call("Greet", {"firstName": "Ann", "unknown": 1}),
            result({"firstName": "Hello Ann", "age": None}),
            id="dataclass",
        ),
        pytest.param(call("aDD", 1, 2), result(3), id="S-1 ignoring case"),
        pytest.param(call("renamed"), result("renamed"), id="S-1 own name"),
        pytest.param(
            call("Add", 1, 2, headers={"traceparent": "00-1"}), result(3), id="C-7 headers"
        ),
        pytest.param(call("Add", 1, 2, unknown={"a": []}), result(3), id="J-1 unknown property"),
    ],
)
async def test_results(serve: MakeServer, message: Any, answer: Any) -> None:
    """S-1, S-18, J-14: a call is answered with its result."""
    client = await serve(CallsHub).connect()
    assert await client.ask(message) == [answer]


@pytest.mark.parametrize(
    ("message", "text", "details"),
    [
        pytest.param(
            call("Nobody"),
            "Failed to invoke 'Nobody' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4",
        ),
        pytest.param(
            call("hidden"),
            "Failed to invoke 'hidden' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4 not marked",
        ),
        pytest.param(
            call("on_connected"),
            "Failed to invoke 'on_connected' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4 of the base class",
        ),
        pytest.param(
            call(""),
            "Failed to invoke '' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="J-5 empty target",
        ),
        pytest.param(
            call("add", 1),
            "Failed to invoke 'Add' due to an error on the server.",
            " InvalidDataException: Invocation provides 1 argument(s) but target expects 2.",
            id="S-5 too few",
        ),
        pytest.param(
            call("ADD", 1, 2, "x"),
            "Failed to invoke 'Add' due to an error on the server.",
            " InvalidDataException: Invocation provides 3 argument(s) but target expects 2.",
            id="S-5 too many",
        ),
        pytest.param(
            call("Add", "x"),
            "Failed to invoke 'Add' due to an error on the server.",
            f" {NOT_BOUND}",
            id="S-6 binds before it counts",
        ),
        pytest.param(
            call("Add", 1, "2"),
            "Failed to invoke 'Add' due to an error on the server.",
            f" {NOT_BOUND}",
            id="S-6",
        ),
        pytest.param(
            call("Mirror", {"y": 1}),
            "Failed to invoke 'Mirror' due to an error on the server.",
            f" {NOT_BOUND}",
            id="S-6 missing member",
        ),
        pytest.param(
            call("crash"),
            "An unexpected error occurred invoking 'Crash' on the server.",
            " LookupError: secret",
            id="S-7",
        ),
        pytest.param(
            call("BeCancelled"),
            "An unexpected error occurred invoking 'BeCancelled' on the server.",
            " CancelledError: ",
            id="S-7 a cancellation of the method's own",
        ),
        pytest.param(
            call("Refuse", "x"),
            "An unexpected error occurred invoking 'Refuse' on the server. HubException: x",
            "",
            id="S-8",
        ),
        pytest.param(
            call("Refuse", ""),
            "An unexpected error occurred invoking 'Refuse' on the server. HubException: ",
            "",
            id="S-8 empty",
        ),
        pytest.param(
            call("RefuseByKind"),
            "An unexpected error occurred invoking 'RefuseByKind' on the server."
            " RefusedException: no",
            "",
            id="S-8 derived",
        ),
        pytest.param(
            {"type": 4, "invocationId": "1", "target": "add", "arguments": [1, 2]},
            "The client attempted to invoke the non-streaming 'Add' method with a streaming"
            " invocation.",
            "",
            id="S-11",
        ),
        pytest.param(
            {"type": 4, "invocationId": "1", "target": "add", "arguments": [1]},
            "Failed to invoke 'Add' due to an error on the server.",
            " InvalidDataException: Invocation provides 1 argument(s) but target expects 2.",
            id="S-5 before S-11",
        ),
        pytest.param(
            {"type": 4, "invocationId": "1", "target": "Nobody", "arguments": []},
            "Failed to invoke 'Nobody' due to an error on the server."
            " HubException: Method does not exist.",
            "",
            id="S-4 before S-11",
        ),
        pytest.param(
            call("Add", 1, 2, streamIds=["s"]),
            "An unexpected error occurred invoking 'Add' on the server."
            " HubException: Client sent 1 stream(s), Hub method expects 0.",
            "",
            id="S-12",
        ),
    ],
)
@pytest.mark.parametrize("detailed", [False, True])
async def test_errors(
    serve: MakeServer, message: Any, text: str, details: str, detailed: bool
) -> None:
    """S-4 … S-12: the exact error, its details only when they are wanted or a HubException's."""
    client = await serve(CallsHub, DETAILED if detailed else None).connect()
    assert await client.ask(message) == [failure(text + details if detailed else text)]
    assert await client.ask(call("Add", 1, 1)) == [result(2)]


async def test_what_is_logged(serve: MakeServer, caplog: pytest.LogCaptureFixture) -> None:
    """S-7, S-8: a HubException is an answer; anything else is a fault that somebody has to see."""
    client = await serve(CallsHub).connect()
    await client.ask(call("Refuse", "x"), call("Add", "x"), call("Nobody"), call("Crash"))
    (record,) = caplog.records
    assert record.getMessage() == "Hub method 'Crash' failed."
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


@pytest.mark.parametrize(
    "message",
    [
        call("Add", 1, 2, id=None),
        call("Add", 1, 2, id=""),
        call("Nobody", id=None),
        call("Add", id=None),
        call("Crash", id=None),
        call("Refuse", "x", id=None),
        call("Add", 1, 2, id=None, streamIds=["s"]),
        call("Give", "object", id=None),
    ],
    ids=lambda message: f"{message['target']}{message['arguments']}",
)
async def test_without_an_id_nothing_is_answered(serve: MakeServer, message: Any) -> None:
    """S: without an invocationId nothing is ever sent, whatever happens."""
    client = await serve(CallsHub).connect()
    assert await client.ask(message, call("Echo", "next")) == [result("next")]


@pytest.mark.parametrize("what", ["object", "nan", "cyclic", "separator"])
async def test_results_that_cannot_be_written(serve: MakeServer, what: str) -> None:
    """J-21, done better: the call fails, the connection lives."""
    client = await serve(CallsHub).connect()
    assert await client.ask(call("Give", what), call("Echo", 1, id="2")) == [
        failure("An unexpected error occurred invoking 'Give' on the server."),
        result(1, "2"),
    ]


@pytest.mark.parametrize(
    "arguments", ['["\\ud800",1]', "[1,2,]", "[1,[2]"], ids=["surrogate", "comma", "bracket"]
)
async def test_arguments_that_are_broken_inside(serve: MakeServer, arguments: str) -> None:
    """J-8: a lone surrogate or a trailing comma fails the call; other broken JSON closes."""
    client = await serve(CallsHub).connect()
    message = f'{{"type":1,"invocationId":"1","target":"Add","arguments":{arguments}}}'
    (answer,) = await client.ask(message)
    if arguments == "[1,[2]":
        assert answer["type"] == 7
    else:
        assert answer == failure("Failed to invoke 'Add' due to an error on the server.")


@pytest.mark.parametrize("arguments", ['["\\ud800"]', "[1,]"])
async def test_an_unknown_method_with_broken_arguments(serve: MakeServer, arguments: str) -> None:
    """J-8, S-4: that it does not exist is what counts."""
    client = await serve(CallsHub).connect()
    message = f'{{"type":1,"invocationId":"1","target":"Nobody","arguments":{arguments}}}'
    assert await client.ask(message) == [
        failure(
            "Failed to invoke 'Nobody' due to an error on the server."
            " HubException: Method does not exist."
        )
    ]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"type": 2, "invocationId": "9", "item": 1}, id="S-25 item of no stream"),
        pytest.param({"type": 3, "invocationId": "9", "result": 1}, id="S-25 completion"),
        pytest.param({"type": 3, "invocationId": "9", "error": "x"}, id="S-25 error"),
        pytest.param({"type": 5, "invocationId": "9"}, id="S-27 cancel of nothing"),
        pytest.param({"type": 8, "sequenceId": 1}, id="S-23 ack"),
        pytest.param({"type": 9, "sequenceId": 1}, id="S-23 sequence"),
        pytest.param({"type": 99, "x": 1}, id="S-22 unknown type"),
        pytest.param({"type": 0}, id="S-22 type 0"),
        pytest.param(PING, id="K-5 ping"),
    ],
)
async def test_messages_that_ask_for_nothing(serve: MakeServer, message: Any) -> None:
    """S-22, S-23, S-25, S-27, K-5: ignored; what stands behind is served."""
    client = await serve(CallsHub).connect()
    assert await client.ask(message, call("Echo", 1)) == [result(1)]


async def test_records_in_any_slices(serve: MakeServer) -> None:
    """0-1: message boundaries of the transport mean nothing."""
    client = await serve(CallsHub).connect()
    for byte in b'{"type":1,"invocationId":"1","target":"Echo","arguments":["\xc3\xbc"]}\x1e':
        client.send_bytes(bytes([byte]))
    assert await client.take() == [result("ü")]


async def test_each_call_has_a_hub_of_its_own(serve: MakeServer) -> None:
    """S-28: state of an instance ends with its call; ``items`` live as long as the connection."""

    class StatefulHub(Hub):
        count = 0

        @hub_method
        def increase(self) -> list[int]:
            self.count += 1
            self.context.items["n"] = self.context.items.get("n", 0) + 1
            return [self.count, self.context.items["n"]]

    lab = serve(StatefulHub)
    one, other = await lab.connect(), await lab.connect()
    assert await one.ask(call("Increase"), call("Increase")) == [result([1, 1]), result([1, 2])]
    assert await other.ask(call("Increase")) == [result([1, 1])]


async def test_a_factory_that_fails(serve: MakeServer) -> None:
    """S-17: answered as S-7; the slot is free again."""
    broken = False

    def make() -> Hub:
        if broken:
            raise LookupError("no database")
        return CallsHub()

    client = await serve(CallsHub, hub_factory=make).connect()
    broken = True
    assert await client.ask(call("Add", 1, 2)) == [
        failure("An unexpected error occurred invoking 'Add' on the server.")
    ]
    broken = False
    assert await client.ask(call("Add", 1, 2)) == [result(3)]


async def test_what_a_method_sees_of_its_caller(serve: MakeServer) -> None:
    """TG-11: the connection, its request, and the end of it."""
    seen: list[Any] = []

    class ContextHub(Hub):
        @hub_method
        def look(self) -> None:
            context = self.context
            seen.extend(
                [
                    context.connection_id,
                    context.user,
                    context.user_identifier,
                    context.http_request.query("A"),
                    context.http_request.query("blank"),
                    context.http_request.query("none"),
                    context.connection_aborted.is_set(),
                ]
            )

    client = await serve(ContextHub).connect(query="a=1&a=2&blank=")
    await client.ask(call("Look"))
    assert seen == ["c1", None, None, "1", "", None, False]


Service = Callable[[], Any]


async def test_parameters_that_no_client_sends(serve: MakeServer) -> None:
    """S-2: a service is made for each call and not counted among the arguments."""

    class Clock:
        pass

    class Store:
        pass

    made: list[object] = []

    def make(kind: type[Any]) -> Service:
        def give() -> Any:
            made.append(kind())
            return made[-1]

        return give

    class ServiceHub(Hub):
        @hub_method
        def use(self, clock: Clock, number: int, store: Store, text: str) -> list[Any]:
            return [type(clock) is Clock, number, type(store) is Store, text]

    options = HubOptions(
        services={Clock: make(Clock), Store: make(Store)}, enable_detailed_errors=True
    )
    client = await serve(ServiceHub, options).connect()
    assert await client.ask(call("Use", 1, "x")) == [result([True, 1, True, "x"])]
    assert await client.ask(call("Use", 1, "x")) == [result([True, 1, True, "x"])]
    assert len({id(service) for service in made}) == 4
    assert await client.ask(call("Use", 1)) == [
        failure(
            "Failed to invoke 'Use' due to an error on the server. InvalidDataException: "
            "Invocation provides 1 argument(s) but target expects 2."
        )
    ]


async def test_a_service_that_cannot_be_had(serve: MakeServer) -> None:
    """S-2, S-7: its failure is the call's."""

    class Store:
        pass

    def fail() -> Store:
        raise LookupError("none left")

    class ServiceHub(Hub):
        @hub_method
        def use(self, store: Store) -> None: ...

    client = await serve(ServiceHub, HubOptions(services={Store: fail})).connect()
    assert await client.ask(call("Use")) == [
        failure("An unexpected error occurred invoking 'Use' on the server.")
    ]
