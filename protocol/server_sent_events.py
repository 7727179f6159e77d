"""Writes and reads Server-Sent Events: hub bytes ↔ the bytes of an event stream (section TS_).

Writes only the part of the format that every client reads. Reads all of the format that the HTML
standard defines: comments, fields other than ``data``, and lines that end with LF, CR or CR LF.
``transports`` opens and closes the stream.
"""

import re
from typing import Final

from .errors import TransportViolationError

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_DATA: Final = b"data: "  # counts in a line, but not in the data of the event

FIRST_COMMENT: Final = b":\r\n"
"""The first bytes of a stream. They show the client that the stream is open (TS_-3)."""


def write_event(data: bytes) -> bytes:
    """One event: only ``data: `` lines, which end with CR LF (TS_-4, TS_-5).

    A line end in ``data`` arrives as LF. In JSON it is only white space, so no content is lost.
    """
    if b"\n" in data or b"\r" in data:
        data = (b"\r\n" + _DATA).join(_LINE_END.split(data))
    return b"%b%b\r\n\r\n" % (_DATA, data)


class ServerSentEventsParser:
    """Reads one stream, fed in pieces of any size.

    ``maximum_size`` limits the data of one event, in bytes; None means no limit. An event that is
    unfinished when the stream ends is dropped (TS_-6).
    """

    def __init__(self, maximum_size: int | None) -> None:
        self._maximum_size = maximum_size
        self._line = bytearray()  # the unfinished line
        self._data = bytearray()  # the data of the unfinished event, an LF after each line
        self._is_first_line = True
        self._ends_with_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of each event that ``piece`` completes. Events without data are skipped.

        Raises TransportViolationError if an event is larger than ``maximum_size``.
        """
        if not piece:
            return []
        if self._ends_with_cr and piece.startswith(b"\n"):
            piece = piece[1:]  # the CR before it has already ended the line
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
        if limit is not None and len(self._line) + len(self._data) > limit + len(_DATA):
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
        if name == b"data":  # comments have an empty name, and other fields are not used
            self._data += value.removeprefix(b" ") + b"\n"
