"""Ends a connection because of an error, with .NET's text in the Close (S-20, L-3)."""

import logging
from typing import Final

from ..errors import RemoteProtocolError, error_details
from ..messages import Close
from .connection_context import Ending, HubConnectionContext

logger = logging.getLogger(__name__)

_CLOSED_WITH_ERROR: Final = "Connection closed with an error."


class ConnectionFailures:
    """The errors of one connection. Only the first end of the connection counts."""

    __slots__ = ("_connection",)

    def __init__(self, connection: HubConnectionContext) -> None:
        self._connection = connection

    def fail(self, error: BaseException) -> None:
        """Ends the connection because of an error of the client, or an unexpected error."""
        if isinstance(error, RemoteProtocolError):
            self.refuse(error)
        else:
            self._connection.log.failure(logger, error, "A connection failed unexpectedly.")
            self.end_for_good(error)

    def refuse(self, error: RemoteProtocolError) -> None:
        """Ends the connection because of an error of the client, which may reconnect."""
        self._connection.end(Ending(Close(error=self._text(error), allow_reconnect=True), error))

    def end_for_good(self, error: BaseException) -> None:
        """Ends the connection and does not allow a reconnect, as when OnConnected fails (L-3)."""
        self._connection.end(Ending(Close(error=self._text(error))))

    def _text(self, error: BaseException) -> str:
        is_detailed = self._connection.options.enable_detailed_errors
        return _CLOSED_WITH_ERROR + error_details(error, is_detailed)
