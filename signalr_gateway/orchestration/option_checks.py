"""Checks the values that a Python program gives to options, by the declared types of the options.

`config.reading` checks the values of files, whose errors name the place in the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, inspect

from .checks import is_list, is_positive


def wrong_options(options: Struct) -> Iterator[tuple[str, str]]:
    """Yield the name of each option with a value that it cannot have, and what was expected."""
    described = inspect.type_info(type(options))
    assert isinstance(described, inspect.StructType)
    for each in described.fields:
        kinds = _kinds(each.type)
        if not any(_fits(kind, getattr(options, each.name)) for kind in kinds):
            yield each.name, ", or ".join(map(_expected, kinds))


def _kinds(declared: inspect.Type) -> list[inspect.Type]:
    """The types that a declared type allows, without units and sentences."""
    while isinstance(declared, inspect.Metadata):
        declared = declared.type
    if isinstance(declared, inspect.UnionType):
        return [kind for each in declared.types for kind in _kinds(each)]
    return [declared]


def _fits(kind: inspect.Type, value: object) -> bool:
    match kind:
        case inspect.NoneType():
            return value is None
        case inspect.BoolType():
            return isinstance(value, bool)
        case inspect.IntType(ge=0):
            return is_positive(value, int) or (value == 0 and type(value) is int)
        case inspect.IntType():
            return is_positive(value, int)
        case inspect.FloatType():
            return is_positive(value, int, float)
        case inspect.StrType(min_length=min_length):
            return isinstance(value, str) and len(value) >= (min_length or 0)
        case inspect.LiteralType(values=words):
            return value in words
        case inspect.DictType():
            return isinstance(value, Mapping) and _are_texts([*value, *value.values()])
        case _:
            return is_list(value) and _are_texts(value)


def _are_texts(values: Sequence[object]) -> bool:
    return all(isinstance(each, str) for each in values)


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.NoneType():
            return "None"
        case inspect.BoolType():
            return "True or False"
        case inspect.IntType(ge=0):
            return "a whole number from 0 on"
        case inspect.IntType():
            return "a whole number above 0"
        case inspect.FloatType():
            return "a number of seconds above 0"
        case inspect.StrType():
            return "non-empty text"
        case inspect.LiteralType(values=words):
            return " or ".join(map(repr, words))
        case inspect.DictType():
            return "a dict of texts"
        case _:
            return "a list of texts"
