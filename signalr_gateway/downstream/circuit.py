"""Decides whether a route is still called after several of its calls have timed out (GW-36).

This module reads no clock and does not wait: `downstream.admission` passes the time as an argument.
"""

from __future__ import annotations


class Circuit:
    """Refuses the calls of one route for `seconds` after `threshold` timeouts in a row.

    Then one call is made as a probe. If the probe times out, calls are refused for `seconds` again.
    An answer of the hub, also an error, ends the refusals. If `threshold` is None, no call is ever
    refused. All times are seconds of a monotonic clock.
    """

    def __init__(self, threshold: int | None, seconds: float) -> None:
        self._threshold = threshold
        self._seconds = seconds
        self._timeouts = 0  # in a row
        self._probe_at: float | None = None  # None: the circuit is closed
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, except for a probe."""
        return self._probe_at is not None

    def refusal(self, now: float) -> float | None:
        """Seconds until the next probe; None if the call may be made, either normally or as probe.

        When such a call ends, one of the methods below must be called.
        """
        if self._probe_at is None:
            return None
        if self._is_probing:
            return self._seconds
        if now < self._probe_at:
            return self._probe_at - now
        self._is_probing = True
        return None

    def answered(self) -> None:
        """Record that the hub has answered a call."""
        self._timeouts = 0
        self._probe_at = None
        self._is_probing = False

    def timed_out(self, now: float) -> None:
        """Record that the hub has not answered a call in time."""
        self._timeouts += 1
        if self._threshold is not None and self._timeouts >= self._threshold:
            self._probe_at = now + self._seconds
        self._is_probing = False

    def gave_up(self) -> None:
        """Record that a call has ended for another reason, such as a caller that disconnects."""
        self._is_probing = False
