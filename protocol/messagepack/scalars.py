"""The MessagePack form of dates, decimals and other single values (M-14, M-15).

These are the types that msgspec does not read or write as .NET does.

A ``read_`` function takes the bytes of one whole value and raises ValueError or RemoteProtocolError
if .NET would refuse it. A ``write_`` function returns a value that msgspec encodes. .NET keeps
units of 100 ns, Python keeps microseconds, so reading drops the last digit of .NET.
"""

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Raw
from msgspec.msgpack import Ext

from ..json import scalars as json_scalars
from ..json.keys import key_reader
from ..values.dotnet_types import Char, DateTimeOffset
from ..values.number_types import Single
from .scanner import (
    ARRAY,
    scan_extension,
    scan_header,
    scan_integer,
    scan_text,
    scan_value,
)

_TIMESTAMP: Final = -1  # the extension type
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TICKS: Final = 10  # ticks of 100 ns in one microsecond
_TICKS_OF_A_DAY: Final = 24 * 60 * 60 * 10**6 * _TICKS
_SINGLE: Final = struct.Struct(">Bf")
_read_decimal: Final = key_reader(Decimal)  # a decimal is a str, as in a JSON key


def read_text(data: bytes) -> str:
    """A str. Raises ValueError for nil (M-14)."""
    text, _ = scan_text(data, 0)
    if text is None:
        raise ValueError("nil is not a text")
    return text


def _read_integer(data: bytes) -> int:
    return scan_integer(data, 0)[0]


def read_bytes(data: bytes) -> bytes:
    """The bytes of a bin, of a str, or of an array of numbers.

    A ``str 8`` is refused: the old MessagePack format writes bytes as str, but has no ``str 8``.
    """
    if scan_value(data, 0) != len(data):
        raise ValueError("not one whole value")
    code = data[0]
    if 0xC4 <= code <= 0xC6:
        return data[1 + (1 << code - 0xC4) :]
    if 0xA0 <= code < 0xC0:
        return data[1:]
    if 0xDA <= code <= 0xDB:
        return data[1 + (1 << code - 0xD9) :]
    count, position = scan_header(data, 0, ARRAY)
    numbers = bytearray()
    for _ in range(count):
        number, position = scan_integer(data, position)
        numbers.append(number)
    return bytes(numbers)


def _read_timestamp(data: bytes, position: int) -> tuple[datetime, int]:
    kind, payload, end = scan_extension(data, position)
    if kind != _TIMESTAMP:
        raise ValueError("not a timestamp")
    match len(payload):
        case 4:
            seconds, nanoseconds = int.from_bytes(payload), 0
        case 8:
            both = int.from_bytes(payload)
            seconds, nanoseconds = both & (1 << 34) - 1, both >> 34
        case 12:
            seconds = int.from_bytes(payload[4:], signed=True)
            nanoseconds = int.from_bytes(payload[:4])
        case _:
            raise ValueError("not a timestamp")
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000), end


def read_datetime(data: bytes) -> datetime:
    """Reads a DateTime, which is always in UTC, or a DateTimeOffset, which keeps its offset."""
    if data[0] == 0x92:
        return read_offset(data)
    return _read_timestamp(data, 0)[0]


def read_offset(data: bytes) -> DateTimeOffset:
    """Reads an array of the local time, written as a timestamp, and the UTC offset in minutes."""
    count, position = scan_header(data, 0, ARRAY)
    if count != 2:
        raise ValueError("not a time and its offset")
    clock, position = _read_timestamp(data, position)
    minutes, _ = scan_integer(data, position)
    moment = DateTimeOffset.of(clock.replace(tzinfo=timezone(timedelta(minutes=minutes))))
    moment.astimezone(UTC)  # raises OverflowError outside the years 1 to 9999
    return moment


def write_datetime(moment: datetime) -> Ext:
    """A timestamp in the shortest form. A ``moment`` without an offset counts as UTC."""
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    whole, fraction = divmod(moment - _EPOCH, timedelta(seconds=1))
    nanoseconds = fraction.microseconds * 1000
    if whole >> 34:  # true for negative numbers too
        payload = nanoseconds.to_bytes(4) + whole.to_bytes(8, signed=True)
    elif nanoseconds or whole >> 32:
        payload = (nanoseconds << 34 | whole).to_bytes(8)
    else:
        payload = whole.to_bytes(4)
    return Ext(_TIMESTAMP, payload)


def write_offset(moment: DateTimeOffset) -> list[Any]:
    """See read_offset."""
    offset = moment.utcoffset()
    assert offset is not None
    return [write_datetime(moment.replace(tzinfo=UTC)), offset // timedelta(minutes=1)]


def read_date(data: bytes) -> date:
    """A number of days since the first of January of the year 1."""
    return date.fromordinal(_read_integer(data) + 1)


def read_timedelta(data: bytes) -> timedelta:
    """A number of ticks of 100 ns."""
    ticks = _read_integer(data)
    if not -(2**63) <= ticks < 2**63:
        raise ValueError("out of range for a time span")
    span = timedelta(microseconds=abs(ticks) // _TICKS)
    return -span if ticks < 0 else span


def write_timedelta(span: timedelta) -> int:
    """See read_timedelta. Raises ValueError beyond 29,000 years."""
    json_scalars.require_in_range(abs(span))
    return span // _MICROSECOND * _TICKS


def read_time(data: bytes) -> time:
    """A number of ticks of 100 ns since midnight."""
    ticks = _read_integer(data)
    if not 0 <= ticks < _TICKS_OF_A_DAY:
        raise ValueError("not a time of day")
    return (_EPOCH + timedelta(microseconds=ticks // _TICKS)).time()


def write_time(moment: time) -> int:
    """See read_time."""
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return (seconds * 10**6 + moment.microsecond) * _TICKS


def write_single(value: float) -> Raw:
    """A float32."""
    return Raw(_SINGLE.pack(0xCA, value))


READERS: Final[dict[type, Callable[[bytes], Any]]] = {
    bytes: read_bytes,
    datetime: read_datetime,
    DateTimeOffset: read_offset,
    date: read_date,
    time: read_time,
    timedelta: read_timedelta,
    UUID: lambda data: json_scalars.read_uuid(read_text(data)),
    Decimal: lambda data: _read_decimal(read_text(data)),
    Char: lambda data: Char(chr(_read_integer(data))),
}
"""The readers of types that msgspec does not read as .NET does."""

WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    DateTimeOffset: write_offset,
    datetime: write_datetime,
    date: lambda value: value.toordinal() - 1,
    time: write_time,
    timedelta: write_timedelta,
    UUID: str,
    Decimal: json_scalars.write_decimal,
    Char: ord,
    Single: write_single,
}
"""The writers of types that msgspec does not write as .NET does."""
