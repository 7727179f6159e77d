"""Options are checked when they are made, so that a mistake is told where it was made.

What an option may be is said by its annotation; what several of them mean together is left to the
options themselves.
"""

import types
from collections.abc import Collection, Mapping
from dataclasses import Field, fields
from typing import Any, ClassVar, Final, Protocol, Union, get_args, get_origin

_NAMES: Final[Mapping[Any, str]] = {
    float: "a number",
    int: "a whole number",
    bool: "True or False",
    str: "text",
    type(None): "None",
}


class _Options(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


def check_options(options: _Options, *, of_any_sign: Collection[str] = ()) -> None:
    """Checks each field of a dataclass: its type, and that a number is above 0.

    Raises TypeError or ValueError that names class and field, and the value of a number at most.
    """
    for option in fields(options):
        name = f"{type(options).__name__}.{option.name}"
        value = getattr(options, option.name)
        expected = _alternatives(option.type)
        if not any(_is(value, each) for each in expected):
            wanted = " or ".join(map(_name, expected))
            raise TypeError(f"{name} is {wanted}, not {type(value).__name__}.")
        is_number = _is(value, float) and not {int, float}.isdisjoint(expected)
        if is_number and option.name not in of_any_sign and not value > 0:
            raise ValueError(f"{name} is {value}, not above 0.")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _is(value: Any, annotation: Any) -> bool:
    """Generics count by their outermost type alone."""
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    kind = get_origin(annotation) or annotation
    if isinstance(value, str) and kind is not str:
        return False  # no list of texts, even where any collection will do
    return isinstance(value, kind)


def _name(annotation: Any) -> str:
    kind = get_origin(annotation) or annotation
    return _NAMES.get(kind) or f"a {kind.__name__}"
