"""Reads single JSON values into declared types, as System.Text.Json does (J-14…J-18).

The JSON part of ``values.binding``, which reads containers and classes. Values that JSON has no
type for are left to ``scalars``, keys of maps to ``keys``.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Final, get_args

import msgspec
from msgspec import Raw

from ..errors import DECODING_FAILURES, RemoteProtocolError
from ..values.binding import Binder
from ..values.converters import Converter
from ..values.naming import camel_case, wire_names
from ..values.number_types import Single
from . import scalars
from .keys import key_reader
from .scanner import split_array

_NEGATIVE_ZERO: Final = re.compile(rb"-0(?![0-9.eE])")
_NOT_WHOLE: Final = re.compile(rb"[.eE]")
_KINDS: Final = {
    b"{": "dict",
    b"[": "list",
    b'"': "str",
    b"t": "bool",
    b"f": "bool",
    b"n": "None",
    b"": "nothing",
}
_split_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_read_string: Final = msgspec.json.Decoder(str).decode
_read_plain: Final = msgspec.json.Decoder().decode


def _read_any(raw: Raw) -> Any:
    """Reads a value that is declared as Any.

    msgspec refuses numbers that are too large for a double. A container with such a number is
    therefore read element by element.
    """
    try:
        return _read_plain(raw)
    except DECODING_FAILURES:
        match memoryview(raw)[0]:
            case 0x7B:
                return {key: _read_any(value) for key, value in _split_object(raw).items()}
            case 0x5B:
                return [_read_any(element) for element in split_array(raw)]
            case _:
                return _read_float(raw)


def _read_float(raw: Raw) -> float:
    text = _number(raw)
    return float(text)  # 1e400 is Infinity in .NET too (J-15)


def _number(raw: Raw) -> str:
    text = bytes(raw).decode()
    if text[:1] not in "-0123456789":
        raise ValueError("not a number")
    return text


def _read_raw(raw: Raw) -> Raw:
    bytes(raw).decode()  # msgspec has not checked the UTF-8 inside a Raw
    return raw.copy()  # the Raw may be kept, and would keep the whole frame in memory


def _kind_of(raw: Raw) -> str:
    data = memoryview(raw)
    kind = _KINDS.get(data[:1].tobytes())
    return kind or ("float" if _NOT_WHOLE.search(data) else "int")


def _from_string(read: Callable[[str], Any]) -> Converter:
    return lambda raw: read(_read_string(raw))


class JsonBinder(Binder):
    """See Binder."""

    leaves: ClassVar[Mapping[Any, Converter]] = {
        **{kind: _from_string(read) for kind, read in scalars.READERS.items()},
        str: _read_string,
        bool: msgspec.json.Decoder(bool).decode,
        int: msgspec.json.Decoder(int).decode,
        float: _read_float,
        Single: lambda raw: Single(_read_float(raw)),
        type(None): msgspec.json.Decoder(None).decode,
        Raw: _read_raw,
        Decimal: lambda raw: scalars.read_decimal(_number(raw)),
    }
    direct_leaves: ClassVar[frozenset[Any]] = frozenset(
        {Any, object, str, bool, int, float, None, type(None), list, dict}
    )
    has_direct_maps: ClassVar[bool] = True
    ignores_case: ClassVar[bool] = True
    counts_first: ClassVar[bool] = False

    split_array = staticmethod(split_array)
    split_object = staticmethod(_split_object)
    read_any = staticmethod(_read_any)
    kind_of = staticmethod(_kind_of)

    def entries_reader(self, key: Any) -> Callable[[Raw], Iterable[tuple[Any, Raw]]]:
        """See Binder."""
        read_key = key_reader(key)
        return lambda raw: ((read_key(name), value) for name, value in _split_object(raw).items())

    def enumeration(self, kind: type[Enum]) -> Converter:
        """Reads a member by its value (J-18).

        The value is a number, as in .NET, or a text if the enum's values are texts.
        """

        def convert(raw: Raw) -> Enum:
            value = _read_plain(raw)
            if type(value) not in (int, str):  # 1.0 and true equal 1 and would be accepted
                raise ValueError("neither a number nor a name")
            return kind(value)

        return convert

    def member_names(self, kind: type) -> Sequence[tuple[str, str]]:
        """See Binder."""
        return wire_names(kind, camel_case)

    def decoder(self, whole: Any, annotations: Sequence[Any]) -> Converter:
        """See Binder."""
        decode = msgspec.json.Decoder(whole).decode
        if not any(map(_holds_floats, annotations)):
            return decode

        def read(raw: Raw) -> Any:
            if _NEGATIVE_ZERO.search(raw):  # msgspec reads it as the integer 0, without a sign
                raise ValueError("possibly a negative zero")
            return decode(raw)

        return read

    def require_array(self, arguments: Raw) -> None:
        """Raises RemoteProtocolError, which ends the connection, if it is not an array (J-3)."""
        if memoryview(arguments)[0] != ord("["):
            raise RemoteProtocolError("Expected 'arguments' to be of type Array.")


def _holds_floats(annotation: Any) -> bool:
    return annotation is float or any(map(_holds_floats, get_args(annotation)))


BINDER: Final = JsonBinder()
"""The only instance. Its only state is its compiled readers."""
