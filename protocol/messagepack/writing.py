"""Single values written as MessagePack with .NET's conventions (M-11…M-16).

The leaves of ``values.writing`` for MessagePack: where msgspec's habits differ (names of members
and enums, times, Single) .NET's win.
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
        """Raises ValueError for what is no whole value: others would follow at the wrong place."""
        _require_whole(require_value(value))
        return value

    def mapping(self, value: Mapping[Any, Any]) -> Any:
        """Keys are values like any other (M-16)."""
        if all(type(key) in _PLAIN_KEYS for key in value):
            return {key: self.wire_value(item) for key, item in value.items()}
        return Raw(b"".join((_map_header(len(value)), *self._entries(value))))

    def _entries(self, value: Mapping[Any, Any]) -> Iterator[bytes]:
        """One by one: a key's form need not be what a Python dict takes for a key."""
        for key, item in value.items():
            yield _encode(self.wire_value(key))
            yield _encode(self.wire_value(item))

    def members(self, kind: Any, value: Any) -> Any:
        """Named in PascalCase; without names where a Struct is ``array_like`` (M-11)."""
        if is_array_like(kind):
            return [self.wire_value(getattr(value, it.attribute)) for it in members_of(kind)]
        return self.named(kind, value, pascal_case)

    def enumeration(self, value: Enum) -> str:
        """Its name, those of a mix of flags, or its number as a text (M-12)."""
        if value.name in type(value).__members__:
            return enum_name(value)
        if isinstance(value, Flag) and value.value > 0:
            parts = list(value)
            if parts and sum(part.value for part in parts) == value.value:
                return ", ".join(map(enum_name, parts))
        return str(value.value)


_PLAIN_KEYS: Final = frozenset({str, int, bool, float, bytes, type(None)})


def is_array_like(kind: Any) -> bool:
    """Whether ``kind`` is a Struct that goes on the wire as an array, in order of its members."""
    return issubclass(kind, Struct) and kind.__struct_config__.array_like


def _map_header(count: int) -> bytes:
    if count < 0x10:
        return bytes((0x80 | count,))
    if count < 1 << 16:
        return b"\xde" + count.to_bytes(2)
    return b"\xdf" + count.to_bytes(4)


WRITER: Final = MessagePackWriter()
"""Stateless; one for all."""
