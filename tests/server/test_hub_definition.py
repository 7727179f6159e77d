"""Definitions of hub classes; an invalid one raises when it is mapped (S-1, S-2)."""

import functools
import math
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import fields
from typing import Annotated, Any

import msgspec
import pytest

from protocol import EndpointOptions, Hub, HubCallerContext, HubOptions, hub_method
from protocol.json.protocol import JsonHubProtocol
from protocol.server.hub import HubMethodTable
from protocol.server.hub_server import HubServer
from tests.support.hub_messages import call, result
from tests.support.server_harness import MakeServer


def names(hub_class: type[Hub]) -> set[str]:
    table = HubMethodTable(hub_class, {}).for_protocol(JsonHubProtocol())
    return {bound.method.name for bound in table.values()}


def test_names() -> None:
    """S-1: PascalCase of the method's own name, or the name given; unmarked ones stay hidden."""

    class NamedHub(Hub):
        @hub_method
        def send(self) -> None: ...

        @hub_method
        def send_message_to_all(self) -> None: ...

        @hub_method
        async def AlreadyPascal(self) -> None: ...

        @hub_method()
        def empty_brackets(self) -> None: ...

        @hub_method("send-it.now")
        def explicit(self) -> None: ...

        @hub_method(authorize=True)
        def guarded(self) -> None: ...

        def hidden(self) -> None: ...

    assert names(NamedHub) == {
        "Send",
        "SendMessageToAll",
        "AlreadyPascal",
        "EmptyBrackets",
        "send-it.now",
        "Guarded",
    }


def test_the_decorator_returns_the_method() -> None:
    """hub_method leaves the function as it is: it can be called and tested directly."""

    class PlainHub(Hub):
        @hub_method
        def add(self, left: int, right: int) -> int:
            return left + right

        @hub_method("Other", authorize={"admin"})
        def subtract(self, left: int, right: int) -> int:
            return left - right

    assert (PlainHub().add(3, 2), PlainHub().subtract(3, 2)) == (5, 1)


class BaseHub(Hub):
    @hub_method
    def one(self) -> None: ...

    @hub_method
    def two(self) -> None: ...


def test_inherited_methods() -> None:
    """S-1: methods of base classes count; None takes one away from clients."""

    class DerivedHub(BaseHub):
        two = None  # type: ignore[assignment]

        @hub_method("Uno")
        def one(self) -> None: ...

        @hub_method
        def three(self) -> None: ...

    class LastHub(DerivedHub):
        def two(self) -> None: ...  # type: ignore[override]

    assert names(DerivedHub) == names(LastHub) == {"Uno", "Three"}


def test_attributes_that_the_server_sets() -> None:
    """Where they are missing, the error says what to use; others are missing as usual."""

    class EarlyHub(Hub):
        def __init__(self) -> None:
            self.everybody = self.clients.all

    for use in (EarlyHub, lambda: BaseHub().clients):
        with pytest.raises(AttributeError, match=r"Hub\.clients is set by the server.*HubContext"):
            use()
    with pytest.raises(AttributeError, match="'BaseHub' object has no attribute 'client'"):
        BaseHub().client  # type: ignore[attr-defined]  # noqa: B018


def overridden() -> type[Hub]:
    class MiddleHub(BaseHub):
        def two(self) -> None: ...

    class OverridingHub(MiddleHub):
        pass

    return OverridingHub


def hidden_by_a_mixin() -> type[Hub]:
    class Mixin:
        def two(self) -> None: ...

    class MixedHub(Mixin, BaseHub):
        pass

    return MixedHub


def event_for_clients() -> type[Hub]:
    class EventHub(Hub):
        @hub_method
        async def on_connected(self) -> None: ...

    return EventHub


def constructor_for_clients() -> type[Hub]:
    class ConstructorHub(Hub):
        @hub_method
        def __init__(self) -> None: ...

    return ConstructorHub


def event_without_error() -> type[Hub]:
    class ErrorlessHub(Hub):
        async def on_disconnected(self) -> None: ...  # type: ignore[override]

    return ErrorlessHub


def event_with_more() -> type[Hub]:
    class GreedyHub(Hub):
        async def on_connected(self, user: str) -> None: ...  # type: ignore[override]

    return GreedyHub


def event_that_yields() -> type[Hub]:
    class YieldingHub(Hub):
        async def on_connected(self) -> AsyncIterator[int]:  # type: ignore[override]
            yield 1

    return YieldingHub


def of_a_property() -> type[Hub]:
    class PropertyHub(Hub):
        @property
        @hub_method
        def send(self) -> None: ...

    return PropertyHub


def partial_method() -> type[Hub]:
    class PartialHub(Hub):
        @hub_method
        def send(self, room: str, text: str) -> None: ...

        send_to_all = functools.partialmethod(send, "all")

    return PartialHub


def duplicates() -> type[Hub]:
    class DuplicateHub(Hub):
        @hub_method
        def send_it(self) -> None: ...

        @hub_method("SENDIT")
        def other(self) -> None: ...

    return DuplicateHub


def keyword_only() -> type[Hub]:
    class KeywordHub(Hub):
        @hub_method
        def send(self, *, text: str) -> None: ...

    return KeywordHub


def variable() -> type[Hub]:
    class VariableHub(Hub):
        @hub_method
        def send(self, *texts: str) -> None: ...

    return VariableHub


def keywords() -> type[Hub]:
    class KeywordsHub(Hub):
        @hub_method
        def send(self, **texts: str) -> None: ...

    return KeywordsHub


def unreadable() -> type[Hub]:
    class UnreadableHub(Hub):
        @hub_method
        def send(self, where: socket.socket) -> None: ...

    return UnreadableHub


def unreadable_inside() -> type[Hub]:
    class UnreadableHub(Hub):
        @hub_method
        def send(self, where: list[Callable[[], None]]) -> None: ...

    return UnreadableHub


def static() -> type[Hub]:
    class StaticHub(Hub):
        @hub_method
        @staticmethod
        def send(text: str) -> None: ...

    return StaticHub


def static_outside() -> type[Hub]:
    class StaticHub(Hub):
        @staticmethod
        @hub_method
        def send(text: str) -> None: ...

    return StaticHub


def of_the_class() -> type[Hub]:
    class ClassHub(Hub):
        @classmethod
        @hub_method
        def send(cls, text: str) -> None: ...

    return ClassHub


def generator() -> type[Hub]:
    class GeneratorHub(Hub):
        @hub_method
        def count(self) -> Iterator[int]:
            yield 1

    return GeneratorHub


def without_self() -> type[Hub]:
    class SelflessHub(Hub):
        @hub_method
        def send() -> None: ...  # type: ignore[misc]

    return SelflessHub


def self_forgotten() -> type[Hub]:
    class ForgetfulHub(Hub):
        @hub_method
        def add(left: int, right: int) -> int:  # type: ignore[misc]
            return left + right

    return ForgetfulHub


def nameless() -> type[Hub]:
    class NamelessHub(Hub):
        @hub_method
        def __(self) -> None: ...

    return NamelessHub


def needy() -> type[Hub]:
    class NeedyHub(Hub):
        def __init__(self, dependency: str) -> None: ...

    return NeedyHub


def abstract() -> type[Hub]:
    class AbstractHub(Hub, ABC):
        @abstractmethod
        def send(self) -> None: ...

    return AbstractHub


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(
            duplicates,
            r"DuplicateHub: duplicate definitions of '(SENDIT|SendIt)'\. Overloading is not "
            r"supported\.",
            id="S-1 duplicates",
        ),
        pytest.param(keyword_only, "parameter 'text' is not positional", id="keyword only"),
        pytest.param(variable, "parameter 'texts' is not positional", id="*texts"),
        pytest.param(keywords, "parameter 'texts' is not positional", id="**texts"),
        pytest.param(unreadable, "socket", id="annotation"),
        pytest.param(static, r"^StaticHub\.Send is a staticmethod", id="static"),
        pytest.param(static_outside, r"^StaticHub\.Send is a staticmethod", id="static outside"),
        pytest.param(of_the_class, r"^ClassHub\.Send is a classmethod", id="class method"),
        pytest.param(generator, r"^GeneratorHub\.Count is a generator", id="generator"),
        pytest.param(without_self, r"^SelflessHub\.Send has no parameter for", id="no self"),
        pytest.param(
            self_forgotten,
            r"^ForgetfulHub\.Add: the first parameter is the hub itself, .* 'left' would be given",
            id="self forgotten",
        ),
        pytest.param(nameless, r"^NamelessHub\.__ needs a name", id="no name"),
        pytest.param(
            needy,
            r"^NeedyHub cannot be instantiated without arguments \(.*'dependency'\); pass a hub",
            id="constructor with arguments",
        ),
        pytest.param(abstract, "^AbstractHub is abstract", id="abstract"),
        pytest.param(unreadable_inside, "Callable", id="annotation inside a list"),
        pytest.param(
            overridden,
            r"^MiddleHub\.two overrides the hub method BaseHub\.two without @hub_.*two = None",
            id="overridden",
        ),
        pytest.param(hidden_by_a_mixin, r"^Mixin\.two overrides .* BaseHub\.two", id="mixin"),
        pytest.param(
            event_for_clients,
            r"^EventHub\.on_connected is called by the server.*Remove @hub_method",
            id="event",
        ),
        pytest.param(constructor_for_clients, "__init__ is called by the server", id="constructor"),
        pytest.param(
            event_without_error,
            r"^ErrorlessHub\.on_disconnected has to take \(self, error\)",
            id="event without error",
        ),
        pytest.param(
            event_with_more,
            r"^GreedyHub\.on_connected has to take \(self\): .*'user'",
            id="event with more parameters",
        ),
        pytest.param(
            event_that_yields, r"^YieldingHub\.on_connected is a generator", id="event that yields"
        ),
        pytest.param(of_a_property, r"^PropertyHub\.Send is a property", id="property"),
        pytest.param(partial_method, "is a partialmethod", id="partial method"),
    ],
)
async def test_definitions_that_cannot_work(make: Callable[[], type[Hub]], text: str) -> None:
    """S-1, S-2: a TypeError when the server of the class is made, not at the first call."""
    with pytest.raises(TypeError, match=text):
        HubServer(make())


def test_an_annotation_that_does_not_exist() -> None:
    """The error contains the misspelled name, the method and the parameter."""

    class MisspelledHub(Hub):
        @hub_method
        def send(self, fine: "int", text: "Strin") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    text = r"MisspelledHub\.Send: the annotation of parameter 'text' cannot be resolved: .*'Strin'"
    with pytest.raises(TypeError, match=text):
        HubMethodTable(MisspelledHub, {})


@pytest.mark.parametrize("name", ["", 5, b"Send"])
def test_invalid_names(name: Any) -> None:
    """S-1: ``hub_method`` raises the error."""
    with pytest.raises(TypeError, match="The name of a hub method is a non-empty str, not "):
        hub_method(name)


@pytest.mark.parametrize(
    ("authorize", "text"),
    [
        ("admin", "authorize is a bool, a collection of roles or a function, not 'admin'"),
        (5, "authorize is a bool, a collection of roles or a function, not 5"),
        (None, "authorize is a bool, a collection of roles or a function, not None"),
        ((), "authorize contains no role"),
    ],
)
def test_invalid_authorization(authorize: Any, text: str) -> None:
    """S-9: ``hub_method`` raises the error."""
    with pytest.raises(TypeError, match=text):
        hub_method("Send", authorize=authorize)


def test_a_generator_that_is_to_authorize() -> None:
    """S-9: a generator object counts as true, so that it would allow all."""

    async def is_allowed(_context: HubCallerContext) -> AsyncIterator[bool]:
        yield False

    with pytest.raises(TypeError, match=r"^authorize is a function without yield"):
        hub_method(authorize=is_allowed)  # type: ignore[arg-type]


async def test_plain_events(serve: MakeServer) -> None:
    """L-2, L-4: as hub methods, events need not be async."""
    events: list[str] = []

    class PlainHub(Hub):
        def on_connected(self) -> None:  # type: ignore[override]
            events.append("connected")

        def on_disconnected(self, error: Exception | None) -> None:  # type: ignore[override]
            events.append("disconnected")

    client = await serve(PlainHub).connect()
    await client.take()
    assert events == ["connected"]
    client.send({"type": 7})
    assert await client.has_ended()
    assert events == ["connected", "disconnected"]


async def test_what_a_method_returns_need_not_be_known(serve: MakeServer) -> None:
    """Its annotation may be a type that is imported only for the type checker."""

    class ReturningHub(Hub):
        @hub_method
        def get(self, number: "int") -> "Absent":  # type: ignore[name-defined]  # noqa: F821
            return number

    client = await serve(ReturningHub).connect()
    assert await client.ask(call("Get", 5)) == [result(5)]


async def test_parameters_of_all_readable_kinds(serve: MakeServer) -> None:
    """Without an annotation all is taken."""

    class ManyHub(Hub):
        @hub_method
        def many(  # type: ignore[no-untyped-def]
            self,
            anything,
            maybe: int | None,
            limited: Annotated[int, msgspec.Meta(ge=0)],
            numbers: dict[str, list[float]],
        ) -> Any:
            return [anything, maybe, limited, numbers]

    client = await serve(ManyHub).connect()
    arguments = [{"x": 1}, None, 3, {"y": [1.5, 2]}]
    assert await client.ask(call("Many", *arguments)) == [result(arguments)]


class Clock:
    pass


class DefaultsHub(Hub):
    @hub_method
    def pair(self, left: int, right: int = 2) -> Any:
        return [left, right]

    @hub_method
    def none(self, text: str = "nothing") -> str:
        return text

    @hub_method
    async def between(
        self, left: int, clock: Clock, right: int = 2, other: int | None = None, last: int = 3
    ) -> Any:
        assert isinstance(clock, Clock)
        return [left, right, other, last]

    @hub_method
    def behind(self, left: int, right: int = 2, clock: Clock = None) -> Any:  # type: ignore[assignment]
        assert isinstance(clock, Clock)
        return [left, right]


@pytest.mark.parametrize(
    ("target", "arguments", "expected"),
    [
        ("Pair", [1], [1, 2]),
        ("Pair", [1, 5], [1, 5]),
        ("None", [], "nothing"),
        ("None", ["a"], "a"),
        ("Between", [1], [1, 2, None, 3]),
        ("Between", [1, 5], [1, 5, None, 3]),
        ("Between", [1, 5, None], [1, 5, None, 3]),
        ("Between", [1, 5, None, 7], [1, 5, None, 7]),
        ("Behind", [1], [1, 2]),
        ("Behind", [1, 5], [1, 5]),
    ],
)
async def test_default_values(
    serve: MakeServer, target: str, arguments: list[Any], expected: Any
) -> None:
    """S-2: an argument with a default value may be left out, whatever services stand between."""
    lab = serve(DefaultsHub, HubOptions(services={Clock: Clock}))
    client = await lab.connect()
    assert await client.ask(call(target, *arguments)) == [result(expected)]


class OptionalHub(Hub):
    @hub_method
    def read(
        self, first: Clock | None, number: int, last: Annotated[Clock | None, "an injected one"]
    ) -> list[Any]:
        return [isinstance(first, Clock), number, last is first]


async def test_an_optional_service(serve: MakeServer) -> None:
    """S-2: a parameter that may be None is a parameter of the service's type, as in .NET."""
    client = await serve(OptionalHub, HubOptions(services={Clock: Clock})).connect()
    assert await client.ask(call("Read", 5)) == [result([True, 5, False])]
    with pytest.raises(TypeError, match=r"if no client sends it, list Clock in HubOptions\."):
        serve(OptionalHub)


@pytest.mark.parametrize(
    ("target", "arguments", "details"),
    [
        ("Pair", [], "Invocation provides 0 argument(s) but target expects 2."),
        ("Pair", [1, 2, 3], "Invocation provides 3 argument(s) but target expects 2."),
        ("Behind", [1, 2, {}], "Invocation provides 3 argument(s) but target expects 2."),
        ("Pair", [1, None], "Error binding arguments."),
        ("Pair", ["a"], "Error binding arguments."),
    ],
)
async def test_default_values_and_calls_that_do_not_fit(
    serve: MakeServer, target: str, arguments: list[Any], details: str
) -> None:
    """S-5, S-6: the error names the full number; null is no argument left out."""
    options = HubOptions(services={Clock: Clock}, enable_detailed_errors=True)
    client = await serve(DefaultsHub, options).connect()
    (answer,) = await client.ask(call(target, *arguments))
    assert f" InvalidDataException: {details}" in answer["error"]


NUMBERS = [
    (options, each.name)
    for options in (HubOptions, EndpointOptions)
    for each in fields(options)
    if each.type in (int, float, int | None) and each.name != "minimum_protocol_version"
]


@pytest.mark.parametrize(("options", "option"), NUMBERS)
def test_numbers_among_the_options(options: Any, option: str) -> None:
    """D: a number of the right type, above 0 and not nan."""
    name = rf"{options.__name__}\.{option}"
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"^{name} is {value}, not above 0"):
            options(**{option: value})
    for wrong in ("5", True, [5]):
        with pytest.raises(TypeError, match=f"^{name} is a .*number.*, not {type(wrong).__name__}"):
            options(**{option: wrong})
    for limitless in (math.nan, -math.inf):
        with pytest.raises((TypeError, ValueError), match=f"^{name} is "):
            options(**{option: limitless})
    assert getattr(options(**{option: 1}), option) == 1


def test_a_time_that_is_greater_than_every_float() -> None:
    """D: no timer could be set to it."""
    with pytest.raises(ValueError, match=r"^HubOptions\.handshake_timeout is greater than every"):
        HubOptions(handshake_timeout=10**400)


@pytest.mark.parametrize(
    ("options", "given", "text"),
    [
        (HubOptions, {"enable_detailed_errors": "no"}, "enable_detailed_errors is True or False"),
        (HubOptions, {"enable_detailed_errors": 1}, "enable_detailed_errors is True or False"),
        (HubOptions, {"handshake_timeout": None}, "handshake_timeout is a number, not NoneType"),
        (HubOptions, {"maximum_receive_message_size": 1.5}, "is a whole number or None, not float"),
        (HubOptions, {"services": [int]}, "services is a Mapping, not list"),
        (HubOptions, {"services": {"int": int}}, "services maps types to functions"),
        (HubOptions, {"services": {int: 5}}, "services maps types to functions"),
        (HubOptions, {"supported_protocols": "json"}, "supported_protocols is a Sequence, not str"),
        (HubOptions, {"supported_protocols": ["json"]}, "contains an item of another type: str"),
        (
            HubOptions,
            {"supported_protocols": [JsonHubProtocol]},
            r"another type: the class JsonHubProtocol; give an instance, .*JsonHubProtocol\(\)",
        ),
        (HubOptions, {"supported_protocols": JsonHubProtocol()}, "supported_protocols is a Seq"),
        (EndpointOptions, {"authenticate": "me"}, "authenticate is .* or None, not str"),
        (EndpointOptions, {"minimum_protocol_version": "1"}, "is a whole number, not str"),
    ],
)
def test_options_of_the_wrong_type(options: Any, given: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=rf"^{options.__name__}\..*{text}"):
        options(**given)


def test_option_defaults() -> None:
    """D: ASP.NET Core's."""
    options = HubOptions()
    assert (options.handshake_timeout, options.keep_alive_interval) == (15, 15)
    assert options.client_timeout_interval == 30
    assert options.maximum_receive_message_size == 32_768
    assert options.maximum_parallel_invocations_per_client == 1
    assert not options.enable_detailed_errors
    assert HubOptions(maximum_receive_message_size=None).maximum_receive_message_size is None
    endpoint = EndpointOptions()
    assert (endpoint.minimum_protocol_version, endpoint.disconnect_timeout) == (0, 15)
    assert endpoint.close_timeout == 5
    assert EndpointOptions(minimum_protocol_version=-1).minimum_protocol_version == -1
