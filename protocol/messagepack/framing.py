"""Splits a byte stream into the messages of binary hub protocols (F-2…F-4).

A prefix before each message holds its length, seven bits per byte, least significant first. This
module decides how much of an unfinished message is kept. What a message means is left to the hub
protocol.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..framing import too_large

MAXIMUM_LENGTH: Final = 0x7FFFFFFF
_LONGEST_PREFIX: Final = 5
_SHORT_PREFIXES: Final = [bytes((size,)) for size in range(0x80)]


class LengthPrefixFramer:
    """A ``Framer`` of messages, each of which has its length before it.

    ``maximum_size`` limits the bytes of one message, prefix included (F-4); None means no limit. A
    message whose prefix announces more is refused at once, before its bytes arrive.
    """

    __slots__ = ("_expected_size", "_limit", "_partial", "maximum_size")

    def __init__(self, maximum_size: int | None = None) -> None:
        self.maximum_size = maximum_size
        self._limit = MAXIMUM_LENGTH + _LONGEST_PREFIX if maximum_size is None else maximum_size
        self._partial = bytearray()  # the unfinished message, prefix included
        self._expected_size = 0  # of the unfinished message, prefix included; 0 until it is known

    @property
    def has_partial(self) -> bool:
        """See Framer."""
        return bool(self._partial)

    def feed(self, data: bytes) -> Iterable[bytes]:
        """See Framer."""
        size = len(data)
        if size and data[0] == size - 1 < 0x80 and not self._partial and size <= self._limit:
            return (data[1:],)  # the usual case, one whole short message: takes a fifth less time
        return self._split(data)

    def _split(self, data: bytes) -> Iterator[bytes]:
        if self._partial:
            self._partial += data
            if len(self._partial) < self._expected_size:
                return
            data = bytes(self._partial)
            self._partial.clear()
        position, size, limit = 0, len(data), self._limit
        while position < size:
            length = data[position]
            start = position + 1
            if length > 0x7F:
                prefix = self._read_prefix(data, position)
                if prefix is None:
                    break
                length, start = prefix
            end = start + length
            if end - position > limit:
                raise too_large(limit, end - position)
            if end > size:
                self._keep(data[position:], end - position)
                return
            yield data[start:end]
            position = end
        if position < size:
            self._keep(data[position:], 0)

    def _read_prefix(self, data: bytes, position: int) -> tuple[int, int] | None:
        """The length at ``position`` and the message's start; None while the prefix is cut off."""
        length = 0
        for number, byte in enumerate(data[position : position + _LONGEST_PREFIX]):
            length |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                if length > MAXIMUM_LENGTH:
                    break
                return length, position + number + 1
        else:
            if len(data) - position < _LONGEST_PREFIX:
                return None
        raise RemoteProtocolError("Messages over 2GB in size are not supported.", "FormatException")

    def _keep(self, rest: bytes, expected_size: int) -> None:
        if len(rest) > self._limit:  # possible only while the length is unknown
            raise too_large(self._limit, None)
        self._partial += rest
        self._expected_size = expected_size


def frame(body: bytes) -> bytes:
    """``body`` with its length before it. Raises LocalProtocolError if it is over 2 GB."""
    size = len(body)
    if size < 0x80:
        return _SHORT_PREFIXES[size] + body
    if size > MAXIMUM_LENGTH:
        raise LocalProtocolError("Messages over 2GB in size are not supported.")
    prefix = bytearray()
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + body
