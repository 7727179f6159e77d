"""Converters of composed types: containers, objects and alternatives, for every wire format.

If a part of a value does not fit, a converter raises Misfit with the place of the part. For a value
of another kind, such as a text in place of a list, a converter may raise any exception, and its
caller makes the Misfit. ``binding`` chooses the converter of a type.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from msgspec import Raw

from .misfit import Misfit, misfit
from .naming import members_of
from .number_types import constrain

Converter: TypeAlias = Callable[[Raw], Any]
"""Payload → value. May raise any exception, because users' own types do."""

KindOf: TypeAlias = Callable[[Raw], str]
"""Payload → the kind of its value, by the name of a Python type."""


class Part(NamedTuple):
    """The type of a part of a value, and its converter."""

    annotation: Any
    read: Converter


class Entry(NamedTuple):
    """A member of an object: its names in Python and on the wire, and its type."""

    attribute: str
    name: str
    part: Part


Find: TypeAlias = Callable[[str], Entry | None]


def constrained(convert: Converter, annotation: Any, base: Any) -> Converter:
    """A converter for the Annotated type ``annotation``. ``convert`` reads its base type."""
    if base not in (str, int, float):
        return convert
    return lambda raw: constrain(convert(raw), annotation)


def literal(read_any: Converter, values: tuple[Any, ...]) -> Converter:
    """A converter for a Literal of ``values``."""

    def convert(raw: Raw) -> Any:
        value = read_any(raw)
        for each in values:
            if type(each) is type(value) and each == value:
                return each
        raise ValueError("none of the allowed values")

    return convert


def alternatives(converters: Sequence[Converter]) -> Converter:
    """A converter for a union. The first alternative that fits reads the value."""

    def convert(raw: Raw) -> Any:
        inside: list[Misfit] = []
        for alternative in converters:
            try:
                return alternative(raw)
            except Misfit as error:
                inside.append(error)
            except Exception:
                continue
        if len(inside) == 1:  # only this alternative expects a value of this kind
            raise inside[0]
        raise ValueError("fits none of the alternatives")

    return convert


def mapping(
    read_entries: Callable[[Raw], Iterable[tuple[Any, Raw]]], value: Part, kind_of: KindOf
) -> Converter:
    """A converter for a dict with any number of entries."""
    annotation, read = value

    def convert(raw: Raw) -> dict[Any, Any]:
        result = {}
        element: Raw | None = None
        try:
            for key, element in read_entries(raw):
                result[key] = read(element)
                element = None
        except Exception as error:
            if element is None:  # not a map, or a key does not fit
                raise
            raise misfit(error, annotation, kind_of(element), "a value of the dict") from error
        return result

    return convert


def sequence(
    split_array: Callable[[Raw], Sequence[Raw]],
    build: Callable[[Iterable[Any]], Any],
    item: Part,
    kind_of: KindOf,
) -> Converter:
    """A converter for a container of any number of items."""
    annotation, read = item

    def convert(raw: Raw) -> Any:
        elements = split_array(raw)
        values: list[Any] = []
        try:
            for element in elements:
                values.append(read(element))  # noqa: PERF401 - on failure, its length is needed
        except Exception as error:
            kind, position = kind_of(elements[len(values)]), len(values) + 1
            raise misfit(error, annotation, kind, f"item {position}") from error
        return build(values)

    return convert


def fixed_tuple(
    split_array: Callable[[Raw], Sequence[Raw]], parts: Sequence[Part], kind_of: KindOf
) -> Converter:
    """A converter for a tuple whose items are declared one by one."""

    def convert(raw: Raw) -> tuple[Any, ...]:
        elements = split_array(raw)
        if len(elements) != len(parts):
            raise Misfit(f"expected {len(parts)} items, got {len(elements)}")
        return tuple(read_parts(parts, elements, kind_of))

    return convert


def read_parts(parts: Sequence[Part], elements: Sequence[Raw], kind_of: KindOf) -> list[Any]:
    """Reads each element by the part of the same index. Surplus elements are not read."""
    values: list[Any] = []
    try:
        for part, element in zip(parts, elements, strict=False):
            values.append(part.read(element))
    except Exception as error:
        position = len(values)
        kind, annotation = kind_of(elements[position]), parts[position].annotation
        raise misfit(error, annotation, kind, f"item {position + 1}") from error
    return values


def finder(entries: Iterable[Entry], *, ignores_case: bool) -> Find:
    """Returns a function that finds a member by its name on the wire."""
    if not ignores_case:
        return {entry.name: entry for entry in entries}.get
    by_lower_name = {entry.name.lower(): entry for entry in entries}
    return lambda name: by_lower_name.get(name.lower())


def structure(
    split_object: Callable[[Raw], Mapping[str, Raw]],
    find_member: Callable[[], Find],
    build: Callable[[dict[str, Any]], Any],
    kind_of: KindOf,
) -> Converter:
    """A converter for an object. ``build`` gets the values of members that ``find_member`` knows.

    Other members are skipped.
    """

    def convert(raw: Raw) -> Any:
        find = find_member()
        values = {}
        for name, value in split_object(raw).items():
            if entry := find(name):
                attribute, known_name, (annotation, read) = entry
                try:
                    values[attribute] = read(value)
                except Exception as error:
                    where = f"field '{known_name}'"
                    raise misfit(error, annotation, kind_of(value), where) from error
        return build(values)

    return convert


def instance(kind: type, values: dict[str, Any], names: Iterable[tuple[str, str]]) -> Any:
    """An instance of a Struct or dataclass. ``names`` pairs attributes with names on the wire."""
    try:
        return kind(**values)
    except Exception as error:
        required = {member.attribute for member in members_of(kind) if member.required}
        require_fields({name: attr for attr, name in names if attr in required}, values)
        # A method of the user's class, such as __post_init__, has refused the values.
        raise Misfit(f"{kind.__qualname__} raised {type(error).__name__}") from error


def require_fields(required: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Raises Misfit unless ``values`` has all attributes. ``required`` maps names to attributes."""
    missing = [repr(name) for name, attribute in required.items() if attribute not in values]
    if missing:
        raise Misfit(f"missing field{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
