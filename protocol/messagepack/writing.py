"""Writes single values as MessagePack with .NET's conventions (M-11…M-16).

The MessagePack part of ``values.writing``. msgspec writes numbers, texts and bytes as .NET does.
Names, keys and enums are converted here. Dates, decimals and other single values are left to
``scalars``.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum, Flag
from typing import Any, ClassVar, Final

import msgspec
from msgspec import Raw, Struct

from ..values.naming import enum_name, members_of, pascal_case
from ..values.writing import ValueWriter, require_value
from .scalars import WRITERS

_encode: Final = msgspec.msgpack.Encoder().encode
_require_whole: Final = msgspec.msgpack.Decoder(Raw).decode


class MessagePackWriter(ValueWriter):
    """See ValueWriter."""

    format: ClassVar[str] = "MessagePack"
    protocol_name: ClassVar[str] = "messagepack"
    native: ClassVar[frozenset[type]] = frozenset(
        {str, int, bool, type(None), float, bytes, bytearray, memoryview}
    )
    leaves: ClassVar[Mapping[type, Callable[[Any], Any]]] = WRITERS

    encode = staticmethod(_encode)

    def raw(self, value: Raw) -> Raw:
        """See ValueWriter. A Raw that is not one whole value would shift the values after it."""
        _require_whole(require_value(value))
        return value

    def mapping(self, value: Mapping[Any, Any]) -> Any:
        """Converts keys like any other value (M-16)."""
        if all(type(key) in _PLAIN_KEYS for key in value):
            return {key: self.wire_value(item) for key, item in value.items()}
        return Raw(b"".join((_map_header(len(value)), *self._entries(value))))

    def _entries(self, value: Mapping[Any, Any]) -> Iterator[bytes]:
        """The encoded keys and values. They do not form a dict: a converted key can be a list."""
        for key, item in value.items():
            yield _encode(self.wire_value(key))
            yield _encode(self.wire_value(item))

    def members(self, kind: Any, value: Any) -> Any:
        """Names are PascalCase. An ``array_like`` Struct is a list without names (M-11)."""
        if is_array_like(kind):
            return [self.wire_value(getattr(value, it.attribute)) for it in members_of(kind)]
        return self.named(kind, value, pascal_case)

    def enumeration(self, value: Enum) -> str:
        """The name of a member, the names of combined flags, or a number as a text (M-12)."""
        if value.name in type(value).__members__:
            return enum_name(value)
        if isinstance(value, Flag) and value.value > 0:
            parts = list(value)
            if parts and sum(part.value for part in parts) == value.value:
                return ", ".join(map(enum_name, parts))
        return str(value.value)


_PLAIN_KEYS: Final = frozenset({str, int, bool, float, bytes, type(None)})


def is_array_like(kind: Any) -> bool:
    """Whether ``kind`` is a Struct that is written as an array, in the order of its members."""
    return issubclass(kind, Struct) and kind.__struct_config__.array_like


def _map_header(count: int) -> bytes:
    if count < 0x10:
        return bytes((0x80 | count,))
    if count < 1 << 16:
        return b"\xde" + count.to_bytes(2)
    return b"\xdf" + count.to_bytes(4)


WRITER: Final = MessagePackWriter()
"""The only instance. It has no state."""
