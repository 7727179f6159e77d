"""Which request does what to which connection (sections N and TG).

One dispatcher per path of a hub. Decides the answer to every request; how bytes travel is left to
the transports, what they mean to ``aio.server``.
"""

import asyncio
import inspect
import logging
from typing import Final

from aiohttp import web

from .. import negotiate
from ..aio.context import HttpRequestData, Principal
from ..aio.options import EndpointOptions
from ..aio.server import HubServer
from ..errors import NegotiationError
from ..http_transport_type import TRANSPORT_NAMES, HttpTransportType
from .client_watch import is_gone
from .cors import CORS, CorsPolicy
from .hosting import Hosting
from .http_answers import (
    NO_ID,
    OTHER_TRANSPORT,
    POLL_HEADERS,
    UNKNOWN_ID,
    accepts_events,
    bytes_answer,
    json_answer,
    plain_answer,
    query_values,
    request_data,
    without_type,
)
from .http_connections import HttpConnection
from .inbound_pipe import InboundPipeClosedError
from .long_polling_server import LongPollingServerTransport, PollEnd
from .server_sent_events_server import ServerSentEventsServerTransport
from .web_socket_server import WebSocketServerTransport

logger = logging.getLogger(__name__)

_WEB_SOCKETS: Final = HttpTransportType.WEB_SOCKETS
_SERVER_SENT_EVENTS: Final = HttpTransportType.SERVER_SENT_EVENTS
_LONG_POLLING: Final = HttpTransportType.LONG_POLLING
_BETWEEN_WARNINGS: Final = 60.0  # seconds


class HttpConnectionDispatcher:
    """Serves one path of one hub."""

    def __init__(
        self, hosting: Hosting, server: HubServer, path: str, options: EndpointOptions
    ) -> None:
        self._hosting = hosting
        self._path = path  # in lower case
        self._connections = hosting.connections
        self._server = server
        self._options = options
        self._limits = options.transport_limits
        self._cors = CorsPolicy(options.allowed_origins)
        self._tells_again_at = 0.0  # that connections are refused

    async def negotiate(self, request: web.Request) -> web.Response:
        """``POST {path}/negotiate`` (N-1…N-12)."""
        request[CORS] = self._cors
        if preflight := self._cors.preflight(request):
            return preflight
        if request.method != "POST":
            return plain_answer(405)
        requested = query_values(request, "negotiateversion")
        try:
            version = negotiate.choose_version(requested, self._options.minimum_protocol_version)
        except NegotiationError as error:
            return json_answer(negotiate.write_error(str(error)))
        if self._connections.is_full(self._path, self._options.maximum_connections):
            return self._full("connected")
        connection = self._connections.create(
            self._path,
            version,
            asyncio.get_running_loop().time(),
            self._options.disconnect_timeout,
            self._options.maximum_negotiated_connections,
        )
        if connection is None:
            return self._full("waiting to be picked up")
        return json_answer(
            negotiate.write_offer(
                version,
                connection.connection_id,
                connection.token,
                negotiate.available_transports(self._options.transports),
            )
        )

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        """``{path}`` itself: a transport, what it receives, its end, or why not (TG-1…TG-7)."""
        request[CORS] = self._cors
        if preflight := self._cors.preflight(request):
            return preflight
        match request.method:
            case "GET":
                return await self._get(request)
            case "POST":
                return await self._post(request)
            case "DELETE":
                return self._delete(request)
            case _:
                return plain_answer(405)

    # ---- GET

    async def _get(self, request: web.Request) -> web.StreamResponse:
        """Accept, then Upgrade decide; anything else polls (TG-2)."""
        if accepts_events(request):
            return await self._open_event_stream(request)
        web_socket = web.WebSocketResponse(
            autoclose=False,
            compress=False,
            decode_text=False,
            timeout=self._options.close_timeout,
            max_msg_size=self._maximum_frame_size(),
        )
        if web_socket.can_prepare(request).ok:
            return await self._open_web_socket(request, web_socket)
        response = await self._poll(request)  # a defective upgrade, too
        if isinstance(response, web.Response) and not response.prepared:
            response.headers.update(POLL_HEADERS)
        return response

    async def _open_web_socket(
        self, request: web.Request, web_socket: "web.WebSocketResponse[bool]"
    ) -> web.StreamResponse:
        if not self._cors.admits_web_socket(request):
            return plain_answer(403)
        if any(query_values(request, "id")):
            found = self._find(request)
            if isinstance(found, web.Response):
                return without_type(found)
        else:  # negotiate was skipped: a connection is made on the spot (TG-3)
            connection_id = negotiate.new_id()
            found = HttpConnection(connection_id, connection_id, expires_at=0)
        http_request = request_data(request)
        user = await self._admit(found, _WEB_SOCKETS, http_request)
        if isinstance(user, web.Response):
            return user
        try:
            await web_socket.prepare(request)
            transport = WebSocketServerTransport(
                request,
                web_socket,
                self._hosting.flusher,
                self._hosting.frames,
                self._limits,
                self._options.close_timeout,
                found.inbound.close(),
            )
            await self._server.serve(transport, found.connection_id, http_request, user)
        except ConnectionError:  # the client has left before it was let in
            return plain_answer(400)
        finally:
            self._connections.remove(found)
        return web_socket

    async def _open_event_stream(self, request: web.Request) -> web.StreamResponse:
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        http_request = request_data(request)
        user = await self._admit(found, _SERVER_SENT_EVENTS, http_request)
        if isinstance(user, web.Response):
            return user

        def leave() -> None:
            found.is_disposed = True
            found.inbound.complete()

        try:
            transport = ServerSentEventsServerTransport(
                request,
                found.inbound,
                self._hosting.flusher,
                self._limits,
                self._options.close_timeout,
            )
            response = await transport.open()
            with self._hosting.watch.watching(request, leave):
                await self._server.serve(transport, found.connection_id, http_request, user)
        except ConnectionError:  # the client has left before it was let in
            return plain_answer(400)
        finally:
            leave()
            self._connections.remove(found)
        return response

    async def _admit(
        self, connection: HttpConnection, transport: HttpTransportType, request: HttpRequestData
    ) -> "Principal | web.Response | None":
        """Lets a transport pick up the connection, for life (TG-7); the user, or why not (TG-5)."""
        if refusal := self._refusal(connection, transport):
            return refusal
        user = await self._authenticate(request)
        if refusal := self._refusal(connection, transport):  # another one came meanwhile
            return refusal
        if not self._connections.activate(
            connection, transport, self._path, self._options.maximum_connections
        ):
            return self._full("connected")
        connection.inbound.open(self._options.application_max_buffer_size)
        return user

    def _refusal(
        self, connection: HttpConnection, transport: HttpTransportType
    ) -> web.Response | None:
        if transport not in self._options.transports:
            name = TRANSPORT_NAMES[transport]
            return plain_answer(404, f"{name} transport not supported by this end point type")
        if not connection.is_active:
            return None
        if connection.transport_type is not transport:
            return plain_answer(400, OTHER_TRANSPORT)
        return plain_answer(409)

    # ---- long polling

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        if found.polls is None:
            http_request = request_data(request)
            user = await self._admit(found, _LONG_POLLING, http_request)
            if found.polls is None:
                if isinstance(user, web.Response):
                    return user
                self._start_long_polling(found, http_request, user)
                return bytes_answer(b"")  # TL-3
        if found.is_disposed:
            return plain_answer(404)
        assert found.polls is not None
        return await self._answer_poll(request, found, found.polls)

    def _start_long_polling(
        self, connection: HttpConnection, request: HttpRequestData, user: Principal | None
    ) -> None:
        transport = connection.polls = LongPollingServerTransport(
            connection.inbound,
            self._hosting.flusher,
            self._limits,
            poll_timeout=self._options.long_polling_poll_timeout,
            disconnect_timeout=self._options.disconnect_timeout,
        )

        async def serve() -> None:
            try:
                await self._server.serve(transport, connection.connection_id, request, user)
            finally:
                self._connections.remove(connection)

        self._hosting.run(serve())

    async def _answer_poll(
        self, request: web.Request, connection: HttpConnection, polls: LongPollingServerTransport
    ) -> web.StreamResponse:
        with self._hosting.watch.watching(request, lambda: polls.abandon(request)):
            got = await polls.poll(request)
        if isinstance(got, bytes):
            return await self._deliver(request, polls, got)
        match got:
            case PollEnd.TIMED_OUT:  # TL-5
                return plain_answer(200)
            case PollEnd.REPLACED | PollEnd.ABANDONED:  # TL-7
                return plain_answer(204)
            case PollEnd.CONNECTION_ENDED:  # TL-6
                self._connections.remove(connection)
                return plain_answer(204)
            case PollEnd.CONNECTION_FAILED:  # TL-10
                self._connections.remove(connection)
                return plain_answer(500)

    async def _deliver(
        self, request: web.Request, polls: LongPollingServerTransport, data: bytes
    ) -> web.StreamResponse:
        """Sends here, not in aiohttp, because what does not get through is kept (TL-8)."""
        response = bytes_answer(data)
        response.headers.update(POLL_HEADERS)
        delivered = False
        try:
            if not is_gone(request):
                async with asyncio.timeout(self._options.transport_send_timeout):
                    await response.prepare(request)
                    await response.write_eof()
                delivered = True
                polls.delivered()
        except TimeoutError:  # TL-10
            logger.warning("A connection is cut off: its poll took too long to read.")
            polls.abort()
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            pass
        finally:
            if not delivered:
                polls.put_back(data)
        return response

    # ---- POST and DELETE

    async def _post(self, request: web.Request) -> web.Response:
        """Hub bytes of a client that polls or listens to events (TG-6)."""
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        if found.transport_type is _WEB_SOCKETS:
            return plain_answer(405, "POST requests are not allowed for WebSocket connections.")
        if found.is_disposed:
            return plain_answer(404)
        try:
            async with found.inbound.turn():
                await self._receive(request, found)
        except InboundPipeClosedError:
            return plain_answer(404)
        except (ConnectionError, web.RequestPayloadError):
            return plain_answer(400)
        return plain_answer(200)

    async def _receive(self, request: web.Request, connection: HttpConnection) -> None:
        """Hands over a body; one that is cut short must not spoil what follows it.

        A small one is handed over when it is complete. Of a larger one the hub may have had a part
        by then: the connection ends.
        """
        held: list[bytes] = []
        size = 0
        has_begun = False
        try:
            async for data in request.content.iter_chunked(connection.inbound.maximum_size):
                held.append(data)
                size += len(data)
                if size >= connection.inbound.maximum_size:
                    has_begun = True
                    await connection.inbound.write(b"".join(held))
                    held.clear()
                    size = 0
        except (ConnectionError, web.RequestPayloadError):
            if has_begun:
                connection.inbound.complete()
            raise
        await connection.inbound.write(b"".join(held))

    def _delete(self, request: web.Request) -> web.Response:
        """The end of long polling; the hub learns of it in its own time (TL-9)."""
        found = self._find(request)
        if isinstance(found, web.Response):
            return found
        if found.polls is None:
            return plain_answer(400, "Cannot terminate this connection using the DELETE endpoint.")
        found.is_disposed = True
        found.polls.terminate()
        return plain_answer(202)

    # ---- what all of them need

    def _find(self, request: web.Request) -> "HttpConnection | web.Response":
        """The connection a request means, or the refusal where it means none (TG-3, TG-4)."""
        ids = query_values(request, "id")
        if not any(ids):
            return plain_answer(400, NO_ID)
        connection = None
        if len(ids) == 1:
            connection = self._connections.find(ids[0], asyncio.get_running_loop().time())
        return connection or plain_answer(404, UNKNOWN_ID)

    def _full(self, how: str) -> web.Response:
        """Strangers can cause it at will, so it is not told each time."""
        now = asyncio.get_running_loop().time()
        if now >= self._tells_again_at:
            self._tells_again_at = now + _BETWEEN_WARNINGS
            logger.warning("Connections are refused: as many as may be are %s.", how)
        return plain_answer(503)

    async def _authenticate(self, http_request: HttpRequestData) -> Principal | None:
        if self._options.authenticate is None:
            return None
        user = self._options.authenticate(http_request)
        return await user if inspect.isawaitable(user) else user

    def _maximum_frame_size(self) -> int:
        """Of a WebSocket message, which may hold many hub messages; finite in any case."""
        limit = self._server.options.maximum_receive_message_size
        return max(4 * limit, 1024 * 1024) if limit else 64 * 1024 * 1024
