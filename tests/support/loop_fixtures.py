"""Fixtures of tests in memory: a clock that only the test moves, harnesses of client and server.

A conftest.py imports them. Each test of its folder then fails if it leaves a task or a timer.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from protocol import Hub, HubOptions
from protocol.testing import LoopClock

from .client_harness import ClientHarness
from .server_harness import MakeServer, ServerHarness


@pytest.fixture(autouse=True)
async def clock() -> AsyncIterator[LoopClock]:
    with LoopClock() as clock:
        yield clock
        await clock.settle()
        leftovers = clock.leftovers()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await clock.settle()
    assert leftovers == []
    assert clock.unhandled == []


@pytest.fixture
async def serve(clock: LoopClock) -> AsyncIterator[MakeServer]:
    """Serves hub classes for the duration of a test."""
    harnesses: list[ServerHarness] = []

    def make(hub_class: type[Hub], options: HubOptions | None = None, **more: Any) -> ServerHarness:
        harnesses.append(ServerHarness(clock, hub_class, options, **more))
        return harnesses[-1]

    yield make
    for harness in harnesses:
        await harness.close()


@pytest.fixture
async def harness(clock: LoopClock) -> AsyncIterator[ClientHarness]:
    """Client connections. The test acts as their servers."""
    harness = ClientHarness(clock)
    yield harness
    await harness.close()
