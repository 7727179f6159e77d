"""When to ping and when to give the peer up (section K). Reads no clock: ``now`` is an argument.

All times are seconds on whatever monotonic clock the caller uses. Any whole hub message counts as a
sign of life; bytes of an unfinished one do not.
"""

from enum import Enum

from .messages import Role


class KeepAliveAction(Enum):
    """What a tick asks for."""

    NOTHING = "nothing"
    PING = "ping"
    TIMEOUT = "timeout"


class KeepAlive:
    """One connection's deadlines; the differences between the roles are K-1…K-4.

    A server pings ``interval`` after its last ping, whatever else it sent, and gives a client up
    only once that client has pinged. A client pings ``interval`` after its last message of any
    kind and expects the server's from the start. Ticks need be no finer than a second.
    """

    def __init__(self, role: Role, *, interval: float, timeout: float, now: float) -> None:
        self._is_client = role is Role.CLIENT
        self._interval = interval
        self._timeout = timeout
        self._last_sent = now
        self._last_heard = now
        self._watching = self._is_client

    def heard(self, now: float) -> None:
        """A message arrived, or time stood still for the peer (K-3)."""
        self._last_heard = now

    def pinged(self) -> None:
        """The peer sent a Ping: from now on its silence counts."""
        self._watching = True

    def sent(self, now: float) -> None:
        """We sent a message that is no Ping."""
        if self._is_client:
            self._last_sent = now

    def tick(self, now: float) -> KeepAliveAction:
        """What is due at ``now``. A PING counts as sent."""
        if self._watching and now - self._last_heard > self._timeout:
            return KeepAliveAction.TIMEOUT
        if now - self._last_sent >= self._interval:
            self._last_sent = now
            return KeepAliveAction.PING
        return KeepAliveAction.NOTHING
