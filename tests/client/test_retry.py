"""The ready retry policy, and what may be given as a policy (section R)."""

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ExponentialBackoff, HubConnectionBuilder, RetryContext
from tests.support.client_harness import ClientHarness, refusal


@pytest.mark.parametrize(
    ("failed", "lowest", "highest"),
    [(0, 0.5, 1), (1, 1, 2), (2, 2, 4), (3, 4, 8), (4, 8, 16), (5, 15, 30), (1000, 15, 30)],
)
def test_delays_double_up_to_the_maximum(failed: int, lowest: float, highest: float) -> None:
    """R-8: each delay is between an upper limit and its half."""
    for number, expected in ((0.0, lowest), (0.5, (lowest + highest) / 2), (1.0, highest)):
        backoff = ExponentialBackoff(random=partial(float, number))
        assert backoff(RetryContext(failed, 0.0, None)) == backoff.delay(failed) == expected


@given(st.integers(min_value=0), st.floats(0.01, 5), st.floats(5, 1e6))
def test_every_delay_is_within_the_limits(failed: int, minimum: float, maximum: float) -> None:
    """R-8: however many attempts have failed."""
    assert minimum <= ExponentialBackoff(minimum, maximum).delay(failed) <= maximum


def test_clients_wait_for_different_times() -> None:
    """R-8: so they do not return all at once."""
    backoff = ExponentialBackoff()
    assert len({backoff.delay(4) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"minimum": 0}, "ExponentialBackoff.minimum is 0, not above 0."),
        ({"minimum": "1"}, "ExponentialBackoff.minimum is a number, not str."),
        ({"maximum": float("inf")}, "A retry delay is a number of seconds from 0 on, not inf."),
        ({"maximum": float("nan")}, "ExponentialBackoff.maximum is nan, not above 0."),
        (
            {"minimum": 60},
            "ExponentialBackoff.minimum is 60, greater than maximum, which is 30.0.",
        ),
    ],
    ids=str,
)
def test_limits_that_are_none(options: dict[str, Any], text: str) -> None:
    """R-8: the error names the option."""
    with pytest.raises((TypeError, ValueError)) as caught:
        ExponentialBackoff(**options)
    assert str(caught.value) == text


def test_an_async_function() -> None:
    """R-1: nothing would await it."""

    async def policy(_: RetryContext) -> float:
        return 1.0

    wrong: Any = policy
    with pytest.raises(TypeError, match="not an async function"):
        HubConnectionBuilder().with_automatic_reconnect(wrong)


def test_the_class_in_place_of_an_instance() -> None:
    """R-1: the error says what to write."""
    with pytest.raises(TypeError, match=r"such as ExponentialBackoff\(\)"):
        HubConnectionBuilder().with_automatic_reconnect(ExponentialBackoff)  # type: ignore[arg-type]


async def test_reconnects_without_end(harness: ClientHarness) -> None:
    """R-8: a server that is away for long does not end the attempts."""
    connection = await harness.started(ExponentialBackoff(random=lambda: 0.0))
    harness.answers.extend(refusal() for _ in range(20))
    lost_at = harness.clock.time()
    harness.server.vanish()
    await harness.clock.advance(15.5 + 16 * 15)
    assert [at - lost_at for at in harness.attempts[1:7]] == [0.5, 1.5, 3.5, 7.5, 15.5, 30.5]
    assert len(harness.attempts) == 1 + 21
    assert connection.connection_id == "id-2"
