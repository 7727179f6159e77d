"""``RetryPolicyContract``: the tests that every retry policy has to pass."""

from abc import ABC, abstractmethod
from typing import Final

import pytest

from ..client.retry import RetryContext, RetryPolicy, checked_delay
from ..errors import ConnectionClosed, NegotiationError, ServerTimeoutError

_ATTEMPTS: Final = 1000
_REASONS: Final = (
    None,
    ConnectionClosed("The server closed the connection."),
    ServerTimeoutError("The server was silent for too long."),
    NegotiationError("The server answered with 503.", 503),
    OSError("no route to host"),
)


class RetryPolicyContract(ABC):
    """The tests of a retry policy. Subclass it as ``Test…`` and implement ``make``."""

    @abstractmethod
    def make(self) -> RetryPolicy:
        """Returns the policy, as it is passed to ``with_automatic_reconnect``."""

    @pytest.mark.parametrize("reason", _REASONS, ids=lambda reason: type(reason).__name__)
    def test_answers_every_attempt(self, reason: Exception | None) -> None:
        """The policy returns a finite number of seconds from 0 on, or None."""
        policy = self.make()
        elapsed = 0.0
        for count in range(_ATTEMPTS):
            delay = policy(RetryContext(count, elapsed, reason))
            if delay is None:
                break
            elapsed += checked_delay(delay)

    @pytest.mark.parametrize(("count", "elapsed"), [(10**6, 1e7), (10**9, 1e10)])
    def test_answers_late_attempts(self, count: int, elapsed: float) -> None:
        """The policy accepts the counts and times of a connection that is lost for months."""
        delay = self.make()(RetryContext(count, elapsed, None))
        if delay is not None:
            checked_delay(delay)

    def test_a_later_loss_begins_anew(self) -> None:
        """After another loss the policy starts again: it keeps no count of its own."""
        policy = self.make()
        first = policy(RetryContext(0, 0.0, None))
        for count in range(1, _ATTEMPTS):
            if policy(RetryContext(count, float(count), None)) is None:
                break
        again = policy(RetryContext(0, 0.0, None))
        assert (again is None) is (first is None)
