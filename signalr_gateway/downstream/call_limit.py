"""Limits the number of calls under way at a time, and how long further calls wait (GW-35)."""

from __future__ import annotations

import asyncio

from .clock import Clock


class CallLimit:
    """Slots for at most `maximum` calls at a time, None for no limit.

    Further calls wait for a slot, in order of arrival, for up to `patience` seconds. At most
    `maximum` calls wait at a time, so that a flood of calls does not fill the memory.
    """

    def __init__(self, maximum: int | None, patience: float, clock: Clock) -> None:
        self.maximum = maximum
        self._patience = patience
        self._clock = clock
        self._running = 0
        self._waiting: dict[asyncio.Future[bool], None] = {}  # in order of arrival

    def try_enter(self) -> bool:
        """Take a slot and return True, if a slot is free and no call waits for a slot."""
        if self.maximum is not None and (self._running >= self.maximum or self._waiting):
            return False
        self._running += 1
        return True

    async def enter(self) -> bool:
        """Take a slot, and wait for it if necessary. Returns False if none was free in time."""
        if self.try_enter():
            return True
        assert self.maximum is not None
        if len(self._waiting) >= self.maximum:
            return False
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = None
        until = self._clock.time() + self._patience
        timer = self._clock.call_at(until, lambda: _settle(waiter, has_slot=False))
        try:
            return await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and waiter.result():
                self.leave()  # the waiter got a slot before it was cancelled
            raise
        finally:
            timer.cancel()
            self._waiting.pop(waiter, None)

    def leave(self) -> None:
        """Release the slot; the call that has waited longest takes it."""
        for waiter in self._waiting:
            if _settle(waiter, has_slot=True):
                del self._waiting[waiter]
                return
        self._running -= 1


def _settle(waiter: asyncio.Future[bool], *, has_slot: bool) -> bool:
    if waiter.done():
        return False
    waiter.set_result(has_slot)
    return True
