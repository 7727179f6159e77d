"""Upgrades requests to WebSockets on aiohttp, with the limits of one path of a hub."""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from ...server.options import EndpointOptions
from ..web_socket_frame import LARGEST_LIMIT
from .aiohttp_conversion import upgrade_request
from .hosted_hubs import Hosting
from .web_socket import WebSocketServerTransport
from .web_socket_push import CAN_PUSH, PushingWebSocketResponse

_WEB_SOCKET_RESPONSE = PushingWebSocketResponse if CAN_PUSH else web.WebSocketResponse

_LEAST_LIMIT: Final = 1024 * 1024
"""The least limit of a WebSocket message in bytes. A message may contain many hub messages."""
_LIMIT_OF_UNLIMITED: Final = 64 * 1024 * 1024
"""The limit of a WebSocket message in bytes, for a hub whose messages have no limit."""

WebSocket = web.WebSocketResponse[bool]


class WebSocketUpgrade:
    """Opens the WebSockets of one path. ``maximum_size`` is the limit of a hub message in bytes."""

    def __init__(
        self, hosting: Hosting, options: EndpointOptions, maximum_size: int | None
    ) -> None:
        self._hosting = hosting
        self._options = options
        self._limits = options.transport_limits
        # A WebSocket message may contain many hub messages. There is always a limit. aiohttp also
        # refuses a message of exactly this size.
        self._maximum_size = (
            min(max(4 * maximum_size, _LEAST_LIMIT) + 1, LARGEST_LIMIT)
            if maximum_size
            else _LIMIT_OF_UNLIMITED + 1
        )

    def is_complete(self, request: web.Request) -> bool:
        """Whether a GET has all that an upgrade needs."""
        try:
            return self._new_web_socket().can_prepare(upgrade_request(request)).ok
        except UnicodeEncodeError:  # aiohttp's error text quotes a header that is not UTF-8
            return False

    async def open(
        self, request: web.Request, early: Callable[[], bytes] = lambda: b""
    ) -> tuple[WebSocket, WebSocketServerTransport]:
        """Answers the upgrade. Raises ConnectionError if the client has left.

        ``early`` is called after that, for the bytes that the transport's receiver gets first.
        """
        web_socket = self._new_web_socket()
        await web_socket.prepare(upgrade_request(request))
        return web_socket, WebSocketServerTransport(
            request,
            web_socket,
            self._hosting.flusher,
            self._hosting.frames,
            self._limits,
            self._options.close_timeout,
            self._options.receive_timeout,
            early(),
        )

    def _new_web_socket(self) -> WebSocket:
        return _WEB_SOCKET_RESPONSE(
            autoclose=False,
            compress=False,
            decode_text=False,
            timeout=self._options.close_timeout,
            max_msg_size=self._maximum_size,
        )
