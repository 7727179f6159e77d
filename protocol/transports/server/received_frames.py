"""Where received WebSocket messages end (RFC 6455, 5.2), found by the heads of their frames.

aiohttp parses the frames, and does not show whether it keeps an unfinished message. Only this is
decided here: frames are neither checked nor unmasked.
"""

from typing import Final

_FIN: Final = 0x80
_CONTROL: Final = 0x08
_MASK: Final = 0x80


class ReceivedFrames:
    """Follows the frames of one connection, in pieces of any size."""

    __slots__ = ("_head", "_is_fragmented", "_left")

    def __init__(self) -> None:
        self._head = b""  # the first bytes of a frame, which do not show its length yet
        self._left = 0  # bytes of the current frame that have not arrived
        self._is_fragmented = False  # the message continues in further frames

    @property
    def is_unfinished(self) -> bool:
        """Whether the bytes so far end inside a frame, or between the frames of a message."""
        return self._left > 0 or self._is_fragmented or self._head != b""

    def feed(self, data: bytes) -> bool:
        """Takes the next bytes; returns whether a message has ended in them."""
        if self._head:
            data = self._head + data
            self._head = b""
        size = len(data)
        position = self._left  # of the next head
        is_fragmented = self._is_fragmented
        has_ended = 0 < position <= size and not is_fragmented
        last = size - 1
        while position < last:  # for each frame, so it has no calls and few names
            second = data[position + 1]
            length = second & 0x7F
            end = position + 2
            if length > 125:
                end += 2 if length == 126 else 8
                if end > size:
                    break
                length = int.from_bytes(data[position + 2 : end])
            first = data[position]
            position = end + length + 4 if second & _MASK else end + length
            if not first & _CONTROL:
                is_fragmented = first < _FIN
                if position <= size and not is_fragmented:
                    has_ended = True
        if position < size:
            self._head = data[position:]
            position = size  # all of the rest is kept
        self._is_fragmented = is_fragmented
        self._left = position - size if position > size else 0
        return has_ended
