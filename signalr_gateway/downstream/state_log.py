"""Logs the state of one supervised connection, each state at most once a minute (GW-28)."""

from __future__ import annotations

import logging

from protocol.relaying import LogThinning

log = logging.getLogger(__name__)


class StateLog:
    """Logs a state if it differs from the last state in the log.

    A hub may connect and disconnect many times a second. A state that is in the log already within
    the minute is logged at DEBUG. It is logged when it is noted again after the minute.
    """

    def __init__(self, name: str) -> None:
        """`name` names the connection in the log, such as ``hub 'chatservice'``."""
        self._name = name
        self._thinning = LogThinning()
        self._shown = ""

    def note(self, level: int, state: str, now: float) -> None:
        """Log that the connection is in `state`; `now` is the time of a monotonic clock."""
        if state == self._shown:
            level = logging.DEBUG
        else:
            level = self._thinning.level(state, now, level)
            if level > logging.DEBUG:
                self._shown = state
        log.log(level, "%s: %s", self._name, state)
