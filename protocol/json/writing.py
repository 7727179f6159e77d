"""Writes single values as JSON with .NET's conventions (J-14…J-18).

The JSON part of ``values.writing``. msgspec writes integers and texts as .NET does. Names, keys,
enums and floats are converted here. Values that JSON has no type for are left to ``scalars``.
"""

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Final
from uuid import UUID

import msgspec
from msgspec import Raw

from ..errors import LocalProtocolError
from ..values.naming import camel_case
from ..values.number_types import Single
from ..values.other_types import full_name
from ..values.writing import ValueWriter, require_value
from . import scalars


def _write_float(value: float) -> float:
    if not math.isfinite(value):  # msgspec would silently write null
        raise ValueError(f"{value} is not a JSON number")
    return float(value)


_FIRST_BYTES: Final = frozenset(b' \t\r\n"{[-0123456789tfn')


def _require_json(value: Raw) -> Raw:
    """Returns ``value``. Raises ValueError if its first byte shows that it is not JSON.

    This check keeps the MessagePack of one client out of the JSON records for another client: a
    MessagePack value of several bytes begins with a byte that cannot begin JSON. Only a single byte
    from 0x30 to 0x39 is valid in both; it passes as a digit.
    """
    first = memoryview(require_value(value))[0]
    if first not in _FIRST_BYTES or (len(value) == 1 and not 0x30 <= first <= 0x39):
        raise ValueError("a Raw is not JSON; pass a value of another hub protocol as a Payload")
    return value


class JsonWriter(ValueWriter):
    """See ValueWriter. A ``native`` value contains no Raw, so its JSON has no record separator."""

    format: ClassVar[str] = "JSON"
    protocol_name: ClassVar[str] = "json"
    native: ClassVar[frozenset[type]] = frozenset({str, int, bool, type(None)})
    leaves: ClassVar[Mapping[type, Callable[[Any], Any]]] = {
        float: _write_float,
        Single: lambda value: _write_float(value.shortest),
        datetime: scalars.write_datetime,
        date: date.isoformat,
        time: scalars.write_time,
        timedelta: scalars.write_timedelta,
        UUID: str,
        Decimal: lambda value: Raw(scalars.write_decimal(value).encode()),
        bytes: scalars.write_bytes,
        bytearray: scalars.write_bytes,
        memoryview: scalars.write_bytes,
    }

    encode = staticmethod(msgspec.json.Encoder().encode)
    raw = staticmethod(_require_json)

    def mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        """A str key is written unchanged, any other key as .NET spells it (J-14)."""
        wire_value, name = self.wire_value, self._key
        written = {
            key if type(key) is str else name(key): wire_value(item) for key, item in value.items()
        }
        if len(written) != len(value):
            raise LocalProtocolError(
                "Two keys of a dict are the same text in JSON, as 1 and '1' are."
            )
        return written

    def _key(self, key: Any) -> str:
        if isinstance(key, str):
            return str.__str__(key)  # not str(), which an enum of texts overrides
        if isinstance(key, Enum) and key.name in type(key).__members__:  # not combined flags
            return key.name
        plain = self.wire_value(key)
        if isinstance(plain, Raw):
            return bytes(plain).decode()
        if isinstance(plain, bool):
            return str(plain)
        if isinstance(plain, str | int | float):
            return str(plain)
        raise LocalProtocolError(f"A key of type {full_name(type(key))} cannot be written as JSON.")

    def members(self, kind: Any, value: Any) -> dict[str, Any]:
        """Names are camelCase (J-14)."""
        return self.named(kind, value, camel_case)

    def enumeration(self, value: Enum) -> Any:
        """The value of the member, which is a number in .NET (J-18)."""
        return self.wire_value(value.value)


WRITER: Final = JsonWriter()
"""The only instance. It has no state."""
