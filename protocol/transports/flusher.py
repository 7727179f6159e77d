"""Flushes each connection once per turn of the event loop, however many messages were written.

The system call takes most of the time of sending a small message. SignalR lets many records share
one WebSocket message, so the writes of one turn are sent together.
"""

import asyncio
import logging
from typing import Protocol

from ..aio.log_thinning import LogThinning
from ..aio.transport import CONNECTIONS_PER_TURN

logger = logging.getLogger(__name__)


class Flushable(Protocol):
    """A connection with written bytes that are not sent yet."""

    def flush(self) -> None:
        """Sends the written bytes."""

    def abort(self) -> None:
        """Ends the connection. Called when ``flush`` has raised an exception."""


class Flusher:
    """Flushes scheduled connections from the next turn of the event loop on.

    A turn flushes up to CONNECTIONS_PER_TURN connections. The rest wait for the next turns.
    """

    def __init__(self) -> None:
        self._waiting: list[Flushable] = []
        self._is_scheduled = False
        self._thinning = LogThinning()

    def schedule(self, flushable: Flushable) -> None:
        """Schedules one flush. Called for the first write after a flush, not for every write."""
        self._waiting.append(flushable)
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        batch = self._waiting[:CONNECTIONS_PER_TURN]
        del self._waiting[:CONNECTIONS_PER_TURN]
        for flushable in batch:
            try:
                flushable.flush()
            except Exception as error:
                text = "A connection could not be written to; it is cut off."
                self._thinning.log_failure(logger, error, text)
                flushable.abort()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        else:
            self._is_scheduled = False
