"""Why a payload does not fit a declared type. The texts contain names and types, never values.

``converters`` finds the part that does not fit, and the binder of each hub protocol names the kind
of its value. Client and server decide where the text is shown: the caller of a hub method gets
.NET's text instead.
"""

import typing
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from .naming import has_members
from .number_types import NAMES, Single

_MAXIMUM_STEPS: Final = 8  # shown in a text; a type may contain itself to any depth
_NUMBERS: Final = ("int", "float")
_SCALARS: Final = ("str", "bytes", "extension")


class Misfit(ValueError):
    """A value does not fit, for ``reason``. ``steps`` are the path to the part that does not fit.

    A step is, for example, ``item 3`` or ``field 'name'``.
    """

    def __init__(self, reason: str, steps: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.steps = steps

    def __str__(self) -> str:
        return ": ".join((*self.steps[:_MAXIMUM_STEPS], self.reason))


def misfit(error: Exception, annotation: Any, kind: str, *steps: str) -> Misfit:
    """The Misfit for ``error``, which a converter for ``annotation`` has raised.

    ``kind`` is the kind of the value, ``steps`` are the path to the value.
    """
    if isinstance(error, Misfit):
        return Misfit(error.reason, (*steps, *error.steps)) if steps else error
    name = type_name(annotation)
    if annotation is Any or annotation is object:
        return Misfit(f"got {kind} that cannot be read", steps)
    if kind not in _kinds(annotation):
        return Misfit(f"expected {name}, got {kind}", steps)
    article = "an" if kind[0] in "aeiou" else "a"
    if kind == name == "dict":
        return Misfit("a key of the dict does not fit", steps)
    return Misfit(f"expected {name}, got {article} {kind} that is not a valid {name}", steps)


def type_name(annotation: Any) -> str:
    """The name of a declared type, for an error text."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is None or annotation is type(None):
        return "None"
    if origin is Annotated:
        return NAMES.get(annotation) or type_name(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(map(type_name, arguments))
    if origin is Literal:
        return repr(annotation).removeprefix("typing.")
    kind = origin or annotation
    return getattr(kind, "__qualname__", None) or repr(kind)


def _kinds(annotation: Any) -> tuple[str, ...]:
    """The kinds of values that can fit ``annotation``. A value of another kind never fits."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kinds(arguments[0])
    if origin in (Union, UnionType):
        return tuple(kind for argument in arguments for kind in _kinds(argument))
    if isinstance(annotation, typing.NewType):
        return _kinds(annotation.__supertype__)
    if annotation in (bool, int, str):
        return (annotation.__name__,)
    if annotation in (float, Single, Decimal):
        return (*_NUMBERS, "str") if annotation is Decimal else _NUMBERS
    if annotation is None or annotation is type(None):
        return ()
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return (*_NUMBERS, "str")
    kind = origin or annotation
    if has_members(kind) or typing.is_typeddict(kind) or kind in (dict, Mapping):
        return ("dict",)
    if origin is not None or kind in (list, tuple, set, frozenset):
        return ("list",)
    return _SCALARS
