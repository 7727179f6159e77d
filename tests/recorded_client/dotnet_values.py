"""Values, types and errors as the recorded .NET client showed them, made of ours."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final
from uuid import UUID

from protocol import Int32, Int64, Single


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
    "datetime": datetime,
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


def with_parameters(function: Callable[..., Any], annotations: Sequence[Any]) -> Callable[..., Any]:
    """``function`` as one that declares a parameter for each annotation."""

    async def handler(*arguments: Any) -> None:
        await function(*arguments)

    kind = inspect.Parameter.POSITIONAL_ONLY
    names = [f"argument_{number}" for number in range(len(annotations))]
    parameters = [
        inspect.Parameter(name, kind, annotation=it)
        for name, it in zip(names, annotations, strict=True)
    ]
    handler.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
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
