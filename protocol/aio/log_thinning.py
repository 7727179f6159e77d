"""Limits how often a line that a peer can cause is logged, and how long the names in it are."""

import asyncio
import logging
from collections.abc import Hashable
from typing import Final

_INTERVAL: Final = 60.0  # seconds
_MAXIMUM_SUBJECTS: Final = 1000
_LONGEST_NAME: Final = 64  # characters


class LogThinning:
    """Lowers the level of a line to DEBUG, except once a minute for each subject.

    The subject of a line is, for example, the name of a method. ``now`` is the time of a monotonic
    clock in seconds, by default that of the running event loop. After 1000 subjects within a minute
    all further subjects count as one, so a peer that chooses subjects cannot fill the log or the
    memory.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: dict[int, float] = {}  # by the hash of the subject, which may be long

    def level(
        self, subject: Hashable, now: float | None = None, level: int = logging.WARNING
    ) -> int:
        """Returns ``level`` for the first line about ``subject`` in a minute, else DEBUG."""
        if now is None:
            now = asyncio.get_running_loop().time()
        key = hash(subject)
        if key not in self._next and len(self._next) >= _MAXIMUM_SUBJECTS:
            self._next = {known: end for known, end in self._next.items() if now < end}
            if len(self._next) >= _MAXIMUM_SUBJECTS:
                key = hash(None)
        if now < self._next.get(key, now):
            return logging.DEBUG
        self._next[key] = now + _INTERVAL
        return level

    def log_failure(
        self, logger: logging.Logger, error: BaseException, text: str, *names: object
    ) -> None:
        """Logs ``error`` with its traceback. ``text`` is a format string for ``names``.

        The level is ERROR once a minute for each ``failure_subject``, else DEBUG.
        """
        level = self.level(failure_subject(error, text, *map(str, names)), level=logging.ERROR)
        logger.log(level, text, *names, exc_info=error)


def failure_subject(error: BaseException, *names: Hashable) -> Hashable:
    """The subject of a failure: ``names``, the type of its error, and the line that raised it.

    A failure of another type, or at another line, is another subject, so it is logged at once.
    """
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = None if frame is None else (frame.tb_frame.f_code.co_filename, frame.tb_lineno)
    return (*names, type(error).__name__, place)


def shown_name(name: str) -> str:
    """The first characters of a name that a peer has chosen, without control characters."""
    return "".join(it if it.isprintable() else "�" for it in name[:_LONGEST_NAME])
