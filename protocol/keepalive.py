"""When to ping, and when the peer has timed out (section K).

Reads no clock: ``now`` is an argument. All times are seconds on whatever monotonic clock the caller
uses. Any whole hub message counts as a sign of life; bytes of an unfinished one do not.
"""

import math
from enum import Enum

from .messages import HubMessage, Ping, Role


class KeepAliveAction(Enum):
    """What ``KeepAlive.handle_timeout`` asks for."""

    NOTHING = "nothing"
    PING = "ping"
    TIMEOUT = "timeout"


class KeepAlive:
    """One connection's deadlines; the differences between the roles are K-1…K-4.

    A server pings ``interval`` after its last ping, whatever else it sent, and gives a client up
    only once that client has pinged. A client pings ``interval`` after its last message of any
    kind and expects the server's from the start. An infinite time disables its part: over a
    transport with inherent keep-alive no pings are sent (TL-11).

    The caller sets a timer for ``next_deadline`` when it calls ``start``, and again each time that
    the timer has fired and ``handle_timeout`` was called. Nothing in between brings a deadline
    forward, so the timer is never moved.
    """

    __slots__ = (
        "_interval",
        "_is_client",
        "_is_suspended",
        "_is_watching",
        "_last_checked",
        "_last_heard",
        "_last_sent",
        "_timeout",
    )

    def __init__(self, role: Role, *, interval: float, timeout: float) -> None:
        self._is_client = role is Role.CLIENT
        self._interval = interval
        self._timeout = timeout
        self._last_sent = math.inf
        self._last_heard = math.inf
        self._last_checked = math.inf
        self._is_watching = self._is_client
        self._is_suspended = False

    def start(self, now: float) -> None:
        """Starts both clocks: the handshake is done."""
        self._last_sent = self._last_heard = self._last_checked = now

    def heard(self, now: float) -> None:
        """A message arrived."""
        self._last_heard = now

    def pinged(self) -> None:
        """The peer sent a Ping: from now on its silence counts (K-3)."""
        self._is_watching = True

    def sent(self, kind: type[HubMessage], now: float) -> None:
        """A message of this kind was sent."""
        if self._is_client or kind is Ping:
            self._last_sent = now

    def suspend(self) -> None:
        """Stops the peer's clock, because nothing is read from it (K-3). Pings stay due."""
        self._is_suspended = True

    def resume(self, now: float) -> None:
        """Starts the peer's clock again, from the beginning of its timeout."""
        self._is_suspended = False
        self._last_heard = now

    def next_deadline(self) -> float | None:
        """The time at which ``handle_timeout`` is to be called; None: never.

        Nothing need be due then. While the peer's clock stands still this is the earliest time at
        which a clock that starts right after the last check could run out.
        """
        begin = self._last_heard if self._is_counting else self._last_checked
        deadline = min(self._last_sent + self._interval, begin + self._timeout)
        return None if deadline == math.inf else deadline

    def handle_timeout(self, now: float) -> KeepAliveAction:
        """What is due at ``now``. A PING counts as sent, also when it is left out (K-1)."""
        self._last_checked = now
        if self._is_counting and now >= self._last_heard + self._timeout:
            return KeepAliveAction.TIMEOUT
        if now >= self._last_sent + self._interval:
            self._last_sent = now
            return KeepAliveAction.PING
        return KeepAliveAction.NOTHING

    @property
    def _is_counting(self) -> bool:
        """Whether the peer's silence counts."""
        return self._is_watching and not self._is_suspended
