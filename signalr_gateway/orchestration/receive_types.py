"""Checks whether the arguments of an event fit a route's ``receive_parameter_types`` (GW-6).

An argument fits if the original's lenient conversions would accept its JSON. Nothing is converted:
an event that fits is forwarded unchanged. An event of a MessagePack hub is transcoded to JSON for
the check. Some values then have another form than in the JSON of a hub: a Decimal, for example, is
text. This form fits, too. `routing.tables` finds the types that an event must fit.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Union
from uuid import UUID

import msgspec

from protocol import ArgumentBindingError, JsonHubProtocol, Payload, TranscodingError
from protocol.relaying import split_json_array

_value_reader = JsonHubProtocol().value_reader

Fits = Callable[[msgspec.Raw], bool]


@dataclass(frozen=True, slots=True)
class ReceiveType:
    """One declared parameter type: its .NET name (GW-11) and its check (GW-6).

    Two instances are equal if the same type was declared. Routes that share a receive method must
    declare equal types (GW-2).
    """

    name: str
    """The .NET name: ``String``, ``Int64``, ``Byte[]``, a class by its own name."""
    fits: Fits = field(compare=False, repr=False)
    declared: object = field(default=None, repr=False)
    nullable: bool = False
    fits_transcoded: Fits | None = field(default=None, compare=False, repr=False)
    """The check for an argument of a MessagePack hub, transcoded to JSON; None if it is `fits`."""

    def check(self, *, transcoded: bool) -> Fits:
        """The check for arguments that were `transcoded` to JSON, or that the hub sent as JSON."""
        return self.fits_transcoded if transcoded and self.fits_transcoded else self.fits


class UnknownReceiveType(TypeError):
    """A declared type that is not known here; the text lists the known types."""

    def __init__(self, declared: object) -> None:
        super().__init__(
            f"{declared!r} is not a known type{_nearest(declared)}; known are {_known_types()}"
        )
        self.declared = declared


def receive_type(declared: object) -> ReceiveType:
    """The `ReceiveType` of an item of ``receive_parameter_types``.

    `declared` is a Python type: ``str``, ``list[int]``, ``int | None``, a Struct, dataclass or
    TypedDict class. It may also be a text with the C# keyword or the .NET name of a simple type, in
    any letter case. The text ``"int"`` is Int32 as in C#, the type ``int`` is Int64. Raises
    `UnknownReceiveType`.
    """
    if isinstance(declared, str):
        leaf = _BY_NAME.get(declared.lower().removeprefix("system."))
    else:
        leaf = _by_python_type(declared)
    if leaf is not None:
        return leaf
    if typing.get_origin(declared) in (Union, types.UnionType):
        return _optional(declared)
    if declared is list:
        return ReceiveType("Object[]", _is_array, list)
    if typing.get_origin(declared) is list:
        return _array_of(declared)
    if isinstance(declared, type) and _has_members(declared):
        try:
            return ReceiveType(declared.__name__, _reads_object(declared), declared)
        except TypeError as exc:
            raise UnknownReceiveType(declared) from exc
    raise UnknownReceiveType(declared)


def misfit(declared: Sequence[ReceiveType], arguments: Payload) -> str | None:
    """Why `arguments` do not fit the `declared` types; None if they fit.

    The text contains names of types and counts, but no values.
    """
    try:
        items = split_json_array(arguments.form("json"))
    except TranscodingError as exc:
        return str(exc)
    if len(items) != len(declared):
        return f"expected {len(declared)} arguments, got {len(items)}"
    transcoded = arguments.origin != "json"
    for position, (expected, argument) in enumerate(zip(declared, items, strict=True), 1):
        if not expected.check(transcoded=transcoded)(argument):
            return f"argument {position}: expected {expected.name}, got {_kind(argument)}"
    return None


# --- kinds of JSON value -------------------------------------------------------------------

_KINDS = {
    ord('"'): "a string",
    ord("{"): "an object",
    ord("["): "an array",
    ord("t"): "true",
    ord("f"): "false",
    ord("n"): "null",
}


def _first(value: msgspec.Raw) -> int:
    return memoryview(value)[0]


def _kind(value: msgspec.Raw) -> str:
    return _KINDS.get(_first(value), "a number")


def _is_anything(value: msgspec.Raw) -> bool:
    return True


def _is_array(value: msgspec.Raw) -> bool:
    return _first(value) == ord("[")


def _is_scalar(value: msgspec.Raw) -> bool:
    # String takes strings, numbers, true, false and null, as the original's converter does.
    return _first(value) not in b"[{"


def _is_number(value: msgspec.Raw) -> bool:
    return _first(value) in b"-0123456789"


def _is_boolean(value: msgspec.Raw) -> bool:
    return _first(value) in b"tf"


_LONGEST_WHOLE_NUMBER = 64
"""Characters. Longer numbers are not parsed; a 64-bit integer needs at most 20."""


def _is_whole_number(bits: int) -> Fits:
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def fits(value: msgspec.Raw) -> bool:
        text = bytes(value)
        if not _is_number(value) or len(text) > _LONGEST_WHOLE_NUMBER:
            return False
        try:
            number = Decimal(text.decode("ascii"))
        except ArithmeticError:
            return False
        # The range is checked first: the integral value of 1e999999999 has a billion digits.
        return lowest <= number <= highest and number == number.to_integral_value()

    return fits


def _reads(declared: type) -> Fits:
    """A check that accepts what the library reads into `declared`, as .NET does (J-14 … J-18)."""
    read = _value_reader(declared)

    def fits(value: msgspec.Raw) -> bool:
        try:
            read(value)
        except ArgumentBindingError:
            return False
        return True

    return fits


def _reads_object(declared: type) -> Fits:
    reads = _reads(declared)
    _require_readable_members(declared, {declared})
    return lambda value: _first(value) == ord("{") and reads(value)


def _require_readable_members(declared: type, seen: set[type]) -> None:
    """Raise TypeError for a member that cannot be read from JSON.

    The reader of `declared` itself raises the error only when it reads a value of this member.
    """
    for annotation in typing.get_type_hints(declared).values():
        if typing.get_origin(annotation) is typing.ClassVar:
            continue
        _value_reader(annotation)
        for part in (annotation, *typing.get_args(annotation)):
            if isinstance(part, type) and _has_members(part) and part not in seen:
                seen.add(part)
                _require_readable_members(part, seen)


# --- values of MessagePack hubs, transcoded to JSON (M-15) ----------------------------------


def _is_decimal_text(value: msgspec.Raw) -> bool:
    if _first(value) != ord('"'):
        return _is_number(value)
    try:
        return Decimal(bytes(value)[1:-1].decode("ascii")).is_finite()
    except (ArithmeticError, ValueError):
        return False


_is_datetime = _reads(datetime)
_is_offset = _is_whole_number(16)  # minutes


def _is_datetime_and_offset(value: msgspec.Raw) -> bool:
    if not _is_array(value):
        return _is_datetime(value)
    parts = split_json_array(value)
    return len(parts) == 2 and _is_datetime(parts[0]) and _is_offset(parts[1])


# --- the table -----------------------------------------------------------------------------

_STRING = ReceiveType("String", _is_scalar)
_INT32 = ReceiveType("Int32", _is_whole_number(32))
_INT64 = ReceiveType("Int64", _is_whole_number(64))
_SINGLE = ReceiveType("Single", _is_number)
_DOUBLE = ReceiveType("Double", _is_number)
_DECIMAL = ReceiveType("Decimal", _is_number, fits_transcoded=_is_decimal_text)
_BOOLEAN = ReceiveType("Boolean", _is_boolean)
_DATETIME = ReceiveType("DateTime", _is_datetime)
_DATETIME_OFFSET = ReceiveType(
    "DateTimeOffset", _is_datetime, fits_transcoded=_is_datetime_and_offset
)
_GUID = ReceiveType("Guid", _reads(UUID))
_BYTES = ReceiveType("Byte[]", _reads(bytes))
_OBJECT = ReceiveType("Object", _is_anything)

_BY_PYTHON_TYPE: tuple[tuple[object, ReceiveType], ...] = (
    (str, _STRING),
    (int, _INT64),
    (float, _DOUBLE),
    (bool, _BOOLEAN),
    (Decimal, _DECIMAL),
    (datetime, _DATETIME),
    (UUID, _GUID),
    (bytes, _BYTES),
    (Any, _OBJECT),
    (object, _OBJECT),
)

_KEYWORDS: Mapping[str, ReceiveType] = {  # where C#'s keyword is not the .NET name in lower case
    "int": _INT32,
    "long": _INT64,
    "float": _SINGLE,
    "bool": _BOOLEAN,
}
_BY_NAME: Mapping[str, ReceiveType] = {
    **{
        leaf.name.lower(): leaf
        for leaf in (
            *(_STRING, _INT32, _INT64, _SINGLE, _DOUBLE, _DECIMAL, _BOOLEAN),
            *(_DATETIME, _DATETIME_OFFSET, _GUID, _BYTES, _OBJECT),
        )
    },
    **_KEYWORDS,
}


def _by_python_type(declared: object) -> ReceiveType | None:
    # Not a dict, because a value that a user declares by mistake may not be hashable.
    return next((leaf for python_type, leaf in _BY_PYTHON_TYPE if declared is python_type), None)


def _nearest(declared: object) -> str:
    if not isinstance(declared, str):
        return ""
    close = get_close_matches(declared.lower().removeprefix("system."), _BY_NAME, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _known_types() -> str:
    python_types = ", ".join(
        getattr(python_type, "__name__", str(python_type)) for python_type, _ in _BY_PYTHON_TYPE
    )
    return (
        f"the types {python_types}, list, list[…], … | None, a Struct, dataclass or TypedDict class"
        f" and the names {', '.join(sorted(_BY_NAME))}"
    )


# --- composed types ------------------------------------------------------------------------


def _optional(declared: object) -> ReceiveType:
    members = [member for member in typing.get_args(declared) if member is not types.NoneType]
    if len(members) != 1:
        raise UnknownReceiveType(declared)
    inner = receive_type(members[0])

    def fits(check: Fits) -> Fits:
        return lambda value: _first(value) == ord("n") or check(value)

    return ReceiveType(
        inner.name,
        fits(inner.fits),
        declared,
        nullable=True,
        fits_transcoded=fits(inner.check(transcoded=True)),
    )


def _array_of(declared: object) -> ReceiveType:
    (item_type,) = typing.get_args(declared)
    item = receive_type(item_type)

    def fits(check: Fits) -> Fits:
        return lambda value: _is_array(value) and all(map(check, split_json_array(value)))

    return ReceiveType(
        f"{item.name}[]",
        fits(item.fits),
        declared,
        fits_transcoded=fits(item.check(transcoded=True)),
    )


def _has_members(declared: type) -> bool:
    return (
        issubclass(declared, msgspec.Struct)
        or is_dataclass(declared)
        or typing.is_typeddict(declared)
    )
