"""Types of arguments and results of the reference server, and the exceptions that it raises.

Names are those of the recorded programs, because detailed errors contain them.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from protocol import HubException, Int32

Version: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9]+(\.[0-9]+){1,3}\Z")]
"""Two to four numbers."""


class Color(IntEnum):
    """An enum; like those of .NET it holds any number, named or not (J-18)."""

    RED = 0
    GREEN = 1
    BLUE = 10

    @classmethod
    def _missing_(cls, value: object) -> "Color | None":
        if not isinstance(value, int):
            return None
        unnamed = int.__new__(cls, value)
        unnamed._name_ = str(value)
        unnamed._value_ = value
        return unnamed


class Address(Struct):
    """Part of a Person. What a .NET record's constructor is not given is null."""

    street: str | None = None
    city: str | None = None


class Person(Struct):
    """A nested object with optional members."""

    name: str | None = ""
    age: Int32 = 0
    height: float | None = None
    favourite: Color = Color.RED
    home: Address | None = None
    tags: list[str] | None = None


class InvalidOperationException(Exception):
    """The general exception of the recorded hubs."""


class ArgumentNullException(Exception):
    """The text is .NET's own."""

    def __init__(self, parameter: str) -> None:
        super().__init__(f"Value cannot be null. (Parameter '{parameter}')")


class OperationCanceledException(Exception):
    """The text is .NET's own."""

    def __init__(self) -> None:
        super().__init__("The operation was canceled.")


class PolicyException(HubException):
    """A derived HubException: clients see its text, and its own name (S-8)."""


@dataclass(frozen=True)
class Greeter:
    """A service that a hub method takes as a parameter."""

    greeting: str = "Hello"

    def greet(self, name: str) -> str:
        """``Hello, Ann!``"""
        return f"{self.greeting}, {name}!"


def describe(error: Exception | None) -> str | None:
    """``InvalidDataException: …`` as .NET names it, None for a normal end."""
    if error is None:
        return None
    return f"{getattr(error, 'exception_name', type(error).__name__)}: {error}"
