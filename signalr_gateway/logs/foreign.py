"""Removes values from the log records of other libraries, and limits their number (GW-28).

Records of aiohttp, asyncio and uvloop may quote addresses, headers and texts of exceptions, at any
length and as often as a client causes them. Each record is reduced to the first line of its format
string, up to the first value, and to the type of its exception with the file and line.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable

from protocol.relaying import LogThinning

from .redaction import describe_failure, shortened

_LIBRARIES = ("aiohttp", "asyncio", "uvloop", "concurrent")
_MAXIMUM_LENGTH = 120
_MAXIMUM_TEXTS = 200
_FURTHER = "further messages"
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[-#0 +.\d]*[a-zA-Z]")
_VALUE = re.compile(r"<.*|'.*|\".*", re.DOTALL)


class ForeignLogFilter(logging.Filter):
    """A filter for one handler of the root logger. It rewrites records of other libraries in place.

    Each text is counted, and is logged once a minute. A library that formats values into its texts
    can produce any number of them. After the first 200 texts, all further texts of a logger are
    counted and logged as one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._counts: Counter[tuple[str, str]] = Counter()
        self._thinning = LogThinning()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in _LIBRARIES:
            return True
        text = _without_values(str(record.msg))
        if len(self._counts) >= _MAXIMUM_TEXTS and (record.name, text) not in self._counts:
            text = _FURTHER
        self._counts[record.name, text] += 1
        count = self._counts[record.name, text]
        level = self._thinning.level((record.name, text), self._clock(), record.levelno)
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        reason = f": {describe_failure(error)}" if error is not None else ""
        record.msg, record.args = "%s: %s%s (%d so far)", (record.name, text, reason, count)
        record.exc_info = record.exc_text = record.stack_info = None
        return level == record.levelno


def _without_values(template: str) -> str:
    """The first line of a format string, up to the first value."""
    line = template.partition("\n")[0]
    return shortened(_VALUE.sub("…", _PLACEHOLDER.sub("…", line)), _MAXIMUM_LENGTH)
