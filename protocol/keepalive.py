"""When to ping, and when the peer has timed out (section K).

Reads no clock: ``now`` is an argument. All times are seconds of the caller's monotonic clock. Each
complete hub message from the peer restarts the timeout; bytes of an unfinished message do not.
Timers are left to ``aio.keep_alive_timer``.
"""

import math
from enum import Enum

from .messages import HubMessage, Ping, Role


class KeepAliveAction(Enum):
    """What ``KeepAlive.handle_timeout`` asks the caller to do."""

    NOTHING = "nothing"
    PING = "ping"
    TIMEOUT = "timeout"


class KeepAlive:
    """The keep-alive deadlines of one connection, which differ by role (K-1…K-4).

    A server pings ``interval`` after its last ping, whatever else it sent. It applies ``timeout``
    to a client only after that client's first ping. A client pings ``interval`` after its last
    message of any kind. It applies ``timeout`` to the server from the start. An ``interval`` or
    ``timeout`` of ``math.inf`` is off: over a transport with inherent keep-alive no pings are sent
    (TL-11).

    The caller sets a timer for ``next_deadline`` after ``start``. When the timer fires, the caller
    calls ``handle_timeout`` and sets the timer for the new deadline. Until then the deadline may
    become later but never earlier, so a set timer never has to be moved.
    """

    __slots__ = (
        "_interval",
        "_is_client",
        "_is_suspended",
        "_is_timeout_active",
        "_last_checked",
        "_last_received",
        "_last_sent",
        "_timeout",
    )

    def __init__(self, role: Role, *, interval: float, timeout: float) -> None:
        self._is_client = role is Role.CLIENT
        self._interval = interval
        self._timeout = timeout
        self._last_sent = math.inf
        self._last_received = math.inf
        self._last_checked = math.inf
        self._is_timeout_active = self._is_client  # whether the timeout applies to the peer (K-3)
        self._is_suspended = False

    def start(self, now: float) -> None:
        """Starts the interval and the timeout, when the handshake is done."""
        self._last_sent = self._last_received = self._last_checked = now

    def message_received(self, now: float) -> None:
        """Notes that the peer sent a message."""
        self._last_received = now

    def ping_received(self) -> None:
        """Notes that the peer sent a Ping: from now on the timeout applies to it (K-3)."""
        self._is_timeout_active = True

    def message_sent(self, kind: type[HubMessage], now: float) -> None:
        """Notes that a message of this kind was sent to the peer."""
        if self._is_client or kind is Ping:
            self._last_sent = now

    def suspend(self) -> None:
        """Suspends the timeout while nothing is read from the peer (K-3). Pings remain due."""
        self._is_suspended = True

    def resume(self, now: float) -> None:
        """Starts the timeout again, from its beginning."""
        self._is_suspended = False
        self._last_received = now

    def next_deadline(self) -> float | None:
        """The time at which to call ``handle_timeout``, or None for never.

        There may be nothing to do at that time. While the timeout does not apply or is suspended,
        it may start at any moment after the last call of ``handle_timeout``. So the deadline is set
        as if the timeout had started at that call.
        """
        begin = self._last_received if self._is_timeout_running else self._last_checked
        deadline = min(self._last_sent + self._interval, begin + self._timeout)
        return None if deadline == math.inf else deadline

    def handle_timeout(self, now: float) -> KeepAliveAction:
        """What is due at ``now``. A PING counts as sent, even if the caller sends none (K-1)."""
        self._last_checked = now
        if self._is_timeout_running and now >= self._last_received + self._timeout:
            return KeepAliveAction.TIMEOUT
        if now >= self._last_sent + self._interval:
            self._last_sent = now
            return KeepAliveAction.PING
        return KeepAliveAction.NOTHING

    @property
    def _is_timeout_running(self) -> bool:
        return self._is_timeout_active and not self._is_suspended
