"""Sending one thing at a time: what is written meanwhile waits, and goes out together.

How a piece goes out, as a frame or a POST, is the transport's business.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_LOW_WATER: Final = 64 * 1024


class Sender:
    """Takes what is written at once; a task of its own waits for ``send``, again and again.

    The first error of ``send`` is the end: ``on_failure`` gets it, and what is written after that
    is dropped.
    """

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], on_failure: Callable[[Exception], None]
    ) -> None:
        self._send = send
        self._on_failure = on_failure
        self._out: list[bytes] = []
        self._buffered = 0
        self._written = asyncio.Event()
        self._is_finishing = False
        self._drained: list[asyncio.Future[None]] = []
        self._task = asyncio.get_running_loop().create_task(self._send_all())

    def write(self, data: bytes) -> int:
        """Queues ``data`` and returns how much is buffered now."""
        if not self._is_finishing and not self._task.done():
            self._out.append(data)
            self._buffered += len(data)
            self._written.set()
        return self._buffered

    @property
    def buffered(self) -> int:
        """Bytes written and not yet sent."""
        return self._buffered

    @property
    def is_done(self) -> bool:
        """Whether nothing will be sent any more."""
        return self._task.done()

    async def drain(self) -> None:
        """Returns once little is buffered, or nothing will be sent any more."""
        if self._buffered > _LOW_WATER and not self._task.done():
            drained = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def finish(self, timeout: float) -> None:
        """Ends when everything is sent, but after ``timeout`` seconds at the latest."""
        self._is_finishing = True
        self._written.set()
        await asyncio.wait({self._task}, timeout=timeout)
        self.cancel()

    def cancel(self) -> None:
        """Ends at once; what is buffered is lost."""
        self._is_finishing = True
        self._task.cancel()

    async def _send_all(self) -> None:
        try:
            while self._out or not self._is_finishing:
                if not self._out:
                    self._written.clear()
                    await self._written.wait()
                    continue
                payload = b"".join(self._out)
                self._out.clear()
                await self._send(payload)
                self._buffered -= len(payload)
                if self._buffered <= _LOW_WATER:
                    self._release()
        except Exception as error:
            self._on_failure(error)
        finally:
            self._is_finishing = True
            self._release()

    def _release(self) -> None:
        for drained in self._drained:
            if not drained.done():
                drained.set_result(None)
        self._drained.clear()
