"""Moves the time of the event loop forward, for tests of timeouts with real sockets.

A test with a short timeout fails on a busy machine if the timeout ends before the test expects it.
With `LoopTime`, timeouts keep their usual length, and the test moves the time when it is ready.
"""

import asyncio
from typing import Any

import pytest


class LoopTime:
    """Replaces ``time`` of the running loop. The new time can also be moved forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._real = loop.time
        self._skipped = 0.0
        monkeypatch.setattr(loop, "time", self._time)

    def _time(self) -> float:
        return self._real() + self._skipped

    def skip(self, seconds: float) -> None:
        """Move the time forward. Timers that are then due fire in the loop's next iteration."""
        self._skipped += seconds

    async def pass_until_done(self, task: asyncio.Future[Any]) -> None:
        """Move the time by one second in each iteration of the loop, until ``task`` is done."""
        while not task.done():
            self.skip(1)
            await asyncio.sleep(0)
