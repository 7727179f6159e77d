"""Server-Sent Events, read: bytes of an event stream → the data of its events (section TS_).

Reads the whole format of the HTML standard, not only what SignalR servers write: lines that end
with LF, CR or both, comments, other fields. How the stream comes about is left to the transports.
"""

import re
from typing import Final

from .errors import TransportViolationError

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class ServerSentEventsParser:
    """One stream, fed in pieces of any size; ``maximum_size`` bounds an event's bytes (None: not).

    An event that the stream ends in is nobody's (TS_-6).
    """

    def __init__(self, maximum_size: int | None) -> None:
        self._maximum_size = maximum_size
        self._line: list[bytes] = []  # pieces of the line that is not complete yet
        self._line_size = 0
        self._data: list[bytes] = []  # data lines of the event that is not complete yet
        self._data_size = 0
        self._is_first = True
        self._ends_with_cr = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of all events that are complete now, except those that have none.

        Raises TransportViolationError when an event is larger than ``maximum_size``.
        """
        if self._ends_with_cr and piece.startswith(b"\n"):
            piece = piece[1:]  # the line has ended with the CR already
        if not piece:
            return []
        events: list[bytes] = []
        *ends, rest = _LINE_END.split(piece)
        for end in ends:
            self._append(end)
            line = b"".join(self._line)
            self._line.clear()
            self._line_size = 0
            self._read_line(line, events)
        self._append(rest)
        self._ends_with_cr = piece.endswith(b"\r")
        return events

    def _append(self, part: bytes) -> None:
        self._line.append(part)
        self._line_size += len(part)
        if (
            self._maximum_size is not None
            and self._line_size + self._data_size > self._maximum_size
        ):
            raise TransportViolationError(
                f"The server sent an event of more than {self._maximum_size} bytes."
            )

    def _read_line(self, line: bytes, events: list[bytes]) -> None:
        if self._is_first:
            self._is_first = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            data = b"\n".join(self._data)
            self._data.clear()
            self._data_size = 0
            if data:
                events.append(data)
            return
        name, _, value = line.partition(b":")
        if name == b"data":  # a comment has no name; what the other fields say is nothing to us
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._data_size += len(value) + 1
