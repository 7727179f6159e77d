"""Sends counted messages for stateful reconnect, and holds them back while the buffer is full.

``message_buffer`` counts the messages and decides which are held back. This module limits how long
they wait (SR-8), and lets senders wait for them. The transport may lose what is written to it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from ..message_buffer import MessageBuffer
from .transport import Transport

_FULL: Final = 1 << 62  # bytes; above every limit of a buffer


class CountedOutput:
    """Writes frames to ``transport`` unless ``buffer`` holds them back.

    Calls ``time_out`` when a frame is held back and no Ack has released a frame for ``timeout``
    seconds.
    """

    __slots__ = (
        "_buffer",
        "_loop",
        "_released",
        "_time_out",
        "_timeout",
        "_timer",
        "_transport",
        "abort",
        "flush",
    )

    def __init__(
        self,
        transport: Transport,
        buffer: MessageBuffer,
        *,
        timeout: float,
        time_out: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._buffer = buffer
        self._timeout = timeout
        self._time_out = time_out
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None  # set while frames are held back
        self._released: asyncio.Future[None] | None = None  # for the callers of ``drain``
        self.flush = transport.flush
        self.abort = transport.abort

    def write(self, frame: bytes) -> int:
        """Counts and writes a frame. See Transport for the result."""
        if self._buffer.add(frame):
            return self._transport.write(frame)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._time_out)
        return _FULL

    @property
    def holds_back(self) -> bool:
        """Whether frames are held back."""
        return self._buffer.held_size > 0

    def may_hold_more(self, limit: int) -> bool:
        """Whether frames are held back, and ``buffered`` is not above ``limit`` yet."""
        return self.holds_back and self.buffered <= limit

    @property
    def buffered(self) -> int:
        """See Transport. Includes the frames that are held back."""
        return self._transport.buffered + self._buffer.held_size

    async def drain(self) -> None:
        """See Transport. Also waits until no frame is held back."""
        if self.holds_back:
            if self._released is None:
                self._released = self._loop.create_future()
            await asyncio.wait({self._released})
        await self._transport.drain()

    def release(self) -> None:
        """Writes the frames for which an Ack has made room."""
        if self._timer is None:
            return
        frames = self._buffer.release()
        if frames:
            self._transport.write(frames)
            self._stop_timer()
            if self.holds_back:
                self._timer = self._loop.call_later(self._timeout, self._time_out)
            else:
                self._wake()

    def end(self, *, is_orderly: bool) -> None:
        """Stops the timer. If the end is orderly, writes all frames that are held back."""
        self._stop_timer()
        frames = self._buffer.release_all()
        if is_orderly and frames:
            self._transport.write(frames)
        self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        released, self._released = self._released, None
        if released is not None:
            released.set_result(None)
