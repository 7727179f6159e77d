"""A hub whose methods end in every possible way: with results and with errors."""

import asyncio
import dataclasses
import math
from typing import Any

import msgspec

from protocol import Hub, HubException, hub_method


class Point(msgspec.Struct):
    x: int
    y: int = 0


@dataclasses.dataclass
class Person:
    first_name: str
    age: int | None = None


class RefusedException(HubException):
    pass


class CallsHub(Hub):
    @hub_method
    def add(self, left: int, right: int) -> int:
        return left + right

    @hub_method
    async def add_later(self, left: int, right: int) -> int:
        await asyncio.sleep(0)
        return left + right

    @hub_method
    def nothing(self) -> None:
        pass

    @hub_method
    def echo(self, value: Any) -> Any:
        return value

    @hub_method
    def raw(self, value: msgspec.Raw) -> msgspec.Raw:
        return value

    @hub_method
    def mirror(self, point: Point) -> Point:
        return Point(point.y, point.x)

    @hub_method
    def greet(self, person: Person) -> Person:
        return Person(f"Hello {person.first_name}", person.age)

    @hub_method
    def handed_on(self) -> Any:
        return self.add_later(1, 2)  # an awaitable from a method that is not async itself

    @hub_method("Renamed")
    def other_name(self) -> str:
        return "renamed"

    @hub_method
    def crash(self) -> None:
        raise LookupError("secret")

    @hub_method
    def refuse(self, text: str) -> None:
        raise HubException(text)

    @hub_method
    def refuse_by_kind(self) -> None:
        raise RefusedException("no")

    @hub_method
    async def be_cancelled(self) -> None:
        never = asyncio.get_running_loop().create_future()
        never.cancel()
        await never

    @hub_method
    def give(self, what: str) -> Any:
        cyclic: list[Any] = []
        cyclic.append(cyclic)
        return {
            "object": object(),
            "nan": math.nan,
            "cyclic": cyclic,
            "separator": msgspec.Raw(b'"\x1e"'),
        }[what]

    def hidden(self) -> str:
        return "not marked"
