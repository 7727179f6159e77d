"""GW-28: logging never blocks the event loop."""

from __future__ import annotations

import io
import logging
import threading

from signalr_gateway.logs.writing import ThreadedStreamHandler


class HeldStream(io.StringIO):
    """A stream whose writes block until it is released, like a pipe that has no reader."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.released.wait()
        return super().write(text)


class BrokenStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("gateway", logging.INFO, __file__, 1, text, None, None)


def test_lines_are_written_in_order() -> None:
    stream = io.StringIO()
    handler = ThreadedStreamHandler(stream)
    for number in range(100):
        handler.handle(record(str(number)))
    handler.close()
    assert stream.getvalue().splitlines() == [str(number) for number in range(100)]


def test_a_stream_that_blocks() -> None:
    """Handling a record returns; what finds no room is counted, and the count is written."""
    stream = HeldStream()
    handler = ThreadedStreamHandler(stream, maximum_waiting=10)
    handler.handle(record("first"))
    assert stream.reached.wait(10)
    for text in ("second", "third", "fourth"):
        handler.handle(record(text))
    stream.released.set()
    handler.close()
    assert stream.getvalue().splitlines() == [
        "first",
        "second",
        "2 log lines were dropped: they came too fast",
    ]


def test_a_line_larger_than_the_room_enters_an_empty_queue() -> None:
    stream = io.StringIO()
    handler = ThreadedStreamHandler(stream, maximum_waiting=10)
    handler.handle(record("x" * 100))
    handler.close()
    assert stream.getvalue() == "x" * 100 + "\n"


def test_a_stream_that_fails() -> None:
    handler = ThreadedStreamHandler(BrokenStream())
    handler.handle(record("lost"))
    handler.close()
