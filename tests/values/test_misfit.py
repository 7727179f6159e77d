"""What an ArgumentBindingError says in its summary: names and types, no values."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from protocol import (
    ArgumentBindingError,
    DateTimeOffset,
    HubProtocol,
    JsonHubProtocol,
    MessagePackHubProtocol,
    Single,
)

SECRET = "s3cret"
UserId = NewType("UserId", int)


class Colour(Enum):
    RED = 1


class Node(msgspec.Struct):
    value: int
    next: "Node | None" = None


class Row(msgspec.Struct, array_like=True):
    number: int
    text: str


def summary_of(hub_protocol: HubProtocol, annotation: Any, value: Any) -> str:
    with pytest.raises(ArgumentBindingError) as caught:
        hub_protocol.value_reader(annotation)(hub_protocol.encode_value(value))
    assert SECRET not in str(caught.value)
    return caught.value.summary


@pytest.mark.parametrize("hub_protocol", [JsonHubProtocol(), MessagePackHubProtocol()])
@pytest.mark.parametrize(
    ("annotation", "value", "summary"),
    [
        (str, 5, "expected str, got int"),
        (str, -70_000, "expected str, got int"),
        (str, 1.5, "expected str, got float"),
        (str, True, "expected str, got bool"),
        (str, None, "expected str, got None"),
        (str, {}, "expected str, got dict"),
        (str, {"a": "b" * 20}, "expected str, got dict"),
        (str, [1] * 20, "expected str, got list"),
        (int, SECRET, "expected int, got str"),
        (int, SECRET * 20, "expected int, got str"),
        (None, 5, "expected None, got int"),
        (bool, 0, "expected bool, got int"),
        (list, {}, "expected list, got dict"),
        (list[int], 5, "expected list, got int"),
        (dict, [], "expected dict, got list"),
        (set[int], ["a"], "item 1: expected int, got str"),
        (
            dict[str, list[int]],
            {SECRET: [1, "a"]},
            "a value of the dict: item 2: expected int, got str",
        ),
        (UserId, "a", "expected UserId, got str"),
        (Colour, [], "expected Colour, got list"),
        (Colour, SECRET, "expected Colour, got a str that is not a valid Colour"),
        (
            Literal["on", "off"],
            SECRET,
            "expected Literal['on', 'off'], got a str that is not a valid Literal['on', 'off']",
        ),
        (UUID, SECRET, "expected UUID, got a str that is not a valid UUID"),
        (dt.datetime, 5, "expected datetime, got int"),
        (Decimal, [], "expected Decimal, got list"),
        (Single, "x", "expected Single, got str"),
        (
            DateTimeOffset,
            SECRET,
            "expected DateTimeOffset, got a str that is not a valid DateTimeOffset",
        ),
        (
            Annotated[str, Meta(max_length=2)],
            SECRET,
            "expected str, got a str that is not a valid str",
        ),
    ],
)
def test_both_protocols(
    hub_protocol: HubProtocol, annotation: Any, value: Any, summary: str
) -> None:
    """Both hub protocols name the expected type and the kind of the value."""
    assert summary_of(hub_protocol, annotation, value) == summary


def test_members_have_their_names_on_the_wire() -> None:
    """The names are those that the peer has to send."""
    json, messagepack = JsonHubProtocol(), MessagePackHubProtocol()
    inner = {"value": 1, "next": {"value": SECRET}}
    assert summary_of(json, Node, inner) == "field 'next': field 'value': expected int, got str"
    assert summary_of(messagepack, Node, inner) == "missing field 'Value'"
    named = {"Value": 1, "Next": {"Value": 1, "Next": 5}}
    path = "field 'Next': field 'Next'"
    assert summary_of(messagepack, Node, named) == f"{path}: expected Node or None, got int"


def test_a_deep_place() -> None:
    """The path of a place in a type that contains itself has a limit."""
    value: Any = {"value": SECRET}
    for _ in range(20):
        value = {"value": 1, "next": value}
    summary = summary_of(JsonHubProtocol(), Node, value)
    assert summary == "field 'next': " * 8 + "expected int, got str"


@pytest.mark.parametrize(
    ("annotation", "value", "summary"),
    [
        (str, b"x", "expected str, got bytes"),
        (str, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "expected str, got extension"),
        (Row, [1, 2], "item 2: expected str, got int"),
        (Row, [1], "missing field 'text'"),
    ],
)
def test_messagepack(annotation: Any, value: Any, summary: str) -> None:
    """Kinds of values that only MessagePack has, and Structs that are arrays in it."""
    assert summary_of(MessagePackHubProtocol(), annotation, value) == summary


@pytest.mark.parametrize("hub_protocol", [JsonHubProtocol(), MessagePackHubProtocol()])
def test_an_empty_payload(hub_protocol: HubProtocol) -> None:
    """No bytes are no value of any kind."""
    with pytest.raises(ArgumentBindingError) as caught:
        hub_protocol.value_reader(int)(msgspec.Raw())
    assert caught.value.summary == "expected int, got nothing"


def test_an_error_without_a_summary() -> None:
    """The text of an error may contain values, so it does not stand in for the summary."""
    assert ArgumentBindingError(SECRET).summary == "the value does not fit the declared type"
