"""How often the log repeats what a peer can cause at will, and what it shows of a peer's names."""

import logging
from typing import Final

_INTERVAL: Final = 60.0  # seconds
_LONGEST_NAME: Final = 64  # characters


class LogThinning:
    """Decides the level of a repeated line: its own once a minute for each subject, else DEBUG.

    ``now`` is the time of the event loop, in seconds. A subject is kept for ever, so a peer must
    not be able to choose it.
    """

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def level(self, subject: str, now: float, level: int = logging.WARNING) -> int:
        """Returns ``level`` for the first line about ``subject`` in a minute, else DEBUG."""
        if now < self._next.get(subject, now):
            return logging.DEBUG
        self._next[subject] = now + _INTERVAL
        return level


def shown_name(name: str) -> str:
    """The first characters of a name that a peer has chosen, without control characters."""
    return "".join(it if it.isprintable() else "�" for it in name[:_LONGEST_NAME])
