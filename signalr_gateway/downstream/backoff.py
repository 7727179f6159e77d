"""Decides when the next attempt to connect to a hub is due (GW-27, GW-9).

This module reads no clock and does not wait: `downstream.connection` passes the time as an
argument, and makes the attempts.
"""

from __future__ import annotations

import math

from protocol import ExponentialBackoff


class AttemptSchedule:
    """Decides when the next connect attempt of one hub is due.

    The backoff decides when attempts are due. While callers wait for the hub, there are further
    attempts, `caller_interval` after the start of the last one, so that their calls run soon after
    the hub is up again. These attempts for callers do not change the backoff. All times are seconds
    of one monotonic clock.
    """

    def __init__(self, backoff: ExponentialBackoff, caller_interval: float = 0.5) -> None:
        self._backoff = backoff
        self._caller_interval = caller_interval
        self._step = 0
        self._delay = 0.0
        self._backoff_due = -math.inf  # the first attempt is due at once
        self._caller_due = -math.inf
        self._for_callers = False
        self._started_at = -math.inf
        self._connected_at = -math.inf

    def due(self, *, callers_waiting: bool) -> float:
        """The time at which the next attempt is due; a time in the past means now."""
        return min(self._backoff_due, self._caller_due) if callers_waiting else self._backoff_due

    def started(self, now: float) -> None:
        """Record that an attempt starts.

        If the delay of the backoff is not over, it is an attempt for callers.
        """
        self._started_at = now
        self._for_callers = now < self._backoff_due
        if self._for_callers:
            self._caller_due = now + self._caller_interval

    def failed(self, now: float) -> None:
        """Record that the attempt has failed."""
        if not self._for_callers:
            self._caller_due = self._started_at + self._caller_interval
            self._back_off(now)

    def hasten(self, now: float) -> None:
        """Let the next attempt be due at once."""
        self._backoff_due = now

    def connected(self, now: float) -> None:
        """Record that the attempt has succeeded."""
        self._connected_at = now

    def lost(self, now: float) -> None:
        """Record that the connection has ended.

        If the connection was shorter than the last delay, it counts as a failed attempt. The delays
        therefore grow for a hub that accepts connections and closes them at once.
        """
        if now - self._connected_at >= self._delay:
            self._step = 0
        self._back_off(now)

    def _back_off(self, now: float) -> None:
        self._delay = self._backoff.delay(self._step)
        self._step += 1
        self._backoff_due = now + self._delay
