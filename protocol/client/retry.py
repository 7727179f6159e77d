"""When a client tries to reconnect, and when it stops trying (section R)."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

DEFAULT_RETRY_DELAYS: Final = (0.0, 2.0, 10.0, 30.0)
"""Seconds before attempts 1 to 4; then the client gives up (R-1)."""


@dataclass(frozen=True, slots=True)
class RetryContext:
    """What a policy is told.

    ``previous_retry_count`` is 0 before the first attempt, ``elapsed`` is seconds since the
    connection was lost, ``retry_reason`` the error of the loss or of the last attempt.
    """

    previous_retry_count: int
    elapsed: float
    retry_reason: Exception | None


RetryPolicy: TypeAlias = Callable[[RetryContext], float | None]
"""Seconds to wait before the next attempt, or None to give up."""


def checked_delay(seconds: float) -> float:
    """``seconds``, when somebody can wait for that long. Raises TypeError or ValueError."""
    if not isinstance(seconds, int | float):
        raise TypeError(f"A retry delay is a number of seconds, not {type(seconds).__name__}.")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"A retry delay is a number of seconds from 0 on, not {seconds!r}.")
    return seconds


def retry_delays(delays: Sequence[float]) -> RetryPolicy:
    """A policy that waits each of ``delays`` (seconds) in turn, then gives up."""
    given: object = delays
    if not isinstance(given, Iterable):
        raise TypeError(
            "When to reconnect is said by a list of seconds or a function of a RetryContext, not "
            f"by {type(given).__name__}."
        )
    fixed = tuple(map(checked_delay, delays))

    def policy(context: RetryContext) -> float | None:
        count = context.previous_retry_count
        return fixed[count] if count < len(fixed) else None

    return policy
