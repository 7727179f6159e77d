"""The client's WebSocket transport on aiohttp (section TW)."""

import asyncio
from typing import Final

import aiohttp
from aiohttp import WSMsgType

from ..errors import TransportViolationError
from ..hub_protocol import TransferFormat
from .http_client import HttpClient
from .sender import Sender
from .web_socket_frame import (
    INTERNAL_ERROR,
    INVALID_TEXT,
    NORMAL,
    protocol_violation,
    require_utf8,
)

_CLOSE_TIMEOUT: Final = 1.0  # seconds, for the server to end TCP (TW-5)
_STATUS_NAMES: Final = {  # as .NET has them (TW-7)
    1001: "EndpointUnavailable",
    1002: "ProtocolError",
    1003: "InvalidMessageType",
    1007: "InvalidPayloadData",
    1008: "PolicyViolation",
    1009: "MessageTooBig",
    1010: "MandatoryExtension",
    1011: "InternalServerError",
}
_OPCODES: Final = {
    TransferFormat.TEXT: WSMsgType.TEXT,
    TransferFormat.BINARY: WSMsgType.BINARY,
}


class WebSocketClientTransport:
    """A ``protocol.aio.transport.Transport`` over a client's WebSocket; made by ``connect``.

    All its frames are of one transfer format, the handshake's too (TW-3). aiohttp masks and sends;
    the sender waits for it, so that writing never blocks and what piles up leaves as one frame.
    """

    has_inherent_keep_alive: Final = False

    def __init__(
        self,
        http: HttpClient,
        web_socket: "aiohttp.ClientWebSocketResponse[bool]",
        transfer_format: TransferFormat,
        close_timeout: float,
    ) -> None:
        self._http = http
        self._web_socket = web_socket
        self._opcode = _OPCODES[transfer_format]
        self._close_timeout = close_timeout
        self._close_code = NORMAL
        self._sender = Sender(self._send, lambda _: None)  # the reader finds out what happened
        self._aborting: asyncio.Task[None] | None = None

    @classmethod
    async def connect(
        cls,
        http: HttpClient,
        url: str,
        transfer_format: TransferFormat,
        maximum_size: int | None,
        close_timeout: float,
    ) -> "WebSocketClientTransport":
        """``maximum_size`` is that of a message, None: no limit. Raises HttpRequestError."""
        # aiohttp takes 0 for no limit, and refuses a message of exactly the limit.
        limit = 0 if maximum_size is None else maximum_size + 1
        web_socket = await http.upgrade(url, limit, _CLOSE_TIMEOUT)
        return cls(http, web_socket, transfer_format, close_timeout)

    async def receive(self) -> bytes | None:
        """See Transport. A Close with another status than 1000 is an error (TW-7)."""
        message = await self._web_socket.receive()
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
                return None

    def write(self, data: bytes) -> int:
        """See Transport."""
        return self._sender.write(data)

    def flush(self) -> None:
        """See Transport. The sender is at it as soon as the loop is free."""

    @property
    def is_closed(self) -> bool:
        """See Transport."""
        return self._web_socket.closed or self._sender.is_done

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._sender.buffered

    async def drain(self) -> None:
        """See Transport."""
        await self._sender.drain()

    async def _send(self, payload: bytes) -> None:
        await self._web_socket.send_frame(payload, self._opcode)

    async def close(self, *, failed: bool = False) -> None:
        """See Transport."""
        try:
            await self._sender.finish(self._close_timeout)
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._web_socket.close(code=INTERNAL_ERROR if failed else self._close_code)
        except TimeoutError:
            pass  # closing the session closes the socket all the same
        finally:  # also when the loop is torn down in the midst of it
            await self._cut()

    def abort(self) -> None:
        """See Transport."""
        self._sender.cancel()
        self._aborting = asyncio.get_running_loop().create_task(self._cut())

    async def _cut(self) -> None:
        # The session is this connection's alone: closing it closes the socket, without a Close.
        try:
            await self._http.close()
        finally:
            await self._web_socket.close()  # finds nothing to write to, lets go of what it holds
