"""GW-27, GW-9: when the next attempt to connect to a hub is due."""

from __future__ import annotations

import math

import pytest

from protocol import ExponentialBackoff
from signalr_gateway.downstream.backoff import AttemptSchedule


@pytest.fixture
def schedule() -> AttemptSchedule:
    return AttemptSchedule(ExponentialBackoff(random=lambda: 0.0))


def alone(schedule: AttemptSchedule) -> float:
    return schedule.due(callers_waiting=False)


def waiting(schedule: AttemptSchedule) -> float:
    return schedule.due(callers_waiting=True)


def test_the_first_attempt_is_due_at_once(schedule: AttemptSchedule) -> None:
    assert alone(schedule) == -math.inf


def test_failures_back_off_without_end(schedule: AttemptSchedule) -> None:
    now, delays = 100.0, []
    for _ in range(8):
        schedule.started(now)
        schedule.failed(now)
        delays.append(alone(schedule) - now)
        now = alone(schedule)
    assert delays == [0.5, 1, 2, 4, 8, 15, 15, 15]


def test_a_long_connection_resets_the_backoff(schedule: AttemptSchedule) -> None:
    now = 0.0
    for _ in range(4):
        schedule.started(now)
        schedule.failed(now)
        now = alone(schedule)
    schedule.started(now)
    schedule.connected(now)
    schedule.lost(now + 4)  # the delay before was 4 s
    assert alone(schedule) == now + 4.5


def test_a_hub_that_accepts_and_drops_is_not_dialled_at_full_speed(
    schedule: AttemptSchedule,
) -> None:
    now, delays = 0.0, []
    for _ in range(4):
        schedule.started(now)
        schedule.connected(now)
        schedule.lost(now)
        delays.append(alone(schedule) - now)
        now = alone(schedule)
    assert delays == [0.5, 1, 2, 4]


def test_callers_start_an_attempt_at_most_every_half_second(schedule: AttemptSchedule) -> None:
    """GW-9: whatever the backoff says."""
    now = 0.0
    for _ in range(6):
        schedule.started(now)
        schedule.failed(now)
        now = alone(schedule)
    start = now - 15
    assert waiting(schedule) == start + 0.5  # the last attempt counts, too
    schedule.started(start + 1)
    schedule.failed(start + 1.1)
    assert waiting(schedule) == start + 1.5
    schedule.started(start + 1.5)
    schedule.failed(start + 4)
    assert waiting(schedule) == start + 2  # the attempt itself took longer than the interval
    assert alone(schedule) == start + 15


def test_attempts_for_callers_leave_the_backoff_alone(schedule: AttemptSchedule) -> None:
    schedule.started(0)
    schedule.failed(0)
    assert alone(schedule) == 0.5
    schedule.started(0.2)
    schedule.failed(0.3)
    assert alone(schedule) == 0.5
    schedule.started(0.5)
    schedule.failed(0.5)
    assert alone(schedule) == 1.5
