"""Checks of options and names, made in the call that receives them.

The annotation of an option decides which types it accepts. Rules about several options together are
left to the classes of the options.
"""

import inspect
import sys
import types
from collections.abc import Collection, Iterable, Mapping
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

    Numbers of the fields in ``of_any_sign`` may be 0 or negative. Raises TypeError or ValueError.
    The error names the class and the field. It shows the value only if the value is a number.
    """
    for option in fields(options):
        name = f"{type(options).__name__}.{option.name}"
        value = getattr(options, option.name)
        expected = _alternatives(option.type)
        if not any(_has_type(value, each) for each in expected):
            wanted = " or ".join(map(_type_name, expected))
            raise TypeError(f"{name} is {wanted}, not {described(value)}.")
        is_number = _has_type(value, float) and not {int, float}.isdisjoint(expected)
        if is_number and option.name not in of_any_sign and not value > 0:
            raise ValueError(f"{name} is {value}, not above 0.")
        if float in expected and isinstance(value, int) and value > sys.float_info.max:
            raise ValueError(f"{name} is greater than every float.")


def require_target(target: object, example: str) -> None:
    """Raises TypeError if ``target`` is not a str, ValueError if it is empty.

    The error shows ``example``, a correct call.
    """
    if not isinstance(target, str):
        raise TypeError(
            f"target is a str, the name of a method, not {type(target).__name__}: {example}"
        )
    if not target:
        raise ValueError(f"target is empty; it is the name of a method: {example}")


def require_name(name: object, what: str) -> None:
    """Raises TypeError if ``name`` is not a str. ``what`` names it in the error text."""
    if not isinstance(name, str):
        raise TypeError(f"{what} is a str, not {type(name).__name__}.")


def require_function(function: object, what: str) -> None:
    """Raises TypeError if ``function`` cannot be called. ``what`` names it in the error text.

    A generator function is refused too, because a call of it would run nothing.
    """
    if not callable(function):
        raise TypeError(f"{what} is a function, not {type(function).__name__}.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{what} is a function without yield: a generator would be created and never run."
        )


def described(value: object) -> str:
    """How an error describes a value of a wrong type: by the name of its type.

    If the value is itself a class, the description names the class.
    """
    if isinstance(value, type):
        return f"the class {value.__name__}; give an instance, such as {value.__name__}()"
    return type(value).__name__


def names_of(names: Iterable[str], what: str) -> tuple[str, ...]:
    """Returns ``names`` as a tuple.

    Raises TypeError if one of the names is not a str. ``what``, a noun in the plural, stands for
    the names in the error text. A single str is refused too, because each of its characters would
    become a name.
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(f"{what} are a list or another collection, not {type(names).__name__}.")
    listed = tuple(names)
    for name in listed:
        require_name(name, f"Each of the {what}")
    return listed


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _has_type(value: Any, annotation: Any) -> bool:
    """Whether ``value`` has the annotated type. Of ``list[int]`` only ``list`` is checked."""
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    kind = get_origin(annotation) or annotation
    if isinstance(value, str) and kind is not str:
        return False  # a str given for a collection is a mistake, although its type fits
    return isinstance(value, kind)


def _type_name(annotation: Any) -> str:
    kind = get_origin(annotation) or annotation
    return _NAMES.get(kind) or f"a {kind.__name__}"
