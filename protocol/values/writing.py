"""Writes values as payloads with .NET's conventions, the same way for every wire format.

What becomes an object, a list or a plain value is decided here; what those look like on the wire is
the format's: ``json.writing``, ``messagepack.writing``. The mirror image is ``binding``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, ClassVar, Final

from msgspec import Raw

from ..errors import DECODING_FAILURES, LocalProtocolError
from ..messages import VOID
from .naming import has_members, members_of
from .payload import Payload

FAILURES: Final = (*DECODING_FAILURES, TypeError, OverflowError)
"""What a value that cannot be written raises, beside LocalProtocolError."""

_Write = Callable[[Any], Any]


class ValueWriter(ABC):
    """Brings values into terms of what msgspec writes just as .NET does.

    ``native`` are the types it writes so as they are, ``leaves`` writes other single values;
    their order counts for subclasses. ``format`` is its name for people, ``protocol_name`` that of
    the hub protocol it belongs to.
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
            list: self._iterable,
            tuple: self._iterable,
            dict: self.mapping,
        }
        self.wire_value: Final[_Write] = self._compiled()
        """A value in msgspec's terms. Raises any of FAILURES."""

    # ---- what a format says of itself

    @abstractmethod
    def encode(self, value: Any, /) -> bytes:
        """What ``wire_value`` gave, as bytes. Raises any of FAILURES."""

    @abstractmethod
    def raw(self, value: Raw) -> Raw:
        """A payload that somebody made already. Raises any of FAILURES where it is none."""

    @abstractmethod
    def mapping(self, value: Mapping[Any, Any]) -> Any:
        """Keys are not renamed (J-14, M-16)."""

    @abstractmethod
    def members(self, kind: Any, value: Any) -> Any:
        """A Struct or dataclass, whose members are named by the format's convention."""

    @abstractmethod
    def enumeration(self, value: Enum) -> Any:
        """A member of an enum (J-18, M-12)."""

    # ---- payloads

    def encode_value(self, value: Any) -> Raw:
        """One payload. Raises LocalProtocolError naming the type that has no form."""
        if type(value) is Raw:
            return value
        try:
            return Raw(self.encode(self.wire_value(value)))
        except FAILURES as error:
            raise self.unwritable(error) from error

    def encode_arguments(self, values: Sequence[Any]) -> Raw:
        """An array of ``values``. Raises LocalProtocolError."""
        native = self.native
        try:
            for value in values:
                if type(value) not in native:
                    return Raw(self.encode([self.wire_value(value) for value in values]))
            return Raw(self.encode(values))
        except FAILURES as error:
            raise self.unwritable(error) from error

    def unwritable(self, error: Exception) -> LocalProtocolError:
        """What to raise from one of FAILURES."""
        if isinstance(error, RecursionError):
            error.__traceback__ = None  # a log need not hold the same lines a thousand times
        return LocalProtocolError(f"A value cannot be written as {self.format}: {error}")

    # ---- values

    def _compiled(self) -> _Write:
        """With all that it looks at close at hand: it runs once for each value in a value."""
        native, find, by_nature = self.native, self._writers.get, self._by_nature

        def wire_value(value: Any) -> Any:
            kind = type(value)
            if kind in native:
                return value
            write = find(kind)
            return by_nature(value) if write is None else write(value)

        return wire_value

    def _by_nature(self, value: Any) -> Any:
        kind: Any = type(value)
        if has_members(kind):
            return self.members(kind, value)
        if isinstance(value, Enum):
            return self.enumeration(value)
        for base, write in self._writers.items():
            if isinstance(value, base):
                return write(value)
        for native in (str, int, float):  # the subclasses of what is native
            if isinstance(value, native):
                return native(value)
        if isinstance(value, Mapping):
            return self.mapping(value)
        if isinstance(value, Iterable):
            return self._iterable(value)
        raise LocalProtocolError(
            f"A value of type {kind.__name__} cannot be written as {self.format}."
        )

    def _payload(self, value: Payload) -> Raw:
        return self.raw(value.form(self.protocol_name))

    def _iterable(self, value: Iterable[Any]) -> list[Any]:
        wire_value = self.wire_value
        return [wire_value(item) for item in value]

    def named(self, kind: Any, value: Any, convention: Callable[[str], str]) -> dict[str, Any]:
        """The members by their names on the wire."""
        return {
            member.wire_name(convention): self.wire_value(getattr(value, member.attribute))
            for member in members_of(kind)
        }


def require_value(value: Raw) -> Raw:
    """Raises ValueError for VOID, which would leave a gap among the values around it."""
    if value == VOID:
        raise ValueError("a call without a result has given no value")
    return value
