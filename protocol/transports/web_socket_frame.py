"""What both ends know of WebSocket frames (RFC 6455), beside what aiohttp does for them.

A server's frames are built here once and written to any number of connections. Text that arrives
is checked here, because aiohttp is told not to decode it.
"""

from typing import Final

from ..errors import TransportViolationError

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
INVALID_TEXT: Final = 1007
INTERNAL_ERROR: Final = 1011
TEXT: Final = 0x81  # FIN and opcode 1: whole messages only


def text_frame(payload: bytes) -> bytes:
    """An unmasked, unfragmented Text message."""
    size = len(payload)
    if size < 126:
        return bytes((TEXT, size)) + payload
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (TEXT, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (TEXT, size.to_bytes(8, "big"), payload)


def require_utf8(text: bytes) -> None:
    """Raises TransportViolationError for a Text message, taken whole, that is not UTF-8 (TW-3)."""
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise TransportViolationError(
                "The WebSocket received text that is not UTF-8."
            ) from error


class FrameCache:
    """The frame of the last payload: a broadcast hands in the same object for each connection."""

    def __init__(self) -> None:
        self._payload = b""
        self._frame = b""

    def frame(self, payload: bytes) -> bytes:
        """``text_frame(payload)``, the same object while the payload is the same object."""
        if payload is not self._payload:
            self._frame = text_frame(payload)
            self._payload = payload
        return self._frame
