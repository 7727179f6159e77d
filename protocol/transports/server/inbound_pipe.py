"""A bounded byte pipe from the POSTs of one connection to the hub (TG-6, TG-8).

Decides when a POST waits, and when it is refused. ``inbound_posts`` reads the bodies of requests,
and the receiver handles the bytes.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ...aio.transport import Receiver
from ...errors import SignalRError


class InboundPipeClosedError(SignalRError):
    """The connection has ended, so the bytes of a POST are not handled (TG-5)."""


EARLY_SIZE: Final = 4 * 1024
"""The bytes that may be received before a transport has opened."""


class InboundPipe:
    """Passes bytes from any number of POSTs, one after another, to one receiver.

    Writers wait while the receiver has paused reading (TG-8). Before there is a receiver, the pipe
    keeps the bytes, and writers wait when there are ``maximum_size`` or more.

    Two limits apply until a transport has opened. ``maximum_size`` is small, because a client can
    negotiate many connections. A POST that still waits at ``expires_at``, a time of the event
    loop's clock, is refused (N-27).
    """

    __slots__ = (
        "_early",
        "_expires_at",
        "_is_complete",
        "_is_ignored",
        "_is_paused",
        "_lock",
        "_receiver",
        "_turn_limits",
        "_writer",
        "maximum_size",
    )

    def __init__(self, maximum_size: int = EARLY_SIZE, *, expires_at: float | None = None) -> None:
        self.maximum_size = maximum_size
        self._lock = asyncio.Lock()
        self._expires_at = expires_at
        self._turn_limits: list[asyncio.Timeout] = []  # one for each POST that is read or waits
        self._receiver: Receiver | None = None
        self._early = bytearray()  # written before there was a receiver
        self._is_paused = False
        self._is_ignored = False
        self._is_complete = False
        self._writer: asyncio.Future[None] | None = None

    def open(self, maximum_size: int) -> None:
        """Makes room for ``maximum_size`` bytes; called when a transport has opened."""
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
        """See Transport. ``write`` still passes its bytes to the receiver, and then waits."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """See Transport."""
        self._is_paused = False
        _wake(self._writer)

    def close(self) -> bytes:
        """Completes the pipe. Returns the bytes that were written before there was a receiver."""
        self.complete()
        return bytes(self._early)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Lets one POST at a time write its body, so that bodies do not mix (TG-6).

        Raises InboundPipeClosedError if the connection has ended, or ends while the POST waits for
        its turn or inside the context.
        """
        if self._is_complete:
            raise InboundPipeClosedError("The connection has ended.")
        limit = asyncio.timeout_at(self._expires_at)
        try:
            async with limit:
                self._turn_limits.append(limit)
                try:
                    async with self._lock:
                        yield
                finally:
                    self._turn_limits.remove(limit)
        except TimeoutError:
            if limit.expired():
                raise InboundPipeClosedError("The connection has ended.") from None
            raise

    async def write(self, data: bytes) -> None:
        """Appends all of ``data``, and returns when there is room for more.

        Raises InboundPipeClosedError if the pipe is complete, or becomes complete while the writer
        waits for room. If ``ignore`` is called while the writer waits, the wait lasts until the
        pipe is complete, so that the hub's Close is sent before the POST is answered (TG-6).
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
            self._is_paused = True  # the connection has ended because of ``data``: see ``write``

    def ignore(self) -> None:
        """Drops the bytes that are written from now on. Writing them succeeds (TG-6)."""
        self._is_ignored = True
        self._early.clear()

    def complete(self) -> None:
        """Ends the pipe after the bytes that were written. POSTs are refused from now on."""
        if not self._is_complete:
            self._is_complete = True
            _wake(self._writer)
            self._limit_turns(0)
            if self._receiver is not None:
                self._report_end()

    def _report_end(self) -> None:
        """Reports the end in the next turn of the event loop.

        The caller of ``complete`` can end the connection before that.
        """
        assert self._receiver is not None
        asyncio.get_running_loop().call_soon(self._receiver.connection_lost, None)

    def _limit_turns(self, until: float | None) -> None:
        self._expires_at = until
        for limit in self._turn_limits:
            if not limit.expired():
                limit.reschedule(until)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
