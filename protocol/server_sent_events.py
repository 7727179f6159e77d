"""Server-Sent Events, written and read: hub bytes ↔ the bytes of an event stream (section TS_).

Writes the narrow format that every client reads, and reads the whole one of the HTML standard:
lines that end with LF, CR or both, comments, other fields. How the stream comes about is left to
the transports.
"""

import re
from typing import Final

from .errors import TransportViolationError

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

FIRST_COMMENT: Final = b":\r\n"
"""What a stream begins with, so that its client knows that it is open (TS_-3)."""


def write_event(data: bytes) -> bytes:
    """One event, of ``data: `` lines that end with CR LF and nothing else (TS_-4, TS_-5).

    Line ends in ``data`` arrive as LF. In JSON, where they are but white space, that is the same.
    """
    if b"\n" in data or b"\r" in data:
        data = b"\r\ndata: ".join(_LINE_END.split(data))
    return b"data: %b\r\n\r\n" % data


class ServerSentEventsParser:
    """One stream, fed in pieces of any size; ``maximum_size`` bounds an event's bytes (None: not).

    An event that the stream ends in is nobody's (TS_-6).
    """

    def __init__(self, maximum_size: int | None) -> None:
        self._maximum_size = maximum_size
        self._line = bytearray()  # as far as it has come
        self._data = bytearray()  # of the event as far as it has come, a LF behind each line
        self._is_first_line = True
        self._ends_with_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of all events that are complete now, except those that have none.

        Raises TransportViolationError when an event is larger than ``maximum_size``.
        """
        if not piece:
            return []
        if self._ends_with_cr and piece.startswith(b"\n"):
            piece = piece[1:]  # the line has ended with the CR already
        events: list[bytes] = []
        *ends, rest = _LINE_END.split(piece)
        for end in ends:
            self._append(end)
            self._read_line(events)
            self._line.clear()
        self._append(rest)
        self._ends_with_cr = piece.endswith(b"\r")
        return events

    def _append(self, part: bytes) -> None:
        self._line += part
        limit = self._maximum_size
        if limit is not None and len(self._line) + len(self._data) > limit:
            raise TransportViolationError(f"The server sent an event of more than {limit} bytes.")

    def _read_line(self, events: list[bytes]) -> None:
        line = self._line
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            if len(self._data) > 1:
                events.append(bytes(self._data[:-1]))
            self._data.clear()
            return
        name, _, value = line.partition(b":")
        if name == b"data":  # a comment has no name; what the other fields say is nothing to us
            self._data += value.removeprefix(b" ") + b"\n"
