"""Runs the keep-alive of one connection on one timer of the event loop, without polling.

``protocol.keepalive`` decides when a ping or a timeout is due. The connection sends the ping, or
ends at the timeout.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from ..keepalive import KeepAlive, KeepAliveAction

_LATE: Final = 0.5  # seconds; a longer delay of the timer shows that the event loop was blocked
_READING_TIME: Final = 1.0  # seconds to read what has arrived while the event loop was blocked


class KeepAliveTimer:
    """Calls ``ping`` or ``time_out`` when they are due.

    Traffic postpones the deadlines without resetting the timer. A timer that fires before anything
    is due is set again for the next deadline. A timer that fires late shows that the event loop was
    blocked, and that messages may have arrived in the meantime. ``time_out`` is then called a
    second later, unless such a message postpones the deadline.
    """

    __slots__ = ("_due", "_keep_alive", "_loop", "_ping", "_time_out", "_timer", "blocked_for")

    def __init__(
        self, keep_alive: KeepAlive, ping: Callable[[], object], time_out: Callable[[], object]
    ) -> None:
        self._keep_alive = keep_alive
        self._ping = ping
        self._time_out = time_out
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0
        self.blocked_for = 0.0
        """Seconds for which the event loop was blocked before ``time_out`` was called."""

    def start(self) -> None:
        """Sets the timer for the next deadline. Start the ``KeepAlive`` first."""
        deadline = self._keep_alive.next_deadline()
        if deadline is not None:
            self._set(deadline)

    def _set(self, deadline: float) -> None:
        self._due = deadline
        self._timer = self._loop.call_at(deadline, self._fire)

    def stop(self) -> None:
        """Cancels the timer. Neither ``ping`` nor ``time_out`` is called afterwards."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        now = self._loop.time()
        late = now - self._due
        action = self._keep_alive.handle_timeout(now)
        if action is not KeepAliveAction.TIMEOUT:
            self.blocked_for = 0.0
            self.start()
            if action is KeepAliveAction.PING:
                self._ping()  # this call may end the connection and stop the timer
        elif late > _LATE and not self.blocked_for:
            self.blocked_for = late
            self._set(now + _READING_TIME)
        else:
            self._time_out()
