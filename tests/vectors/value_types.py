"""The Python types for the types of value vectors, as an application would declare them."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from protocol import (
    Byte,
    Char,
    DateTimeOffset,
    Int16,
    Int32,
    Int64,
    SByte,
    Single,
    UInt16,
    UInt32,
    UInt64,
)


class Color(IntEnum):
    RED = 0
    DARK_BLUE = 10


class Person(Struct):
    first_name: str | None = None
    age: Int32 = 0
    favourite: Color = Color.RED
    friend: "Person | None" = None


class Keyed(Struct, array_like=True):
    """With numbers for keys, as .NET says."""

    number: Int32 = 0
    label: str | None = None


VALUE_TYPES: Final[dict[str, Any]] = {
    "bool": bool,
    "byte": Byte,
    "sbyte": SByte,
    "int16": Int16,
    "uint16": UInt16,
    "int32": Int32,
    "uint32": UInt32,
    "int64": Int64,
    "uint64": UInt64,
    "int32?": Int32 | None,
    "single": Single,
    "double": float,
    "decimal": Decimal,
    "char": Char,
    "string": str,
    "string?": str | None,
    "bytes": bytes,
    "guid": UUID,
    "color": Color,
    "datetime": datetime,
    "datetimeoffset": DateTimeOffset,
    "dateonly": date,
    "timeonly": time,
    "timespan": timedelta,
    "list": list[Int32],
    "list?": list[Int32] | None,
    "dictionary": dict[str, Int32],
    "numbered-dictionary": dict[Int32, str],
    "tuple": tuple[Int32, str],
    "person": Person,
    "keyed": Keyed,
    "object": Any,
}
