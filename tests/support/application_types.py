"""Types like those of an application, for tests that bind and write values."""

from dataclasses import dataclass, field
from enum import Enum, IntEnum, IntFlag, StrEnum
from typing import NewType, TypedDict

from msgspec import Struct
from msgspec import field as struct_field


class Color(Enum):
    RED = 0
    BLUE = 10


class Level(IntEnum):
    LOW = 0
    HIGH = 1


class Rights(IntFlag):
    READ = 1
    WRITE = 2


class Suit(StrEnum):
    HEARTS = "hearts"


class Address(Struct):
    street: str | None = None
    city: str | None = None


class Person(Struct):
    name: str
    age: int = 0
    home_address: Address | None = None
    tags: list[str] = []


class Node(Struct):
    value: int
    next_node: "Node | None" = None


class Renamed(Struct, rename="pascal"):
    first_name: str


class Named(Struct):
    count: int = struct_field(name="$count")


class Strict(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    first_name: str = ""


class Choosy(Struct):
    """Raises an exception that the library does not expect."""

    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise LookupError("no such value")


@dataclass
class Point:
    x_axis: int
    label_text: str | None = None


@dataclass(frozen=True)
class Aliased:
    plain_name: int = 0
    other: int = field(default=0, metadata={"name": "SomethingElse"})
    computed: int = field(default=7, init=False)


class Options(TypedDict, total=False):
    pageSize: int
    sort_by: str


class Required(TypedDict):
    name: str


UserId = NewType("UserId", int)
