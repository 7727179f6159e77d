"""A ``ServerTransport`` without sockets: two ends in one process, and faults at a test's command.

What is written in one tick arrives as one piece, as over a real one. An end that does not read
leaves the bytes with the writer, who sees them as ``buffered``.
"""

import asyncio
from collections import deque
from typing import Literal

from protocol.aio.transport import TransportLimits
from protocol.errors import TransportViolationError
from protocol.hub_protocol import TransferFormat


class MemoryTransport:
    """One end; made in pairs by ``memory_pair``."""

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
        self._in: deque[bytes | Exception | None] = deque()
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: list[asyncio.Future[None]] = []

    # ---- Transport

    async def receive(self) -> bytes | None:
        """See ClientTransport."""
        while not self._in:
            if self.ended is not None:
                return None
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._in.popleft()
        if item is None:
            self._in.append(None)  # the end is reached once and for all
        if isinstance(item, Exception):
            raise item
        return item

    async def receive_into(self, inbox: bytearray, maximum_size: int) -> bool:
        """See ServerTransport."""
        while (data := await self.receive()) is not None:
            inbox += data
            if len(inbox) > maximum_size:
                return True
        return False

    async def acknowledge_end(self) -> None:
        """See ServerTransport."""

    def write(self, data: bytes) -> int:
        """See Transport."""
        if self.ended is None:
            self._out.append(data)
            if not self._flush_scheduled:
                self._flush_scheduled = True
                asyncio.get_running_loop().call_soon(self.flush)
        return self.buffered

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

    def stop_receiving(self) -> None:
        """See ServerTransport."""

    def tick(self, now: float) -> None:
        """See ServerTransport."""

    @property
    def is_closed(self) -> bool:
        """See Transport."""
        return self.ended is not None or self.peer.ended is not None

    @property
    def buffered(self) -> int:
        """See Transport."""
        return sum(map(len, self._out))

    async def drain(self) -> None:
        """See Transport. Here "little" is nothing at all."""
        if self._out and self.ended is None:
            drained = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def close(self, *, failed: bool = False) -> None:
        """See Transport."""
        self.flush()
        if self.ended is None:
            self.ended = "failed" if failed else "closed"
            self.peer._arrive(None)
            self._wake()
        self._release()
        await asyncio.sleep(0)  # a real one waits for its peer

    def abort(self) -> None:
        """See Transport."""
        self._out.clear()
        if self.ended is None:
            self.ended = "aborted"
            self.peer._arrive(None)
            self._wake()
        self._release()

    # ---- for tests

    def take(self) -> bytes:
        """All that has arrived; does not wait."""
        data = b"".join(item for item in self._in if isinstance(item, bytes))
        self._in = deque(item for item in self._in if not isinstance(item, bytes))
        return data

    @property
    def unread(self) -> int:
        """Bytes that have arrived and that this end's owner has not asked for."""
        return sum(len(item) for item in self._in if isinstance(item, bytes))

    def pause_reading(self) -> None:
        """From now on the other side's bytes stay with it."""
        self._paused = True

    def resume_reading(self) -> None:
        """Takes what has been held back."""
        self._paused = False
        self.peer.flush()

    def violate(self, text: str) -> None:
        """Breaks a rule of the transport, as the other side sees it."""
        self.fail(TransportViolationError(text))

    def finish(self) -> None:
        """Sends no more, and goes on receiving."""
        self.peer._arrive(None)

    def fail(self, error: Exception) -> None:
        """Lets the other side's ``receive`` raise, as a transport never should."""
        self.peer._arrive(error)

    def _arrive(self, item: bytes | Exception | None) -> None:
        if self.ended is None:
            self._in.append(item)
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

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
