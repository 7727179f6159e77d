"""A send queue that makes one request at a time.

Bytes that are written during a request are sent together in the next one. The transport supplies
the function that sends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

_LOW_WATER: Final = 64 * 1024  # bytes


class Sender:
    """Queues written bytes. A task awaits ``send`` repeatedly while the queue is not empty.

    The first exception of ``send`` ends the sender: ``on_failure`` is called with the exception,
    and bytes written afterwards are dropped.
    """

    def __init__(
        self, send: Callable[[bytes], Awaitable[None]], on_failure: Callable[[Exception], None]
    ) -> None:
        self._send = send
        self._on_failure = on_failure
        self._out: list[bytes] = []
        self._buffered = 0
        self._has_ended = False
        self._drained: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> int:
        """See Transport."""
        if not self._has_ended:
            self._out.append(data)
            self._buffered += len(data)
            if self._task is None:
                self._task = asyncio.get_running_loop().create_task(self._send_all())
        return self._buffered

    def flush(self) -> None:
        """See Transport. Does nothing: the task sends in the next turn of the event loop."""

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._buffered

    async def drain(self) -> None:
        """See Transport."""
        if self._buffered > _LOW_WATER and not self._has_ended:
            drained = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def finish(self, timeout: float) -> None:
        """Returns when everything is sent, or after ``timeout`` seconds, and ends the sender."""
        self._has_ended = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=timeout)
        self.cancel()

    def cancel(self) -> None:
        """Ends the sender at once. Buffered bytes are lost."""
        self._end()
        if self._task is not None:
            self._task.cancel()

    async def _send_all(self) -> None:
        try:
            while self._out:
                payload = b"".join(self._out)
                self._out.clear()
                await self._send(payload)
                self._buffered -= len(payload)
                if self._buffered <= _LOW_WATER:
                    self._release()
        except asyncio.CancelledError:
            self._end()
            raise
        except Exception as error:
            self._end()
            self._on_failure(error)
        finally:
            self._task = None

    def _end(self) -> None:
        self._has_ended = True
        self._out.clear()
        self._buffered = 0
        self._release()

    def _release(self) -> None:
        for drained in self._drained:
            if not drained.done():
                drained.set_result(None)
        self._drained.clear()
