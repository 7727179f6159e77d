"""The hub of `dotnet/chat-hub/ValuesHub.cs` in Python, with an echo method for each type."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from protocol import (
    Byte,
    Char,
    DateTimeOffset,
    Hub,
    Int16,
    Int32,
    Int64,
    SByte,
    Single,
    UInt16,
    UInt32,
    UInt64,
    hub_method,
)
from tests.vectors.value_types import Color, Person


class ValuesHub(Hub):
    @hub_method
    def echo_bool(self, value: bool) -> bool:
        return value

    @hub_method
    def echo_byte(self, value: Byte) -> int:
        return value

    @hub_method("EchoSByte")
    def echo_sbyte(self, value: SByte) -> int:
        return value

    @hub_method
    def echo_int16(self, value: Int16) -> int:
        return value

    @hub_method("EchoUInt16")
    def echo_uint16(self, value: UInt16) -> int:
        return value

    @hub_method
    def echo_int32(self, value: Int32) -> int:
        return value

    @hub_method("EchoUInt32")
    def echo_uint32(self, value: UInt32) -> int:
        return value

    @hub_method
    def echo_int64(self, value: Int64) -> int:
        return value

    @hub_method("EchoUInt64")
    def echo_uint64(self, value: UInt64) -> int:
        return value

    @hub_method
    def echo_single(self, value: Single) -> Single:
        return value

    @hub_method
    def echo_double(self, value: float) -> float:
        return value

    @hub_method
    def echo_decimal(self, value: Decimal) -> Decimal:
        return value

    @hub_method
    def echo_char(self, value: Char) -> Char:
        return value

    @hub_method
    def echo_string(self, value: str | None) -> str | None:
        return value

    @hub_method
    def echo_bytes(self, value: bytes | None) -> bytes | None:
        return value

    @hub_method
    def echo_date_time(self, value: datetime) -> datetime:
        return value

    @hub_method
    def echo_date_time_offset(self, value: DateTimeOffset) -> DateTimeOffset:
        return value

    @hub_method
    def echo_date_only(self, value: date) -> date:
        return value

    @hub_method
    def echo_time_only(self, value: time) -> time:
        return value

    @hub_method
    def echo_time_span(self, value: timedelta) -> timedelta:
        return value

    @hub_method
    def echo_guid(self, value: UUID) -> UUID:
        return value

    @hub_method
    def echo_color(self, value: Color) -> Color:
        return value

    @hub_method
    def echo_nullable(self, value: Int32 | None) -> int | None:
        return value

    @hub_method
    def echo_list(self, value: list[Int32] | None) -> list[int] | None:
        return value

    @hub_method
    def echo_array(self, value: list[str | None] | None) -> list[str | None] | None:
        return value

    @hub_method
    def echo_dictionary(self, value: dict[str, Int32] | None) -> dict[str, int] | None:
        return value

    @hub_method
    def echo_int_dictionary(
        self, value: dict[Int32, str | None] | None
    ) -> dict[int, str | None] | None:
        return value

    @hub_method
    def echo_person(self, value: Person | None) -> Person | None:
        return value

    @hub_method
    def echo_object(self, value: Any) -> Any:
        return value
