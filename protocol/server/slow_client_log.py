"""Logs the clients that do not read, or do not acknowledge, what is sent to them.

Each kind of line is a WARNING once a minute, so that clients cannot fill the log.
"""

import logging

from ..aio.log_thinning import LogThinning

logger = logging.getLogger(__name__)


class SlowClientLog:
    """The lines about one connection. ``waiting`` is in bytes, ``missed`` in messages."""

    __slots__ = ("_connection_id", "_thinning")

    def __init__(self, connection_id: str, thinning: LogThinning) -> None:
        self._connection_id = connection_id
        self._thinning = thinning

    def misses_messages(self, waiting: int) -> None:
        """Logs that the client begins to miss messages."""
        text = "Connection %s misses messages: %d bytes are waiting for it and it does not read."
        self._log("misses messages", text, waiting)

    def reads_again(self, missed: int) -> None:
        """Logs that the client reads again, and has missed messages."""
        logger.log(
            self._thinning.level("reads again", level=logging.INFO),
            "Connection %s reads again; it has missed %d messages.",
            self._connection_id,
            missed,
        )

    def cut_off(self, waiting: int) -> None:
        """Logs that the client is disconnected, because its buffer is full."""
        text = "Connection %s is cut off: %d bytes are waiting for it and it does not read."
        self._log("cut off", text, waiting)

    def timed_out(self) -> None:
        """Logs that the client is disconnected, because a send has waited too long."""
        self._log("send timed out", "Connection %s is cut off: a send timed out.")

    def acknowledges_nothing(self) -> None:
        """Logs that the client is disconnected, because an Ack is overdue (SR-8)."""
        text = "Connection %s is closed: it does not acknowledge what is sent to it."
        self._log("acknowledges nothing", text)

    def _log(self, subject: str, text: str, *values: int) -> None:
        logger.log(self._thinning.level(subject), text, self._connection_id, *values)
