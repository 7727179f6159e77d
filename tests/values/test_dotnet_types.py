"""Char and DateTimeOffset: which values they accept, and their form in JSON (J-17, M-15)."""

import copy
import pickle
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from msgspec import Raw

from protocol import ArgumentBindingError, Char, DateTimeOffset
from protocol.json.protocol import JsonHubProtocol

PROTOCOL = JsonHubProtocol()


def zone(minutes: int) -> tzinfo:
    return timezone(timedelta(minutes=minutes))


@pytest.mark.parametrize("text", ["x", "é", "\uffff", "\ud800"])
def test_a_char_is_a_text(text: str) -> None:
    char = Char(text)
    assert (char, type(char), hash(char)) == (text, Char, hash(text))


@pytest.mark.parametrize("text", ["", "ab", "😀"])
def test_a_char_is_one_unit_of_utf16(text: str) -> None:
    with pytest.raises(ValueError, match="not a single UTF-16 unit"):
        Char(text)


def test_an_offset_is_required() -> None:
    with pytest.raises(ValueError, match="tzinfo is missing"):
        DateTimeOffset(2024, 1, 1)
    assert DateTimeOffset(2024, 1, 1, tzinfo=zone(90)).utcoffset() == timedelta(minutes=90)


@pytest.mark.parametrize("offset", [timedelta(hours=14, minutes=1), timedelta(seconds=30)])
def test_offsets_that_dotnet_does_not_have(offset: timedelta) -> None:
    with pytest.raises(ValueError, match="whole minutes, and 14 hours at most"):
        DateTimeOffset(2024, 1, 1, tzinfo=timezone(offset))


def test_of_a_datetime() -> None:
    """The same moment with the same local time; a datetime without an offset is local time."""
    moment = datetime(2024, 1, 1, 12, 30, 45, 6, zone(-90))
    made = DateTimeOffset.of(moment)
    assert (made, made.tzinfo, type(made)) == (moment, moment.tzinfo, DateTimeOffset)
    assert DateTimeOffset.of(made) == made
    naive = datetime(2024, 7, 1, 12)  # noqa: DTZ001 - meant
    assert DateTimeOffset.of(naive) == naive.astimezone()


def test_it_behaves_like_a_datetime() -> None:
    moment = DateTimeOffset(2024, 1, 1, tzinfo=zone(120))
    later = moment + timedelta(hours=1)
    assert (type(later), later.hour) == (DateTimeOffset, 1)
    assert moment.astimezone(UTC) == moment
    assert moment == datetime(2023, 12, 31, 22, tzinfo=UTC)
    for other in (copy.copy(moment), pickle.loads(pickle.dumps(moment))):
        assert (other, type(other), other.utcoffset()) == (
            moment,
            DateTimeOffset,
            timedelta(hours=2),
        )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Char("x"), '"x"'),
        (DateTimeOffset.of(datetime(2024, 1, 1, tzinfo=UTC)), '"2024-01-01T00:00:00+00:00"'),
        (DateTimeOffset(2024, 1, 1, tzinfo=zone(-90)), '"2024-01-01T00:00:00-01:30"'),
    ],
)
def test_json(value: Any, text: str) -> None:
    """J-17: a DateTimeOffset always has a number, where a DateTime in UTC has a Z."""
    assert bytes(PROTOCOL.encode_value(value)).decode() == text
    read = PROTOCOL.value_reader(type(value))(Raw(text.encode()))
    assert (read, type(read), str(read)) == (value, type(value), str(value))
    key = PROTOCOL.value_reader(dict[type(value), int])  # type: ignore[misc]
    assert key(Raw(f"{{{text}:1}}".encode())) == {value: 1}


@pytest.mark.parametrize(
    ("annotation", "text"),
    [(Char, '"xy"'), (Char, "120"), (DateTimeOffset, '"2024-01-01T00:00:00+15:00"')],
)
def test_json_that_does_not_fit(annotation: Any, text: str) -> None:
    with pytest.raises(ArgumentBindingError):
        PROTOCOL.value_reader(annotation)(Raw(text.encode()))


def test_json_without_an_offset_is_local_time() -> None:
    read = PROTOCOL.value_reader(DateTimeOffset)(Raw(b'"2024-07-01T12:00:00"'))
    assert read == datetime(2024, 7, 1, 12).astimezone()
