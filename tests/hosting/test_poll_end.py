"""Polls that end without bytes (TL-5…TL-10); when they end is tested with the transport."""

import pytest

from protocol.hosting.http_answer import POLL_HEADERS, HttpAnswer
from protocol.hosting.poll_end import PollEnd, poll_end_answer


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (PollEnd.TIMED_OUT, 200),
        (PollEnd.REPLACED, 204),
        (PollEnd.ABANDONED, 204),
        (PollEnd.CONNECTION_ENDED, 204),
        (PollEnd.CONNECTION_FAILED, 500),
    ],
)
def test_answers(end: PollEnd, status: int) -> None:
    """TL-2, TL-5, TL-6, TL-7, TL-10: no body, and the headers of polls."""
    assert poll_end_answer(end) == HttpAnswer(status, b"", "text/plain", POLL_HEADERS)
