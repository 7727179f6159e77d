"""WebSocket frames of both sides (RFC 6455): the parts that aiohttp does not build or check.

A server's frame is built once and written to any number of connections. A client's frames are
masked, each with its own key. Received text is checked for UTF-8 here, because aiohttp does not
decode it (``decode_text=False``).
"""

import os
from typing import Final

from ..errors import TransportViolationError
from ..hub_protocol import TransferFormat

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
INVALID_TEXT: Final = 1007
POLICY_VIOLATION: Final = 1008
INTERNAL_ERROR: Final = 1011
LARGEST_LIMIT: Final = 2**31 - 1
"""The largest message limit that aiohttp's parser accepts: it stores the limit in 32 bits."""
_TEXT: Final = TransferFormat.TEXT


def data_frame(payload: bytes, transfer_format: TransferFormat) -> bytes:
    """An unmasked, unfragmented Text or Binary message, as servers send it."""
    first = 0x81 if transfer_format is _TEXT else 0x82  # with FIN: whole messages only (TW-3)
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (first, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first, size.to_bytes(8, "big"), payload)


def masked_data_frame(payload: bytes, transfer_format: TransferFormat) -> bytes:
    """A masked, unfragmented Text or Binary message, as clients send it (RFC 6455, 5.3)."""
    first = 0x81 if transfer_format is _TEXT else 0x82
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = b"%c\xfe%b" % (first, size.to_bytes(2, "big"))
    else:
        head = b"%c\xff%b" % (first, size.to_bytes(8, "big"))
    key = os.urandom(4)
    return b"%b%b%b" % (head, key, _masked(payload, key))


def _masked(payload: bytes, key: bytes) -> bytes:
    """Applies the mask to ``payload`` as one big integer, much faster than a loop over bytes."""
    size = len(payload)
    mask = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


def protocol_violation(error: object) -> TransportViolationError:
    """Converts aiohttp's ``error`` for the receiver. Only its text may quote received data."""
    code = getattr(error, "code", None)
    summary = "The WebSocket failed" + (f" with status {int(code)}." if code is not None else ".")
    return TransportViolationError(str(error), summary=summary)


def require_utf8(text: bytes) -> None:
    """Raises TransportViolationError if a complete Text message is not UTF-8 (TW-3)."""
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            raise TransportViolationError(
                "The WebSocket received text that is not UTF-8."
            ) from error


class FrameCache:
    """The frame of the last payload, for broadcasts, which write one payload to many connections.

    There is one cache for each transfer format, because the same payload has different frames.
    """

    def __init__(self, transfer_format: TransferFormat) -> None:
        self._format = transfer_format
        self._payload = b""
        self._frame = data_frame(b"", transfer_format)

    def frame(self, payload: bytes) -> bytes:
        """Returns the frame of ``payload``, built only if the last payload was another object."""
        if payload is not self._payload:
            self._frame = data_frame(payload, self._format)
            self._payload = payload
        return self._frame
