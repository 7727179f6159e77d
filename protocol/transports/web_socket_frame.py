"""Server-side WebSocket frames (RFC 6455): built once, written to any number of connections."""

from typing import Final

TEXT: Final = 0x81  # FIN and opcode 1: whole messages only


def text_frame(payload: bytes) -> bytes:
    """An unmasked, unfragmented Text message."""
    size = len(payload)
    if size < 126:
        return bytes((TEXT, size)) + payload
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (TEXT, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (TEXT, size.to_bytes(8, "big"), payload)


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
