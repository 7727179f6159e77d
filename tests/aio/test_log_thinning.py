"""LogThinning: a line that a peer can cause at will is logged once a minute."""

import logging
import tracemalloc

from protocol.relaying import LogThinning, failure_subject


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_once_a_minute() -> None:
    thinning = LogThinning()
    levels = [thinning.level("a", now, logging.ERROR) for now in (0, 1, 59, 60, 119, 121)]
    shown, hidden = logging.ERROR, logging.DEBUG
    assert levels == [shown, hidden, hidden, shown, hidden, shown]


def test_each_subject_for_itself() -> None:
    thinning = LogThinning()
    levels = [thinning.level(subject, 0) for subject in ("a", "b", "a")]
    assert levels == [logging.WARNING, logging.WARNING, logging.DEBUG]


def test_subjects_without_end() -> None:
    """A peer that chooses the subjects gets a thousand lines and one, then one a minute more."""
    thinning = LogThinning()
    shown = [thinning.level(number, 0) == logging.WARNING for number in range(3000)]
    assert (sum(shown), shown.index(False)) == (1001, 1001)
    assert thinning.level(0, 61) == logging.WARNING
    assert thinning.level("new", 61) == logging.WARNING


def test_long_subjects_take_no_memory() -> None:
    """A peer chooses the subjects, for example the paths of its requests."""
    thinning = LogThinning()
    tracemalloc.start()
    try:
        for number in range(1000):
            thinning.level(("path", f"{number}" * 1000), 0)
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 300_000


def test_failures_of_other_kinds_and_places_are_other_subjects() -> None:
    one, another = raised(ValueError("x")), raised(ValueError("y"))
    assert failure_subject(one, "Say") == failure_subject(another, "Say")
    subjects = {
        failure_subject(one, "Say"),
        failure_subject(one, "Hear"),
        failure_subject(raised(KeyError()), "Say"),
        failure_subject(ValueError(), "Say"),
    }
    assert len(subjects) == 4


async def test_the_time_is_that_of_the_event_loop() -> None:
    thinning = LogThinning()
    assert [thinning.level("a"), thinning.level("a")] == [logging.WARNING, logging.DEBUG]
