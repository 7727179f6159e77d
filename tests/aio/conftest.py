"""Every test here runs on a clock that only the test moves, and leaves nothing in the loop."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Protocol

import pytest

from protocol import Hub, HubOptions
from protocol.testing import LoopClock

from .client_lab import ClientLab
from .server_lab import ServerLab


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


class MakeServer(Protocol):
    def __call__(
        self, hub_class: type[Hub], options: HubOptions | None = None, **more: Any
    ) -> ServerLab: ...


@pytest.fixture
async def serve(clock: LoopClock) -> AsyncIterator[MakeServer]:
    """Puts hub classes into service for the length of a test."""
    labs: list[ServerLab] = []

    def make(hub_class: type[Hub], options: HubOptions | None = None, **more: Any) -> ServerLab:
        labs.append(ServerLab(clock, hub_class, options, **more))
        return labs[-1]

    yield make
    for lab in labs:
        await lab.close()


@pytest.fixture
async def client_lab(clock: LoopClock) -> AsyncIterator[ClientLab]:
    """Client connections to servers that the test plays."""
    lab = ClientLab(clock)
    yield lab
    await lab.close()
