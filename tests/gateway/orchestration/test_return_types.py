"""The types of results, as JSON schemas."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict
from uuid import UUID

import msgspec
import pytest

from signalr_gateway import HubRouteInfo, OrchestrationError, Orchestrator
from signalr_gateway.orchestration.return_types import (
    ReturnType,
    UnknownReturnType,
    return_type,
)


class Sum(msgspec.Struct):
    first_value: int
    second: float = msgspec.field(name="Second")


@dataclass
class Odd:
    many: dict[str, int]


class Point(TypedDict):
    x: int


@pytest.mark.parametrize(
    ("declared", "schema"),
    [
        (str, {"type": "string"}),
        ("String", {"type": "string"}),
        ("System.Int32", {"type": "integer", "format": "int32"}),
        (int, {"type": "integer", "format": "int64"}),
        (float, {"type": "number", "format": "double"}),
        ("float", {"type": "number", "format": "float"}),
        (Decimal, {"type": "number"}),
        (bool, {"type": "boolean"}),
        (datetime, {"type": "string", "format": "date-time"}),
        (UUID, {"type": "string", "format": "uuid"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        ("byte[]", {"type": "string", "contentEncoding": "base64"}),
        (list, {"type": "array"}),
        (list[str], {"type": "array", "items": {"type": "string"}}),
        ("string[]", {"type": "array", "items": {"type": "string"}}),
        (
            "int?[][]",
            {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"anyOf": [{"type": "integer", "format": "int32"}, {"type": "null"}]},
                },
            },
        ),
        (
            Sum,
            {
                "type": "object",
                "properties": {
                    "firstValue": {"type": "integer", "format": "int64"},
                    "Second": {"type": "number", "format": "double"},
                },
            },
        ),
        (Odd, {"type": "object", "properties": {"many": {}}}),
        (
            Point,
            {"type": "object", "properties": {"x": {"type": "integer", "format": "int64"}}},
        ),
    ],
)
def test_schemas(declared: object, schema: dict[str, Any]) -> None:
    """They describe the JSON that hubs write, with the names of .NET."""
    assert return_type(declared) == ReturnType(schema, may_be_empty=False)


@pytest.mark.parametrize("declared", ["string?", str | None, "String??"])
def test_null_is_an_empty_body(declared: object) -> None:
    assert return_type(declared) == ReturnType({"type": "string"}, may_be_empty=True)


@pytest.mark.parametrize("declared", [Any, "object", "object?", object])
def test_anything_may_be_null(declared: object) -> None:
    assert return_type(declared) == ReturnType({}, may_be_empty=True)


@pytest.mark.parametrize("declared", ["nothing", "Nothing"])
def test_nothing(declared: object) -> None:
    assert return_type(declared) == ReturnType(None, may_be_empty=True)


@pytest.mark.parametrize("declared", ["text", "nothing[]", "?", "", 5, int | str, dict, set])
def test_what_is_no_type(declared: object) -> None:
    with pytest.raises(UnknownReturnType, match=r"known are .*; or 'nothing'$"):
        return_type(declared)


@pytest.mark.parametrize("declared", ["in", "in[]", "in?", "System.In"])
def test_the_nearest_name(declared: str) -> None:
    with pytest.raises(UnknownReturnType, match=r"is not a known type \(did you mean 'int'\?\)"):
        return_type(declared)


def test_an_error_names_hub_and_route() -> None:
    hub = Orchestrator().add_hub("h", lambda builder: builder.build())
    with pytest.raises(OrchestrationError, match=r"^hub 'h', route 'r', returns: 'text' is not"):
        hub.add_route("r", HubRouteInfo(invoke_method="I", returns="text"))
    with pytest.raises(OrchestrationError, match=r"returns: has no meaning without an invoke_meth"):
        hub.add_route("r", HubRouteInfo(receive_method="R", returns="int"))
    with pytest.raises(OrchestrationError, match=r"returns: must be the type of the items of the"):
        hub.add_route("r", HubRouteInfo(invoke_method="I", returns="nothing", streams=True))
