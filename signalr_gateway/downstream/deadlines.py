"""Deadlines with the same timeout, which share one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from .clock import Clock, Timer

Key = TypeVar("Key")
T = TypeVar("T")


class Deadlines(Generic[Key]):
    """Calls ``expire(key)`` for each key that was started ``seconds`` ago and is not stopped.

    The key that was started first is due first, so one timer is enough for all keys. On uvloop, a
    timer for each POST would take 15 % of the CPU time of the POST.
    """

    def __init__(self, seconds: float, expire: Callable[[Key], object], clock: Clock) -> None:
        self._seconds = seconds
        self._expire = expire
        self._clock = clock
        self._started: dict[Key, float] = {}  # the oldest first
        self._timer: Timer | None = None

    def __bool__(self) -> bool:
        """Whether a deadline runs."""
        return bool(self._started)

    @property
    def oldest(self) -> Key | None:
        """The key that is due first; None if no deadline runs."""
        return next(iter(self._started), None)

    def start(self, key: Key) -> None:
        """Start the deadline of `key`, unless it runs already."""
        self._started.setdefault(key, self._clock.time())
        if self._timer is None:
            self._set_timer()

    def stop(self, key: Key) -> None:
        """Stop the deadline of `key`, if it runs."""
        self._started.pop(key, None)

    def expire_all(self) -> None:
        """Call ``expire`` for all keys whose deadline runs."""
        keys = list(self._started)
        self.close()
        for key in keys:
            self._expire(key)

    def close(self) -> None:
        """Stop all deadlines."""
        self._started.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        oldest = next(iter(self._started.values()))
        self._timer = self._clock.call_at(oldest + self._seconds, self._expire_overdue)

    def _expire_overdue(self) -> None:
        self._timer = None
        now = self._clock.time()
        for key, started in list(self._started.items()):
            if started + self._seconds > now:
                break
            del self._started[key]
            self._expire(key)
        if self._started and self._timer is None:
            self._set_timer()


def timeouts(seconds: float, clock: Clock) -> Deadlines[asyncio.Timeout]:
    """Deadlines for timeouts that were made with ``asyncio.timeout(None)``.

    Call this function inside a running event loop.
    """
    now = asyncio.get_running_loop().time
    return Deadlines(seconds, lambda limit: limit.reschedule(now()), clock)


async def within(limits: Deadlines[asyncio.Timeout], waiting: Awaitable[T]) -> T:
    """Return the result of `waiting`. At the deadline, cancel `waiting` and raise TimeoutError."""
    async with asyncio.timeout(None) as limit:
        limits.start(limit)
        try:
            return await waiting
        finally:
            limits.stop(limit)
