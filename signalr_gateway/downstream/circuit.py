"""Decides whether a route is still called after several of its calls have timed out (GW-36).

This module reads no clock and does not wait: `downstream.admission` passes the time as an argument.
"""

from __future__ import annotations


class Circuit:
    """Refuses the calls of one route for `seconds` after `threshold` timeouts in a row.

    Then one call is made as a probe. If the probe times out, calls are refused for `seconds` again.
    An answer of the hub to the probe, also an error, ends the refusals. If `threshold` is None, no
    call is ever refused. All times are seconds of a monotonic clock.

    Each call has a ticket. A call that began before the circuit opened may end after that. Its
    ticket is out of date, so its end does not decide about the probe of another call.
    """

    def __init__(self, threshold: int | None, seconds: float) -> None:
        self._threshold = threshold
        self._seconds = seconds
        self._timeouts = 0  # in a row
        self._probe_at: float | None = None  # None: the circuit is closed
        self._is_probing = False
        self._ticket = 0  # of the calls whose ends count

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, except for a probe."""
        return self._probe_at is not None

    @property
    def ticket(self) -> int:
        """The ticket of a call that begins now. When it ends, report it with this ticket."""
        return self._ticket

    def refusal(self, now: float) -> float | None:
        """Seconds until the next probe; None if the call may be made, either normally or as probe.

        Take the ticket of the call at once.
        """
        if self._probe_at is None:
            return None
        if self._is_probing:
            return self._seconds
        if now < self._probe_at:
            return self._probe_at - now
        self._is_probing = True
        self._ticket += 1
        return None

    def answered(self, ticket: int) -> None:
        """Record that the hub has answered a call."""
        if ticket == self._ticket:
            self._timeouts = 0
            self._probe_at = None
            self._is_probing = False

    def timed_out(self, ticket: int, now: float) -> None:
        """Record that the hub has not answered a call in time."""
        if ticket != self._ticket:
            return
        self._timeouts += 1
        if self._threshold is not None and self._timeouts >= self._threshold:
            self._probe_at = now + self._seconds
            self._ticket += 1
        self._is_probing = False

    def gave_up(self, ticket: int) -> None:
        """Record that a call has ended for another reason, such as a caller that disconnects."""
        if ticket == self._ticket:
            self._is_probing = False
