"""The log of aiohttp's HTTP server, without values of requests (GW-28)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiohttp.http import HttpProcessingError

from protocol.relaying import LogThinning, failure_subject

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class ServerLog(_Adapter):
    """The logger of aiohttp's HTTP server. An error is logged at most once a minute.

    Errors of the HTTP parser are logged at DEBUG, and only by their type. Their texts quote the
    invalid line, which may be an Authorization header or a URL with a token in its query.
    """

    def __init__(self) -> None:
        super().__init__(log, {})
        self._thinning = LogThinning()

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        if isinstance(error, HttpProcessingError):
            self.logger.debug("refused an invalid HTTP request: %s", type(error).__name__)
            return
        if isinstance(error, BaseException) and level > logging.DEBUG:
            level = self._thinning.level(failure_subject(error, msg), level=level)
        super().log(level, msg, *args, **kwargs)
