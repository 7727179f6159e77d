"""What the logs say how often, and without what (GW-28): helpers of those who write them.

A line is for an event worth knowing and holds names, counts and reasons; what anybody out there can
cause at will is counted, and told at 1, 10, 100 … so that it cannot fill the log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aiohttp.http import HttpProcessingError

log = logging.getLogger(__name__)


def thinned(level: int, count: int) -> int:
    """`level` for the 1st, 10th, 100th … of a kind, DEBUG for those between."""
    return level if str(count).strip("0") == "1" else logging.DEBUG


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class ServerLog(_Adapter):
    """The HTTP server's log, without what it quotes of requests that it cannot read.

    The parser's errors show the line they failed on, be it an Authorization header or an address
    with a token in its query.
    """

    def __init__(self) -> None:
        super().__init__(log, {})

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        if isinstance(error, HttpProcessingError):
            self.logger.debug("refused what is no HTTP request: %s", type(error).__name__)
        else:
            super().log(level, msg, *args, **kwargs)
