"""Collects faults of the program, which no bytes of a peer may cause.

A fault is an unhandled exception in a callback, in a task or where Python cannot raise it, a log
line of level ERROR, a warning of Python, or a log call whose arguments do not fit its text.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp.http import HttpProcessingError
from aiohttp.web_protocol import RequestPayloadError

_REFUSALS = HttpProcessingError, RequestPayloadError
"""A plain aiohttp server logs these at level ERROR: requests that it cannot parse or decompress."""


class Watch(logging.Handler):
    """Counts and prints the faults, and counts the texts of warnings in the log."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.faults = 0
        self.lines: Counter[str] = Counter()
        self.running: dict[str, str] = {}
        """The attacks that are under way, by name."""

    def fault(self, text: str) -> None:
        """Count a fault, and print it with the attacks that may have caused it."""
        self.faults += 1
        during = ", ".join(f"{name} {attack}" for name, attack in self.running.items())
        print(f"! during {during or 'none'}: {text}\n", file=sys.stderr, flush=True)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:
            self.fault(f"log call of {record.name}: {traceback.format_exc()}")
            return
        if record.levelno == logging.WARNING:
            self.lines[f"{record.name}: {str(record.msg)[:100]}"] += 1
        if record.levelno >= logging.ERROR or record.name == "py.warnings":
            error = record.exc_info[1] if record.exc_info else None
            if record.name == "aiohttp.server" and _is_refusal(text, error):
                return
            self.fault(f"{record.levelname} {record.name}: {text}{_trace(error)}")

    def _on_loop(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.fault(f"unhandled: {context['message']}{_trace(context.get('exception'))}")

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        self.fault(f"unraisable in {unraisable.object!r}{_trace(unraisable.exc_value)}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Collect faults of the running event loop and of the process."""
        root, hook = logging.getLogger(), sys.unraisablehook
        level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        asyncio.get_running_loop().set_exception_handler(self._on_loop)
        sys.unraisablehook = self._on_unraisable
        logging.captureWarnings(True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                yield
        finally:
            logging.captureWarnings(False)
            sys.unraisablehook = hook
            root.setLevel(level)
            root.removeHandler(self)


def _is_refusal(text: str, error: BaseException | None) -> bool:
    """Whether aiohttp has refused a request. The library shows only the name of such an error."""
    name = text.rpartition(": ")[2]
    return isinstance(error, _REFUSALS) or name in _names(HttpProcessingError)


def _names(kind: type) -> set[str]:
    return {kind.__name__}.union(*map(_names, kind.__subclasses__()))


def _trace(error: BaseException | None) -> str:
    return "" if error is None else "\n" + "".join(traceback.format_exception(error))
