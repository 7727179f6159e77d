"""Handles the requests to one path of a hub on aiohttp.

``hosting.hub_endpoint`` decides what a request does. The dispatcher executes the decision: it opens
transports and passes them to the hub's ``HubServer``, receives POSTs, and answers polls.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from aiohttp import web

from ...aio.transport import ServerTransport
from ...hosting.http_answer import CLIENT_LEFT, POLL_STARTED, TERMINATED, HttpAnswer
from ...hosting.hub_endpoint import Action, Admitted, HubEndpoint
from ...hosting.poll_end import PollEnd, poll_end_answer
from ...server.authentication import default_user_id
from ...server.connection import ServerConnection
from ...server.connection_user import ConnectionUser
from ...server.http_request import HttpRequestData
from ...server.hub import authorizations
from ...server.hub_server import HubServer
from ...server.options import EndpointOptions
from ...server.resumable_transport import ResumableTransport
from .aiohttp_conversion import CORS, request_data, response_of
from .hosted_connection import HostedConnection
from .hosted_hubs import Hosting
from .inbound_posts import receive_post
from .long_polling import LongPollingServerTransport
from .poll_delivery import deliver
from .server_sent_events import ServerSentEventsServerTransport
from .web_socket_upgrade import WebSocketUpgrade


class HttpConnectionDispatcher:
    """Serves one path of one hub."""

    def __init__(
        self, hosting: Hosting, server: HubServer, path: str, options: EndpointOptions
    ) -> None:
        self._hosting = hosting
        self._connections = hosting.connections
        self._endpoint = HubEndpoint(
            hosting.connections,
            path,
            options,
            _now,
            wall_clock=_wall_clock,
            requirements=authorizations(server.hub_class),
            user_id=server.options.user_id or default_user_id,
        )
        authenticator = self._endpoint.authenticator
        if authenticator is not None and authenticator not in hosting.authenticators:
            hosting.authenticators.append(authenticator)
        self._server = server
        self._options = options
        self._limits = options.transport_limits
        maximum_size = server.options.maximum_receive_message_size
        self._upgrade = WebSocketUpgrade(hosting, options, maximum_size)

    async def negotiate(self, request: web.Request) -> web.Response:
        """Handles ``{path}/negotiate``."""
        request[CORS] = self._endpoint.cors
        return response_of(await self._endpoint.negotiate(request_data(request)))

    async def refresh(self, request: web.Request) -> web.Response:
        """Handles ``{path}/refresh``."""
        request[CORS] = self._endpoint.cors
        return response_of(await self._endpoint.refresh(request_data(request)))

    async def dispatch(self, request: web.Request) -> web.StreamResponse:
        """Handles ``{path}``: opens a transport, receives a POST, answers a poll, or refuses."""
        request[CORS] = self._endpoint.cors
        data = request_data(request)
        decision = await self._endpoint.dispatch(
            data,
            request.headers.getall("Accept", ()),
            is_upgrade=request.method == "GET" and self._upgrade.is_complete(request),
        )
        if isinstance(decision, HttpAnswer):
            return response_of(decision)
        connection = decision.connection
        match decision.action:
            case Action.OPEN_WEB_SOCKET:
                return await self._open_web_socket(request, data, decision)
            case Action.RESUME_WEB_SOCKET:
                return await self._resume_web_socket(request, data, connection)
            case Action.OPEN_EVENT_STREAM:
                return await self._open_event_stream(request, data, decision)
            case Action.START_LONG_POLLING:
                self._start_long_polling(data, decision)
                return response_of(POLL_STARTED)
            case Action.POLL:
                return await self._poll(request, connection)
            case Action.RECEIVE:
                return await self._receive(request, connection)
            case Action.TERMINATE:
                assert connection.long_polling is not None
                connection.long_polling.terminate()
                return response_of(TERMINATED)

    async def _open_web_socket(
        self,
        request: web.Request,
        data: HttpRequestData,
        admitted: Admitted[HostedConnection],
    ) -> web.StreamResponse:
        connection = admitted.connection
        self._enlarge_inbound(connection)
        try:
            with self._removing_on_failure(connection):
                web_socket, socket = await self._upgrade.open(request, connection.inbound.close)
        except ConnectionError:
            return response_of(CLIENT_LEFT)
        if connection.is_stateful:
            transport = ResumableTransport(socket, self._options.disconnect_timeout)
            connection.resumable = connection.resumable_transport = transport
            self._serve(transport, data, admitted)
            await asyncio.shield(transport.left)
        else:
            await asyncio.shield(self._serve(socket, data, admitted).closed)
        return web_socket

    async def _resume_web_socket(
        self, request: web.Request, data: HttpRequestData, connection: HostedConnection
    ) -> web.StreamResponse:
        """Continues the connection on a new socket, until this socket is lost or replaced."""
        try:
            web_socket, socket = await self._upgrade.open(request)
        except ConnectionError:
            return response_of(CLIENT_LEFT)
        transport = connection.resumable_transport
        assert transport is not None
        if transport.can_resume:
            transport.exchange(socket, data)
            await asyncio.shield(transport.left)
        else:  # the connection has ended in the meantime
            await socket.close()
        return web_socket

    async def _open_event_stream(
        self, request: web.Request, data: HttpRequestData, admitted: Admitted[HostedConnection]
    ) -> web.StreamResponse:
        connection = admitted.connection
        self._enlarge_inbound(connection)
        transport = ServerSentEventsServerTransport(
            request,
            connection.inbound,
            self._hosting.flusher,
            self._limits,
            self._options.close_timeout,
        )
        try:
            with self._removing_on_failure(connection):
                response = await transport.open()
        except ConnectionError:
            return response_of(CLIENT_LEFT)
        try:
            with self._hosting.watch.watching(request, connection.leave):
                await asyncio.shield(self._serve(transport, data, admitted).closed)
        finally:  # aiohttp may cancel the handler when the client disconnects
            connection.leave()
        return response

    def _start_long_polling(
        self, data: HttpRequestData, admitted: Admitted[HostedConnection]
    ) -> None:
        connection = admitted.connection
        self._enlarge_inbound(connection)
        transport = connection.long_polling = LongPollingServerTransport(
            connection.inbound,
            self._hosting.flusher,
            self._limits,
            poll_timeout=self._options.long_polling_poll_timeout,
            disconnect_timeout=self._options.disconnect_timeout,
        )
        self._serve(transport, data, admitted)

    def _serve(
        self,
        transport: ServerTransport,
        data: HttpRequestData,
        admitted: Admitted[HostedConnection],
    ) -> ServerConnection:
        """Serves the connection, and updates the table of connections when it ends."""
        connection = admitted.connection
        served = self._server.open(
            transport,
            connection.connection_id,
            data,
            admitted.user,
            lambda _: admitted.user_id,  # determined once
            is_stateful=connection.is_stateful,
        )
        options = self._options
        if options.close_on_authentication_expiration or options.enable_authentication_refresh:
            connection.open_user = ConnectionUser(
                self._server,
                served,
                expiry_clock=_wall_clock if options.close_on_authentication_expiration else None,
                accept=options.on_authentication_refresh,
            )
        served.closed.add_done_callback(partial(self._retire, connection))
        served.ended.add_done_callback(partial(self._remove, connection))
        return served

    def _retire(self, connection: HostedConnection, _closed: asyncio.Future[None]) -> None:
        self._connections.retire(connection)

    def _remove(self, connection: HostedConnection, _ended: asyncio.Future[None]) -> None:
        self._connections.remove(connection)

    def _enlarge_inbound(self, connection: HostedConnection) -> None:
        """Lets the connection buffer as many bytes of POSTs as the endpoint allows."""
        connection.inbound.open(self._options.application_max_buffer_size)

    @contextmanager
    def _removing_on_failure(self, connection: HostedConnection) -> Iterator[None]:
        """Removes the connection if the body of the context, which opens its transport, fails."""
        try:
            yield
        except BaseException:
            connection.leave()
            self._connections.remove(connection)
            raise

    async def _poll(self, request: web.Request, connection: HostedConnection) -> web.StreamResponse:
        transport = connection.long_polling
        assert transport is not None
        with self._hosting.watch.watching(request, lambda: transport.abandon(request)):
            got = await transport.poll(request)
        if got in (PollEnd.CONNECTION_ENDED, PollEnd.CONNECTION_FAILED):
            self._connections.retire(connection)
        if isinstance(got, bytes):
            thinning = self._server.log.thinning
            timeout = self._options.transport_send_timeout
            return await deliver(request, transport, got, timeout, thinning)
        return response_of(poll_end_answer(got))

    async def _receive(self, request: web.Request, connection: HostedConnection) -> web.Response:
        async def read(size: int) -> bytes:
            try:
                return await request.content.read(size)
            except web.RequestPayloadError as error:
                raise ConnectionResetError("The body is not complete.") from error

        answer = await receive_post(read, connection.inbound, self._options.receive_timeout)
        response = response_of(answer)
        if not request.content.is_eof():
            response.force_close()  # behind an unread body no further request can be found
        return response


def _now() -> float:
    return asyncio.get_running_loop().time()


def _wall_clock() -> float:
    return time.time()
