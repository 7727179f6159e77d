"""Reads single MessagePack values into declared types, as .NET does (M-11…M-18).

The MessagePack part of ``values.binding``, which reads containers and classes. It also decides how
names are matched and how deep values may nest. Dates, decimals and other single values are left to
``scalars``.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, Flag
from functools import reduce
from operator import or_
from typing import Any, ClassVar, Final, TypeVar, get_args

import msgspec
from msgspec import Raw

from ..errors import ArgumentBindingError, RemoteProtocolError
from ..values.binding import Binder
from ..values.converters import Converter, Part, instance, read_parts
from ..values.naming import enum_names, members_of, pascal_case, wire_names
from ..values.number_types import Single
from .reader import NO_ARGUMENTS
from .scalars import READERS, read_text
from .scanner import (
    ARRAY,
    MAP,
    MAXIMUM_DEPTH,
    is_deeper,
    scan_header,
    scan_text,
    scan_value,
)
from .writing import is_array_like

Value = TypeVar("Value")

_KINDS: Final = (  # ranges of first bytes in ascending order: the last of the range, and its kind
    (0x7F, "int"),
    (0x8F, "dict"),
    (0x9F, "list"),
    (0xBF, "str"),
    (0xC1, "None"),
    (0xC3, "bool"),
    (0xC6, "bytes"),
    (0xC9, "extension"),
    (0xCB, "float"),
    (0xD3, "int"),
    (0xD8, "extension"),
    (0xDB, "str"),
    (0xDD, "list"),
    (0xDF, "dict"),
    (0xFF, "int"),
)
_INTEGER: Final = re.compile(r"[+-]?[0-9]+\Z")
_split_array: Final = msgspec.msgpack.Decoder(list[Raw]).decode
_split_named: Final = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_split_map: Final = msgspec.msgpack.Decoder(dict[Any, Raw]).decode
_read_string: Final = msgspec.msgpack.Decoder(str).decode
_read_float: Final = msgspec.msgpack.Decoder(float).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def _no_extension(kind: int, _data: memoryview) -> Any:
    raise ValueError(f"no type can be read from an extension of type {kind}")


_read_plain: Final = msgspec.msgpack.Decoder(ext_hook=_no_extension).decode


def _read_any(raw: Raw) -> Any:
    """Reads a value that is declared as Any.

    A timestamp becomes a datetime in UTC. If a key is given twice, the last value counts.
    """
    _require_shallow(raw)
    return _read_plain_or_leniently(raw)


def _or_leniently(
    strict: Callable[[Raw], Value], lenient: Callable[[bytes], Value]
) -> Callable[[Raw], Value]:
    """A reader that calls ``strict``, then ``lenient`` if ``strict`` finds text that is not UTF-8.

    msgspec's exception for such text depends on its release, but is never a ValidationError.
    """

    def read(raw: Raw) -> Value:
        try:
            return strict(raw)
        except msgspec.ValidationError:
            raise
        except (UnicodeDecodeError, msgspec.DecodeError):
            return lenient(bytes(raw))

    return read


def _read_leniently(data: bytes, position: int) -> tuple[Any, int]:
    """The value at ``position``, and its end. Bad UTF-8 in the value becomes U+FFFD."""
    code = data[position]
    if 0x90 <= code < 0xA0 or code in (0xDC, 0xDD):
        count, position = scan_header(data, position, ARRAY)
        elements = []
        for _ in range(count):
            element, position = _read_leniently(data, position)
            elements.append(element)
        return elements, position
    if 0x80 <= code < 0x90 or code in (0xDE, 0xDF):
        count, position = scan_header(data, position, MAP)
        entries = {}
        for _ in range(count):
            key, position = _read_leniently(data, position)
            entries[key], position = _read_leniently(data, position)
        return entries, position
    if 0xA0 <= code < 0xC0 or 0xD9 <= code <= 0xDB:
        return scan_text(data, position)
    end = scan_value(data, position)
    return _read_plain(data[position:end]), end


_read_plain_or_leniently: Final = _or_leniently(
    _read_plain, lambda data: _read_leniently(data, 0)[0]
)
_read_text: Final = _or_leniently(_read_string, read_text)


def _read_raw(raw: Raw) -> Raw:
    _require_shallow(raw)
    return raw.copy()  # the Raw may be kept, and would keep the whole frame in memory


def _kind_of(raw: Raw) -> str:
    """See Binder."""
    data = memoryview(raw)
    return next(kind for last, kind in _KINDS if data[0] <= last) if data else "nothing"


def _require_shallow(raw: Raw) -> None:
    """Raises ValueError for a value that nests deeper than .NET reads (M-18)."""
    if memoryview(raw).nbytes > MAXIMUM_DEPTH and is_deeper(bytes(raw)):
        raise ValueError("nested too deeply")


def _split_object_leniently(data: bytes) -> dict[str, Raw]:
    """The members of an object by name. Bad UTF-8 in a name becomes U+FFFD."""
    count, position = scan_header(data, 0, MAP)
    members = {}
    for _ in range(count):
        name, start = scan_text(data, position)
        if name is None:
            raise ValueError("the name of a member is nil")
        position = scan_value(data, start)
        members[name] = Raw(data[start:position])
    return members


_split_object: Final = _or_leniently(_split_named, _split_object_leniently)


def _require_unique(raw: Raw, entries: Mapping[Any, Raw]) -> Iterable[tuple[Any, Raw]]:
    """The entries of the map ``raw``. Raises ValueError if a key is given twice (M-16).

    It is only for values read as a dict: the map of an object may contain a name twice.
    """
    if scan_header(bytes(raw), 0, MAP)[0] != len(entries):
        raise ValueError("a key is given twice")
    return entries.items()


def _from_bytes(read: Callable[[bytes], Any]) -> Converter:
    return lambda raw: read(bytes(raw))


class MessagePackBinder(Binder):
    """See Binder."""

    leaves: ClassVar[Mapping[Any, Converter]] = {
        **{kind: _from_bytes(read) for kind, read in READERS.items()},
        str: _read_text,
        bool: msgspec.msgpack.Decoder(bool).decode,
        int: msgspec.msgpack.Decoder(int).decode,
        float: _read_float,
        Single: lambda raw: Single(_read_float(raw)),
        type(None): msgspec.msgpack.Decoder(None).decode,
        Raw: _read_raw,
    }
    direct_leaves: ClassVar[frozenset[Any]] = frozenset(
        {Any, object, str, bool, int, float, bytes, None, type(None), list}
    )
    has_direct_maps: ClassVar[bool] = False
    ignores_case: ClassVar[bool] = False
    counts_first: ClassVar[bool] = True

    split_array = staticmethod(_split_array)
    split_object = staticmethod(_split_object)
    read_any = staticmethod(_read_any)
    kind_of = staticmethod(_kind_of)

    def entries_reader(self, key: Any) -> Callable[[Raw], Iterable[tuple[Any, Raw]]]:
        """See Binder."""
        if key in (str, Any, object):
            return lambda raw: _require_unique(
                raw, _split_object(raw) if key is str else _split_map(raw)
            )
        read_key = self.converter(key)  # reads a payload, so decoded keys are encoded again
        return lambda raw: (
            (read_key(Raw(_encode(name))), value)
            for name, value in _require_unique(raw, _split_map(raw))
        )

    def enumeration(self, kind: type[Enum]) -> Converter:
        """Reads a member by its exact name or its number, both written as a text (M-12)."""
        named = enum_names(kind)

        def member(text: str) -> Enum:
            found = named.get(text)
            if found is None and _INTEGER.match(text):
                return kind(int(text))
            return kind(text) if found is None else found

        def convert(raw: Raw) -> Enum:
            text = _read_text(raw)
            if issubclass(kind, Flag) and "," in text:
                return reduce(or_, (member(part.strip()) for part in text.split(",")))
            return member(text)

        return convert

    def member_names(self, kind: type) -> Sequence[tuple[str, str]]:
        """See Binder."""
        return wire_names(kind, pascal_case)

    def members(self, kind: type) -> Converter:
        """Also reads an ``array_like`` Struct, from an array in the order of its members (M-11)."""
        if not is_array_like(kind):
            return super().members(kind)
        names = [(member.attribute, member.attribute) for member in members_of(kind)]
        parts: list[Part] = []

        def convert(raw: Raw) -> Any:
            if not parts:  # compiled at first use, because a type may contain itself
                parts.extend(self._part(member.annotation) for member in members_of(kind))
            values = read_parts(parts, _split_array(raw), _kind_of)
            attributes = [attribute for attribute, _ in names]
            return instance(kind, dict(zip(attributes, values, strict=False)), names)

        return convert

    def decoder(self, whole: Any, annotations: Sequence[Any]) -> Converter:
        """See Binder."""
        decode = msgspec.msgpack.Decoder(whole, ext_hook=_no_extension).decode
        if not any(map(_can_nest, annotations)):
            return decode

        def read(raw: Raw) -> Any:
            value = decode(raw)
            _require_shallow(raw)
            return value

        return read

    def require_array(self, arguments: Raw) -> None:
        """Raises ArgumentBindingError, which fails the call, if it is not an array (S-6m)."""
        try:
            scan_header(bytes(arguments), 0, ARRAY)
        except RemoteProtocolError as error:
            summary = "the arguments are not an array"
            raise ArgumentBindingError(NO_ARGUMENTS, summary=summary) from error


def _can_nest(annotation: Any) -> bool:
    """Whether a value of this type may nest to any depth."""
    return annotation in (Any, object, list) or any(map(_can_nest, get_args(annotation)))


BINDER: Final = MessagePackBinder()
"""The only instance. Its only state is its compiled readers."""
