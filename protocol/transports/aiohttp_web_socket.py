"""The server's WebSocket transport on aiohttp (section TW).

Reads through aiohttp, which answers Pings and checks frames; writes whole frames to the socket's
transport itself, so that one tick costs one system call and a broadcast one frame.
"""

import asyncio
from typing import Final

from aiohttp import WSMsgType, web

from ..errors import TransportViolationError
from ..hub_protocol import TransferFormat
from .flusher import Flusher
from .web_socket_frame import (
    INTERNAL_ERROR,
    INVALID_TEXT,
    NORMAL,
    PROTOCOL_ERROR,
    FrameCache,
    require_utf8,
)

# Where congestion is waited out by looking again: aiohttp has no public event for it, and who is
# congested is in no hurry.
_DRAIN_INTERVAL: Final = 0.01
_TEXT: Final = WSMsgType.TEXT
_LOW_WATER: Final = 16 * 1024
_LEGAL_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class WebSocketServerTransport:
    """A ``protocol.aio.transport.ServerTransport`` over one upgraded request."""

    has_inherent_keep_alive: Final = False

    def __init__(
        self,
        request: web.Request,
        web_socket: "web.WebSocketResponse[bool]",
        flusher: Flusher,
        frames: FrameCache,
        close_timeout: float,
    ) -> None:
        self._request = request
        self._web_socket = web_socket
        self._flusher = flusher
        self._frames = frames
        self._close_timeout = close_timeout
        self._format = TransferFormat.TEXT
        self._out: list[bytes] = []
        self._out_size = 0
        self._in_socket = 0
        self._closed = False
        self._close_code = NORMAL

    async def receive(self) -> bytes | None:
        """See Transport. Text that is not UTF-8 is a violation (TW-3)."""
        message = await self._web_socket.receive()
        kind = message.type
        if kind is _TEXT:
            data: bytes = message.data
            if not data.isascii():
                self._require_utf8(data)
            return data
        match kind:
            case WSMsgType.BINARY:  # the opcode says nothing about a hub message (TW-3)
                return bytes(message.data)
            case WSMsgType.CLOSE:
                self._check_close_code(message.data)
                await self.close()  # at once; behind a Close nothing is sent, no hub Close either
                return None
            case WSMsgType.ERROR:  # aiohttp has already answered with 1002, 1007 or 1009
                self._closed = True
                raise TransportViolationError(str(message.data))
            case _:
                self._closed = True  # the peer has vanished, or close() was called
                return None

    def _require_utf8(self, text: bytes) -> None:
        try:
            require_utf8(text)
        except TransportViolationError:
            self._close_code = INVALID_TEXT
            raise

    def _check_close_code(self, code: int) -> None:
        """aiohttp lets through codes that must not be sent (TW-13); 0 is an empty Close."""
        if code and code not in _LEGAL_CLOSE_CODES and not 3000 <= code < 5000:
            self._close_code = PROTOCOL_ERROR
            raise TransportViolationError("The WebSocket received an illegal close code.")

    def write(self, data: bytes) -> int:
        """See Transport."""
        if not self._out:
            self._flusher.schedule(self)
        self._out.append(data)
        self._out_size += len(data)
        return self._out_size + self._in_socket

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """See ServerTransport."""
        self.flush()
        self._format = transfer_format

    def flush(self) -> None:
        """See Transport."""
        out = self._out
        if not out:
            return
        payload = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._out_size = 0
        socket = self._request.transport
        if self._closed or socket is None or socket.is_closing():
            return
        socket.write(self._frames.frame(payload, self._format))
        self._in_socket = socket.get_write_buffer_size()

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
        while self.buffered > _LOW_WATER and not self._closed:  # noqa: ASYNC110 - see above
            await asyncio.sleep(_DRAIN_INTERVAL)

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. 1000 towards a peer that behaved, 1011 if it is we who did not (TW-6)."""
        self.flush()
        self._closed = True
        try:
            # aiohttp bounds the wait for the client's Close, but not the sending of ours.
            async with asyncio.timeout(self._close_timeout):
                await self._web_socket.close(code=INTERNAL_ERROR if failed else self._close_code)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """See Transport."""
        self._closed = True
        socket = self._request.transport
        if socket is not None:
            socket.abort()
