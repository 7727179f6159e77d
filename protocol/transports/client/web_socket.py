"""The client's WebSocket transport on aiohttp (section TW)."""

import asyncio
from functools import partial
from typing import Final

import aiohttp
from aiohttp import WSMsgType

from ...aio.transport import TransportLimits
from ...errors import TransportViolationError
from ...hub_protocol import TransferFormat
from ..flusher import Flusher
from ..reading import Reading
from ..socket_output import SocketOutput
from ..web_socket_frame import (
    INTERNAL_ERROR,
    INVALID_TEXT,
    LARGEST_LIMIT,
    NORMAL,
    masked_data_frame,
    protocol_violation,
    require_utf8,
)
from .http_client import HttpClient, UpgradedConnection

_CLOSE_TIMEOUT: Final = 1.0  # seconds to wait for the server to close the TCP connection (TW-5)
_STATUS_NAMES: Final = {  # the names in .NET (TW-7)
    1001: "EndpointUnavailable",
    1002: "ProtocolError",
    1003: "InvalidMessageType",
    1007: "InvalidPayloadData",
    1008: "PolicyViolation",
    1009: "MessageTooBig",
    1010: "MandatoryExtension",
    1011: "InternalServerError",
}
_LIMITS: Final = TransportLimits(transport_max_buffer_size=128 * 1024)


class WebSocketClientTransport:
    """An ``aio.transport.Transport`` over a client's WebSocket; made by ``connect``.

    All frames that it sends, the handshake included, have one transfer format (TW-3). It reads
    through aiohttp, which answers Pings and checks frames. It writes complete frames to the socket
    directly.
    """

    has_inherent_keep_alive: Final = False

    def __init__(
        self,
        http: HttpClient,
        web_socket: "aiohttp.ClientWebSocketResponse[bool]",
        connection: UpgradedConnection,
        transfer_format: TransferFormat,
        close_timeout: float,
    ) -> None:
        self._http = http
        self._web_socket = web_socket
        self._close_timeout = close_timeout
        self._close_code = NORMAL
        frame = partial(masked_data_frame, transfer_format=transfer_format)
        output = self._output = SocketOutput(connection, Flusher(), frame, _LIMITS)
        self.write = output.write
        self.flush = output.flush
        self.drain = output.drain
        self._reading = Reading(self._read)
        self.pause_reading = self._reading.pause
        self.resume_reading = self._reading.resume
        self.set_receiver = self._reading.start
        self._is_closing = False
        self.was_cut = False
        self._cutting: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls,
        http: HttpClient,
        url: str,
        transfer_format: TransferFormat,
        maximum_size: int | None,
        close_timeout: float,
    ) -> "WebSocketClientTransport":
        """Opens the WebSocket. Raises HttpRequestError.

        ``maximum_size`` is the limit of a WebSocket message in bytes; None means no limit.
        """
        # For aiohttp 0 means no limit, and a message of exactly the limit is too large.
        limit = 0 if maximum_size is None else min(maximum_size + 1, LARGEST_LIMIT)
        web_socket, connection = await http.upgrade(url, limit, _CLOSE_TIMEOUT)
        return cls(http, web_socket, connection, transfer_format, close_timeout)

    async def _read(self) -> None:
        while not self._is_closing:
            data = await self._receive()
            if data is None:
                break
            await self._reading.push(data)

    async def _receive(self) -> bytes | None:
        """Returns the next message, or None at the end.

        A Close without a status, or with status 1000, is no error (TW-7).
        """
        try:
            message = await self._web_socket.receive()
        except ConnectionError:  # the connection was lost while aiohttp answered a Ping
            self.was_cut = True
            return None
        match message.type:
            case WSMsgType.TEXT:
                data: bytes = message.data
                try:
                    require_utf8(data)
                except TransportViolationError:
                    self._close_code = INVALID_TEXT
                    raise
                return data
            case WSMsgType.BINARY:
                return bytes(message.data)
            case WSMsgType.CLOSE:
                if message.data not in (0, NORMAL, 1005):
                    name = _STATUS_NAMES.get(message.data, str(message.data))
                    raise TransportViolationError(f"Websocket closed with error: {name}.")
                return None
            case WSMsgType.ERROR:
                raise protocol_violation(message.data)
            case _:
                self.was_cut = True
                return None

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._output.buffered

    async def close(self, *, failed: bool = False) -> None:
        """See Transport."""
        self._is_closing = True
        self._reading.resume()
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._output.drain()
            self._output.end()
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._web_socket.close(code=INTERNAL_ERROR if failed else self._close_code)
        except TimeoutError:
            self._output.abort()
        finally:  # also if this task is cancelled, as at the end of asyncio.run
            await self._cut()

    def abort(self) -> None:
        """See Transport."""
        self._is_closing = True
        self._reading.resume()
        self._output.abort()
        if self._cutting is None:
            self._cutting = asyncio.get_running_loop().create_task(self._cut())

    def release(self) -> None:
        """Frees the socket, which is lost. The HTTP client stays open for the next socket."""
        self._output.abort()

    async def _cut(self) -> None:
        # The session has no other connection: closing it closes the socket, without a Close frame.
        try:
            await self._http.close()
        finally:
            await self._web_socket.close()  # writes nothing, and releases resources
