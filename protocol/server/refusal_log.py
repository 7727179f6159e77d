"""Logs why calls and connections of clients are refused or fail. No line contains a value.

The client gets .NET's text instead, which contains no reason unless detailed errors are enabled. A
line is a WARNING once a minute for each method, so that a client cannot fill the log.
"""

import logging
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from ..aio.log_thinning import LogThinning, shown_name
from ..aio.signatures import misfit_text
from ..errors import ArgumentBindingError, HandshakeError, HubException, RemoteProtocolError

logger = logging.getLogger(__name__)

_ITEMS: Final = "an item of a stream"
_UNKNOWN_METHODS: Final = "an unknown method"  # one subject for all, because clients choose names
_CHANGED_USER: Final = (
    "%s: a connection was closed: a refresh of its authentication changed its user."
)
_NO_HANDSHAKE: Final = "%s: a connection was closed: no handshake within %g seconds."


class RefusalLog:
    """The log lines of one hub class, on all its connections."""

    __slots__ = ("_hub_name", "thinning")

    def __init__(self, hub_name: str) -> None:
        self._hub_name = hub_name
        self.thinning = LogThinning()
        """Decides how often other lines about this hub are logged."""

    def misfit(self, method: str, parameters: Collection[str], error: ArgumentBindingError) -> None:
        """Logs a call whose arguments do not fit the parameters of ``method``."""
        self.refused_call(method, misfit_text(error, parameters))

    def misfit_item(self, error: ArgumentBindingError) -> None:
        """Logs an item from a client that does not fit the stream."""
        self._log(_ITEMS, "%s: an item from a client: %s", self._hub_name, error.summary)

    def refused_call(self, method: str, reason: str) -> None:
        """Logs a call that is refused for ``reason``, which must not contain a client's text."""
        self._log(method, "%s.%s: %s", self._hub_name, method, reason)

    def unknown_method(self, target: str, names: Collection[str]) -> None:
        """Logs a call of a method that the hub does not have, with the most similar of ``names``.

        ``names`` are the names of the hub's methods, as declared and in lower case. If no name is
        similar, ``target`` is not shown: clients may send any text as a name.
        """
        level = self.thinning.level(_UNKNOWN_METHODS)
        if logger.isEnabledFor(level):
            name = shown_name(target)
            text = "a method that it does not have"
            for nearest in get_close_matches(name.lower(), names, n=1):
                declared = max(names, key=lambda each: (each.lower() == nearest, each != nearest))
                text = f"'{name}' (did you mean '{declared}'?)"
            logger.log(level, "%s: a client has called %s.", self._hub_name, text)

    def refused_connection(self, event: str, error: HubException) -> None:
        """Logs a HubException that an event, such as ``ChatHub.on_connected``, has raised."""
        self._log(event, "%s raised %s.", event, error.summary)

    def ended_connection(self, error: Exception | None, level: int = logging.WARNING) -> None:
        """Logs a connection that ends because its client has broken a rule, or was silent."""
        if isinstance(error, RemoteProtocolError | HandshakeError):
            level = self.thinning.level(type(error).__name__, level=level)
            logger.log(level, "%s: a connection was closed: %s", self._hub_name, error.summary)

    def changed_user(self) -> None:
        """Logs a connection that ends because its user id must not change."""
        self._log(_CHANGED_USER, _CHANGED_USER, self._hub_name)

    def no_handshake(self, seconds: float) -> None:
        """Logs a connection that ends because no complete handshake has arrived in time."""
        level = self.thinning.level(_NO_HANDSHAKE, level=logging.INFO)
        logger.log(level, _NO_HANDSHAKE, self._hub_name, seconds)

    def failed_method(self, logger: logging.Logger, error: BaseException, method: str) -> None:
        """Logs an unexpected error of a hub method."""
        self.failure(logger, error, "Hub method '%s.%s' failed.", self._hub_name, method)

    def failure(
        self, logger: logging.Logger, error: BaseException, text: str, *names: object
    ) -> None:
        """Logs a failure of hub code or of this library, as ``LogThinning.log_failure`` does."""
        self.thinning.log_failure(logger, error, text, *names)

    def _log(self, subject: str, text: str, *names: object) -> None:
        logger.log(self.thinning.level(subject), text, *names)
