"""What a framer is, and the one that splits a stream into records of text (F-1, F-3, F-4).

A record is everything up to the separator 0x1E, which cannot occur inside JSON. Decides how much
of an unfinished record is kept; what a record means is left to the hub protocol. The framer of
binary hub protocols is in ``messagepack.framing``.
"""

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Final, Protocol

from .errors import RemoteProtocolError

RECORD_SEPARATOR: Final = b"\x1e"


class Framer(Protocol):
    """Bytes in any slices → whole messages, bare of what marks their ends."""

    @property
    def has_partial(self) -> bool:
        """Whether the stream stands in the middle of a message."""  # F-3

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The messages that ``data`` completes.

        The answer must be iterated to its end, or the connection given up. Iterating raises
        RemoteProtocolError at what is no message or over the limit, after the messages before it.
        """  # S-20


class RecordFramer:
    """Bytes in any slices → whole records, separators removed; a ``Framer``.

    ``maximum_size`` limits one record, separator included (F-4); None means no limit. At most
    that many bytes are buffered, and no byte is searched twice.
    """

    __slots__ = ("_begun", "maximum_size")

    def __init__(self, maximum_size: int | None = None) -> None:
        self.maximum_size = maximum_size
        self._begun = bytearray()  # what there is of the unfinished record

    @property
    def has_partial(self) -> bool:
        """See Framer."""
        return bool(self._begun)

    def feed(self, data: bytes) -> Iterable[bytes]:
        """See Framer."""
        pieces = data.split(RECORD_SEPARATOR)
        rest = pieces.pop()
        limit = self.maximum_size
        if not rest and not self._begun and (limit is None or len(data) <= limit):
            return pieces  # whole records, as usual: a quarter cheaper than the way below
        size = len(self._begun) + len(data)
        if pieces and self._begun:
            self._begun += pieces[0]
            pieces[0] = bytes(self._begun)
            self._begun.clear()
        self._begun += rest
        if limit is None or size < limit or max(map(len, (*pieces, self._begun))) < limit:
            return pieces
        return _up_to(limit, pieces)

    def take_record(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The first record that ``data`` completes and all that follows it, or None.

        For the handshake, whose record may be followed by another protocol's bytes (H-3).
        Raises RemoteProtocolError when the record is over the limit.
        """
        head, separator, tail = data.partition(RECORD_SEPARATOR)
        if not separator:
            for _ in self.feed(data):
                pass
            return None
        (record,) = self.feed(head + separator)
        return record, tail


def _up_to(limit: int, pieces: list[bytes]) -> Iterator[bytes]:
    """Those before the one that is too large, which may be the unfinished one behind them."""
    yield from takewhile(lambda piece: len(piece) < limit, pieces)
    raise too_large(limit)


def too_large(limit: int) -> RemoteProtocolError:
    """What to raise at a message of more than ``limit`` bytes (F-4)."""
    return RemoteProtocolError(
        f"The maximum message size of {limit}B was exceeded. The message size can be configured in "
        "AddHubOptions."
    )
