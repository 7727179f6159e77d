"""The conformance hub: streams to the client and from the client."""

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator

from protocol import HubException, Int32, hub_method

from .conformance_calls import ConnectionMethods
from .values import InvalidOperationException, describe


async def _count(count: int, milliseconds: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(milliseconds / 1000)
        yield number


class StreamingMethods(ConnectionMethods):
    """Streams to the client. Those that .NET has as channels are plain async iterators here."""

    @hub_method
    async def counter(self, count: Int32, delay: Int32) -> AsyncIterator[int]:
        """0, 1, 2 and so on, each after a delay in milliseconds; reports its end."""
        try:
            for number in range(count):
                await asyncio.sleep(delay / 1000)
                yield number
        finally:
            await self.report("Note", "stopped")

    @hub_method
    def counter_without_token(self, count: Int32, delay: Int32) -> AsyncIterator[int]:
        return _count(count, delay)

    @hub_method
    def counter_channel(self, count: Int32, delay: Int32) -> AsyncIterable[int]:
        return _count(count, delay)

    @hub_method
    def counter_channel_without_token(self, count: Int32, delay: Int32) -> AsyncIterable[int]:
        return _count(count, delay)

    @hub_method
    async def counter_task(self, count: Int32, delay: Int32) -> AsyncIterator[int]:
        await asyncio.sleep(0)
        return _count(count, delay)

    @hub_method
    async def counter_channel_task(self, count: Int32, delay: Int32) -> AsyncIterable[int]:
        await asyncio.sleep(0)
        return _count(count, delay)

    @hub_method
    async def strings(self, values: list[str | None]) -> AsyncIterator[str | None]:
        for value in values:
            yield value

    @hub_method
    def throw_before_stream(self, message: str) -> AsyncIterator[int]:
        raise InvalidOperationException(message)

    @hub_method
    async def throw_in_stream(self, after: Int32, message: str) -> AsyncIterator[int]:
        for number in range(after):
            yield number
        raise InvalidOperationException(message)

    @hub_method
    async def throw_hub_exception_in_stream(self, after: Int32, message: str) -> AsyncIterator[int]:
        for number in range(after):
            yield number
        raise HubException(message)

    @hub_method
    async def throw_in_channel(self, message: str) -> AsyncIterator[int]:
        yield 1
        raise InvalidOperationException(message)

    @hub_method
    async def not_a_number_in_stream(self) -> AsyncIterator[float]:
        """An item that JSON cannot express. .NET's NaN has a sign, Python's does not."""
        for value in (1.0, -math.nan, 2.0):
            yield value

    @hub_method
    def null_stream(self) -> AsyncIterator[int] | None:
        return None

    @hub_method
    def null_channel(self) -> AsyncIterable[int] | None:
        return None

    @hub_method(authorize=True)
    def secret_counter(self, count: Int32) -> AsyncIterator[int]:
        return _count(count, 1)


class UploadMethods(ConnectionMethods):
    """Streams from the client."""

    @hub_method
    async def sum(self, numbers: AsyncIterator[Int32]) -> int:
        return await _sum(numbers)

    @hub_method
    async def join(self, words: AsyncIterator[str | None]) -> str:
        return " ".join([word or "" async for word in words])

    @hub_method
    async def sum_and_join(
        self, numbers: AsyncIterator[Int32], words: AsyncIterator[str | None]
    ) -> str:
        return f"{await _sum(numbers)}: {await self.join(words)}"

    @hub_method
    async def sum_between(self, before: str, numbers: AsyncIterator[Int32], start: Int32) -> str:
        """A stream between ordinary parameters."""
        return f"{before}{start + await _sum(numbers)}"

    @hub_method
    async def watch(self, numbers: AsyncIterator[Int32]) -> str:
        """Sends Item for each item, and returns how the stream ended."""
        try:
            async for number in numbers:
                await self.clients.caller.send("Item", number)
        except Exception as error:
            await self.report("Note", describe(error))
            return str(describe(error))
        return "completed"

    @hub_method
    async def first(self, numbers: AsyncIterator[Int32]) -> int:
        """Reads one item, however many there are."""
        return await anext(numbers, -1)

    @hub_method
    async def read_late(self, numbers: AsyncIterator[Int32], milliseconds: Int32) -> int:
        """Reads nothing for a while, then returns the number of items."""
        await asyncio.sleep(milliseconds / 1000)
        return len([number async for number in numbers])

    @hub_method
    async def sum_then_throw(self, numbers: AsyncIterator[Int32]) -> None:
        raise InvalidOperationException(f"The sum was {await _sum(numbers)}.")

    @hub_method
    async def double(self, numbers: AsyncIterator[Int32]) -> AsyncIterator[int]:
        """Both directions at once."""
        async for number in numbers:
            yield number * 2


async def _sum(numbers: AsyncIterator[int]) -> int:
    return sum([number async for number in numbers])
