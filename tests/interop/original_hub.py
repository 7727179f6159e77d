"""The hub of the recordings, rewritten on this library: `original-gateway/hub` is the C# hub.

python -m tests.interop.original_hub --urls http://127.0.0.1:5000
"""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from protocol import Hub, HubException, hub_method
from tests.interop.chat_hub import main

Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class Request(msgspec.Struct):
    name: str | None = None
    message: str | None = None


class OriginalHub(Hub):
    async def tell(self, target: str, *arguments: Any) -> None:
        await self.clients.all.send(target, *arguments)

    @hub_method
    async def send_message(self, request: Request | None) -> None:
        assert request is not None  # in C# null is a Request, too
        await self.tell("ReceiveMessage", request.name, request.message)

    @hub_method
    async def echo(self, x: msgspec.Raw) -> msgspec.Raw:
        return x

    @hub_method
    async def relay(self, x: msgspec.Raw) -> None:
        await self.tell("ReceiveRelay", x)

    @hub_method
    async def add(self, a: Int32, b: Int32) -> int:
        return a + b

    @hub_method
    async def no_args(self) -> None:
        await self.tell("ReceiveMessage", "none", "args")

    @hub_method
    async def throw(self) -> None:
        raise RuntimeError("plain secret")

    @hub_method
    async def throw_hub(self) -> None:
        raise HubException("hub says no")

    @hub_method
    async def slow(self, ms: int) -> str:
        await asyncio.sleep(ms / 1000)
        return "slept"

    @hub_method
    async def ten(
        self, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any, i: Any, j: Any
    ) -> int:
        return len((a, b, c, d, e, f, g, h, i, j))

    @hub_method
    async def three(self) -> None:
        await self.tell("ReceiveMessage", "a", "b", "c")

    @hub_method
    async def one(self) -> None:
        await self.tell("ReceiveMessage", "a")

    @hub_method
    async def wrong_type(self) -> None:
        await self.tell("ReceiveMessage", 17, {"x": 1})

    @hub_method
    async def mixed(self) -> None:
        numbers = msgspec.Raw(b"0.10"), msgspec.Raw(b"12345678901234567890")
        when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+02:00"
        await self.tell("ReceiveMixed", *numbers, *when, {"b": 1, "a": None})

    @hub_method
    async def mixed_typed(self) -> None:
        await self.tell("ReceiveTyped", 7, "x", Request("n", "m"))

    @hub_method
    async def big(self, n: int) -> None:
        await self.tell("ReceiveMessage", "big", "x" * n)

    @hub_method
    async def other(self, m: str) -> None:
        await self.tell("ReceiveOther", "other", m)


if __name__ == "__main__":
    main(OriginalHub)
