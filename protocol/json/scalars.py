"""The JSON text of values that JSON has no type for, as System.Text.Json spells it (J-15…J-17).

Reading is as strict as in .NET, although msgspec or Python would accept more. A ``read_`` function
takes the decoded JSON string and raises ValueError if .NET would refuse it. A ``write_`` function
returns the string. The two functions for decimals take and return the text of a JSON number. .NET
keeps units of 100 ns, Python keeps microseconds, so reading drops the last digit of .NET.
"""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    InvalidOperation,
)
from typing import Any, Final
from uuid import UUID

from ..values.dotnet_types import Char, DateTimeOffset

_DATETIME: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:T(?P<time>\d{2}:\d{2})(?::(?P<seconds>\d{2})(?:\.(?P<fraction>\d{1,16}))?)?"
    r"(?P<zone>Z|[+-]\d{2}:\d{2})?)?\Z",
    re.ASCII,
)
_TIMEDELTA: Final = re.compile(
    r"(?P<sign>-)?(?:(?P<alone>\d{1,8})|(?:(?P<days>\d{1,8})\.)?"
    r"(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?)\Z",
    re.ASCII,
)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_WHITE_SPACE: Final = str.maketrans("", "", " \t\r\n")
_LONGEST_TIMEDELTA: Final = timedelta(
    days=10675199, hours=2, minutes=48, seconds=5, microseconds=477580
)
_DECIMAL_LIMIT: Final = Decimal(2**96 - 1)  # of the digits, read as a whole number
_DECIMAL_PLACES: Final = 28
_EXACT: Final = Context(prec=40, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)


def _microseconds(fraction: str | None) -> int:
    return int((fraction or "0").ljust(6, "0")[:6])


def read_datetime(text: str) -> datetime:
    """Reads ISO 8601 as .NET does: with ``T`` and not a space, and with offsets like ``+02:00``.

    A date without a time is read as midnight.
    """
    match = _DATETIME.match(text)
    if match is None:
        raise ValueError("not an ISO 8601 date and time")
    moment = datetime.fromisoformat(
        f"{match['date']}T{match['time'] or '00:00'}:{match['seconds'] or '00'}"
    )
    moment = moment.replace(microsecond=_microseconds(match["fraction"]))
    zone = match["zone"]
    if zone is None:
        return moment
    if zone == "Z":
        return moment.replace(tzinfo=UTC)
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    if offset > timedelta(hours=14) or int(zone[4:6]) > 59:
        raise ValueError("no such offset")
    return moment.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset))


def write_datetime(moment: datetime) -> str:
    """``2024-02-29T12:30:45.12Z``: without trailing zeros, and without an offset if naive.

    UTC is written as ``Z`` for a datetime and as ``+00:00`` for a DateTimeOffset.
    """
    # Not moment.replace: from Python 3.13 on it calls the constructor of the subclass, and the
    # constructor of DateTimeOffset requires a tzinfo.
    text = datetime.combine(moment.date(), moment.time().replace(microsecond=0)).isoformat()
    if moment.microsecond:
        text += f".{moment.microsecond:06}".rstrip("0")
    offset = moment.utcoffset()
    if offset is None:
        return text
    if moment.tzinfo is UTC and not isinstance(moment, DateTimeOffset):
        return text + "Z"
    minutes = int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{text}{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def read_date(text: str) -> date:
    """``2024-02-29`` and no other form."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        raise ValueError("not a date")
    return date.fromisoformat(text)


def read_timedelta(text: str) -> timedelta:
    """Reads ``[-][d.]hh:mm[:ss[.fffffff]]`` or a number of days, at most 29,000 years."""
    match = _TIMEDELTA.match(text)
    if match is None:
        raise ValueError("not a time span")
    hours, minutes, seconds = (int(match[part] or 0) for part in ("hours", "minutes", "seconds"))
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError("not a time span")
    span = timedelta(
        days=int(match["alone"] or match["days"] or 0),
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        microseconds=_microseconds(match["fraction"]),
    )
    require_in_range(span)
    return -span if match["sign"] else span


def require_in_range(span: timedelta) -> None:
    """Raises ValueError for a positive ``span`` above the maximum of .NET's TimeSpan."""
    if span > _LONGEST_TIMEDELTA:
        raise ValueError("out of range for a time span")


def write_timedelta(span: timedelta) -> str:
    """``[-][d.]hh:mm:ss[.fffffff]``: seven digits or none (J-17).

    Raises ValueError beyond 29,000 years.
    """
    sign = "-" if span < timedelta(0) else ""
    span = abs(span)
    require_in_range(span)
    minutes, seconds = divmod(span.seconds, 60)
    days = f"{span.days}." if span.days else ""
    fraction = f".{span.microseconds:06}0" if span.microseconds else ""
    return f"{sign}{days}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"


def read_time(text: str) -> time:
    """``hh:mm[:ss[.fffffff]]`` within one day."""
    if text.startswith("-") or ":" not in text or "." in text.split(":")[0]:
        raise ValueError("not a time of day")
    return (datetime(1, 1, 1) + read_timedelta(text)).time()  # noqa: DTZ001 - only its time is used


def write_time(moment: time) -> str:
    """``hh:mm:ss[.fffffff]``."""
    fraction = f".{moment.microsecond:06}0" if moment.microsecond else ""
    return moment.strftime("%H:%M:%S") + fraction


def read_uuid(text: str) -> UUID:
    """36 characters with dashes, in upper or lower case."""
    if not _UUID.match(text):
        raise ValueError("not a GUID")
    return UUID(text)


def read_bytes(text: str) -> bytes:
    """Standard base64 with padding; white space is skipped."""
    try:
        return base64.b64decode(text.translate(_WHITE_SPACE), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def write_bytes(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode("ascii")


def read_decimal(number: str) -> Decimal:
    """A JSON number in the range of .NET's decimal, rounded to its precision (J-15)."""
    try:
        return _dotnet_decimal(Decimal(number))
    except InvalidOperation as error:  # the exponent is too large even for Python
        raise ValueError("out of range for a decimal") from error


def write_decimal(value: Decimal) -> str:
    """A JSON number that keeps trailing zeros: ``1.50``. Raises ValueError beyond .NET's range."""
    return format(_dotnet_decimal(value), "f")


def _dotnet_decimal(value: Decimal) -> Decimal:
    """``value`` rounded to .NET's precision: digits of 96 bits, at most 28 after the point.

    Python's Decimal has no such limit: a few bytes could become a text of a gigabyte.
    """
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is not a JSON number")
    magnitude = value.adjusted() if value else 0
    if magnitude <= _DECIMAL_PLACES:
        fewest = min(0, max(exponent, -_DECIMAL_PLACES, magnitude - _DECIMAL_PLACES))
        # If the digits need more than 96 bits, the second try has one decimal place fewer.
        for exponent in range(fewest, min(fewest + 2, 1)):
            rounded = value.quantize(Decimal((0, (1,), exponent)), context=_EXACT)
            if rounded.scaleb(-exponent, _EXACT).copy_abs() <= _DECIMAL_LIMIT:
                return rounded
    raise ValueError("out of range for a decimal")


READERS: Final[dict[type, Callable[[str], Any]]] = {
    bytes: read_bytes,
    Char: Char,
    datetime: read_datetime,
    DateTimeOffset: lambda text: DateTimeOffset.of(read_datetime(text)),
    date: read_date,
    time: read_time,
    timedelta: read_timedelta,
    UUID: read_uuid,
}
"""The readers of types that are JSON strings."""
