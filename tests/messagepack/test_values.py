"""Values are written to MessagePack and read back (M-11…M-16); ``spec-fixtures`` has the bytes."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntFlag, StrEnum
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from protocol import ArgumentBindingError, Char, DateTimeOffset, LocalProtocolError, Single
from protocol.json.protocol import JsonHubProtocol
from protocol.messagepack.protocol import MessagePackHubProtocol
from tests.support import strategies
from tests.vectors.value_types import VALUE_TYPES, Color, Keyed, Person

PROTOCOL: Final = MessagePackHubProtocol()
JSON: Final = JsonHubProtocol()

ROUND_TRIPS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": strategies.INT64,
    "uint64": st.integers(0, 2**64 - 1),
    "single": st.floats(width=32, allow_nan=False).map(Single),
    "double": st.floats(allow_nan=False),
    "decimal": st.decimals(-(10**20), 10**20, places=4),
    "char": st.characters(max_codepoint=0xFFFF).map(Char),
    "string?": st.none() | st.text(),
    "bytes": st.binary(),
    "guid": st.uuids(),
    "color": st.sampled_from(Color),
    "datetime": st.datetimes().map(lambda it: it.replace(tzinfo=UTC)),
    "datetimeoffset": st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)).flatmap(  # noqa: DTZ001
        lambda it: st.integers(-14 * 60, 14 * 60).map(
            lambda offset: DateTimeOffset.of(it.replace(tzinfo=timezone(timedelta(minutes=offset))))
        )
    ),
    "dateonly": st.dates(),
    "timeonly": st.times(),
    "timespan": st.timedeltas(timedelta(days=-10_000_000), timedelta(days=10_000_000)),
    "list": st.lists(st.integers(-(2**31), 2**31 - 1)),
    "dictionary": st.dictionaries(st.text(), st.integers(-(2**31), 2**31 - 1)),
    "numbered-dictionary": st.dictionaries(st.integers(-(2**31), 2**31 - 1), st.text()),
    "tuple": st.tuples(st.integers(-(2**31), 2**31 - 1), st.text()),
    "person": st.builds(
        Person,
        first_name=st.none() | st.text(),
        age=st.integers(0, 200),
        favourite=st.sampled_from(Color),
        friend=st.none() | st.builds(Person, first_name=st.text()),
    ),
    "keyed": st.builds(Keyed, number=st.integers(0, 9), label=st.none() | st.text()),
    "object": strategies.MESSAGEPACK_VALUES,
}


@pytest.mark.parametrize("type_name", ROUND_TRIPS)
@given(st.data())
def test_values_come_back_equal(type_name: str, data: st.DataObject) -> None:
    """M-11…M-16. JSON returns the same value, except where it has no form for it."""
    value, annotation = data.draw(ROUND_TRIPS[type_name]), VALUE_TYPES[type_name]
    (returned,) = PROTOCOL.arguments_reader([annotation])(PROTOCOL.encode_arguments([value]))
    assert (returned, type(returned)) == (value, type(value))
    assert PROTOCOL.value_reader(annotation)(PROTOCOL.encode_value(value)) == value
    if type_name not in ("object", "double", "single", "char"):
        assert JSON.value_reader(annotation)(JSON.encode_value(value)) == value


class Access(IntFlag):
    READ = 1
    WRITE = 2


class Suit(StrEnum):
    HEARTS = "hearts"


class Shape(Enum):
    """One member has a name that does not follow the convention."""

    RGB = 1
    PlainCircle = 2
    ROUND = 2

    @property
    def wire_name(self) -> str | None:
        return "RGB" if self is Shape.RGB else None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Color.DARK_BLUE, "DarkBlue"),
        (Suit.HEARTS, "hearts"),
        (Shape.RGB, "RGB"),
        (Shape.PlainCircle, "PlainCircle"),
        (Access.READ, "Read"),
        (Access.READ | Access.WRITE, "Read, Write"),
        (Access(0), "0"),
    ],
)
def test_enums(value: Enum, text: str) -> None:
    """M-12: by .NET's names, combined flags by several, values without a name by number."""
    payload = PROTOCOL.encode_value(value)
    assert PROTOCOL.value_reader(str)(payload) == text
    assert PROTOCOL.value_reader(type(value))(payload) is value


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [
        (Shape, "Round", Shape.PlainCircle),
        (Access, "Write,Read", Access.READ | Access.WRITE),
        (Access, "3", Access.READ | Access.WRITE),
        (Color, "+10", Color.DARK_BLUE),
    ],
)
def test_other_names_of_enums(annotation: type[Enum], text: str, expected: Enum) -> None:
    assert PROTOCOL.value_reader(annotation)(PROTOCOL.encode_value(text)) == expected


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(Suit, "HEARTS"), (Suit, "Hearts"), (Shape, "rgb"), (Access, "Read, Other"), (Color, "Red,")],
)
def test_names_that_enums_do_not_have(annotation: type[Enum], text: str) -> None:
    with pytest.raises(ArgumentBindingError):
        PROTOCOL.value_reader(annotation)(PROTOCOL.encode_value(text))


def test_the_last_value_of_a_key_given_twice_counts() -> None:
    """M-16: in a declared dict it is an error, and for .NET also in an object."""
    payload = Raw(b"\x82\xa1a\x01\xa1a\x02")
    assert PROTOCOL.value_reader(Any)(payload) == {"a": 2}
    for annotation in (dict[str, int], dict, dict[Any, Any]):
        with pytest.raises(ArgumentBindingError):
            PROTOCOL.value_reader(annotation)(payload)


def test_datetime_reads_an_offset_too() -> None:
    """M-15: both types of .NET are read; which one is written depends on the type alone."""
    moment = PROTOCOL.value_reader(datetime)(Raw(bytes.fromhex("92d6ff386d438078")))
    assert moment == datetime(2000, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert bytes(PROTOCOL.encode_value(moment)).hex() == "92d6ff386d438078"
    plain = datetime(2000, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert bytes(PROTOCOL.encode_value(plain)).hex() == "d6ff386d2760"


@given(st.text(), st.integers(0, 3), st.data())
def test_bad_utf8_becomes_the_replacement_character(
    text: str, place: int, data: st.DataObject
) -> None:
    """M-10: wherever it is; msgspec alone raises an error."""
    broken = text.encode()[:20] + data.draw(st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\xc3"]))
    packed = bytes([0xA0 | len(broken)]) + broken
    shown = broken.decode("utf-8", "replace")
    payloads: list[tuple[bytes, Any, Any]] = [
        (packed, str, shown),
        (b"\x92\x01" + packed, Any, [1, shown]),
        (b"\x81\xa1k\x91" + packed, Any, {"k": [shown]}),
        (b"\x81" + packed + b"\xcb" + bytes(8), Any, {shown: 0.0}),
    ]
    payload, annotation, expected = payloads[place]
    assert PROTOCOL.value_reader(annotation)(Raw(payload)) == expected


def test_types_of_the_standard_library_are_written_as_dotnets() -> None:
    """M-14, M-15: one example of each form, in hex."""
    written: list[tuple[Any, str]] = [
        (datetime(2000, 1, 1), "d6ff386d4380"),  # noqa: DTZ001 - written as it is
        (datetime(2000, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), "d6ff386d4380"),
        (date(1, 1, 2), "01"),
        (time(0, 0, 1), "ce00989680"),
        (timedelta(microseconds=-1), "f6"),
        (UUID(int=1), "d924" + b"00000000-0000-0000-0000-000000000001".hex()),
        (Decimal("1E+2"), "a3313030"),
        (Single(1), "ca3f800000"),
        (Char("中"), "cd4e2d"),
        (bytearray(b"x"), "c40178"),
        ({Color.RED: True}, "81a3526564c3"),
        ({Single(1): Char("x")}, "81ca3f80000078"),
        ({(1, 2): {3}}, "8192010291" + "03"),
        (Color.DARK_BLUE, "a84461726b426c7565"),
    ]
    for value, expected in written:
        assert bytes(PROTOCOL.encode_value(value)).hex() == expected, value


@pytest.mark.parametrize(
    "value", [2**64, -(2**63) - 1, object(), timedelta.max, Decimal("NaN"), {"a": object()}, 1j]
)
def test_values_without_a_form(value: Any) -> None:
    writers: list[Callable[[], object]] = [
        lambda: PROTOCOL.encode_value(value),
        lambda: PROTOCOL.encode_arguments([value]),
        lambda: PROTOCOL.encode_result("1", value),
    ]
    for write in writers:
        with pytest.raises(LocalProtocolError):
            write()


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(LocalProtocolError):
        PROTOCOL.encode_value(endless)
