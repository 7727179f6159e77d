"""What clients POST, on its way to the hub: a bounded byte pipe (TG-6, TG-8).

Decides when a POST waits and when it is told that nobody will read it; how a body is taken off a
request is left to the dispatcher, and what the bytes mean to the hub.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from ..errors import SignalRError


class InboundPipeClosedError(SignalRError):
    """The connection has ended: nobody reads what is written (TG-5)."""


EARLY_SIZE: Final = 4 * 1024
"""Bytes that may come before a transport has picked the connection up."""


class InboundPipe:
    """Bytes from any number of POSTs, which take turns, to one reader.

    At ``maximum_size`` bytes writers wait, until half of them are read (TG-8). It is small as long
    as there is no reader, for strangers can have as many pipes as they can negotiate connections;
    and there nobody waits beyond ``expires_at``, a time of the loop (N-27).
    """

    def __init__(self, maximum_size: int = EARLY_SIZE, *, expires_at: float | None = None) -> None:
        self.maximum_size = maximum_size
        self._lock = asyncio.Lock()
        self._expires_at = expires_at
        self._turns: set[asyncio.Timeout] = set()  # under way, or waited for
        self._waiting = bytearray()  # as one: tiny pieces would take many times their room
        self._lent = 0  # bytes that the reader has, which count as well
        self._is_paused = False
        self._is_ignored = False
        self._is_complete = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    def open(self, maximum_size: int) -> None:
        """From now on there is a reader, and room for that much."""
        self.maximum_size = maximum_size
        self._limit_turns(None)
        self._resume()

    def close(self) -> bytes:
        """What is there, instead of reading on: the rest comes another way."""
        self.complete()
        return bytes(self._waiting)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A POST from its first byte to its last: those of one connection do not mix (TG-6).

        The end of the connection ends it wherever it waits, be it for its own client:
        InboundPipeClosedError.
        """
        if self._is_complete:
            raise InboundPipeClosedError("The connection has ended.")
        limit = asyncio.timeout_at(self._expires_at)
        try:
            async with limit:
                self._turns.add(limit)
                try:
                    async with self._lock:
                        yield
                finally:
                    self._turns.discard(limit)
        except TimeoutError:
            if limit.expired():
                raise InboundPipeClosedError("The connection has ended.") from None
            raise

    async def write(self, data: bytes) -> None:
        """Appends ``data`` as a whole and returns when there is room for more.

        Raises InboundPipeClosedError when it is complete, be it while this waits for room. Who
        waits for a reader that has gone learns it only then: the hub's farewell comes first (TG-6).
        """
        if self._is_complete:
            raise InboundPipeClosedError("The connection has ended.")
        if self._is_ignored or not data:
            return
        self._waiting += data
        self._is_paused |= self._size >= self.maximum_size
        _wake(self._reader)
        while self._is_paused:
            self._writer = asyncio.get_running_loop().create_future()
            try:
                await self._writer
            finally:
                self._writer = None
            if self._is_complete:
                raise InboundPipeClosedError("The connection has ended.")

    async def read(self) -> bytes | None:
        """All that is there, as soon as there is something; None at the end.

        It takes up its room until the next ``read``, for which the hub comes back when it has room.
        """
        self._lent = 0
        self._resume()
        while not self._waiting:
            if self._is_complete:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        data = bytes(self._waiting)
        self._waiting.clear()
        self._lent = len(data)
        return data

    async def read_into(self, inbox: bytearray, maximum_size: int) -> bool:
        """See ServerTransport.receive_into."""
        while (data := await self.read()) is not None:
            inbox += data
            if len(inbox) > maximum_size:
                return True
        return False

    def ignore(self) -> None:
        """The reader is gone. What is written from now on succeeds and is dropped (TG-6)."""
        self._is_ignored = True
        self._waiting.clear()

    def complete(self) -> None:
        """The end: the reader gets what is there and then None, writers are refused."""
        if not self._is_complete:
            self._is_complete = True
            _wake(self._reader)
            _wake(self._writer)
            self._limit_turns(0)

    def _limit_turns(self, until: float | None) -> None:
        self._expires_at = until
        for limit in self._turns:
            if not limit.expired():
                limit.reschedule(until)

    @property
    def _size(self) -> int:
        return len(self._waiting) + self._lent

    def _resume(self) -> None:
        if self._is_paused and self._size <= self.maximum_size // 2:
            self._is_paused = False
            _wake(self._writer)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
