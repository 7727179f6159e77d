"""What clients POST, on its way to the hub: a bounded byte pipe (TG-6, TG-8).

Decides when a POST waits and when it is refused. How a body is read from a request is left to
``inbound_posts``, and what the bytes mean to the hub.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ...aio.transport import Receiver
from ...errors import SignalRError


class InboundPipeClosedError(SignalRError):
    """The connection has ended, and what is written is not read (TG-5)."""


EARLY_SIZE: Final = 4 * 1024
"""Bytes that may come before a transport has picked the connection up."""


class InboundPipe:
    """Bytes from any number of POSTs, which take turns, to one receiver.

    Writers wait while the receiver has paused reading (TG-8). Before there is a receiver,
    ``maximum_size`` bytes have room: few until a transport has picked the connection up, because
    a client can negotiate many connections; until then no POST waits beyond ``expires_at``, a time
    of the loop (N-27).
    """

    __slots__ = (
        "_early",
        "_expires_at",
        "_is_complete",
        "_is_ignored",
        "_is_paused",
        "_lock",
        "_receiver",
        "_turns",
        "_writer",
        "maximum_size",
    )

    def __init__(self, maximum_size: int = EARLY_SIZE, *, expires_at: float | None = None) -> None:
        self.maximum_size = maximum_size
        self._lock = asyncio.Lock()
        self._expires_at = expires_at
        self._turns: list[asyncio.Timeout] = []  # under way, or waited for
        self._receiver: Receiver | None = None
        self._early = bytearray()  # before there is a receiver
        self._is_paused = False
        self._is_ignored = False
        self._is_complete = False
        self._writer: asyncio.Future[None] | None = None

    def open(self, maximum_size: int) -> None:
        """A transport has picked the connection up: there is room for that much."""
        self.maximum_size = maximum_size
        self._limit_turns(None)
        if len(self._early) < maximum_size:
            self.resume_reading()

    def set_receiver(self, receiver: Receiver) -> None:
        """See Transport."""
        self._receiver = receiver
        self.resume_reading()
        if self._early:
            data = bytes(self._early)
            self._early.clear()
            receiver.data_received(data)
        if self._is_complete:
            self._report_end()

    def pause_reading(self) -> None:
        """See Transport. What is written is still pushed, and its writer waits."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """See Transport."""
        self._is_paused = False
        _wake(self._writer)

    def close(self) -> bytes:
        """Completes the pipe. Returns what was written before there was a receiver."""
        self.complete()
        return bytes(self._early)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A POST from its first byte to its last: those of one connection do not mix (TG-6).

        Raises InboundPipeClosedError when the connection ends, also while this waits, even if it is
        for the POST's own body.
        """
        if self._is_complete:
            raise InboundPipeClosedError("The connection has ended.")
        limit = asyncio.timeout_at(self._expires_at)
        try:
            async with limit:
                self._turns.append(limit)
                try:
                    async with self._lock:
                        yield
                finally:
                    self._turns.remove(limit)
        except TimeoutError:
            if limit.expired():
                raise InboundPipeClosedError("The connection has ended.") from None
            raise

    async def write(self, data: bytes) -> None:
        """Appends ``data`` as a whole and returns when there is room for more.

        Raises InboundPipeClosedError when the pipe is complete, also while this waits for room. A
        writer that waits for a receiver that is gone waits until then: the hub's Close is sent
        first (TG-6).
        """
        if self._is_complete:
            raise InboundPipeClosedError("The connection has ended.")
        if self._is_ignored or not data:
            return
        if self._receiver is not None:
            self._push(data)
        else:
            self._early += data
            self._is_paused = len(self._early) >= self.maximum_size
        while self._is_paused and not self._is_complete:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
        if self._is_paused:
            raise InboundPipeClosedError("The connection has ended.")

    def _push(self, data: bytes) -> None:
        assert self._receiver is not None
        self._receiver.data_received(data)
        if self._is_ignored and len(data) >= self.maximum_size:
            self._is_paused = True  # the hub has ended over it, and never made room

    def ignore(self) -> None:
        """The receiver is gone. What is written from now on succeeds and is dropped (TG-6)."""
        self._is_ignored = True
        self._early.clear()

    def complete(self) -> None:
        """Ends the pipe behind what was written; POSTs are refused from now on."""
        if not self._is_complete:
            self._is_complete = True
            _wake(self._writer)
            self._limit_turns(0)
            if self._receiver is not None:
                self._report_end()

    def _report_end(self) -> None:
        """Reports later, because the caller may still end the connection for its own reason."""
        assert self._receiver is not None
        asyncio.get_running_loop().call_soon(self._receiver.connection_lost, None)

    def _limit_turns(self, until: float | None) -> None:
        self._expires_at = until
        for limit in self._turns:
            if not limit.expired():
                limit.reschedule(until)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
