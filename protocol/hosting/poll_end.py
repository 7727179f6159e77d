"""The ways a poll ends without bytes, and the answer to each (TL-5…TL-10)."""

from dataclasses import replace
from enum import Enum, auto

from .http_answer import POLL_HEADERS, HttpAnswer, plain_answer


class PollEnd(Enum):
    """Why a poll ends without bytes."""

    TIMED_OUT = auto()  # there were no bytes within the poll timeout (TL-5)
    REPLACED = auto()  # by a newer poll (TL-7)
    ABANDONED = auto()  # by the client (TL-8)
    CONNECTION_ENDED = auto()  # and all its bytes are delivered (TL-6)
    CONNECTION_FAILED = auto()  # on the server's side (TL-10)


def poll_end_answer(end: PollEnd) -> HttpAnswer:
    """The answer to a poll that ended without bytes."""
    return replace(plain_answer(_status(end)), headers=POLL_HEADERS)


def _status(end: PollEnd) -> int:
    match end:
        case PollEnd.TIMED_OUT:
            return 200
        case PollEnd.REPLACED | PollEnd.ABANDONED | PollEnd.CONNECTION_ENDED:
            return 204
        case PollEnd.CONNECTION_FAILED:
            return 500
