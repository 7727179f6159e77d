"""Reads the keys of JSON objects into the key type of a declared dict (J-14).

Every key is a text. Numbers, booleans and enums are spelled differently in keys than as values. How
keys are written is left to ``writing``.
"""

import math
import re
import typing
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from ..values.number_types import Single, constrain
from . import scalars

_INTEGER: Final = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_BOOLEANS: Final = {"true": True, "false": False}

KeyReader = Callable[[str], Any]
"""Text → key. May raise any exception."""


def key_reader(annotation: Any) -> KeyReader:
    """A reader of keys of this type. Raises TypeError for a type that keys cannot have."""
    if annotation in (str, Any, object):
        return _read_text
    if isinstance(annotation, typing.NewType):
        return key_reader(annotation.__supertype__)
    if get_origin(annotation) is Annotated:
        read = key_reader(get_args(annotation)[0])
        return lambda text: constrain(read(text), annotation)
    if get_origin(annotation) is Literal:
        return {str(literal): literal for literal in get_args(annotation)}.__getitem__
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return _enumeration(annotation)
        if reader := _READERS.get(annotation):
            return reader
    raise TypeError(f"{annotation!r} is not a type that a key can be read into")


def _read_text(text: str) -> str:
    return text


def _read_integer(text: str) -> int:
    if _INTEGER.match(text) is None:
        raise ValueError("not a whole number")
    return int(text)


def _require_number(text: str) -> str:
    if _NUMBER.match(text) is None:
        raise ValueError("not a number")
    return text


def _finite(kind: type[float]) -> KeyReader:
    def read(text: str) -> float:
        value = kind(float(_require_number(text)))
        if not math.isfinite(value):  # refused in a key; as a value, 1e400 is Infinity (J-15)
            raise ValueError("out of range for a number")
        return value

    return read


def _enumeration(kind: type[Enum]) -> KeyReader:
    """Reads a member by its value if the value is a text, by its name in any case, or by number."""
    exact = {member.value: member for member in kind if isinstance(member.value, str)}
    named = {name.lower(): member for name, member in kind.__members__.items()}

    def read(text: str) -> Enum:
        member = exact.get(text, named.get(text.lower()))
        return kind(_read_integer(text)) if member is None else member

    return read


_READERS: Final[dict[Any, KeyReader]] = {
    **scalars.READERS,
    int: _read_integer,
    float: _finite(float),
    Single: _finite(Single),
    Decimal: lambda text: scalars.read_decimal(_require_number(text)),
    bool: lambda text: _BOOLEANS[text.lower()],
}
