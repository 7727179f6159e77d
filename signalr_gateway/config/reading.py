"""Reads the tables of a file into the Structs of `schema`, strictly.

Each key must be known. Each value must have a type that its option allows, and be within the bounds
of the option. A mistake raises an `OrchestrationError`, whose text names the hub, the route and the
field. The text does not contain the value, because the value may be a secret.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from msgspec import NODEFAULT, Struct, inspect

from ..orchestration.checks import OrchestrationError, suggestion
from .options import Kind, alternatives, options_of, tables_of
from .schema import File

TableT = TypeVar("TableT", bound=Struct)

_HIGHEST = 2**62
_TOML_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),  # before int, its base class
    (str, "text"),
    (int, "a whole number"),
    (float, "a number"),
    (list, "a list"),
    (dict, "a table"),
)
_EXPECTED_TYPES: Mapping[type[inspect.Type], tuple[type, ...]] = {
    inspect.AnyType: (object,),
    inspect.BoolType: (bool,),
    inspect.IntType: (int,),
    inspect.FloatType: (int, float),
    inspect.ListType: (list,),
    inspect.DictType: (dict,),
    inspect.StructType: (dict,),
}
_REPLACED: Mapping[tuple[str, str], str] = {
    ("limits", "slow_client_policy"): "replaced by queue_policy in [hubs.KEY.routes.KEY]",
}
"""Keys of earlier versions, by table, and what has replaced them."""
_TEXT = (str,)  # all other kinds: words and paths are written as text


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a value in the file: its hub, route and field, which errors name.

    `folder` is the folder of the file. Relative paths in the file are relative to it.
    """

    folder: Path
    hub: str | None = None
    route: str | None = None
    field: str = ""

    def at(self, key: str) -> Place:
        """The place of `key` in the table at this place."""
        return replace(self, field=f"{self.field}.{key}" if self.field else key)

    def entry(self, key: str) -> Place:
        """The place of an entry of a table of tables: a hub, a route of a hub, or an API key."""
        if self.hub is None and self.field != "hubs":
            return self.at(key)
        if self.hub is None:
            return Place(self.folder, hub=key)
        return Place(self.folder, hub=self.hub, route=key)

    def error(self, problem: str) -> OrchestrationError:
        """Return an error that names this place."""
        return OrchestrationError(problem, hub=self.hub, route=self.route, field=self.field)


def read_table(table: type[TableT], values: Mapping[str, object], place: Place) -> TableT:
    """Read the values of a table. Raises `OrchestrationError`."""
    known = {option.name: option for option in options_of(table)}
    for key in values:
        if key not in known:
            there = place.at(key)
            replaced = _REPLACED.get((place.field, key))
            problem = replaced or _unknown(key, known, (there.field or "").replace(".", "_"))
            raise there.error(problem)
    for name, option in known.items():
        if option.default is NODEFAULT and name not in values:
            sentence = option.sentence[0].lower() + option.sentence[1:].rstrip(".")
            raise place.at(name).error(f"missing; expected {sentence}")
    return table(
        **{name: read_value(known[name].kinds, values[name], place.at(name)) for name in values}
    )


def _unknown(key: str, known: Collection[str], joined: str) -> str:
    """The problem text for a key that is not one of the `known` keys of its table.

    `joined` is the name of the table and the key, joined by an underscore: `gateway_hub_url` for
    `url` in `[gateway_hub]`.
    """
    if joined != key and any(option.name == joined for option in options_of(File)):
        return f"unknown in this table; did you mean {joined!r} at the top of the file?"
    others = [
        f"in [{name}]" if name else "at the top of the file"
        for name, table in tables_of(File)
        if any(option.name == key for option in options_of(table))
    ]
    if others:
        return f"unknown in this table; it belongs {alternatives(others)}"
    return f"unknown; {suggestion(key, known)}"


def read_value(kinds: Sequence[Kind], value: object, place: Place) -> object:
    """Read a value that must be of one of these kinds. Raises `OrchestrationError`."""
    nouns = alternatives(kind.noun for kind in kinds)
    for kind in kinds:
        if _has_type_of(kind, value):
            if len(kinds) > 1 and kind.words and kind.meaning(str(value)) is NODEFAULT:
                raise place.error(f"must be {nouns}, not other text")
            return _read(kind, value, place)
    raise place.error(f"must be {nouns}, not {type_name(value)}")


def type_name(value: object) -> str:
    """The type of a TOML value, in words."""
    return next((name for each, name in _TOML_TYPES if isinstance(value, each)), "a date or a time")


def _has_type_of(kind: Kind, value: object) -> bool:
    expected = _EXPECTED_TYPES.get(type(kind.type), _TEXT)
    # In Python a bool is an int.
    is_bool_as_number = isinstance(value, bool) and expected not in ((bool,), (object,))
    return isinstance(value, expected) and not is_bool_as_number


def _read(kind: Kind, value: Any, place: Place) -> object:
    """Read a value that has the type of its kind."""
    match kind.type:
        case inspect.AnyType() | inspect.BoolType():
            return value
        case inspect.IntType(ge=lowest, le=highest):
            return _whole_number(value, lowest, _HIGHEST if highest is None else highest, place)
        case inspect.FloatType(gt=above, ge=lowest):
            is_in_range = (above is None or value > above) and (lowest is None or value >= lowest)
            if not is_in_range or not value <= sys.float_info.max:
                raise place.error(f"must be {kind.expected}")
            return value
        case inspect.ListType(item_type=item, min_length=min_length):
            if len(value) < (min_length or 0):
                raise place.error("must not be empty")
            items = Kind.of(item)
            return [_read_item(kind, items, each, place) for each in value]
        case inspect.DictType(value_type=item):
            return {
                key: _read_entry(Kind.of(item), key, each, place) for key, each in value.items()
            }
        case inspect.StructType(cls=table):
            return read_table(table, value, place)
        case inspect.CustomType(cls=cls) if cls is Path:
            if "\0" in value:
                raise place.error("must be a path, which cannot contain NUL characters")
            return place.folder / _text(value, 1, place)
        case inspect.StrType(min_length=min_length):
            return _text(value, min_length, place)
        case _:
            return _word(kind, value, place, "unknown")


def _whole_number(value: int, lowest: int | None, highest: int, place: Place) -> int:
    if lowest is not None and value < lowest:
        raise place.error(f"must be at least {lowest}")
    if value > highest:
        raise place.error(f"must be at most {highest}")
    return value


def _text(value: str, min_length: int | None, place: Place) -> str:
    if len(value) < (min_length or 0):
        raise place.error("must not be empty")
    return value


def _word(kind: Kind, value: str, place: Place, problem: str) -> object:
    meaning = kind.meaning(value)
    if meaning is NODEFAULT:
        raise place.error(f"{problem}; {suggestion(value, tuple(kind.words))}")
    return meaning


def _read_item(kind: Kind, item: Kind, value: object, place: Place) -> object:
    if not _has_type_of(item, value):
        raise place.error(f"must be {kind.noun}, but contains {type_name(value)}")
    if item.words:
        return _word(item, str(value), place, "unknown item")
    return _read(item, value, place)


def _read_entry(kind: Kind, key: str, value: object, place: Place) -> object:
    if not _has_type_of(kind, value):
        raise place.at(key).error(f"must be {kind.noun}, not {type_name(value)}")
    is_table = isinstance(kind.type, inspect.StructType)
    return _read(kind, value, place.entry(key) if is_table else place.at(key))
