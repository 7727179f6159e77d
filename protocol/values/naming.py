"""Converts Python's names to .NET's names on the wire (J-14, M-11), and lists a class's members.

Names of hub methods are PascalCase. Names of members are PascalCase in MessagePack and camelCase in
JSON. A name that the user sets explicitly is used unchanged: ``msgspec.field(name=…)`` or
``rename=`` on a Struct, ``metadata={"name": …}`` on a dataclass field.
"""

import dataclasses
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints, is_typeddict

import msgspec


def pascal_case(name: str) -> str:
    """``send_message`` → ``SendMessage``. Capital letters stay capital."""
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def camel_case(name: str) -> str:
    """``first_name`` → ``firstName``, ``URLOf`` → ``urlOf``, as .NET converts PascalCase names."""
    pascal = pascal_case(name)
    upper = 0
    while upper < len(pascal) and pascal[upper].isupper():
        upper += 1
    if 1 < upper < len(pascal):
        upper -= 1  # the last capital begins the next word
    return pascal[:upper].lower() + pascal[upper:]


def enum_name(member: Enum) -> str:
    """The name of ``member`` in .NET: ``DARK_BLUE`` → ``DarkBlue`` (M-12).

    If the member has a ``wire_name``, the result is this. Otherwise, if the value of the member is
    a text, the result is the value.
    """
    explicit = getattr(member, "wire_name", member.value)
    return explicit if isinstance(explicit, str) else _enum_name(member.name)


def enum_names(kind: type[Enum]) -> dict[str, Enum]:
    """The members of ``kind`` by their names in .NET, aliases included."""
    numbered = {
        _enum_name(name): member
        for name, member in kind.__members__.items()
        if not isinstance(member.value, str)
    }
    return numbered | {enum_name(member): member for member in kind}


def _enum_name(name: str) -> str:
    return pascal_case(name.lower() if name.isupper() else name)


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One field of a Struct or dataclass."""

    attribute: str
    annotation: Any
    required: bool
    explicit_name: str | None

    def wire_name(self, convention: Callable[[str], str]) -> str:
        """The name on the wire under ``convention`` (camel_case or pascal_case)."""
        return self.explicit_name or convention(self.attribute)


def has_members(kind: Any) -> bool:
    """Whether ``kind`` is a class whose instances are written as objects: a Struct or dataclass."""
    return isinstance(kind, type) and (
        issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)
    )


def annotations_of(kind: type) -> dict[str, Any]:
    """The types of the members of a Struct, dataclass or TypedDict type."""
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        return {key: _without_qualifier(hint) for key, hint in hints.items()}
    return {member.attribute: member.annotation for member in members_of(kind)}


def _without_qualifier(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint


@lru_cache(maxsize=1024)
def wire_names(kind: Any, convention: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    """The attribute of each member with its name on the wire.

    Raises TypeError if two members have the same name.
    """
    names: dict[str, str] = {}
    for member in members_of(kind):
        name = member.wire_name(convention)
        other = names.setdefault(name, member.attribute)
        if other != member.attribute:
            raise TypeError(
                f"{kind.__qualname__}: the members '{other}' and '{member.attribute}' are both "
                f"called '{name}' on the wire"
            )
    return tuple((attribute, name) for name, attribute in names.items())


@lru_cache(maxsize=1024)
def members_of(kind: Any) -> tuple[Member, ...]:
    """The members of a Struct or dataclass type, in order of declaration.

    Raises TypeError for a Struct with a tag, because the tag would be lost.
    """
    hints = get_type_hints(kind, include_extras=True)
    if issubclass(kind, msgspec.Struct):
        if kind.__struct_config__.tag is not None:
            raise TypeError(f"{kind.__qualname__} has a tag; tags of Structs are not supported yet")
        return tuple(
            Member(
                attribute=field.name,
                annotation=hints[field.name],
                required=field.required,
                explicit_name=None if field.encode_name == field.name else field.encode_name,
            )
            for field in msgspec.structs.fields(kind)
        )
    return tuple(
        Member(
            attribute=field.name,
            annotation=hints[field.name],
            required=field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING,
            explicit_name=field.metadata.get("name"),
        )
        for field in dataclasses.fields(kind)
        if field.init
    )


def json_members(kind: Any) -> dict[str, Any]:
    """The types of the members of a Struct, dataclass or TypedDict type, by their names in JSON.

    Raises TypeError for a type that cannot be written.
    """
    annotations = annotations_of(kind)
    if is_typeddict(kind):
        return annotations
    return {name: annotations[attribute] for attribute, name in wire_names(kind, camel_case)}
