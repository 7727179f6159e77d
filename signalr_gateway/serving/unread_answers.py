"""Closes connections whose client does not read the answers to its requests.

aiohttp waits for such a client without a time limit, even when aiohttp closes the connection. The
answers stay in memory meanwhile. Requests under way are not checked here: the hub server has its
own deadlines for WebSockets, event streams and polls.
"""

from __future__ import annotations

from typing import Final, Protocol

from ..downstream.clock import Clock, Timer

SLOWEST: Final = 240
"""Bytes per second that a client has to read. ASP.NET Core's server has the same limit."""


class Answering(Protocol):
    """A connection that answers requests."""

    @property
    def unread(self) -> int:
        """The bytes of finished answers that are not yet passed to the operating system."""

    def abort(self) -> None:
        """Close the connection at once."""


class UnreadAnswers:
    """Checks all connections every `seconds`, with one timer.

    A connection is aborted if bytes were unread at the last check, and too few of them have been
    read since.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._unread: dict[Answering, int] = {}  # at the last check
        self._timer: Timer | None = None

    def watch(self, connection: Answering) -> None:
        """Check a connection from now on, as if nothing was unread at the last check."""
        self._unread[connection] = 0
        if self._timer is None:
            self._set_timer()

    def forget(self, connection: Answering) -> None:
        """Stop the checks of a connection."""
        self._unread.pop(connection, None)

    def close(self) -> None:
        """Stop all checks."""
        self._unread.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        self._timer = self._clock.call_at(self._clock.time() + self._seconds, self._check)

    def _check(self) -> None:
        self._timer = None
        for connection, before in list(self._unread.items()):
            unread = connection.unread
            self._unread[connection] = unread
            if unread and before and before - unread < min(before, SLOWEST * self._seconds):
                connection.abort()
        if self._unread:
            self._set_timer()
