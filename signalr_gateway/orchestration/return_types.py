"""Converts the type in a route's ``returns`` to a JSON schema, for `http.openapi`.

The schema describes the result that the hub method returns, in the JSON that .NET hubs write. The
gateway does not check results against the schema.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from protocol.relaying import json_members

from .receive_types import UnknownReceiveType, receive_type

NOTHING: Final = "nothing"
Schema = dict[str, Any]

_SCHEMAS: Mapping[str, Schema] = {
    "String": {"type": "string"},
    "Int32": {"type": "integer", "format": "int32"},
    "Int64": {"type": "integer", "format": "int64"},
    "Single": {"type": "number", "format": "float"},
    "Double": {"type": "number", "format": "double"},
    "Decimal": {"type": "number"},
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "DateTimeOffset": {"type": "string", "format": "date-time"},
    "Guid": {"type": "string", "format": "uuid"},
    "Byte[]": {"type": "string", "contentEncoding": "base64"},
    "Object": {},
}
"""The schema of each simple type, by its name in `receive_types`."""


class UnknownReturnType(TypeError):
    """A declared type that is not known here; the text lists the known types."""


@dataclass(frozen=True, slots=True)
class ReturnType:
    """The body of the answer to a call that succeeds."""

    schema: Schema | None
    """The schema of the body; None if the body is always empty."""
    may_be_empty: bool
    """Whether the body may be empty, because the hub may return nothing or null."""


UNKNOWN_RETURN_TYPE: Final = ReturnType({}, may_be_empty=True)


def return_type(declared: object) -> ReturnType:
    """The `ReturnType` of a route's ``returns``.

    `declared` is ``"nothing"`` or a type as in ``receive_parameter_types``. In a text, ``[]`` after
    a type means an array of this type, and ``?`` means that the hub may return null. Raises
    `UnknownReturnType`.
    """
    if isinstance(declared, str) and declared.lower() == NOTHING:
        return ReturnType(None, may_be_empty=True)
    try:
        schema = _schema_of(declared, ())
    except UnknownReceiveType as exc:
        raise UnknownReturnType(f"{exc}; or {NOTHING!r}") from exc
    if "anyOf" in schema:  # a result of null is answered with an empty body
        return ReturnType(schema["anyOf"][0], may_be_empty=True)
    return ReturnType(schema, may_be_empty=schema == {})


def _schema_of(declared: object, outer: tuple[object, ...]) -> Schema:
    """The schema of a type. `outer` are the classes of which the type is a member."""
    if isinstance(declared, str):
        return _schema_of_name(declared)
    if typing.get_origin(declared) in (typing.Union, types.UnionType):
        members = typing.get_args(declared)
        others = [member for member in members if member is not types.NoneType]
        if len(others) != 1:
            raise UnknownReceiveType(declared)
        return _nullable(_schema_of(others[0], outer))
    if declared is list:
        return {"type": "array"}
    if typing.get_origin(declared) is list:
        return {"type": "array", "items": _schema_of(typing.get_args(declared)[0], outer)}
    name = receive_type(declared).name
    return dict(_SCHEMAS[name]) if name in _SCHEMAS else _schema_of_class(declared, outer)


def _schema_of_name(name: str) -> Schema:
    if name.endswith("?"):
        return _nullable(_schema_of_name(name[:-1]))
    if name.endswith("[]") and name.lower().removeprefix("system.") != "byte[]":
        return {"type": "array", "items": _schema_of_name(name[:-2])}
    return dict(_SCHEMAS[receive_type(name).name])


def _nullable(schema: Schema) -> Schema:
    return schema if "anyOf" in schema or not schema else {"anyOf": [schema, {"type": "null"}]}


def _schema_of_class(declared: Any, outer: tuple[object, ...]) -> Schema:
    """The schema of a Struct, dataclass or TypedDict class.

    If the class occurs inside itself, the inner schema lists no members.
    """
    if declared in outer:
        return {"type": "object"}
    members = json_members(declared)
    properties = {name: _member(each, (*outer, declared)) for name, each in members.items()}
    return {"type": "object", "properties": properties}


def _member(annotation: object, outer: tuple[object, ...]) -> Schema:
    try:
        return _schema_of(annotation, outer)
    except UnknownReceiveType:
        return {}  # a member may have any type that the library reads
