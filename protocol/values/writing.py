"""Writes values as payloads with .NET's conventions, the same way for every wire format.

This module decides what becomes an object, a list or a plain value. Their form on the wire is left
to ``json.writing`` and ``messagepack.writing``. ``binding`` is the opposite direction.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, MappingView, Sequence
from enum import Enum
from types import GeneratorType, MappingProxyType
from typing import Any, ClassVar, Final

from msgspec import Raw

from ..errors import DECODING_FAILURES, LocalProtocolError
from ..messages import VOID
from .naming import has_members, wire_names
from .other_types import full_name, writing_advice
from .payload import Payload

FAILURES: Final = (*DECODING_FAILURES, TypeError, OverflowError)
"""The exceptions raised for a value that cannot be written, besides LocalProtocolError."""

_Write = Callable[[Any], Any]
_ARRAYS: Final[tuple[type, ...]] = (
    list,
    tuple,
    set,
    frozenset,
    deque,
    range,
    GeneratorType,
    MappingView,  # what keys(), values() and items() of a dict return
)
"""Other iterables are refused: files, multidicts and models of other libraries are not arrays."""


class ValueWriter(ABC):
    """Converts values to those that msgspec writes as .NET does, and encodes them.

    ``native``: the types that need no conversion. ``leaves``: the converters of other single
    values, by type; the first entry for a base class converts a value of a subclass. ``format``:
    the name of the format for error texts. ``protocol_name``: the name of its hub protocol.
    """

    format: ClassVar[str]
    protocol_name: ClassVar[str]
    native: ClassVar[frozenset[type]]
    leaves: ClassVar[Mapping[type, _Write]]

    def __init__(self) -> None:
        self._writers: Final[dict[type, _Write]] = {
            Raw: self.raw,
            Payload: self._payload,
            **self.leaves,
            dict: self.mapping,
            MappingProxyType: self.mapping,
            **dict.fromkeys(_ARRAYS, self._iterable),
        }
        self.wire_value: Final[_Write] = self._compile_wire_value()
        """Converts a value to one that ``encode`` accepts. Raises any of FAILURES."""

    # ---- what a subclass implements

    @abstractmethod
    def encode(self, value: Any, /) -> bytes:
        """The bytes of a converted value. Raises any of FAILURES."""

    @abstractmethod
    def raw(self, value: Raw) -> Raw:
        """Returns ``value``. Raises any of FAILURES if it is not a payload of this format."""

    @abstractmethod
    def mapping(self, value: Mapping[Any, Any]) -> Any:
        """Converts a mapping; keys are not renamed (J-14, M-16)."""

    @abstractmethod
    def members(self, kind: Any, value: Any) -> Any:
        """Converts a Struct or dataclass ``value`` of class ``kind``."""

    @abstractmethod
    def enumeration(self, value: Enum) -> Any:
        """Converts a member of an enum (J-18, M-12)."""

    # ---- payloads

    def encode_value(self, value: Any) -> Raw:
        """The payload of a value. Raises LocalProtocolError if it cannot be written."""
        if type(value) is Raw:
            return value
        try:
            return Raw(self.encode(self.wire_value(value)))
        except FAILURES as error:
            raise self.unwritable(error) from error

    def encode_arguments(self, values: Sequence[Any]) -> Raw:
        """The payload of an array of ``values``. Raises as ``encode_value`` does."""
        native = self.native
        try:
            for value in values:
                if type(value) not in native:
                    return Raw(self.encode([self.wire_value(value) for value in values]))
            return Raw(self.encode(values))
        except FAILURES as error:
            raise self.unwritable(error) from error

    def unwritable(self, error: Exception) -> LocalProtocolError:
        """The error to raise for one of FAILURES."""
        if isinstance(error, RecursionError):
            error.__traceback__ = None  # the traceback repeats the same lines a thousand times
        return LocalProtocolError(f"A value cannot be written as {self.format}: {error}")

    # ---- values

    def _compile_wire_value(self) -> _Write:
        """Returns a closure over locals, for speed: it also runs for each item and member."""
        native, find, write_by_kind = self.native, self._writers.get, self._write_by_kind

        def wire_value(value: Any) -> Any:
            kind = type(value)
            if kind in native:
                return value
            write = find(kind)
            return write_by_kind(value) if write is None else write(value)

        return wire_value

    def _write_by_kind(self, value: Any) -> Any:
        """Converts a value whose exact type has no converter."""
        kind: Any = type(value)
        if has_members(kind):
            return self.members(kind, value)
        if isinstance(value, Enum):
            return self.enumeration(value)
        for base, write in self._writers.items():
            if isinstance(value, base):
                return write(value)
        for native in (str, int, float):  # their subclasses
            if isinstance(value, native):
                return native(value)
        raise LocalProtocolError(
            f"A value of type {full_name(kind)} cannot be written as {self.format}: "
            f"{writing_advice(value)}."
        )

    def _payload(self, value: Payload) -> Raw:
        return self.raw(value.form(self.protocol_name))

    def _iterable(self, value: Iterable[Any]) -> list[Any]:
        wire_value = self.wire_value
        return [wire_value(item) for item in value]

    def named(self, kind: Any, value: Any, convention: Callable[[str], str]) -> dict[str, Any]:
        """The converted members of a Struct or dataclass, by their names on the wire."""
        return {
            name: self.wire_value(getattr(value, attribute))
            for attribute, name in wire_names(kind, convention)
        }


def require_value(value: Raw) -> Raw:
    """Returns ``value``. Raises ValueError for VOID, which has no bytes to write."""
    if value == VOID:
        raise ValueError("an empty Raw is not a value: it stands for a call without a result")
    return value
