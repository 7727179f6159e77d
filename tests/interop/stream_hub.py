"""The stream hub of `dotnet/chat-hub` on this library: streams both ways, client results."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from protocol import Hub, HubException, hub_method


class StreamHub(Hub):
    """`dotnet/chat-hub/StreamHub.cs` describes the methods."""

    @hub_method
    async def counter(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    @hub_method
    async def endless(self, name: str) -> AsyncIterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
                await asyncio.sleep(0.001)
        finally:
            sys.stdout.write(f"RECORDED {name}\n")
            sys.stdout.flush()

    @hub_method("Break")
    async def break_(self) -> AsyncIterator[str]:
        yield "one"
        raise HubException("no more")

    @hub_method
    async def sum(self, numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])

    @hub_method
    async def record_all(self, texts: AsyncIterator[str]) -> int:
        """Prints all texts in one line; for clients that ask for no result. Returns their number.

        Only this hub has the method, the one in C# does not.
        """
        received = [text async for text in texts]
        sys.stdout.write(f"RECORDED {' '.join(received)}\n")
        sys.stdout.flush()
        return len(received)

    @hub_method
    async def doubled(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield number * 2

    @hub_method
    async def ask(self, target: str, arguments: list[Any]) -> str | None:
        answer: str | None
        try:
            answer = await self.clients.caller.invoke(target, *arguments, result_type=str | None)
        except HubException as error:
            answer = f"error: {error}"
        return answer
