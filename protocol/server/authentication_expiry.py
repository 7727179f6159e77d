"""The time at which the authentication of a connection's user expires (A-8)."""

import asyncio
from collections.abc import Callable
from typing import Final

_CHECK_INTERVAL: Final = 60.0
"""Seconds until the wall clock is read again. A timer of the event loop alone may be late: the wall
clock may be set, and it also runs while the computer sleeps."""


class AuthenticationExpiry:
    """Calls ``expire`` when the wall clock reaches the time that was set last.

    ``wall_clock`` returns seconds since the epoch.
    """

    __slots__ = ("_expire", "_expires_at", "_loop", "_timer", "_wall_clock")

    def __init__(self, expire: Callable[[], None], wall_clock: Callable[[], float]) -> None:
        self._expire = expire
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._expires_at = 0.0

    def set(self, expires_at: float | None) -> None:
        """Sets the time of expiry, in seconds since the epoch; None: never."""
        self.stop()
        if expires_at is not None:
            self._expires_at = expires_at
            self._wait()

    def stop(self) -> None:
        """Cancels the timer; ``expire`` is not called afterwards."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        seconds = max(self._expires_at - self._wall_clock(), 0.0)
        self._timer = self._loop.call_later(min(seconds, _CHECK_INTERVAL), self._check)

    def _check(self) -> None:
        if self._wall_clock() < self._expires_at:
            self._wait()
        else:
            self._timer = None
            self._expire()
