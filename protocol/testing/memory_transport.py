"""A transport without sockets: two ends in one process, and faults that a test injects.

The bytes that are written in one turn of the event loop arrive as one piece, as with a real
transport. While an end has paused reading, the bytes stay ``buffered`` at the other end.
"""

import asyncio
from collections import deque
from typing import Literal

from ..aio.transport import Receiver, TransportLimits
from ..errors import TransportViolationError
from ..hub_protocol import TransferFormat


class MemoryTransport:
    """One end of a pair that ``memory_pair`` makes. It is a ``ServerTransport``.

    At an end without a receiver, received bytes wait until the test calls ``take``.
    """

    def __init__(self) -> None:
        self.peer: MemoryTransport = self
        self.has_inherent_keep_alive = False
        self.was_cut = False
        self.limits = TransportLimits()
        self.transfer_formats = frozenset(TransferFormat)
        self.ended: Literal["closed", "failed", "aborted"] | None = None
        """How ``close`` or ``abort`` ended this end; None before either is called."""
        self.pieces: list[bytes] = []
        """The bytes that this end has sent, one element per flush."""
        self.formats: list[TransferFormat] = []
        """The transfer format of each element of ``pieces``."""
        self._format = TransferFormat.TEXT
        self._out: list[bytes] = []
        self._flush_scheduled = False
        self._receiver: Receiver | None = None
        self._in: deque[bytes] = deque()
        self._lost: list[Exception | None] = []  # the first is the argument of connection_lost
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
            self._in.clear()  # as with a socket, a write detects the lost peer
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
        """See Transport. Later bytes stay buffered at the other end."""
        self._paused = True

    def resume_reading(self) -> None:
        """See Transport. The other end then sends its buffered bytes."""
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
        await asyncio.sleep(0)  # a real transport waits for its peer

    def abort(self) -> None:
        """See Transport."""
        self._out.clear()
        if self.ended is None:
            self.ended = "aborted"
            if self.peer.ended is None:
                self.peer.was_cut = True
            self.peer._lose(None)
            self._lose(None)
        self._release()

    # ---- for tests

    def take(self) -> bytes:
        """Returns all received bytes, without waiting."""
        data = b"".join(self._in)
        self._in.clear()
        return data

    @property
    def unread(self) -> int:
        """The number of bytes sent to this end and not yet taken or pushed."""
        return sum(map(len, self._in)) + (self.peer.buffered if self._paused else 0)

    def violate(self, text: str) -> None:
        """Makes the other end lose the connection with a TransportViolationError."""
        self.fail(TransportViolationError(text))

    def finish(self) -> None:
        """Ends the stream to the other end. This end still receives."""
        self.peer._lose(None)

    def fail(self, error: Exception) -> None:
        """Makes the other end lose the connection with ``error``."""
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
        """Pushes received bytes, and after them the loss of the connection, once."""
        self._delivery_scheduled = False
        receiver = self._receiver
        if receiver is None:  # the loss was reported already
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
    """Returns the two ends of one connection."""
    one, other = MemoryTransport(), MemoryTransport()
    one.peer, other.peer = other, one
    return one, other
