"""Advice for error texts about types that no payload can be read into or written from."""

from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from typing import Any, Final, get_origin

_CLASSES: Final = "make the class a dataclass or a msgspec.Struct"
_FOREIGN_MODULES: Final = ("builtins", "collections.abc")  # their classes cannot be changed


def full_name(kind: Any) -> str:
    """The name of a type with its module. Any other annotation is shown by its ``repr``."""
    if not isinstance(kind, type) or hasattr(kind, "__origin__"):
        return repr(kind)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def reading_advice(annotation: Any) -> str:
    """What to declare in place of ``annotation``; empty if there is no advice."""
    kind = get_origin(annotation) or annotation
    if not isinstance(kind, type):
        return ""
    if _is_pydantic(kind):
        return (
            "; pydantic models are not supported yet: declare a dict and validate it, or "
            f"{_CLASSES}"
        )
    if _is_attrs(kind):
        return f"; attrs classes are not supported yet: {_CLASSES}"
    if issubclass(kind, Mapping):
        return "; declare a dict"
    if issubclass(kind, Iterable):
        return "; declare a list"
    return "" if kind.__module__ in _FOREIGN_MODULES else f"; {_CLASSES}"


def writing_advice(value: Any) -> str:
    """What to write in place of ``value``."""
    kind = type(value)
    if _is_pydantic(kind):
        return "pydantic models are not supported yet: write value.model_dump()"
    if _is_attrs(kind):
        return "attrs classes are not supported yet: write attrs.asdict(value)"
    if isinstance(value, type):
        return "it is a class: write an instance"
    if isinstance(value, Awaitable):
        return "await it"
    if isinstance(value, AsyncIterable):
        return (
            "a stream is an argument of its own, or the result of a method that is declared to "
            "return AsyncIterator"
        )
    if isinstance(value, Mapping):
        return "write dict(value)"
    if isinstance(value, Iterable):
        return "write list(value)"
    return f"convert it, or {_CLASSES}"


def _is_pydantic(kind: type) -> bool:
    return hasattr(kind, "__pydantic_validator__")


def _is_attrs(kind: type) -> bool:
    return hasattr(kind, "__attrs_attrs__")
