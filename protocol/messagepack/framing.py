"""Splits a byte stream into the messages of the binary hub protocols (F-2 … F-4).

Each message is announced by its length, seven bits per byte, least significant first. Decides how
much of an unfinished message is kept; what a message means is left to the hub protocol.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ..errors import LocalProtocolError, RemoteProtocolError
from ..framing import too_large

MAXIMUM_LENGTH: Final = 0x7FFFFFFF
_LONGEST_PREFIX: Final = 5
_SHORT_PREFIXES: Final = [bytes((size,)) for size in range(0x80)]


class LengthPrefixFramer:
    """Bytes in any slices → whole messages, prefixes removed; a ``Framer``.

    ``maximum_size`` limits one message, prefix included (F-4); None means no limit. What is
    announced to be larger is refused at once, not when that many bytes have come.
    """

    __slots__ = ("_begun", "_limit", "_wanted", "maximum_size")

    def __init__(self, maximum_size: int | None = None) -> None:
        self.maximum_size = maximum_size
        self._limit = MAXIMUM_LENGTH + _LONGEST_PREFIX if maximum_size is None else maximum_size
        self._begun = bytearray()  # what there is of the unfinished message, prefix included
        self._wanted = 0  # the size of the whole, once it is known

    @property
    def has_partial(self) -> bool:
        """See Framer."""
        return bool(self._begun)

    def feed(self, data: bytes) -> Iterable[bytes]:
        """See Framer."""
        size = len(data)
        if size and data[0] == size - 1 < 0x80 and not self._begun and size <= self._limit:
            return (data[1:],)  # one whole short message, as usual: a fifth cheaper
        return self._split(data)

    def _split(self, data: bytes) -> Iterator[bytes]:
        if self._begun:
            self._begun += data
            if len(self._begun) < self._wanted:
                return
            data = bytes(self._begun)
            self._begun.clear()
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
                raise too_large(limit)
            if end > size:
                self._keep(data[position:], end - position)
                return
            yield data[start:end]
            position = end
        if position < size:
            self._keep(data[position:], 0)

    def _read_prefix(self, data: bytes, position: int) -> tuple[int, int] | None:
        """The length announced there and where the message begins; None while it is cut short."""
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

    def _keep(self, rest: bytes, wanted: int) -> None:
        if len(rest) > self._limit:  # although its length is not even known
            raise too_large(self._limit)
        self._begun += rest
        self._wanted = wanted


def frame(body: bytes) -> bytes:
    """``body`` behind its length. Raises LocalProtocolError when it is over 2 GB."""
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
