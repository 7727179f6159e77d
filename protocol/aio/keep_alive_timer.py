"""One loop timer for one connection's keep-alive, so that nothing polls.

When something is due is decided by ``keepalive``; what happens then, by the connection.
"""

import asyncio
from collections.abc import Callable

from ..keepalive import KeepAlive, KeepAliveAction


class KeepAliveTimer:
    """Calls ``ping`` or ``time_out`` when they are due.

    Traffic moves deadlines to a later time, and the timer is not moved with them: when it fires and
    nothing is due, it is set again.
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
        """Sets the timer for the next deadline of the keep-alive, which has started."""
        deadline = self._keep_alive.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._fire)

    def stop(self) -> None:
        """Neither function is called afterwards."""
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
