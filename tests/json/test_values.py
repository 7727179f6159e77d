"""Values are written as by System.Text.Json (J-14…J-18), except for the form of numbers (J-15)."""

import contextlib
import json
from collections import OrderedDict, deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from protocol import LocalProtocolError, Single
from protocol.json.protocol import JsonHubProtocol
from tests.support.application_types import (
    Address,
    Aliased,
    Color,
    Level,
    Named,
    Node,
    Person,
    Point,
    Renamed,
    Rights,
    Strict,
    Suit,
)

PROTOCOL: Final = JsonHubProtocol()


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


class Real(float):
    pass


class Moment(datetime):
    pass


def numbers() -> Iterator[int]:
    yield from (1, 2)


WRITTEN: Final[list[tuple[Any, str]]] = [
    (None, "null"),
    (True, "true"),
    (42, "42"),
    (-(2**63), "-9223372036854775808"),
    (2**70, "1180591620717411303424"),
    (0.1, "0.1"),
    (Single(0.1), "0.1"),
    (Decimal("12.50"), "12.50"),
    (Decimal("1E+3"), "1000"),
    (Decimal("-0.00"), "-0.00"),
    ("Grüße <&'+", '"Grüße <&\'+"'),
    ('"\\\x01\x1e\n', '"\\"\\\\\\u0001\\u001e\\n"'),
    (b"\x01\x02\xff", '"AQL/"'),
    (bytearray(b"\x01"), '"AQ=="'),
    (memoryview(b"\x01"), '"AQ=="'),
    (datetime(2000, 1, 1, tzinfo=UTC), '"2000-01-01T00:00:00Z"'),
    (datetime(2024, 2, 29, 12, 30, 45, 120000, tzinfo=UTC), '"2024-02-29T12:30:45.12Z"'),
    (datetime(2024, 2, 29, 12, 30, 45), '"2024-02-29T12:30:45"'),  # noqa: DTZ001
    (datetime(2024, 2, 29, 12, 30, 45, 1), '"2024-02-29T12:30:45.000001"'),  # noqa: DTZ001
    (
        datetime(2016, 5, 10, 13, 51, 20, tzinfo=timezone(timedelta(hours=12, minutes=34))),
        '"2016-05-10T13:51:20+12:34"',
    ),
    (
        datetime(2016, 5, 10, 13, 51, 20, tzinfo=timezone(timedelta(minutes=-30))),
        '"2016-05-10T13:51:20-00:30"',
    ),
    (datetime(1, 1, 1), '"0001-01-01T00:00:00"'),  # noqa: DTZ001
    (date(2024, 2, 29), '"2024-02-29"'),
    (time(12, 30, 45), '"12:30:45"'),
    (time(12, 30, 45, 500000), '"12:30:45.5000000"'),
    (timedelta(hours=1, minutes=2, seconds=3), '"01:02:03"'),
    (timedelta(1, 4.5, minutes=3, hours=2), '"1.02:03:04.5000000"'),
    (timedelta(seconds=-1), '"-00:00:01"'),
    (timedelta(days=-1, microseconds=1), '"-23:59:59.9999990"'),
    (UUID("00112233-4455-6677-8899-AABBCCDDEEFF"), '"00112233-4455-6677-8899-aabbccddeeff"'),
    (Color.BLUE, "10"),
    (Level.HIGH, "1"),
    (Rights.READ | Rights.WRITE, "3"),
    (Suit.HEARTS, '"hearts"'),
    ([1, "x", None], '[1,"x",null]'),
    ((1, 2), "[1,2]"),
    ({1}, "[1]"),
    (frozenset(), "[]"),
    (deque([1, 2]), "[1,2]"),
    (range(3), "[0,1,2]"),
    (numbers(), "[1,2]"),
    ({"KeyAsIs": 1, "other_key": None}, '{"KeyAsIs":1,"other_key":null}'),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    ({1: "a", -5: "b"}, '{"1":"a","-5":"b"}'),
    ({UUID(int=0): 1}, '{"00000000-0000-0000-0000-000000000000":1}'),
    (
        Person("Ann", 5, Address("S"), ["a"]),
        '{"name":"Ann","age":5,"homeAddress":{"street":"S","city":null},"tags":["a"]}',
    ),
    (Node(1, Node(2)), '{"value":1,"nextNode":{"value":2,"nextNode":null}}'),
    (Renamed("x"), '{"FirstName":"x"}'),
    (Named(1), '{"$count":1}'),
    (Strict(), '{"firstName":""}'),
    (Point(3), '{"xAxis":3,"labelText":null}'),
    (Aliased(1, 2), '{"plainName":1,"SomethingElse":2}'),
    (
        {"list": [Person("a"), Color.RED]},
        '{"list":[{"name":"a","age":0,"homeAddress":null,"tags":[]},0]}',
    ),
    (Text("x"), '"x"'),
    (Whole(3), "3"),
    (Real(1.5), "1.5"),
    (Moment(2000, 1, 1, tzinfo=UTC), '"2000-01-01T00:00:00Z"'),
    (Raw(b'{"a" : 1.50}'), '{"a" : 1.50}'),
    ([Raw(b"1.50"), Raw(b" [ ] ")], "[1.50, [ ] ]"),
]

REFUSED: Final[list[Any]] = [
    float("nan"),
    float("inf"),
    -float("inf"),
    [float("nan")],
    {"a": float("inf")},
    Person("x", float("nan")),  # type: ignore[arg-type]
    Single(1e39),
    Real("nan"),
    Decimal("NaN"),
    Decimal("Infinity"),
    "\ud800",
    {"\ud800": 1},
    {None: 1},
    {(1, 2): 1},
    object(),
    1j,
    type,
    UNSET,
    [object()],
]


@pytest.mark.parametrize(("value", "expected"), WRITTEN)
def test_written(value: Any, expected: str) -> None:
    assert bytes(PROTOCOL.encode_value(value)).decode() == expected


def test_written_as_arguments() -> None:
    values = [value for value, _ in WRITTEN if not isinstance(value, Iterator)]
    texts = [text for value, text in WRITTEN if not isinstance(value, Iterator)]
    assert bytes(PROTOCOL.encode_arguments(values)).decode() == f"[{','.join(texts)}]"
    assert bytes(PROTOCOL.encode_arguments([])) == b"[]"
    assert bytes(PROTOCOL.encode_arguments([1, "x", None, True])) == b'[1,"x",null,true]'


@pytest.mark.parametrize("value", REFUSED)
def test_refused(value: Any) -> None:
    """J-16, J-21: ASP.NET Core ends the connection in these cases."""
    with pytest.raises(LocalProtocolError):
        PROTOCOL.encode_value(value)
    with pytest.raises(LocalProtocolError):
        PROTOCOL.encode_arguments([1, value])


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(LocalProtocolError):
        PROTOCOL.encode_value(loop)


def test_a_decimal_beyond_dotnets_range_is_refused() -> None:
    """It would be written with a million zeros, and .NET could not read it."""
    with pytest.raises(LocalProtocolError):
        PROTOCOL.encode_value(Decimal("1E+1000000"))


def test_a_void_result_is_no_argument() -> None:
    """``Raw(b"")``, the result of a call without one, has no bytes to write."""
    for values in ([Raw(b"")], [Raw(b""), 1], [1, Raw(b"")]):
        with pytest.raises(LocalProtocolError):
            PROTOCOL.encode_arguments(values)


AWARE: Final = st.datetimes(timezones=st.just(UTC)) | st.datetimes(
    timezones=st.integers(-839, 839).map(lambda minutes: timezone(timedelta(minutes=minutes)))
)
ROUND_TRIPS: Final[list[tuple[Any, st.SearchStrategy[Any]]]] = [
    (datetime, AWARE | st.datetimes()),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas(timedelta(-10675199), timedelta(10675199))),
    (UUID, st.uuids()),
    (bytes, st.binary()),
    (Decimal, st.decimals(-(10**18), 10**18, places=9)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (Single, st.floats(allow_nan=False, allow_infinity=False, width=32).map(Single)),
    (Color, st.sampled_from(Color)),
    (dict[int, str], st.dictionaries(st.integers(), st.text())),
    (dict[UUID, int], st.dictionaries(st.uuids(), st.integers())),
    (Person, st.builds(Person, st.text(), st.integers(), st.none() | st.builds(Address))),
    (Point, st.builds(Point, st.integers(), st.none() | st.text())),
]


@pytest.mark.parametrize(
    ("annotation", "values"), ROUND_TRIPS, ids=[str(annotation) for annotation, _ in ROUND_TRIPS]
)
@given(data=st.data())
def test_what_is_written_reads_back_equal(
    annotation: Any, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    assert PROTOCOL.value_reader(annotation)(PROTOCOL.encode_value(value)) == value


@pytest.mark.parametrize(
    "value",
    [b"\x81\xa1a\x01", b"\xc4\x01\x1e", b"\x1e", b'"', b"[", b"{", b"t", b"-", b"\xff", b" "],
)
def test_a_raw_of_another_hub_protocol(value: bytes) -> None:
    """Bytes of a MessagePack client must not end the connections of JSON clients."""
    raw = Raw(value)
    with pytest.raises(LocalProtocolError, match="is not JSON"):
        PROTOCOL.encode_arguments(["text", [raw]])
    with pytest.raises(LocalProtocolError, match="is not JSON"):
        PROTOCOL.encode_result("1", raw)


@given(st.binary(min_size=1, max_size=1) | st.none() | st.integers(-(2**63), 2**64 - 1) | st.text())
def test_no_messagepack_is_accepted_as_json(value: object) -> None:
    raw = Raw(msgspec.msgpack.encode(value))
    with contextlib.suppress(LocalProtocolError):
        json.loads(bytes(PROTOCOL.encode_arguments([raw])))
