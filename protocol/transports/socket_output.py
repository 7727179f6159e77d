"""What is written to one socket: that of a WebSocket of either side, or of an event stream.

Collects what is written in one tick, so that it costs one system call, and counts the bytes that
the peer has not taken yet. What the bytes look like on the wire is decided by the transports.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiohttp import ClientError

from ..aio.transport import TransportLimits
from .flusher import Flusher


class Writer(Protocol):
    """aiohttp's writer of a socket, which waits until the socket takes bytes again."""

    async def drain(self) -> None:
        """Returns when the socket holds little. Raises ConnectionError when it is lost."""


class Upgraded(Protocol):
    """What owns a socket: a server's ``web.Request``, or a client's ``UpgradedConnection``."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """The socket, None once it is lost."""

    @property
    def writer(self) -> Writer:
        """What waits for the socket."""


class SocketOutput:
    """Writes to the socket of ``owner`` past aiohttp; ``frame`` makes wire bytes of payload."""

    __slots__ = (
        "_clearing",
        "_flusher",
        "_high_water",
        "_in_socket",
        "_is_ended",
        "_out",
        "_out_size",
        "_owner",
        "_socket",
        "frame",
    )

    def __init__(
        self,
        owner: Upgraded,
        flusher: Flusher,
        frame: Callable[[bytes], bytes],
        limits: TransportLimits,
    ) -> None:
        self._owner = owner
        self._socket = owner.transport  # for ``flush``, which is all that is done often
        self._flusher = flusher
        self.frame = frame
        self._high_water = limits.transport_max_buffer_size
        self._out: list[bytes] = []
        self._out_size = 0
        self._in_socket = 0
        self._is_ended = False
        self._clearing: asyncio.Task[None] | None = None

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
        socket.write(self.frame(payload))
        self._in_socket = socket.get_write_buffer_size()

    def end(self) -> None:
        """What is written from now on is dropped."""
        self._is_ended = True

    @property
    def buffered(self) -> int:
        """See Transport."""
        if self._in_socket:  # as it was after the last write: it can only have shrunk
            socket = self._owner.transport
            self._in_socket = socket.get_write_buffer_size() if socket is not None else 0
        return self._out_size + self._in_socket

    async def drain(self) -> None:
        """See Transport."""
        self.flush()
        if self._is_ended or not self.buffered:
            return
        # All callers wait for one task: aiohttp shares one future among its own waiters, which a
        # cancelled caller would cancel for all.
        if self._clearing is None or self._clearing.done():
            self._clearing = asyncio.get_running_loop().create_task(self._clear())
        await asyncio.wait({self._clearing})

    async def _clear(self) -> None:
        """Waits with aiohttp's writer, which waits for bytes that were written past it as well."""
        socket = self._owner.transport
        if socket is not None:
            # Writers continue when half is left (TG-8).
            socket.set_write_buffer_limits(self._high_water, self._high_water // 2)
        try:
            await self._owner.writer.drain()
        except (ClientError, ConnectionError):
            pass  # reading reports the lost connection

    def abort(self) -> None:
        """See Transport."""
        self._is_ended = True
        socket = self._owner.transport
        if socket is not None:
            socket.abort()
