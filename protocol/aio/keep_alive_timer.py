"""Runs the keep-alive of one connection on one timer of the event loop, without polling.

``protocol.keepalive`` decides when a ping or a timeout is due; the connection decides what to do
then.
"""

import asyncio
from collections.abc import Callable

from ..keepalive import KeepAlive, KeepAliveAction


class KeepAliveTimer:
    """Calls ``ping`` or ``time_out`` when they are due.

    Traffic postpones the deadlines without resetting the timer. A timer that fires before anything
    is due is set again for the next deadline.
    """

    __slots__ = ("_keep_alive", "_loop", "_ping", "_time_out", "_timer")

    def __init__(
        self, keep_alive: KeepAlive, ping: Callable[[], object], time_out: Callable[[], object]
    ) -> None:
        self._keep_alive = keep_alive
        self._ping = ping
        self._time_out = time_out
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Sets the timer for the next deadline. Start the ``KeepAlive`` first."""
        deadline = self._keep_alive.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._fire)

    def stop(self) -> None:
        """Cancels the timer; neither function is called afterwards."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        match self._keep_alive.handle_timeout(self._loop.time()):
            case KeepAliveAction.NOTHING:
                self.start()
            case KeepAliveAction.PING:
                self.start()
                self._ping()  # which may end the connection, and stop the timer
            case KeepAliveAction.TIMEOUT:
                self._time_out()
