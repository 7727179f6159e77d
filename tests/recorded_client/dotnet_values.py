"""Converts our values, types and errors to the form in the recordings of the .NET client."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Raw

from protocol import Byte, DateTimeOffset, Int32, Int64, JsonHubProtocol, Single


class Colour(IntEnum):
    """.NET's test type of the same name."""

    RED, GREEN, BLUE = range(3)


@dataclass
class Point:
    """.NET's test type of the same name."""

    x_axis: int = 0
    label_text: str | None = None
    shade: Colour = Colour.RED


_TYPES: Final[dict[str, Any]] = {
    "string": str | None,
    "int": Int32,
    "long": Int64,
    "double": float,
    "float": Single,
    "decimal": Decimal,
    "bool": bool,
    "object": Any,
    "JsonElement": Any,
    "object[]": list[Any],
    "byte[]": bytes | None,
    "guid": UUID,
    "byte": Byte,
    "datetime": datetime,
    "datetimeoffset": DateTimeOffset,
    "timespan": timedelta,
    "Point": Point | None,
    "Colour": Colour,
}


def type_of(name: str | None) -> Any:
    """The annotation for a .NET type by its short name."""
    if name is None:
        return Any
    if name.endswith("?"):
        return type_of(name[:-1]) | None
    if name.startswith("list<"):
        return list[type_of(name[5:-1])] | None  # type: ignore[misc]
    return _TYPES[name]


def converted(value: Any, annotation: Any) -> Any:
    """A value of a scenario as one of a .NET type."""
    return JsonHubProtocol().value_reader(annotation)(Raw(json.dumps(value).encode()))


def argument(value: Any) -> Any:
    """An argument of a scenario, which may name its .NET type."""
    if isinstance(value, dict) and "$type" in value:
        return converted(value["value"], type_of(value["$type"]))
    return value


def with_signature(
    function: Callable[..., Any], annotations: Sequence[Any], returns: Any, required: int
) -> Callable[..., Any]:
    """``function`` as one that declares a parameter for each annotation, and what it returns.

    The parameters after the first ``required`` ones have a default value.
    """

    async def handler(*arguments: Any) -> Any:
        return await function(*arguments)

    kind = inspect.Parameter.POSITIONAL_ONLY
    names = [f"argument_{number}" for number in range(len(annotations))]
    parameters = [
        inspect.Parameter(
            name,
            kind,
            annotation=it,
            default=inspect.Parameter.empty if number < required else "default",
        )
        for number, (name, it) in enumerate(zip(names, annotations, strict=True))
    ]
    handler.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        parameters, return_annotation=returns
    )
    handler.__annotations__ = dict(zip(names, annotations, strict=True))
    return handler


def described(error: BaseException | None) -> dict[str, Any] | None:
    """As .NET's exceptions were described."""
    if error is None:
        return None
    return {
        "type": type(error).__name__,
        "message": str(error),
        "inner": described(error.__cause__),
    }


def shown(value: Any) -> dict[str, Any]:
    """A value and its type, as .NET's values were shown."""
    return {"type": None if value is None else type(value).__name__, "value": value}
