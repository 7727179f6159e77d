"""Writes values as JSON payloads with .NET's conventions (J-14…J-18).

Where msgspec's habits differ (names of members, Decimal, timedelta, enums, NaN) .NET's win. The
mirror image, JSON → declared types, is ``binding``.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Raw

from . import json_scalars
from .errors import LocalProtocolError
from .messages import VOID
from .naming import camel_case, has_members, members_of
from .number_types import Single

_encode: Final = msgspec.json.Encoder().encode
FAILURES: Final = (ValueError, TypeError, RecursionError)
NATIVE: Final = frozenset({str, int, bool, type(None)})
"""Types that msgspec writes as .NET does; none can hold a Raw, and so no record separator."""


def encode_value(value: Any) -> Raw:
    """One payload. Raises LocalProtocolError naming the type that has no JSON form."""
    if type(value) is Raw:
        return value
    try:
        return Raw(_encode(wire_value(value)))
    except FAILURES as error:
        raise unwritable(error) from error


def encode_arguments(values: Sequence[Any]) -> Raw:
    """A JSON array of ``values``. Raises LocalProtocolError."""
    try:
        for value in values:
            if type(value) not in NATIVE:
                return Raw(_encode([wire_value(value) for value in values]))
        return Raw(_encode(values))
    except FAILURES as error:
        raise unwritable(error) from error


def unwritable(error: Exception) -> LocalProtocolError:
    """What to raise from one of FAILURES."""
    if isinstance(error, RecursionError):
        error.__traceback__ = None  # a log need not hold the same lines a thousand times
    return LocalProtocolError(f"A value cannot be written as JSON: {error}")


def wire_value(value: Any) -> Any:
    """``value`` in terms of what msgspec writes just as .NET does. Raises any of FAILURES."""
    kind = type(value)
    if kind in NATIVE:
        return value
    write = _WRITERS.get(kind)
    return _wire_by_nature(value) if write is None else write(value)


def _wire_by_nature(value: Any) -> Any:
    kind: Any = type(value)
    if has_members(kind):
        return {
            member.wire_name(camel_case): wire_value(getattr(value, member.attribute))
            for member in members_of(kind)
        }
    if isinstance(value, Enum):
        return wire_value(value.value)
    for base, write in _WRITERS.items():
        if isinstance(value, base):
            return write(value)
    if isinstance(value, str):  # and the subclasses of what is native
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, Mapping):
        return _wire_mapping(value)
    if isinstance(value, Iterable):
        return _wire_iterable(value)
    raise LocalProtocolError(f"A value of type {type(value).__name__} cannot be written as JSON.")


def _wire_float(value: float) -> float:
    if not math.isfinite(value):  # msgspec would silently write null
        raise ValueError(f"{value} is no JSON number")
    return float(value)


def _wire_raw(value: Raw) -> Raw:
    if value == VOID:  # would leave a gap among the values around it
        raise ValueError("a call without a result has given no value")
    return value


def _wire_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    """Keys are written as they are (J-14), those that are no strings as .NET spells them."""
    return {_key(key): wire_value(item) for key, item in value.items()}


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)  # also of an enum whose members are texts
    if isinstance(key, Enum) and key.name in type(key).__members__:  # a mix of flags has no name
        return key.name
    plain = wire_value(key)
    if isinstance(plain, Raw):
        return bytes(plain).decode()
    if isinstance(plain, bool):
        return str(plain)
    if isinstance(plain, str | int | float):
        return str(plain)
    raise LocalProtocolError(f"A key of type {type(key).__name__} cannot be written as JSON.")


def _wire_iterable(value: Iterable[Any]) -> list[Any]:
    return [wire_value(item) for item in value]


_WRITERS: Final[dict[type, Callable[[Any], Any]]] = {
    Raw: _wire_raw,
    float: _wire_float,
    Single: lambda value: _wire_float(value.shortest),
    list: _wire_iterable,
    tuple: _wire_iterable,
    dict: _wire_mapping,
    datetime: json_scalars.write_datetime,
    date: date.isoformat,
    time: json_scalars.write_time,
    timedelta: json_scalars.write_timedelta,
    UUID: str,
    Decimal: lambda value: Raw(json_scalars.write_decimal(value).encode()),
    bytes: json_scalars.write_bytes,
    bytearray: json_scalars.write_bytes,
    memoryview: json_scalars.write_bytes,
}
