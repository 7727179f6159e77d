"""Which values are written as arrays and maps; all other containers are refused (J-19)."""

import io
import types
from array import array
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, NotRequired, Required, TypedDict

import attrs
import msgspec
import pydantic
import pytest
from multidict import MultiDict

from protocol import (
    ArgumentBindingError,
    Hub,
    HubOptions,
    HubProtocol,
    LocalProtocolError,
    hub_method,
)
from protocol.json.protocol import JsonHubProtocol
from protocol.messagepack.protocol import MessagePackHubProtocol
from protocol.server.hub_server import HubServer

PROTOCOLS: Final = (JsonHubProtocol(), MessagePackHubProtocol())
both = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda each: each.name)


class Model(pydantic.BaseModel):
    name: str = ""


@attrs.define
class Defined:
    name: str = ""


class Plain:
    pass


class Pair(tuple[int, int]):
    __slots__ = ()


def numbers() -> Iterator[int]:
    yield from (1, 2)


ENTRIES: Final = {"a": 1, "b": 2}
ARRAYS: Final[list[Callable[[], Any]]] = [
    lambda: [1, 2],
    lambda: (1, 2),
    lambda: {1, 2},
    lambda: frozenset({1, 2}),
    lambda: deque([1, 2]),
    lambda: range(1, 3),
    numbers,
    lambda: (number for number in (1, 2)),
    lambda: ENTRIES.values(),
    lambda: {1: 0, 2: 0}.keys(),
    lambda: Pair((1, 2)),
]
MAPS: Final[list[Any]] = [
    ENTRIES,
    OrderedDict(ENTRIES),
    Counter(ENTRIES),
    defaultdict(int, ENTRIES),
    types.MappingProxyType(ENTRIES),
]


class Later:
    """An awaitable that leaves nothing behind, unlike a coroutine."""

    def __await__(self) -> Iterator[None]:
        return iter(())


async def a_stream() -> AsyncIterator[int]:
    yield 1


REFUSED: Final[list[tuple[Any, str]]] = [
    (Model(), r"tests\.values\.test_understood_values\.Model .*pydantic .*write value\.model_dump"),
    (Defined(), r"tests\.values\.test_understood_values\.Defined .*write attrs\.asdict"),
    (Plain(), r"tests\.values\.test_understood_values\.Plain .*dataclass or a msgspec\.Struct"),
    (Plain, r"type type .*write an instance"),
    (UserDict(ENTRIES), r"collections\.UserDict .*write dict\(value\)"),
    (ChainMap(ENTRIES), r"collections\.ChainMap .*write dict\(value\)"),
    (MultiDict(ENTRIES), r"multidict\.\S*MultiDict .*write dict\(value\)"),
    (UserList([1]), r"collections\.UserList .*write list\(value\)"),
    (map(int, "12"), r"type map .*write list\(value\)"),
    (iter([1, 2]), r"type list_iterator .*write list\(value\)"),
    (array("i", [1]), r"array\.array .*write list\(value\)"),
    (Later(), r"\.Later .*: await it\.$"),
    (a_stream(), r"type async_generator .*: a stream is an argument of its own, or the result of"),
    (io.StringIO("text"), r"_io\.StringIO .*write list\(value\)"),
]


@both
@pytest.mark.parametrize("make", ARRAYS)
def test_arrays(protocol: HubProtocol, make: Callable[[], Any]) -> None:
    """J-19: the same as of a list, wherever it stands."""
    assert protocol.encode_value(make()) == protocol.encode_value([1, 2])
    assert protocol.encode_arguments([{"x": make()}]) == protocol.encode_arguments([{"x": [1, 2]}])


@both
@pytest.mark.parametrize("value", MAPS, ids=lambda value: type(value).__name__)
def test_maps(protocol: HubProtocol, value: Any) -> None:
    assert protocol.encode_value(value) == protocol.encode_value(ENTRIES)


@both
@pytest.mark.parametrize(("value", "text"), REFUSED, ids=lambda value: type(value).__name__)
def test_refused_with_advice(protocol: HubProtocol, value: Any, text: str) -> None:
    """J-19: the full name of the type, and what to write in its place."""
    with pytest.raises(LocalProtocolError, match=text):
        protocol.encode_value(value)
    with pytest.raises(LocalProtocolError, match=text):
        protocol.encode_arguments([1, {"x": [value]}])
    with pytest.raises(LocalProtocolError, match=text):
        protocol.encode_result("1", value)


def test_keys_that_are_the_same_text() -> None:
    """One of the two values would be lost. MessagePack has keys that are numbers."""
    json, messagepack = PROTOCOLS
    value = {1: "a", "1": "b"}
    with pytest.raises(LocalProtocolError, match="Two keys of a dict are the same text in JSON"):
        json.encode_value(value)
    assert messagepack.value_reader(dict)(messagepack.encode_value(value)) == value


class Tagged(msgspec.Struct, tag=True):
    number: int = 0


@dataclass
class Twice:
    first_name: str = ""
    firstName: str = ""


@dataclass
class Holder:
    plain: Plain


@dataclass
class Tree:
    children: "list[Tree]" = field(default_factory=list)
    holder: "dict[str, Holder] | None" = None


class Entry(TypedDict):
    model: Model


@dataclass
class Unfinished:
    other: "Missing"  # type: ignore[name-defined]  # noqa: F821


UNREADABLE: Final[list[tuple[Any, str]]] = [
    (
        Model,
        r"test_understood_values\.Model is not a type .*pydantic .*declare a dict and validate",
    ),
    (
        Defined,
        r"test_understood_values\.Defined is not a type .*attrs .*make the class a dataclass",
    ),
    (Plain, r"test_understood_values\.Plain is not a type .*dataclass"),
    (deque, r"collections\.deque is not a type .*declare a list"),
    (UserDict, r"collections\.UserDict is not a type .*declare a dict"),
    (Iterator[int], r"Iterator\[int\] is not a type .*declare a list"),
    (complex, r"complex is not a type [a-z ]*$"),
    (Callable[[], None], r"Callable\[\[\], None\] is not a type [a-z ]*$"),
    (Holder, r"Holder\.plain: .*Plain is not a type"),
    (list[Holder | None], r"Holder\.plain: .*Plain is not a type"),
    (Tree, r"Tree\.holder: Holder\.plain: .*Plain is not a type"),
    (Entry, r".*Model is not a type .*pydantic"),
    (Unfinished, r"Unfinished: .*'Missing' is not defined"),
    (Tagged, r"Tagged has a tag"),
    (Twice, r"'first_name' and 'firstName' are both called '(f|F)irstName'"),
]


@both
@pytest.mark.parametrize(("annotation", "text"), UNREADABLE, ids=str)
def test_unreadable_types(protocol: HubProtocol, annotation: Any, text: str) -> None:
    """They are refused where they are declared, at any depth, not when a value arrives."""
    with pytest.raises(TypeError, match=text):
        protocol.value_reader(annotation)
    with pytest.raises(TypeError, match=text):
        protocol.arguments_reader([int, annotation])


class Chain(TypedDict):
    number: int
    rest: "Chain | None"


@both
def test_a_typed_dict_that_mentions_itself(protocol: HubProtocol) -> None:
    chain: Chain = {"number": 1, "rest": {"number": 2, "rest": None}}
    assert protocol.value_reader(Chain)(protocol.encode_value(chain)) == chain


class Limits(TypedDict, total=False):
    low: Required[Annotated[int, msgspec.Meta(ge=0)]]
    high: NotRequired[int]


@both
def test_keys_of_a_typed_dict(protocol: HubProtocol) -> None:
    """Those that are not required may be missing, and constraints count."""
    read = protocol.value_reader(Limits)
    for value in ({"low": 1}, {"low": 1, "high": 2}):
        assert read(protocol.encode_value(value)) == value
    for wrong in ({"high": 2}, {"low": -1}):
        with pytest.raises(ArgumentBindingError):
            read(protocol.encode_value(wrong))


@both
@pytest.mark.parametrize("value", [Tagged(), Twice()], ids=lambda value: type(value).__name__)
def test_classes_that_would_lose_something(protocol: HubProtocol, value: Any) -> None:
    with pytest.raises(LocalProtocolError, match=r"has a tag|are both called"):
        protocol.encode_value(value)


@pytest.mark.parametrize("annotation", [Plain, Holder, Model])
async def test_an_unreadable_parameter(annotation: Any) -> None:
    """The error names hub, method and parameter."""

    class ReadingHub(Hub):
        @hub_method
        def read(self, number: int, value: annotation) -> None: ...

    text = r"^ReadingHub\.Read: parameter 'value': .* is not a type that a hub message"
    with pytest.raises(TypeError, match=text) as caught:
        HubServer(ReadingHub)
    names_services = f"list {annotation.__name__} in HubOptions.services" in str(caught.value)
    assert names_services == (annotation is not Holder)
    if annotation is Plain:
        HubServer(ReadingHub, HubOptions(services={Plain: Plain}))
