"""A transport without sockets: two ends in one process, and faults that a test injects.

What is written in one tick arrives as one piece, as over a real one. An end that does not read
leaves the bytes with the writer, which sees them as ``buffered``.
"""

import asyncio
from collections import deque
from typing import Literal

from ..aio.transport import Receiver, TransportLimits
from ..errors import TransportViolationError
from ..hub_protocol import TransferFormat


class MemoryTransport:
    """One end of a pair that ``memory_pair`` makes; a ``ServerTransport``.

    An end without a receiver belongs to the test: what arrives there waits for ``take``.
    """

    def __init__(self) -> None:
        self.peer: MemoryTransport = self
        self.has_inherent_keep_alive = False
        self.limits = TransportLimits()
        self.transfer_formats = frozenset(TransferFormat)
        self.ended: Literal["closed", "failed", "aborted"] | None = None
        """How this end was ended from this side."""
        self.pieces: list[bytes] = []
        """What has left this end, one element per flush."""
        self.formats: list[TransferFormat] = []
        """In which format each of them did."""
        self._format = TransferFormat.TEXT
        self._out: list[bytes] = []
        self._flush_scheduled = False
        self._receiver: Receiver | None = None
        self._in: deque[bytes] = deque()
        self._lost: list[Exception | None] = []  # arguments for connection_lost; the first counts
        self._is_lost = False
        self._delivery_scheduled = False
        self._paused = False
        self._drained: list[asyncio.Future[None]] = []

    # ---- Transport

    def set_receiver(self, receiver: Receiver) -> None:
        """See Transport."""
        self._receiver = receiver
        self._deliver()

    def write(self, data: bytes) -> int:
        """See Transport."""
        if self.peer.ended == "aborted":
            self._in.clear()  # a socket that is not read notices by a write that its peer is gone
            self._schedule_delivery()
        elif self.ended is None:
            self._out.append(data)
            self._schedule_flush()
        return self.buffered

    def _schedule_flush(self) -> None:
        if self._out and not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """See Transport."""
        self._flush_scheduled = False
        if self._out and not self.peer._paused:
            piece = b"".join(self._out)
            self._out.clear()
            self.pieces.append(piece)
            self.formats.append(self._format)
            self.peer._arrive(piece)
            self._release()

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """See ServerTransport."""
        self.flush()
        self._format = transfer_format

    def pause_reading(self) -> None:
        """See Transport. From now on the other side's bytes stay with it."""
        self._paused = True

    def resume_reading(self) -> None:
        """See Transport. Takes what has been held back."""
        self._paused = False
        self.peer._schedule_flush()
        self._schedule_delivery()

    def stop_receiving(self) -> None:
        """See ServerTransport."""

    @property
    def buffered(self) -> int:
        """See Transport."""
        return sum(map(len, self._out))

    async def drain(self) -> None:
        """See Transport. Returns when nothing is left to send."""
        if self._out and self.ended is None:
            drained = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def close(self, *, failed: bool = False) -> None:
        """See Transport."""
        self.flush()
        if self.ended is None:
            self.ended = "failed" if failed else "closed"
            self.peer._lose(None)
            self._lose(None)
        self._release()
        await asyncio.sleep(0)  # a real one waits for its peer

    def abort(self) -> None:
        """See Transport."""
        self._out.clear()
        if self.ended is None:
            self.ended = "aborted"
            self.peer._lose(None)
            self._lose(None)
        self._release()

    # ---- for tests

    def take(self) -> bytes:
        """All that has arrived; does not wait."""
        data = b"".join(self._in)
        self._in.clear()
        return data

    @property
    def unread(self) -> int:
        """Bytes that were sent to this end and not yet taken or pushed."""
        return sum(map(len, self._in)) + (self.peer.buffered if self._paused else 0)

    def violate(self, text: str) -> None:
        """Breaks a rule of the transport, as the other side sees it."""
        self.fail(TransportViolationError(text))

    def finish(self) -> None:
        """Ends the stream to the other side, and goes on receiving."""
        self.peer._lose(None)

    def fail(self, error: Exception) -> None:
        """Lets the other side lose the connection with ``error``."""
        self.peer._lose(error)

    def _arrive(self, piece: bytes) -> None:
        if self.ended is None:
            self._in.append(piece)
            self._schedule_delivery()

    def _lose(self, error: Exception | None) -> None:
        self._lost.append(error)
        self._schedule_delivery()

    def _schedule_delivery(self) -> None:
        if self._receiver is not None and not self._delivery_scheduled:
            self._delivery_scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        """Pushes what has arrived, and behind it the loss, once."""
        self._delivery_scheduled = False
        receiver = self._receiver
        if receiver is None:  # it knows of the loss already
            return
        while self._in and not self._paused and not self._is_lost:
            receiver.data_received(self._in.popleft())
        is_behind = self._in or (self.peer._out and self.peer.ended != "aborted")
        if self._lost and not self._is_lost and not (is_behind and self.ended is None):
            self._is_lost = True
            self._receiver = None
            receiver.connection_lost(self._lost[0])

    def _release(self) -> None:
        for drained in self._drained:
            if not drained.done():
                drained.set_result(None)
        self._drained.clear()


def memory_pair() -> tuple[MemoryTransport, MemoryTransport]:
    """Two ends of one connection."""
    one, other = MemoryTransport(), MemoryTransport()
    one.peer, other.peer = other, one
    return one, other
