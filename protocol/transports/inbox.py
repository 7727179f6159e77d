"""What has arrived and nobody has asked for yet: bounded, with one end and the reason for it."""

import asyncio
from typing import Final

_FULL: Final = 1024 * 1024  # bytes from which on the reader waits (C-21)


class Inbox:
    """Between a task that reads and the connection that is read to; one of each."""

    def __init__(self) -> None:
        self._waiting = bytearray()  # as one: tiny pieces would take many times their room
        self._changed = asyncio.Event()
        self.has_ended = False
        self._error: Exception | None = None

    async def put(self, data: bytes) -> None:
        """Adds ``data``, then waits for room."""
        if self.has_ended or not data:
            return
        self._waiting += data
        self._notify()
        while len(self._waiting) >= _FULL and not self.has_ended:
            await self._change()

    def end(self, error: Exception | None = None) -> None:
        """There will be nothing more, because of ``error``. The first reason counts."""
        if not self.has_ended:
            self.has_ended = True
            self._error = error
            self._notify()

    async def receive(self) -> bytes | None:
        """All there is, as soon as there is something; at the end None, or the error is raised."""
        while not self._waiting:
            if self.has_ended:
                if self._error is not None:
                    raise self._error
                return None
            await self._change()
        data = bytes(self._waiting)
        self._waiting.clear()
        self._notify()
        return data

    def _notify(self) -> None:
        self._changed.set()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
