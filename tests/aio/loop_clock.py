"""The running loop's clock in a test's hand: time passes only when the test says so.

Also knows when the loop has come to rest, so that a test asserts what has happened instead of
waiting for it, and what is still alive in the loop at the end.
"""

import asyncio
from typing import Any, Final

import pytest

_RESTLESS: Final = 10_000  # rounds; more than any honest test needs


class LoopClock:
    """Replaces ``time`` of the running loop, and watches what is scheduled on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._now = 1000.0
        self._scheduled = 0
        self._timers: list[asyncio.TimerHandle] = []
        self.unhandled: list[dict[str, Any]] = []
        """What ended up in the loop's exception handler: nobody else cared for it."""
        call_soon, call_at = loop.call_soon, loop.call_at

        def count(*args: Any, **kwargs: Any) -> asyncio.Handle:
            self._scheduled += 1
            return call_soon(*args, **kwargs)

        def remember(*args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            handle = call_at(*args, **kwargs)
            self._timers.append(handle)
            return handle

        monkeypatch.setattr(loop, "time", self.time)
        monkeypatch.setattr(loop, "call_soon", count)
        monkeypatch.setattr(loop, "call_at", remember)
        loop.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def time(self) -> float:
        """Seconds, as the loop sees them."""
        return self._now

    async def settle(self) -> None:
        """Returns when nothing more happens without a timer or somebody outside."""
        quiet = 0
        for _ in range(_RESTLESS):
            before = self._scheduled
            await asyncio.sleep(0)
            # A round in which only we asked to be called again; timers enter behind our back, so
            # that it takes two to be sure.
            quiet = quiet + 1 if self._scheduled == before + 1 else 0
            if quiet == 2:
                return
        raise AssertionError("The loop does not come to rest.")

    async def advance(self, seconds: float) -> None:
        """Lets time pass, stopping at each timer on the way."""
        await self.settle()
        end = self._now + seconds
        while due := [timer.when() for timer in self.timers() if timer.when() <= end]:
            self._now = min(due)
            await self.settle()
        self._now = end
        await self.settle()

    def timers(self) -> list[asyncio.TimerHandle]:
        """What would still happen if time went on."""
        self._timers = [
            timer for timer in self._timers if not timer.cancelled() and timer.when() > self._now
        ]
        return self._timers

    def leftovers(self) -> list[object]:
        """Tasks and timers that are alive, but for the task that asks."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        return [*tasks, *self.timers()]


def age(task: asyncio.Task[Any]) -> int:
    """Tasks in this order were made one after the other: by default they are numbered."""
    return int(task.get_name().rpartition("-")[2])
