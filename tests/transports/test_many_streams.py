"""Streams of many items, and many streams, over real sockets: order and bounded memory."""

import asyncio
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from protocol import HubOptions, hub_method
from tests.transports.client import builders

from .host import BasicHub, Host

pytestmark = pytest.mark.slow

ITEMS = 100_000
STREAMS = 1_000
MEMORY = 32 * 1024 * 1024
"""The bytes that both ends may hold at a time.

All items of a test take more than three times as many.
"""
PADDING = "x" * 1000
_STATM = Path("/proc/self/statm")


class ManyHub(BasicHub):
    @hub_method
    async def count(self, last: int, padding: str) -> AsyncIterator[tuple[int, str]]:
        for number in range(last):
            yield number, padding

    @hub_method
    async def check(self, items: AsyncIterator[tuple[int, str]]) -> int:
        """Takes items more slowly than they are sent, and returns how many came in order."""
        expected = 0
        async for number, _ in items:
            assert number == expected
            expected += 1
            await asyncio.sleep(0)
        return expected


class ResidentMemory:
    """Asserts that the memory of the process is bounded. tracemalloc would triple the time."""

    def __init__(self) -> None:
        if not _STATM.exists():
            pytest.skip(f"needs {_STATM}, which only Linux has")
        self._start = self._bytes()

    def check(self) -> None:
        assert self._bytes() - self._start < MEMORY

    def _bytes(self) -> int:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
async def many() -> AsyncIterator[Host]:
    host = Host()
    host.map(hub_class=ManyHub, hub_options=HubOptions(maximum_streams_per_connection=STREAMS))
    async with host.run():
        yield host


async def test_a_client_that_takes_many_items_slowly(many: Host) -> None:
    async with builders.builder(f"{many.url}/hub").build() as connection:
        memory, expected = ResidentMemory(), 0
        async for number, _ in connection.stream("Count", ITEMS, PADDING):
            assert number == expected
            expected += 1
            await asyncio.sleep(0)
            if not expected % 1000:
                memory.check()
        assert expected == ITEMS


async def test_a_hub_method_that_takes_many_items_slowly(many: Host) -> None:
    async def items() -> AsyncIterator[tuple[int, str]]:
        for number in range(ITEMS):
            yield number, PADDING
            if not number % 1000:
                memory.check()

    async with builders.builder(f"{many.url}/hub").build() as connection:
        memory = ResidentMemory()
        assert await connection.invoke("Check", items()) == ITEMS


async def test_many_streams_on_one_connection(many: Host) -> None:
    async with builders.builder(f"{many.url}/hub").build() as connection:

        async def take() -> list[int]:
            return [number async for number, _ in connection.stream("Count", 3, "")]

        taken = await asyncio.gather(*(take() for _ in range(STREAMS)))
    assert taken == [[0, 1, 2]] * STREAMS


async def test_a_stream_on_each_of_many_connections(many: Host) -> None:
    async def take() -> list[int]:
        async with builders.builder(f"{many.url}/hub").build() as connection:
            return [number async for number, _ in connection.stream("Count", 3, "")]

    taken = await asyncio.gather(*(take() for _ in range(STREAMS)))
    assert taken == [[0, 1, 2]] * STREAMS
