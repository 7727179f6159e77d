"""GW-6: which arguments fit a declared parameter type, and the .NET names of the types."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import DateTimeOffset, MessagePackHubProtocol, Payload
from signalr_gateway.orchestration.receive_types import UnknownReceiveType, misfit, receive_type
from tests.gateway.payloads import json_payload


class Message(msgspec.Struct):
    name: str
    sent_at: datetime | None = None


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Titled(TypedDict):
    title: str


class Broken(msgspec.Struct):
    handler: Point | complex


class BrokenInside(msgspec.Struct):
    parts: list[Broken]


class Tree(msgspec.Struct):
    limit: ClassVar[complex] = 0j
    children: list[Tree] = []


GUID = '"2f85e3c6-66d2-48a3-8ff7-31a65073558b"'

FITS: list[tuple[object, list[str], list[str]]] = [
    (str, ['"x"', '""', "1", "-0.5", "true", "false", "null"], ["[]", "{}"]),
    (
        int,
        ["0", "-1", "9223372036854775807", "-9223372036854775808", "1.0", "1e3", "12.50e1"],
        [
            "9223372036854775808",
            "1.5",
            '"1"',
            "null",
            "1e400",
            "1e999999999",
            "1e99999999999999999999",
            "1" * 100,
            "true",
        ],
    ),
    ("int", ["2147483647", "-2147483648"], ["2147483648", "-2147483649", "0.1"]),
    (float, ["0.10", "1e400", "-3"], ['"1"', "null", "true", "[]"]),
    ("float", ["0.10"], ['"0.10"']),
    (Decimal, ["79228162514264337593543950335", "0.1"], ['"0.1"', "null"]),
    (bool, ["true", "false"], ["0", '"true"', "null"]),
    (
        datetime,
        ['"2026-01-02T03:04:05Z"', '"2026-01-02T03:04:05.1234567+02:00"', '"2026-01-02"'],
        ['"2026-02-30"', '"2026-01-02 03:04:05"', '"yesterday"', "1700000000", "null"],
    ),
    ("DateTimeOffset", ['"2026-01-02T03:04:05+02:00"'], ['"x"']),
    (
        UUID,
        [GUID, GUID.upper()],
        ['"2f85e3c666d248a38ff731a65073558b"', f'"{"z" * 36}"', "1", "null"],
    ),
    (bytes, ['"AQID"', '""', '"AQ=="'], ['"AQ="', '"*"', "[1]", "null"]),
    (Any, ["1", "null", "[]", "{}", '"x"'], []),
    (object, ["null", "{}"], []),
    ("OBJECT", ["null"], []),
    (list, ["[]", '[1,"x",null]'], ["{}", '"[]"', "null"]),
    (list[int], ["[]", "[1,2]"], ['["1"]', "[1.5]", "{}", "1"]),
    (list[list[str]], ['[["a"],[]]'], ['["a"]', "[[[]]]"]),
    (int | None, ["1", "null"], ["1.5", '"x"']),
    (
        Message,
        [
            '{"name":"n"}',
            '{"NAME":"n","extra":[1]}',
            '{"name":"n","sentAt":"2026-01-02T03:04:05Z"}',
        ],
        ["{}", '{"name":1}', '{"name":"n","sentAt":"x"}', "[]", "null", '"n"'],
    ),
    (Point, ['{"x":1}', '{"X":1,"Y":2}'], ['{"y":1}', '{"x":"1"}', "[1,2]", "null"]),
    (Titled, ['{"title":"t"}', '{"Title":"t","more":1}'], ["{}", '{"title":1}', "null"]),
    (Message | None, ["null", '{"name":"n"}'], ["[]"]),
]


@pytest.mark.parametrize(
    ("declared", "value"), [(declared, value) for declared, fits, _ in FITS for value in fits]
)
def test_fits(declared: object, value: str) -> None:
    assert receive_type(declared).fits(msgspec.Raw(value.encode()))


@pytest.mark.parametrize(
    ("declared", "value"), [(declared, value) for declared, _, others in FITS for value in others]
)
def test_does_not_fit(declared: object, value: str) -> None:
    assert not receive_type(declared).fits(msgspec.Raw(value.encode()))


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (str, "String"),
        (int, "Int64"),
        ("int", "Int32"),
        ("Int32", "Int32"),
        ("LONG", "Int64"),
        ("System.String", "String"),
        (float, "Double"),
        ("float", "Single"),
        (bool, "Boolean"),
        (Decimal, "Decimal"),
        (datetime, "DateTime"),
        ("datetimeoffset", "DateTimeOffset"),
        (UUID, "Guid"),
        (bytes, "Byte[]"),
        ("byte[]", "Byte[]"),
        (Any, "Object"),
        (object, "Object"),
        (Message, "Message"),
        (list, "Object[]"),
        (list[str], "String[]"),
        (int | None, "Int64"),
    ],
)
def test_is_called_by_its_dotnet_name(declared: object, name: str) -> None:
    """GW-11 shows the types under these names."""
    assert receive_type(declared).name == name


@pytest.mark.parametrize(
    "declared",
    [complex, "strng", "", 5, None, int | str, [str], dict, Broken, BrokenInside, list[complex]],
)
def test_an_unknown_type_is_an_error_with_the_list(declared: object) -> None:
    with pytest.raises(UnknownReceiveType, match=r"known are the types str, int, .* names .*guid"):
        receive_type(declared)


def test_a_class_may_hold_itself() -> None:
    assert receive_type(Tree).fits(msgspec.Raw(b'{"children":[{"children":[]}]}'))


def test_equal_when_declared_alike() -> None:
    assert receive_type(str) == receive_type("string")
    assert receive_type(list[int]) == receive_type(list[int])
    assert receive_type(int) != receive_type("int")
    assert receive_type(int) != receive_type(int | None)
    assert receive_type(Message) != receive_type(Point)


def test_a_misfit_names_counts_and_kinds_but_no_payload() -> None:
    declared = [receive_type(str), receive_type(int)]
    assert misfit(declared, json_payload(b'["hush"]')) == "expected 2 arguments, got 1"
    text = "argument 2: expected Int64, got a string"
    assert misfit(declared, json_payload(b'["hush","hush"]')) == text
    assert misfit(declared, json_payload(b"[null,7]")) is None


MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (str, "x"),
        (int, 2**63 - 1),
        ("int", -5),
        (float, 0.5),
        (bool, True),
        (bytes, b"\xff"),
        (datetime, MOMENT),
        ("DateTimeOffset", DateTimeOffset.of(MOMENT)),
        (UUID, UUID(GUID.strip('"'))),
        (Decimal, Decimal("0.10")),
        (list[Decimal], [Decimal("0.10")]),
        (Decimal | None, None),
        (Decimal | None, Decimal(1)),
        (Message, {"Name": "n"}),
        (Any, {1: None}),
    ],
)
def test_what_a_messagepack_hub_sends_of_a_type_fits_it(declared: object, value: object) -> None:
    """M-15: decimals are texts there, and a time with its offset is an array."""
    arguments = MessagePackHubProtocol().encode_arguments([value])
    assert misfit([receive_type(declared)], Payload({"messagepack": arguments})) is None


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (Decimal, "x"),
        (Decimal, "NaN"),
        (Decimal, "ü"),
        ("DateTimeOffset", [MOMENT]),
        ("DateTimeOffset", [MOMENT, "x"]),
        ("DateTimeOffset", [1, 60]),
        (datetime, DateTimeOffset.of(MOMENT)),
        (int, 2**63),
        (list[Decimal], ["x"]),
    ],
)
def test_what_does_not_fit_of_a_messagepack_hub(declared: object, value: object) -> None:
    arguments = MessagePackHubProtocol().encode_arguments([value])
    reason = misfit([receive_type(declared)], Payload({"messagepack": arguments}))
    assert reason is not None
    assert reason.startswith("argument 1: expected ")


@given(st.integers())
def test_whole_numbers_fit_by_range(number: int) -> None:
    value = msgspec.Raw(str(number).encode())
    assert receive_type("int").fits(value) == (-(2**31) <= number < 2**31)
    assert receive_type(int).fits(value) == (-(2**63) <= number < 2**63)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON_VALUES, st.sampled_from([declared for declared, _, _ in FITS]))
def test_any_value_gets_an_answer(value: object, declared: object) -> None:
    assert receive_type(declared).fits(msgspec.Raw(msgspec.json.encode(value))) in (True, False)
