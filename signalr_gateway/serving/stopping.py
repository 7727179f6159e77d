"""Stops one gateway within one deadline (GW-9).

When the stop begins, new calls are refused. At the deadline, calls and other requests that are
still under way are cut off, and answered with a problem. `serving.draining` decides which requests
are served meanwhile, and `serving.runner` sets the deadline.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

from ..downstream.hub import Downstreams
from .draining import Gate

log = logging.getLogger(__name__)

STOP_TIMEOUT = 10.0
"""Seconds in which requests under way may end when the gateway stops."""
ANSWER_TIMEOUT = 0.1
"""Seconds in which requests that are cut off must be answered."""

_deadline: ContextVar[float] = ContextVar("stop_deadline")


@contextmanager
def stopping_until(deadline: float) -> Iterator[None]:
    """Within the context, each `Stop` uses this deadline, which is a time of the event loop."""
    token = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(token)


class Stop:
    """The stop of one gateway."""

    def __init__(self, gate: Gate, downstreams: Downstreams) -> None:
        self._gate = gate
        self._downstreams = downstreams
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Refuse new calls, and start the timer of the deadline.

        Without `stopping_until` the deadline is `STOP_TIMEOUT` seconds from now.
        """
        loop = asyncio.get_running_loop()
        self._deadline = _deadline.get(loop.time() + STOP_TIMEOUT)
        self._timer = loop.call_at(self._deadline, self._cut_off_calls)
        log.info("gateway stopping: new calls are refused")
        self._gate.close()
        self._downstreams.drain()

    async def finish(self) -> None:
        """Return when the requests under way have ended, or soon after the deadline."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._deadline + ANSWER_TIMEOUT):
                await self._gate.wait_until_empty()
        if self._timer is not None:
            self._timer.cancel()

    def _cut_off_calls(self) -> None:
        self._downstreams.cut_off()
        # Calls are answered first. Their answer says that the hub may have run the call.
        self._timer = asyncio.get_running_loop().call_later(ANSWER_TIMEOUT / 2, self._gate.cut_off)
