"""Time that passes when a test says so, where tests use real sockets.

A timeout made short for a test is short for everything before it as well, on a busy machine too
short. With this the timeouts keep their length, and pass once the test is there.
"""

import asyncio
from typing import Any

import pytest


class LoopTime:
    """Replaces ``time`` of the running loop by one that goes on as usual and can be put forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._real = loop.time
        self._skipped = 0.0
        monkeypatch.setattr(loop, "time", self._time)

    def _time(self) -> float:
        return self._real() + self._skipped

    def skip(self, seconds: float) -> None:
        """Put the time forward; timers that are due then fire in the loop's next round."""
        self._skipped += seconds

    async def pass_until_done(self, task: asyncio.Future[Any]) -> None:
        """Let seconds pass, one in each round of the loop, until ``task`` is done."""
        while not task.done():
            self.skip(1)
            await asyncio.sleep(0)
