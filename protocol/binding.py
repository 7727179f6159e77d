"""Reads JSON payloads into the types a handler declares, as strictly as .NET does (J-14…J-18).

A reader is compiled once per annotation. What msgspec reads exactly as .NET would goes to msgspec
in one step; where that fails, or where names ignore case and values have spellings of their own, a
converter works piece by piece on undecoded values.
"""

import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Raw

from . import json_scalars
from .errors import ArgumentBindingError, RemoteProtocolError
from .hub_protocol import ArgumentsReader, ValueReader
from .json_keys import KeyReader, key_reader
from .json_scanner import split_array
from .naming import camel_case, has_members, members_of
from .number_types import Single, constrain

_BINDING_FAILED: Final = (
    "Error binding arguments. Make sure that the types of the provided values match the types of "
    "the hub method being invoked."
)
_FAILURES: Final = (ValueError, RecursionError, OverflowError)  # of msgspec; UnicodeDecodeError too
_NEGATIVE_ZERO: Final = re.compile(rb"-0(?![0-9.eE])")
_split_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_read_string: Final = msgspec.json.Decoder(str).decode
_read_any: Final = msgspec.json.Decoder().decode

_Converter: TypeAlias = Callable[[Raw], Any]  # may raise anything: types of the user's own do


def arguments_reader(annotations: Sequence[Any]) -> ArgumentsReader:
    """A reader of exactly ``len(annotations)`` arguments.

    Binds from left to right before it counts, as .NET does for JSON (S-6). Raises TypeError, when
    compiled, for an annotation that no payload can be read into.
    """
    converters = [_converter(annotation) for annotation in annotations]
    direct = _direct(tuple[tuple(annotations)], annotations)  # type: ignore[misc]

    def read(arguments: Raw) -> Sequence[Any]:
        if direct is not None:
            try:
                return cast("Sequence[Any]", direct(arguments))
            except _FAILURES:
                pass  # one by one, to tell what was wrong; and 1e400 is a float after all
        try:
            given = split_array(arguments)
            values = [convert(raw) for convert, raw in zip(converters, given, strict=False)]
        except Exception as error:
            require_array(arguments)
            raise ArgumentBindingError(_BINDING_FAILED) from error
        if len(given) != len(converters):
            raise ArgumentBindingError(
                f"Invocation provides {len(given)} argument(s) but target expects "
                f"{len(converters)}."
            )
        return values

    return read


def require_array(arguments: Raw) -> None:
    """Raises RemoteProtocolError when ``arguments`` is another kind of JSON value (J-3)."""
    if memoryview(arguments)[0] != ord("["):
        raise RemoteProtocolError("Expected 'arguments' to be of type Array.")


@lru_cache(maxsize=1024)
def value_reader(annotation: Any) -> ValueReader:
    """A reader of one value. Raises TypeError, when compiled, as ``arguments_reader`` does."""
    convert = _converter(annotation)
    direct = _direct(annotation, [annotation])

    def read(value: Raw) -> Any:
        if direct is not None:
            try:
                return direct(value)
            except _FAILURES:
                pass
        try:
            return convert(value)
        except Exception as error:
            raise ArgumentBindingError(f"The value does not fit {annotation!r}: {error}") from error

    return read


def _direct(whole: Any, annotations: Sequence[Any]) -> _Converter | None:
    """Reads a ``whole`` made of ``annotations`` in one step, raises _FAILURES; None: it cannot."""
    if not all(map(_is_direct, annotations)):
        return None
    decode = msgspec.json.Decoder(whole).decode
    if not any(map(_holds_floats, annotations)):
        return decode

    def read(raw: Raw) -> Any:
        if _NEGATIVE_ZERO.search(raw):  # msgspec takes it for a whole number, which has no sign
            raise ValueError("possibly a negative zero")
        return decode(raw)

    return read


def _holds_floats(annotation: Any) -> bool:
    return annotation is float or any(map(_holds_floats, get_args(annotation)))


def _is_direct(annotation: Any) -> bool:
    """Whether what msgspec accepts for ``annotation`` is what .NET accepts, with equal values."""
    if annotation in (Any, object, str, bool, int, float, None, type(None), list, dict):
        return True
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return arguments[0] in (str, int, float) and _is_known_constraint(arguments[1:])
    if origin in (list, Union, types.UnionType):
        return all(_is_direct(argument) for argument in arguments)
    return origin is dict and arguments[0] is str and _is_direct(arguments[1])


def _is_known_constraint(metadata: Iterable[Any]) -> bool:
    return all(isinstance(item, Meta) for item in metadata)


def _converter(annotation: Any) -> _Converter:
    """The converter for ``annotation``; raises TypeError where there is none."""
    if annotation is None:
        annotation = type(None)
    simple = _SCALARS.get(annotation) if isinstance(annotation, type) else None
    if annotation is Any or annotation is object:
        return _convert_any
    if simple is not None:
        return simple
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _constrained(annotation, arguments[0])
    if origin in (Union, types.UnionType):
        return _alternatives([_converter(argument) for argument in arguments])
    if origin is Literal:
        return _literal(arguments)
    if isinstance(annotation, typing.NewType):
        return _converter(annotation.__supertype__)
    if typing.is_typeddict(annotation):
        return _typed_dict(annotation)
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return _enumeration(annotation)
        if has_members(annotation):
            return _Members(annotation)
    return _container(annotation, origin or annotation, arguments)


def _container(annotation: Any, kind: Any, arguments: tuple[Any, ...]) -> _Converter:
    if kind in (dict, Mapping, typing.Mapping):
        key, value = arguments or (str, Any)
        return _mapping(key_reader(key), _converter(value))
    if kind is tuple and annotation not in _ANY_TUPLE and arguments[-1:] != (Ellipsis,):
        return _fixed_tuple([_converter(argument) for argument in arguments])
    builder = _COLLECTIONS.get(kind)
    if builder is None:
        raise TypeError(f"{annotation!r} is no type that a hub message can be read into")
    item = _converter(arguments[0] if arguments else Any)
    return lambda raw: builder(item(element) for element in split_array(raw))


def _convert_any(raw: Raw) -> Any:
    """Plain values; only numbers beyond a double need more than msgspec."""
    try:
        return _read_any(raw)
    except msgspec.ValidationError:
        match memoryview(raw)[0]:
            case 0x7B:
                return {key: _convert_any(value) for key, value in _split_object(raw).items()}
            case 0x5B:
                return [_convert_any(element) for element in split_array(raw)]
            case _:
                return float(bytes(raw))


def _convert_float(raw: Raw) -> float:
    text = _number(raw)
    return float(text)  # 1e400 is Infinity in .NET too (J-15)


def _number(raw: Raw) -> str:
    text = bytes(raw).decode()
    if text[:1] not in "-0123456789":
        raise ValueError("not a number")
    return text


def _convert_raw(raw: Raw) -> Raw:
    bytes(raw).decode()  # nobody has looked inside a Raw yet
    return raw.copy()  # a Raw that stays would keep the whole frame it came in


def _from_string(read: Callable[[str], Any]) -> _Converter:
    return lambda raw: read(_read_string(raw))


def _decoder(annotation: Any) -> _Converter:
    return msgspec.json.Decoder(annotation).decode


_SCALARS: Final[dict[Any, _Converter]] = {
    **{kind: _from_string(read) for kind, read in json_scalars.READERS.items()},
    str: _read_string,
    bool: _decoder(bool),
    int: _decoder(int),
    float: _convert_float,
    Single: lambda raw: Single(_convert_float(raw)),
    type(None): _decoder(None),
    Raw: _convert_raw,
    Decimal: lambda raw: json_scalars.read_decimal(_number(raw)),
}
_ANY_TUPLE: Final = (tuple, typing.Tuple)  # noqa: UP006 - as opposed to tuple[()], which is empty
_COLLECTIONS: Final[dict[Any, Callable[[Iterable[Any]], Any]]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    Sequence: list,
    Iterable: list,
}


def _constrained(annotation: Any, base: Any) -> _Converter:
    convert = _converter(base)
    if base not in (str, int, float):
        return convert
    return lambda raw: constrain(convert(raw), annotation)


def _alternatives(converters: Sequence[_Converter]) -> _Converter:
    def convert(raw: Raw) -> Any:
        for alternative in converters:
            try:
                return alternative(raw)
            except Exception:
                continue
        raise ValueError("fits none of the alternatives")

    return convert


def _literal(values: tuple[Any, ...]) -> _Converter:
    def convert(raw: Raw) -> Any:
        value = _read_any(raw)
        for literal in values:
            if type(literal) is type(value) and literal == value:
                return literal
        raise ValueError("none of the allowed values")

    return convert


def _enumeration(kind: type[Enum]) -> _Converter:
    """Numbers, as .NET writes enums in JSON; names only where the values are names (J-18)."""

    def convert(raw: Raw) -> Enum:
        value = _read_any(raw)
        if type(value) not in (int, str):  # 1.0 and true equal 1, and would pass for it
            raise ValueError("neither a number nor a name")
        return kind(value)

    return convert


def _mapping(read_key: KeyReader, convert_value: _Converter) -> _Converter:
    return lambda raw: {
        read_key(name): convert_value(value) for name, value in _split_object(raw).items()
    }


def _fixed_tuple(converters: Sequence[_Converter]) -> _Converter:
    return lambda raw: tuple(
        convert(element) for convert, element in zip(converters, split_array(raw), strict=True)
    )


def _typed_dict(kind: Any) -> _Converter:
    """A TypedDict's keys are its wire names as they are, found ignoring case."""
    hints = typing.get_type_hints(kind)
    by_name = {key.lower(): (key, _converter(hint)) for key, hint in hints.items()}
    required = kind.__required_keys__

    def convert(raw: Raw) -> dict[str, Any]:
        result = {}
        for name, value in _split_object(raw).items():
            if entry := by_name.get(name.lower()):
                result[entry[0]] = entry[1](value)
        if missing := required - result.keys():
            raise ValueError(f"missing {sorted(missing)}")
        return result

    return convert


class _Members:
    """Reads an object into a Struct or dataclass; names ignore case, unknown ones are skipped."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        # Compiled at first use: a type may mention itself.
        self._members: dict[str, tuple[str, _Converter]] | None = None

    def __call__(self, raw: Raw) -> Any:
        if self._members is None:
            self._members = {
                member.wire_name(camel_case).lower(): (
                    member.attribute,
                    _converter(member.annotation),
                )
                for member in members_of(self._kind)
            }
        values = {}
        for name, value in _split_object(raw).items():
            if entry := self._members.get(name.lower()):
                values[entry[0]] = entry[1](value)
        return self._kind(**values)
