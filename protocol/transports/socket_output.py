"""What a server writes to the socket of a request that lasts: a WebSocket's, an event stream's.

Collects what is written in one tick, so that it costs one system call, and knows how much the
client has not taken yet. What the bytes look like on the wire is the transports' affair.
"""

import asyncio
from collections.abc import Callable

from aiohttp import ClientError, web

from ..aio.transport import TransportLimits
from .flusher import Flusher


class SocketOutput:
    """Writes to the socket of ``request`` past aiohttp; ``frame`` makes wire bytes of payload."""

    def __init__(
        self,
        request: web.Request,
        flusher: Flusher,
        frame: Callable[[bytes], bytes],
        limits: TransportLimits,
    ) -> None:
        self._request = request
        self._socket = request.transport  # for ``flush``, which is all that is done often
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
    def is_closed(self) -> bool:
        """See Transport."""
        socket = self._request.transport
        return socket is None or socket.is_closing()

    @property
    def buffered(self) -> int:
        """See Transport."""
        if self._in_socket:  # as it was after the last write: it can only have shrunk
            socket = self._request.transport
            self._in_socket = socket.get_write_buffer_size() if socket is not None else 0
        return self._out_size + self._in_socket

    async def drain(self) -> None:
        """See Transport."""
        self.flush()
        if self._is_ended or not self.buffered:
            return
        # All wait for one task: aiohttp lets them share what whoever gives up would cancel.
        if self._clearing is None or self._clearing.done():
            self._clearing = asyncio.get_running_loop().create_task(self._clear())
        await asyncio.wait({self._clearing})

    async def _clear(self) -> None:
        """asyncio tells aiohttp when a socket is congested, and the request's writer waits for it,
        whoever has written."""
        socket = self._request.transport
        if socket is not None:
            socket.set_write_buffer_limits(self._high_water, self._high_water // 2)  # TG-8
        try:
            await self._request.writer.drain()
        except (ClientError, ConnectionError):
            pass  # whoever reads finds out that the client has gone

    def abort(self) -> None:
        """See Transport."""
        self._is_ended = True
        socket = self._request.transport
        if socket is not None:
            socket.abort()
