"""The conformance hub: methods that return their arguments, for each type of value."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import Raw

from protocol import (
    Byte,
    Char,
    DateTimeOffset,
    Hub,
    Int16,
    Int32,
    Int64,
    Single,
    UInt32,
    UInt64,
    hub_method,
)

from .values import Color, Person, Version

# .NET writes the server's local time with a number, not with a Z, although it is UTC there.
_ZERO_OFFSET = timezone(timedelta(0), "+00:00")
_TICKS_PER_MICROSECOND = 10


class EchoMethods(Hub):
    """Each returns its argument."""

    @hub_method
    def echo_bool(self, value: bool) -> bool:
        return value

    @hub_method
    def echo_byte(self, value: Byte) -> int:
        return value

    @hub_method
    def echo_short(self, value: Int16) -> int:
        return value

    @hub_method
    def echo_int(self, value: Int32) -> int:
        return value

    @hub_method("EchoUInt")
    def echo_uint(self, value: UInt32) -> int:
        return value

    @hub_method
    def echo_long(self, value: Int64) -> int:
        return value

    @hub_method("EchoULong")
    def echo_ulong(self, value: UInt64) -> int:
        return value

    @hub_method
    def echo_float(self, value: Single) -> Single:
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
    def echo_date_time(self, value: datetime) -> datetime:
        """A time with an offset comes back in the server's local time (J-17)."""
        if value.tzinfo is None or value.tzinfo is UTC:
            return value
        return value.astimezone(_ZERO_OFFSET)

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
    def echo_uri(self, value: str | None) -> str | None:
        return value

    @hub_method
    def echo_version(self, value: Version | None) -> str | None:
        return value

    @hub_method
    def echo_bytes(self, value: bytes | None) -> bytes | None:
        return value

    @hub_method
    def echo_color(self, value: Color) -> Color:
        return value

    @hub_method
    def echo_nullable_int(self, value: Int32 | None) -> int | None:
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
    def echo_tuple(self, value: tuple[Int32, str | None]) -> tuple[int, str | None]:
        return value

    @hub_method
    def echo_object(self, value: Raw) -> Raw:
        """Whatever came goes back as it came."""
        return value

    @hub_method
    def echo_element(self, value: Raw) -> Raw:
        """JSON only: the argument as it came."""
        return value


@dataclass(frozen=True)
class AllTypes:
    """Values of many types."""

    boolean: bool = True
    integer: int = 42
    long: int = 9007199254740993
    single: Single = field(default=Single(2.5))
    double: float = 0.1
    whole: float = 2.0
    decimal: Decimal = Decimal("12.50")
    text: str = "Grüße <&'+\"\\\u0001\u001e\u2028\U0001f600"
    character: Char = Char("x")  # noqa: RUF009 - it cannot be changed
    utc: datetime = datetime(2024, 2, 29, 12, 30, 45, 120_000, tzinfo=UTC)
    unspecified: datetime = datetime(2024, 2, 29, 12, 30, 45)  # noqa: DTZ001 - meant
    offset: DateTimeOffset = DateTimeOffset(  # noqa: RUF009 - the same
        2024, 2, 29, 12, 30, 45, tzinfo=timezone(timedelta(hours=2))
    )
    span: timedelta = timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=500)
    id: UUID = field(default=UUID("00112233-4455-6677-8899-AABBCCDDEEFF"))
    bytes_: bytes = bytes((1, 2, 255))
    color: Color = Color.BLUE
    nothing: str | None = None
    numbers: tuple[int, ...] = (1, 2, 3)
    map: dict[str, Any] = field(default_factory=lambda: {"KeyAsIs": 1, "other key": None})


class DescribingMethods(Hub):
    """What the server makes of values."""

    @hub_method
    def describe_date_time(self, value: datetime) -> str:
        """Ticks of 100 ns since the year 1, and which time that is."""
        since = value.replace(tzinfo=UTC) - datetime(1, 1, 1, tzinfo=UTC)
        ticks = since // timedelta(microseconds=1) * _TICKS_PER_MICROSECOND
        if value.tzinfo is None:
            return f"{ticks} Unspecified"
        return f"{ticks} {'Utc' if value.tzinfo is UTC else 'Local'}"

    @hub_method
    def all_types(self) -> AllTypes:
        """Values of many types in one answer."""
        return AllTypes()
