"""The log lines about the connection to one hub: each state once a minute at most (GW-28)."""

from __future__ import annotations

import logging

from protocol.relaying import LogThinning

log = logging.getLogger(__name__)


class StateLog:
    """Logs a state that differs from the one that the log has shown last.

    A hub can connect and disconnect at will. A state that is not shown is shown later, if it lasts.
    """

    def __init__(self, api: str) -> None:
        self._api = api
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
        log.log(level, "hub %r: %s", self._api, state)
