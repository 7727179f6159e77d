"""When a client tries to reconnect, and when it stops trying (section R)."""

import inspect
import logging
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..option_checks import check_options, described, require_function

logger = logging.getLogger(__name__)

_MAXIMUM_DOUBLINGS: Final = 64  # keeps the power of 2 finite, however many attempts have failed

DEFAULT_RETRY_DELAYS: Final = (0.0, 2.0, 10.0, 30.0)
"""Seconds before attempts 1 to 4. There is no fifth attempt."""


@dataclass(frozen=True, slots=True)
class RetryContext:
    """The argument of a retry policy.

    ``previous_retry_count`` is the number of retries that have failed, 0 before the first retry.
    ``elapsed`` is the number of seconds since the connection was lost, or since ``start`` was
    called. ``retry_reason`` is the error that ended the connection, or the error of the last
    attempt.
    """

    previous_retry_count: int
    elapsed: float
    retry_reason: Exception | None


RetryPolicy: TypeAlias = Callable[[RetryContext], float | None]
"""Seconds to wait before the next attempt, or None to give up."""


@dataclass(frozen=True, slots=True)
class ExponentialBackoff:
    """A retry policy that never gives up: random delays that grow with each failed attempt.

    Each delay is a random number of seconds between an upper limit and half of this limit. The
    upper limit is at first twice ``minimum``. It doubles with each failed attempt, up to
    ``maximum``. Because delays are random, clients that lose a server at the same time reconnect at
    different times.

    Raises TypeError or ValueError if ``minimum`` or ``maximum`` is not a finite number above 0, or
    if ``minimum`` is greater than ``maximum``.
    """

    minimum: float = 0.5
    """The shortest delay in seconds."""

    maximum: float = 30.0
    """The longest delay in seconds."""

    random: Callable[[], float] = random.random
    """A function that returns a number from 0 to 1, 1 excluded."""

    def __post_init__(self) -> None:
        check_options(self)
        checked_delay(self.maximum)
        if self.minimum > self.maximum:
            raise ValueError(
                f"ExponentialBackoff.minimum is {self.minimum}, greater than maximum, which is "
                f"{self.maximum}."
            )

    def delay(self, failed_attempts: int) -> float:
        """Seconds to wait before the next attempt."""
        doublings = min(failed_attempts, _MAXIMUM_DOUBLINGS)
        upper = min(self.maximum, self.minimum * 2 * 2.0**doublings)
        lower = max(self.minimum, upper / 2)
        return lower + (upper - lower) * self.random()

    def __call__(self, context: RetryContext) -> float:
        return self.delay(context.previous_retry_count)


def checked_delay(seconds: float) -> float:
    """Returns ``seconds``, a finite number from 0 on. Raises TypeError or ValueError otherwise.

    True and False are refused: a policy that returns False does not mean a delay of 0 seconds.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise TypeError(f"A retry delay is a number of seconds, not {type(seconds).__name__}.")
    if not 0 <= seconds <= sys.float_info.max:  # an int may be greater than every float
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
    if inspect.iscoroutinefunction(retry):
        raise TypeError("A retry policy is a function that returns a delay, not an async function.")
    return retry


def retry_delays(delays: Sequence[float]) -> RetryPolicy:
    """Returns a policy that waits each of ``delays`` (in seconds) in turn, then gives up.

    Raises TypeError if ``delays`` is not iterable, has no order or contains anything but numbers,
    and ValueError for a number that is negative or not finite.
    """
    given: object = delays
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping | Set):
        raise TypeError(
            "A retry policy is a list of seconds or a function of a RetryContext, not "
            f"{type(given).__name__}."
        )
    fixed = tuple(map(checked_delay, delays))

    def policy(context: RetryContext) -> float | None:
        count = context.previous_retry_count
        return fixed[count] if count < len(fixed) else None

    return policy


class RetryRun:
    """Asks a retry policy for the delays after one loss of a connection, or in one start.

    Counts the failed retries and measures the time, both from the beginning of the run.
    ``keeper`` waits and makes the attempts. ``now`` is the time of a monotonic clock in seconds.
    """

    __slots__ = ("_began_at", "_policy", "_retries")

    def __init__(self, policy: RetryPolicy | None, now: float) -> None:
        self._policy = policy
        self._began_at = now
        self._retries = 0

    @property
    def retries(self) -> int:
        """The number of delays that the policy has returned."""
        return self._retries

    def elapsed(self, now: float) -> float:
        """Seconds since the beginning of the run."""
        return now - self._began_at

    def next_delay(self, reason: Exception, now: float) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        ``reason`` is the error of the loss or of the last attempt. If the policy raises an
        exception or returns an invalid delay, this is logged and there is no further attempt.
        """
        if self._policy is None:
            return None
        try:
            delay = self._policy(RetryContext(self._retries, self.elapsed(now), reason))
            if delay is not None:
                checked_delay(delay)
                self._retries += 1
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException:
            logger.exception("The retry policy failed; there will be no further attempt.")
            return None
        return delay
