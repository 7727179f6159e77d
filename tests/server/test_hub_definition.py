"""Definitions of hub classes; an invalid one raises when it is mapped (S-1, S-2)."""

import math
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import fields
from typing import Annotated, Any

import msgspec
import pytest

from protocol import EndpointOptions, Hub, HubOptions, hub_method
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


def test_inherited_methods() -> None:
    """S-1: methods of base classes count; one that is overridden without a mark does not."""

    class BaseHub(Hub):
        @hub_method
        def one(self) -> None: ...

        @hub_method
        def two(self) -> None: ...

    class DerivedHub(BaseHub):
        def two(self) -> None: ...

        @hub_method
        def three(self) -> None: ...

    assert names(DerivedHub) == {"One", "Three"}


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


def stream() -> type[Hub]:
    class StreamHub(Hub):
        @hub_method
        async def count(self) -> AsyncIterator[int]:
            yield 1

    return StreamHub


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
        pytest.param(
            stream, r"^StreamHub\.Count is a generator; streams are not supported yet", id="stream"
        ),
        pytest.param(generator, r"^GeneratorHub\.Count is a generator", id="generator"),
        pytest.param(without_self, r"^SelflessHub\.Send has no parameter for", id="no self"),
        pytest.param(nameless, r"^NamelessHub\.__ needs a name", id="no name"),
        pytest.param(
            needy,
            r"^NeedyHub cannot be instantiated without arguments \(.*'dependency'\); pass a hub",
            id="constructor with arguments",
        ),
        pytest.param(abstract, "^AbstractHub is abstract", id="abstract"),
        pytest.param(unreadable_inside, "Callable", id="annotation inside a list"),
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


async def test_what_a_method_returns_need_not_be_known(serve: MakeServer) -> None:
    """Its annotation may be a type that is imported only for the type checker."""

    class ReturningHub(Hub):
        @hub_method
        def get(self, number: "int") -> "Absent":  # type: ignore[name-defined]  # noqa: F821
            return number

    client = await serve(ReturningHub).connect()
    assert await client.ask(call("Get", 5)) == [result(5)]


async def test_parameters_of_all_readable_kinds(serve: MakeServer) -> None:
    """S-2: a default does not make a parameter optional; without an annotation all is taken."""

    class ManyHub(Hub):
        @hub_method
        def many(  # type: ignore[no-untyped-def]
            self,
            anything,
            maybe: int | None,
            limited: Annotated[int, msgspec.Meta(ge=0)],
            numbers: dict[str, list[float]],
            later: int = 5,
        ) -> Any:
            return [anything, maybe, limited, numbers, later]

    client = await serve(ManyHub).connect()
    arguments = [{"x": 1}, None, 3, {"y": [1.5, 2]}, 7]
    assert await client.ask(call("Many", *arguments)) == [result(arguments)]
    (answer,) = await client.ask(call("Many", *arguments[:-1]))
    assert "error" in answer


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
        (HubOptions, {"supported_protocols": ["json"]}, "contains an item of another type"),
        (HubOptions, {"supported_protocols": JsonHubProtocol()}, "supported_protocols is a Seq"),
        (EndpointOptions, {"authenticate": "me"}, "authenticate is a Callable or None, not str"),
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
