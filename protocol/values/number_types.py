"""The number types of .NET, for annotations of hub methods and handlers (J-15).

Plain ``int`` accepts any whole number, and plain ``float`` is .NET's ``double``. The types here are
.NET's other number types. Reading and writing them is left to ``binding`` and ``writing`` of
each hub protocol.
"""

import struct
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias, get_args

import msgspec
from msgspec import Meta, Struct


class AtMost(Struct, frozen=True):
    """An inclusive upper bound that is too large for ``msgspec.Meta``."""

    limit: int


Byte: TypeAlias = Annotated[int, Meta(ge=0, le=2**8 - 1)]
SByte: TypeAlias = Annotated[int, Meta(ge=-(2**7), le=2**7 - 1)]
Int16: TypeAlias = Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)]
UInt16: TypeAlias = Annotated[int, Meta(ge=0, le=2**16 - 1)]
Int32: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
UInt32: TypeAlias = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Int64: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
UInt64: TypeAlias = Annotated[int, Meta(ge=0), AtMost(2**64 - 1)]

NAMES: Final[Mapping[Any, str]] = {
    Byte: "Byte",
    SByte: "SByte",
    Int16: "Int16",
    UInt16: "UInt16",
    Int32: "Int32",
    UInt32: "UInt32",
    Int64: "Int64",
    UInt64: "UInt64",
}
"""The names of the types, for error texts."""


def constrain(value: Any, annotation: Any) -> Any:
    """Returns ``value``. Raises ValueError if ``annotation``, an Annotated type, forbids it."""
    value = msgspec.convert(value, annotation)
    limits = [item.limit for item in get_args(annotation)[1:] if isinstance(item, AtMost)]
    if any(value > limit for limit in limits):
        raise ValueError("too large")
    return value


_SINGLE: Final = struct.Struct("<f")
_FORMS: Final = tuple(f"%.{digits}g" for digits in range(10))
_ALWAYS_KEPT: Final = 6  # a float of 32 bits keeps any decimal of this many digits
_LEAST_NORMAL: Final = 2.0**-126  # smaller floats of 32 bits keep fewer digits
_ENOUGH_DIGITS: Final = 9  # two different floats of 32 bits differ in their first 9 digits


class Single(float):
    """.NET's ``float``: a number rounded to 32 bits. A number beyond their range is infinite."""

    __slots__ = ()

    def __new__(cls, value: float) -> "Single":
        return super().__new__(cls, _rounded(value))

    @property
    def shortest(self) -> float:
        """The number with the fewest digits that rounds to ``self``: 0.1, not 0.10000000149."""
        # If fewer digits suffice, `g` leaves out the zeros at the end. A number below _LEAST_NORMAL
        # has the same distance to both neighbours. So if some number of digits suffices for it, any
        # larger number of digits does too.
        low, high = _ALWAYS_KEPT, _ENOUGH_DIGITS
        if abs(self) < _LEAST_NORMAL:
            low = 1
            while high - low > 1:
                middle = (low + high) // 2
                if _rounded(float(_FORMS[middle] % self)) == self:
                    high = middle
                else:
                    low = middle + 1
        for digits in range(low, high):
            candidate = float(_FORMS[digits] % self)
            if _rounded(candidate) == self:
                return candidate
        return float(_FORMS[high] % self)


def _rounded(value: float) -> float:
    try:
        rounded: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return rounded
