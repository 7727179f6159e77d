"""Which request does what to which connection (sections N and TG).

One dispatcher per path of a hub. Decides by method and headers what a request is, and starts
transports; who is let in is left to ``admission``, how bytes travel to the transports, what they
mean to ``aio.server``.
"""

from typing import Final

from aiohttp import web

from .. import negotiate
from ..aio.context import HttpRequestData, Principal
from ..aio.options import EndpointOptions
from ..aio.server import HubServer
from ..http_transport_type import HttpTransportType
from .admission import Admission
from .cors import CORS, CorsPolicy
from .hosting import Hosting
from .http_answers import (
    POLL_HEADERS,
    accepts_events,
    bytes_answer,
    plain_answer,
    query_values,
    request_data,
    without_subprotocols,
    without_type,
)
from .http_connections import HttpConnection
from .inbound_posts import receive_post
from .long_polling_server import LongPollingServerTransport, PollEnd
from .poll_answers import answer_poll
from .server_sent_events_server import ServerSentEventsServerTransport
from .web_socket_server import WebSocketServerTransport

_WEB_SOCKETS: Final = HttpTransportType.WEB_SOCKETS
_SERVER_SENT_EVENTS: Final = HttpTransportType.SERVER_SENT_EVENTS
_LONG_POLLING: Final = HttpTransportType.LONG_POLLING


class HttpConnectionDispatcher:
    """Serves one path of one hub."""

    def __init__(
        self, hosting: Hosting, server: HubServer, path: str, options: EndpointOptions
    ) -> None:
        self._hosting = hosting
        self._connections = hosting.connections
        self._admission = Admission(hosting.connections, path, options)
        self._server = server
        self._options = options
        self._limits = options.transport_limits
        self._cors = CorsPolicy(options.allowed_origins)

    async def negotiate(self, request: web.Request) -> web.Response:
        """``POST {path}/negotiate`` (N-1…N-12)."""
        request[CORS] = self._cors
        if preflight := self._cors.preflight(request):
            return preflight
        return self._admission.negotiate(request)

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
        if web_socket.can_prepare(without_subprotocols(request)).ok:
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
            found = self._admission.find(request)
            if isinstance(found, web.Response):
                return without_type(found)
        else:  # negotiate was skipped: a connection is made on the spot (TG-3)
            connection_id = negotiate.new_id()
            found = HttpConnection(connection_id, connection_id, expires_at=0)
        http_request = request_data(request)
        user = await self._admission.admit(found, _WEB_SOCKETS, http_request)
        if isinstance(user, web.Response):
            return user
        try:
            await web_socket.prepare(without_subprotocols(request))
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
        found = self._admission.find(request)
        if isinstance(found, web.Response):
            return found
        http_request = request_data(request)
        user = await self._admission.admit(found, _SERVER_SENT_EVENTS, http_request)
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

    # ---- long polling

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        found = self._admission.find(request)
        if isinstance(found, web.Response):
            return found
        if found.polls is None:
            http_request = request_data(request)
            user = await self._admission.admit(found, _LONG_POLLING, http_request)
            if found.polls is None:
                if isinstance(user, web.Response):
                    return user
                self._start_long_polling(found, http_request, user)
                return bytes_answer(b"")  # TL-3
        if found.is_disposed:
            return plain_answer(404)
        polls = found.polls
        with self._hosting.watch.watching(request, lambda: polls.abandon(request)):
            got = await polls.poll(request)
        if got in (PollEnd.CONNECTION_ENDED, PollEnd.CONNECTION_FAILED):
            self._connections.remove(found)
        return await answer_poll(request, polls, got, self._options.transport_send_timeout)

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

    # ---- POST and DELETE

    async def _post(self, request: web.Request) -> web.Response:
        """Hub bytes of a client that polls or listens to events (TG-6)."""
        found = self._admission.find(request)
        if isinstance(found, web.Response):
            return found
        if found.transport_type is _WEB_SOCKETS:
            return plain_answer(405, "POST requests are not allowed for WebSocket connections.")
        if found.is_disposed:
            return plain_answer(404)
        return await receive_post(request, found.inbound)

    def _delete(self, request: web.Request) -> web.Response:
        """The end of long polling; the hub learns of it in its own time (TL-9)."""
        found = self._admission.find(request)
        if isinstance(found, web.Response):
            return found
        if found.polls is None:
            return plain_answer(400, "Cannot terminate this connection using the DELETE endpoint.")
        found.is_disposed = True
        found.polls.terminate()
        return plain_answer(202)

    def _maximum_frame_size(self) -> int:
        """Of a WebSocket message, which may hold many hub messages; finite in any case."""
        limit = self._server.options.maximum_receive_message_size
        return max(4 * limit, 1024 * 1024) if limit else 64 * 1024 * 1024
