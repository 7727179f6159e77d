"""Reading payloads into declared types as .NET reads them (J-14…J-18, S-5, S-6).

The expected results were recorded from System.Text.Json. Comments mark where Python's types differ
from .NET's.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Optional
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Raw

from protocol import (
    ArgumentBindingError,
    Byte,
    Int16,
    Int32,
    Int64,
    RemoteProtocolError,
    SByte,
    Single,
    UInt16,
    UInt32,
    UInt64,
)
from protocol.json.protocol import JsonHubProtocol
from protocol.messages import Invocation
from tests.support.application_types import (
    Address,
    Aliased,
    Choosy,
    Color,
    Level,
    Named,
    Node,
    Options,
    Person,
    Point,
    Renamed,
    Required,
    Rights,
    Strict,
    Suit,
    UserId,
)
from tests.support.strategies import PLAIN_VALUES, json_texts

PROTOCOL: Final = JsonHubProtocol()
BINDING_FAILED: Final = (
    "Error binding arguments. Make sure that the types of the provided values match the types of "
    "the hub method being invoked."
)
GUID: Final = UUID("00112233-4455-6677-8899-aabbccddeeff")
INFINITY: Final = float("inf")


def offset(hours: int, minutes: int = 0) -> timezone:
    return timezone(timedelta(hours=hours, minutes=minutes))


def read(annotation: Any, text: str) -> Any:
    return PROTOCOL.value_reader(annotation)(Raw(text.encode()))


ACCEPTED: Final[list[tuple[Any, str, Any]]] = [
    # whole numbers (J-15)
    (int, "1", 1),
    (int, "-0", 0),
    (int, "123456789012345678901234567890", 123456789012345678901234567890),
    (Int32, "2147483647", 2147483647),
    (Int32, "-2147483648", -2147483648),
    (Int64, "9223372036854775807", 9223372036854775807),
    (Int64, "-9223372036854775808", -9223372036854775808),
    (Byte, "255", 255),
    (SByte, "-128", -128),
    (Int16, "-32768", -32768),
    (UInt16, "65535", 65535),
    (UInt32, "4294967295", 4294967295),
    (UInt64, "18446744073709551615", 18446744073709551615),
    (UserId, "5", 5),
    (Annotated[int, Meta(ge=3)], "3", 3),
    # other numbers
    (float, "1", 1.0),
    (float, "1.5", 1.5),
    (float, "0.1000000000000000055", 0.1),
    (float, "123456789012345680", 1.2345678901234568e17),
    (float, "1e400", INFINITY),
    (float, "-1e400", -INFINITY),
    (float, "1" * 400, INFINITY),
    (list[float], "[1e400]", [INFINITY]),
    (dict[str, float], '{"a":1e400}', {"a": INFINITY}),
    (float | None, "1e400", INFINITY),
    (Single, "0.1", Single(0.1)),
    (Single, "16777217", Single(16777216)),
    (Single, "1e39", Single(INFINITY)),
    (Decimal, "1", Decimal("1")),
    (Decimal, "1.50", Decimal("1.50")),
    (Decimal, "1e3", Decimal("1000")),
    (Decimal, "79228162514264337593543950335", Decimal("79228162514264337593543950335")),
    (Decimal, "-79228162514264337593543950335", Decimal("-79228162514264337593543950335")),
    (Decimal, "0.0000000000000000000000000001", Decimal("1e-28")),
    (Decimal, "1e-400", Decimal(0)),
    (Decimal, "0e999999999", Decimal(0)),
    (bool, "true", True),
    (bool, "false", False),
    # texts
    (str, '"x"', "x"),
    (str, '""', ""),
    (str, '"\\u00fc\\ud83d\\ude00"', "ü😀"),
    (Annotated[str, Meta(max_length=2)], '"ab"', "ab"),
    # null
    (Optional[int], "null", None),  # noqa: UP045 - the other spelling
    (int | None, "5", 5),
    (Int32 | None, "null", None),
    (bytes | None, "null", None),
    (datetime | None, "null", None),
    (Person | None, "null", None),
    (list[int] | None, "null", None),
    (None, "null", None),
    # plain values
    (Any, '{"B":1.50,"a":[null,true]}', {"B": 1.5, "a": [None, True]}),
    (Any, "1e400", INFINITY),
    (Any, '{"a":[1e400,"x"]}', {"a": [INFINITY, "x"]}),
    (Any, "99999999999999999999", 99999999999999999999),
    (object, '"x"', "x"),
    # base64 (J-17)
    (bytes, '"AQL/"', b"\x01\x02\xff"),
    (bytes, '""', b""),
    (bytes, '"AQ=="', b"\x01"),
    (bytes, '"A Q=="', b"\x01"),
    (bytes, '"AQ==\\n"', b"\x01"),
    # dates and times; .NET's 100 ns are cut to microseconds
    (datetime, '"2024-02-29T12:30:45Z"', datetime(2024, 2, 29, 12, 30, 45, tzinfo=UTC)),
    (datetime, '"2024-02-29T12:30:45"', datetime(2024, 2, 29, 12, 30, 45)),  # noqa: DTZ001
    (datetime, '"2024-02-29T12:30"', datetime(2024, 2, 29, 12, 30)),  # noqa: DTZ001
    (datetime, '"2024-02-29T12:30Z"', datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
    (datetime, '"2024-02-29"', datetime(2024, 2, 29)),  # noqa: DTZ001
    (
        datetime,
        '"2024-02-29T12:30:45.1234567Z"',
        datetime(2024, 2, 29, 12, 30, 45, 123456, tzinfo=UTC),
    ),
    (
        datetime,
        '"2024-02-29T12:30:45.1234567890123456Z"',
        datetime(2024, 2, 29, 12, 30, 45, 123456, tzinfo=UTC),
    ),
    (
        datetime,
        '"2016-05-10T13:51:20.5+12:34"',
        datetime(2016, 5, 10, 13, 51, 20, 500000, tzinfo=offset(12, 34)),
    ),
    (
        datetime,
        '"2024-02-29T12:30:45-00:30"',
        datetime(2024, 2, 29, 12, 30, 45, tzinfo=offset(0, -30)),
    ),
    (datetime, '"0001-01-01T00:00:00"', datetime(1, 1, 1)),  # noqa: DTZ001
    (
        datetime,
        '"9999-12-31T23:59:59.9999999Z"',
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ),
    (datetime, '"\\u0032024-02-29"', datetime(2024, 2, 29)),  # noqa: DTZ001
    (date, '"2024-02-29"', date(2024, 2, 29)),
    (time, '"12:30:45"', time(12, 30, 45)),
    (time, '"12:30:45.5"', time(12, 30, 45, 500000)),
    (time, '"12:30"', time(12, 30)),
    (time, '"1:2:3"', time(1, 2, 3)),
    (timedelta, '"01:02:03"', timedelta(hours=1, minutes=2, seconds=3)),
    (timedelta, '"1.02:03:04.5"', timedelta(1, 4.5, minutes=3, hours=2)),
    (timedelta, '"-00:00:01"', timedelta(seconds=-1)),
    (timedelta, '"-1.02:03:04.5"', -timedelta(1, 4.5, minutes=3, hours=2)),
    (timedelta, '"1:2:3"', timedelta(hours=1, minutes=2, seconds=3)),
    (timedelta, '"01:02"', timedelta(hours=1, minutes=2)),
    (timedelta, '"1.01:02"', timedelta(days=1, hours=1, minutes=2)),
    (timedelta, '"5"', timedelta(days=5)),
    (timedelta, '"-5"', timedelta(days=-5)),
    (timedelta, '"10675199.02:48:05"', timedelta(10675199, 5, hours=2, minutes=48)),
    (UUID, '"00112233-4455-6677-8899-AABBCCDDEEFF"', GUID),
    # enums are numbers (J-18); those whose values are texts are read by them
    (Color, "10", Color.BLUE),
    (Level, "1", Level.HIGH),
    (Level, "-0", Level.LOW),
    (Rights, "3", Rights.READ | Rights.WRITE),
    (Suit, '"hearts"', Suit.HEARTS),
    # collections
    (list[int], "[1,2,3]", [1, 2, 3]),
    (list[int], "[]", []),
    (list, '[1,"x"]', [1, "x"]),
    (set[int], "[1,1]", {1}),
    (frozenset[str], '["a"]', frozenset({"a"})),
    (tuple[int, str], '[1,"x"]', (1, "x")),
    (tuple[int, ...], "[1,2]", (1, 2)),
    (Sequence[int], "[1]", [1]),
    (Iterable[int], "[1]", [1]),
    (list[list[Person]], '[[{"NAME":"a"}]]', [[Person("a")]]),
    (dict[str, int], '{"Key":1,"key":2,"":3}', {"Key": 1, "key": 2, "": 3}),
    (dict[str, int], '{"a":1,"a":2}', {"a": 2}),
    (Mapping[str, int], '{"a":1}', {"a": 1}),
    (dict[int, str], '{"1":"a","-5":"b"}', {1: "a", -5: "b"}),
    (dict[UUID, int], '{"00112233-4455-6677-8899-aabbccddeeff":1}', {GUID: 1}),
    (dict[str, Person], '{"a":{"Name":"x"}}', {"a": Person("x")}),
    (Literal["a", "b"], '"a"', "a"),
    (int | str, "1", 1),
    (int | str, '"x"', "x"),
    # objects (J-14): names in any case, unknown ones skipped, missing ones default
    (
        Person,
        '{"name":"Ann","age":5,"homeAddress":{"street":"S"},"tags":["a"]}',
        Person("Ann", 5, Address("S"), ["a"]),
    ),
    (Person, '{"NAME":"Ann","Age":5,"HOMEADDRESS":null}', Person("Ann", 5)),
    (Person, '{"unknown":[1,{}],"name":"x"}', Person("x")),
    (Person, '{"name":"x","homeAddress":{}}', Person("x", 0, Address())),
    (Person, '{"name":"a","name":"b","Name":"c"}', Person("c")),
    (Person, '{"n\\u0061me":"x"}', Person("x")),
    (Person, '{"name":"x","home_address":{"city":"C"}}', Person("x")),
    (Node, '{"value":1,"nextNode":{"value":2,"NEXTNODE":null}}', Node(1, Node(2))),
    (Renamed, '{"FirstName":"x"}', Renamed("x")),
    (Renamed, '{"firstname":"x"}', Renamed("x")),
    (Named, '{"$COUNT":1}', Named(1)),
    (Strict, '{"FIRSTNAME":"x","other":1}', Strict("x")),
    (Point, '{"xAxis":3,"labelText":"t","zzz":0}', Point(3, "t")),
    (Point, '{"XAXIS":3}', Point(3)),
    (Aliased, '{"plainName":1,"somethingelse":2,"computed":3}', Aliased(1, 2)),
    (Options, '{"PAGESIZE":1,"Sort_By":"x","other":1}', {"pageSize": 1, "sort_by": "x"}),
    (Options, "{}", {}),
    (Required, '{"NAME":"x"}', {"name": "x"}),
]

REFUSED: Final[list[tuple[Any, tuple[str, ...]]]] = [
    (int, ("1.0", "1e0", "1.5", '"1"', "null", "true", "1e400", "[]", "{}", "")),
    (Int32, ("2147483648", "-2147483649", "1.0", "null", "true")),
    (Int64, ("9223372036854775808", "-9223372036854775809")),
    (Byte, ("256", "-1")),
    (SByte, ("128", "-129")),
    (Int16, ("32768",)),
    (UInt16, ("65536", "-1")),
    (UInt32, ("4294967296", "-1")),
    (UInt64, ("18446744073709551616", "-1")),
    (UserId, ('"1"', "1.0")),
    (float, ('"1.5"', '"NaN"', "NaN", "Infinity", "null", "true", "[]")),
    (Single, ('"1"', "null", "NaN")),
    (Decimal, ("79228162514264337593543950336", "1e29", '"1.5"', "null", "true", "1e400")),
    (bool, ("1", '"true"', "null", "0")),
    (str, ("null", "1", "true", "[]", '"\\ud800"', '"\\udc00x"')),
    (Any, ('"\\ud800"', "[1,]", "NaN", "")),
    (Optional[int], ('""', "1.0", "false")),  # noqa: UP045
    (bytes, ('"AQ"', '"AQL_"', '"AQ==="', '"A=Q="', "null", "[1,2,255]", "1")),
    (
        datetime,
        (
            '"2024-02-29 12:30:45"',
            '"2024-02-29T12:30:45+0200"',
            '"2024-02-30T00:00:00"',
            '"2024-02-29T24:00:00"',
            '"2024-02-29T12:30:60"',
            '"2024-02-29T12:30.5"',
            '"2024-02-29T12"',
            '"2024-02-29T"',
            '"2024-02-29T12:30:45."',
            '"2024-02-29T12:30:45,5"',
            '"2024-02-29T12:30:45.12345678901234567Z"',
            '"2024-02-29T12:30:45+15:00"',
            '"2024-02-29T12:30:45+14:01"',
            '"2024-02-29t12:30:45"',
            '"2024-02-29T12:30:45z"',
            '"2024-02-29Z"',
            '"2024-02"',
            '"29.02.2024"',
            '" 2024-02-29"',
            '""',
            "0",
            "null",
        ),
    ),
    (date, ('"2024-02-29T00:00:00"', '"20240229"', '"2024-2-9"', '"2024-02-30"', "null")),
    (time, ('"24:00:00"', '"25:00:00"', '"12"', '"1.12:30:00"', '"-00:00:01"', "null", "5")),
    (
        timedelta,
        (
            '"24:00:00"',
            '"1.24:00:00"',
            '"00:60:00"',
            '"1.2"',
            '"01:02:03.12345678"',
            '"+01:02:03"',
            '" 01:02:03"',
            '"1:2:3:4"',
            '"123:00"',
            '"10675200"',
            '"10675199.02:48:06"',
            '""',
            "5",
            "null",
        ),
    ),
    (
        UUID,
        (
            '"00112233445566778899AABBCCDDEEFF"',
            '"{00112233-4455-6677-8899-AABBCCDDEEFF}"',
            '"urn:uuid:00112233-4455-6677-8899-aabbccddeeff"',
            '""',
            "null",
        ),
    ),
    # .NET accepts any number for an enum; a Python enum has no member for it
    (Color, ("1", "77", "10.0", "false", '"Blue"', '"BLUE"', '"10"', "null", "[1]")),
    (Level, ("2", "1.0", "true", '"HIGH"', '"1"')),
    (Suit, ('"HEARTS"', '"clubs"', "0")),
    (list[int], ("null", "{}", "5", "[1,null]", "[1.0]", '"x"')),
    (set[int], ("{}", "[[1]]")),
    (set[Any], ("[[1]]", "[{}]")),
    (frozenset[list[int]], ("[[1]]",)),
    (tuple[int, str], ("[1]", '[1,"x",2]', '["x",1]')),
    (tuple[()], ("[1]",)),
    (dict[str, int], ("null", "[]", '{"a":"x"}')),
    (dict[int, str], ('{"x":"a"}', '{"1e0":"a"}', '{"5.0":"a"}', '{"":"a"}')),
    (dict[Int32, str], ('{"2147483648":"a"}',)),
    (dict[UUID, int], ('{"x":1}',)),
    (Literal["a", "b"], ('"c"', "1")),
    (Literal[1], ("1.0", "true")),
    (int | str, ("1.5", "null", "true")),
    (None, ("1", "false")),
    (Person, ("{}", "null", "[]", '"x"', '{"name":null}', '{"name":"x","age":"5"}')),
    (Person, ('{"name":"x","age":null}', '{"name":"x","homeAddress":[]}')),
    (Point, ("{}", "[3]", '{"xAxis":"3"}')),
    (Required, ("{}", '{"name":1}')),
    (Choosy, ('{"value":-1}',)),
    (Annotated[int, Meta(ge=3)], ("2",)),
    (Annotated[str, Meta(max_length=2)], ('"abc"',)),
]


@pytest.mark.parametrize(("annotation", "text", "expected"), ACCEPTED)
def test_accepted(annotation: Any, text: str, expected: Any) -> None:
    value = read(annotation, text)
    assert value == expected
    assert type(value) is type(expected)
    assert PROTOCOL.arguments_reader([annotation])(Raw(b"[" + text.encode() + b"]"))[0] == expected


@pytest.mark.parametrize(
    ("annotation", "text"), [(annotation, text) for annotation, texts in REFUSED for text in texts]
)
def test_refused(annotation: Any, text: str) -> None:
    with pytest.raises(ArgumentBindingError):
        read(annotation, text)
    if text:
        with pytest.raises(ArgumentBindingError) as caught:
            PROTOCOL.arguments_reader([annotation])(Raw(b"[" + text.encode() + b"]"))
        assert str(caught.value) == BINDING_FAILED


def test_decimals_are_rounded_to_28_digits_after_the_point() -> None:
    """As .NET rounds them. A number of twenty bytes must not become a text of a gigabyte."""
    assert read(Decimal, "1.123456789012345678901234567890123") == Decimal(
        "1.1234567890123456789012345679"
    )
    for text in ("1e-999999999999", "0e999999999", "1e-29"):
        value = read(Decimal, text)
        assert value == 0
        assert len(bytes(PROTOCOL.encode_value(value))) < 40


def test_a_negative_zero_keeps_its_sign() -> None:
    """J-15: msgspec alone reads it as a whole number."""
    assert str(read(float, "-0")) == str(read(float, "-0.0")) == "-0.0"


def test_a_raw_keeps_its_text_and_not_the_frame_it_came_in() -> None:
    payload = b'{"b" : 0.10, "a":[ ] }'
    frame = b'{"type":1,"target":"M","arguments":[' + payload + b"]}"
    unused = sys.getrefcount(frame)
    message = PROTOCOL.decode(frame)
    assert isinstance(message, Invocation)
    assert sys.getrefcount(frame) > unused
    (value,) = PROTOCOL.arguments_reader([Raw])(message.arguments)
    del message
    assert bytes(value) == payload
    assert sys.getrefcount(frame) == unused


def test_a_raw_is_utf8() -> None:
    """msgspec does not check inside a Raw, and the Raw may be sent in a text frame."""
    with pytest.raises(ArgumentBindingError):
        PROTOCOL.value_reader(Raw)(Raw(b'"\xff"'))


@pytest.mark.parametrize("annotation", [complex, bytearray, type, "int", Raw | complex])
def test_types_without_a_json_form_are_refused_when_declared(annotation: Any) -> None:
    with pytest.raises(TypeError):
        PROTOCOL.value_reader(annotation)
    with pytest.raises(TypeError):
        PROTOCOL.arguments_reader([int, annotation])


class TestArguments:
    def read(self, annotations: Sequence[Any], text: str) -> list[Any]:
        return list(PROTOCOL.arguments_reader(annotations)(Raw(text.encode())))

    def failure(self, annotations: Sequence[Any], text: str) -> str:
        with pytest.raises(ArgumentBindingError) as caught:
            self.read(annotations, text)
        return str(caught.value)

    def test_one_value_per_parameter(self) -> None:
        assert self.read([], "[]") == []
        assert self.read([int, str], ' [ 1 , "x" ] ') == [1, "x"]
        assert self.read([Person, int], '[{"Name":"x"},1]') == [Person("x"), 1]

    @pytest.mark.parametrize(
        ("annotations", "text", "given", "expected"),
        [
            ([int, int], "[1]", 1, 2),
            ([int, int], "[1,2,3]", 3, 2),
            ([int, int], "[]", 0, 2),
            ([], "[1]", 1, 0),
            ([Person, int], '[{"name":"x"}]', 1, 2),
            ([int], '[1,"x",[]]', 3, 1),
        ],
    )
    def test_the_count_has_to_be_exact(
        self, annotations: list[Any], text: str, given: int, expected: int
    ) -> None:
        """S-5: no parameter is optional."""
        assert self.failure(annotations, text) == (
            f"Invocation provides {given} argument(s) but target expects {expected}."
        )

    @pytest.mark.parametrize("text", ['["x"]', '["x",1,2]', '[1,"x"]', "[null]", "[1,null,3]"])
    def test_types_are_checked_before_the_count(self, text: str) -> None:
        """S-6: JSON binds from left to right, and counts at the end."""
        assert self.failure([int, int], text) == BINDING_FAILED

    def test_arguments_beyond_the_parameters_are_only_counted(self) -> None:
        assert self.failure([int, int], '[1,2,"x"]') == (
            "Invocation provides 3 argument(s) but target expects 2."
        )

    @pytest.mark.parametrize("text", ['["\\ud800"]', "[5]", '["x",]', '["x"'])
    def test_broken_text_fails_the_call(self, text: str) -> None:
        """S-6, J-8."""
        assert self.failure([str], text) == BINDING_FAILED

    def test_bytes_that_are_not_utf8_fail_the_call(self) -> None:
        for annotation in (str, Any, Raw, Person, dict[str, str], list[Any]):
            with pytest.raises(ArgumentBindingError) as caught:
                PROTOCOL.arguments_reader([annotation])(Raw(b'["\xff"]'))
            assert str(caught.value) == BINDING_FAILED

    @pytest.mark.parametrize("annotations", [[], [int], [Person, int]])
    @pytest.mark.parametrize("text", ["null", "{}", '"x"', "1", "true"])
    def test_arguments_that_are_not_an_array_are_a_remote_error(
        self, annotations: list[Any], text: str
    ) -> None:
        """J-3: the error ends the connection."""
        with pytest.raises(RemoteProtocolError) as caught:
            self.read(annotations, text)
        assert str(caught.value) == "Expected 'arguments' to be of type Array."
        with pytest.raises(RemoteProtocolError):
            PROTOCOL.require_arguments(Raw(text.encode()))


EVERY_ANNOTATION: Final = list({repr(it): it for it, *_ in (*ACCEPTED, *REFUSED)}.values())
EVERY_READER: Final = [PROTOCOL.value_reader(annotation) for annotation in EVERY_ANNOTATION]


@given(json_texts(PLAIN_VALUES) | st.binary(max_size=20), st.sampled_from(EVERY_READER))
def test_any_payload_is_read_or_does_not_fit(payload: bytes, reader: Any) -> None:
    try:
        reader(Raw(payload))
    except ArgumentBindingError as error:
        assert error.exception_name == "InvalidDataException"  # noqa: PT017 - either is right


@given(PLAIN_VALUES)
def test_plain_values_are_read_as_they_were_written(value: Any) -> None:
    assert PROTOCOL.value_reader(Any)(PROTOCOL.encode_value(value)) == value


def test_alternatives_are_tried_in_their_order() -> None:
    """J-18: ``A | B`` equals ``B | A`` in Python, but their readers differ."""
    for first, second in ((float, Decimal), (Decimal, float)):
        read = PROTOCOL.value_reader(first | second)
        assert type(read(Raw(b"1.5"))) is first
        read = PROTOCOL.value_reader(list[first | second])  # type: ignore[valid-type]
        assert type(read(Raw(b"[1.5]"))[0]) is first
