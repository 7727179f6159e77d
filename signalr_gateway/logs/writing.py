"""Writes log lines to a stream in a thread of its own, so that logging never blocks (GW-28).

A paused terminal, or a pipe whose reader has stopped, blocks each write. Lines then wait in a
bounded queue. Lines that arrive while the queue is full are dropped and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TextIO

MAXIMUM_WAITING = 4 * 1024 * 1024
"""Characters of lines that may wait for the stream."""
_CLOSE_TIMEOUT = 2.0
"""Seconds in which `close` waits for the last lines to be written."""


class ThreadedStreamHandler(logging.Handler):
    """A handler that formats each record at once. A thread then writes the line."""

    def __init__(self, stream: TextIO, maximum_waiting: int = MAXIMUM_WAITING) -> None:
        super().__init__()
        self._stream = stream
        self._maximum = maximum_waiting
        self._lines: deque[str] = deque()
        self._size = 0
        self._dropped = 0
        self._ends = False
        self._changed = threading.Condition(threading.Lock())
        # A daemon thread does not prevent the process from ending while the stream blocks.
        self._writer = threading.Thread(target=self._write, name="log writer", daemon=True)
        self._writer.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record."""
        try:
            line = self.format(record) + "\n"
        except Exception:
            self.handleError(record)
            return
        with self._changed:
            if self._lines and self._size + len(line) > self._maximum:
                self._dropped += 1
                return
            self._lines.append(line)
            self._size += len(line)
            self._changed.notify()

    def close(self) -> None:
        """Write the lines that wait, for two seconds at most."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        self._writer.join(_CLOSE_TIMEOUT)
        super().close()

    def _write(self) -> None:
        while (text := self._take()) is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError):  # the reader is gone, or the stream is closed
                pass

    def _take(self) -> str | None:
        """Wait for lines and return them all. Returns None when the handler has been closed."""
        with self._changed:
            while not self._lines and not self._ends:
                self._changed.wait()
            if not self._lines:
                return None
            if self._dropped:
                self._lines.append(f"{self._dropped} log lines were dropped: they came too fast\n")
            text = "".join(self._lines)
            self._lines.clear()
            self._size = self._dropped = 0
            return text
