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

    While a frame or a caller waits, an Ack has to make room within ``timeout`` seconds. Otherwise
    ``time_out`` is called. Between ``suspend`` and ``resume``, up to ``allowance`` bytes wait
    without a time limit, and ``drain`` does not wait for them: an Ack may be among the received
    messages that are not handled.
    """

    __slots__ = (
        "_allowance",
        "_buffer",
        "_has_ended",
        "_is_suspended",
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
        allowance: int = 0,
    ) -> None:
        self._transport = transport
        self._buffer = buffer
        self._timeout = timeout
        self._time_out = time_out
        self._allowance = allowance
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None  # set while frames or callers wait
        self._released: asyncio.Future[None] | None = None  # for the callers that wait
        self._is_suspended = False
        self._has_ended = False
        self.flush = transport.flush
        self.abort = transport.abort

    def write(self, frame: bytes) -> int:
        """Counts and writes a frame. See Transport for the result."""
        if self._buffer.add(frame):
            return self._transport.write(frame)
        self._start_timer()
        return _FULL

    def frame_held_back(self) -> None:
        """Limits the wait of a frame that was added to the buffer, which holds it back."""
        self._start_timer()

    @property
    def holds_back(self) -> bool:
        """Whether frames are held back."""
        return self._buffer.held_size > 0

    @property
    def may_hold_more(self) -> bool:
        """Whether frames are held back, and ``buffered`` is not above the allowance yet."""
        return self.holds_back and self.buffered <= self._allowance

    @property
    def buffered(self) -> int:
        """See Transport. Includes the frames that are held back."""
        return self._transport.buffered + self._buffer.held_size

    async def drain(self) -> None:
        """See Transport. Also waits until no frame is held back, or the next ``suspend``."""
        if self.holds_back and not self._may_be_behind:
            await self._wait()
        await self._transport.drain()

    async def wait_for_room(self) -> None:
        """Returns when the buffer is not full, or at the end.

        Several callers return in the order of their calls, each only if there is still room. The
        time limit is the same as for a frame that is held back.
        """
        while self._buffer.is_full and not self._has_ended:
            self._start_timer()
            await self._wait()

    async def _wait(self) -> None:
        if self._released is None:
            self._released = self._loop.create_future()
        await asyncio.wait({self._released})

    @property
    def _may_be_behind(self) -> bool:
        """Whether an Ack may be among messages that are not handled, and more bytes may wait."""
        return self._is_suspended and self.buffered <= self._allowance

    def suspend(self) -> None:
        """Notes that received messages are not handled for a time."""
        self._is_suspended = True
        if self._may_be_behind:
            self._wake()

    def resume(self) -> None:
        """Ends a ``suspend``. The time limit begins anew."""
        self._is_suspended = False
        self._restart_timer()

    def release(self) -> None:
        """Writes the frames for which an Ack has made room."""
        if self._timer is None:
            return
        frames = self._buffer.release()
        if frames:
            self._transport.write(frames)
        elif self._buffer.is_full:
            return  # the timer keeps running
        self._stop_timer()
        if self.holds_back:
            self._start_timer()
        else:
            self._wake()

    def end(self, *, is_orderly: bool) -> None:
        """Stops the timer. If the end is orderly, writes all frames that are held back."""
        self._has_ended = True
        self._stop_timer()
        frames = self._buffer.release_all()
        if is_orderly and frames:
            self._transport.write(frames)
        self._wake()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout, self._fire)

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._stop_timer()
            self._start_timer()

    def _fire(self) -> None:
        self._timer = None
        if self._may_be_behind:
            self._start_timer()
        else:
            self._time_out()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        released, self._released = self._released, None
        if released is not None:
            released.set_result(None)
