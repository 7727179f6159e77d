"""Output to one socket: a WebSocket of the client or the server, or a server's event stream.

Collects the bytes that are written in one turn of the event loop, so that they cost one system
call. Counts the bytes that the operating system has not taken. The transports supply the function
that turns a payload into a frame or an event.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from aiohttp import ClientError

from ..aio.transport import TransportLimits
from .flusher import Flusher

logger = logging.getLogger(__name__)

_SLOWEST: Final = 240
"""Bytes per second. Kestrel has this limit for answers to requests."""


class Writer(Protocol):
    """aiohttp's writer of a socket, which waits until the socket takes bytes again."""

    async def drain(self) -> None:
        """Returns when the buffer is below its low-water mark.

        Raises ConnectionError if the connection is lost.
        """


class SocketOwner(Protocol):
    """The owner of a socket: a server's ``web.Request``, or a client's ``UpgradedConnection``."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The socket; None when it is lost."""

    @property
    def writer(self) -> Writer:
        """aiohttp's writer of the socket."""


class SocketOutput:
    """Writes to the socket of ``owner`` directly, not through aiohttp's writer.

    ``frame`` returns the bytes on the wire for a payload. While bytes wait, the peer has to take
    _SLOWEST bytes per second, measured over ``send_timeout`` seconds. Otherwise the socket is
    aborted (TG-9).
    """

    __slots__ = (
        "_added",
        "_draining",
        "_flusher",
        "_high_water",
        "_in_socket",
        "_is_ended",
        "_out",
        "_out_size",
        "_owner",
        "_send_timeout",
        "_socket",
        "_untaken",
        "_watch",
        "frame",
    )

    def __init__(
        self,
        owner: SocketOwner,
        flusher: Flusher,
        frame: Callable[[bytes], bytes],
        limits: TransportLimits,
        *,
        send_timeout: float | None = None,
    ) -> None:
        self._owner = owner
        self._socket = owner.transport  # for ``flush``, the hot path
        self._flusher = flusher
        self.frame = frame
        self._high_water = limits.transport_max_buffer_size
        self._out: list[bytes] = []
        self._out_size = 0
        self._in_socket = 0
        self._is_ended = False
        self._draining: asyncio.Task[None] | None = None
        self._send_timeout = send_timeout
        self._watch: asyncio.TimerHandle | None = None  # set while bytes wait in the socket
        self._untaken = 0  # bytes that waited when the timer was set
        self._added = 0  # bytes written since then

    def write(self, data: bytes) -> int:
        """See Transport."""
        out = self._out
        if not out:
            self._flusher.schedule(self)
        out.append(data)
        self._out_size = size = self._out_size + len(data)
        return size + self._in_socket

    def flush(self) -> None:
        """See Transport."""
        out = self._out
        if not out:
            return
        payload = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._out_size = 0
        socket = self._socket
        if self._is_ended or socket is None or socket.is_closing():
            return
        data = self.frame(payload)
        socket.write(data)
        self._in_socket = waiting = socket.get_write_buffer_size()
        if waiting and self._send_timeout is not None:
            self._watch_socket(waiting, len(data))

    def _watch_socket(self, waiting: int, added: int) -> None:
        if self._watch is None:
            assert self._send_timeout is not None
            self._untaken, self._added = waiting, 0
            loop = asyncio.get_running_loop()
            self._watch = loop.call_later(self._send_timeout, self._require_progress)
        else:
            self._added += added

    def _require_progress(self) -> None:
        """Aborts the socket if the peer has taken too little since the timer was set."""
        self._watch = None
        socket = self._owner.transport
        waiting = socket.get_write_buffer_size() if socket is not None else 0
        if not waiting:
            return
        assert self._send_timeout is not None
        taken = self._untaken + self._added - waiting
        if taken < min(self._untaken, _SLOWEST * self._send_timeout):
            logger.debug("A connection is cut off: its peer does not read.")
            self.abort()
        else:
            self._watch_socket(waiting, 0)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def end(self) -> None:
        """Drops the bytes that are written from now on."""
        self._is_ended = True
        self._stop_watch()

    @property
    def buffered(self) -> int:
        """See Transport."""
        if self._in_socket:  # the number after the last write; now it may be smaller
            socket = self._owner.transport
            self._in_socket = socket.get_write_buffer_size() if socket is not None else 0
        return self._out_size + self._in_socket

    async def drain(self) -> None:
        """See Transport."""
        self.flush()
        if self._is_ended or not self.buffered:
            return
        # All callers wait for one task. aiohttp shares one future among its waiters. If a caller
        # awaited this future directly, its cancellation would cancel the wait of all others.
        if self._draining is None or self._draining.done():
            self._draining = asyncio.get_running_loop().create_task(self._drain_socket())
        await asyncio.wait({self._draining})

    async def _drain_socket(self) -> None:
        """Waits with aiohttp's writer, which also counts bytes that were not written through it."""
        socket = self._owner.transport
        if socket is not None:
            # Writers continue when half of the buffer is left (TG-8).
            socket.set_write_buffer_limits(self._high_water, self._high_water // 2)
        try:
            await self._owner.writer.drain()
        except (ClientError, ConnectionError):
            pass  # the task that reads reports the lost connection

    def abort(self) -> None:
        """See Transport."""
        self.end()
        socket = self._owner.transport
        if socket is not None:
            socket.abort()
