"""The server's WebSocket transport on aiohttp (section TW).

Reads through aiohttp, which answers Pings and checks frames; writes whole frames to the socket's
transport itself, so that one tick costs one system call and a broadcast one frame.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import WSMsgType, web

from ..aio.transport import TransportLimits
from ..errors import TransportViolationError
from ..http_transport_type import TRANSFER_FORMATS, HttpTransportType
from ..hub_protocol import TransferFormat
from .flusher import Flusher
from .socket_output import SocketOutput
from .web_socket_frame import (
    INTERNAL_ERROR,
    INVALID_TEXT,
    NORMAL,
    PROTOCOL_ERROR,
    FrameCache,
    protocol_violation,
    require_utf8,
)

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_LEGAL_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class WebSocketServerTransport:
    """A ``protocol.aio.transport.ServerTransport`` over one upgraded request."""

    has_inherent_keep_alive: Final = False
    transfer_formats: Final = frozenset(TRANSFER_FORMATS[HttpTransportType.WEB_SOCKETS])

    def __init__(
        self,
        request: web.Request,
        web_socket: "web.WebSocketResponse[bool]",
        flusher: Flusher,
        frames: Mapping[TransferFormat, FrameCache],
        limits: TransportLimits,
        close_timeout: float,
        early: bytes = b"",
    ) -> None:
        """``early`` was received before the WebSocket opened, and comes first (TG-6)."""
        self._early = early
        self.limits = limits
        self._web_socket = web_socket
        self._frames = frames
        self._close_timeout = close_timeout
        text = frames[TransferFormat.TEXT].frame
        self._output = SocketOutput(request, flusher, text, limits)
        self.write = self._output.write
        self.flush = self._output.flush
        self.drain = self._output.drain
        self._close_code = NORMAL
        self._is_answer_due = False

    async def receive_into(self, inbox: bytearray, maximum_size: int) -> bool:
        """See ServerTransport. Text that is not UTF-8 is a violation (TW-3)."""
        inbox += self._early
        self._early = b""
        receive = self._web_socket.receive
        while len(inbox) <= maximum_size:
            message = await receive()
            kind = message.type
            data: bytes = message.data
            if kind is _TEXT:
                if not data.isascii():
                    self._require_utf8(data)
            elif kind is not _BINARY:  # the opcode says nothing about a hub message (TW-3)
                self._receive_end(kind, data)
                return False
            inbox += data
        return True

    def _receive_end(self, kind: WSMsgType, reason: object) -> None:
        if kind is WSMsgType.CLOSE:
            assert isinstance(reason, int)
            self._check_close_code(reason)
            self._is_answer_due = True
            self.flush()
        self._output.end()  # behind a Close nothing is sent, no hub Close either
        if kind is WSMsgType.ERROR:  # aiohttp has already answered with 1002, 1007 or 1009
            raise protocol_violation(reason)

    async def acknowledge_end(self) -> None:
        """See ServerTransport. A Close is answered while methods may still be running."""
        if self._is_answer_due:
            await self.close()

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

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """See ServerTransport."""
        self.flush()
        self._output.frame = self._frames[transfer_format].frame

    def stop_receiving(self) -> None:
        """See ServerTransport. What aiohttp still reads is dropped with the socket."""

    def tick(self, now: float) -> None:
        """See ServerTransport."""

    @property
    def is_closed(self) -> bool:
        """See Transport."""
        return self._output.is_closed

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._output.buffered

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. 1000 towards a peer that behaved, 1011 if it is we who did not (TW-6)."""
        self.flush()
        self._output.end()
        try:
            # aiohttp bounds the wait for the client's Close, but not the sending of ours.
            async with asyncio.timeout(self._close_timeout):
                await self._web_socket.close(code=INTERNAL_ERROR if failed else self._close_code)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """See Transport."""
        self._output.abort()
