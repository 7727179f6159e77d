"""The interface of a framer, and the framer of text records (F-1, F-3, F-4).

A record is everything up to the separator 0x1E, which cannot occur inside JSON. This module decides
how much of an unfinished record is kept. What a record means is left to the hub protocol. The
framer of binary hub protocols is in ``messagepack.framing``.
"""

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Final, Protocol

from .errors import RemoteProtocolError

RECORD_SEPARATOR: Final = b"\x1e"


class Framer(Protocol):
    """Splits a byte stream, received in pieces of any size, into messages without delimiters."""

    @property
    def has_partial(self) -> bool:
        """Whether the bytes fed so far end inside a message."""  # F-3

    def feed(self, data: bytes) -> Iterable[bytes]:
        """The messages that ``data`` completes.

        The caller iterates over all of them, or closes the connection. Bytes that are not a message
        and a message over the limit are faults: iterating yields the messages before the fault,
        then raises RemoteProtocolError.
        """  # S-20


class RecordFramer:
    """A ``Framer`` of records that end with RECORD_SEPARATOR.

    ``maximum_size`` limits the bytes of one record, separator included (F-4); None means no limit.
    An unfinished record of more bytes is refused before its separator arrives. An unfinished record
    of exactly ``maximum_size`` bytes is kept, as in .NET, although its separator will be one byte
    too much. No byte is searched twice for the separator.
    """

    __slots__ = ("_partial", "maximum_size")

    def __init__(self, maximum_size: int | None = None) -> None:
        self.maximum_size = maximum_size
        self._partial = bytearray()  # the unfinished record

    @property
    def has_partial(self) -> bool:
        """See Framer."""
        return bool(self._partial)

    def feed(self, data: bytes) -> Iterable[bytes]:
        """See Framer."""
        pieces = data.split(RECORD_SEPARATOR)
        rest = pieces.pop()
        limit = self.maximum_size
        if not rest and not self._partial and (limit is None or len(data) <= limit):
            return pieces  # the usual case, only whole records: takes a quarter less time
        size = len(self._partial) + len(data)
        if pieces and self._partial:
            self._partial += pieces[0]
            pieces[0] = bytes(self._partial)
            self._partial.clear()
        self._partial += rest
        if limit is None or size < limit:
            return pieces
        if len(self._partial) <= limit and max(map(len, pieces), default=0) < limit:
            return pieces
        return _records_before_fault(pieces, limit)

    def take_record(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The record that ``data`` completes and the bytes after it, or None if it completes none.

        The handshake uses it, because bytes of another protocol may follow its record (H-3). Raises
        RemoteProtocolError if the record is over the limit.
        """
        head, separator, tail = data.partition(RECORD_SEPARATOR)
        if not separator:
            for _ in self.feed(data):
                pass
            return None
        (record,) = self.feed(head + separator)
        return record, tail


def _records_before_fault(records: list[bytes], limit: int) -> Iterator[bytes]:
    """Yields the records before the first that is too large, then raises.

    If none of ``records`` is too large, the unfinished record after them is.
    """
    fitting = list(takewhile(lambda record: len(record) < limit, records))
    yield from fitting
    if len(fitting) < len(records):
        raise too_large(limit, len(records[len(fitting)]) + len(RECORD_SEPARATOR))
    raise too_large(limit, None)


class OversizeError(RemoteProtocolError):
    """A message is over the limit. The text is for servers, the summary is for both sides."""


def too_large(limit: int, size: int | None) -> OversizeError:
    """The error for a message of ``size`` bytes, which is more than ``limit`` (F-4).

    ``size`` is None for a message whose end has not been received.
    """
    given = f"A message has {'more' if size is None else f'{size} bytes, more'}"
    return OversizeError(
        f"The maximum message size of {limit}B was exceeded. The message size can be configured in "
        "AddHubOptions.",
        summary=f"{given} than the {limit} bytes of maximum_receive_message_size.",
    )
