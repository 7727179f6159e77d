"""One write per connection and tick of the event loop, however many messages it is made of.

A system call costs more than everything else about a small message, and SignalR lets many records
share one WebSocket message: so writes are collected and leave together.
"""

import asyncio
import logging
from typing import Protocol

from ..aio.transport import CONNECTIONS_PER_TURN

logger = logging.getLogger(__name__)


class Flushable(Protocol):
    """What has something to flush."""

    def flush(self) -> None:
        """Writes what was collected."""

    def abort(self) -> None:
        """Ends it, for its flush has failed."""


class Flusher:
    """Flushes all that asked for it, once, at the end of the current tick."""

    def __init__(self) -> None:
        self._dirty: list[Flushable] = []
        self._scheduled = False

    def schedule(self, flushable: Flushable) -> None:
        """Asks for a flush; once per tick and connection is enough."""
        self._dirty.append(flushable)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        batch = self._dirty[:CONNECTIONS_PER_TURN]
        del self._dirty[:CONNECTIONS_PER_TURN]
        for flushable in batch:
            try:
                flushable.flush()
            except Exception:
                logger.exception("A connection could not be written to; it is cut off.")
                flushable.abort()
        if self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._scheduled = False
