"""The time limits for what a client has to send: messages (K-3), and Acks (SR-8).

They do not run while received messages wait for hub code, because a Ping or an Ack may be among
these messages. ``dispatcher`` decides when messages wait.
"""

import asyncio

from ..keepalive import KeepAlive
from .connection_context import HubConnectionContext


class ReceiveLimits:
    """The time limits of one connection."""

    __slots__ = ("_connection", "_keep_alive", "_loop")

    def __init__(self, connection: HubConnectionContext, keep_alive: KeepAlive) -> None:
        self._connection = connection
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()

    def suspend(self) -> None:
        """Stops the limits, because received messages wait."""
        self._keep_alive.suspend()
        if self._connection.counted is not None:
            self._connection.counted.suspend()

    def resume(self) -> None:
        """Starts the limits from their beginnings."""
        self._keep_alive.resume(self._loop.time())
        if self._connection.counted is not None:
            self._connection.counted.resume()
