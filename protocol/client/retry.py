"""When a client tries to reconnect, and when it stops trying (section R)."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..option_checks import described, require_function

DEFAULT_RETRY_DELAYS: Final = (0.0, 2.0, 10.0, 30.0)
"""Seconds before attempts 1 to 4. There is no fifth attempt."""


@dataclass(frozen=True, slots=True)
class RetryContext:
    """The argument of a retry policy.

    ``previous_retry_count`` is the number of failed attempts, 0 before the first. ``elapsed`` is
    the number of seconds since the connection was lost. ``retry_reason`` is the error that ended
    the connection, or the error of the last attempt.
    """

    previous_retry_count: int
    elapsed: float
    retry_reason: Exception | None


RetryPolicy: TypeAlias = Callable[[RetryContext], float | None]
"""Seconds to wait before the next attempt, or None to give up."""


def checked_delay(seconds: float) -> float:
    """Returns ``seconds``, a finite number from 0 on. Raises TypeError or ValueError otherwise."""
    if not isinstance(seconds, int | float):
        raise TypeError(f"A retry delay is a number of seconds, not {type(seconds).__name__}.")
    if not 0 <= seconds < math.inf:
        raise ValueError(f"A retry delay is a number of seconds from 0 on, not {seconds!r}.")
    return seconds


def retry_policy(retry: "RetryPolicy | Sequence[float]") -> RetryPolicy:
    """Returns ``retry`` if it is a policy, or a policy that waits the delays that ``retry`` lists.

    Raises TypeError if ``retry`` is neither, for example a class, and ValueError for a delay that
    is negative or not finite.
    """
    if not callable(retry):
        return retry_delays(retry)
    if isinstance(retry, type):
        raise TypeError(f"A retry policy is a function of a RetryContext, not {described(retry)}.")
    require_function(retry, "A retry policy")
    return retry


def retry_delays(delays: Sequence[float]) -> RetryPolicy:
    """Returns a policy that waits each of ``delays`` (in seconds) in turn, then gives up.

    Raises TypeError if ``delays`` is not iterable or contains anything but numbers, and ValueError
    for a number that is negative or not finite.
    """
    given: object = delays
    if not isinstance(given, Iterable):
        raise TypeError(
            "A retry policy is a list of seconds or a function of a RetryContext, not "
            f"{type(given).__name__}."
        )
    fixed = tuple(map(checked_delay, delays))

    def policy(context: RetryContext) -> float | None:
        count = context.previous_retry_count
        return fixed[count] if count < len(fixed) else None

    return policy
