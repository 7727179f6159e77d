"""Describes the options of a Struct as data.

The reader of files, the flags of the command line and the tables of the documentation are made from
these descriptions. A `Kind` is msgspec's description of a type from `option_types`, with the bounds
and the unit of this type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import NODEFAULT, Struct, inspect


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the types that the value of an option may have."""

    type: inspect.Type
    unit: str | None = None
    metavar: str | None = None

    @staticmethod
    def of(declared: inspect.Type) -> Kind:
        """The kind of a declared type, which may be annotated with a unit."""
        if not isinstance(declared, inspect.Metadata):
            return Kind(declared)
        extra = declared.extra or {}
        return Kind(declared.type, extra.get("unit"), extra.get("metavar"))

    @property
    def item(self) -> Kind | None:
        """The kind of a list's items or of a table's values; None for all other kinds."""
        match self.type:
            case inspect.ListType(item_type=item) | inspect.DictType(value_type=item):
                return Kind.of(item)
            case _:
                return None

    @property
    def words(self) -> Mapping[str, object]:
        """The valid words with their values; empty if the kind is not a choice of words."""
        match self.type:
            case inspect.LiteralType(values=words):
                return {str(word): word for word in words}
            case inspect.EnumType(cls=enum):
                return {str(member.value).lower(): member for member in enum}
            case _:
                return {}

    def meaning(self, text: str) -> object:
        """The value of `text` if it is one of `words`, in any letter case; else `NODEFAULT`."""
        meanings = {word.lower(): meaning for word, meaning in self.words.items()}
        return meanings.get(text.lower(), NODEFAULT)

    @property
    def noun(self) -> str:
        """The name of the kind in error messages, without its bounds."""
        of_unit = f" of {self.unit}" if self.unit else ""
        match self.type:
            case inspect.BoolType():
                return "true or false"
            case inspect.IntType():
                return f"a whole number{of_unit}"
            case inspect.FloatType():
                return f"a number{of_unit}"
            case inspect.ListType():
                return f"a list of {self._items}"
            case inspect.DictType() | inspect.StructType():
                return "a table"
            case inspect.LiteralType(values=[word]):
                return repr(word)
            case inspect.CustomType(cls=cls) if cls is Path:
                return "a path"
            case _:
                return "text"

    @property
    def _items(self) -> str:
        """What a list contains, in the plural."""
        item = self.item
        if item is None or item.item is not None:
            return "lists"
        if isinstance(item.type, inspect.FloatType):
            return item.noun.removeprefix("a ").replace("number", "numbers")
        return "texts"

    @property
    def expected(self) -> str:
        """The valid values in words: ``a whole number from 0 to 65535``."""
        match self.type:
            case inspect.IntType(ge=int(lowest), le=int(highest)):
                return f"{self.noun} from {lowest} to {highest}"
            case inspect.IntType(ge=int(lowest)):
                return f"{self.noun} from {lowest} on"
            case inspect.FloatType(gt=(int() | float()) as limit):
                return f"{self.noun} above {limit:g}"
            case inspect.FloatType(ge=(int() | float()) as limit):
                return f"{self.noun} from {limit:g} on"
            case _:
                return alternatives(map(repr, self.words)) if self.words else self.noun


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a Struct."""

    name: str
    kinds: tuple[Kind, ...]
    """The kinds of values that a file may have for the option. None is not among them: TOML has no
    null, so a file leaves out an option that is None."""
    default: Any
    """`NODEFAULT` if the option is required."""
    sentence: str
    flag: str | None
    """Its name on the command line, if it has one."""

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of a table; empty for a table of tables, and for any other value."""
        [kind, *_] = self.kinds
        return options_of(kind.type.cls) if isinstance(kind.type, inspect.StructType) else ()

    @property
    def expected(self) -> str:
        """The valid values in words."""
        return alternatives(kind.expected for kind in self.kinds)


@cache
def options_of(table: type[Struct]) -> tuple[Option, ...]:
    """The options of a Struct in their order, those of its base class last."""
    described = inspect.type_info(table)
    assert isinstance(described, inspect.StructType)
    inherited = getattr(table.__base__, "__struct_fields__", ())
    return tuple(map(_option, sorted(described.fields, key=lambda each: each.name in inherited)))


def tables_of(table: type[Struct], name: str = "") -> Iterator[tuple[str, type[Struct]]]:
    """The Struct `table` and the Structs in it, each with its name: ``limits``, ``hubs.KEY``."""
    yield name, table
    for option in options_of(table):
        inner = f"{name}.{option.name}" if name else option.name
        [kind, *_] = option.kinds
        if isinstance(kind.type, inspect.StructType):
            yield from tables_of(kind.type.cls, inner)
        elif kind.item is not None and isinstance(kind.item.type, inspect.StructType):
            yield from tables_of(kind.item.type.cls, f"{inner}.KEY")


def _option(field: inspect.Field) -> Option:
    assert isinstance(field.type, inspect.Metadata)  # every option has a sentence
    extra = field.type.extra or {}
    declared = inspect.type_info(extra["in_file"]) if "in_file" in extra else field.type
    kind = Kind.of(declared)
    kinds = (
        [Kind.of(each) for each in kind.type.types if not isinstance(each, inspect.NoneType)]
        if isinstance(kind.type, inspect.UnionType)
        else [kind]
    )
    return Option(
        name=field.name,
        kinds=tuple(kinds),
        default=field.default if field.default_factory is NODEFAULT else field.default_factory(),
        sentence=(field.type.extra_json_schema or {})["description"],
        flag=extra.get("flag"),
    )


def alternatives(texts: Iterable[str]) -> str:
    """Join texts: ``a, b or c``."""
    *others, last = texts
    return f"{', '.join(others)} or {last}" if others else last


def as_toml(value: object) -> str:
    """The value as TOML; empty for a table and for None."""
    if value is None or value is NODEFAULT or isinstance(value, Struct | dict):
        return ""
    if isinstance(value, Enum):
        value = str(value.value).lower()
    text = json.dumps(value, ensure_ascii=False, default=str)  # `default` converts paths
    return text.replace("\x7f", r"\u007f")  # the control character that JSON does not escape
