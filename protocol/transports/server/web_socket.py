"""The server's WebSocket transport on aiohttp (section TW).

``web_socket_push`` pushes messages. If pushing does not work with the installed aiohttp, messages
are read in a loop. aiohttp answers Pings and checks frames. Complete frames are written to the
socket directly: one turn of the event loop costs one system call, and a broadcast builds its frame
once.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import WSMsgType, web

from ...aio.transport import Receiver, TransportLimits
from ...errors import TransportViolationError
from ...http_transport_type import TRANSFER_FORMATS, HttpTransportType
from ...hub_protocol import TransferFormat
from ..flusher import Flusher
from ..reading import Reading
from ..socket_output import SocketOutput
from ..web_socket_frame import (
    INTERNAL_ERROR,
    INVALID_TEXT,
    NORMAL,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    FrameCache,
    protocol_violation,
    require_utf8,
)
from .web_socket_push import PushingWebSocketResponse

_LEGAL_CLOSE_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class WebSocketServerTransport:
    """An ``aio.transport.ServerTransport`` over one upgraded request."""

    __slots__ = (
        "_close_code",
        "_close_timeout",
        "_early",
        "_frames",
        "_output",
        "_reading",
        "_receive_timeout",
        "_receiver",
        "_web_socket",
        "drain",
        "flush",
        "limits",
        "was_cut",
        "write",
    )

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
        receive_timeout: float,
        early: bytes = b"",
    ) -> None:
        """If messages are pushed, each has to arrive within ``receive_timeout`` seconds.

        ``early`` are the bytes of POSTs that were sent before the WebSocket opened. The receiver
        gets them first (TG-6).
        """
        self.limits = limits
        self._early = early
        self._web_socket = web_socket
        self._frames = frames
        self._close_timeout = close_timeout
        self._receive_timeout = receive_timeout
        text = frames[TransferFormat.TEXT].frame
        self._output = SocketOutput(
            request, flusher, text, limits, send_timeout=limits.transport_send_timeout
        )
        self.write = self._output.write
        self.flush = self._output.flush
        self.drain = self._output.drain
        self._close_code = NORMAL
        self.was_cut = False
        self._receiver: Receiver | None = None
        self._reading = Reading(self._read)

    def set_receiver(self, receiver: Receiver) -> None:
        """See Transport."""
        self._receiver = receiver
        if self._early:
            receiver.data_received(self._early)
            self._early = b""
        self._reading.start(receiver)  # before push_to, which cancels reading after a violation
        if isinstance(self._web_socket, PushingWebSocketResponse):
            self._web_socket.push_to(
                self._push, timeout=self._receive_timeout, expire=self._give_up_message
            )

    def _give_up_message(self) -> None:
        """Ends the connection, because a message has been unfinished for too long (TW-15)."""
        self._close_code = POLICY_VIOLATION
        self._reading.cancel(TransportViolationError("A WebSocket message arrived too slowly."))

    def _push(self, messages: list[tuple[bool, bytes]]) -> None:
        """Passes the messages of one read of the socket to the receiver."""
        assert self._receiver is not None
        if self._reading.has_ended or self._close_code != NORMAL:
            return
        payloads: list[bytes] = []
        try:
            for is_text, payload in messages:
                if is_text and not payload.isascii():
                    self._require_utf8(payload)
                payloads.append(payload)
        except TransportViolationError as violation:
            self._reading.cancel(violation)
        if payloads:
            data = payloads[0] if len(payloads) == 1 else b"".join(payloads)
            self._receiver.data_received(data)

    async def _read(self) -> None:
        """Reads until the peer's Close, or until the connection is lost."""
        while True:
            try:
                message = await self._web_socket.receive()
            except ConnectionError:  # the connection was lost while aiohttp answered a Ping
                self._end_cut()
                return
            match message.type:
                case WSMsgType.TEXT:  # only where ``web_socket_push`` does not work
                    self._require_utf8(message.data)
                    await self._reading.push(message.data)
                case WSMsgType.BINARY:  # treated like text: the opcode has no meaning (TW-3)
                    await self._reading.push(message.data)
                case WSMsgType.CLOSE:
                    await self._answer_close(message.data)
                    return
                case WSMsgType.ERROR:  # aiohttp has already answered with 1002, 1007 or 1009
                    self._output.end()
                    raise protocol_violation(message.data)
                case _:
                    self._end_cut()
                    return

    def _end_cut(self) -> None:
        self.was_cut = True
        self._output.end()

    async def _answer_close(self, code: int) -> None:
        """Answers a Close at once, while methods may still run. No hub Close message is sent.

        aiohttp accepts codes that must not be sent (TW-13). 0 is a Close without a code.
        """
        is_legal = not code or code in _LEGAL_CLOSE_CODES or 3000 <= code < 5000
        if not is_legal:
            self._close_code = PROTOCOL_ERROR
        await self._close_web_socket(self._close_code)
        if not is_legal:
            raise TransportViolationError("The WebSocket received an illegal close code.")

    def _require_utf8(self, text: bytes) -> None:
        try:
            require_utf8(text)
        except TransportViolationError:
            self._close_code = INVALID_TEXT
            raise

    def pause_reading(self) -> None:
        """See Transport."""
        self._reading.pause()
        if isinstance(self._web_socket, PushingWebSocketResponse):
            self._web_socket.pause_reading()

    def resume_reading(self) -> None:
        """See Transport."""
        self._reading.resume()
        if isinstance(self._web_socket, PushingWebSocketResponse):
            self._web_socket.resume_reading()

    def use_transfer_format(self, transfer_format: TransferFormat) -> None:
        """See ServerTransport."""
        self.flush()
        self._output.frame = self._frames[transfer_format].frame

    def stop_receiving(self) -> None:
        """See ServerTransport. Does nothing: the receiver ignores messages after its end."""

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._output.buffered

    async def close(self, *, failed: bool = False) -> None:
        """See Transport. Sends 1011 if this side has failed (TW-6)."""
        self._reading.cancel()
        await self._reading.wait_until_ended()
        self.resume_reading()
        await self._close_web_socket(INTERNAL_ERROR if failed else self._close_code)

    async def _close_web_socket(self, code: int) -> None:
        self.flush()
        self._output.end()
        try:
            # aiohttp limits the wait for the client's Close, but not the time to send this one.
            async with asyncio.timeout(self._close_timeout):
                await self._web_socket.close(code=code)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """See Transport."""
        self._output.abort()
