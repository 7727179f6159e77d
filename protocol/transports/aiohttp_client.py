"""A client's way to a hub on aiohttp: negotiate, redirects, and the WebSocket transport."""

import asyncio
import inspect
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import WSMsgType

from .. import negotiate
from ..aio.client import Connected
from ..errors import NegotiationError, TransportViolationError
from ..hub_protocol import HubProtocol, TransferFormat
from .web_socket_frame import INTERNAL_ERROR, INVALID_TEXT, NORMAL, require_utf8

AccessTokenFactory = Callable[[], "str | Awaitable[str | None] | None"]

_HTTP_TIMEOUT: Final = 120.0  # seconds, of negotiate (D)
_CLOSE_TIMEOUT: Final = 1.0  # for the server to end TCP (TW-5)
_MAXIMUM_NEGOTIATE_BODY: Final = 256 * 1024
_MINIMUM_FRAME_LIMIT: Final = 64 * 1024 * 1024
_LOW_WATER: Final = 64 * 1024
_OPCODES: Final = {
    TransferFormat.TEXT: WSMsgType.TEXT,
    TransferFormat.BINARY: WSMsgType.BINARY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConnectionOptions:
    """How to reach a hub. ``headers`` go on every request; ``ssl`` as aiohttp takes it."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    access_token_factory: AccessTokenFactory | None = None
    skip_negotiation: bool = False
    ssl: "ssl_module.SSLContext | bool" = True

    def __post_init__(self) -> None:
        scheme, host = urlsplit(self.url)[:2]
        if scheme.lower() not in ("http", "https", "ws", "wss") or not host:
            raise ValueError(
                "The URL of a hub is absolute and begins with http:// or https://, unlike the one "
                "given."
            )


class HttpConnector:
    """Opens connections to one hub; a ``Connector``. Each attempt begins anew (N-20).

    ``maximum_receive_message_size`` is that of a hub message; None means no limit.
    """

    def __init__(
        self,
        options: HttpConnectionOptions,
        hub_protocol: HubProtocol,
        maximum_receive_message_size: int | None,
    ) -> None:
        self._options = options
        self._maximum_frame_size = _maximum_frame_size(maximum_receive_message_size)
        self._transfer_format = hub_protocol.transfer_format

    async def __call__(self) -> Connected:
        """Raises NegotiationError, whose text names no URL and no token."""
        session = aiohttp.ClientSession(
            headers={"X-Requested-With": "XMLHttpRequest", **self._options.headers},
            # Cookies that negotiate sets travel with the upgrade, also to a bare IP address (C-2).
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=_HTTP_TIMEOUT),
        )
        try:
            return await self._connect(session)
        except BaseException:
            await session.close()
            raise

    async def _connect(self, session: aiohttp.ClientSession) -> Connected:
        url = self._options.url
        token_factory = self._options.access_token_factory
        connection_token = connection_id = None
        if not self._options.skip_negotiation:
            response = await self._negotiate(session, url, token_factory)
            for _ in range(negotiate.MAXIMUM_REDIRECTS):
                token_factory = _replaced(token_factory, response)
                if not isinstance(response.url, str):
                    break
                url = response.url
                response = await self._negotiate(session, url, token_factory)
            else:
                raise NegotiationError("Negotiate redirection limit exceeded.")
            negotiate.require_transport(response, "WebSockets", self._transfer_format.value)
            connection_token = response.token
            connection_id = str(response.connection_id)
        web_socket = await self._open(session, url, connection_token, token_factory)
        transport = WebSocketClientTransport(session, web_socket, self._transfer_format)
        return Connected(transport, connection_id)

    async def _negotiate(
        self, session: aiohttp.ClientSession, url: str, token_factory: AccessTokenFactory | None
    ) -> negotiate.NegotiateResponse:
        try:
            async with session.post(
                negotiate.negotiate_url(url),
                headers=await _authorization(token_factory),
                ssl=self._options.ssl,
            ) as response:
                if not response.ok:
                    raise NegotiationError(
                        f"Negotiate was answered with {response.status} {response.reason}.",
                        response.status,
                    )
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _MAXIMUM_NEGOTIATE_BODY:
                        raise NegotiationError("Invalid negotiation response received.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NegotiationError(f"Negotiate failed: {_reason(error)}") from error
        return negotiate.read_response(bytes(body))

    async def _open(
        self,
        session: aiohttp.ClientSession,
        url: str,
        connection_token: str | None,
        token_factory: AccessTokenFactory | None,
    ) -> "aiohttp.ClientWebSocketResponse[bool]":
        try:
            return await session.ws_connect(
                negotiate.web_socket_url(url, connection_token),
                headers=await _authorization(token_factory),  # asked again
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
                autoclose=False,
                compress=0,
                max_msg_size=self._maximum_frame_size,
                decode_text=False,
                ssl=self._options.ssl,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise NegotiationError(
                "Unable to connect to the server with any of the available transports. "
                f"(WebSockets failed: {_reason(error)})",
                getattr(error, "status", None),
            ) from error


def _maximum_frame_size(limit: int | None) -> int:
    """Of a WebSocket message, which holds one hub message of any size allowed, or many.

    aiohttp takes 0 for no limit, and refuses a message of exactly the limit.
    """
    return 0 if limit is None else max(limit + 1, _MINIMUM_FRAME_LIMIT)


def _replaced(
    factory: AccessTokenFactory | None, response: negotiate.NegotiateResponse
) -> AccessTokenFactory | None:
    """A token in the answer takes the factory's place for this connection (N-18, N-19)."""
    token = response.access_token
    return (lambda: token) if isinstance(token, str) else factory


async def _authorization(factory: AccessTokenFactory | None) -> dict[str, str]:
    token = factory() if factory is not None else None
    if inspect.isawaitable(token):
        token = await token
    return {"Authorization": f"Bearer {token}"} if token else {}


def _reason(error: Exception) -> str:
    """Why a request failed, without the URL: its query may hold tokens."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"status {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect to {error.host}:{error.port}: {error.os_error.strerror or 'failed'}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.InvalidURL):
        return "the URL is not valid"
    return type(error).__name__


class WebSocketClientTransport:
    """A ``protocol.aio.transport.Transport`` over a client's WebSocket.

    All its frames are of ``transfer_format``, the handshake's too (TW-3).
    aiohttp masks and sends; a task of its own waits for it, so that writing never blocks and what
    piles up meanwhile leaves as one frame.
    """

    has_inherent_keep_alive: Final = False

    def __init__(
        self,
        session: aiohttp.ClientSession,
        web_socket: "aiohttp.ClientWebSocketResponse[bool]",
        transfer_format: TransferFormat,
    ) -> None:
        self._session = session
        self._web_socket = web_socket
        self._opcode = _OPCODES[transfer_format]
        self._out: list[bytes] = []
        self._buffered = 0
        self._wake: asyncio.Future[None] | None = None
        self._drained: list[asyncio.Future[None]] = []
        self._closed = False
        self._close_code = NORMAL
        self._writer = asyncio.get_running_loop().create_task(self._write_all())
        self._aborting: asyncio.Task[None] | None = None

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
                    raise TransportViolationError(f"Websocket closed with error: {message.data}.")
                return None
            case WSMsgType.ERROR:
                raise TransportViolationError(str(message.data))
            case _:
                return None

    def write(self, data: bytes) -> int:
        """See Transport."""
        if not self._closed:
            self._out.append(data)
            self._buffered += len(data)
            if self._wake is not None and not self._wake.done():
                self._wake.set_result(None)
        return self._buffered

    def flush(self) -> None:
        """See Transport. The writing task is at it as soon as the loop is free."""

    @property
    def is_closed(self) -> bool:
        """See Transport."""
        return self._web_socket.closed or self._writer.done()

    @property
    def buffered(self) -> int:
        """See Transport."""
        return self._buffered

    async def drain(self) -> None:
        """See Transport."""
        if self._buffered > _LOW_WATER and not self._writer.done():
            drained = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def _write_all(self) -> None:
        try:
            while not (self._closed and not self._out):
                if not self._out:
                    self._wake = asyncio.get_running_loop().create_future()
                    await self._wake
                    continue
                payload = b"".join(self._out)
                self._out.clear()
                await self._web_socket.send_frame(payload, self._opcode)
                self._buffered -= len(payload)
                if self._buffered <= _LOW_WATER:
                    self._release()
        except (aiohttp.ClientError, OSError):
            pass  # the reader finds out that the connection is gone, and why
        finally:
            self._closed = True
            self._release()

    def _release(self) -> None:
        for drained in self._drained:
            if not drained.done():
                drained.set_result(None)
        self._drained.clear()

    async def close(self, *, failed: bool = False) -> None:
        """See Transport."""
        self._closed = True
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        await asyncio.wait({self._writer}, timeout=_CLOSE_TIMEOUT)
        self._writer.cancel()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._web_socket.close(code=INTERNAL_ERROR if failed else self._close_code)
        except TimeoutError:
            pass  # closing the session closes the socket all the same
        await self._session.close()

    def abort(self) -> None:
        """See Transport."""
        self._closed = True
        self._writer.cancel()
        self._aborting = asyncio.get_running_loop().create_task(self._cut())

    async def _cut(self) -> None:
        # The session is this connection's alone: closing it closes the socket, without a Close.
        await self._session.close()
        await self._web_socket.close()  # finds nothing to write to, and lets go of what it holds
