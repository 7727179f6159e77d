"""A clock that only the test moves, and a function that waits until the event loop is idle."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable


class HandTimer:
    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self._callback = None

    def fire(self) -> None:
        if self._callback is not None:
            self._callback()


class HandClock:
    """The clock interface of `signalr_gateway.downstream.clock`; starts at 1000 s."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, HandTimer]] = []

    def time(self) -> float:
        return self._now

    def call_at(self, when: float, callback: Callable[[], object], /) -> HandTimer:
        timer = HandTimer(callback)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def is_waiting_for(self, seconds: float) -> bool:
        """Whether a timer is due in so many seconds."""
        return any(when == self._now + seconds for when, _, _ in self._timers)

    async def advance(self, seconds: float) -> None:
        """Move on, stopping at each timer that is due on the way."""
        await settle()
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            timer.fire()
            await settle()
        self._now = end
        await settle()


async def settle() -> None:
    """Let everything that can run without a timer or a socket run."""
    for _ in range(20):
        await asyncio.sleep(0)
