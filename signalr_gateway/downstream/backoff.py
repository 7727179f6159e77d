"""When to try a lost hub again: one table of numbers, no clock and no waiting (GW-27, GW-9)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Jittered exponential delays between `minimum` and `maximum` seconds, without end.

    Each delay lies in the upper half of a range that doubles from step to step, so gateways that
    lost a hub together come back spread out, at the ceiling too.
    """

    minimum: float = 0.5
    maximum: float = 30.0
    random: Callable[[], float] = random.random
    """A number from 0 to 1, 1 excluded."""

    def delay(self, step: int) -> float:
        """Seconds to wait at `step`, counted from 0."""
        doublings = min(step, 32)  # keeps the power finite
        upper = min(self.maximum, self.minimum * 2 * 2.0**doublings)
        lower = max(self.minimum, upper / 2)
        return lower + (upper - lower) * self.random()


class AttemptSchedule:
    """Decides when the next connect attempt of one hub is due.

    Two rhythms run side by side: the backoff, and, while callers wait for the hub, one attempt per
    `caller_interval` whatever the backoff says, so that a hub that is back serves those who are
    waiting for it. Attempts made for callers leave the backoff as it is. All times are seconds on
    the owner's monotonic clock.
    """

    def __init__(self, backoff: Backoff, caller_interval: float = 0.5) -> None:
        self._backoff = backoff
        self._caller_interval = caller_interval
        self._step = 0
        self._delay = 0.0
        self._backoff_due = -math.inf  # the first attempt, at start, is due at once
        self._caller_due = -math.inf
        self._for_callers = False
        self._connected_at = -math.inf

    def due(self, *, callers_waiting: bool) -> float:
        """The time of the next attempt; one that has passed means now."""
        return min(self._backoff_due, self._caller_due) if callers_waiting else self._backoff_due

    def started(self, now: float) -> None:
        """An attempt starts. When the backoff would not have started it yet, callers did."""
        self._for_callers = now < self._backoff_due
        if self._for_callers:
            self._caller_due = now + self._caller_interval

    def failed(self, now: float) -> None:
        """The attempt failed, after however long."""
        if not self._for_callers:
            self._back_off(now)

    def connected(self, now: float) -> None:
        """The attempt succeeded."""
        self._connected_at = now

    def lost(self, now: float) -> None:
        """The connection ended.

        One that did not even outlive the delay before it counts as another failure: a hub that
        accepts and drops at once must not be dialled at full speed for ever.
        """
        if now - self._connected_at >= self._delay:
            self._step = 0
        self._back_off(now)

    def _back_off(self, now: float) -> None:
        self._delay = self._backoff.delay(self._step)
        self._step += 1
        self._backoff_due = now + self._delay
