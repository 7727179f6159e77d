"""Reads the heads of a client's WebSocket frames, for facts that aiohttp's parser does not show.

aiohttp parses the frames. It does not show whether it keeps an unfinished message. It accepts three
violations of RFC 6455: a frame without a mask (5.1), a length in more bytes than it needs (5.2),
and a new message inside a fragmented one whose fragments are empty so far (5.4). This module finds
unfinished messages and these violations (TW-13).
"""

from typing import Final

_FIN: Final = 0x80
_CONTROL: Final = 0x08
_OPCODE: Final = 0x0F
_MASK: Final = 0x80
_WHOLE_MESSAGES: Final = (0x81, 0x82)  # the first bytes of unfragmented Text and Binary messages


class ReceivedFrames:
    """Follows the frames of one connection, in pieces of any size."""

    __slots__ = ("_head", "_is_fragmented", "_left", "valid", "violation")

    def __init__(self) -> None:
        self._head = b""  # the first bytes of a frame, which do not show its length yet
        self._left = 0  # bytes of the current frame that have not arrived
        self._is_fragmented = False  # the message continues in further frames
        self.violation: str | None = None
        """What is wrong with the first invalid frame; None if all frames so far are valid."""
        self.valid = 0
        """If there is a violation: the number of bytes in the last piece before the violation."""

    @property
    def is_unfinished(self) -> bool:
        """Whether the bytes so far end inside a frame, or between the frames of a message.

        False after a violation."""
        is_inside = self._left > 0 or self._is_fragmented or self._head != b""
        return is_inside and self.violation is None

    def feed(self, data: bytes) -> bool:
        """Takes the next bytes. Returns whether a message has ended in them.

        Bytes behind a violation are ignored.
        """
        size = len(data)
        # Most pieces are one small message. This check takes a third of the time of the loop below.
        if size > 5 and data[1] == size + 122 and data[1] < 254 and data[0] in _WHOLE_MESSAGES:
            if not self._left and not self._head and not self._is_fragmented:
                return True
        if self.violation is not None:
            self.valid = 0
            return False
        known = len(self._head)
        if known:
            data = self._head + data
            self._head = b""
            size += known
        position = self._left  # of the next head
        is_fragmented = self._is_fragmented
        has_ended = 0 < position <= size and not is_fragmented
        while position < size:
            start = position
            after_length = position + 2
            length = data[position + 1] & 0x7F if after_length <= size else 0
            least = 0
            if length > 125:
                least = 126 if length == 126 else 1 << 16
                after_length += 2 if length == 126 else 8
            if after_length > size:
                self._head = data[position:]
                break
            if length > 125:
                length = int.from_bytes(data[position + 2 : after_length])
            first, second = data[position], data[position + 1]
            position = after_length + length + 4
            is_inside = is_fragmented and first & _OPCODE and not first & _CONTROL
            if second < _MASK or length < least or is_inside:
                self.violation = _violation(second, length, least)
                self.valid = max(0, start - known)
                is_fragmented = True  # so that the check above does not accept later messages
                break
            if not first & _CONTROL:
                is_fragmented = not first & _FIN
                has_ended = has_ended or (position <= size and not is_fragmented)
        self._is_fragmented = is_fragmented
        self._left = max(position - size, 0)
        return has_ended


def _violation(second: int, length: int, least: int) -> str:
    if second < _MASK:
        return "Received frame without a mask"
    if length < least:
        return "Received frame whose length has more bytes than it needs"
    return "Received new message inside a fragmented one"
